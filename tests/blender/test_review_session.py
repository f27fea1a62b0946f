"""A review from beginning to end: the list, the keys, undo, newer measurements, moved splats, and what comes back."""

import dataclasses
import json
import sys

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Quaternion, Vector

from support.recording_layout import drawn
from support.splat_objects import make_splats


@pytest.fixture
def run(extension, tmp_path):
    """A run with three measured held-out views of a capture of six, made of files alone."""
    camera = extension.module("splat_addon.capture.camera").Camera
    cameras = {}
    for index in range(6):
        pose = np.eye(4)
        pose[2, 3] = 4.0 + index
        cameras[f"images/v{index}.png"] = camera(64, 32, 60, 50, 30, 17, pose)
        save_image(tmp_path / "capture" / "images" / f"v{index}.png")
    held_out = {f"images/v{index}.png" for index in (0, 2, 4)}
    transforms = extension.module("splat_addon.capture.formats.transforms")
    transforms.write_transforms(tmp_path / "capture" / "transforms.json", cameras, held_out, None, {})
    config = extension.module("splat_addon.run.config").TrainConfig(capture=str(tmp_path / "capture"))
    folder = extension.module("splat_addon.run.folder").RunFolder.create(tmp_path / "run", config)
    measure(extension, folder, 5, {"v0": 31.5, "v2": 20.25, "v4": 27.0})
    bpy.context.scene.splat.run_folder = str(folder.path)
    return folder


def measure(extension, folder, step: int, psnr_by_view: dict) -> None:
    """Write what the trainer writes when it has measured."""
    events = extension.module("splat_addon.run.events")
    for name in psnr_by_view:
        save_image(folder.renders_folder(step) / f"{name}.png")
    views = tuple(events.ViewQuality(name, psnr, psnr / 40) for name, psnr in psnr_by_view.items())
    evaluated = events.Evaluated(step, 26.0, 0.9, 10, f"held_out/step_{step:06d}", views)
    with open(folder.events_file, "a") as file:
        file.write(events.encode_event(evaluated) + "\n")


