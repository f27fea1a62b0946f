"""Blender cameras and capture cameras agree to a hundredth of a pixel; what cannot be expressed is refused."""

import itertools
import math

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

FITS = ["AUTO", "HORIZONTAL", "VERTICAL"]
SHIFTS = [(0.0, 0.0), (0.13, -0.21)]
ASPECTS = [(1.0, 1.0), (2.0, 1.0), (1.0, 1.5)]


def add_camera(name: str = "Camera") -> bpy.types.Object:
    item = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    bpy.context.scene.collection.objects.link(item)
    item.matrix_world = Matrix.Translation((4, -5, 3)) @ Euler((1.1, 0.1, 0.7)).to_matrix().to_4x4()
    item.data.lens, item.data.sensor_width, item.data.sensor_height = 35.0, 36.0, 24.0
    return item


@pytest.mark.parametrize(("fit", "shift", "aspect"), [*itertools.product(FITS[:2], SHIFTS, ASPECTS)])
def test_a_capture_camera_applied_to_blender_is_read_back_the_same(extension, fit, shift, aspect):
    cameras = extension.module("splat_addon.scene.cameras.conversion")
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
        extension.module("splat_addon.scene.cameras.conversion").camera_from_object(item, bpy.context.scene)


def test_a_sheared_camera_is_refused_by_name(extension):
    item = add_camera("Bent")
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.scale = (1, 3, 1)
    item.parent = parent
    bpy.context.view_layer.update()
    errors = extension.module("splat_addon.errors")
    with pytest.raises(errors.CameraError, match="The camera 'Bent' is sheared by the scale of its parents"):
        extension.module("splat_addon.scene.cameras.conversion").camera_from_object(item, bpy.context.scene)


def test_a_dome_keeps_its_targets_in_every_view_and_fills_one(extension):
    cameras, rigs = (extension.module(f"splat_addon.scene.{name}") for name in ("cameras.conversion", "cameras.rigs"))
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 320, 200
    targets = np.random.default_rng(0).uniform((1, 2, 0), (3, 5, 1), size=(500, 3))
    dome = rigs.make_dome(scene, targets, count=30, lens_mm=50.0, lowest_deg=5.0)
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
    rigs = extension.module("splat_addon.scene.cameras.rigs")
    targets = np.array([[0.0, 0, 0], [1, 1, 1]])
    for count in (12, 5):
        rigs.make_dome(bpy.context.scene, targets, count=count, lens_mm=50.0, lowest_deg=0.0)
    assert len([item for item in bpy.context.scene.objects if item.type == "CAMERA"]) == 5
    assert len(bpy.data.cameras) == 1, "one lens for all"


def test_every_eighth_camera_of_a_dome_is_spread_over_it_too(extension):
    directions = extension.module("splat_addon.scene.cameras.rigs").dome_directions(64, 0.0)
    held_out = directions[::8]
    nearest = np.sort(held_out @ held_out.T, axis=1)[:, -2]
    assert math.degrees(np.arccos(nearest.max())) > 25, "no two held-out cameras stand side by side"


def test_a_camera_named_like_a_device_of_windows_gives_a_file_that_windows_can_hold(extension):
    names = extension.module("splat_addon.scene.cameras.shots").distinct_names
    assert names(["Aux", "aux", "COM¹", "Nul.001", "Camera.001", "Cámara 1"]) == [
        "Aux_", "aux__2", "COM¹_", "Nul_001", "Camera_001", "Cámara_1"]  # fmt: skip
