"""Photo captures in Blender: cameras that project as measured, photos behind them, one root, and the way out."""

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared captures are not on this machine")
SIZE = (64, 48)


@pytest.fixture
def core(extension):
    """The modules that the tests speak to, as Blender loaded them."""

    class Core:
        camera = extension.module("splat_addon.capture.camera")
        capture = extension.module("splat_addon.capture.capture")
        colmap = extension.module("splat_addon.capture.formats.colmap")
        model = extension.module("splat_addon.capture.formats.colmap.model")
        transforms = extension.module("splat_addon.capture.formats.transforms")
        ply = extension.module("splat_addon.gaussians.formats.splat_ply")
        cameras = extension.module("splat_addon.scene.cameras.conversion")
        photos = extension.module("splat_addon.scene.photos.photo_capture")
        looking = extension.module("splat_addon.scene.cameras.looking")

    return Core


def save_image(path: Path, width: int, height: int, pixels: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = bpy.data.images.new(path.stem, width, height)
    if pixels is not None:
        image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1], dtype=np.float32).ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def ring(core, count: int = 6, **changes) -> dict:
    """Cameras around the origin in a world whose y points down, as COLMAP's often does."""
    cameras = {}
    for index, turn in enumerate(np.linspace(0, 2 * np.pi, count, endpoint=False)):
        place = np.array([3 * np.cos(turn), -1.5, 3 * np.sin(turn)])
        forward = -place / np.linalg.norm(place)
        right = np.cross((0, 1, 0), forward)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
        pose[:3, 3] = -pose[:3, :3] @ place
        values = {"width": SIZE[0], "height": SIZE[1], "fx": 70.0, "fy": 70.0, "cx": 30.0, "cy": 25.0, **changes}
        cameras[f"photo_{index}.png"] = core.camera.Camera(**values, camera_from_world=pose)
    return cameras


def write_capture(core, folder: Path, cameras: dict | None = None, photos: bool = True) -> Path:
    cameras = cameras or ring(core)
    (folder / "sparse/0").mkdir(parents=True)
    (folder / "images").mkdir()
    points = np.random.default_rng(0).uniform(-0.7, 0.7, size=(40, 3))
    colors = np.random.default_rng(1).integers(0, 256, size=(40, 3)) / 255
    core.colmap.write_model(folder / "sparse/0", core.model.ColmapModel(cameras, points, colors))
    for name in cameras if photos else ():
        save_image(folder / "images" / name, *SIZE)
    return folder


def open_folder(folder: Path, **options) -> bpy.types.Object:
    assert bpy.ops.splat.open_photo_capture(directory=str(folder), **options) == {"FINISHED"}
    bpy.context.view_layer.update()
    return bpy.context.view_layer.objects.active


def blender_pixels(item: bpy.types.Object, points_world: np.ndarray) -> np.ndarray:
    """(P, 2) pixels where Blender itself sees world points through a camera that is looked through."""
    render = bpy.context.scene.render
    seen = np.array([world_to_camera_view(bpy.context.scene, item, Vector(point)) for point in points_world])
    return np.stack([seen[:, 0] * render.resolution_x, (1 - seen[:, 1]) * render.resolution_y], axis=1)


def in_world(root: bpy.types.Object, points: np.ndarray) -> np.ndarray:
    matrix = np.array(root.matrix_world)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def stored_points(root: bpy.types.Object) -> bpy.types.ID:
    return next(item.data for item in root.children if "splat_points" in item)


# --- Opening ---------------------------------------------------------------------------------------------------------


def test_a_capture_opens_as_cameras_with_photos_and_points_below_one_root(core, tmp_path):
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 1000, 500
    root = open_folder(write_capture(core, tmp_path / "capture"), stand_upright=False)
    assert root.name == "capture" and root.type == "EMPTY" and root.select_get()
    assert root.matrix_world == Matrix.Identity(4)
    items = core.photos.photo_cameras(root)
    assert [item.name for item in items] == [f"photo_{index}" for index in range(6)]
    assert all(item.parent == root and all(item.lock_location) for item in items)
    for item in items:
        (entry,) = item.data.background_images
        assert Path(entry.image.filepath).name == item.name + ".png"
        assert (entry.alpha, entry.display_depth) == (1.0, "BACK") and item.data.show_background_images
        assert not entry.image.has_data, "photos are not decoded before they are looked at"
    assert {item.users_collection[0].name for item in (root, *items)} == {"capture"}
    assert (scene.render.resolution_x, scene.render.resolution_y, scene.camera) == (1000, 500, None)


