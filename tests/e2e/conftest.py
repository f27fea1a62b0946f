"""What ships, for the tests in this folder: the built zip, installed and enabled as a user does it.

`python3 dev.py test` runs this folder in a process of its own: the zip and the checkout are the same extension, and
Blender holds only one of them at a time.
"""

import sys

import pytest

import dev
from support import extension as support

if support.HAS_BLENDER:
    support.use_temporary_resources()  # test modules import bpy when they are collected: too early for a fixture


def pytest_pycollect_makemodule(module_path, parent):
    """Skip the modules of this folder, visibly, where Blender is missing."""
    return None if support.HAS_BLENDER else support.skipped_module(module_path, parent)


@pytest.fixture(scope="session")
def built_zip(tmp_path_factory):
    """The extension's zip, built from the checkout and validated by Blender's own tool."""
    return dev.build_zip(sys.executable, tmp_path_factory.mktemp("zip"))


@pytest.fixture(scope="session")
def extension(built_zip):
    """The zip, installed in Blender's default repository and enabled."""
    import bpy

    if support.EXTENSION in bpy.context.preferences.addons:
        pytest.skip("the checkout is enabled in this process: run tests/e2e on its own")
    bpy.ops.preferences.addon_enable(module="bl_pkg")
    bpy.ops.extensions.package_install_files(filepath=str(built_zip), repo="user_default", enable_on_install=True)
    name = "bl_ext.user_default.splat_training"
    assert name in bpy.context.preferences.addons, "installing the zip did not enable the extension"
    assert "torch" not in sys.modules, "enabling the extension imported torch into Blender"
    yield support.Extension(name)
    bpy.ops.preferences.addon_disable(module=name)


@pytest.fixture
def empty_file(extension):
    """An empty factory file with the extension enabled."""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


@pytest.fixture(scope="session")
def trainer_python():
    """The Python of the trainer's environment, which has PyTorch."""
    path = support.trainer_python()
    if path is None:
        pytest.skip("SPLAT_TRAINER_PYTHON does not name a Python with PyTorch (python3 dev.py test sets it)")
    return path
