"""What this machine has for training on an NVIDIA card, and for each missing piece the remedy.

gsplat 1.5.3 is pure Python as installed; its CUDA sources are compiled once, which takes minutes and needs a compiler.
What fails on the way fails with misleading messages. So everything is looked for before.

`python -m splat_addon.trainer.backend.cuda [--build]` prints it, and builds the kernels ahead.
"""

import importlib.metadata
import sys
from dataclasses import dataclass

import torch

from ....environment.card import Card, find_cpp_compiler, linux_release, read_driver, too_old, why_not_driven
from ....environment.machine import this_machine
from ....environment.requirements import CardNeeds, read_card_needs
from ....errors import SetupError
from . import kernels, self_check, toolkit
from .kernels import GSPLAT_VERSION

DEVICE, KERNELS, KERNEL_FILE, SELF_CHECK = "CUDA device", "CUDA kernels", "CUDA kernels' file", "Self-check"


@dataclass(frozen=True)
class Finding:
    """One piece: what was found, and what to do when it is not `is_fine`."""

    name: str
    found: str
    is_fine: bool
    remedy: str = ""


def examine() -> list[Finding]:
    """All pieces in the order in which they are needed."""
    found = [_torch(), _device(), *map(_package, ("gsplat", "packaging", "rich"))]
    built = _kernels()
    if not built.is_fine:  # compilers are needed only as long as there is something to compile
        found += compilers()
    return [*found, built, *([_self_check()] if built.is_fine and torch.cuda.is_available() else [])]


def compilers() -> list[Finding]:
    """What building the kernels needs."""
    return [_nvcc(), _cpp_compiler(), _ninja()]


def is_cuda_ready() -> bool:
    """Whether training on CUDA can begin, be it that kernels are built first."""
    return torch.cuda.is_available() and not _missing()


def is_proven() -> bool:
    """Whether the card has passed its self-check, with all that is here now."""
    if not is_cuda_ready() or not _kernels().is_fine:
        return False
    verdict = self_check.kept()
    return verdict is not None and verdict.passed


def require_cuda() -> None:
    """Raise SetupError about the first missing piece."""
    missing = _missing()
    if missing:
        raise SetupError(f"CUDA cannot be used ({missing[0].name}: {missing[0].found}).", missing[0].remedy)


def why_not_cuda() -> Finding | None:
    """What keeps this machine from training on its NVIDIA card; None when nothing does, or when there is no card and
    this Python was not set up for one."""
    is_for_card = torch.version.cuda is not None and _package("gsplat").is_fine
    missing = _missing() if torch.cuda.is_available() or is_for_card else []
    return missing[0] if missing else None


def _missing() -> list[Finding]:
    """What keeps training on CUDA from beginning."""
    return [finding for finding in examine() if not finding.is_fine and finding.name not in (KERNELS, SELF_CHECK)]


def _torch() -> Finding:
    version = f"{torch.__version__}, CUDA {torch.version.cuda or 'not built in'}"
    remedy = "Install a PyTorch build with CUDA (Set Up Trainer › NVIDIA Card does), or set Device to CPU."
    return Finding("PyTorch", version, torch.version.cuda is not None, remedy)


def _device() -> Finding:
    needs = _needs()
    if not torch.cuda.is_available():
        refusal = why_not_driven(needs, this_machine(), read_driver(), linux_release())
        if refusal is None or torch.version.cuda is None:
            remedy = "Install an NVIDIA driver and a PyTorch build with CUDA, or set Device to Auto or CPU."
            return Finding(DEVICE, "PyTorch finds none", False, remedy)
        return _refused(DEVICE, refusal)
    cards = [_card(place) for place in range(torch.cuda.device_count())]
    first, memory = cards[0], torch.cuda.get_device_properties(0).total_memory
    found = f"{first.name}, {memory / 2**30:.0f} GiB, compute {first.capability[0]}.{first.capability[1]}"
    found += f"; the first of {len(cards)}" if len(cards) > 1 else ""
    refusal = too_old(needs, cards)
    return Finding(DEVICE, found, True) if refusal is None else _refused(DEVICE, refusal)


