"""Pythons of this machine that an environment can be made with."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import SetupError
from .machine import Machine, python_processor, this_machine

_PROBE = (
    "import ensurepip, venv, platform, sys, sysconfig;"
    " print('%d.%d' % sys.version_info[:2] if sys.maxsize > 2**32 else '32 bit', end='|');"
    " print(sysconfig.get_platform(), platform.machine(), sep='|')"
)
_PROBE_LIMIT_S = 30


class Found(NamedTuple):
    """A Python that can make environments: its version, like "3.11", and the processor that it is built for."""

    version: str
    processor: str


def find_python(versions: Sequence[str], processors: Sequence[str] = (), machine: Machine | None = None) -> list[str]:
    """The command of a Python of one of `versions` (like "3.11") that can make environments.

    With `processors` it is built for one of these. On Apple silicon one that has to be translated is never taken: it
    would be given the packages of an Intel Mac. A Python of the system comes first, since it stays when Blender is
    updated; Blender's own is the last resort. Raises SetupError when there is none.
    """
    machine = machine or this_machine()
    if machine.system == "darwin" and not processors:
        processors = (machine.processor,)
    passed_over = set()
    for command in _candidates(versions, machine):
        found = ask(command)
        if found is not None and found.version in versions:
            if not processors or found.processor in processors:
                return command
            passed_over.add(found.processor)
    raise _none_found(versions, processors, passed_over, machine)


def _none_found(
    versions: Sequence[str], processors: Sequence[str], passed_over: set[str], machine: Machine
) -> SetupError:
    wanted = f"{', '.join(versions[:-1])} or {versions[-1]}" if len(versions) > 1 else versions[0]
    debian = f" (on Debian and Ubuntu: apt install python{versions[0]}-venv)" if machine.system == "linux" else ""
    if not passed_over:
        return SetupError(
            f"No Python {wanted} with venv and pip was found.", f"Install one from python.org{debian} and try again."
        )
    kinds = f"{' or '.join(processors)} was found, only for {' and '.join(sorted(passed_over))}"
    remedy = f"Install one from python.org{debian} and try again."
    if machine.system == "win32":
        remedy = "Install one from python.org: the Windows installer for 64-bit, not for ARM64. Then try again."
    return SetupError(f"No Python {wanted} for {kinds}.", remedy)


def _candidates(versions: Sequence[str], machine: Machine) -> Iterator[list[str]]:
    seen = set()
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    if sys.platform == "darwin":  # programs started from the dock have a short PATH
        folders += ["/opt/homebrew/bin", "/usr/local/bin"]
        folders += [f"/Library/Frameworks/Python.framework/Versions/{version}/bin" for version in versions]
    names = [f"python{version}" for version in versions] + ["python3", "python"]
    for name in names:
        for folder in folders:
            found = shutil.which(name, path=folder)
            if found and found not in seen and not _asks_to_install(found, machine):
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


def _asks_to_install(python: str, machine: Machine) -> bool:
    """Whether this is no Python but macOS's offer to install the developer tools, a dialog, for lack of them."""
    return machine.system == "darwin" and not machine.has_developer_tools and Path(python).parent == Path("/usr/bin")


def version_of(command: Sequence[str]) -> str:
    """ "3.11", or "" when the command is no Python that can make environments."""
    found = ask(command)
    return found.version if found else ""


def ask(command: Sequence[str]) -> Found | None:
    """What a command is; None when it is no Python that can make environments: PATH holds shims that may fail."""
    try:
        answer = subprocess.run(
            [*command, "-I", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_LIMIT_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = answer.stdout.decode(errors="replace").strip().split("|")
    if answer.returncode != 0 or len(said) != 3:
        return None
    version, build, processor = said
    return Found(version, python_processor(build, processor))
