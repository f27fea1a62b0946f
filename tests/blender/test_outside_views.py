"""Views off the path of a scene's capture: chosen, rendered for truth, and measured by Preview Removal."""

import json
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Vector

from support.floating_wall import inspect_in_place, photographed_run
from support.recording_layout import drawn, texts
from support.shelf_scene import SWARM, add_shining_box, build_shelf, run_of_shelf

NAMES = ["depths", "images", "transforms.json"]


@pytest.fixture
def live_render(extension):
    module = extension.module("splat_addon.scene.tasks.live_render")
    yield module
    if module.is_rendering():
        module.current().process.close()
    extension.drop(module.Rendered)


@pytest.fixture
def previewing(extension, trainer_python):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = str(trainer_python)
    module = extension.module("splat_addon.scene.tasks.previewing_removal")
    yield module
    chosen.trainer_python = ""
    extension.drop(module.Previewing)


@pytest.fixture
def shelf(extension, live_render, tmp_path):
    """The object of a run of the shelf's capture, and which of its splats hang in the air; four views are wanted."""
    build_shelf(tmp_path / "capture")
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    bpy.context.scene.splat.inspection.outside_count = 4
    return run_of_shelf(extension, tmp_path)


@pytest.fixture
def problem(extension):
    module = extension.module("splat_addon.scene.tasks.outside_views")
    return lambda: module.problem(bpy.context.scene, bpy.context.active_object)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but those of views off the path."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if "outside_views" not in name}


def names_of_blocks() -> set[str]:
    return {block.name for kind in (bpy.data.objects, bpy.data.cameras, bpy.data.collections) for block in kind}


def finish(live_render) -> None:
    render = live_render.current()
    while not render.is_over:
        for event in render.process.wait(limit_s=1.0):
            render.apply(event)


def opened(extension, capture: Path):
    module = extension.module("splat_addon.capture.capture")
    return extension.module("splat_addon.capture.outside").open_outside(module.open_capture(capture, 3))


def test_removing_what_hangs_off_the_path_is_measured_there(extension, live_render, previewing, shelf, tmp_path):
    item, hangs = shelf
    blocks = names_of_blocks()
    before = contents(tmp_path)
    size = bpy.context.scene.render.resolution_x
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    assert live_render.current().message.startswith("Rendered 4 views off the path in ")
    assert contents(tmp_path) == before, "neither the capture nor the run is touched"
    assert blocks == {
        block.name for kind in (bpy.data.objects, bpy.data.cameras, bpy.data.collections) for block in kind
    }
    assert bpy.context.scene.render.resolution_x == size
    assert sorted(path.name for path in (tmp_path / "capture" / "outside_views").iterdir()) == NAMES

    extension.module("splat_addon.scene.inspection.choosing").select(item.data, hangs)
    assert bpy.ops.splat.preview_removal(selected=True, wait=True) == {"FINISHED"}
    removal, said = previewing.measured_of(item).removal, previewing.said_of(item)
    assert not said and removal.views == 2 and removal.off_path.views == 4
    assert removal.psnr_db[1] == pytest.approx(removal.psnr_db[0], abs=0.01), "photos do not know that it hangs"
    inside, outside = removal.psnr_db, removal.off_path.psnr_db
    assert outside[1] > outside[0] + 0.6 and inside[0] > 18 and outside[0] > 18
    assert removal.off_path.holes == 0 and removal.off_path.worst_view.startswith("outside_00")
    picture = bpy.data.images[previewing.PICTURE]
    assert tuple(picture.size) == (3 * 64, (2 + 4) * 48), "two held-out views and four off the path"

    inspect_as_above(extension, item, hangs)
    told = texts(drawn(extension.module("panels.floaters").SPLAT_PT_floaters, bpy.context))
    assert f"PSNR {outside[0]:.2f} to {outside[1]:.2f} dB" in told and "0.00% in 4 views" in told
    assert "4 views off the path, rendered of this scene" in told and f"Without these {SWARM} splats:" in told
    assert "In other views" not in told