def _card(place: int) -> Card:
    return Card(torch.cuda.get_device_name(place), torch.cuda.get_device_capability(place))


def _refused(name: str, why: SetupError) -> Finding:
    return Finding(name, why.message.rstrip("."), False, why.remedy)


def _needs() -> CardNeeds:
    """What this PyTorch needs of a card, whichever PyTorch it is."""
    needs, cuda = read_card_needs(), torch.version.cuda
    if cuda is None:
        return needs
    major, _, minor = cuda.partition(".")
    return CardNeeds((int(major), int(minor or 0)), needs.driver, lowest_capability(cuda))


def lowest_capability(cuda: str | None) -> tuple[int, int]:
    """The oldest cards that a version of CUDA compiles for."""
    return (7, 5) if cuda and int(cuda.partition(".")[0]) >= 13 else (7, 0)


def _package(name: str) -> Finding:
    wanted = f"{name}=={GSPLAT_VERSION}" if name == "gsplat" else name
    remedy = f'Run: "{sys.executable}" -m pip install --no-build-isolation {wanted}'
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "not installed", False, remedy)
    return Finding(name, found, name != "gsplat" or found == GSPLAT_VERSION, remedy)


def _nvcc() -> Finding:
    name, cuda = "CUDA compiler (nvcc)", toolkit.wanted_cuda()
    major = cuda.partition(".")[0]
    pip = f'"{sys.executable}" -m pip install "nvidia-cuda-nvcc=={major}.*" "nvidia-cuda-cccl=={major}.*"'
    remedy = f"Run: {pip}"
    if sys.platform == "win32":
        remedy = f"Install NVIDIA's CUDA toolkit {cuda} (winget install Nvidia.CUDA --version {cuda})."
    found = toolkit.find_toolkit()
    if found is None:
        return Finding(name, "not found", False, remedy)
    version = ".".join(map(str, found.version)) if any(found.version) else "does not start"
    unfit = "" if found.fits else f", and PyTorch needs CUDA {cuda}"
    return Finding(name, f"{version} in {found.home}{unfit}", found.fits, remedy)


def _cpp_compiler() -> Finding:
    path = find_cpp_compiler()
    windows = "Install the Visual Studio Build Tools with C++."
    remedy = windows if sys.platform == "win32" else "Install a C++ compiler (on Debian and Ubuntu: apt install g++)."
    return Finding("C++ compiler", path or "not found", path is not None, remedy)


def _ninja() -> Finding:
    path = toolkit.find_ninja()
    return Finding("ninja", path or "not found", path is not None, f'Run: "{sys.executable}" -m pip install ninja')


def _kernels() -> Finding:
    remedy = "They are built once, at the first run (from a checkout also ahead: python3 dev.py doctor --build)."
    if kernels.came_with_gsplat():
        return Finding(KERNELS, "came with gsplat", True)
    there = kernels.architectures()
    if not there:
        return Finding(KERNELS, "not built", False, remedy)
    is_card = torch.cuda.is_available()
    is_fine = not is_card or kernels.runs_on(there, torch.cuda.get_device_capability())
    if is_card and is_fine:
        try:
            kernels.load()
        except SetupError as error:
            return _refused(KERNEL_FILE, error)
    return Finding(KERNELS, f"built for compute {', '.join(there)}, {kernels.library()}", is_fine, remedy)


def _self_check() -> Finding:
    verdict = self_check.kept()
    if verdict is None:
        return Finding(SELF_CHECK, "not yet", False, "It is made when the kernels are first used.")
    errors = f"image {verdict.image_error:.1e}, gradients {verdict.gradient_error:.1e} against the CPU"
    remedy = f"Update the NVIDIA driver, or set Device to CPU (worst: {verdict.worst})."
    return Finding(SELF_CHECK, errors, verdict.passed, remedy)
