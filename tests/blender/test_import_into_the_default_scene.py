"""A splat file into the scene that Blender starts with: seen at once, and turned as the file tells, or later."""

import math
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Vector

from support.recording_layout import drawn


@pytest.fixture
def default_file():
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    return bpy.context.scene


@pytest.fixture
def write(extension):
    """Writes gaussians around (10, 0, 2) as a file of its ending."""
    registry = extension.module("splat_addon.gaussians.formats.registry")
    cloud_type = extension.module("splat_addon.gaussians.cloud").GaussianCloud

    def write(path: Path, count: int = 400, comment: str = "") -> Path:
        random = np.random.default_rng(0)
        cloud = cloud_type(
            means=random.normal(size=(count, 3)) + (10, 0, 2),
            log_scales=random.uniform(-6, -3, size=(count, 3)),
            quaternions=random.normal(size=(count, 4)),
            logit_opacities=random.uniform(-4, 4, size=count),
            sh=random.uniform(-0.9, 0.9, size=(count, 1, 3)),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        registry.write_splats(path, cloud)
        if comment:
            data = path.read_bytes()
            path.write_bytes(data.replace(b"element vertex", f"comment {comment}\nelement vertex".encode(), 1))
        return path

    return write


def imported(path: Path, **options):
    bpy.ops.splat.import_ply(filepath=str(path), **options)
    return bpy.context.object


def turn_of(item) -> float:
    """Degrees about x."""
    return math.degrees(item.matrix_basis.to_euler().x)


def largest_view():
    areas = [area for area in bpy.context.window.screen.areas if area.type == "VIEW_3D"]
    return max(areas, key=lambda area: area.width * area.height).spaces.active.region_3d


def test_the_splats_are_selected_framed_and_no_cube_is_in_the_way(default_file, write, tmp_path, capfd):
    cube, view = bpy.data.objects["Cube"], largest_view()
    view.view_location, view.view_distance = (0, 0, 0), 0.5
    item = imported(write(tmp_path / "a.ply"))
    assert item.select_get() and item == bpy.context.view_layer.objects.active
    assert cube.hide_render and not cube.visible_get()
    assert "'Cube', of Blender's default scene, is hidden, also in renders" in "".join(capfd.readouterr())
    assert (Vector(view.view_location) - Vector((10, 0, 2))).length < 1.5, "aside of what the toolbar covers"
    assert 3.0 < view.view_distance < 30.0


@pytest.mark.parametrize("change", ["moved", "modified", "edited", "renamed"])
def test_a_cube_that_somebody_has_worked_on_stays(default_file, write, tmp_path, change):
    cube = bpy.data.objects["Cube"]
    if change == "moved":
        cube.location.x = 2
    elif change == "modified":
        cube.modifiers.new("Bevel", "BEVEL")
    elif change == "edited":
        cube.data.vertices[0].co.x = 1.5
    else:
        cube.name = "Room"
    bpy.context.view_layer.update()
    imported(write(tmp_path / "a.ply"))
    assert cube.visible_get() and not cube.hide_render


def test_a_file_that_cannot_be_read_hides_nothing(default_file, tmp_path):
    (tmp_path / "a.ply").write_text("no splats")
    with pytest.raises(RuntimeError):
        bpy.ops.splat.import_ply(filepath=str(tmp_path / "a.ply"))
    assert bpy.data.objects["Cube"].visible_get()


@pytest.mark.parametrize(
    ("file", "beside", "comment", "axes", "turn", "reason"),
    [
        ("a.ply", "", "", "STORED", 0, "It does not say where up is. If the splats lie on their side"),
        ("a.ply", "", "Vertical Axis: z", "STORED", 0, "It says that its vertical axis is z."),
        ("a.ply", "", "Vertical axis: y", "Y_DOWN", -90, "It says that its vertical axis is y;"),
        (
            "out/point_cloud/iteration_7000/point_cloud.ply",
            "out/cfg_args",
            "",
            "Y_DOWN",
            -90,
            "cfg_args above it is of a trainer on COLMAP's axes, in which y points down.",
        ),
        ("a.spz", "", "", "Y_UP", 90, "SPZ: y points up in such files."),
    ],
)
def test_axes_are_guessed_with_a_reason(write, tmp_path, file, beside, comment, axes, turn, reason):
    if beside:
        (tmp_path / beside).parent.mkdir(parents=True)
        (tmp_path / beside).write_text("")
    item = imported(write(tmp_path / file, comment=comment))
    assert item.splat.axes == axes and round(turn_of(item)) == turn
    assert item["splat_axes_reason"].startswith(reason)


def test_axes_are_changed_later_and_what_the_artist_did_stays(extension, write, tmp_path):
    item = imported(write(tmp_path / "a.ply"))
    item.splat.axes = "Y_DOWN"
    assert round(turn_of(item)) == -90 and "splat_axes_reason" not in item
    moved = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(0.3, 4, "Z") @ Matrix.Scale(2, 4)
    item.matrix_basis = moved @ item.matrix_basis
    item.splat.axes = "Y_UP"
    upright = Matrix(extension.module("splat_addon.gaussians.transform").z_up_from("Y_UP").tolist())
    assert np.allclose(item.matrix_basis, moved @ upright, atol=1e-6)
    item.splat.axes = "STORED"
    assert np.allclose(item.matrix_basis, moved, atol=1e-6)


def test_axes_that_were_changed_change_nothing_in_the_file_that_is_exported(extension, write, tmp_path):
    source = write(tmp_path / "a.ply")
    imported(source).splat.axes = "Y_DOWN"
    bpy.context.view_layer.update()
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "b.ply"))
    read = extension.module("splat_addon.gaussians.formats.registry").read_splats
    before, after = read(source), read(tmp_path / "b.ply")
    assert np.array_equal(after.means, before.means) and np.array_equal(after.sh, before.sh)
    assert np.allclose(after.log_scales, before.log_scales, atol=1e-6)