def test_points_come_with_their_places_and_colours(core, tmp_path):
    root = open_folder(write_capture(core, tmp_path / "capture"))
    expected = core.colmap.read_model(tmp_path / "capture/sparse/0")
    data = stored_points(root)
    if bpy.app.version >= (5, 1, 0):
        assert isinstance(data, bpy.types.PointCloud)
    else:
        assert isinstance(data, bpy.types.Mesh)
    places, colors = np.empty(120, np.float32), np.empty(160, np.float32)
    data.attributes["position"].data.foreach_get("vector", places)
    data.attributes["Col"].data.foreach_get("color", colors)
    assert np.allclose(places.reshape(-1, 3), expected.positions, atol=1e-6)
    encoded = np.where(expected.colors <= 0.04045, expected.colors / 12.92, ((expected.colors + 0.055) / 1.055) ** 2.4)
    assert np.allclose(colors.reshape(-1, 4)[:, :3], encoded, atol=1e-6)
    points = next(item for item in root.children if "splat_points" in item)
    assert points.hide_render and points.matrix_basis == Matrix.Identity(4)
    evaluated = points.evaluated_get(bpy.context.evaluated_depsgraph_get())
    assert len(evaluated.data.materials or points.data.materials) == 1


def test_points_shine_in_their_colours(extension):
    """Rendered by Cycles through the carrier that this Blender allows: three large points side by side."""
    scene = bpy.context.scene
    colors = np.array([[0.9, 0.1, 0.2], [0.1, 0.7, 0.3], [0.5, 0.5, 1.0]])
    points = extension.module("splat_addon.capture.capture").Points(
        np.array([[-1.0, 0, 0], [0, 0, 0], [1, 0, 0]]), colors
    )
    module = extension.module("splat_addon.scene.photos.points")
    item = module.points_to_object(points, "Points", 0.45, scene.collection)
    item.hide_render = False
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.type, camera.data.ortho_scale, camera.location.z = "ORTHO", 3.0, 5.0
    scene.collection.objects.link(camera)
    scene.camera = camera
    if "cycles" not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module="cycles")
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.dither_intensity = 30, 10, 0
    scene.view_settings.view_transform = "Standard"
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = f"{folder}/points.png"
        bpy.ops.render.render(write_still=True)
        pixels = np.array(bpy.data.images.load(scene.render.filepath).pixels[:]).reshape(10, 30, 4)
    assert np.abs(pixels[5, [5, 15, 25], :3] - colors).max() < 1.5 / 255


def test_opening_can_be_undone(core, tmp_path):
    bpy.ops.ed.undo_push(message="before")
    write_capture(core, tmp_path / "capture")
    open_folder(tmp_path / "capture")
    bpy.ops.ed.undo_push(message="opened")
    bpy.ops.ed.undo()
    assert len(bpy.data.objects) == 0 and bpy.context.scene.splat.capture.folder == ""
    bpy.ops.ed.redo()
    assert len(core.photos.photo_cameras(core.photos.roots(bpy.context.scene)[0])) == 6


def test_the_opened_folder_is_what_training_starts_on(extension, core, tmp_path):
    open_folder(write_capture(core, tmp_path / "capture") / "sparse/0")
    config = extension.module("splat_addon.scene.settings.training").train_config(bpy.context.scene)
    assert config.capture == str(tmp_path / "capture"), "the model's folder leads to its capture"
    assert len(core.capture.open_capture(Path(config.capture)).views) == 6


