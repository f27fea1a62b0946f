"""Blame in Blender: a click in a held-out view selects and lights its splats, and a splat names its photos."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix, Vector

from support.recording_layout import drawn, texts


@pytest.fixture
def reviewed(extension, tmp_path):
    """A red splat left and a green one right of a held-out view of three, with a blue one far off; the run's object."""
    camera = extension.module("splat_addon.capture.camera").Camera
    cameras = {}
    for index in range(3):
        pose = np.eye(4)
        pose[0, 3] = 0.1 * index
        cameras[f"images/v{index}.png"] = camera(64, 32, 60, 60, 32, 16, pose)
        save_image(tmp_path / "capture" / "images" / f"v{index}.png")
    transforms = extension.module("splat_addon.capture.formats.transforms")
    transforms.write_transforms(tmp_path / "capture" / "transforms.json", cameras, {"images/v0.png"}, None, {})
    config = extension.module("splat_addon.run.config").TrainConfig(capture=str(tmp_path / "capture"))
    folder = extension.module("splat_addon.run.folder").RunFolder.create(tmp_path / "run", config)
    events = extension.module("splat_addon.run.events")
    save_image(folder.renders_folder(5) / "v0.png")
    views = (events.ViewQuality("v0", 20.0, 0.5),)
    evaluated = events.Evaluated(5, 20.0, 0.5, 10, "held_out/step_000005", views)
    with open(folder.events_file, "a") as file:
        file.write(events.encode_event(evaluated) + "\n")
    cloud_module = extension.module("splat_addon.gaussians.cloud")
    means = np.array([[-1.0, 0, 4], [1.0, 0, 4], [50.0, 0, 4]])
    cloud = cloud_module.GaussianCloud(
        means, np.full((3, 3), np.log(0.2)), np.tile([1.0, 0, 0, 0], (3, 1)), np.full(3, 5.0), np.zeros((3, 1, 3))
    )
    item = extension.module("splat_addon.scene.splats.data").splats_to_object(
        cloud, "Run", bpy.context.scene.collection
    )
    item[extension.module("splat_addon.scene.runs.run_identity").RUN_KEY] = str(folder.path)
    bpy.context.view_layer.update()
    bpy.context.scene.splat.run_folder = str(folder.path)
    bpy.ops.splat.review_view()
    return item


