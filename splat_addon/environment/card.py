"""What training on an NVIDIA card needs of a machine that pip cannot install: a driver, a card, a C++ compiler.

Asked before anything is downloaded. The driver is asked itself (CUDA driver API), which needs no toolkit.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SetupError
from .machine import Machine
from .requirements import CardNeeds

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, …_MINOR
_ASK_LIMIT_S = 20
_CPP_TOOLS = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"


@dataclass(frozen=True)
class Card:
    """A card by its name and compute capability."""

    name: str
    capability: tuple[int, int]


@dataclass(frozen=True)
class Driver:
    """A driver: the newest version of CUDA that it runs, and the cards that it drives."""

    cuda: tuple[int, int]
    cards: tuple[Card, ...]


def read_driver(load: Callable[[str], Any] = ctypes.CDLL) -> Driver | None:
    """The NVIDIA driver of this machine; None where none is installed."""
    try:
        library = load("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        version, count = ctypes.c_int(), ctypes.c_int()
        library.cuDriverGetVersion(ctypes.byref(version))
        if library.cuInit(0) != 0 or library.cuDeviceGetCount(ctypes.byref(count)) != 0:
            count.value = 0
        cards = tuple(_card(library, place) for place in range(count.value))
    except (OSError, AttributeError):
        return None
    return Driver((version.value // 1000, version.value % 1000 // 10), cards)


def _card(library: Any, place: int) -> Card:
    device, name, major, minor = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int()
    library.cuDeviceGet(ctypes.byref(device), place)
    library.cuDeviceGetName(name, len(name), device)
    library.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    library.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    return Card(name.value.decode(errors="replace"), (major.value, minor.value))


def find_cpp_compiler() -> str | None:
    """The C++ compiler of this machine: on Windows that of the Visual Studio Build Tools, which need not be on PATH."""
    if sys.platform != "win32":
        return next(filter(None, map(shutil.which, (os.environ.get("CXX") or "c++", "g++", "clang++"))), None)
    programs = os.environ.get("PROGRAMFILES(X86)", r"C:\Program Files (x86)")
    finder = Path(programs) / "Microsoft Visual Studio" / "Installer" / "vswhere.exe"
    command = [finder, "-latest", "-products", "*", "-requires", _CPP_TOOLS, "-property", "installationPath"]
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ASK_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return shutil.which("cl")
    return os.fsdecode(answer.stdout).strip() or shutil.which("cl")


def why_not_card(
    needs: CardNeeds, machine: Machine, driver: Driver | None, compiler: str | None, release: str = ""
) -> SetupError | None:
    """Why this machine cannot train on a card, with what to do on it; None when it can. `release`: what a Linux says of
    itself in /etc/os-release."""
    wanted = ".".join(map(str, needs.cuda))
    get_driver = f"Install NVIDIA's driver {needs.driver} or newer ({_driver_command(machine, release)}), and restart."
    if driver is None:
        return SetupError("No NVIDIA driver was found.", f"{get_driver} Without an NVIDIA card, choose CPU.")
    if driver.cuda < needs.cuda:
        found = ".".join(map(str, driver.cuda))
        return SetupError(f"The NVIDIA driver is too old: it runs CUDA {found}, and {wanted} is needed.", get_driver)
    if not driver.cards:
        return SetupError("The NVIDIA driver finds no card.", "Check that the card is in place, or choose CPU.")
    card = driver.cards[0]
    if card.capability < needs.capability:
        found, lowest = (".".join(map(str, numbers)) for numbers in (card.capability, needs.capability))
        return SetupError(
            f"{card.name} is too old for CUDA {wanted}: it has compute capability {found}, and {lowest} is needed.",
            "Choose CPU.",
        )
    if compiler is None:
        return SetupError(
            "There is no C++ compiler, which builds gsplat's CUDA kernels once.",
            f"Install one ({_compiler_command(machine, release)}), and start the set-up again.",
        )
    return None


def linux_release() -> str:
    """What this Linux says of itself; empty elsewhere."""
    try:
        return Path("/etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _family(release: str) -> str:
    words = " ".join(re.findall(r"^ID(?:_LIKE)?=\"?([^\"\n]*)", release, re.MULTILINE)).split()
    for family, names in {
        "debian": {"debian", "ubuntu"}, "fedora": {"fedora", "rhel", "centos"}, "arch": {"arch"}, "suse": {"suse"},
    }.items():  # fmt: skip
        if names & set(words):
            return family
    return ""


def _driver_command(machine: Machine, release: str) -> str:
    commands = {"debian": "sudo apt install nvidia-driver", "fedora": "sudo dnf install akmod-nvidia"}
    if "ubuntu" in release:
        return "sudo ubuntu-drivers install"
    return commands.get(_family(release) if machine.system == "linux" else "", "https://www.nvidia.com/drivers")


def _compiler_command(machine: Machine, release: str) -> str:
    if machine.system == "win32":
        tools = "Microsoft.VisualStudio.2022.BuildTools"
        return f'winget install {tools} --override "--passive --add {_CPP_TOOLS} --includeRecommended"'
    commands = {
        "debian": "sudo apt install g++", "fedora": "sudo dnf install gcc-c++", "arch": "sudo pacman -S gcc",
        "suse": "sudo zypper install gcc-c++",
    }  # fmt: skip
    return commands.get(_family(release), "the package g++ of this system")