def save_image(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new(path.stem, 64, 32)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def shown(extension):
    return extension.module("splat_addon.scene.review.overlay").shown()


def largest_viewport():
    areas = [area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D"]
    return max(areas, key=lambda area: area.width * area.height).spaces.active


def test_the_list_has_the_worst_view_first_with_its_numbers(run):
    views = bpy.context.scene.splat.held_out_views
    assert [(view.name, round(view.psnr_db, 2)) for view in views] == [("v2", 20.25), ("v4", 27.0), ("v0", 31.5)]
    assert abs(views[0].ssim - 20.25 / 40) < 1e-6


def test_measurements_are_read_from_metrics_where_the_record_of_events_is_long(extension, run):
    run.metrics_file.write_text(
        '[{"step": 9, "psnr_db": 30.0, "ssim": 0.9, "gaussian_count": 3, "folder": "held_out/step_000005",'
        ' "views": [{"name": "v4", "psnr_db": 30.0, "ssim": null, "later": 1}], "later": 2}]'
    )
    latest = run.latest_evaluation()
    assert (latest.step, latest.views[0].name, latest.views[0].psnr_db) == (9, "v4", 30.0)
    assert np.isnan(latest.views[0].ssim)


def test_next_and_previous_go_round_the_list(extension, run):
    scene = bpy.context.scene
    with pytest.raises(RuntimeError, match="No held-out view is shown"):
        bpy.ops.splat.step_review()
    bpy.ops.splat.review_view()
    names = [shown(extension).name]
    for by in (1, 1, 1, -1):
        assert bpy.ops.splat.step_review(by=by) == {"FINISHED"}
        names.append(shown(extension).name)
    assert names == ["v2", "v4", "v0", "v2", "v0"]
    bpy.context.view_layer.update()
    assert np.allclose(scene.camera.matrix_world.translation, (0, 0, -4))
    assert shown(extension).place == "3 of 3, worst first"


def test_choosing_in_the_list_looks_through_that_camera_only_while_reviewing(extension, run):
    scene = bpy.context.scene
    scene.splat.held_out_index = 1
    assert shown(extension) is None and scene.camera is None
    bpy.ops.splat.review_view()
    scene.splat.held_out_index = 2
    assert shown(extension).name == "v0"


def test_the_viewport_gets_its_own_view_back(run):
    space = largest_viewport()
    region_3d = space.region_3d
    region_3d.view_perspective = "ORTHO"
    region_3d.view_location, region_3d.view_distance = (1, 2, 3), 7.5
    region_3d.view_rotation = Quaternion((0.5, 0.5, 0.5, 0.5))
    region_3d.view_camera_zoom, region_3d.view_camera_offset = 11, (0.25, -0.125)
    space.lock_camera = True
    bpy.ops.splat.review_view()
    assert region_3d.view_perspective == "CAMERA" and not space.lock_camera
    region_3d.view_rotation, region_3d.view_location = Quaternion((1, 0, 0, 0)), (9, 9, 9)
    region_3d.view_distance, region_3d.view_camera_zoom, region_3d.view_camera_offset = 1.0, 0, (0, 0)
    bpy.ops.splat.step_review()
    bpy.ops.splat.leave_review()
    assert region_3d.view_perspective == "ORTHO" and space.lock_camera
    assert tuple(region_3d.view_location) == (1, 2, 3) and region_3d.view_distance == 7.5
    assert (region_3d.view_rotation - Quaternion((0.5, 0.5, 0.5, 0.5))).magnitude < 1e-6
    assert region_3d.view_camera_zoom == 11 and tuple(region_3d.view_camera_offset) == (0.25, -0.125)


def test_undo_gives_the_viewport_its_view_back(run):
    """Undo restores the scene and leaves viewports alone. A moved wipe is a step of its own."""
    region_3d = largest_viewport().region_3d
    region_3d.view_perspective, region_3d.view_distance = "PERSP", 7.25
    scene = bpy.context.scene
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.splat.review_view()
    bpy.ops.ed.undo_push(message="Look Through")
    scene.splat.review.wipe = 0.75
    bpy.ops.ed.undo_push(message="Move Wipe")
    region_3d = largest_viewport().region_3d
    region_3d.view_distance = 3.0  # Blender moves it while a camera is looked through
    bpy.ops.ed.undo()
    scene = bpy.context.scene
    assert scene.splat.review.wipe == 0.5 and largest_viewport().region_3d.view_perspective == "CAMERA"
    bpy.ops.ed.undo()
    region_3d = largest_viewport().region_3d
    assert (region_3d.view_perspective, region_3d.view_distance) == ("PERSP", 7.25)
    region_3d.view_perspective = "CAMERA"  # the artist's own wish now
    bpy.ops.ed.undo_push(message="More")
    bpy.ops.ed.undo()
    assert largest_viewport().region_3d.view_perspective == "CAMERA"


def test_redo_turns_the_viewport_again(run):
    largest_viewport().region_3d.view_perspective = "PERSP"
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.splat.review_view()
    bpy.ops.ed.undo_push(message="Look Through")
    bpy.ops.ed.undo()
    assert largest_viewport().region_3d.view_perspective == "PERSP"
    bpy.ops.ed.redo()
    assert largest_viewport().region_3d.view_perspective == "CAMERA"
    bpy.ops.splat.leave_review()
    assert largest_viewport().region_3d.view_perspective == "PERSP"


def test_a_view_that_the_artist_has_turned_meanwhile_is_left_as_it_is(run):
    region_3d = largest_viewport().region_3d
    region_3d.view_perspective, region_3d.view_location = "ORTHO", (1, 2, 3)
    bpy.ops.splat.review_view()
    region_3d.view_perspective, region_3d.view_location = "PERSP", (5, 5, 5)
    bpy.ops.splat.leave_review()
    assert region_3d.view_perspective == "PERSP" and tuple(region_3d.view_location) == (5, 5, 5)


def test_a_review_that_cannot_begin_changes_nothing(run):
    scene, region_3d = bpy.context.scene, largest_viewport().region_3d
    region_3d.view_perspective = "PERSP"
    size = (scene.render.resolution_x, scene.render.resolution_y)
    (run.renders_folder(5) / "v2.png").unlink()
    with pytest.raises(RuntimeError, match=r"v2\.png is missing or cannot be read"):
        bpy.ops.splat.review_view()
    assert (scene.render.resolution_x, scene.render.resolution_y) == size
    assert scene.camera is None and region_3d.view_perspective == "PERSP"
    assert not bpy.data.cameras and not bpy.data.images


def test_the_camera_follows_splats_that_were_moved_turned_and_scaled(extension, run):
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        np.zeros((3, 3)), np.zeros((3, 3)), np.ones((3, 4)), np.zeros(3), np.zeros((3, 1, 3))
    )
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(run.splats_file, cloud)
    bpy.ops.splat.import_result()
    item = bpy.context.view_layer.objects.active
    item.matrix_world = Matrix.Translation((10, 0, 0)) @ Matrix.Rotation(np.pi / 2, 4, "X") @ Matrix.Scale(2, 4)
    bpy.context.view_layer.update()
    bpy.ops.splat.review_view()
    bpy.context.view_layer.update()
    camera = bpy.context.scene.camera.matrix_world
    place = item.matrix_world @ Vector((0, 0, -6))  # view v2 stands there in the capture
    assert (camera.translation - place).length < 1e-5
    looks = (item.matrix_world.to_3x3() @ Vector((0, 0, 1))).normalized()
    assert (camera.to_3x3() @ Vector((0, 0, -1)) - looks).length < 1e-5
    assert np.allclose(camera.to_scale(), 1, atol=1e-5)


def test_splats_not_imported_yet_stand_where_the_captures_root_is(extension, run, tmp_path):
    root = bpy.data.objects.new("Root", None)
    root["splat_capture"] = str(tmp_path / "capture")
    root.location = (0, 5, 0)
    bpy.context.scene.collection.objects.link(root)
    bpy.context.view_layer.update()
    bpy.ops.splat.review_view()
    assert np.allclose(bpy.context.scene.camera.matrix_world.translation, (0, 5, -6), atol=1e-5)


def test_a_newer_measurement_replaces_the_images(extension, run):
    bpy.ops.splat.review_view()
    measure(extension, run, 8, {"v0": 33.0, "v2": 34.0, "v4": 28.0})
    lines = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    run.metrics_file.write_text(json.dumps(lines))  # as the trainer does, and what is looked at for news
    extension.module("splat_addon.scene.review.held_out").follow(bpy.context)
    assert (shown(extension).name, shown(extension).step, round(shown(extension).psnr_db)) == ("v2", 8, 34)
    assert [view.name for view in bpy.context.scene.splat.held_out_views] == ["v4", "v0", "v2"]


def test_the_view_that_was_looked_through_stays_chosen_after_the_review(extension, run):
    bpy.ops.splat.review_view()
    bpy.ops.splat.leave_review()
    measure(extension, run, 8, {"v0": 33.0, "v2": 34.0, "v4": 28.0})
    scene = bpy.context.scene
    extension.module("splat_addon.scene.review.views").list_views_of_run(scene)
    assert scene.splat.held_out_views[scene.splat.held_out_index].name == "v2"


def test_a_file_saved_during_a_review_goes_on_with_it_and_leaves_it_cleanly(extension, run, tmp_path):
    scene = bpy.context.scene
    scene.render.resolution_x = 1234
    bpy.ops.splat.review_view()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "review.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert shown(extension) is None, "another file has no review"
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "review.blend"))
    assert shown(extension).name == "v2"
    bpy.ops.splat.leave_review()
    assert bpy.context.scene.render.resolution_x == 1234 and not bpy.data.cameras


