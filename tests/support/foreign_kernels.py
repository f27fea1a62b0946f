"""A pytest plugin (`-p support.foreign_kernels`): the tests call kernels that were compiled for another system."""

import os
from pathlib import Path

from splat_addon.trainer.backend.cpu import kernel_cache
from splat_addon.trainer.backend.cpu.compile_kernels import unpacked
from splat_addon.trainer.backend.cpu.kernels.declare import LANES_VARIABLE

from .kernel_targets import TARGETS, load

KERNELS_VARIABLE = "SPLAT_TEST_KERNELS"  # an environment variable: the file TARGET.json with the packed kernels
JUDGES = tuple(f"tests/trainer/test_cpu_{name}.py" for name in ("rasterizer", "loss", "adam"))


def pytest_configure() -> None:
    """Put them where the backend looks for those that it has loaded."""
    file = Path(os.environ[KERNELS_VARIABLE])
    target = TARGETS[file.stem]
    os.environ[LANES_VARIABLE] = str(target.lanes)
    kernel_cache._loaded[:] = [load(target, unpacked(file.read_bytes()))]
