"""Files that lie: counts beyond their size, values of other types, names that no file has, pipes and devices."""

import json
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import open_capture
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.colmap.model import ColmapModel
from splat_addon.capture.photos.image_size import read_image_size
from splat_addon.errors import CameraError, CaptureError, SplatFileError
from splat_addon.files import open_regular
from splat_addon.gaussians.formats.splat_ply import SplatPly, read_points, read_splats, write_splats
from support.fuzz.splat_files import compressed
from support.scenes import random_cloud, ring_of_cameras

needs_posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes or devices among files")
POSE = np.eye(4).tolist()


# --- What is not a file ---------------------------------------------------------------------------------------------


def told_in_time(read, path: Path) -> str:
    """What `read` says of `path`; fails when it is still at it after ten seconds."""
    said = []

    def attempt() -> None:
        try:
            read(path)
        except (SplatFileError, CaptureError) as error:
            said.append(str(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it waits for ever"
    return said[0]


@needs_posix
@pytest.mark.parametrize("read", [read_splats, read_points, read_image_size])
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "a")
    assert "cannot be read" in told_in_time(read, tmp_path / "a")


@needs_posix
@pytest.mark.parametrize("name", ["images.bin", "points3D.bin"])
def test_a_pipe_in_a_colmap_model_is_refused_or_passed_over(tmp_path, name):
    colmap.write_model(tmp_path, ColmapModel(ring_of_cameras(2), np.ones((1, 3)), np.ones((1, 3))))
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    if name == "points3D.bin":  # which is not needed, and this is no file
        assert len(colmap.read_model(tmp_path).positions) == 0
    else:
        assert "not a file but a pipe or a device" in told_in_time(colmap.read_model, tmp_path)


@needs_posix
def test_a_device_is_not_read():
    with pytest.raises(SplatFileError, match=r"/dev/zero cannot be read \(it is not a file but a pipe or a device\)"):
        read_splats(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("name", "told"), [("a\0b", "no file can have that name"), ("x" * 300, ""), (".", ""), ("\ud800", "")]
)
def test_whatever_the_name_opening_raises_the_systems_error_and_says_why(tmp_path, name, told):
    with pytest.raises(OSError) as caught:
        open_regular(tmp_path / name)
    assert told in caught.value.strerror


# --- PLY ------------------------------------------------------------------------------------------------------------


def splats_with(tmp_path: Path, before: bytes, after: bytes) -> Path:
    write_splats(tmp_path / "a.ply", random_cloud(3, degree=0))
    content = (tmp_path / "a.ply").read_bytes()
    assert before in content
    (tmp_path / "a.ply").write_bytes(content.replace(before, after, 1))
    return tmp_path / "a.ply"


@pytest.mark.parametrize("count", [4, 10**12, 2 * 10**18, 2**63, 10**400])
def test_splats_that_the_file_cannot_hold_are_refused_before_there_is_room_for_them(tmp_path, count):
    path = splats_with(tmp_path, b"vertex 3", f"vertex {count}".encode())
    with pytest.raises(SplatFileError, match=r"a\.ply announces .* points but holds 3\. It was cut short"):
        SplatPly(path)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
def test_a_huge_element_before_the_points_is_refused(tmp_path, form, count):
    header = f"ply\nformat {form} 1.0\nelement camera {2**63}\nproperty float a\nelement vertex {count}\n"
    (tmp_path / "a.ply").write_bytes((header + "property float x\nend_header\n0\n").encode() + bytes(64))
    with pytest.raises(SplatFileError, match=r"announces more than 10\^15 'camera' records but holds \d\d"):
        read_points(tmp_path / "a.ply")


def text_points(path: Path, rows: str, count: int, types=("float",) * 3) -> Path:
    properties = "".join(f"property {kind} {name}\n" for kind, name in zip(types, ("x", "y", "z", "red"), strict=False))
    path.write_text(f"ply\nformat ascii 1.0\nelement vertex {count}\n{properties}end_header\n{rows}")
    return path


def test_a_text_that_is_too_short_for_its_points_is_refused_at_once(tmp_path):
    with pytest.raises(SplatFileError, match="announces 1000000000000 points but holds 2 at most"):
        read_points(text_points(tmp_path / "a.ply", "0 0 0\n1 1 1\n", 10**12))


def test_a_long_word_in_a_text_takes_no_more_memory_than_the_file(tmp_path):
    """A table of texts would be as wide everywhere as its longest word: 4096 rows x 3 x 100 kB."""
    import tracemalloc

    rows = "0 0 0\n" * 4095 + "0 0 " + "1" * 100_000 + "\n"
    path = text_points(tmp_path / "a.ply", rows, 4096)
    tracemalloc.start()
    positions, _, _ = read_points(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(positions) == 4095, "a number beyond all bounds is no position"
    assert peak < 5_000_000


@pytest.mark.parametrize("word", ["-1", "256", "nan", "1e300", "red"])
def test_a_number_that_its_column_cannot_hold_ends_a_text(tmp_path, word):
    path = text_points(tmp_path / "a.ply", f"0 0 0 1\n0 0 0 {word}\n", 2, ("float", "float", "float", "uchar"))
    with pytest.raises(SplatFileError, match="announces 2 points but holds 1"):
        read_points(path)


def test_points_that_are_nowhere_are_left_out_and_odd_colors_and_normals_count_as_not_known(tmp_path):
    names = ["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue"]
    rows = np.full((4, 9), 0.5)
    rows[0, 1], rows[1, 7], rows[2, 3] = np.nan, np.inf, np.inf
    header = "".join(f"property double {name}\n" for name in names)
    content = f"ply\nformat binary_little_endian 1.0\nelement vertex 4\n{header}end_header\n".encode()
    (tmp_path / "a.ply").write_bytes(content + rows.astype("<f8").tobytes())
    positions, colors, normals = read_points(tmp_path / "a.ply")
    assert np.array_equal(positions, np.full((3, 3), 0.5))
    assert np.isnan(colors[0]).all() and np.array_equal(colors[1:], np.full((2, 3), 0.5))
    assert np.array_equal(normals[1], np.zeros(3)) and np.allclose(np.linalg.norm(normals[[0, 2]], axis=1), 1)


@pytest.mark.parametrize(
    ("name", "value"), [("log_scales", 200.0), ("log_scales", 50.0), ("quaternions", 1e30), ("means", np.nan)]
)
def test_a_gaussian_that_means_what_is_not_finite_is_not(name, value):
    cloud = random_cloud(3, degree=0)
    getattr(cloud, name)[1, 0] = value
    assert cloud.finite().tolist() == [True, False, True]


COMPRESSED = compressed(3, 3, True)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b"float min_x", b"float min_q", r"lacks the bounds min_x\. Export it again"),
        (b"float max_scale_z", b"float max_scale_q", "lacks the bounds max_scale_z"),
        (b"float max_g", b"float max_q", "lacks the bounds max_g"),
        (b"uint packed_color", b"float packed_color", "has a packed_color that is not a number of 32 bits"),
        (b"uint packed_scale", b"uchar packed_scale", "has a packed_scale that is not a number of 32 bits"),
        (b"element sh 3", b"element sh 2", "has harmonics for 2 of 3 splats"),
        (b"property uchar f_rest_8\n", b"", "has 8 columns of harmonics that are not three channels of bytes"),
        (b"uchar f_rest_8", b"char f_rest_8", "columns of harmonics that are not three channels of bytes"),
        (b"element vertex 3", b"element vertex 9999999999", "announces 9999999999 points but holds"),
        (b"element chunk 1", b"element chunk 1000000000000", "announces 1000000000000 'chunk' records but holds"),
    ],
)
def test_a_compressed_file_that_contradicts_itself_is_refused(tmp_path, before, after, told):
    assert before in COMPRESSED
    (tmp_path / "a.ply").write_bytes(COMPRESSED.replace(before, after, 1))
    with pytest.raises(SplatFileError, match=told):
        read_splats(tmp_path / "a.ply")


