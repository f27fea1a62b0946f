"""What failures of venv, of pip, and of packages that do not start mean, in one sentence with its remedy."""

import re
import sys

from ..errors import SetupError
from .machine import Machine, this_machine

_NO_SPACE = r"No space left on device|Errno 28|WinError 112|not enough space on the disk|Disk quota exceeded"
_NO_NETWORK = (
    r"connection broken by|Could not fetch URL|timed out|ConnectionError|ProxyError|SSLError|IncompleteRead"
    r"|Network is unreachable|[Nn]ame resolution|Name or service not known|getaddrinfo failed|HTTP error"
    r"|RemoteDisconnected|DO NOT MATCH THE HASHES"
)
AGAIN = "start the set-up again"
_LONG_NAMES = r"Long Path support|enable-long-paths|WinError 206|[Ff]ile ?name too long"
# How ImportError words a library that cannot be loaded: Windows, Linux, macOS
_NO_LIBRARY = r"DLL load failed|cannot open shared object file|Library not loaded|dlopen\("
_NO_RUNTIME = {126, 127, 1114}  # of Windows: a library is missing, is too old, or cannot be initialized


def disk_is_full(place: str, needed_gb: float, again: str = AGAIN) -> SetupError:
    return SetupError(
        f"The disk is full: the environment needs about {needed_gb:g} GB in {place}.",
        f"Make room, or choose a folder on another disk, and {again}.",
    )


def explain(output: str, place: str, needed_gb: float, again: str = AGAIN) -> SetupError:
    """The failure behind the output of a step that ended with an error; `again` is what to do when it is mended."""
    start_again = f"What was downloaded is kept by pip; {again}."
    if re.search(_NO_SPACE, output):
        return disk_is_full(place, needed_gb, again)
    if re.search(_NO_NETWORK, output):
        return SetupError("A download failed.", f"Check the network, or pip's proxy and index settings. {start_again}")
    if re.search(_LONG_NAMES, output):
        return too_deep(place, again=again)
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        return SetupError(
            f"{missing.group(1)} was not found: there is no network, or no build of it for this machine,"
            f" {this_machine().title}.",
            f"Check the network, or pip's proxy and index settings. {start_again}",
        )
    if re.search(r"Permission denied|Errno 13|WinError 5\b", output):
        return SetupError(f"{place} cannot be written.", f"Choose a folder that is yours, and {again}.")
    if "ensurepip" in output:
        return SetupError(
            "The Python that was found cannot make environments: it lacks pip.",
            "Install Python from python.org (on Debian and Ubuntu: apt install python3-venv) and try again.",
        )
    lines = [line for line in output.splitlines() if line.strip()] or ["no output"]
    errors = [line for line in lines if line.startswith(("ERROR", "Error"))]
    return SetupError(f"The installation failed: {(errors or lines)[-1].strip()}", f"Correct that. {start_again}")


def too_deep(place: str, most: int | None = None, again: str = AGAIN) -> SetupError:
    """A folder whose files have paths that are too long for Windows; `most` letters it may have."""
    limit = f": it has {len(place)} letters, and at most {most} leave room for" if most else " for"
    return SetupError(
        f"{place} is too long a path{limit} the files of PyTorch.",
        f"Choose a folder nearer to the drive, or enable long paths in Windows (docs/set-up.md), and {again}.",
    )


def is_broken(error: Exception) -> bool:
    """Whether a package failed to import because of a library that does not load, and not because it is absent."""
    return isinstance(error, OSError) or (
        isinstance(error, ImportError)
        and not isinstance(error, ModuleNotFoundError)
        and re.search(_NO_LIBRARY, str(error)) is not None
    )


def does_not_start(requirement: str, error: Exception, machine: Machine | None = None) -> SetupError:
    """Why a package that is installed fails to import, where `is_broken`. `requirement` is what pip installs."""
    machine = machine or this_machine()
    name = requirement.partition("==")[0]
    said = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    message = f"{name} is installed in {sys.executable}, but it does not start ({said})."
    if machine.system == "win32" and (_windows_code(error) in _NO_RUNTIME or "DLL load failed" in str(error)):
        kind = "arm64" if machine.python_processor == "arm64" else "x64"
        return SetupError(
            message,
            "Install the Microsoft Visual C++ Redistributable, which it needs:"
            f" https://aka.ms/vs/17/release/vc_redist.{kind}.exe",
        )
    return SetupError(
        message, f'Install it again: "{sys.executable}" -m pip install --force-reinstall --no-deps {requirement}'
    )


def _windows_code(error: Exception) -> int | None:
    """The number of an error of Windows; elsewhere such an error has it as its `errno`, or only in its text."""
    found = re.search(r"WinError (\d+)", str(error))
    return int(found.group(1)) if found else getattr(error, "winerror", None) or getattr(error, "errno", None)
