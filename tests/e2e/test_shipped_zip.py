"""What users get: the built zip, installed, doing the main job and the way back."""

import time
import zipfile

import bpy
import numpy as np


def test_the_zip_holds_the_extension_and_nothing_else(built_zip):
    names = zipfile.ZipFile(built_zip).namelist()
    assert {"blender_manifest.toml", "__init__.py", "README.md", "LICENSE"} <= set(names)
    assert {name.split("/")[0] for name in names if "/" in name} == {"docs", "operators", "panels", "splat_addon"}
    assert "dev.py" not in names and not any(name.endswith((".pyc", ".so", ".whl")) for name in names)


def test_the_installed_extension_trains_and_round_trips(extension, empty_file, trainer_python, tmp_path):
    """Scene -> capture -> child -> splats in the scene -> export -> the same gaussians that training left."""
    preferences = bpy.context.preferences.addons[extension.name].preferences
    preferences.trainer_python = str(trainer_python)
    scene = bpy.context.scene
    assert bpy.ops.splat.add_sample_scene() == {"FINISHED"}
    chosen = scene.splat.capture
    chosen.folder, chosen.camera_count, chosen.seed_count = str(tmp_path / "capture"), 9, 2000
    chosen.width, chosen.height, chosen.samples, chosen.engine = 64, 48, 2, "CYCLES"
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    scene.splat.training.iterations = 20
    assert bpy.ops.splat.start_training() == {"FINISHED"}
    live_run = extension.module("splat_addon.scene.tasks.live_run")
    run, deadline = live_run.current(), time.monotonic() + 300
    while not run.is_over:
        assert time.monotonic() < deadline
        live_run.pump()
    assert run.state == "finished", run.message
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    assert bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply")) == {"FINISHED"}
    ply = extension.module("splat_addon.gaussians.formats.splat_ply")
    trained, exported = ply.read_splats(run.folder.splats_file), ply.read_splats(tmp_path / "out.ply")
    assert np.array_equal(exported.means, trained.means) and np.array_equal(exported.sh, trained.sh)
    assert np.allclose(exported.log_scales, trained.log_scales, atol=1e-5)
    assert np.allclose(exported.logit_opacities, trained.logit_opacities, atol=1e-4)
    assert bpy.ops.splat.review_view() == {"FINISHED"}
    shown = extension.module("splat_addon.scene.review.overlay").shown()
    assert (shown.photo.width, shown.photo.height) == (shown.trained.width, shown.trained.height) == (64, 48)
    assert bpy.ops.splat.save_report(wait=True) == {"FINISHED"} and run.folder.report_file.stat().st_size > 20_000