def test_what_was_measured_in_other_views_off_the_path_is_told_as_such(
    extension, live_render, previewing, shelf, tmp_path
):
    item, hangs = shelf
    inspect_as_above(extension, item, hangs)
    panel, other = extension.module("panels.floaters").SPLAT_PT_floaters, "In other views off the path than are there"
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    assert bpy.ops.splat.preview_removal(wait=True) == {"FINISHED"}
    told = texts(drawn(panel, bpy.context))
    assert other not in told and "in 4 views" in told
    bpy.context.scene.splat.inspection.outside_count = 2
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    told = texts(drawn(panel, bpy.context))
    assert told.index("Without these") < told.index(other) < told.index("in 4 views"), "what was found is not lost"
    assert bpy.ops.splat.preview_removal(wait=True) == {"FINISHED"}
    told = texts(drawn(panel, bpy.context))
    assert other not in told and "in 2 views" in told
    (tmp_path / "capture" / "outside_views" / "transforms.json").unlink()
    assert other in texts(drawn(panel, bpy.context))


def inspect_as_above(extension, item, hangs) -> None:
    """Give the object scores by which the same splats are floaters."""
    columns = extension.module("splat_addon.scene.inspection.columns")
    file, score = (extension.module(f"splat_addon.inspection.{name}") for name in ("file", "score"))
    cloud = extension.module("splat_addon.scene.splats.data").splats_from_object(item)
    nothing = np.zeros(len(cloud), np.float32)
    found = score.Findings(hangs.astype(np.float32), nothing, nothing, np.zeros(len(cloud), np.uint8))
    columns.put(item.data, file.Inspection(file.key_of(cloud), file.places_of(cloud.means), found, None))
    extension.module("splat_addon.scene.inspection.found").forget(item.data)
    bpy.context.view_layer.update()


def test_views_lie_outside_are_true_and_the_same_again(extension, live_render, shelf, tmp_path):
    item, _ = shelf
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    listed = tmp_path / "capture" / "outside_views" / "transforms.json"
    first = listed.read_bytes()
    views = opened(extension, tmp_path / "capture")
    assert len(views) == 4 and all(view.view.is_held_out for view in views)
    capture = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "capture", 3)
    assert json.loads(first)["outside_of"] == capture.fingerprint()
    assert [view.name for view in capture.views] == [f"Row_{number}" for number in range(5)], "they are no photos of it"

    trained = [view.camera for view in capture.training_views]
    cover = extension.module("splat_addon.inspection.trust.coverage").cover
    cloud = extension.module("splat_addon.scene.splats.data").splats_from_object(item)
    is_outside = extension.module("splat_addon.inspection.trust.outside").is_outside
    coverage = cover(cloud, trained)
    assert all(is_outside(coverage, view.view.camera) for view in views)
    assert not any(is_outside(coverage, camera) for camera in trained)
    apart = [
        np.linalg.norm(one.view.camera.position - other.view.camera.position)
        for number, one in enumerate(views)
        for other in views[:number]
    ]
    assert min(apart) > 0.3

    scene = bpy.context.scene
    item.hide_set(True)
    bpy.context.view_layer.update()
    depsgraph, seen = bpy.context.evaluated_depsgraph_get(), 0
    for view in views:
        camera = view.view.camera
        depths = extension.module("splat_addon.capture.photos.depths").read_depths(view.depths_path)
        assert depths.shape == (48, 64) and (camera.width, camera.height) == (64, 48)
        assert camera.fx == pytest.approx(trained[0].fx, rel=1e-6)
        for row, column in ((24, 32), (16, 20), (16, 44), (30, 32)):
            slope = ((column + 0.5 - camera.cx) / camera.fx, (row + 0.5 - camera.cy) / camera.fy, 1.0)
            ray = np.array(slope) @ camera.camera_from_world[:3, :3]
            hit = scene.ray_cast(depsgraph, Vector(camera.position.tolist()), Vector(ray.tolist()))
            if hit[0]:
                depth = camera.project(np.array([hit[1]]))[1][0]
                seen += depths[row, column] == pytest.approx(depth, rel=0.03)
            else:
                seen += depths[row, column] > 1e9
    assert seen >= 14, "of 16 pixels: some lie on an edge"

    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    assert listed.read_bytes() == first


def test_in_a_closed_room_views_stay_within_it_also_where_its_objects_are_hidden(extension, live_render, tmp_path):
    """The room is hidden as Hide Source does it, and the splats, which hide nothing from anybody, were moved away."""
    build_shelf(tmp_path / "capture")
    add_shining_box("Room", (0, -2.0, 2.0), (8, 9, 5), (0.3, 0.3, 0.35))
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    item, _ = run_of_shelf(extension, tmp_path)
    bpy.context.scene.splat.inspection.outside_count = 6
    item.location.x = 20.0
    assert bpy.ops.splat.hide_source() == {"FINISHED"}
    assert bpy.data.objects["Room"].hide_get()
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    places = np.array([view.view.camera.position for view in opened(extension, tmp_path / "capture")])
    assert len(places) == 6 and (np.abs(places - (0, -2.0, 2.0)) < (3.9, 4.4, 2.4)).all()
    assert bpy.data.objects["Room"].hide_get() and item.location.x == 20.0


