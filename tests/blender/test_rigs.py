"""Rigs of cameras, which cameras are captured at which frames, and which are held out."""

import math

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Vector

from support.cube_scene import add_camera, add_cube, prepare, select


def rig_cameras() -> list[bpy.types.Object]:
    return list(bpy.context.scene.splat.capture.collection.objects)


def places() -> np.ndarray:
    bpy.context.view_layer.update()
    return np.array([item.matrix_world.translation for item in rig_cameras()])


def looks() -> np.ndarray:
    bpy.context.view_layer.update()
    return np.array([-item.matrix_world.col[2].xyz for item in rig_cameras()])


@pytest.mark.parametrize("kind", ["ORBIT", "DOME", "SPHERE"])
def test_a_rig_stands_around_its_target_and_sees_all_of_it(extension, kind):
    cube = add_cube(2.0)
    cube.location = (3, 1, 0.5)
    select(cube)
    assert bpy.ops.splat.add_camera_rig(kind=kind, count=20, rings=2) == {"FINISHED"}
    found = places()
    assert len(found) == 20 and len({item.data for item in rig_cameras()}) == 1, "one lens for the rig"
    distances = np.linalg.norm(found - (3, 1, 0.5), axis=1)
    assert np.ptp(distances) < 1e-4
    assert np.abs(np.sum(looks() * ((3, 1, 0.5) - found), axis=1) / distances - 1).max() < 1e-6
    camera_from_object = extension.module("splat_addon.scene.cameras.conversion").camera_from_object
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 800, 600  # what the capture renders
    corners = np.array([cube.matrix_world @ Vector(corner) for corner in cube.bound_box])
    for item in rig_cameras():
        pixels, _ = camera_from_object(item, scene).project(corners)
        assert (pixels >= 0).all() and (pixels <= (800, 600)).all()
    assert scene.splat.capture.source == "COLLECTION", "ready to capture"


def test_orbits_have_rings_at_their_heights():
    select(add_cube())
    bpy.ops.splat.add_camera_rig(
        kind="ORBIT", count=30, rings=3, lowest=0.0, highest=math.radians(60), use_auto_radius=False, radius=4.0
    )
    heights = np.degrees(np.arcsin(places()[:, 2] / 4.0))
    values, counts = np.unique(np.round(heights, 3), return_counts=True)
    assert np.allclose(values, (0, 30, 60), atol=1e-3)
    assert counts.sum() == 30 and counts[0] > counts[1] > counts[2], "shorter rings have fewer"


def test_a_sphere_covers_all_directions_evenly(extension):
    directions = extension.module("splat_addon.scene.cameras.rigs").spiral_directions(200, -0.98, 0.98)
    nearest = np.degrees(np.arccos(np.clip(np.sort(directions @ directions.T, axis=1)[:, -2], -1, 1)))
    even_deg = math.degrees(math.sqrt(4 * math.pi / 200))
    assert nearest.min() > 0.5 * even_deg and nearest.max() < 1.2 * even_deg
    assert np.abs(directions.mean(axis=0)).max() < 0.02


def test_jitter_displaces_by_its_seed_and_still_aims():
    select(add_cube())
    settings = {"kind": "DOME", "count": 12, "jitter": 0.2, "use_auto_radius": False, "radius": 5.0}
    found = []
    for seed in (1, 1, 2):
        bpy.ops.splat.add_camera_rig(**settings, seed=seed)
        found.append(places())
    assert np.array_equal(found[0], found[1]) and not np.allclose(found[0], found[2])
    aims = -found[2] / np.linalg.norm(found[2], axis=1, keepdims=True)
    assert np.abs(np.sum(looks() * aims, axis=1) - 1).max() < 1e-6