def test_axes_chosen_at_import_need_no_reason(write, tmp_path):
    item = imported(write(tmp_path / "a.ply"), axes="Y_UP")
    assert item.splat.axes == "Y_UP" and "splat_axes_reason" not in item and round(turn_of(item)) == 90


def test_the_render_button_sets_what_splats_need_and_renders(default_file, write, tmp_path):
    imported(write(tmp_path / "a.ply", count=20))
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples = "CYCLES", 2
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.render.resolution_percentage = 100
    assert scene.render.dither_intensity == 1.0
    assert bpy.ops.splat.render() == {"FINISHED"}
    assert scene.render.dither_intensity == 0.0 and not scene.cycles.use_denoising
    assert scene.cycles.transparent_max_bounces >= 256
    assert tuple(bpy.data.images["Render Result"].size) in ((16, 16), (0, 0)), "Blender made a picture"
    scene.camera = None
    with pytest.raises(RuntimeError, match="The scene has no camera: Camera to View makes one"):
        bpy.ops.splat.render()


def test_what_comes_first_is_at_the_top_of_the_sidebar(extension, default_file, write, tmp_path, monkeypatch):
    panel = extension.module("panels.at_hand").SPLAT_PT_at_hand

    def buttons():
        return [entry[1] for entry in drawn(panel, bpy.context) if entry[0] == "operator"]

    assert buttons() == ["splat.import_ply", "splat.open_photo_capture", "splat.add_sample_scene"]
    imported(write(tmp_path / "a.ply"))
    assert buttons() == ["splat.camera_to_view", "splat.render"]
    live_run = extension.module("splat_addon.scene.tasks.live_run")
    folder = extension.module("splat_addon.run.folder").RunFolder(tmp_path / "run_001")
    run = live_run.LiveRun(folder, None, bpy.context.scene.session_uid, 1000, state="training")
    monkeypatch.setattr(live_run.watched(), "run", run)
    assert buttons() == ["splat.command_training"] * 3 + ["splat.review_view", "splat.hide_source"]
    run.state = "finished"
    bpy.context.view_layer.objects.active = None
    review = extension.module("splat_addon.scene.review.held_out")
    monkeypatch.setattr(review, "is_reviewing", lambda _: True)
    assert buttons()[2:] == ["splat.leave_review", "splat.hide_source"]
    monkeypatch.setattr(review, "is_reviewing", lambda _: False)
    assert buttons() == ["splat.camera_to_view", "splat.render", "splat.review_view", "splat.hide_source"]
    monkeypatch.setattr(live_run.watched(), "run", None)
    bpy.context.scene.splat.capture.folder = str(tmp_path)
    assert buttons() == ["splat.capture_scene", "splat.start_training"]
