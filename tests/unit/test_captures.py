"""Capture folders: COLMAP models, transforms.json, what is held out, what is missing."""

import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.camera import OPENCV_FROM_OPENGL, Camera
from splat_addon.capture.capture import Capture, Points, View, held_out_indices, open_capture
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.transforms import read_transforms, write_transforms
from splat_addon.errors import CaptureError
from splat_addon.gaussians.formats.splat_ply import write_points
from support.scenes import ring_of_cameras

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared captures are not on this machine")


def make_cameras(count: int) -> dict[str, Camera]:
    random = np.random.default_rng(1)
    cameras = {}
    for index in range(count):
        rotation, _ = np.linalg.qr(random.normal(size=(3, 3)))
        pose = np.eye(4)
        pose[:3, :3] = rotation * np.sign(np.linalg.det(rotation))
        pose[:3, 3] = random.normal(size=3)
        cameras[f"images/view_{index:02d}.png"] = Camera(64, 48, 50.0, 51.0, 31.0, 25.0 + index, pose)
    return cameras


def make_capture(folder: Path, count: int = 10, photos: int | None = None) -> Path:
    cameras = make_cameras(count)
    (folder / "images").mkdir(parents=True)
    for name in list(cameras)[: count if photos is None else photos]:
        (folder / name).write_bytes(b"photo")
    write_points(folder / "points3d.ply", np.zeros((3, 3)), np.zeros((3, 3)))
    held_out = {name for index, name in enumerate(cameras) if index in held_out_indices(count, 8)}
    write_transforms(folder / "transforms.json", cameras, held_out, "points3d.ply", {})
    return folder


def test_every_eighth_view_is_held_out_beginning_with_the_first():
    assert held_out_indices(20, 8) == {0, 8, 16}
    assert held_out_indices(20, 0) == set()


def test_cameras_survive_transforms_json(tmp_path):
    cameras = make_cameras(3)
    write_transforms(tmp_path / "transforms.json", cameras, {"images/view_01.png"}, "points3d.ply", {})
    read = read_transforms(tmp_path / "transforms.json")
    again = read.cameras
    assert read.held_out == {"images/view_01.png"} and read.points_file == "points3d.ply"
    for name, camera in cameras.items():
        assert np.abs(again[name].camera_from_world - camera.camera_from_world).max() < 1e-12
        assert (again[name].fx, again[name].cy, again[name].width) == (camera.fx, camera.cy, 64)


def test_transforms_json_is_opengl_camera_to_world(tmp_path):
    """A camera at (0, 0, 5) that looks down the z axis with y up has the identity rotation in OpenGL axes."""
    pose = np.eye(4)
    pose[2, 3] = 5.0
    camera = Camera(4, 4, 4, 4, 2, 2, OPENCV_FROM_OPENGL @ np.linalg.inv(pose))
    write_transforms(tmp_path / "t.json", {"a.png": camera}, set(), None, {})
    document = json.loads((tmp_path / "t.json").read_text())
    assert np.allclose(document["frames"][0]["transform_matrix"], pose)
    assert camera.project(np.zeros((1, 3)))[1] == 5.0, "the origin lies five units in front"


def test_a_capture_has_its_views_points_and_split(tmp_path):
    capture = open_capture(make_capture(tmp_path / "c"))
    assert [view.name for view in capture.held_out_views] == ["view_00", "view_08"]
    assert len(capture.training_views) == 8
    assert capture.points.positions.shape == (3, 3)