def test_cameras_look_at_an_object_or_outward():
    select(add_cube())
    target = bpy.data.objects.new("Bird", None)
    target.location = (0, 0, 9)
    bpy.context.scene.collection.objects.link(target)
    bpy.context.view_layer.update()
    bpy.ops.splat.add_camera_rig(kind="ORBIT", count=4, aim="OBJECT", aim_object="Bird")
    aims = np.array([0, 0, 9]) - places()
    assert np.abs(np.sum(looks() * aims, axis=1) / np.linalg.norm(aims, axis=1) - 1).max() < 1e-6
    bpy.ops.splat.add_camera_rig(kind="ORBIT", count=4, aim="OUTWARD")
    assert (np.sum(looks() * places(), axis=1) > 0).all()
    with pytest.raises(RuntimeError, match="The cameras have no object to look at"):
        bpy.ops.splat.add_camera_rig(kind="ORBIT", count=4, aim="OBJECT", aim_object="Nobody")


@pytest.mark.parametrize("cyclic", [False, True])
def test_cameras_go_along_a_curve_at_equal_steps(cyclic):
    data = bpy.data.curves.new("Way", "CURVE")
    data.dimensions, data.bevel_depth = "3D", 0.2
    spline = data.splines.new("POLY")
    spline.points.add(3)
    for point, corner in zip(spline.points, ((0, 0), (4, 0), (4, 4), (0, 4)), strict=True):
        point.co = (*corner, 1.0, 1.0)
    spline.use_cyclic_u = cyclic
    way = bpy.data.objects.new("Way", data)
    way.matrix_world = Matrix.Translation((10, 0, 0))
    bpy.context.scene.collection.objects.link(way)
    bpy.context.view_layer.update()
    count = 8 if cyclic else 7
    curves = len(bpy.data.curves)
    bpy.ops.splat.add_camera_rig(kind="PATH", curve="Way", count=count, aim="AHEAD", target="VISIBLE")
    steps = np.linalg.norm(np.diff(places(), axis=0), axis=1)
    assert np.allclose(steps, 2.0, atol=1e-5) and np.allclose(places()[0], (10, 0, 1), atol=1e-5)
    assert np.allclose(places()[-1], (10, 2, 1) if cyclic else (10, 4, 1), atol=1e-5)
    assert np.allclose(looks()[0], (1, 0, 0), atol=1e-6)
    assert len(bpy.data.curves) == curves and data.bevel_depth == pytest.approx(0.2)


def test_a_rig_around_nothing_is_refused():
    select()
    with pytest.raises(RuntimeError, match=r"There is nothing for the cameras to stand around\. Select objects"):
        bpy.ops.splat.add_camera_rig(kind="DOME", target="SELECTION")
    with pytest.raises(RuntimeError, match="No curve was chosen to go along"):
        bpy.ops.splat.add_camera_rig(kind="PATH", curve="")
    assert not bpy.data.cameras and "Dome" not in bpy.data.collections


def test_frames_of_an_animated_camera_are_captured(extension, tmp_path):
    """The camera moves, zooms, and a marker switches to another one."""
    scene = prepare(tmp_path / "c", source="FRAMES", first_frame=1, last_frame=21, frame_step=10)
    eye, other = add_camera("Eye"), add_camera("Other", distance=6.0)
    scene.camera = eye
    for frame, height, lens in ((1, 0.0, 40.0), (21, 2.0, 80.0)):
        eye.location.z, eye.data.lens = height, lens
        eye.keyframe_insert("location", frame=frame)
        eye.data.keyframe_insert("lens", frame=frame)
    scene.timeline_markers.new("a", frame=1).camera = eye
    scene.timeline_markers.new("b", frame=15).camera = other
    scene.frame_set(7)
    select(bpy.data.objects["Cube"])
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    views = {
        view.name: view.camera
        for view in extension.module("splat_addon.capture.capture").open_capture(tmp_path / "c").views
    }
    assert sorted(views) == ["Eye_0001", "Eye_0011", "Other_0021"]
    assert views["Eye_0001"].fx == pytest.approx(40 / 36 * 32, rel=1e-6)
    assert views["Eye_0011"].fx == pytest.approx(60 / 36 * 32, rel=1e-5)
    assert np.allclose(views["Eye_0011"].position, (0, -4, 1), atol=1e-5)
    assert np.allclose(views["Other_0021"].position, (0, -6, 0), atol=1e-5)
    assert scene.frame_current == 7, "the artist's frame stays"


