"""gsplat's CUDA kernels: built once for a card, kept, and loaded without any compiler.

gsplat 1.5.3 builds its kernels when they are first called, and refuses those that are built as soon as no compiler is
found. Here only the kernels that training calls are built, in a process of their own (build.py), into a folder of this
environment; what is there is loaded as `gsplat.csrc`, which gsplat takes for its own.
"""

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import torch

from ....errors import SetupError
from ....files import is_disk_full, remove_file, written_aside
from ....run.children.child import clean_environment
from ....run.lock import RunLock
from ..cpu.kernel_cache import not_ours, root_of_user
from . import toolkit

GSPLAT_VERSION = "1.5.3"
EXTENSION_NAME = "gsplat_cuda"
CHANNELS = (3, 4)  # that training blends: colors, and colors with depth
FUNCTIONS = (  # of gsplat's compiled module that training calls
    "projection_ewa_3dgs_fused_fwd", "projection_ewa_3dgs_fused_bwd", "intersect_tile", "intersect_offset",
    "rasterize_to_pixels_3dgs_fwd", "rasterize_to_pixels_3dgs_bwd",
    "spherical_harmonics_fwd", "spherical_harmonics_bwd",
)  # fmt: skip
ROOM_GB = 2  # more than a build takes
_PACKAGE_ROOT = Path(__file__).resolve().parents[4]
_OTHERWISE = "Run Set Up Trainer again, or set Device to CPU."


def folder() -> Path:
    """Where the kernels for exactly this gsplat, PyTorch and Python are kept: in this environment, so that they go with
    it; in the user's cache where it is the system's own Python."""
    versions = (
        GSPLAT_VERSION,
        torch.__version__,
        torch.version.cuda,
        importlib.machinery.EXTENSION_SUFFIXES[0],
        CHANNELS,
        FUNCTIONS,
    )
    name = f"torch-{torch.__version__}-{hashlib.sha256(repr(versions).encode()).hexdigest()[:8]}"
    is_own = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
    return (Path(sys.prefix) if is_own else root_of_user().parent) / "gsplat_kernels" / name


def library() -> Path:
    """The file of the compiled module."""
    return folder() / f"{EXTENSION_NAME}{'.pyd' if sys.platform == 'win32' else '.so'}"


