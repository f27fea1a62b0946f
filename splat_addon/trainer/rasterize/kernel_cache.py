"""Compiled kernels: how they are declared, compiled, kept and called.

A kernel is a Python function on numbers and memory addresses; numba compiles it, and what is kept is the object code.
Loading that takes llvmlite alone: no numba is imported where nothing is to be compiled, which saves half a second and
70 MB. The folder is outside the package, and its name holds a hash of all sources, of the package's constants, of the
versions and of the processor: an edited kernel, helper or constant finds an empty folder instead of stale code.
"""

import ctypes
import functools
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

CACHE_VARIABLE = "SPLAT_KERNEL_CACHE"  # an environment variable: the folder to keep compiled kernels in
KERNEL_MODULES = (
    "project", "bin", "blend", "blend_backward", "project_backward", "photometric_kernel", "adam_kernel",
    "over_kernel",
)  # fmt: skip
_OTHER_SOURCES = (
    "layout", "simd", "simd_math", "harmonics_kernels", "srgb_kernels", "../../gaussians/srgb", "kernel_cache",
)  # fmt: skip
_LIBRARY_CALLS = {"memset", "memcpy", "memmove"}  # all that object code may ask of its surroundings

# The annotations of a kernel's arguments.
INT, REAL, FLOAT = "int64", "float64", "float32"
INTS, INTS32, BITS32, FLOATS, DOUBLES = "int64*", "int32*", "uint32*", "float32*", "float64*"
_CTYPES = {INT: ctypes.c_int64, REAL: ctypes.c_double, FLOAT: ctypes.c_float}
_DTYPES = {
    INTS: torch.int64, INTS32: torch.int32, BITS32: torch.int32, FLOATS: torch.float32, DOUBLES: torch.float64,
}  # fmt: skip

_declared: dict[str, Callable] = {}
_lock = threading.Lock()


def kernel(function: Callable) -> Callable:
    """Declare a kernel: its arguments are annotated with the names above, and it returns nothing."""
    _declared[function.__name__] = function
    return function


@functools.cache
def cache_folder() -> Path:
    """Where the object code of exactly these sources for exactly this machine is kept."""
    import llvmlite.binding as llvm

    digest = hashlib.sha256()
    for name in (*KERNEL_MODULES, *_OTHER_SOURCES):
        digest.update(name.encode() + (Path(__file__).parent / f"{name}.py").read_bytes())
    package = vars(sys.modules[__package__])
    digest.update(repr(sorted((name, value) for name, value in package.items() if name.isupper())).encode())
    versions = *(importlib.metadata.version(name) for name in ("numba", "llvmlite")), sys.version, platform.machine()
    target = llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    digest.update(repr((versions, target)).encode())
    return _cache_root() / digest.hexdigest()[:24]


def _cache_root() -> Path:
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
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
            index = _read_index(cache_folder())
            if index is None:
                if on_compile is not None:
                    on_compile()
                index = _compile(cache_folder())
            _loaded.append(_load(index))
    return _loaded[0]


def _read_index(folder: Path) -> list[dict] | None:
    """What the cache holds, each with its object code; None if anything is missing or damaged."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        for entry in index:
            entry["code"] = (folder / f"{entry['name']}.o").read_bytes()
            if hashlib.sha256(entry["code"]).hexdigest() != entry["digest"]:
                return None
    except (OSError, ValueError):
        return None
    return index


def _compile(folder: Path) -> list[dict]:
    """Compile all kernels and keep them, if the folder can be written; all files are there before the index is."""
    import llvmlite.binding as llvm
    import numba

    for name in KERNEL_MODULES:
        importlib.import_module(f".{name}", __package__)
    machine = _target_machine(llvm)
    index = []
    for name, function in _declared.items():
        arguments = list(function.__annotations__.values())
        compiled = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
        compiled.compile(tuple(_numba_type(numba.types, kind) for kind in arguments))
        (result,) = compiled.overloads.values()
        module = llvm.parse_assembly(result.library.get_llvm_str())
        outside = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
        assert outside <= _LIBRARY_CALLS, f"{name} calls {sorted(outside)}"
        code = machine.emit_object(module)
        digest = hashlib.sha256(code).hexdigest()
        symbol = result.fndesc.llvm_func_name
        index.append({"name": name, "symbol": symbol, "arguments": arguments, "digest": digest, "code": code})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in index:
            _write(folder / f"{entry['name']}.o", entry["code"])
        described = [{key: value for key, value in entry.items() if key != "code"} for entry in index]
        _write(folder / "index.json", json.dumps(described).encode())
    except OSError:
        pass  # a cache that cannot be written costs time at the next start, and nothing else
    return index


def _numba_type(types, kind: str):
    return types.CPointer(getattr(types, kind[:-1])) if kind.endswith("*") else getattr(types, kind)


def _write(path: Path, content: bytes) -> None:
    """Write aside and replace, since two processes may compile at the same time."""
    handle, aside = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(aside, path)


def _target_machine(llvm):
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    return target.create_target_machine(
        opt=3,
        cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
        reloc="static" if target.name.startswith("x86") else "default",
        codemodel="jitdefault",
        jit=True,
    )


def _load(index: list[dict]) -> SimpleNamespace:
    """Link object code into this process."""
    import llvmlite.binding as llvm

    machine = _target_machine(llvm)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    for entry in index:
        engine.add_object_file(llvm.ObjectFileRef.from_data(entry["code"]))
    engine.finalize_object()
    loaded = SimpleNamespace(engine=engine)
    for entry in index:
        address = engine.get_function_address(entry["symbol"])
        setattr(loaded, entry["name"], Kernel(entry["name"], address, entry["arguments"]))
    return loaded


class Kernel:
    """A compiled function. Called with numbers and contiguous tensors; it runs without the interpreter's lock."""

    def __init__(self, name: str, address: int, arguments: list[str]):
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
