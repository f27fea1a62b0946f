"""The dialects of transforms.json: nerfstudio, instant-ngp, the NeRF scenes, and what is wrong in real files."""

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.camera import OPENCV_FROM_OPENGL, Camera
from splat_addon.capture.capture import open_capture
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.colmap.model import ColmapModel
from splat_addon.capture.formats.transforms import read_transforms, write_transforms
from splat_addon.capture.photos.image_size import read_image_size
from splat_addon.errors import CameraError, CaptureError
from splat_addon.gaussians.formats.splat_ply import write_points
from support.scenes import ring_of_cameras

POSE = [[1.0, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
INTRINSICS = {"w": 64, "h": 48, "fl_x": 50.0, "fl_y": 51.0, "cx": 30.0, "cy": 25.0}


def write_png_head(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height))


def write(folder: Path, document: dict, photos: list[str] = (), name: str = "transforms.json") -> Path:
    for photo in photos:
        write_png_head(folder / photo, 64, 48)
    (folder / name).write_text(json.dumps(document))
    return folder / name


def frame(name: str = "images/a.png", **values) -> dict:
    return {"file_path": name, "transform_matrix": POSE, **values}


def only_camera(path: Path) -> Camera:
    (camera,) = read_transforms(path).cameras.values()
    return camera


def test_intrinsics_of_a_frame_go_before_those_at_the_top(tmp_path):
    document = {**INTRINSICS, "frames": [frame("a.png", fl_x=70.0, cx=11.0), frame("b.png")]}
    cameras = read_transforms(write(tmp_path, document, ["a.png", "b.png"])).cameras
    assert (cameras["a.png"].fx, cameras["a.png"].cx) == (70.0, 11.0)
    assert (cameras["b.png"].fx, cameras["b.png"].fy, cameras["b.png"].cx) == (50.0, 51.0, 30.0)


def test_a_frames_own_angle_replaces_the_shared_focal_length(tmp_path):
    document = {**INTRINSICS, "frames": [frame(camera_angle_x=math.pi / 2)]}
    camera = only_camera(write(tmp_path, document))
    assert np.allclose((camera.fx, camera.fy), (32.0, 32.0))


def test_angles_give_focal_lengths_as_instant_ngp_means_them(tmp_path):
    document = {"w": 64, "h": 48, "camera_angle_x": math.pi / 2, "camera_angle_y": math.pi / 2, "frames": [frame()]}
    camera = only_camera(write(tmp_path, document))
    assert np.allclose((camera.fx, camera.fy, camera.cx, camera.cy), (32.0, 24.0, 32.0, 24.0))
    document = {"w": 64, "h": 48, "x_fov": 90.0, "frames": [frame()]}
    assert np.allclose(only_camera(write(tmp_path, document)).fx, 32.0)


def test_sizes_that_are_not_given_come_from_the_photo(tmp_path):
    document = {"camera_angle_x": math.pi / 2, "frames": [frame("./train/r_0")]}
    camera = only_camera(write(tmp_path, document, ["train/r_0.png"]))
    assert (camera.width, camera.height, camera.cx, camera.cy) == (64, 48, 32.0, 24.0)
    assert np.allclose((camera.fx, camera.fy), 32.0), "one angle means square pixels"


@pytest.mark.parametrize("written", ["images/a", "images/a.JPG", "a.JPG", "images\\a.JPG", "a", "./images/a"])
def test_photos_are_found_however_they_are_called(tmp_path, written):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.JPG").write_bytes(b"photo")
    (photo,) = read_transforms(write(tmp_path, {**INTRINSICS, "frames": [frame(written)]})).photos.values()
    assert photo.is_file() and photo.name == "a.JPG"


def test_photos_that_do_not_exist_are_named_and_skipped(tmp_path):
    names = ["images/a", "images/b", "images/c"]
    document = {"camera_angle_x": 1.0, "frames": [frame(name) for name in names]}
    write(tmp_path, document, ["images/a.png", "images/b.png"])
    capture = open_capture(tmp_path, hold_out_every=0)
    assert [view.name for view in capture.views] == ["a", "b"]
    assert capture.missing == ("images/c",) and capture.views_without_photo == (), "its size is nowhere"


def test_cameras_can_be_opened_without_any_photo(tmp_path):
    write(tmp_path, {**INTRINSICS, "frames": [frame("a.png"), frame("b.png")]})
    with pytest.raises(CaptureError, match="No photo found for 2 of 2 cameras"):
        open_capture(tmp_path)
    capture = open_capture(tmp_path, needs_photos=False)
    assert capture.views == () and [view.name for view in capture.all_views] == ["a", "b"]


def test_a_principal_point_off_centre_and_the_lens_survive(tmp_path):
    distortion = {"k1": 0.1, "k2": -0.02, "p1": 0.003, "p2": -0.004}
    camera = only_camera(write(tmp_path, {**INTRINSICS, **distortion, "frames": [frame()]}))
    assert (camera.cx, camera.cy) == (30.0, 25.0) and camera.distortion[:4] == (0.1, -0.02, 0.003, -0.004)


def test_where_instant_ngp_puts_the_world_in_its_cube_moves_no_camera(tmp_path):
    plain = only_camera(write(tmp_path, {**INTRINSICS, "frames": [frame()]}))
    cube = {"aabb_scale": 16, "scale": 0.5, "offset": [0.5, 0.5, 0.2], "orientation_override": "none"}
    camera = only_camera(write(tmp_path, {**INTRINSICS, **cube, "frames": [frame()]}))
    assert np.array_equal(camera.camera_from_world, plain.camera_from_world)
    assert np.allclose(camera.position, (1, 2, 3))


@pytest.mark.parametrize("rows", [3, 4])
def test_matrices_may_lack_their_last_row(tmp_path, rows):
    camera = only_camera(write(tmp_path, {**INTRINSICS, "frames": [frame(transform_matrix=POSE[:rows])]}))
    assert np.allclose(camera.camera_from_world, OPENCV_FROM_OPENGL @ np.linalg.inv(POSE))


def test_a_rounded_rotation_becomes_exact(tmp_path):
    camera = next(iter(ring_of_cameras(5).values()))
    matrix = np.round(camera.world_from_camera @ OPENCV_FROM_OPENGL, 4)
    found = only_camera(write(tmp_path, {**INTRINSICS, "frames": [frame(transform_matrix=matrix.tolist())]}))
    turn = found.camera_from_world[:3, :3]
    assert np.abs(turn @ turn.T - np.eye(3)).max() < 1e-14
    assert np.abs(turn - camera.camera_from_world[:3, :3]).max() < 1e-4
    assert np.allclose(found.position, matrix[:3, 3])


@pytest.mark.parametrize("matrix", [np.diag([2.0, 2, 2, 1]), np.diag([-1.0, 1, 1, 1]), np.zeros((4, 4))])
def test_matrices_that_are_no_rotation_are_refused_by_name(tmp_path, matrix):
    write(tmp_path, {**INTRINSICS, "frames": [frame(transform_matrix=matrix.tolist())]}, ["images/a.png"])
    with pytest.raises(CameraError, match=r"The pose of images/a\.png is not a rotation.*Remove scale, shear"):
        open_capture(tmp_path)


def test_training_and_test_files_of_a_nerf_scene_make_one_capture(tmp_path):
    shared = {"camera_angle_x": math.pi / 2}
    write(tmp_path, {**shared, "frames": [frame("./train/r_0"), frame("./train/r_1")]}, name="transforms_train.json")
    write(tmp_path, {**shared, "frames": [frame("./test/r_0")]}, name="transforms_test.json")
    for photo in ("train/r_0.png", "train/r_1.png", "test/r_0.png"):
        write_png_head(tmp_path / photo, 64, 48)
    capture = open_capture(tmp_path)
    assert [view.name for view in capture.held_out_views] == ["test/r_0"]
    assert [view.name for view in capture.training_views] == ["train/r_0", "train/r_1"]


def test_masks_named_by_frames_are_found(tmp_path):
    names = ["images/a.png", "images/b.png"]
    document = {**INTRINSICS, "frames": [frame(names[0], mask_path="alpha/x.png"), frame(names[1], mask_path="no.png")]}
    write(tmp_path, document, [*names, "alpha/x.png", "masks/b.png"])
    views = open_capture(tmp_path).views
    assert [view.mask_path.relative_to(tmp_path).as_posix() for view in views] == ["alpha/x.png", "masks/b.png"]


APPLIED = np.array([[0.0, 1, 0, 0.3], [1, 0, 0, -0.2], [0, 0, -1, 0.1]])


def write_applied(folder: Path, points_are_applied: bool | None, scale: float = 1.0) -> np.ndarray:
    """A nerfstudio folder whose cameras were moved by APPLIED: with a PLY, or (None) with only COLMAP's model."""
    originals = ring_of_cameras(6)
    moved = {}
    similarity = np.vstack([scale * APPLIED, [0, 0, 0, 1]])
    for name, camera in originals.items():
        write_png_head(folder / name, 40, 30)
        moved[name] = camera.moved(similarity)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, size=(50, 3))
    applied = points @ similarity[:3, :3].T + similarity[:3, 3]
    extra = {"applied_transform": APPLIED.tolist(), "applied_scale": scale}
    points_file = None
    if points_are_applied is not None:
        points_file = "sparse_pc.ply"
        write_points(folder / points_file, applied if points_are_applied else points, np.ones((50, 3)))
    else:
        (folder / "colmap/sparse/0").mkdir(parents=True)
        by_file = {name.split("/")[1]: camera for name, camera in originals.items()}
        colmap.write_model(folder / "colmap/sparse/0", ColmapModel(by_file, points, np.ones((50, 3))))
    write_transforms(folder / "transforms.json", moved, set(), points_file, extra)
    return applied