def test_keys_and_handlers_are_there_once_and_go_with_the_extension(extension):
    """The session is ended and begun again as the root does it."""
    root = extension.module("")

    def keys():
        keymap = bpy.context.window_manager.keyconfigs.addon.keymaps.get("3D View")
        items = keymap.keymap_items if keymap else ()
        return sorted((item.type, item.properties.by) for item in items if item.idname == "splat.step_review")

    def handlers():
        lists = (bpy.app.handlers.undo_post, bpy.app.handlers.redo_post, bpy.app.handlers.load_post)
        return [sum(each.__name__ in ("_follow_undo", "_follow_file") for each in handlers) for handlers in lists]

    assert keys() == [("PAGE_DOWN", 1), ("PAGE_UP", -1)] and handlers() == [1, 1, 1]
    overlay = extension.module("splat_addon.scene.review.overlay")
    overlay.to_front()
    shown = overlay._overlay()
    root.unregister()
    try:
        assert keys() == [] and handlers() == [0, 0, 0] and shown.handler is None
        assert not bpy.app.timers.is_registered(extension.module("splat_addon.scene.session.timer").tick)
    finally:
        root.register()
    assert keys() == [("PAGE_DOWN", 1), ("PAGE_UP", -1)]


def test_the_wipe_line_is_there_only_while_a_wipe_is_shown(extension, run):
    group = extension.module("operators.review.wipe").SPLAT_GGT_wipe
    space = largest_viewport()
    stand_in = type("Context", (), {"scene": bpy.context.scene, "region_data": space.region_3d})
    assert not group.poll(stand_in)
    bpy.ops.splat.review_view()
    assert group.poll(stand_in)
    bpy.context.scene.splat.review.mode = "PHOTO"
    assert not group.poll(stand_in)


