"""Every Blender of this checkout, and the answers of scripts that run in them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_MARK = "answer: "  # before the JSON, among all that Blender prints


def pythons() -> list[str]:
    """The Python of each Blender, as `dev.py bench` names them."""
    return os.environ.get("SPLAT_BLENDER_PYTHONS", sys.executable).split(os.pathsep)


def ask(python: str, script: Path, *arguments) -> Any:
    """Run a script there and return what it gave to `answer`. Ends the benchmark with what a failed one printed."""
    command = [python, str(script), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    answers = [line.removeprefix(_MARK) for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode != 0 or not answers:
        raise SystemExit(f"bench: {' '.join(command)} failed:\n{done.stdout[-2000:]}")
    return json.loads(answers[-1])


def answer(value: Any) -> None:
    """Give `ask` what it returns: called once by the script that was asked."""
    print(f"\n{_MARK}{json.dumps(value)}", flush=True)