def test_a_compressed_file_with_signed_numbers_is_read_like_one_without(tmp_path):
    (tmp_path / "a.ply").write_bytes(COMPRESSED)
    (tmp_path / "b.ply").write_bytes(COMPRESSED.replace(b"property uint", b"property int"))
    first, second = read_splats(tmp_path / "a.ply"), read_splats(tmp_path / "b.ply")
    assert np.array_equal(first.means, second.means) and np.array_equal(first.quaternions, second.quaternions)


# --- transforms.json ------------------------------------------------------------------------------------------------


def write_document(folder: Path, *frames: dict, **shared) -> Path:
    document = {"w": 40, "h": 30, "fl_x": 40.0, **shared, "frames": list(frames)}
    (folder / "transforms.json").write_text(json.dumps(document))
    return folder


def frame(name: object = "images/a.png", **values) -> dict:
    return {"file_path": name, "transform_matrix": POSE, **values}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"w": 10**400}, "w contains a value that is not finite"),
        ({"w": True}, "w is not a number"),
        ({"h": [30]}, "h is not a number"),
        ({"fl_x": float("nan")}, "fl_x contains a value that is not finite"),
        ({"k1": {"a": 1}}, "k1 is not a number"),
        ({"cx": "20"}, "cx is not a number"),
        ({"camera_model": ["OPENCV"]}, "camera_model is not a text"),
        ({"fl_x": None, "camera_angle_x": 0.0}, "camera_angle_x is not an angle between 0 and 180 degrees"),
        ({"fl_x": None, "x_fov": 1e300}, "x_fov is not an angle between 0 and 180 degrees"),
        ({"transform_matrix": [[1, 0, 0], [0, 1]]}, "transform_matrix has rows of different lengths"),
        ({"transform_matrix": [[10**400] * 4] * 4}, "transform_matrix contains a value that is not finite"),
        ({"transform_matrix": [1, 2, 3]}, "transform_matrix is not a matrix"),
        ({"transform_matrix": [["1", 0, 0, 0]] * 4}, "transform_matrix is not a number"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_key(tmp_path, values, told):
    with pytest.raises(CaptureError, match=rf"images/a\.png in .* has no complete camera \({told}"):
        open_capture(write_document(tmp_path, frame(**values)), needs_photos=False)


@pytest.mark.parametrize("key", ["val_filenames", "test_filenames"])
@pytest.mark.parametrize(
    ("value", "told"), [(7, "is not a list"), ([["images/a.png"]], "is not a text"), ([None], "is not a text")]
)
def test_a_split_that_is_not_a_list_of_names_is_refused(tmp_path, key, value, told):
    with pytest.raises(CaptureError, match=rf"The split in .* cannot be read \({key} {told}\)"):
        open_capture(write_document(tmp_path, frame(), **{key: value}), needs_photos=False)


@pytest.mark.parametrize("name", [["a"], {"a": 1}, 7, None, "", "\ud800"])
@pytest.mark.parametrize("file", ["transforms.json", "transforms_train.json", "transforms_test.json"])
def test_a_frame_whose_name_is_not_a_text_is_refused(tmp_path, name, file):
    write_document(tmp_path, frame("images/b.png"))
    (tmp_path / "transforms.json").rename(tmp_path / "transforms_train.json")
    write_document(tmp_path, frame(name))
    (tmp_path / "transforms.json").rename(tmp_path / file)
    with pytest.raises(CaptureError, match="has no file_path"):
        open_capture(tmp_path, needs_photos=False)


@pytest.mark.parametrize("name", [".", "/", "..", "..png", "x" * 300, "a\0b", "x/" * 3000])
def test_a_photo_that_cannot_be_is_missing(tmp_path, name):
    capture = open_capture(write_document(tmp_path, frame(name)), needs_photos=False)
    assert capture.missing == (name,) and len(capture.views_without_photo) == 1


@pytest.mark.parametrize("value", [7, [1], [[1, 2]], "x", [[10**400] * 4] * 3, [[float("nan")] * 4] * 3])
def test_an_applied_transform_that_makes_no_sense_moves_nothing(tmp_path, value):
    content = write_document(tmp_path, frame(), applied_transform=value, ply_file_path="p.ply")
    text_points(tmp_path / "p.ply", "0 0 4\n", 1)
    assert open_capture(content, needs_photos=False).points.positions.tolist() == [[0, 0, 4]]


@pytest.mark.parametrize("document", ["[" * 200_000, '{"frames": ' + "9" * 5000 + "}", "\xff", "null"])
def test_a_document_that_is_no_json_is_refused(tmp_path, document):
    (tmp_path / "transforms.json").write_bytes(document.encode("latin-1"))
    with pytest.raises(CaptureError, match=r"Export the capture again|Choose a nerfstudio"):
        open_capture(tmp_path, needs_photos=False)


# --- Cameras --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"width": 2**60}, "has more than 65536 pixels along one side"),
        ({"fx": 1e-300}, "has a focal length that no lens has"),
        ({"fy": 1e9}, "has a focal length that no lens has"),
        ({"cx": 1e12}, "has a lens center or a lens distortion that no lens has"),
        ({"distortion": (1e300, 0.0, 0.0, 0.0)}, "has a lens center or a lens distortion that no lens has"),
        ({"far": 1e300}, "stands farther away than 1e"),
    ],
)
@pytest.mark.parametrize("is_colmap", [False, True])
def test_a_camera_that_no_lens_and_no_place_makes_is_refused_in_every_format(tmp_path, changes, told, is_colmap):
    values = {"width": 40, "height": 30, "fx": 40.0, "fy": 40.0, "cx": 20.0, "cy": 15.0, "distortion": (), **changes}
    pose = np.eye(4)
    pose[0, 3] = values.pop("far", 0.0)
    camera = Camera(**values, camera_from_world=pose)
    if is_colmap:
        colmap.write_model(tmp_path, ColmapModel({"a.png": camera}, np.empty((0, 3)), np.empty((0, 3))))
    else:
        keys = {"w": "width", "h": "height", "fl_x": "fx", "fl_y": "fy", "cx": "cx", "cy": "cy"}
        numbers = {key: getattr(camera, field) for key, field in keys.items()}
        distortion = dict(zip(("k1", "k2", "p1", "p2"), camera.distortion, strict=False))
        write_document(tmp_path, frame(**numbers, **distortion, transform_matrix=pose.tolist()))
    with pytest.raises((CameraError, CaptureError), match=told if "far" not in changes else "1e"):
        open_capture(tmp_path, needs_photos=False)


