"""A machine without the trainer's environment: one command makes it, and the sample scene is trained with it.

It downloads PyTorch, so it runs only when SPLAT_TEST_SETUP is set.
"""

import os

import bpy
import pytest


@pytest.mark.skipif("SPLAT_TEST_SETUP" not in os.environ, reason="downloads PyTorch; set SPLAT_TEST_SETUP=1 to run it")
def test_the_set_up_ends_with_a_trained_sample_scene(extension, empty_file, tmp_path):
    bpy.context.preferences.system.use_online_access = True
    command = extension.module("operators.command_line").main
    folder, capture, run = tmp_path / "env", tmp_path / "capture", tmp_path / "run"
    assert command(["setup", str(folder)]) == 0
    chosen = bpy.context.preferences.addons[extension.name].preferences
    assert chosen.trainer_python.startswith(str(folder))
    size = ["--resolution", "48", "36", "--samples", "2", "--cameras", "9", "--seeds", "1500"]
    assert command(["capture", "--sample-scene", "--folder", str(capture), *size]) == 0
    assert command(["train", str(capture), "--run", str(run), "--iterations", "60"]) == 0
    assert (run / "splats.ply").is_file()
    assert command(["setup", str(folder)]) == 0, "a second time it is there already"