def draw_panel(extension) -> list:
    """What the review panel draws: names of layout calls with operators, properties or texts."""
    record: list = []

    class Layout:
        def __getattr__(self, name):
            def call(*arguments, **options):
                if name in ("row", "column", "split"):
                    return self
                shown = [argument for argument in arguments if isinstance(argument, str)]
                record.append((name, shown[-1] if shown else options.get("text", "")))
                return type("Properties", (), {})()

            return call

    panel = extension.module("panels.review").SPLAT_PT_review
    panel.draw(type("StandIn", (), {"layout": Layout()})(), bpy.context)
    return record


def test_the_panel_offers_what_the_state_allows(extension, run):
    idle = draw_panel(extension)
    assert ("operator", "splat.review_view") in idle and ("operator", "splat.save_report") in idle
    assert ("operator", "splat.leave_review") not in idle and ("operator", "splat.open_report") not in idle
    bpy.ops.splat.review_view()
    wiping = draw_panel(extension)
    assert wiping.count(("operator", "splat.step_review")) == 2 and ("operator", "splat.leave_review") in wiping
    modes = [value for name, value in wiping if name == "prop_enum"]
    assert modes == ["WIPE", "PHOTO", "RENDER", "DIFFERENCE", "NONE"]
    assert ("prop", "wipe") in wiping and ("prop", "gain") not in wiping
    bpy.context.scene.splat.review.mode = "DIFFERENCE"
    differing = draw_panel(extension)
    assert ("prop", "gain") in differing and ("prop", "use_ramp") in differing and ("prop", "wipe") not in differing
    run.report_file.write_text("a page")
    assert ("operator", "splat.open_report") in draw_panel(extension)


def test_the_report_is_written_by_the_trainers_python(extension, run, trainer_python):
    bpy.context.preferences.addons[extension.name].preferences.trainer_python = str(trainer_python)
    assert bpy.ops.splat.save_report(wait=True) == {"FINISHED"}
    page = run.report_file.read_text(encoding="utf-8")
    assert "<td>v2</td>" in page and "20.25" in page and "data:image/jpeg" in page


def test_a_report_that_cannot_be_written_says_why_and_stays_said_in_the_panel(extension, run, tmp_path):
    preferences = bpy.context.preferences.addons[extension.name].preferences
    preferences.trainer_python = ""
    with pytest.raises(RuntimeError, match="No trainer Python is set"):
        bpy.ops.splat.save_report(wait=True)
    preferences.trainer_python = sys.executable  # Blender's: it has neither torch nor matplotlib
    with pytest.raises(RuntimeError, match=r"lacks matplotlib, .*-m pip install matplotlib"):
        bpy.ops.splat.save_report(wait=True)
    labels = " ".join(text for name, text in draw_panel(extension) if name == "label")
    assert "lacks matplotlib" in labels
    preferences.trainer_python = ""