def test_a_camera_far_out_in_a_georeferenced_world_is_fine(tmp_path):
    pose = np.eye(4)
    pose[:3, 3] = (5e12, 5e12, 100)
    capture = open_capture(write_document(tmp_path, frame(transform_matrix=pose.tolist())), needs_photos=False)
    assert np.allclose(capture.all_views[0].camera.position, pose[:3, 3])


# --- COLMAP ---------------------------------------------------------------------------------------------------------


def model_of(folder: Path, as_text: bool, positions=((0.0, 0, 0), (1, 1, 1))) -> Path:
    positions = np.array(positions)
    cameras = {"a.png": next(iter(ring_of_cameras(1).values()))}
    colmap.write_model(folder, ColmapModel(cameras, positions, np.ones_like(positions)), as_text)
    return folder


def test_an_image_without_a_name_is_refused(tmp_path):
    path = model_of(tmp_path, as_text=False) / "images.bin"
    path.write_bytes(path.read_bytes().replace(b"a.png\0", b"\0"))
    with pytest.raises(CaptureError, match="holds an image without a name"):
        open_capture(tmp_path, needs_photos=False)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("1 0.0 0.0", "-1 0.0 0.0", "is not a point: its number is impossible"),
        ("1 0.0 0.0", f"{2**64} 0.0 0.0", "is not a point: its number is impossible"),
        ("Number of points: 2", f"Number of points: {'9' * 5000}", "announces 9+ points but holds 2"),
    ],
)
def test_numbers_in_a_text_model_that_cannot_be_are_refused(tmp_path, before, after, told):
    path = model_of(tmp_path, as_text=True) / "points3D.txt"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(CaptureError, match=told):
        open_capture(tmp_path, needs_photos=False)


