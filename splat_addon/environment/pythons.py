"""Pythons of this machine that an environment can be made with."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import SetupError

_PROBE = "import ensurepip, venv, sys; print('%d.%d' % sys.version_info[:2] if sys.maxsize > 2**32 else '32 bit')"
_PROBE_LIMIT_S = 30


def find_python(versions: Sequence[str]) -> list[str]:
    """The command of a Python of one of `versions` (like "3.11") that can make environments.

    A Python of the system comes first, since it stays when Blender is updated; Blender's own is the last resort.
    Raises SetupError when there is none.
    """
    for command in _candidates(versions):
        if version_of(command) in versions:
            return command
    wanted = f"{', '.join(versions[:-1])} or {versions[-1]}" if len(versions) > 1 else versions[0]
    debian = f" (on Debian and Ubuntu: apt install python{versions[0]}-venv)"
    raise SetupError(
        f"No Python {wanted} with venv and pip was found.",
        f"Install one from python.org{debian if sys.platform == 'linux' else ''} and try again.",
    )


def _candidates(versions: Sequence[str]) -> Iterator[list[str]]:
    seen = set()
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    if sys.platform == "darwin":  # programs started from the dock have a short PATH
        folders += ["/opt/homebrew/bin", "/usr/local/bin"]
        folders += [f"/Library/Frameworks/Python.framework/Versions/{version}/bin" for version in versions]
    names = [f"python{version}" for version in versions] + ["python3", "python"]
    for name in names:
        for folder in folders:
            found = shutil.which(name, path=folder)
            if found and found not in seen:
                seen.add(found)
                yield [found]
    for version in versions:
        yield from ([str(python)] for python in _pyenv_pythons(version))
        if sys.platform == "win32" and shutil.which("py"):
            yield ["py", f"-{version}"]
    if sys.executable and Path(sys.executable).name.lower().startswith("python"):
        yield [sys.executable]


def _pyenv_pythons(version: str) -> list[Path]:
    """What pyenv has installed, also where its shims on PATH answer for another version."""
    is_windows = sys.platform == "win32"
    usual = Path.home() / (".pyenv/pyenv-win" if is_windows else ".pyenv")
    pattern = f"versions/{version}.*/{'python.exe' if is_windows else 'bin/python'}"
    return sorted(Path(os.environ.get("PYENV_ROOT") or usual).glob(pattern), reverse=True)


def version_of(command: Sequence[str]) -> str:
    """ "3.11", or "" when the command is no Python that can make environments: PATH holds shims that may fail."""
    try:
        answer = subprocess.run(
            [*command, "-I", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_LIMIT_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.decode(errors="replace").strip() if answer.returncode == 0 else ""
