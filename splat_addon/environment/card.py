"""What training on an NVIDIA card needs of a machine that pip cannot install: a driver, a card, compilers.

Asked before anything is downloaded. The driver is asked itself (CUDA driver API), which needs no toolkit.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
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
    """A driver: the newest version of CUDA that it runs, the cards that it drives, as CUDA counts them, and its own
    version, such as "580.95.05"; empty where it does not say."""

    cuda: tuple[int, int]
    cards: tuple[Card, ...]
    version: str = ""


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
    return Driver((version.value // 1000, version.value % 1000 // 10), cards, _driver_version(load))


def _driver_version(load: Callable[[str], Any]) -> str:
    """What NVIDIA's management library calls the driver."""
    text = ctypes.create_string_buffer(80)
    try:
        library = load("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        is_told = library.nvmlInit_v2() == 0 and library.nvmlSystemGetDriverVersion(text, len(text)) == 0
    except (OSError, AttributeError):
        return ""
    return text.value.decode(errors="replace") if is_told else ""


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
    needs: CardNeeds,
    machine: Machine,
    driver: Driver | None,
    compiler: str | None,
    toolkits: Sequence[tuple[int, int]] = (),
    release: str = "",
) -> SetupError | None:
    """Why this machine cannot train on a card, with what to do on it; None when it can.

    `toolkits`: the versions of CUDA toolkits, which only Windows needs. `release`: what a Linux says of itself in
    /etc/os-release.
    """
    refusal = why_not_driven(needs, machine, driver, release)
    if refusal is not None:
        return refusal
    if compiler is None:
        return SetupError(
            "There is no C++ compiler, which builds gsplat's CUDA kernels once.",
            f"Install one ({_compiler_command(machine, release)}), and start the set-up again.",
        )
    major, wanted = needs.cuda[0], ".".join(map(str, needs.cuda))
    if machine.system == "win32" and major not in [toolkit[0] for toolkit in toolkits]:
        others = " and ".join(".".join(map(str, toolkit)) for toolkit in toolkits if any(toolkit))
        return SetupError(
            f"NVIDIA's CUDA toolkit {major}, which builds gsplat's CUDA kernels once, was not found"
            f"{f'; there is {others}' if others else ''}.",
            f"Install it beside others (winget install Nvidia.CUDA --version {wanted}), and start the set-up again.",
        )
    return None


def why_not_driven(needs: CardNeeds, machine: Machine, driver: Driver | None, release: str = "") -> SetupError | None:
    """Why no card of this machine computes what is wanted; None when one does."""
    wanted = ".".join(map(str, needs.cuda))
    get_driver = f"Install NVIDIA's driver {needs.driver} or newer ({_driver_command(machine, release)}), and restart."
    if driver is None:
        return SetupError("No NVIDIA driver was found.", f"{get_driver} Without an NVIDIA card, choose CPU.")
    if driver.cuda < needs.cuda:
        found = ".".join(map(str, driver.cuda))
        return SetupError(f"The NVIDIA driver is too old: it runs CUDA {found}, and {wanted} is needed.", get_driver)
    if not driver.cards:
        return SetupError("The NVIDIA driver finds no card.", "Check that the card is in place, or choose CPU.")
    return too_old(needs, driver.cards)


def too_old(needs: CardNeeds, cards: Sequence[Card]) -> SetupError | None:
    """Why the first of `cards`, which is the one that trains, cannot; None when it can."""
    card = cards[0]
    if card.capability >= needs.capability:
        return None
    found, lowest, wanted = (".".join(map(str, numbers)) for numbers in (card.capability, needs.capability, needs.cuda))
    newer = [f"{place} ({other.name})" for place, other in enumerate(cards) if other.capability >= needs.capability]
    remedy = f"Set the environment variable CUDA_VISIBLE_DEVICES to {newer[0]}, or choose CPU." if newer else ""
    return SetupError(
        f"{card.name} is too old for CUDA {wanted}: it has compute capability {found}, and {lowest} is needed.",
        remedy or "Choose CPU.",
    )


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
