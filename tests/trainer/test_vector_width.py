"""Kernels are compiled for eight lanes or sixteen; what this processor would not choose is right as well."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from splat_addon.trainer.backend.cpu import kernel_cache
from splat_addon.trainer.backend.cpu.kernels.declare import LANES_VARIABLE, wide_lanes

HERE = Path(__file__).parent


def test_the_processor_decides_unless_it_is_told(monkeypatch):
    import llvmlite.binding as llvm

    monkeypatch.delenv(LANES_VARIABLE, raising=False)
    for has_wide_registers, lanes in ((True, 16), (False, 8)):
        monkeypatch.setattr(llvm, "get_host_cpu_features", lambda has=has_wide_registers: {"avx512f": has})
        assert wide_lanes() == lanes
    monkeypatch.setenv(LANES_VARIABLE, "16")
    assert wide_lanes() == 16
    monkeypatch.setenv(LANES_VARIABLE, "many")
    assert wide_lanes() == 8


def test_each_width_has_a_cache_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv(kernel_cache.CACHE_VARIABLE, str(tmp_path))
    folders = set()
    for lanes in ("8", "16"):
        monkeypatch.setenv(LANES_VARIABLE, lanes)
        folders.add(kernel_cache.cache_folder.__wrapped__())
    assert len(folders) == 2


@pytest.mark.skipif(LANES_VARIABLE in os.environ, reason="this is the run with a width that was asked for")
@pytest.mark.parametrize("test_file", ["test_cpu_rasterizer.py", "test_cpu_loss.py"])
def test_the_other_width_passes_the_same_tests(test_file):
    other = {8: "16", 16: "8"}[wide_lanes()]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / test_file)],
        env={**os.environ, LANES_VARIABLE: other},
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    assert " passed" in run.stdout