@needs_data
@pytest.mark.parametrize("name", ["sceaux_model", "banana"])
@pytest.mark.parametrize("stands_upright", [True, False])
def test_sparse_points_land_where_colmap_saw_them_through_blenders_cameras(core, name, stands_upright):
    """The mean reprojection error of the model, measured with Blender's own projection of the points it stores. What a
    lens adds, which Blender's cameras cannot do, is taken from the model; once more with observations undistorted."""
    root = open_folder(DATA / name, stand_upright=stands_upright)
    model = core.colmap.read_model(core.colmap.find_model(DATA / name), with_observations=True)
    flat = np.empty(3 * len(model.positions), np.float32)
    stored_points(root).attributes["position"].data.foreach_get("vector", flat)
    world = in_world(root, flat.reshape(-1, 3))
    expected, errors, undistorted = [], [], []
    for item in core.photos.photo_cameras(root):
        bpy.context.view_layer.objects.active = item
        bpy.ops.splat.look_through_photo()
        seen = model.observations[item["splat_photo"]]
        camera = model.cameras[item["splat_photo"]]
        rows, observed = seen.points[seen.points >= 0], seen.pixels[seen.points >= 0]
        ideal = blender_pixels(item, world[rows])
        focal, center = np.array((camera.fx, camera.fy)), np.array((camera.cx, camera.cy))
        distorted = camera.distort((ideal - center) / focal) * focal + center
        expected.append(np.linalg.norm(camera.project(model.positions[rows])[0] - observed, axis=1))
        errors.append(np.linalg.norm(distorted - observed, axis=1))
        undistorted.append(np.linalg.norm(ideal - camera.undistort_pixels(observed), axis=1))
        bpy.ops.splat.leave_photo()
    errors, undistorted, expected = (np.concatenate(parts) for parts in (errors, undistorted, expected))
    print(f"{name}: {expected.mean():.5f} px, by Blender {errors.mean():.5f}, undistorted {undistorted.mean():.5f}")
    assert abs(expected.mean() - {"sceaux_model": 0.6285, "banana": 0.0759}[name]) < 0.0001
    assert abs(errors.mean() - expected.mean()) < 0.001
    assert np.abs(errors - expected).max() < 0.01, "and every single observation"
    assert abs(undistorted.mean() - expected.mean()) < 0.05 * expected.mean()


def test_oblong_pixels_and_off_centre_photos_are_seen_exactly(core, tmp_path):
    cameras = ring(core, fx=70.0, fy=56.0, cx=21.0, cy=31.0)
    root = open_folder(write_capture(core, tmp_path / "capture", cameras))
    points = np.random.default_rng(3).uniform(-0.5, 0.5, size=(50, 3))
    for item in core.photos.photo_cameras(root):
        bpy.context.view_layer.objects.active = item
        bpy.ops.splat.look_through_photo()
        expected, _ = cameras[item["splat_photo"]].project(points)
        assert np.abs(blender_pixels(item, in_world(root, points)) - expected).max() < 0.01
        image = item.data.background_images[0].image
        assert abs(image.display_aspect[1] / image.display_aspect[0] - 70 / 56) < 1e-6, "the photo is as oblong"
        bpy.ops.splat.leave_photo()


@pytest.mark.parametrize(("width", "method"), [(1600, "CROP"), (400, "FIT")])
def test_photos_are_as_wide_as_the_frame_whatever_its_height(core, tmp_path, width, method):
    """The lens is measured by the width, so a photo that fills the width fits the scene in any render size."""
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = width, 800
    root = open_folder(write_capture(core, tmp_path / "capture"))
    item = core.photos.photo_cameras(root)[0]
    assert item.data.background_images[0].frame_method == method
    assert item.data.sensor_fit == "HORIZONTAL"


def test_missing_photos_are_named_and_their_cameras_are_empty(core, tmp_path, capfd):
    write_capture(core, tmp_path / "capture")
    (tmp_path / "capture/images/photo_2.png").unlink()
    root = open_folder(tmp_path / "capture")
    item = next(item for item in root.children if item.name == "photo_2")
    assert len(item.data.background_images) == 0
    assert "1 of 6 photos are missing, for example photo_2.png" in capfd.readouterr().out


def test_distorted_photos_are_announced(core, tmp_path, capfd):
    open_folder(write_capture(core, tmp_path / "capture", ring(core, distortion=(-0.5,))))
    said = capfd.readouterr().out
    assert "Photos distorted by their lens: 6, by up to" in said and "Export Capture with Undistort Photos" in said


