"""How many floats one register of this processor holds: what kernels are compiled for."""

import os

LANES_VARIABLE = "SPLAT_KERNEL_LANES"  # an environment variable: 8 or 16, whatever the processor


def wide_lanes() -> int:
    """16 where there are registers of 512 bits (AVX-512), 8 elsewhere."""
    chosen = os.environ.get(LANES_VARIABLE)
    if chosen in ("8", "16"):
        return int(chosen)
    import llvmlite.binding as llvm

    return 16 if llvm.get_host_cpu_features().get("avx512f") else 8