@pytest.mark.parametrize("points_are_applied", [True, None])
def test_points_lie_where_the_applied_transform_puts_them(tmp_path, points_are_applied):
    expected = write_applied(tmp_path, points_are_applied)
    assert np.allclose(open_capture(tmp_path).points.positions, expected, atol=1e-6)


def test_points_that_were_left_in_colmaps_frame_are_noticed(tmp_path):
    """The first versions of nerfstudio wrote them so: here the cameras look away from there."""
    originals = ring_of_cameras(6)
    shift = np.eye(4)
    shift[:3, 3] = (30, 0, 0)
    for name in originals:
        write_png_head(tmp_path / name, 40, 30)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, size=(50, 3))
    write_points(tmp_path / "sparse_pc.ply", points, np.ones((50, 3)))
    cameras = {name: camera.moved(shift) for name, camera in originals.items()}
    extra = {"applied_transform": shift[:3].tolist()}
    write_transforms(tmp_path / "transforms.json", cameras, set(), "sparse_pc.ply", extra)
    assert np.allclose(open_capture(tmp_path).points.positions, points + (30, 0, 0), atol=1e-5)


def test_points_of_another_colmap_model_are_not_used(tmp_path):
    write_applied(tmp_path, None)
    other = {
        f"view_{index:02d}.png": camera.moved(np.diag([3.0, 3, 3, 1]))
        for index, camera in enumerate(ring_of_cameras(6).values())
    }
    colmap.write_model(tmp_path / "colmap/sparse/0", ColmapModel(other, np.zeros((5, 3)), np.ones((5, 3))))
    assert open_capture(tmp_path).points is None


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({**INTRINSICS, "frames": [frame("a.png"), frame("a.png")]}, r"lists the photo a\.png twice\. Remove one"),
        ({**INTRINSICS, "frames": [{"transform_matrix": POSE}]}, r"has no file_path\. Name its photo"),
        ({**INTRINSICS, "frames": [frame(7)]}, "has no file_path"),
        ({"w": 64, "h": 48, "frames": [frame("a.png")]}, r"a\.png in .* no complete camera \(fl_x is missing\)"),
        ({**INTRINSICS, "frames": [{"file_path": "a.png"}]}, r"\(transform_matrix is missing\)"),
        ({**INTRINSICS, "frames": [frame(transform_matrix=[[1, 2], [3, 4]])]}, r"transform_matrix is 2 x 2"),
        ({**INTRINSICS, "frames": [frame(transform_matrix="none")]}, "has no complete camera"),
        ({**INTRINSICS, "frames": [frame(fl_x="wide")]}, "has no complete camera"),
        (
            {**INTRINSICS, "camera_model": "EQUIRECTANGULAR", "frames": [frame()]},
            r"EQUIRECTANGULAR of a\.png is not supported",
        ),
        ({**INTRINSICS, "is_fisheye": True, "frames": [frame()]}, r"camera model fisheye of a\.png is not supported"),
        ({**INTRINSICS, "k4": 0.1, "frames": [frame()]}, r"a k4 without k5 and k6.*Undistort"),
    ],
)
def test_broken_files_get_their_sentence(tmp_path, document, sentence):
    write(tmp_path, document, ["images/a.png"])
    with pytest.raises(CaptureError, match=sentence):
        open_capture(tmp_path)


