"""Compiled kernels: how they are kept and called.

Numba compiles what kernels/declare.py calls a kernel (compile_kernels.py, in processes of their own), and what is kept
is the object code. Loading that takes llvmlite alone: no numba is imported here, which saves half a second and 70 MB.
The folder is outside the package, and its name holds a hash of all sources, of the versions and of the processor: an
edited kernel, helper or constant finds an empty folder instead of stale code. All code is in one file, moved into place
whole: two trainers that start at once do no harm.
"""

import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import os
import platform
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from ....errors import SetupError
from ....files import is_link, move_into_place, remove_file
from .compile_kernels import compile_shares, packed, target_machine, unpacked
from .kernels.declare import BITS32, DOUBLES, FLOAT, FLOATS, INT, INTS, INTS32, KERNEL_MODULES, REAL, wide_lanes
from .object_symbols import outside_symbols

CACHE_VARIABLE = "SPLAT_KERNEL_CACHE"  # an environment variable: the folder to keep compiled kernels in
_OTHER_SOURCES = (
    "declare", "layout", "lanes/simd", "lanes/simd_math", "lanes/blocks", "harmonics", "srgb",
    "../../../../gaussians/srgb", "../../../../gaussians/rules", "../kernel_cache", "../compile_kernels",
    "../object_symbols", "../../../../errors", "../../../../files",
)  # fmt: skip

_CTYPES = {INT: ctypes.c_int64, REAL: ctypes.c_double, FLOAT: ctypes.c_float}
_DTYPES = {
    INTS: torch.int64, INTS32: torch.int32, BITS32: torch.int32, FLOATS: torch.float32, DOUBLES: torch.float64,
}  # fmt: skip

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

_lock = threading.Lock()


@functools.cache
def cache_folder() -> Path:
    """Where the object code of exactly these sources for exactly this machine is kept."""
    return _cache_root() / _key()


def _key() -> str:
    """What object code depends on, as it is now."""
    import llvmlite.binding as llvm

    digest = hashlib.sha256()
    for name in (*KERNEL_MODULES, *_OTHER_SOURCES):
        digest.update(name.encode() + (Path(__file__).parent / "kernels" / f"{name}.py").read_bytes())
    versions = *(importlib.metadata.version(name) for name in ("numba", "llvmlite")), sys.version, platform.machine()
    target = llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    digest.update(repr((versions, target, wide_lanes())).encode())
    return digest.hexdigest()[:24]


def spare_folders() -> list[Path]:
    """Where object code is kept if `cache_folder` cannot be written, or could be by others than this user."""
    roots = own_roots() if os.environ.get(CACHE_VARIABLE) else own_roots()[1:]
    return [root / cache_folder().name for root in roots]


def own_roots() -> list[Path]:
    """The folders for object code that the add-on makes for itself."""
    roots = [root_of_user()]
    if hasattr(os, "getuid"):
        roots.append(Path(tempfile.gettempdir()) / f"splat_training-{os.getuid()}")
    return roots


def _cache_root() -> Path:
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else root_of_user()


def root_of_user() -> Path:
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "splat_training" / "kernels"


_loaded: list[SimpleNamespace] = []


def kernels(on_compile: Callable[[], None] | None = None) -> SimpleNamespace:
    """All kernels, ready to be called, by name; the first time from the cache, or else compiled.

    `on_compile` is called before compiling, which takes seconds and happens once for each version of the kernels.
    """
    with _lock:
        if not _loaded:
            folders = [cache_folder(), *spare_folders()]
            index = next(filter(None, map(_read, folders)), None)
            if index is None:
                if on_compile is not None:
                    on_compile()
                key = _key()
                index = compile_shares()
                if _key() == key:  # an update may have come in between
                    any(_keep(folder, index) for folder in folders)
            _loaded.append(_load(index))
    return _loaded[0]


def _read(folder: Path) -> list[dict] | None:
    """What the cache holds: every kernel with its object code; None if anything is missing, damaged, or could have
    been written by somebody else."""
    try:
        strange = not_ours(folder)
        if strange is not None:
            print(
                f"{strange} can be written by others than you, so the compiled kernels in it are not run. Choose a"
                f" folder of your own with {CACHE_VARIABLE}; until then they are kept elsewhere.",
                file=sys.stderr,
            )
            return None
        return unpacked((folder / "kernels.json").read_bytes())
    except (OSError, ValueError):
        return None


