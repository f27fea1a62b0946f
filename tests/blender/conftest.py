"""Blender for the tests in this folder: the extension enabled once, an empty file for every test."""

import sys

import pytest

from support import extension as support

if support.HAS_BLENDER:
    support.use_temporary_resources()  # test modules import bpy when they are collected: too early for a fixture


def pytest_pycollect_makemodule(module_path, parent):
    """Skip the modules of this folder, visibly, where Blender is missing."""
    return None if support.HAS_BLENDER else support.skipped_module(module_path, parent)


@pytest.fixture(scope="session")
def extension():
    """The checkout, enabled in Blender as a user's extension is."""
    name = support.enable_extension()
    assert "torch" not in sys.modules, "enabling the extension imported torch into Blender"
    yield support.Extension(name)
    support.disable_extension()


@pytest.fixture(autouse=True)
def empty_file(extension):
    """An empty factory file before each test. (read_factory_settings would disable the extension.)"""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


@pytest.fixture(scope="session")
def trainer_python():
    """The Python of the trainer's environment, which has PyTorch."""
    path = support.trainer_python()
    if path is None:
        pytest.skip("SPLAT_TRAINER_PYTHON does not name a Python with PyTorch (python3 dev.py test sets it)")
    return path


@pytest.fixture(scope="session")
def graphics():
    """The graphics card, or the processor in its place. Blender 5.2 and newer can have it without a window."""
    import gpu

    if not hasattr(gpu, "init"):
        pytest.skip("this Blender cannot draw without a window (gpu.init came with 5.2)")
    try:
        gpu.init()
    except Exception as error:
        pytest.skip(f"no OpenGL on this machine: {error}")
    return gpu
