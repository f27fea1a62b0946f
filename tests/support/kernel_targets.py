"""The CPU kernels as they are compiled on other systems, and those of them that can be called on this one.

LLVM emits object code for every target, and its run-time loader takes ELF and Mach-O wherever it runs. Linux can
therefore call what is compiled for its processor, with the calling convention of any system. All of it is made from
the text that numba gives LLVM *here*: numba on those systems may vectorize in another way what is not written in lanes.

`python -m support.kernel_targets LANES FILE` writes that text for a width of vectors.
"""

import ctypes
import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from splat_addon.trainer.backend.cpu.compile_kernels import machine_of, object_code, optimized
from splat_addon.trainer.backend.cpu.kernel_cache import Kernel
from splat_addon.trainer.backend.cpu.kernels.declare import (
    FLOAT,
    INT,
    KERNEL_MODULES,
    LANES_VARIABLE,
    REAL,
)  # fmt: skip

from .source_tree import ROOT


class Target(NamedTuple):
    """A system and a processor, with what its object code may call, in the spelling of its symbols."""

    triple: str
    cpu: str
    lanes: int  # what `wide_lanes` gives there
    outside: frozenset[str]

    @property
    def can_be_called(self) -> bool:
        """Can this machine run the kernels? AVX-512 only where the processor has it."""
        import llvmlite.binding as llvm

        if sys.platform != "linux" or self.triple.partition("-")[0].replace("arm64", "aarch64") != platform.machine():
            return False
        needed = {"haswell": "avx2", "skylake-avx512": "avx512f"}.get(self.cpu)
        return needed is None or bool(llvm.get_host_cpu_features().get(needed))


# llvmlite appends "-elf" on Windows itself. `__chkstk` touches the stack's pages one by one; ntdll has it, and memset.
_WINDOWS, _INTEL_MAC = "x86_64-pc-windows-msvc-elf", "x86_64-apple-macosx12.0.0"
_OF_WINDOWS = frozenset({"memset", "__chkstk"})

TARGETS = {
    "windows-avx2": Target(_WINDOWS, "haswell", 8, _OF_WINDOWS),
    "windows-avx512": Target(_WINDOWS, "skylake-avx512", 16, _OF_WINDOWS),
    "windows-no-avx": Target(_WINDOWS, "x86-64-v2", 8, _OF_WINDOWS),
    "macos-intel": Target(_INTEL_MAC, "haswell", 8, frozenset({"___bzero"})),
    "macos-arm": Target("arm64-apple-macosx12.0.0", "apple-m1", 8, frozenset({"_bzero"})),
    "linux-arm": Target("aarch64-unknown-linux-gnu", "generic", 8, frozenset({"memset"})),
    "linux-avx2": Target("x86_64-unknown-linux-gnu", "haswell", 8, frozenset({"memset"})),  # to compare with
}


def texts_of(lanes: int, file: Path) -> subprocess.Popen:
    """A process that writes the kernels' text with vectors of so many lanes."""
    from dev import child_environment

    return subprocess.Popen(
        [sys.executable, "-m", __name__, str(lanes), str(file)],
        env=child_environment(ROOT, ROOT / "tests", **{LANES_VARIABLE: str(lanes)}),
    )


def compiled_for(target: Target, texts: list[list]) -> list[dict]:
    """The kernels for a target, as the cache keeps them, from what `texts_of` has written."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = machine_of(llvm, target.triple, target.cpu)
    header = f'target datalayout = "{machine.target_data}"\ntarget triple = "{target.triple}"\n'
    index = []
    for name, symbol, arguments, text in texts:
        text, replaced = re.subn(r'target datalayout = ".*"\ntarget triple = ".*"\n', header, text, count=1)
        assert replaced
        code = object_code(llvm, machine, symbol, text)
        index.append({"name": name, "symbol": symbol, "arguments": arguments, "code": code})
    return index


def load(target: Target, index: list[dict]) -> SimpleNamespace:
    """Kernels of another system that can be called here, as `kernel_cache.kernels` gives its own."""
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    own = _bridge(llvm, index) if target.triple == _WINDOWS else None
    if own is not None:
        llvm.add_symbol("memset", own.get_function_address("windows_memset"))
        llvm.add_symbol("__chkstk", own.get_function_address("windows_chkstk"))
    for name in ("_bzero", "___bzero"):  # macOS's memset with zeros
        llvm.add_symbol(name, ctypes.cast(ctypes.CDLL(None).bzero, ctypes.c_void_p).value)
    machine = machine_of(llvm, target.triple, target.cpu)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(f'target triple = "{target.triple}"'), machine)
    for entry in index:
        engine.add_object_file(llvm.ObjectFileRef.from_data(entry["code"]))
    engine.finalize_object()
    loaded = SimpleNamespace(engines=(engine, own))
    for entry in index:
        name, address = entry["name"], engine.get_function_address(entry["symbol"])
        assert address, f"{name} has no address"
        if own is not None:
            ctypes.c_void_p.from_address(own.get_global_value_address(f"at_{name}")).value = address
            address = own.get_function_address(f"call_{name}")
        setattr(loaded, name, Kernel(name, address, entry["arguments"]))
    return loaded


def _bridge(llvm, index: list[dict]):
    """This system's functions that call each kernel as Windows does, and those that Windows' kernels call."""
    lines = [
        "declare ptr @memset(ptr, i32, i64)",
        "define win64cc ptr @windows_memset(ptr %to, i32 %value, i64 %count) {",
        "  %to2 = call ptr @memset(ptr %to, i32 %value, i64 %count)",
        "  ret ptr %to2",
        "}",
        "define void @windows_chkstk() { ret void }",  # it keeps all registers, as one instruction does
    ]
    kinds = {INT: "i64", REAL: "double", FLOAT: "float"}
    for entry in index:
        types = ["ptr", "ptr", *(kinds.get(kind, "ptr") for kind in entry["arguments"])]
        arguments = ", ".join(f"{kind} %a{place}" for place, kind in enumerate(types))
        lines += [
            f"@at_{entry['name']} = global ptr null",
            f"define i32 @call_{entry['name']}({arguments}) {{",
            f"  %kernel = load ptr, ptr @at_{entry['name']}",
            f"  %result = call win64cc i32 %kernel({arguments})",
            "  ret i32 %result",
            "}",
        ]
    machine = machine_of(llvm, llvm.get_process_triple(), llvm.get_host_cpu_name())
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly("\n".join(lines)), machine)
    engine.finalize_object()
    return engine


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(list(optimized(KERNEL_MODULES))), encoding="utf-8")