def test_opening_again_says_so_and_changes_nothing(core, tmp_path):
    root = open_folder(write_capture(core, tmp_path / "capture"))
    before = [item.name for item in bpy.data.objects]
    root.location.x = 7
    with pytest.raises(RuntimeError, match=r"already open, below 'capture'; nothing was changed\. Use Open Again"):
        bpy.ops.splat.open_photo_capture(directory=str(tmp_path / "capture"))
    assert [item.name for item in bpy.data.objects] == before and root.location.x == 7


def test_two_captures_can_be_open_side_by_side(core, tmp_path):
    first = open_folder(write_capture(core, tmp_path / "a/capture"))
    second = open_folder(write_capture(core, tmp_path / "b/capture"))
    assert first != second and len(core.photos.photo_cameras(first)) == len(core.photos.photo_cameras(second)) == 6


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda folder: folder.mkdir(), r"holds neither transforms\.json nor a COLMAP model\. Choose the folder"),
        (lambda folder: None, r"does not exist\. Choose the folder of a capture"),
    ],
)
def test_what_is_no_capture_is_refused_and_leaves_nothing(tmp_path, make, sentence):
    make(tmp_path / "capture")
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.splat.open_photo_capture(directory=str(tmp_path / "capture"))
    with pytest.raises(RuntimeError, match=r"No folder is chosen\. Choose one"):
        bpy.ops.splat.open_photo_capture(directory="")
    assert len(bpy.data.objects) == len(bpy.data.collections) == 0
    assert bpy.context.scene.splat.capture.folder == ""


def test_paths_are_kept_beside_a_saved_file(core, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "project.blend"))
    write_capture(core, tmp_path / "capture")
    root = open_folder(tmp_path / "capture")
    assert root["splat_capture"] == "//capture" == bpy.context.scene.splat.capture.folder
    image = core.photos.photo_cameras(root)[0].data.background_images[0].image
    assert image.filepath == "//capture/images/photo_0.png"
    bpy.ops.wm.save_mainfile()
    shutil.move(tmp_path, tmp_path.with_name(tmp_path.name + "_moved"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path.with_name(tmp_path.name + "_moved") / "project.blend"))
    scene = bpy.context.scene
    assert core.photos.find_root(scene, tmp_path.with_name(tmp_path.name + "_moved") / "capture") is not None
    shutil.move(tmp_path.with_name(tmp_path.name + "_moved"), tmp_path)


# --- Standing upright ------------------------------------------------------------------------------------------------


def test_captures_stand_upright_and_only_their_root_moves(core, tmp_path):
    root = open_folder(write_capture(core, tmp_path / "capture"), stand_upright=False)
    items = core.photos.photo_cameras(root)
    before = [item.matrix_basis.copy() for item in items]
    ups = [item.matrix_world.to_3x3() @ Vector((0, 1, 0)) for item in items]
    assert np.mean([up.z for up in ups]) < 0.1, "y points down in the files"
    assert bpy.ops.splat.stand_upright(distance_m=6.0) == {"FINISHED"}
    bpy.context.view_layer.update()
    assert [item.matrix_basis for item in items] == before
    for item in items:
        turn = item.matrix_world.to_3x3().normalized()
        assert (turn @ Vector((0, 1, 0))).z > 0.8 and abs((turn @ Vector((1, 0, 0))).z) < 1e-5, "upright and level"
        assert abs(item.matrix_world.translation.length - 6.0) < 1e-4
        assert item.data.clip_start < 0.1 and item.data.clip_end > 1000
    assert bpy.ops.splat.stand_upright(use_scale=False) == {"FINISHED"}
    assert np.allclose(root.scale, 1.0)


def test_opening_stands_photos_upright_but_leaves_a_scenes_capture_where_the_scene_is(core, tmp_path):
    root = open_folder(write_capture(core, tmp_path / "photos"))
    assert root.matrix_world != Matrix.Identity(4)
    cameras = {f"images/{name}": camera for name, camera in ring(core).items()}
    for name in cameras:
        save_image(tmp_path / "scene" / name, *SIZE)
    extra = {"source": "blender-scene"}
    core.transforms.write_transforms(tmp_path / "scene/transforms.json", cameras, set(), None, extra)
    assert open_folder(tmp_path / "scene").matrix_world == Matrix.Identity(4)