def test_fewer_views_than_asked_for_are_rendered_and_that_is_said(extension, live_render, tmp_path):
    """Two screens are in the way nearly everywhere."""
    build_shelf(tmp_path / "capture")
    for number, x in enumerate((-1.0, 1.0)):
        add_shining_box(f"Screen {number}", (x, -5.0, 1.2), (0.1, 3.0, 4.0), (0.1, 0.1, 0.1))
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    run_of_shelf(extension, tmp_path)
    bpy.context.scene.splat.inspection.outside_count = 64
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    count = len(opened(extension, tmp_path / "capture"))
    assert 0 < count < 64
    assert f"Only {count} of 64 views off the path were found." in live_render.current().warnings


def test_what_is_changed_since_is_no_truth_and_nothing_is_left(extension, live_render, previewing, shelf, tmp_path):
    item, hangs = shelf
    bpy.data.objects["Blue"].hide_render = True
    with pytest.raises(RuntimeError, match=r"The scene is not what Row_\d\.png of the capture shows in the middle"):
        bpy.ops.splat.render_outside_views(wait=True)
    assert not (tmp_path / "capture" / "outside_views" / "transforms.json").exists()
    extension.module("splat_addon.scene.inspection.choosing").select(item.data, hangs)
    assert bpy.ops.splat.preview_removal(selected=True, wait=True) == {"FINISHED"}
    assert previewing.measured_of(item).removal.off_path is None and not previewing.said_of(item)


def test_why_a_render_in_the_background_failed_is_shown_whatever_is_active(extension, live_render, shelf):
    """In Floaters, also of splats that nobody has inspected; in Capture where Floaters are of something else."""
    item, _ = shelf
    panels = extension.module("panels.floaters").SPLAT_PT_floaters, extension.module("panels.capture").SPLAT_PT_capture
    bpy.data.objects["Blue"].location.x += 1.0
    bpy.data.objects["Wall"].hide_render = True
    assert bpy.ops.splat.render_outside_views() == {"FINISHED"}
    finish(live_render)
    why = live_render.current().message
    assert live_render.current().state == "failed" and why.startswith("The scene is not what Row_")
    floaters, capture = (texts(drawn(panel, bpy.context)) for panel in panels)
    assert floaters.count(why) == 1 and why not in capture
    bpy.context.view_layer.objects.active = bpy.data.objects["Blue"]
    assert why in texts(drawn(panels[1], bpy.context))
    bpy.context.view_layer.objects.active = None
    assert why in texts(drawn(panels[1], bpy.context))
    bpy.context.view_layer.objects.active = item
    del item["splat_run"]
    floaters, capture = (texts(drawn(panel, bpy.context)) for panel in panels)
    assert why not in floaters and capture.count(why) == 1, "whose they are cannot be told any more"


def test_a_cancelled_render_leaves_what_was_there(extension, live_render, shelf, tmp_path):
    item, _ = shelf
    bpy.context.scene.splat.inspection.outside_count = 2
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    before = {path: path.read_bytes() for path in (tmp_path / "capture" / "outside_views").rglob("*.*")}
    bpy.context.scene.splat.inspection.outside_count = 6
    bpy.context.scene.splat.capture.samples = 4096
    assert bpy.ops.splat.render_outside_views() == {"FINISHED"}
    assert not bpy.ops.splat.render_outside_views.poll() and not bpy.ops.splat.capture_scene.poll()
    inspect_as_above(extension, item, shelf[1])
    record = drawn(extension.module("panels.floaters").SPLAT_PT_floaters, bpy.context)
    assert ("operator", "splat.cancel_capture", "") in record and "Render Outside Views" not in texts(record)
    assert bpy.ops.splat.cancel_capture() == {"FINISHED"}
    finish(live_render)
    assert live_render.current().state == "stopped"
    assert live_render.current().message.endswith("of 6 views: render them again to continue.")
    assert {path: path.read_bytes() for path in before} == before
    assert len(opened(extension, tmp_path / "capture")) == 2
    told = texts(drawn(extension.module("panels.floaters").SPLAT_PT_floaters, bpy.context))
    assert "render them again to continue" in told and "2 views off the path, rendered of this scene" in told


