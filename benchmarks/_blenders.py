"""Every Blender of this checkout, and the answers of scripts that run in them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def pythons() -> list[str]:
    """The Python of each Blender, as `dev.py bench` names them."""
    return os.environ.get("SPLAT_BLENDER_PYTHONS", sys.executable).split(os.pathsep)


def ask(python: str, script: Path, *arguments) -> Any:
    """Run a script there; its last line is JSON, and the answer. Ends the benchmark with what a failed one printed."""
    command = [python, str(script), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bench: {' '.join(command)} failed:\n{done.stdout[-2000:]}")
    return json.loads(done.stdout.rstrip().splitlines()[-1])


def answer(value: Any) -> None:
    """What `ask` returns, printed by the script that was asked."""
    print("\n" + json.dumps(value), flush=True)
