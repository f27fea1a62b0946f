"""What kind of computer this is, as far as set-up has to know it."""

import functools
import os
import platform
import subprocess
import sys
import sysconfig
from dataclasses import dataclass

_NAMES = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}  # one name for each kind of processor
_ASK_LIMIT_S = 10


@dataclass(frozen=True)
class Machine:
    """A computer. `system` is `sys.platform`'s word; `processor` is what is built in: "x86_64", "arm64", …

    `python_processor` is what this Python was built for; it differs where a processor translates or emulates another's
    programs. `macos` is empty elsewhere, and where its number cannot be trusted. `has_long_paths` is whether Windows
    takes paths of more than 259 characters; `has_developer_tools`, whether macOS's /usr/bin/python3 is a Python
    rather than an offer to install one.
    """

    system: str
    processor: str
    python_processor: str
    macos: tuple[int, ...] = ()
    has_long_paths: bool = True
    has_developer_tools: bool = True

    @property
    def title(self) -> str:
        """What people call it: "Windows (arm64)", "macOS 13.6 (x86_64)"."""
        name = {"win32": "Windows", "darwin": "macOS", "linux": "Linux"}.get(self.system, self.system)
        return " ".join([name, *([".".join(map(str, self.macos))] if self.macos else []), f"({self.processor})"])


@functools.cache
def this_machine() -> Machine:
    """The computer that this runs on."""
    processor = one_name(platform.machine())
    if sys.platform == "darwin":
        if processor == "x86_64" and _answers("/usr/sbin/sysctl", "-n", "hw.optional.arm64") == "1":
            processor = "arm64"  # an Intel program that is translated is told that the processor is Intel's
        has_tools = _answers("/usr/bin/xcode-select", "-p") is not None
        macos = macos_version(platform.mac_ver()[0])
        return Machine("darwin", processor, one_name(platform.machine()), macos, has_developer_tools=has_tools)
    own = python_processor(sysconfig.get_platform(), platform.machine())
    return Machine(sys.platform, processor, own, has_long_paths=_has_long_paths())


def one_name(machine: str) -> str:
    """ "x86_64" or "arm64", whatever the system calls it; other kinds in lower case."""
    return _NAMES.get(machine.lower(), machine.lower())


def python_processor(build: str, machine: str) -> str:
    """What a Python is built for, from `sysconfig.get_platform()` and `platform.machine()`.

    On Windows the first knows: there the second names the processor, from Python 3.12 on also where an x86-64 Python
    is emulated on ARM. On macOS the second knows: the first may be "universal2", for both.
    """
    return one_name(build.removeprefix("win-") if build.startswith("win-") else machine)


def macos_version(text: str) -> tuple[int, ...]:
    """(14, 5) of "14.5"; empty for 10.16, which every later macOS calls itself to old programs."""
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    return () if numbers == (10, 16) else numbers


def _answers(*command: str) -> str | None:
    """What a command prints; None when it fails."""
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ASK_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(answer.stdout).strip() if answer.returncode == 0 else None


def _has_long_paths() -> bool:
    """Whether Windows was told to take long paths; every other system does."""
    if sys.platform != "win32":
        return True
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False