def test_views_of_another_capture_are_not_used_and_that_is_said(extension, live_render, previewing, shelf, tmp_path):
    item, hangs = shelf
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    listed = tmp_path / "capture" / "outside_views" / "transforms.json"
    listed.write_text(json.dumps(json.loads(listed.read_text()) | {"outside_of": "2:another"}))
    inspect_as_above(extension, item, hangs)
    told = texts(drawn(extension.module("panels.floaters").SPLAT_PT_floaters, bpy.context))
    assert "The views off the path are of another capture than this is now, and not used: render them again." in told
    assert bpy.ops.splat.preview_removal(wait=True) == {"FINISHED"}
    assert previewing.measured_of(item).removal.off_path is None
    assert "were rendered for another capture" in " ".join(previewing.said_of(item))


def test_a_capture_that_was_made_again_is_told_everywhere_and_leads_on_to_training(
    extension, live_render, previewing, shelf, problem, tmp_path
):
    """Panel, button and preview say the same, and what they ask for helps."""
    item, hangs = shelf
    panel = extension.module("panels.floaters").SPLAT_PT_floaters
    inspect_as_above(extension, item, hangs)
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    assert problem() == "" and "Preview Removal measures there, too" in texts(drawn(panel, bpy.context))
    bpy.data.objects["Row 1"].location.x -= 0.4
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    bpy.context.view_layer.objects.active = item

    changed = "The capture has changed since these splats were trained: train on it as it is now, and bring that in"
    assert problem() == changed and not bpy.ops.splat.render_outside_views.poll()
    with pytest.raises(RuntimeError, match=changed):
        bpy.ops.splat.render_outside_views(wait=True)
    told = texts(drawn(panel, bpy.context))
    assert "measures there, too" not in told
    assert "The capture has changed since these splats were trained: the views off its path are not used. Train" in told
    assert bpy.ops.splat.preview_removal(wait=True) == {"FINISHED"}
    said = " ".join(previewing.said_of(item))
    assert previewing.measured_of(item).removal.off_path is None
    assert "If these splats were trained on it before, train on it as it is now and bring that in; then render" in said

    about, capture = tmp_path / "run" / "about.json", extension.module("splat_addon.capture.capture")
    before = about.read_text()
    about.write_text(json.dumps({"capture_fingerprint": capture.open_capture(tmp_path / "capture").fingerprint()}))
    assert problem() == ""
    assert "are of another capture than this is now, and not used: render" in texts(drawn(panel, bpy.context))
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    assert "4 views off the path, rendered of this scene" in texts(drawn(panel, bpy.context))

    about.write_text(before)
    assert "and the views off the path are of the new one. Train on it as" in texts(drawn(panel, bpy.context))


def test_a_capture_whose_photos_alone_have_changed_is_refused_when_it_is_opened(live_render, shelf, problem, tmp_path):
    assert problem() == "", "which looks at the photos again when the list of cameras has changed"
    photo = next((tmp_path / "capture" / "images").iterdir())
    photo.write_bytes(photo.read_bytes() + b"more")
    with pytest.raises(RuntimeError, match=r"The capture has changed since these splats were trained\. Train on it as"):
        bpy.ops.splat.render_outside_views(wait=True)
    assert not (tmp_path / "capture" / "outside_views").exists()


def test_the_button_says_why_there_is_nothing_to_render(live_render, shelf, problem, tmp_path):
    item, _ = shelf
    assert problem() == "" and bpy.ops.splat.render_outside_views.poll()
    scene, capture = bpy.context.scene, tmp_path / "capture"
    (tmp_path / "other").mkdir()
    scene.splat.capture.folder = str(tmp_path / "other")
    assert problem().startswith("These splats were trained on another capture than this scene's: choose its folder")
    scene.splat.capture.folder = ""
    assert problem().startswith("These splats were trained on another capture than this scene's")
    scene.splat.capture.folder = str(capture)
    capture.rename(tmp_path / "elsewhere")
    assert problem() == "The capture that these splats were trained on is gone: put it back"
    assert not bpy.ops.splat.render_outside_views.poll()
    (tmp_path / "elsewhere").rename(capture)
    assert problem() == ""
    item["splat_run"] = r"\\evil\share\run_001"
    assert problem().startswith(r"\\evil\share\run_001 lies on another machine")
    item["splat_run"] = str(tmp_path / "gone")
    assert problem() == "The run that these splats come from cannot be read: put it back"
    del item["splat_run"]
    assert problem().startswith("These splats come from no run: bring in the result of a run")
    bpy.context.view_layer.objects.active = None
    assert problem() == "Make a splat object active first"


