"""The loop without a window: the extension's own command, and operators that wait."""

import sys

import bpy
import numpy as np
import pytest


@pytest.fixture
def command(extension):
    return extension.module("operators.command_line").main


def test_the_whole_loop_from_the_command_line(extension, command, trainer_python, tmp_path, capsys):
    """Capture the sample scene, train it, bring the splats into a file, and write them for other tools."""
    capture, run, blend = tmp_path / "capture", tmp_path / "run", tmp_path / "scene.blend"
    size = ["--resolution", "48", "36", "--samples", "2", "--cameras", "9", "--seeds", "1500"]
    assert command(["capture", "--sample-scene", "--folder", str(capture), "--save", str(blend), *size]) == 0
    assert (capture / "transforms.json").is_file() and blend.is_file()
    options = ["--iterations", "30", "--device", "cpu", "--python", str(trainer_python)]
    assert command(["train", str(capture), "--run", str(run), *options]) == 0
    said = capsys.readouterr().out
    assert "Held-out at init only: PSNR" in said and "Held-out at step 30: PSNR" in said and "100 %" in said
    assert command(["import", str(run), "--blend", str(blend), "--save", str(tmp_path / "with.blend")]) == 0
    assert command(["export", str(tmp_path / "a.ply"), "--run", str(run)]) == 0
    assert command(["export", str(tmp_path / "b.ply"), "--blend", str(tmp_path / "with.blend")]) == 0
    ply = extension.module("splat_addon.gaussians.formats.splat_ply")
    one, two = ply.read_splats(tmp_path / "a.ply"), ply.read_splats(tmp_path / "b.ply")
    assert len(one) == len(two) > 0 and np.array_equal(one.means, two.means)
    for name, source in (("c.spz", ["--run", str(run)]), ("d.glb", ["--blend", str(tmp_path / "with.blend")])):
        assert command(["export", str(tmp_path / name), *source]) == 0
        found = extension.module("splat_addon.gaussians.formats.registry").read_splats(tmp_path / name)
        assert len(found) == len(one), name
    assert command(["train", "--resume", str(run), "--python", str(trainer_python)]) == 0, "nothing is left to do"


def test_scripts_can_wait_for_a_run(extension, trainer_python, tmp_path):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = str(trainer_python)
    (tmp_path / "empty").mkdir()
    bpy.context.scene.splat.capture.folder = str(tmp_path / "empty")
    with pytest.raises(RuntimeError, match="empty"):
        bpy.ops.splat.start_training(wait=True)
    chosen.trainer_python = ""
    assert not extension.module("splat_addon.scene.tasks.live_run").is_training(), "it had failed before it returned"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "the following arguments are required: COMMAND"),
        (["dance"], 2, "invalid choice: 'dance'"),
        (["train", "/nowhere", "--python", sys.executable], 1, "The capture folder /nowhere does not exist."),
        (["train", "--python", sys.executable], 1, "No capture was given."),
        (["train", "/tmp", "--iterations", "0", "--python", sys.executable], 1, "Iterations is 0. Choose a value"),
        (["train", "/tmp"], 1, "No trainer Python is set."),
        (["train", "--resume", "/nowhere", "--python", sys.executable], 1, "holds no training settings"),
        (["capture", "--blend", "/nowhere.blend"], 1, "/nowhere.blend does not exist."),
        (["capture", "--sample-scene"], 1, "Choose a capture folder first"),
        (["capture", "--objects", "Cube", "--folder", "/tmp/x"], 1, "The scene has no object 'Cube'."),
        (["import", "/nowhere", "--save", "/tmp/x.blend"], 1, "The run folder /nowhere is gone."),
        (["export", "/tmp/x.ply", "--run", "/nowhere"], 1, "/nowhere has no splats."),
        (["doctor"], 1, "The trainer Python (none) does not exist."),
        (["setup", "/tmp/x"], 1, "Allow Online Access in Preferences"),
    ],
)
def test_what_cannot_be_done_ends_in_a_sentence_and_an_exit_code(extension, command, capfd, arguments, code, sentence):
    bpy.context.preferences.addons[extension.name].preferences.trainer_python = ""
    bpy.context.preferences.system.use_online_access = False
    assert command(arguments) == code
    assert sentence in capfd.readouterr().err


def test_the_help_names_every_command(command, capsys):
    assert command(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(verb in said for verb in ("capture", "train", "import", "export", "setup", "doctor"))
    assert command(["train", "--help"]) == 0
    assert "--max-gaussians" in capsys.readouterr().out


def test_the_doctor_says_what_a_python_has(command, trainer_python, capsys):
    assert command(["doctor", "--python", str(trainer_python)]) == 0
    assert "ok      PyTorch" in capsys.readouterr().out
    assert command(["doctor", "--python", sys.executable]) == 1
    said = capsys.readouterr()
    assert "missing PyTorch" in said.out and "Cannot train: PyTorch" in said.err