def not_ours(folder: Path, name: str = "kernels.json") -> Path | None:
    """What of a folder and its file `name` others could have written: object code is run as it is. None: nothing, or
    nothing is there.

    POSIX: the code and its folder must belong to this user, and be writable by nobody else. The folder around it, in
    which both could be replaced by a rename, must belong to this user or to the system, and others may write there only
    if, as in /tmp, nobody can rename what is not theirs. Windows protects what lies in a user's profile, and nothing is
    asked there.
    """
    if not hasattr(os, "getuid"):
        return None
    for path, is_kind in ((folder, stat.S_ISDIR), (folder / name, stat.S_ISREG)):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return None
        is_open = found.st_mode & _OTHERS_WRITE
        if not is_kind(found.st_mode) or found.st_uid != os.getuid() or is_open:
            return path
        if path == folder and not _is_guarded(folder.parent):
            return folder.parent
    return None


def _is_guarded(folder: Path) -> bool:
    """Whether nobody but this user and the system can replace what this user has in a folder."""
    link, found = os.lstat(folder), os.stat(folder)
    is_open = found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX
    return {link.st_uid, found.st_uid} <= {0, os.getuid()} and not is_open


def _keep(folder: Path, index: list[dict]) -> bool:
    """Write the cache, aside and then into place; whether that was possible. If not, it costs time at the next start,
    no more."""
    aside = None
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        for strange in (folder, folder.parent):  # the add-on's own, where new folders are open to others
            is_own = strange == folder or strange in own_roots()
            if not_ours(folder) == strange and is_own and not is_link(strange):
                os.chmod(strange, 0o700)  # refused where it belongs to somebody else
        if not_ours(folder) in (folder, folder.parent):
            return False
        handle, name = tempfile.mkstemp(dir=folder)
        aside = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(packed(index))
        move_into_place(aside, folder / "kernels.json")
        return True
    except OSError:
        if aside is not None:
            with contextlib.suppress(OSError):
                remove_file(aside)
        return False


def _load(index: list[dict]) -> SimpleNamespace:
    """Link object code into this process. Raises SetupError when something that it calls is not there."""
    import llvmlite.binding as llvm

    machine = target_machine(llvm)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)  # from here on LLVM knows this process
    for entry in index:
        for symbol in sorted(outside_symbols(entry["code"])):
            _provide(llvm, symbol)
        engine.add_object_file(llvm.ObjectFileRef.from_data(entry["code"]))
    engine.finalize_object()
    loaded = SimpleNamespace(engine=engine)
    for entry in index:
        address = engine.get_function_address(entry["symbol"])
        setattr(loaded, entry["name"], Kernel(entry["name"], address, entry["arguments"]))
    return loaded


def _provide(llvm, symbol: str) -> None:
    """Make sure that LLVM finds what object code calls; otherwise it ends the process, or calls address 0."""
    name = symbol.removeprefix("_") if sys.platform == "darwin" else symbol
    if llvm.address_of_symbol(name):
        return
    address = _address_in_ntdll(name) if sys.platform == "win32" else None
    if not address:
        raise SetupError(
            f"The kernels for this processor call {name}, which this system does not have.",
            "Install the trainer again, or train on another device.",
        )
    llvm.add_symbol(name, address)


def _address_in_ntdll(name: str) -> int | None:
    """Where Windows itself has a function: `__chkstk`, which large frames call, `memset` and its like."""
    try:
        return ctypes.cast(getattr(ctypes.CDLL("ntdll"), name), ctypes.c_void_p).value
    except (OSError, AttributeError):
        return None


class Kernel:
    """A compiled function. Called with numbers and contiguous tensors; it runs without the interpreter's lock."""

    def __init__(self, name: str, address: int, arguments: list[str]):
        if not address:
            raise ValueError(f"{name} has no address")
        self.name = name
        self._dtypes = [_DTYPES.get(kind) for kind in arguments]
        # Numba's calling convention: places for a result and an exception, of which kernels have none, come first.
        kinds: list[Any] = [_CTYPES.get(kind, ctypes.c_void_p) for kind in arguments]
        self._function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *kinds)(address)
        self._places = (ctypes.c_void_p * 2)()

    def __call__(self, *arguments) -> None:
        values = []
        for argument, dtype in zip(arguments, self._dtypes, strict=True):
            if dtype is None:
                values.append(argument)
            elif argument.dtype is dtype and argument.is_contiguous() and argument.is_cpu:
                values.append(argument.data_ptr())
            else:
                raise TypeError(f"{self.name} needs contiguous {dtype} on the CPU, not a {argument.type()}")
        places = ctypes.addressof(self._places)
        self._function(places, places + 8, *values)
