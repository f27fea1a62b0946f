"""Splats at one depth, as flat walls and quantized files have them: the trainer lays the first of them on top."""

import bpy
import numpy as np
import pytest

from support import ewa, splat_renders

TURNS = {"down": (0, 0, 0), "north": (np.pi / 2, 0, 0), "east": (np.pi / 2, 0, -np.pi / 2)}


@pytest.fixture
def stage(extension, tmp_path):
    splat_renders.use_cycles()
    return splat_renders.Stage(extension, bpy.context.scene, tmp_path)


def wall(stage, normal: int, count=200, depths=1):
    """Splats in `depths` planes across an axis, in no order."""
    random = np.random.default_rng(0)
    means = random.uniform(-1, 1, (count, 3))
    means[:, normal] = 0.25 * random.integers(0, depths, count)
    return stage.random_cloud(
        count,
        degree=0,
        means=means,
        log_scales=np.full((count, 3), -2.0),
        logit_opacities=np.full(count, 1.5),
        sh=random.normal(0, 1, (count, 1, 3)),
    )


@pytest.mark.parametrize("depths", [1, 4])
@pytest.mark.parametrize("view", TURNS)
def test_walls_seen_head_on_look_as_trained(stage, view, depths):
    camera = splat_renders.add_camera(stage.scene, (0, 0, 4), size=(60, 45))
    camera.rotation_euler = TURNS[view]
    axis = np.array(camera.rotation_euler.to_matrix())[:, 2]
    camera.location = 4 * axis
    bpy.context.view_layer.update()
    cloud = wall(stage, int(np.abs(axis).argmax()), depths=depths)
    stage.add(cloud)
    true, reverse = (ewa.render(c, stage.camera()) for c in (cloud, cloud.select(np.arange(200)[::-1])))
    seen = stage.render("DISPLAY")
    assert ewa.psnr_db(seen[..., :3], true[..., :3]) > 60 and ewa.psnr_db(reverse[..., :3], true[..., :3]) < 25


@pytest.mark.parametrize("count", [1000, 60_000])
@pytest.mark.parametrize("is_perspective", [True, False])
def test_the_viewport_draws_the_first_of_equals_last(extension, count, is_perspective):
    order = extension.module("splat_addon.scene.viewport.order")
    depths = np.random.default_rng(1).integers(1, 50, count).astype(np.float32)
    places = order.far_to_near(depths, is_perspective=is_perspective)
    assert np.array_equal(places, np.lexsort((np.arange(count), depths))[::-1])