# --- Looking through -------------------------------------------------------------------------------------------------


def test_looking_through_borrows_camera_and_size_and_gives_them_back(core, tmp_path):
    scene = bpy.context.scene
    mine = bpy.data.objects.new("Mine", bpy.data.cameras.new("Mine"))
    scene.collection.objects.link(mine)
    scene.camera = mine
    scene.render.resolution_x, scene.render.resolution_percentage = 1234, 42
    open_folder(write_capture(core, tmp_path / "capture"))
    bpy.ops.splat.look_through_photo()
    assert scene.camera.name == "photo_0"
    assert (scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage) == (64, 48, 100)
    bpy.ops.splat.look_through_photo(step=-1)
    assert scene.camera.name == "photo_5", "from the first to the last"
    bpy.ops.splat.look_through_photo(step=2)
    assert scene.camera.name == "photo_1"
    assert bpy.ops.splat.leave_photo() == {"FINISHED"}
    assert scene.camera == mine
    assert (scene.render.resolution_x, scene.render.resolution_percentage) == (1234, 42)
    assert not bpy.ops.splat.leave_photo.poll()


def test_closing_removes_what_was_opened_and_nothing_else(core, tmp_path):
    scene = bpy.context.scene
    root = open_folder(write_capture(core, tmp_path / "capture"))
    kept = bpy.data.objects.new("Kept", None)
    scene.collection.objects.link(kept)
    kept.parent = root
    bpy.context.view_layer.update()
    place = kept.matrix_world.copy()
    bpy.ops.splat.look_through_photo()
    assert bpy.ops.splat.close_photo_capture() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert [item.name for item in bpy.data.objects] == ["Kept"] and kept.parent is None
    assert np.allclose(kept.matrix_world, place, atol=1e-6)
    assert len(bpy.data.cameras) == len(bpy.data.images) == len(bpy.data.collections) == 0
    assert scene.camera is None and scene.render.resolution_x == 1920
    assert len(list((tmp_path / "capture/images").iterdir())) == 6
    assert not bpy.ops.splat.close_photo_capture.poll()
    open_folder(tmp_path / "capture")


# --- What hangs on the root ------------------------------------------------------------------------------------------


def make_run(extension, tmp_path: Path, capture: Path):
    """A finished run on `capture` with one splat and one measured held-out view, made of files alone."""
    config_module = extension.module("splat_addon.run.config")
    folder_module = extension.module("splat_addon.run.folder")
    events = extension.module("splat_addon.run.events")
    cloud_module = extension.module("splat_addon.gaussians.cloud")
    folder = folder_module.RunFolder.create(tmp_path / "run", config_module.TrainConfig(capture=str(capture)))
    cloud = cloud_module.GaussianCloud(
        np.ones((1, 3)), np.zeros((1, 3)), np.ones((1, 4)), np.zeros(1), np.zeros((1, 1, 3))
    )
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(folder.splats_file, cloud)
    save_image(folder.renders_folder(5) / "photo_0.png", *SIZE)
    evaluated = events.Evaluated(5, 30.0, 0.9, 1, "held_out/step_000005", (events.ViewQuality("photo_0", 30.0, 0.9),))
    folder.events_file.write_text(events.encode_event(evaluated) + "\n")
    return folder


def test_splats_of_a_capture_follow_its_root(extension, core, tmp_path):
    capture = write_capture(core, tmp_path / "capture")
    run = make_run(extension, tmp_path, capture)
    bpy.context.scene.splat.run_folder = str(run.path)
    bpy.ops.splat.import_result()
    splats = bpy.context.view_layer.objects.active
    assert splats.parent is None
    root = open_folder(capture)
    bpy.ops.splat.import_result()
    bpy.context.view_layer.update()
    assert splats.parent == root and splats.matrix_basis == Matrix.Identity(4)
    assert splats.matrix_world == root.matrix_world != Matrix.Identity(4)
    splats.parent, splats.location = None, (1, 2, 3)
    bpy.ops.splat.import_result()
    assert splats.parent is None, "who has moved them is not overruled"


