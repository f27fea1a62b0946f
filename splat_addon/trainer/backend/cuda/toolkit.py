"""What compiles CUDA sources on this machine: NVIDIA's compiler, a C++ compiler, and ninja.

*Set Up Trainer* installs NVIDIA's compiler beside PyTorch (nvidia-cuda-nvcc), of the version that PyTorch was built
with; a toolkit of the system serves as well when its major version is the same.
"""

import functools
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from ....environment.requirements import read_card_needs
from ....environment.toolkits import compiler_in, system_toolkits, version_in

_EXE = ".exe" if sys.platform == "win32" else ""
MEMORY_OF_A_COMPILER = int(2.5 * 2**30)  # bytes that one nvcc takes


@dataclass(frozen=True)
class Toolkit:
    """NVIDIA's compiler in its folder `home`; `version` as it says itself, (0, 0) when it does not start."""

    home: Path
    version: tuple[int, int]

    @property
    def fits(self) -> bool:
        """Whether what it compiles works with this PyTorch."""
        return str(self.version[0]) == wanted_cuda().partition(".")[0]


def wanted_cuda() -> str:
    """The version of CUDA of this PyTorch or, where it was built without, of the one that cards need."""
    return torch.version.cuda or ".".join(map(str, read_card_needs().cuda))


@functools.cache
def find_toolkit() -> Toolkit | None:
    """The first that fits this PyTorch: of this environment, of CUDA_HOME, on PATH, where NVIDIA installs it; if none
    fits, the first that is there; None if there is none."""
    own = own_cuda_folder()
    homes = [*([own] if own and compiler_in(own).is_file() else []), *system_toolkits()]
    found = [Toolkit(home, version_in(home)) for home in homes]
    return next((toolkit for toolkit in found if toolkit.fits), found[0] if found else None)


def own_cuda_folder() -> Path | None:
    """Where pip puts what NVIDIA publishes for this PyTorch's version of CUDA."""
    spec = importlib.util.find_spec("nvidia")
    for place in spec.submodule_search_locations or () if spec else ():
        folder = Path(place) / f"cu{wanted_cuda().partition('.')[0]}"
        if folder.is_dir():
            return folder
    return None


def find_ninja() -> str | None:
    """Ninja, beside this Python or on PATH."""
    beside = Path(sys.executable).parent / f"ninja{_EXE}"
    return str(beside) if beside.is_file() else shutil.which("ninja")


def compilers_at_once() -> int:
    """How many compilers this machine's memory and processors can have side by side."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        memory = 8 * 2**30
    return max(1, min(os.cpu_count() or 1, memory // MEMORY_OF_A_COMPILER))