def test_things_that_move_during_a_frame_range_are_named(extension, tmp_path):
    scene = prepare(tmp_path / "c", source="FRAMES", first_frame=1, last_frame=2, frame_step=1)
    scene.camera = add_camera("Eye")
    cube = bpy.data.objects["Cube"]
    for frame in (1, 2):
        cube.location.x = 0.1 * frame
        cube.keyframe_insert("location", frame=frame)
    select(cube)
    with pytest.raises(RuntimeError, match="'Cube' is animated, and was moved without a keyframe: insert one"):
        bpy.ops.splat.capture_scene()
    scene.frame_set(1)  # and it is where its keyframe has it
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    said = extension.module("splat_addon.scene.tasks.live_render").current().warnings
    assert any(text.startswith("While the images are made, 'Cube' moved: splats hold still.") for text in said)


def test_a_collection_with_hidden_cameras_and_all_cameras_are_captured(extension, tmp_path):
    scene = prepare(tmp_path / "c", source="COLLECTION")
    inner = bpy.data.collections.new("Rig")
    scene.collection.children.link(inner)
    for name in ("A", "B"):
        item = add_camera(name)
        scene.collection.objects.unlink(item)
        inner.objects.link(item)
    add_camera("C")
    bpy.context.view_layer.layer_collection.children["Rig"].hide_viewport = True
    scene.splat.capture.collection = inner
    names = []
    for source in ("COLLECTION", "ALL"):
        scene.splat.capture.source = source
        select(bpy.data.objects["Cube"])
        assert bpy.ops.splat.capture_scene() == {"FINISHED"}
        views = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "c").views
        names.append([view.name for view in views])
        assert all(np.allclose(view.camera.position, (0, -4, 0), atol=1e-5) for view in views)
    assert names == [["A", "B"], ["A", "B", "C"]]


def test_marked_cameras_are_held_out_instead_of_every_eighth(extension, tmp_path):
    scene = prepare(tmp_path / "c", source="ALL")
    cameras = [add_camera(name) for name in "ABC"]
    select(cameras[1])
    assert bpy.ops.splat.mark_held_out() == {"FINISHED"}
    select(bpy.data.objects["Cube"])
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    open_capture = extension.module("splat_addon.capture.capture").open_capture
    assert [view.is_held_out for view in open_capture(tmp_path / "c", 8).views] == [False, True, False]
    select(*cameras)
    bpy.ops.splat.mark_held_out(is_held_out=False)
    select(bpy.data.objects["Cube"])
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    assert [view.is_held_out for view in open_capture(tmp_path / "c", 8).views] == [True, False, False]
    select(*cameras)
    bpy.ops.splat.mark_held_out()
    select(bpy.data.objects["Cube"])
    with pytest.raises(RuntimeError, match=r"All 3 views are marked as held out: none is left to train on\. Clear"):
        bpy.ops.splat.capture_scene()
    assert scene.splat.capture.source == "ALL"


def test_marks_survive_a_new_dome(tmp_path, extension):
    scene = prepare(tmp_path / "c")
    rigs = extension.module("splat_addon.scene.cameras.rigs")
    targets = np.array([[0.0, 0, 0], [1, 1, 1]])
    rigs.make_dome(scene, targets, 5, 50.0, 0.0)[3].splat.is_held_out = True
    marked = [item.name for item in rigs.make_dome(scene, targets, 8, 50.0, 0.0) if item.splat.is_held_out]
    assert marked == ["Splat 003"]