def test_a_fingerprint_changes_with_a_camera(tmp_path):
    one = open_capture(make_capture(tmp_path / "a")).fingerprint()
    assert open_capture(make_capture(tmp_path / "b")).fingerprint() == one
    document = json.loads((tmp_path / "b" / "transforms.json").read_text())
    document["fl_x"] = 49.0
    (tmp_path / "b" / "transforms.json").write_text(json.dumps(document))
    assert open_capture(tmp_path / "b").fingerprint() != one


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_fingerprint_does_not_depend_on_how_a_processor_rounds(tmp_path, unit):
    capture = open_capture(make_capture(tmp_path / "c")).moved(np.diag([unit, unit, unit, 1.0]))
    random = np.random.default_rng(1)

    def shaken(view, most):
        camera = view.camera
        pose = camera.camera_from_world * (1 + random.uniform(-most, most, (4, 4)))
        pose[:3, :3] += random.uniform(-most, most, (3, 3))
        return replace(view, camera=replace(camera, camera_from_world=pose, fx=camera.fx * (1 + most)))

    for most, is_same in ((4e-16, True), (1e-7, False)):
        views = tuple(shaken(view, most) for view in capture.views)
        assert (replace(capture, views=views).fingerprint() == capture.fingerprint()) is is_same


def test_missing_photos_are_named_and_left_out(tmp_path):
    capture = open_capture(make_capture(tmp_path / "c", count=10, photos=7))
    assert capture.missing == ("images/view_07.png", "images/view_08.png", "images/view_09.png")
    assert len(capture.views) == 7


def test_more_than_half_of_the_photos_missing_is_an_error(tmp_path):
    with pytest.raises(CaptureError, match=r"No photo found for 6 of 10 cameras in .*images\. Choose the folder"):
        open_capture(make_capture(tmp_path / "c", count=10, photos=4))


def test_a_nan_pose_is_refused_by_name(tmp_path):
    make_capture(tmp_path / "c")
    text = (tmp_path / "c" / "transforms.json").read_text()
    document = json.loads(text)
    document["frames"][3]["transform_matrix"][0][0] = float("nan")
    (tmp_path / "c" / "transforms.json").write_text(json.dumps(document))
    with pytest.raises(CaptureError, match=r"view_03\.png in .*transform_matrix contains a value that is not finite"):
        open_capture(tmp_path / "c")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "no list of frames"),
        ('{"frames": []}', "has no frames"),
        ('{"frames": [{"file_path": "a.png"}]}', r"a\.png in .* has no complete camera"),
        ('{"frames": [3]}', r"A frame in .* has no file_path\. Name its photo"),
    ],
)
def test_json_that_is_no_capture_is_refused(tmp_path, content, sentence):
    (tmp_path / "transforms.json").write_text(content)
    with pytest.raises(CaptureError, match=sentence):
        open_capture(tmp_path)


def test_a_folder_without_capture_is_refused(tmp_path):
    with pytest.raises(CaptureError, match=r"neither transforms\.json nor a COLMAP model"):
        open_capture(tmp_path)
    with pytest.raises(CaptureError, match="does not exist"):
        open_capture(tmp_path / "nowhere")