def test_a_capture_on_a_share_is_told_as_such_until_it_is_chosen(extension, live_render, shelf, problem, tmp_path):
    """The run is read once: whether its capture may be looked at is asked each time."""
    paths, scene, settings = extension.module("splat_addon.scene.settings.paths"), bpy.context.scene, tmp_path / "run"
    named = json.loads((settings / "config.json").read_text()) | {"capture": r"\\srv\share\cap"}
    (settings / "config.json").write_text(json.dumps(named))
    try:
        scene.splat.capture.folder = ""
        assert problem().startswith(r"\\srv\share\cap lies on another machine")
        scene.splat.capture.folder = str(tmp_path / "capture")
        assert problem() == "", "the project has moved: the capture is where the scene has it"
        scene.splat.capture.folder = ""
        paths.ask_for(r"\\srv\share\other")
        assert problem() == "The capture that these splats were trained on is gone: put it back"
    finally:
        extension.drop(paths.Asked)


def test_where_all_splats_are_hidden_none_are_looked_at_before_they_are_shown(extension, live_render, shelf, tmp_path):
    item, hangs = shelf
    choosing = extension.module("splat_addon.scene.inspection.choosing")
    choosing.hide(item.data, np.ones(len(hangs), bool))
    former = live_render.current()
    with pytest.raises(RuntimeError, match=r"All of these splats are hidden: .* shown\. Use Show Hidden first"):
        bpy.ops.splat.render_outside_views(wait=True)
    assert live_render.current() is former, "no other Blender was started"
    assert bpy.ops.splat.show_hidden() == {"FINISHED"}
    choosing.hide(item.data, hangs)
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    assert len(opened(extension, tmp_path / "capture")) == 4


def test_of_photos_that_no_scene_has_made_nothing_is_rendered(extension, problem, tmp_path):
    photographed_run(extension, tmp_path)
    bpy.context.scene.splat.capture.folder = str(tmp_path / "capture")
    assert problem().startswith("These splats were trained on photos, not on a capture of a scene")
    inspect_in_place(extension, bpy.context.active_object)
    assert "views off the path" not in texts(drawn(extension.module("panels.floaters").SPLAT_PT_floaters, bpy.context))


def test_cameras_stand_in_sight_of_a_training_camera_and_nothing_is_right_before_them(extension, tmp_path):
    """One in the air, one within a box, one with its nose at the wall, one behind the wall."""
    build_shelf(tmp_path)
    names = ("scene.rendering.outside", "run.render_folder", "capture.camera")
    outside, render_folder, camera = (extension.module(f"splat_addon.{name}") for name in names)
    scene = bpy.context.scene

    def looking_ahead(*place):
        """Along +y, with z up."""
        matrix = np.eye(4)
        matrix[:3, :3] = [(1, 0, 0), (0, 0, -1), (0, 1, 0)]
        matrix[:3, 3] = -matrix[:3, :3] @ place
        return camera.Camera(64, 48, 60.0, 60.0, 32.0, 24.0, matrix)

    free, others = looking_ahead(1.5, -4.0, 1.4), [(0, 0.3, 0.8), (0, 0.3, 2.2), (0, 3.0, 1.5)]
    row = outside.placed(looking_ahead(0.0, -5.0, 1.2))
    asked, found = render_folder.OutsidePlan("", 3, (row,), (("", row),)), [looking_ahead(*place) for place in others]
    shot = render_folder.Shot("images/0.png", "", 1.0)
    plan = render_folder.RenderPlan(scene.name_full, (shot,))
    with pytest.raises(extension.module("splat_addon.errors").CaptureError, match="No view off the path stands free"):
        outside.put_cameras(scene, plan, asked, found, 5.0)
    plan, compared = outside.put_cameras(scene, plan, asked, [*found, free], 5.0)
    assert [shot.photo for shot in plan.shots] == ["images/outside_001.png"] and plan.shots[0].is_held_out
    placed = [bpy.data.objects[shot.camera] for shot in (*compared, *plan.shots)]
    assert np.allclose([item.matrix_world.translation for item in placed], [(0, -5.0, 1.2), (1.5, -4.0, 1.4)])
    bpy.context.scene.camera = placed[0]
    found = extension.module("splat_addon.scene.cameras.conversion").camera_from_object(placed[1], scene)
    assert (found.width, found.height) == (64, 48) and found.fx == pytest.approx(60.0, rel=1e-6)
    assert np.allclose(found.camera_from_world, free.camera_from_world, atol=1e-6)