def test_the_same_photo_by_two_names_is_refused(tmp_path):
    write(tmp_path, {**INTRINSICS, "frames": [frame("images/a"), frame("images/a.png")]}, ["images/a.png"])
    with pytest.raises(CaptureError, match=r"lists the photo images/a\.png twice"):
        open_capture(tmp_path)


def test_distortion_is_written_in_full(tmp_path):
    """A lens that is lost on the way out would be a silent error in every other program."""
    base = next(iter(ring_of_cameras(1).values()))
    for coefficients in [(0.1,), (0.1, -0.02, 0.003, -0.004), (0.1, 0.2, 0, 0, 0.3), tuple(np.arange(1, 9) / 100)]:
        camera = Camera(40, 30, 41, 42, 19, 16, base.camera_from_world, coefficients)
        write_transforms(tmp_path / "transforms.json", {"a.png": camera, "b.png": base}, set(), None, {})
        found = read_transforms(tmp_path / "transforms.json").cameras
        assert (*camera.distortion, *[0.0] * 8)[:8] == found["a.png"].distortion
        assert found["b.png"].distortion == ()


def head_of(kind: str, width: int, height: int) -> bytes:
    if kind == "png":
        return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    if kind == "jpeg":
        other = b"\xff\xe1" + struct.pack(">H", 1002) + bytes(1000)
        tables = b"\xff\xdb" + struct.pack(">H", 67) + bytes(65) + b"\xff\xff\xc4" + struct.pack(">H", 5) + bytes(3)
        return b"\xff\xd8" + other + tables + b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width) + bytes(12)
    if kind == "webp lossy":
        return b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    if kind == "webp lossless":
        return b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    if kind == "webp extended":
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0" + size
    if kind == "bmp":
        return b"BM" + bytes(16) + struct.pack("<ii", width, -height)
    order = "<" if kind == "tiff intel" else ">"
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return start + struct.pack(order + "HHHIHxxHHII", 2, 256, 3, 1, width, 257, 4, 1, height)


@pytest.mark.parametrize(
    "kind",
    ["png", "jpeg", "webp lossy", "webp lossless", "webp extended", "bmp", "tiff intel", "tiff motorola"],
)
def test_photo_sizes_are_read_from_their_heads(tmp_path, kind):
    (tmp_path / "photo").write_bytes(head_of(kind, 1234, 567))
    assert read_image_size(tmp_path / "photo") == (1234, 567)


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff", b"\xff\xd8" + bytes(100), b"\x89PNG\r\n\x1a\n"])
def test_a_photo_without_size_is_refused_by_name(tmp_path, content):
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(CaptureError, match=r"size of the photo .*photo\.jpg cannot be read\. Replace the file"):
        read_image_size(tmp_path / "photo.jpg")
