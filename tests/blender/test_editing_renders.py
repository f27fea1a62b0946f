"""The same camera sees the same picture in Cycles before and after an edit."""

import bpy
import numpy as np
import pytest

from support.editing import make_active
from support.splat_renders import Stage, add_camera, use_cycles

LEAST_DB = 70.0


@pytest.fixture
def stage(extension, tmp_path):
    use_cycles()
    scene = bpy.context.scene
    add_camera(scene, (0.0, -6.0, 1.5))
    return Stage(extension, scene, tmp_path)


def assert_same_picture(found: np.ndarray, expected: np.ndarray) -> None:
    assert expected[..., 3].max() > 0.3, "something is to be seen"
    error = ((np.clip(found, 0, 1) - np.clip(expected, 0, 1)) ** 2).mean()
    assert -10 * np.log10(max(error, 1e-30)) >= LEAST_DB


def place(item, turn) -> None:
    item.rotation_euler, item.scale, item.location = turn, (0.8,) * 3, (0.3, 0.2, -0.1)
    bpy.context.view_layer.update()


def test_apply(stage):
    item = stage.add(stage.random_cloud())
    place(item, (0.4, -0.9, 2.0))
    make_active(item)
    before = stage.render()
    bpy.ops.splat.apply_transform()
    assert_same_picture(stage.render(), before)


def test_join(stage):
    one, other = stage.add(stage.random_cloud(30)), stage.add(stage.random_cloud(30, seed=4, degree=1), "Other")
    place(one, (0.1, 0.2, 0.3)), place(other, (1, -2, 0.5))
    other.location = (0.2, 3, 0.4)  # Cycles sees them one behind the other either way
    make_active(one, other)
    before = stage.render()
    bpy.ops.splat.join()
    assert_same_picture(stage.render(), before)


def test_mirror(stage):
    item = stage.add(stage.random_cloud())
    place(item, (0.4, -0.9, 2.0))
    make_active(item)
    before = stage.render()
    bpy.ops.splat.mirror(axis="X", space="WORLD")
    assert_same_picture(stage.render()[:, ::-1], before)


def test_repair(stage):
    item = stage.add(stage.random_cloud())
    place(item, (0.4, -0.9, 2.0))
    make_active(item)
    before = stage.render()
    bpy.ops.object.transform_apply()
    bpy.context.view_layer.update()
    bpy.ops.splat.repair()
    assert_same_picture(stage.render(), before)