def architectures() -> list[str]:
    """What the kernels that are there were built for, such as "8.6"; [] when none are whole, or others than this user
    could have written them."""
    try:
        if not library().is_file() or not_ours(folder(), library().name) is not None:
            return []
        found = json.loads((folder() / "about.json").read_text(encoding="utf-8"))["architectures"]
        return [entry for entry in found if isinstance(entry, str) and re.fullmatch(r"\d+\.\d+", entry)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def runs_on(built_for: Sequence[str], capability: tuple[int, int]) -> bool:
    """Whether a card executes what was built: code for a compute capability runs on those of the same major version
    that are not lower."""
    pairs = [tuple(map(int, architecture.split("."))) for architecture in built_for]
    return any(major == capability[0] and minor <= capability[1] for major, minor in pairs)


def came_with_gsplat() -> bool:
    """Whether gsplat was installed with its kernels."""
    return importlib.util.find_spec("gsplat") is not None and importlib.util.find_spec("gsplat.csrc") is not None


def load() -> None:
    """Make gsplat use the kernels that are there. Raises SetupError when they do not load."""
    try:
        import gsplat
    except ImportError as error:
        raise SetupError(f"gsplat does not start ({error}).", _OTHERWISE) from error

    if getattr(gsplat, "csrc", None) is None and not came_with_gsplat():
        gsplat.csrc = _imported(library())
    from gsplat.cuda import _backend

    if _backend._C is None:
        raise SetupError("gsplat does not take its CUDA kernels.", _OTHERWISE)


def _imported(path: Path) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader(EXTENSION_NAME, str(path))
    spec = importlib.machinery.ModuleSpec(EXTENSION_NAME, loader, origin=str(path))
    try:
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        raise SetupError(
            f"The CUDA kernels in {path.parent} do not load ({str(error).splitlines()[0]}).",
            "Remove that folder and start again, so that they are built anew, or set Device to CPU.",
        ) from error
    return module


def build(wanted: Sequence[str], announce: Callable[[str], None]) -> float:
    """Build the kernels for compute capabilities such as "8.6", and return the seconds that took. What an interrupted
    build has left is gone on with.

    `announce` is told how far it is. Raises SetupError, with the compiler's words in `build.log`.
    """
    place = folder()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = RunLock.take(place / "building")
        if lock is None:
            raise SetupError("Another process is building the CUDA kernels.", "Wait until it is done.")
        try:
            return _build_in(place, wanted, announce)
        finally:
            lock.release()
    except OSError as error:
        if is_disk_full(error):
            raise _disk_full(place) from error
        reason = f"{error.filename or place}: {error.strerror or error}"
        remedy = "Make that folder yours and writable, or set Device to CPU."
        raise SetupError(f"The CUDA kernels cannot be built ({reason}).", remedy) from error


def _build_in(place: Path, wanted: Sequence[str], announce: Callable[[str], None]) -> float:
    began = time.monotonic()
    for left_over in ("lock", "about.json"):  # earlier PyTorches wait forever for the lock of a build that was killed
        remove_file(place / left_over)
    every = sorted({*wanted}, key=lambda architecture: tuple(map(int, architecture.split("."))))
    _compile(place, every, announce)
    seconds = time.monotonic() - began
    with written_aside(place / "about.json") as aside:
        aside.write_text(json.dumps({"architectures": every, "seconds": round(seconds, 1)}), encoding="utf-8")
    return seconds


def _compile(place: Path, wanted: Sequence[str], announce: Callable[[str], None]) -> None:
    """Run build.py, with its output in `build.log`, as far as the disk takes it."""
    log_file = place / "build.log"
    command = [sys.executable, "-P", "-u", "-m", __package__, "--compile", str(place)]
    said: list[str] = []
    with open(log_file, "wb", buffering=0) as log:
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # it ends with its compilers when this is closed, also because this process is gone
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(wanted),
            cwd=place,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert worker.stdin is not None and worker.stdout is not None
        try:
            for raw in worker.stdout:
                with contextlib.suppress(OSError):
                    log.write(raw)
                said.append(raw.decode(errors="replace"))
                if step := re.match(r"\[(\d+)/(\d+)\]", said[-1]):
                    announce(f"building CUDA kernels once: {step[1]} of {step[2]} files")
            code = worker.wait()
        finally:
            worker.stdin.close()
            worker.wait()
    if code != 0 or not library().is_file():
        raise failure("".join(said), log_file)


def _environment(wanted: Sequence[str]) -> dict[str, str]:
    """What PyTorch's builder looks for: ninja on PATH, the toolkit, the cards, how many compilers at once."""
    found = toolkit.find_toolkit()
    beside = str(Path(sys.executable).parent)
    own = {
        "PATH": os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": str(_PACKAGE_ROOT),
        "TORCH_CUDA_ARCH_LIST": ";".join(wanted),
        "MAX_JOBS": os.environ.get("MAX_JOBS") or str(toolkit.compilers_at_once()),
    }
    return {**clean_environment(), **own, **({"CUDA_HOME": str(found.home)} if found else {})}


def failure(log: str, log_file: Path) -> SetupError:
    """Why a build did not succeed, in one sentence."""
    is_windows = sys.platform == "win32"
    if re.search(r"No space left on device|There is not enough space on the disk|Errno 28\b", log):
        return _disk_full(log_file.parent)
    if re.search(r"[Kk]illed|out of memory|Cannot allocate memory|compiler is out of heap space", log):
        return SetupError("The memory did not suffice to build CUDA kernels.", "Close other programs and start again.")
    if re.search(r"unsupported (GNU|clang|Microsoft Visual Studio) version|is greater than the maximum required", log):
        remedy = "Install an older C++ compiler, one that this version of CUDA knows, and set CXX to it."
        if is_windows:
            remedy = "Install the Build Tools of Visual Studio 2022, and start from their x64 Native Tools prompt."
        return SetupError("The C++ compiler is newer than NVIDIA's compiler accepts.", remedy)
    if re.search(r"is less than the minimum required version", log):
        remedy = "Install a newer C++ compiler, and set CXX to it."
        return SetupError("The C++ compiler is older than NVIDIA's compiler accepts.", remedy)
    if re.search(r"vcvarsall|Microsoft Visual C\+\+ \d+\.\d+ or greater is required", log):
        remedy = "Install the Visual Studio Build Tools with C++, and start again."
        return SetupError("The C++ compiler of Visual Studio was not found.", remedy)
    errors = [
        line.strip() for line in log.splitlines() if re.search(r"\b(fatal|error|\w+Error)\b", line, re.IGNORECASE)
    ]
    reason = errors[0][:160] if errors else "the compiler ended without a message"
    return SetupError(
        f"gsplat's CUDA kernels could not be built ({reason}).",
        f"See {log_file} for the compiler's messages, or set Device to CPU.",
    )


def _disk_full(place: Path) -> SetupError:
    places = dict.fromkeys((str(place), tempfile.gettempdir()))
    return SetupError(
        "The disk became full while CUDA kernels were built.",
        f"Free {ROOM_GB} GB in {' and in '.join(places)}, and start again.",
    )
