"""NVIDIA's CUDA toolkits that this system has, and the versions of their compilers."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

_EXE = ".exe" if sys.platform == "win32" else ""
_ASK_LIMIT_S = 30


def compiler_in(home: Path) -> Path:
    """Where a toolkit has its compiler."""
    return home / "bin" / f"nvcc{_EXE}"


def system_toolkits() -> list[Path]:
    """The folders of toolkits: of CUDA_HOME, on PATH, where NVIDIA installs them, on Windows the newest first."""
    places = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    on_path = shutil.which("nvcc")
    if on_path:
        places.append(Path(on_path).resolve().parent.parent)
    if sys.platform == "win32":
        programs = Path(os.environ.get("PROGRAMFILES", r"C:\Program Files"))
        there = (programs / "NVIDIA GPU Computing Toolkit" / "CUDA").glob("v*")
        places += sorted(there, key=lambda place: [int(number) for number in re.findall(r"\d+", place.name)])[::-1]
    else:
        places += [Path("/usr/local/cuda"), Path("/opt/cuda")]
    return [place for place in places if compiler_in(place).is_file()]


def version_in(home: Path) -> tuple[int, int]:
    """The version of a toolkit, as its compiler says; (0, 0) when that does not start."""
    try:
        answer = subprocess.run([compiler_in(home), "--version"], capture_output=True, text=True, timeout=_ASK_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    found = re.search(r"release (\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)
