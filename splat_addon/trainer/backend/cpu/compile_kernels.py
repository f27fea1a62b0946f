"""Compiling the kernels: each share of them in a process of its own, at the same time, or here where that fails.

`python -m splat_addon.trainer.backend.cpu.compile_kernels MODULE …` prints the kernels of these modules, as
`packed` makes them. What comes back is as if compiled here; only numba and its memory stay outside.
"""

import base64
import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .kernels.declare import SHARES, declared

TIME_LIMIT_S = 300.0  # a process that takes longer is given up; a share takes some five seconds
_LIBRARY_CALLS = {"memset", "memcpy", "memmove"}  # all that kernels may ask of their surroundings


def compile_shares() -> list[dict]:
    """All kernels, each with its object code, in the order of the shares."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = [_start(share) if available > 1 else None for share in SHARES]
    try:
        compiled = [_result(worker) for worker in workers]
    finally:
        for worker in filter(None, workers):
            with worker:  # closes its pipe and waits
                worker.kill()  # nothing where it has ended
    index: list[dict] = []
    for share, entries in zip(SHARES, compiled, strict=True):
        index += compile_here(share) if entries is None else entries
    return index


def compile_here(modules: Sequence[str]) -> list[dict]:
    """The kernels of some modules, compiled in this process."""
    import llvmlite.binding as llvm

    machine = target_machine(llvm)
    return [
        {"name": name, "symbol": symbol, "arguments": arguments, "code": object_code(llvm, machine, symbol, text)}
        for name, symbol, arguments, text in optimized(modules)
    ]


def optimized(modules: Sequence[str]) -> Iterator[tuple[str, str, list[str], str]]:
    """The kernels of some modules as numba leaves them to LLVM: name, symbol, arguments, LLVM's text."""
    import numba

    for module_name in modules:
        kernels = importlib.import_module(f".kernels.{module_name}", __package__)
        for name, function in declared.items():
            if function.__module__ != kernels.__name__:
                continue
            arguments = list(function.__annotations__.values())
            compiled = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(
                function
            )
            compiled.compile(tuple(_numba_type(numba.types, kind) for kind in arguments))
            (result,) = compiled.overloads.values()
            yield name, result.fndesc.llvm_func_name, arguments, result.library.get_llvm_str()


def object_code(llvm, machine, symbol: str, text: str) -> bytes:
    """A kernel for a machine, of which nothing but the kernel itself can be seen or replaced from outside.

    Numba lets each helper that is not inlined be replaced by another object's; some loaders then find none at all.
    """
    module = llvm.parse_assembly(text)
    outside = {f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")}
    assert outside <= _LIBRARY_CALLS, f"{symbol} calls {sorted(outside)}"
    for function in module.functions:
        if not function.is_declaration and function.name != symbol:
            function.linkage = "internal"
    return machine.emit_object(module)


def _numba_type(types, kind: str):
    return types.CPointer(getattr(types, kind[:-1])) if kind.endswith("*") else getattr(types, kind)


def _command(share: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", __name__, *share]


def _start(share: Sequence[str]) -> subprocess.Popen | None:
    """A process that compiles a share, with this one's import path; None where none can be started."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    try:
        return subprocess.Popen(
            _command(share),
            stdin=subprocess.DEVNULL,  # this one's carries the user's commands
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent,  # Python before 3.11 imports from there first: not from a stranger's run
            env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, ValueError, TypeError):
        return None


def _result(worker: subprocess.Popen | None) -> list[dict] | None:
    """The kernels that a process has compiled; None where it has failed."""
    if worker is None:
        return None
    try:
        output, _ = worker.communicate(timeout=TIME_LIMIT_S)
        return unpacked(output) if worker.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def packed(index: list[dict]) -> bytes:
    """Kernels as one line of JSON, which `unpacked` reads."""
    entries = [{**entry, "code": base64.b64encode(entry["code"]).decode()} for entry in index]
    text = json.dumps(entries)
    return json.dumps([hashlib.sha256(text.encode()).hexdigest(), text]).encode()


def unpacked(line: bytes) -> list[dict]:
    """The kernels of `packed`. Raises ValueError when they are not whole."""
    try:
        digest, text = json.loads(line)
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise ValueError("the digest is another one")
        return [{**entry, "code": base64.b64decode(entry["code"])} for entry in json.loads(text)]
    except (AttributeError, TypeError, KeyError) as error:
        raise ValueError("these are no kernels") from error


def target_machine(llvm):
    """This processor, as LLVM compiles for it and loads for it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return machine_of(llvm, llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


def machine_of(llvm, triple: str, cpu: str, features: str = ""):
    """A processor with an operating system's conventions.

    On Windows the code model `jitdefault` alone makes llvmlite emit ELF, which LLVM's loader needs (object_symbols.py).
    """
    target = llvm.Target.from_triple(triple)
    return target.create_target_machine(
        opt=3,
        cpu=cpu,
        features=features,
        reloc="static" if target.name.startswith("x86") else "default",
        codemodel="jitdefault",
        jit=True,
    )


def main(modules: Sequence[str]) -> None:
    """Compile, and print the kernels; whatever else is printed goes to the log."""
    wire = os.dup(1)
    os.dup2(2, 1)
    compiled = packed(compile_here(modules))
    try:
        with os.fdopen(wire, "wb") as results:
            results.write(compiled)
    except OSError:  # a closed pipe: the trainer that wanted them was killed meanwhile
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
