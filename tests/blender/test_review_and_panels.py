"""Held-out review, and what the panels draw in each state."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from support import recording_layout
from support.recording_layout import RecordingLayout


@pytest.fixture
def reviewed(extension, tmp_path):
    """A capture of two views and a run with one measured held-out view, made of files alone; returns the run folder."""
    camera_module = extension.module("splat_addon.capture.camera")
    transforms = extension.module("splat_addon.capture.formats.transforms")
    config_module = extension.module("splat_addon.run.config")
    folder_module = extension.module("splat_addon.run.folder")
    events = extension.module("splat_addon.run.events")
    cameras = {}
    for index in range(2):
        pose = np.eye(4)
        pose[2, 3] = 4.0 + index
        cameras[f"images/v{index}.png"] = camera_module.Camera(64, 32, 60, 50, 30, 17, pose)
        save_image(tmp_path / "capture" / "images" / f"v{index}.png", 64, 32)
    transforms.write_transforms(tmp_path / "capture" / "transforms.json", cameras, {"images/v0.png"}, None, {})
    config = config_module.TrainConfig(capture=str(tmp_path / "capture"))
    folder = folder_module.RunFolder.create(tmp_path / "run", config)
    save_image(folder.renders_folder(5) / "v0.png", 64, 32)
    view = events.ViewQuality("v0", 31.5, 0.95)
    evaluated = events.Evaluated(5, 31.5, 0.95, 10, "held_out/step_000005", (view,))
    folder.events_file.write_text(events.encode_event(evaluated) + "\n")
    bpy.context.scene.splat.run_folder = str(folder.path)
    extension.module("splat_addon.scene.review.views").list_views(bpy.context.scene, evaluated)
    return folder


def save_image(path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new(path.stem, width, height)
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def test_a_held_out_view_is_looked_through_with_its_images(extension, reviewed):
    scene = bpy.context.scene
    assert bpy.ops.splat.review_view() == {"FINISHED"}
    bpy.context.view_layer.update()
    seen = extension.module("splat_addon.scene.cameras.conversion").camera_from_object(scene.camera, scene)
    assert (seen.width, seen.height) == (64, 32)
    assert np.allclose((seen.fx, seen.fy, seen.cx, seen.cy), (60, 50, 30, 17), atol=1e-3)
    assert np.allclose(seen.camera_from_world[2, 3], 4.0)
    shown = extension.module("splat_addon.scene.review.overlay").shown()
    assert (shown.name, shown.step) == ("v0", 5) and abs(shown.psnr_db - 31.5) < 1e-5
    assert shown.photo.path == reviewed.path.parent / "capture" / "images" / "v0.png"
    assert shown.trained.path == reviewed.renders_folder(5) / "v0.png"
    assert len(bpy.data.images) == 0, "the images leave nothing in the file"


def test_leaving_the_review_gives_the_artists_view_back(reviewed):
    scene = bpy.context.scene
    mine = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    mine.matrix_world = Matrix.Translation((1, 2, 3))
    scene.collection.objects.link(mine)
    scene.camera = mine
    scene.render.resolution_x, scene.render.resolution_percentage, scene.render.pixel_aspect_y = 1234, 42, 1.25
    bpy.ops.splat.review_view()
    bpy.ops.splat.review_view()
    assert scene.camera != mine and scene.render.resolution_x == 64
    assert bpy.ops.splat.leave_review() == {"FINISHED"}
    assert scene.camera == mine
    assert (scene.render.resolution_x, scene.render.resolution_percentage) == (1234, 42)
    assert scene.render.pixel_aspect_y == 1.25
    assert [item.name for item in bpy.data.objects] == ["Mine"] and len(bpy.data.cameras) == 1


def test_leaving_gives_back_what_was_even_when_cameras_were_changed_meanwhile(reviewed):
    scene = bpy.context.scene
    mine, other = (bpy.data.objects.new(name, bpy.data.cameras.new(name)) for name in ("Mine", "Other"))
    for item in (mine, other):
        scene.collection.objects.link(item)
    scene.camera, scene.render.resolution_x = mine, 1234
    bpy.ops.splat.review_view()
    scene.camera = other
    mine.name = "Renamed"
    bpy.ops.splat.review_view()
    assert bpy.ops.splat.leave_review() == {"FINISHED"}
    assert scene.camera == mine and scene.render.resolution_x == 1234


def test_a_chosen_run_lists_its_views(reviewed, tmp_path):
    scene = bpy.context.scene
    scene.splat.run_folder = str(tmp_path / "nowhere")
    assert len(scene.splat.held_out_views) == 0
    with pytest.raises(RuntimeError, match=r"The run folder .*nowhere is gone\. Choose where it is now"):
        bpy.ops.splat.import_result()
    scene.splat.run_folder = str(reviewed.path)
    assert [view.name for view in scene.splat.held_out_views] == ["v0"]


def test_a_second_import_replaces_the_first(extension, reviewed):
    cloud_module = extension.module("splat_addon.gaussians.cloud")
    ply = extension.module("splat_addon.gaussians.formats.splat_ply")
    for count in (3, 5):
        cloud = cloud_module.GaussianCloud(
            np.zeros((count, 3)), np.zeros((count, 3)), np.ones((count, 4)), np.zeros(count), np.zeros((count, 1, 3))
        )
        ply.write_splats(reviewed.splats_file, cloud)
        assert bpy.ops.splat.import_result() == {"FINISHED"}
    splats = extension.module("splat_addon.scene.splats.data")
    found = [item for item in bpy.context.scene.objects if splats.is_splats(item)]
    assert len(found) == 1 and len(splats.splats_from_object(found[0])) == 5


def test_a_capture_is_read_once_and_a_lost_one_ends_the_review(extension, reviewed, tmp_path, monkeypatch):
    review, scene = extension.module("splat_addon.scene.review.held_out"), bpy.context.scene
    opened = []
    settled = review.open_settled
    monkeypatch.setattr(review, "open_settled", lambda *given, **more: opened.append(given) or settled(*given, **more))
    bpy.ops.splat.review_view()
    bpy.ops.splat.review_view()
    scene.splat.held_out_index = 0
    assert len(opened) == 1
    (tmp_path / "capture").rename(tmp_path / "moved")
    scene.splat.held_out_index = 0
    assert not review.is_reviewing(scene), "the artist's camera and resolution are back"


def test_review_without_measured_views_says_why():
    with pytest.raises(RuntimeError, match="No held-out view was measured yet"):
        bpy.ops.splat.review_view()
    with pytest.raises(RuntimeError, match="No held-out view is shown"):
        bpy.ops.splat.leave_review()


def test_a_capture_that_is_gone_is_said(reviewed, tmp_path):
    (tmp_path / "capture").rename(tmp_path / "moved")
    with pytest.raises(RuntimeError, match=r"The capture folder .*capture does not exist"):
        bpy.ops.splat.review_view()


def drawn(extension, module: str, panel: str) -> list:
    return recording_layout.drawn(getattr(extension.module(f"panels.{module}"), panel), bpy.context)


def test_the_capture_panel_shows_dome_settings_for_domes_only(extension):
    record = drawn(extension, "capture", "SPLAT_PT_capture")
    assert ("prop", "camera_count") in record and ("operator", "splat.capture_scene", None) in record
    assert ("prop", "samples") in drawn(extension, "capture", "SPLAT_PT_capture_images")
    bpy.context.scene.splat.capture.source = "SELECTED"
    assert ("prop", "camera_count") not in drawn(extension, "capture", "SPLAT_PT_capture")


@pytest.mark.parametrize("state", ["rendering", "finished", "stopped", "failed"])
def test_the_capture_panel_follows_the_render(extension, monkeypatch, tmp_path, state):
    live_render = extension.module("splat_addon.scene.tasks.live_render")
    events = extension.module("splat_addon.run.events")
    render = live_render.LiveRender(tmp_path, None, total=40)
    render.apply(events.RenderStarted("Cycles", 40))
    render.apply(events.Warned("Motion blur was switched off."))
    render.apply(events.RenderProgressed(10, 40, 60.0))
    last = {
        "finished": events.RenderFinished(40, False, 80.0),
        "stopped": events.RenderFinished(10, True, 20.0),
        "failed": events.Failed("It broke.", "Mend it."),
    }
    if state in last:
        render.apply(last[state])
    monkeypatch.setattr(live_render.watched(), "render", render)
    record = drawn(extension, "capture", "SPLAT_PT_capture")
    operators = [entry[1] for entry in record if entry[0] == "operator"]
    assert ("label", "Motion blur was switched off.") in record
    if state == "rendering":
        assert ("progress", "10 of 40 views · 1 min 0 s left") in record
        assert "splat.cancel_capture" in operators and "splat.capture_scene" not in operators
    else:
        said = {
            "finished": "Captured 40 views in 80 s.",
            "stopped": "Stopped with 10 of 40 views:",
            "failed": "It broke. Mend it.",
        }[state]
        assert ("label", said) in record
        assert "splat.capture_scene" in operators and "splat.cancel_capture" not in operators


def test_the_cameras_panel_marks_the_active_camera(extension):
    record = drawn(extension, "capture", "SPLAT_PT_capture_cameras")
    assert ("operator", "splat.add_camera_rig", None) in record and ("prop", "is_held_out") not in record
    item = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.objects.active = item
    assert ("prop", "is_held_out") in drawn(extension, "capture", "SPLAT_PT_capture_cameras")


def test_the_training_panel_offers_start_when_idle(extension):
    record = drawn(extension, "training", "SPLAT_PT_training")
    assert ("operator", "splat.start_training", None) in record
    assert ("prop", "iterations") in record and ("prop", "means_rate") not in record
    assert ("prop", "means_rate") in drawn(extension, "training", "SPLAT_PT_training_advanced")


@pytest.mark.parametrize(
    ("state", "expected", "absent"),
    [
        ("training", ("operator", "splat.command_training", "Pause"), "splat.render"),
        ("paused", ("operator", "splat.command_training", "Resume"), "splat.render"),
        ("finished", ("label", "Finished after 10 steps."), "splat.command_training"),
        ("failed", ("label", "It broke. Mend it."), "splat.command_training"),
    ],
)
def test_the_training_panel_follows_the_run(extension, monkeypatch, tmp_path, state, expected, absent):
    live_run = extension.module("splat_addon.scene.tasks.live_run")
    events = extension.module("splat_addon.run.events")
    run = live_run.LiveRun(None, None, bpy.context.scene.session_uid, iterations=10)
    run.apply(events.Started(events.PROTOCOL, "cpu", 10, 7, 1, 100, 1))
    run.apply(events.Evaluated(0, 20.0, 0.8, 100, "x"))
    run.apply(events.Progressed(4, 0.1, 100, 2.0, 65.0, "paused" if state == "paused" else "training", 0.4))
    run.apply(events.Evaluated(4, 28.5, 0.9, 100, "x"))
    if state == "finished":
        run.apply(events.Finished(10, False, 100, 5.0))
    if state == "failed":
        run.apply(events.Failed("It broke.", "Mend it."))
    monkeypatch.setattr(live_run.watched(), "run", run)
    on_top = drawn(extension, "at_hand", "SPLAT_PT_at_hand")
    record = on_top + drawn(extension, "training", "SPLAT_PT_training")
    assert ("operator", "splat.start_training", None) in record  # gray, with the reason, while a run trains
    assert expected in record
    assert absent not in [entry[1] for entry in record]
    assert ("label", "28.50 dB, init 20.00") in record
    if state in ("training", "paused"):
        left = " · 1 min 5 s left" if state == "training" else ""
        assert ("progress", f"{state.title()} 40 %{left}") in record


def test_the_review_panel_lists_views_once_there_are_some(extension, reviewed):
    assert ("operator", "splat.review_view", None) in drawn(extension, "review", "SPLAT_PT_review")
    record: list = []
    cls = extension.module("panels.review").SPLAT_UL_held_out_views
    entry = bpy.context.scene.splat.held_out_views[0]
    cls.draw_item(None, bpy.context, RecordingLayout(record), None, entry, 0, None, "", 0)
    assert record == [("label", "v0"), ("label", "31.50"), ("label", "0.950")]
    bpy.context.scene.splat.held_out_views.clear()
    assert ("template_list", "") not in drawn(extension, "review", "SPLAT_PT_review")


def test_the_splats_panel_counts_the_active_splats(extension):
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        np.zeros((3, 3)), np.zeros((3, 3)), np.ones((3, 4)), np.zeros(3), np.zeros((3, 1, 3))
    )
    item = extension.module("splat_addon.scene.splats.data").splats_to_object(
        cloud, "Cloud", bpy.context.scene.collection
    )
    bpy.context.view_layer.update()
    bpy.context.view_layer.objects.active = item
    assert ("label", "Cloud: 3 splats") in drawn(extension, "splats", "SPLAT_PT_splats")


def test_the_sample_scene_is_selected_and_has_what_it_promises(extension):
    assert bpy.ops.splat.add_sample_scene() == {"FINISHED"}
    names = {item.name for item in bpy.context.selected_objects}
    assert {"Ground", "Glossy Ball", "Thin Ring"} <= names
    images = [image for image in bpy.data.images if image.packed_file]
    assert len(images) == 3, "textures travel with the file"
    assert any(light for light in bpy.data.lights) and bpy.context.scene.world is not None


def test_a_preset_sets_its_settings_and_shows_custom_when_one_is_changed(extension):
    import bpy

    splat = bpy.context.scene.splat
    assert splat.preset == "BALANCED"
    splat.training.strategy = "MCMC"
    splat.preset = "QUALITY"
    assert (splat.training.iterations, splat.training.max_resolution, splat.training.strategy) == (30_000, 1920, "MCMC")
    splat.training.iterations = 123
    assert splat.preset == "CUSTOM"
    splat.preset = "CUSTOM"
    assert splat.training.iterations == 123, "choosing Custom changes nothing"
    splat.preset = "PREVIEW"
    assert splat.training.iterations == 1500 and splat.preset == "PREVIEW"
