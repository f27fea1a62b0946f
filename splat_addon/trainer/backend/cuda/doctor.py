"""What this machine has for training on an NVIDIA card, and for each missing piece the remedy.

gsplat 1.5.3 is pure Python as installed and compiles its CUDA sources at the first call, which takes minutes and needs
the CUDA toolkit; what fails on the way fails with misleading messages. So everything is looked for before.

`python -m splat_addon.trainer.backend.cuda [--build]` prints it, and builds the kernels ahead.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from ....errors import SetupError

GSPLAT_VERSION = "1.5.3"
EXTENSION_NAME = "gsplat_cuda"


@dataclass(frozen=True)
class Finding:
    """One piece: what was found, and what to do when it is not `is_fine`."""

    name: str
    found: str
    is_fine: bool
    remedy: str = ""


def examine() -> list[Finding]:
    """All pieces in the order in which they are needed."""
    found = [_torch(), _device(), _package("gsplat", GSPLAT_VERSION), _package("packaging"), _package("rich")]
    kernels = _kernels()
    if not kernels.is_fine:  # compilers are needed only as long as there is something to compile
        found += [_nvcc(), _host_compiler(), _ninja()]
    return [*found, kernels]


def is_cuda_ready() -> bool:
    """Whether training on CUDA can begin, be it that kernels are built first."""
    return torch.cuda.is_available() and not _missing()


def require_cuda() -> None:
    """Raise SetupError about the first missing piece."""
    missing = _missing()
    if missing:
        raise SetupError(f"CUDA cannot be used: {missing[0].name} {missing[0].found}.", missing[0].remedy)


def why_not_cuda() -> Finding | None:
    """What keeps a machine that has an NVIDIA card from using it; None when nothing does or there is no card."""
    missing = _missing() if torch.cuda.is_available() else []
    return missing[0] if missing else None


def _missing() -> list[Finding]:
    return [finding for finding in examine() if not finding.is_fine and finding.name != "CUDA kernels"]


def _torch() -> Finding:
    version = f"{torch.__version__}, CUDA {torch.version.cuda or 'not built in'}"
    remedy = "Install a PyTorch build with CUDA, see https://pytorch.org/get-started, or set Device to CPU."
    return Finding("PyTorch", version, torch.version.cuda is not None, remedy)


def _device() -> Finding:
    remedy = "Install an NVIDIA driver and a PyTorch build with CUDA, or set Device to Auto or CPU."
    if not torch.cuda.is_available():
        return Finding("CUDA device", "PyTorch finds none", False, remedy)
    major, minor = torch.cuda.get_device_capability()
    name, memory = torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory
    return Finding("CUDA device", f"{name}, {memory / 2**30:.0f} GiB, compute {major}.{minor}", major >= 7, remedy)


def _package(name: str, version: str = "") -> Finding:
    wanted = f"{name}=={version}" if version else name
    remedy = f'Run: "{sys.executable}" -m pip install --no-build-isolation {wanted}'
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "not installed", False, remedy)
    return Finding(name, found, not version or found == version, remedy)


def _nvcc() -> Finding:
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    inside = Path(home) / "bin" / ("nvcc.exe" if sys.platform == "win32" else "nvcc")
    path = shutil.which("nvcc") or (str(inside) if inside.is_file() else None)
    remedy = f"Install the CUDA toolkit {torch.version.cuda or ''} of NVIDIA and set CUDA_HOME to its folder."
    return Finding("CUDA compiler (nvcc)", path or "not found", path is not None, remedy)


def _host_compiler() -> Finding:
    names = ("cl",) if sys.platform == "win32" else (os.environ.get("CXX") or "c++", "g++", "clang++")
    path = next(filter(None, map(shutil.which, names)), None)
    windows = "Install the Visual Studio Build Tools and start from their developer prompt."
    remedy = windows if sys.platform == "win32" else "Install a C++ compiler (on Debian: apt install g++)."
    return Finding("C++ compiler", path or "not found", path is not None, remedy)


def _ninja() -> Finding:
    beside = Path(sys.executable).parent / ("ninja.exe" if sys.platform == "win32" else "ninja")
    path = shutil.which("ninja") or (str(beside) if beside.is_file() else None)
    return Finding("ninja", path or "not found", path is not None, f'Run: "{sys.executable}" -m pip install ninja')


def _kernels() -> Finding:
    remedy = "They are built once, at the first run (from a checkout also ahead: python3 dev.py doctor --build)."
    if importlib.util.find_spec("gsplat") and importlib.util.find_spec("gsplat.csrc"):
        return Finding("CUDA kernels", "came with gsplat", True)
    from torch.utils.cpp_extension import _get_build_directory

    try:
        folder = Path(_get_build_directory(EXTENSION_NAME, verbose=False))
    except OSError:
        return Finding("CUDA kernels", "not built", False, remedy)
    built = [*folder.glob(f"{EXTENSION_NAME}*.so"), *folder.glob(f"{EXTENSION_NAME}*.pyd")]
    return Finding("CUDA kernels", str(built[0]) if built else "not built", bool(built), remedy)