@pytest.fixture
def behind(extension, run):
    """Two clouds, the second hidden by the artist, and the sparse points of an opened capture, whose six cameras have
    photos behind them."""
    layer = bpy.context.view_layer
    seen, hidden = (make_splats(extension, np.zeros((3, 3)), name) for name in ("Seen", "Hidden"))
    layer.update()
    hidden.hide_set(True)
    capture = extension.module("splat_addon.capture.capture").open_capture(run.path.parent / "capture")
    points = extension.module("splat_addon.capture.capture").Points(np.ones((4, 3)), np.full((4, 3), 0.5))
    photos = extension.module("splat_addon.scene.photos.photo_capture")
    photos.open_in_scene(bpy.context.scene, dataclasses.replace(capture, points=points), "capture")
    layer.update()
    return {
        "Seen": seen,
        "Hidden": hidden,
        "Points": next(item for item in bpy.context.scene.objects if "splat_points" in item),
        "alphas": lambda: [
            entry.alpha
            for item in bpy.context.scene.objects
            if item.type == "CAMERA" and "splat_photo" in item
            for entry in item.data.background_images
        ],
    }


def is_seen(behind) -> dict:
    return {name: behind[name].visible_get() for name in ("Seen", "Hidden", "Points")}


def test_splats_and_points_are_switched_within_a_review_and_back_when_it_is_left(run, behind):
    review = bpy.context.scene.splat.review
    as_it_was = {"Seen": True, "Hidden": False, "Points": True}
    bpy.ops.splat.review_view()
    assert is_seen(behind) == as_it_was
    review.show_splats = False
    assert is_seen(behind) == as_it_was | {"Seen": False}
    review.show_points = False
    assert is_seen(behind) == {"Seen": False, "Hidden": False, "Points": False}
    review.show_splats = True
    assert is_seen(behind) == as_it_was | {"Points": False}, "what the artist has hidden stays hidden"
    review.show_splats = False
    bpy.ops.splat.leave_review()
    assert is_seen(behind) == as_it_was and review.show_splats and review.show_points
    assert not any("splat_set_aside" in item for item in bpy.context.scene.objects)


def test_what_one_view_layer_hides_stays_hidden_in_that_one(run, behind):
    review, scene = bpy.context.scene.splat.review, bpy.context.scene
    other, item = scene.view_layers.new("Other"), scene.objects["Seen"]
    item.hide_set(True, view_layer=other)
    review.show_splats = False
    assert item.hide_get(view_layer=scene.view_layers[0]) and item.hide_get(view_layer=other)
    review.show_splats = True
    assert not item.hide_get(view_layer=scene.view_layers[0]) and item.hide_get(view_layer=other)
    scene.view_layers.remove(other)


def test_photos_cover_as_much_as_was_chosen_until_the_view_is_left(run, behind):
    review = bpy.context.scene.splat.review
    assert behind["alphas"]() == [1.0] * 6
    bpy.ops.splat.look_through_photo(step=0)
    review.opacity = 0.25
    assert behind["alphas"]() == [0.25] * 6
    bpy.ops.splat.leave_photo()
    assert behind["alphas"]() == [1.0] * 6 and review.opacity == 1.0


def test_what_is_seen_can_be_switched_in_both_panels(extension, run, behind):
    def names(panel):
        return {entry[1] for entry in drawn(panel, bpy.context) if entry[0] == "prop"}

    switches = {"opacity", "show_splats", "show_points"}
    review, photos = (getattr(extension.module(f"panels.{name}"), f"SPLAT_PT_{name}") for name in ("review", "photos"))
    assert not switches & (names(review) | names(photos))
    bpy.ops.splat.review_view()
    assert switches < names(review)
    bpy.ops.splat.leave_review()
    bpy.ops.splat.look_through_photo(step=0)
    assert switches <= names(photos)
