"""Blender cameras and capture cameras agree to a hundredth of a pixel; what cannot be expressed is refused."""

import itertools
import math

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector

RESOLUTIONS = [(320, 200, 100), (200, 320, 100), (640, 400, 50), (300, 300, 100)]
FITS = ["AUTO", "HORIZONTAL", "VERTICAL"]
SHIFTS = [(0.0, 0.0), (0.13, -0.21)]
ASPECTS = [(1.0, 1.0), (2.0, 1.0), (1.0, 1.5)]


def add_camera(name: str = "Camera") -> bpy.types.Object:
    item = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    bpy.context.scene.collection.objects.link(item)
    item.matrix_world = Matrix.Translation((4, -5, 3)) @ Euler((1.1, 0.1, 0.7)).to_matrix().to_4x4()
    item.data.lens, item.data.sensor_width, item.data.sensor_height = 35.0, 36.0, 24.0
    return item


def worst_error_px(extension, item: bpy.types.Object) -> float:
    """The largest distance between the exported camera's pixels and Blender's own for points in view."""
    scene = bpy.context.scene
    bpy.context.view_layer.update()
    camera = extension.module("splat_addon.scene.cameras").camera_from_object(item, scene)
    points = np.random.default_rng(0).uniform(-1.5, 1.5, size=(200, 3))
    pixels, _ = camera.project(points)
    expected = np.array([world_to_camera_view(scene, item, Vector(point)) for point in points])
    places = np.stack([expected[:, 0] * camera.width, (1 - expected[:, 1]) * camera.height], axis=1)
    return float(np.linalg.norm(pixels - places, axis=1).max())


@pytest.mark.parametrize(("fit", "shift", "aspect"), [*itertools.product(FITS, SHIFTS, ASPECTS)])
def test_exported_cameras_see_what_blender_sees(extension, fit, shift, aspect):
    item = add_camera()
    render = bpy.context.scene.render
    item.data.sensor_fit, item.data.shift_x, item.data.shift_y = fit, *shift
    render.pixel_aspect_x, render.pixel_aspect_y = aspect
    for render.resolution_x, render.resolution_y, render.resolution_percentage in RESOLUTIONS:
        assert worst_error_px(extension, item) <= 0.01


def test_parents_constraints_and_scale_move_the_camera_but_not_its_lens(extension):
    item = add_camera()
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.matrix_world = Matrix.Translation((1, 2, 0)) @ Matrix.Rotation(0.5, 4, "Z") @ Matrix.Scale(1.7, 4)
    item.parent = parent
    target = bpy.data.objects.new("Target", None)
    bpy.context.scene.collection.objects.link(target)
    constraint = item.constraints.new("TRACK_TO")
    constraint.target, constraint.track_axis, constraint.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"
    assert worst_error_px(extension, item) <= 0.01


def test_the_frame_of_an_animated_camera_counts(extension):
    item = add_camera()
    for frame, lens in ((1, 30.0), (11, 80.0)):
        item.data.lens = lens
        item.data.keyframe_insert("lens", frame=frame)
    bpy.context.scene.frame_set(6)
    assert worst_error_px(extension, item) <= 0.01
    camera = extension.module("splat_addon.scene.cameras").camera_from_object(item, bpy.context.scene)
    assert 30 < camera.fx * 36 / camera.width < 80


@pytest.mark.parametrize(("fit", "shift", "aspect"), [*itertools.product(FITS[:2], SHIFTS, ASPECTS)])
def test_a_capture_camera_applied_to_blender_is_read_back_the_same(extension, fit, shift, aspect):
    cameras = extension.module("splat_addon.scene.cameras")
    item, other = add_camera(), add_camera("Other")
    scene = bpy.context.scene
    item.data.sensor_fit, item.data.shift_x, item.data.shift_y = fit, *shift
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect
    scene.render.resolution_x, scene.render.resolution_y = 330, 200
    bpy.context.view_layer.update()
    camera = cameras.camera_from_object(item, scene)
    cameras.apply_camera(other, camera, scene.render)
    bpy.context.view_layer.update()
    again = cameras.camera_from_object(other, scene)
    numbers = ("width", "height", "fx", "fy", "cx", "cy")
    assert np.allclose([getattr(again, n) for n in numbers], [getattr(camera, n) for n in numbers], atol=1e-3)
    assert np.abs(again.camera_from_world - camera.camera_from_world).max() < 1e-5


@pytest.mark.parametrize(("kind", "word"), [("PANO", "panoramic"), ("ORTHO", "orthographic")])
def test_other_kinds_of_camera_are_refused_by_name(extension, kind, word):
    item = add_camera("Fancy")
    item.data.type = kind
    errors = extension.module("splat_addon.errors")
    with pytest.raises(errors.CameraError, match=rf"The camera 'Fancy' is {word}.*Set its Lens Type to Perspective"):
        extension.module("splat_addon.scene.cameras").camera_from_object(item, bpy.context.scene)


def test_a_sheared_camera_is_refused_by_name(extension):
    item = add_camera("Bent")
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.scale = (1, 3, 1)
    item.parent = parent
    bpy.context.view_layer.update()
    errors = extension.module("splat_addon.errors")
    with pytest.raises(errors.CameraError, match="The camera 'Bent' is sheared by the scale of its parents"):
        extension.module("splat_addon.scene.cameras").camera_from_object(item, bpy.context.scene)


def test_a_dome_keeps_its_targets_in_every_view_and_fills_one(extension):
    cameras = extension.module("splat_addon.scene.cameras")
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 320, 200
    targets = np.random.default_rng(0).uniform((1, 2, 0), (3, 5, 1), size=(500, 3))
    dome = cameras.make_dome(scene, targets, count=30, lens_mm=50.0, lowest_deg=5.0)
    bpy.context.view_layer.update()
    fill = []
    for item in dome:
        camera = cameras.camera_from_object(item, scene)
        pixels, depths = camera.project(targets)
        assert depths.min() > 0
        assert (pixels >= 0).all() and (pixels <= (320, 200)).all()
        fill.append(np.ptp(pixels, axis=0) / (320, 200))
        assert item.matrix_world.translation.z > targets[:, 2].min()
    assert np.max(fill) > 0.85, "the dome stands no farther away than it must"


def test_a_second_dome_replaces_the_first(extension):
    cameras = extension.module("splat_addon.scene.cameras")
    targets = np.array([[0.0, 0, 0], [1, 1, 1]])
    for count in (12, 5):
        cameras.make_dome(bpy.context.scene, targets, count=count, lens_mm=50.0, lowest_deg=0.0)
    assert len([item for item in bpy.context.scene.objects if item.type == "CAMERA"]) == 5
    assert len(bpy.data.cameras) == 5


def test_every_eighth_camera_of_a_dome_is_spread_over_it_too(extension):
    directions = extension.module("splat_addon.scene.cameras").dome_directions(64, 0.0)
    held_out = directions[::8]
    nearest = np.sort(held_out @ held_out.T, axis=1)[:, -2]
    assert math.degrees(np.arccos(nearest.max())) > 25, "no two held-out cameras stand side by side"