def test_held_out_views_are_reviewed_where_the_root_has_put_the_splats(extension, core, tmp_path):
    capture = write_capture(core, tmp_path / "capture")
    run = make_run(extension, tmp_path, capture)
    root = open_folder(capture)
    scene = bpy.context.scene
    scene.splat.run_folder = str(run.path)
    assert bpy.ops.splat.review_view() == {"FINISHED"}
    bpy.context.view_layer.update()
    camera = ring(core)["photo_0.png"]
    points = np.random.default_rng(3).uniform(-0.5, 0.5, size=(20, 3))
    pixels = blender_pixels(scene.camera, in_world(root, points))
    assert np.abs(pixels - camera.project(points)[0]).max() < 0.01
    bpy.ops.splat.leave_review()
    assert scene.camera is None and scene.render.resolution_x == 1920


# --- The way out -----------------------------------------------------------------------------------------------------


def numbers_of(view) -> np.ndarray:
    camera = view.camera
    lens = [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy]
    return np.array([*lens, *np.ravel(camera.camera_from_world)])


def test_a_scene_comes_back_through_capture_import_and_export(extension, core, tmp_path):
    """Round trip: Blender's cameras -> capture -> photo capture -> export: identical cameras to 1e-6."""
    scene = bpy.context.scene
    bpy.ops.mesh.primitive_cube_add(size=1)
    bpy.context.view_layer.update()
    chosen = scene.splat.capture
    chosen.folder, chosen.source = str(tmp_path / "capture"), "SELECTED"
    chosen.width, chosen.height, chosen.samples, chosen.seed_count = 24, 16, 1, 50
    chosen.engine = "CYCLES"
    for index in range(3):
        item = bpy.data.objects.new(f"Cam {index}", bpy.data.cameras.new("Cam"))
        item.matrix_world = Euler((0, 0, 2 * index)).to_matrix().to_4x4() @ Matrix.Translation((0, -4, 1))
        item.matrix_world = item.matrix_world @ Euler((1.35, 0, 0.02 * index)).to_matrix().to_4x4()
        item.data.lens, item.data.shift_x, item.data.shift_y = 40 + index, 0.05, -0.03
        scene.collection.objects.link(item)
        item.select_set(True)
    if "cycles" not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module="cycles")
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    captured = core.capture.open_capture(tmp_path / "capture")
    root = open_folder(tmp_path / "capture")
    bpy.ops.splat.export_capture(
        directory=str(tmp_path / "out"), formats={"TRANSFORMS", "COLMAP_BINARY", "COLMAP_TEXT"}
    )
    again = core.capture.open_capture(tmp_path / "out")
    (tmp_path / "out/transforms.json").unlink()
    as_colmap = core.capture.open_capture(tmp_path / "out")
    for view, found, other in zip(captured.views, again.views, as_colmap.views, strict=True):
        assert np.abs(numbers_of(found) - numbers_of(view)).max() < 1e-6
        assert np.abs(numbers_of(other) - numbers_of(view)).max() < 1e-6
        item = next(item for item in root.children if item.name.startswith(view.name))
        bpy.context.view_layer.objects.active = item
        bpy.ops.splat.look_through_photo()
        bpy.context.view_layer.update()
        read = core.cameras.camera_from_object(item, scene)
        assert np.abs(numbers_of(replace(view, camera=read)) - numbers_of(view)).max() < 1e-4, "Blender has 32 bits"
        bpy.ops.splat.leave_photo()