@pytest.mark.parametrize("as_text", [False, True])
def test_points_that_are_nowhere_are_left_out_of_a_model(tmp_path, as_text):
    model_of(tmp_path, as_text, ((0.0, 0, 0), (np.nan, 0, 0), (2, 2, 2), (0, 0, np.inf), (0, 1e160, 0)))
    assert open_capture(tmp_path, needs_photos=False).points.positions.tolist() == [[0, 0, 0], [2, 2, 2]]


def test_a_rotation_too_long_to_have_a_length_is_refused_and_not_taken_for_none(tmp_path):
    path = model_of(tmp_path, as_text=False) / "images.bin"
    content = bytearray(path.read_bytes())
    content[12:44] = struct.pack("<4d", 1e200, 1e200, 0, 0)
    path.write_bytes(content)
    with pytest.raises(CameraError, match="contains a value that is not finite"):
        open_capture(tmp_path, needs_photos=False)


def test_points_are_sorted_once_however_many_images_see_them(tmp_path, monkeypatch):
    positions = np.random.default_rng(0).normal(size=(50, 3))
    model = ColmapModel(ring_of_cameras(9), positions, np.ones_like(positions))
    sorts = []
    argsort = np.argsort
    monkeypatch.setattr(np, "argsort", lambda *args, **options: sorts.append(len(args[0])) or argsort(*args, **options))
    colmap.write_model(tmp_path, model)
    colmap.read_model(tmp_path, with_observations=True)
    assert sorts.count(50) == 2, "once for writing, once for reading"


def test_a_name_that_no_system_takes_is_said_to_be_missing(tmp_path):
    """Half of the photos are called so: what their folder holds cannot even be asked."""
    frames = [frame("x/" * 3000 + "a.png"), frame("images/a.png")]
    write_document(tmp_path, *frames)
    with pytest.raises(CaptureError, match="No photo found for 2 of 2 cameras") as caught:
        open_capture(tmp_path)
    assert "is not there" in caught.value.remedy or "cannot be read" in caught.value.remedy