def write_model(folder: Path, image_count: int, model_id: int = 1, cut: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.bin").write_bytes(struct.pack("<QiiQQ4d", 1, 1, model_id, 64, 48, 50.0, 51.0, 32.0, 24.0))
    images = struct.pack("<Q", image_count)
    for index in range(image_count):
        images += struct.pack("<i7di", index, 1, 0, 0, 0, 0, 0, index, 1) + f"{index}.png\0".encode()
        images += struct.pack("<QddQ", 1, 3.0, 4.0, 7)
    (folder / "images.bin").write_bytes(images[: len(images) - cut])
    point = struct.pack("<Q3d3BdQii", 9, 1.0, 2.0, 3.0, 255, 0, 51, 0.5, 1, 0, 0)
    (folder / "points3D.bin").write_bytes(struct.pack("<Q", 1) + point)


def test_a_binary_model_gives_cameras_and_points(tmp_path):
    write_model(tmp_path, image_count=2)
    model = colmap.read_model(tmp_path)
    assert sorted(model.cameras) == ["0.png", "1.png"]
    assert model.cameras["1.png"].camera_from_world[2, 3] == 1.0
    assert model.positions.tolist() == [[1, 2, 3]] and np.allclose(model.colors, [[1, 0, 0.2]])


def test_an_empty_model_is_refused(tmp_path):
    write_model(tmp_path, image_count=0)
    with pytest.raises(CaptureError, match=r"has no registered image\. Run the reconstruction again"):
        colmap.read_model(tmp_path)


def test_a_truncated_model_is_refused(tmp_path):
    write_model(tmp_path, image_count=2, cut=10)
    with pytest.raises(CaptureError, match=r"images\.bin ends too early"):
        colmap.read_model(tmp_path)


def test_a_fisheye_model_is_refused_by_name(tmp_path):
    write_model(tmp_path, image_count=1, model_id=5)
    with pytest.raises(CaptureError, match="OPENCV_FISHEYE"):
        colmap.read_model(tmp_path)


def test_view_names_never_leave_the_folder_of_renders(tmp_path):
    """Absolute and climbing photo paths exist in the wild; a render named like them would replace the photo."""
    photo = tmp_path / "photos" / "a.png"
    cameras = list(make_cameras(3).values())
    (tmp_path / "c").mkdir()
    photo.parent.mkdir()
    for name in ("a.png", "b.png"):
        (photo.parent / name).write_bytes(b"photo")
    names = [str(photo), "../photos/a.png", "../photos/b.png"]
    write_transforms(tmp_path / "c" / "transforms.json", dict(zip(names, cameras, strict=True)), set(), None, {})
    views = open_capture(tmp_path / "c").views
    assert len({view.name for view in views}) == 3
    for view in views:
        assert ".." not in view.name and not Path(view.name).is_absolute()
        assert (tmp_path / "renders" / view.name).resolve().is_relative_to(tmp_path / "renders")


def test_the_split_of_a_scene_capture_is_a_choice_of_training(tmp_path):
    make_capture(tmp_path / "c")
    document = json.loads((tmp_path / "c" / "transforms.json").read_text())
    assert len(open_capture(tmp_path / "c", hold_out_every=3).held_out_views) == 2, "a foreign capture keeps its own"
    (tmp_path / "c" / "transforms.json").write_text(json.dumps({**document, "source": "blender-scene"}))
    assert len(open_capture(tmp_path / "c", hold_out_every=3).held_out_views) == 4
    assert len(open_capture(tmp_path / "c", hold_out_every=0).held_out_views) == 0


def test_a_fisheye_in_transforms_json_is_refused(tmp_path):
    make_capture(tmp_path / "c")
    document = json.loads((tmp_path / "c" / "transforms.json").read_text())
    (tmp_path / "c" / "transforms.json").write_text(json.dumps({**document, "camera_model": "OPENCV_FISHEYE"}))
    with pytest.raises(CaptureError, match=r"camera model OPENCV_FISHEYE of view_00\.png is not supported\. Undistort"):
        open_capture(tmp_path / "c")


@needs_data
def test_the_banana_capture_opens_with_its_documented_split():
    capture = open_capture(DATA / "banana")
    split = json.loads((DATA / "banana" / "split.json").read_text())
    assert [view.image_path.name for view in capture.held_out_views] == split["test"]
    assert [view.image_path.name for view in capture.training_views] == split["train"]


@needs_data
def test_sparse_points_project_where_colmap_saw_them():
    """The mean reprojection error of the model is 0.63 px; here against its own observations."""
    folder = DATA / "sceaux_model" / "sparse"
    model_folder = colmap.find_model(folder)
    model = colmap.read_model(model_folder, with_observations=True)
    assert len(model.cameras) == 11 and len(model.positions) == 7862
    assert abs(model.reprojection_errors().mean() - 0.63) < 0.01


def test_the_extent_is_measured_once_however_often_each_step_of_training_asks(monkeypatch):
    views = tuple(View(name, Path(name), camera, False) for name, camera in ring_of_cameras(5).items())
    capture = Capture(Path("capture"), views, Points(np.ones((9, 3)), np.ones((9, 3))))
    measured = []
    real = Capture._positions_at_the_scene
    monkeypatch.setattr(Capture, "_positions_at_the_scene", lambda self: measured.append(self) or real(self))
    assert len({(capture.extent, *capture.center) for _ in range(5)}) == 1
    assert len(measured) == 2, "for the extent and for the center"
    larger = capture.moved(np.diag([2.0, 2.0, 2.0, 1.0]))
    assert larger.extent == pytest.approx(2 * capture.extent), "which has its own"