def test_export_in_blenders_axes_follows_the_root(core, tmp_path):
    write_capture(core, tmp_path / "capture")
    root = open_folder(tmp_path / "capture")
    bpy.ops.splat.export_capture(directory=str(tmp_path / "own"), formats={"TRANSFORMS"})
    bpy.ops.splat.export_capture(directory=str(tmp_path / "world"), formats={"TRANSFORMS"}, axes="WORLD")
    source, own, world = (core.capture.open_capture(tmp_path / name) for name in ("capture", "own", "world"))
    matrix = np.array(root.matrix_world)
    for view, same, moved in zip(source.views, own.views, world.views, strict=True):
        assert np.abs(numbers_of(same) - numbers_of(view)).max() < 1e-9
        expected = matrix[:3, :3] @ view.camera.position + matrix[:3, 3]
        assert np.abs(moved.camera.position - expected).max() < 1e-5
    assert np.allclose(world.points.positions, in_world(root, source.points.positions), atol=1e-5)
    root.scale = (1, 2, 1)
    with pytest.raises(RuntimeError, match=r"'capture' is stretched, sheared or mirrored.*same positive scale"):
        bpy.ops.splat.export_capture(directory=str(tmp_path / "bent"), formats={"TRANSFORMS"}, axes="WORLD")
    assert not (tmp_path / "bent").exists()


def test_a_camera_that_was_moved_is_named_at_export(core, tmp_path, capfd):
    root = open_folder(write_capture(core, tmp_path / "capture"))
    core.photos.photo_cameras(root)[3].location.x += 0.1
    bpy.ops.splat.export_capture(directory=str(tmp_path / "out"))
    assert "Cameras moved in Blender are exported where they were measured: photo_3" in capfd.readouterr().out


def test_exports_never_replace_what_is_there_unasked(core, tmp_path):
    write_capture(core, tmp_path / "capture")
    bpy.context.scene.splat.capture.folder = str(tmp_path / "capture")
    bpy.ops.splat.export_capture(directory=str(tmp_path / "out"))
    with pytest.raises(RuntimeError, match=r"already holds images, transforms\.json, points3d\.ply and 1 more"):
        bpy.ops.splat.export_capture(directory=str(tmp_path / "out"))
    assert bpy.ops.splat.export_capture(directory=str(tmp_path / "out"), replace_earlier=True) == {"FINISHED"}


def test_photos_are_undistorted_at_export(core, tmp_path):
    """A photo that tells by its colour where it was taken: after the export a pinhole camera explains every pixel."""
    cameras = ring(core, count=3, distortion=(-0.3, 0.05, 0.0, 0.0))
    write_capture(core, tmp_path / "capture", cameras)
    across, down = np.meshgrid((np.arange(SIZE[0]) + 0.5) / SIZE[0], (np.arange(SIZE[1]) + 0.5) / SIZE[1])
    photo = np.stack([across, down, 0 * across, 0 * across + 1], axis=-1)
    for name in cameras:
        save_image(tmp_path / "capture/images" / name, *SIZE, photo)
    open_folder(tmp_path / "capture")
    images_before = len(bpy.data.images)
    bpy.ops.splat.export_capture(directory=str(tmp_path / "out"), formats={"COLMAP_BINARY"}, undistort=True)
    assert len(bpy.data.images) == images_before
    for view in core.capture.open_capture(tmp_path / "out").views:
        camera = next(camera for name, camera in cameras.items() if name.startswith(view.name))
        assert view.camera.distortion == () and view.camera.fx >= camera.fx
        image = bpy.data.images.load(str(view.image_path))
        pixels = np.array(image.pixels[:]).reshape(SIZE[1], SIZE[0], 4)[::-1]
        where = np.stack([across * SIZE[0], down * SIZE[1]], axis=-1).reshape(-1, 2)
        slopes = (where - (camera.cx, camera.cy)) / (view.camera.fx, view.camera.fy)
        source = camera.distort(slopes) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
        source = source.reshape(SIZE[1], SIZE[0], 2) / SIZE
        inside = ((source > 0.02) & (source < 0.98)).all(axis=-1)
        assert np.abs(pixels[..., :2] - source)[inside].max() < 1.5 / 255
        assert np.allclose(pixels[..., 3], 1)


def test_the_menus_and_the_panel_offer_it(extension):
    for menu in ("TOPBAR_MT_file_import", "TOPBAR_MT_file_export"):
        drawn = [function.__module__ for function in getattr(bpy.types, menu)._dyn_ui_initialize()]
        assert f"{extension.name}.operators.photos" in drawn
    assert hasattr(bpy.types, "SPLAT_PT_photos")
    assert not bpy.ops.splat.stand_upright.poll() and not bpy.ops.splat.export_capture.poll()
