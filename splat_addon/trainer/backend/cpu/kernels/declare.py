"""How kernels are declared, and what they are compiled for; nothing here imports a compiler before it is needed.

A kernel is a Python function on numbers and memory addresses that returns nothing. Its arguments are annotated with
the names below.
"""

import os
from collections.abc import Callable

# The annotations of a kernel's arguments.
INT, REAL, FLOAT = "int64", "float64", "float32"
INTS, INTS32, BITS32, FLOATS, DOUBLES = "int64*", "int32*", "uint32*", "float32*", "float64*"

# Modules with kernels, in two shares that take about as long to compile.
SHARES = (
    ("project", "project_backward"),
    ("bin", "blend", "blend_backward", "evidence", "places", "photometric", "adam", "over"),
)
KERNEL_MODULES = tuple(name for share in SHARES for name in share)

LANES_VARIABLE = "SPLAT_KERNEL_LANES"  # an environment variable: 8 or 16, whatever the processor

declared: dict[str, Callable] = {}  # kernels by name, as far as their modules are imported


def kernel(function: Callable) -> Callable:
    """Declare a kernel."""
    declared[function.__name__] = function
    return function


def inner(function: Callable) -> Callable:
    """Declare a function that kernels are made of, for other compiled functions alone.

    The entries for Python and C that numba adds otherwise take a fifth of the time to compile.
    """
    import numba

    return numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def wide_lanes() -> int:
    """How many floats a wide vector has: 16 where there are registers of 512 bits (AVX-512), 8 elsewhere."""
    chosen = os.environ.get(LANES_VARIABLE)
    if chosen in ("8", "16"):
        return int(chosen)
    import llvmlite.binding as llvm

    return 16 if llvm.get_host_cpu_features().get("avx512f") else 8