def save_image(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new(path.stem, 64, 32)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def selected(extension, item):
    return extension.module("splat_addon.scene.inspection.choosing").selected(item.data).tolist()


def shares(item):
    values = np.empty(3, np.float32)
    item.data.attributes["blame_share"].data.foreach_get("value", values)
    return values.tolist()


@pytest.mark.parametrize("x, culprit", [((32 - 15) / 64, 0), ((32 + 15) / 64, 1)])
def test_a_click_selects_and_lights_what_is_drawn_there(extension, reviewed, x, culprit):
    assert bpy.ops.splat.blame(box=(x, 0.5, x, 0.5)) == {"FINISHED"}
    assert selected(extension, reviewed) == [number == culprit for number in range(3)]
    assert shares(reviewed) == [float(number == culprit) for number in range(3)]
    viewport = bpy.context.scene.splat.viewport
    assert (viewport.color_by, viewport.attribute) == ("ATTRIBUTE", "blame_share")
    told = texts(drawn(extension.module("panels.inspection.blame").SPLAT_PT_blame, bpy.context))
    assert f"splat {culprit}, at 4" in told and "It does not say which splats are wrong" in told


def test_images_that_cover_lit_splats_are_outlined_where_these_lie_and_the_panel_says_so(extension, reviewed):
    overlay = extension.module("splat_addon.scene.review.overlay")
    scene, panel = bpy.context.scene, extension.module("panels.inspection.blame").SPLAT_PT_blame
    assert overlay.outlines_over_images(scene) is None
    bpy.ops.splat.blame(box=(17 / 64, 0.5, 17 / 64, 0.5))
    assert (scene.splat.review.mode, scene.splat.review.opacity) == ("WIPE", 1)
    found = overlay.outlines_over_images(scene)
    assert found.places.shape == (1, 24, 2) and found.strengths.tolist() == [1]
    assert found.places[0].mean(axis=0) == pytest.approx((17 / 64, 0.5), abs=1e-3)  # 15 pixels left of the middle
    radius = np.sqrt(2 * np.log(2) * (3**2 + 0.3)) / 64  # where 0.2 units four units away are half as strong
    assert np.ptp(found.places[0, :, 0]) / 2 == pytest.approx(radius, rel=0.1)
    covered = "Choose None, or a lower Image Opacity"
    assert covered in texts(drawn(panel, bpy.context))
    scene.splat.review.opacity = 0.5
    assert overlay.outlines_over_images(scene) is not None and covered not in texts(drawn(panel, bpy.context))
    scene.splat.review.opacity, scene.splat.review.mode = 1, "NONE"
    assert overlay.outlines_over_images(scene) is None and covered not in texts(drawn(panel, bpy.context))
    scene.splat.review.mode, scene.splat.viewport.color_by = "PHOTO", "RADIANCE"
    assert overlay.outlines_over_images(scene) is None
    scene.splat.viewport.color_by = "ATTRIBUTE"
    assert overlay.outlines_over_images(scene) is not None
    bpy.data.objects.remove(reviewed)
    assert overlay.outlines_over_images(scene) is None, "of splats that are gone"


def test_a_box_takes_all_that_it_shows(extension, reviewed):
    bpy.ops.splat.blame(box=(0.1, 0.3, 0.9, 0.7))
    assert selected(extension, reviewed) == [True, True, False]


def test_splats_that_were_moved_are_found_where_they_are(extension, reviewed):
    reviewed.location = (3, 4, 5)
    bpy.context.view_layer.update()
    bpy.ops.splat.blame(box=(17 / 64, 0.5, 17 / 64, 0.5))
    assert selected(extension, reviewed) == [True, False, False]


def test_a_splat_names_the_training_photos_that_show_it(extension, reviewed):
    bpy.ops.splat.blame(box=(17 / 64, 0.5, 17 / 64, 0.5))
    assert bpy.ops.splat.photos_of_splat(splat=0) == {"FINISHED"}
    photos = extension.module("splat_addon.scene.blame.photos")
    found = photos.known(reviewed.data, 0)
    assert {one.view for one in found[:2]} == {"v1", "v2"} and found[0].share > 0.9
    assert [one.is_held_out for one in found] == [False, False, True]  # v0 has put nothing there
    assert found[0].x == pytest.approx((32 + 60 * (-1 + 0.1 * int(found[0].view[1])) / 4) / 64, abs=1e-3)
    assert "v1: " in texts(drawn(extension.module("panels.inspection.blame").SPLAT_PT_blame, bpy.context))
    with pytest.raises(RuntimeError, match="No photo shows"):
        bpy.ops.splat.photos_of_splat(splat=2)


def test_empty_space_and_a_missing_capture_are_sentences(extension, reviewed, tmp_path):
    with pytest.raises(RuntimeError, match="the background shows"):
        bpy.ops.splat.blame(box=(0.5, 0.02, 0.5, 0.02))
    (tmp_path / "capture").rename(tmp_path / "elsewhere")
    with pytest.raises(RuntimeError, match="is gone"):
        bpy.ops.splat.photos_of_splat(splat=0)


def test_splats_that_are_not_in_the_scene_are_a_sentence(extension, reviewed):
    bpy.data.objects.remove(reviewed)
    with pytest.raises(RuntimeError, match="not in this scene"):
        bpy.ops.splat.blame(box=(0.5, 0.5, 0.5, 0.5))


def test_there_is_nothing_to_blame_without_a_review(extension, reviewed):
    bpy.ops.splat.leave_review()
    assert not bpy.ops.splat.blame.poll()


@pytest.mark.parametrize("splat", [0, 1])
def test_a_click_in_any_view_finds_the_splat_there(extension, reviewed, splat):
    reviewed.matrix_world = Matrix.LocRotScale((3, 4, 5), Euler((0.3, 1, 2)), (2, 2, 2))
    bpy.context.view_layer.update()
    picked = extension.module("splat_addon.scene.blame.picked")
    views = extension.module("splat_addon.scene.trust.views")
    place = reviewed.matrix_world @ Vector((-1.0 + 2 * splat, 0, 4))
    away = Matrix.Translation((0, 0, -6)) @ Matrix.Rotation(0.4, 4, "X") @ Matrix.Translation(-place)
    window = Matrix(((2, 0, 0.2, 0), (0, 3, 0.1, 0), (0, 0, -1, -0.2), (0, 0, -1, 0)))  # shifted
    camera = views.camera_of_matrices(away, window, 300, 200)
    x, y = camera.project(np.array(place)[None])[0][0]
    assert picked.splat_at(reviewed, camera, (x, y)) == splat
    with pytest.raises(extension.module("splat_addon.errors").RunError, match="No splat is drawn there"):
        picked.splat_at(reviewed, camera, (2, 2))


def test_the_mouse_clicks_a_splat_and_a_click_beside_is_told(extension, reviewed):
    """The modal operator, with the events that Blender would send."""
    cls = extension.module("operators.inspection.blame").SPLAT_OT_click_splat
    choosing = extension.module("splat_addon.scene.inspection.choosing")
    views = extension.module("splat_addon.scene.trust.views")
    away = Matrix.Translation((0, 0, -6)) @ Matrix.Translation(-(reviewed.matrix_world @ Vector((1.0, 0, 4))))
    window = Matrix(((2, 0, 0, 0), (0, 3, 0, 0), (0, 0, -1, -0.2), (0, 0, -1, 0)))
    region = SimpleNamespace(type="WINDOW", x=40, y=30, width=300, height=200)
    space = SimpleNamespace(region_3d=SimpleNamespace(view_matrix=away, window_matrix=window))
    area = SimpleNamespace(type="VIEW_3D", regions=[region], spaces=SimpleNamespace(active=space))
    cursor, said = [], []
    context = SimpleNamespace(
        screen=SimpleNamespace(areas=[area]),
        window=SimpleNamespace(cursor_modal_restore=lambda: cursor.append("restored")),
        scene=bpy.context.scene,
    )
    operator = SimpleNamespace(
        subject=lambda _: reviewed, report=lambda kind, text: said.append((kind, text)), bl_options=cls.bl_options
    )
    for name in ("_clicked", "execute"):
        setattr(operator, name, getattr(cls, name).__get__(operator))
    x, y = views.camera_of_matrices(away, window, 300, 200).project(np.array([[1.0, 0, 4]]))[0][0]
    event = SimpleNamespace(type="MOUSEMOVE", value="NOTHING", mouse_x=40 + int(x), mouse_y=30 + 199 - int(y))
    assert cls.modal(operator, context, event) == {"PASS_THROUGH"} and not cursor
    event.type, event.value = "LEFTMOUSE", "PRESS"
    assert cls.modal(operator, context, event) == {"FINISHED"} and cursor == ["restored"]
    assert np.flatnonzero(choosing.selected(reviewed.data)).tolist() == [1] and said[-1][0] == {"INFO"}
    event.mouse_x, event.mouse_y = 42, 32
    assert cls.modal(operator, context, event) == {"CANCELLED"}
    assert said[-1] == ({"ERROR"}, "No splat is drawn there. Click where splats are.")
