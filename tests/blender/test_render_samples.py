"""Set Up Render for Splats sets as many samples as splats need, says what they cost, and gives the artist's back."""

import bpy
import numpy as np
import pytest

from support import ewa, splat_renders
from support.cube_scene import add_cube
from support.recording_layout import drawn, texts
from support.splat_renders import Stage


@pytest.fixture
def stage(extension, tmp_path):
    splat_renders.use_cycles()
    stage = Stage(extension, bpy.context.scene, tmp_path)
    stage.add(stage.random_cloud(40))
    splat_renders.add_camera(stage.scene, (3, -3, 2), size=(40, 30))
    stage.scene.render.engine = "CYCLES"
    stage.scene.cycles.samples, stage.scene.eevee.taa_render_samples = 4096, 640
    return stage


def test_samples_that_splats_do_not_need_go_and_come_back(extension, stage, capfd):
    scene = stage.scene
    panel = extension.module("panels.splats").SPLAT_PT_render
    settings = extension.module("splat_addon.scene.splats.render_setup")
    assert "Cycles Samples 4096 (64 times the time)" in settings.differences(scene)
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    assert (scene.cycles.samples, scene.eevee.taa_render_samples) == (64, 64)
    said = "".join(capfd.readouterr())
    assert "Cycles Samples 4096 → 64 (1/64 of the time)" in said
    assert "EEVEE Samples 640 → 64 (1/10 of the time)" in said
    assert "Cycles Samples" not in texts(drawn(panel, bpy.context)), "nothing is missing any more"
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}, "twice keeps what was there at first"
    assert bpy.ops.splat.put_back_render() == {"FINISHED"}
    assert (scene.cycles.samples, scene.eevee.taa_render_samples) == (4096, 640)


def test_the_samples_that_are_set_show_what_many_more_do(stage):
    scene = stage.scene
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    scene.cycles.use_adaptive_sampling = False
    pictures = {}
    for count in (4, scene.cycles.samples, 512):
        scene.cycles.samples = count
        linear = splat_renders.render(scene, stage.folder)[..., :3]
        pictures[count] = ewa.encode(np.clip(linear, 0, None))
    assert ewa.psnr_db(pictures[64], pictures[512]) > 40
    assert ewa.psnr_db(pictures[4], pictures[512]) < ewa.psnr_db(pictures[64], pictures[512]) - 8


def set_cube_beside(scene):
    add_cube()


def blur_by_motion(scene):
    scene.render.use_motion_blur = True


def blur_by_depth(scene):
    scene.camera.data.dof.use_dof = True


@pytest.mark.parametrize(
    ("change", "reason"),
    [(set_cube_beside, "'Cube'"), (blur_by_motion, "motion blur"), (blur_by_depth, "depth of field")],
)
def test_samples_that_something_else_needs_stay_and_their_cost_is_said(stage, capfd, change, reason):
    change(stage.scene)
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    assert (stage.scene.cycles.samples, stage.scene.eevee.taa_render_samples) == (4096, 640)
    wanted = f"Cycles Samples stay 4096 for {reason}: splats need 64, which takes 1/64 of the time."
    assert wanted in "".join(capfd.readouterr())


def test_few_samples_are_not_raised_for_quads(stage):
    stage.scene.cycles.samples = 16
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    assert stage.scene.cycles.samples == 16
