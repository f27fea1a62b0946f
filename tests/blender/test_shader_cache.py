"""Tests and benchmarks that draw must not harm the Blender that the developer has open."""

import os
import subprocess
import sys

import bpy
import pytest

LENGTH = 3 << 20  # of an index of some other version of Mesa, in bytes


@pytest.mark.skipif(bpy.app.version < (5, 2), reason="this Blender draws only with a window: gpu.init() came with 5.2")
def test_drawing_leaves_the_shader_cache_of_an_open_blender_alone(tmp_path):
    """Mesa keeps the index of its cache mapped. Cut short by another version, it kills whoever has it open."""
    index = tmp_path / "mesa_shader_cache" / "index"
    index.parent.mkdir()
    index.write_bytes(bytes(LENGTH))

    def length_after_drawing(environment: dict[str, str]) -> int:
        command = [sys.executable, "-c", "import bpy, gpu; gpu.init()"]
        subprocess.run(command, env={**environment, "XDG_CACHE_HOME": str(tmp_path)}, capture_output=True, check=False)
        return index.stat().st_size

    assert length_after_drawing(dict(os.environ)) == LENGTH
    exposed = {name: value for name, value in os.environ.items() if name != "MESA_SHADER_CACHE_DIR"}
    if length_after_drawing(exposed) == LENGTH:
        pytest.skip("the graphics driver of this machine shares no such index")
