"""COLMAP models, binary and text: what is read, what is written, and what each broken file is told."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import capture_folder, open_capture
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.colmap.model import LENS_MODELS, ColmapModel, Observations
from splat_addon.capture.rotation import quaternion_from_rotation, rotation_from_quaternion
from splat_addon.errors import CaptureError

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared captures are not on this machine")
LENSES = {
    "pinhole": (),
    "radial": (-0.16, 0.02),
    "tangential": (0.1, -0.02, 0.003, -0.004),
    "rational": (0.1, -0.02, 0.003, -0.004, 0.01, 0.02, 0.03, 0.04),
}


def make_model(photo_count: int = 4, point_count: int = 30) -> ColmapModel:
    """Cameras with all kinds of lenses, points, and observations of two thirds of them."""
    random = np.random.default_rng(2)
    cameras, observations = {}, {}
    for index in range(photo_count):
        pose = np.eye(4)
        pose[:3, :3] = rotation_from_quaternion(random.normal(size=4))
        pose[:3, 3] = random.normal(size=3)
        distortion = list(LENSES.values())[index % len(LENSES)]
        photo = f"left side/photo {index}.jpg"
        cameras[photo] = Camera(640, 480, 500.25, 501.5, 318.0, 243.5, pose, distortion)
        rows = np.where(random.random(12) < 0.67, random.integers(0, point_count, 12), -1)
        observations[photo] = Observations(random.uniform(0, 480, size=(12, 2)), rows)
    return ColmapModel(
        cameras,
        random.normal(size=(point_count, 3)),
        random.integers(0, 256, size=(point_count, 3)) / 255,
        random.random(point_count),
        observations,
    )


def assert_same_model(model: ColmapModel, other: ColmapModel) -> None:
    assert list(other.cameras) == list(model.cameras)
    for photo, camera in model.cameras.items():
        found = other.cameras[photo]
        numbers = ("width", "height", "fx", "fy", "cx", "cy")
        assert [getattr(found, n) for n in numbers] == [getattr(camera, n) for n in numbers]
        assert np.abs(found.camera_from_world - camera.camera_from_world).max() < 1e-12
        slopes = np.random.default_rng(0).uniform(-0.5, 0.5, size=(20, 2))
        assert np.abs(found.distort(slopes) - camera.distort(slopes)).max() < 1e-15
        assert np.array_equal(other.observations[photo].pixels, model.observations[photo].pixels)
        assert np.array_equal(other.observations[photo].points, model.observations[photo].points)
    assert np.array_equal(other.positions, model.positions) and np.array_equal(other.errors, model.errors)
    assert np.abs(other.colors - model.colors).max() < 1e-12


@pytest.mark.parametrize("as_text", [False, True])
def test_a_written_model_is_read_back_the_same(tmp_path, as_text):
    model = make_model()
    colmap.write_model(tmp_path, model, as_text)
    assert_same_model(model, colmap.read_model(tmp_path, with_observations=True))
    assert colmap.read_model(tmp_path).observations == {}, "observations are read only when asked for"


def test_quaternions_and_rotations_are_inverses_for_any_turn():
    random = np.random.default_rng(0)
    turns = [*random.normal(size=(200, 4)), *np.eye(4), (1, 1, 0, 0), (0, 1, 1, 0), (1e-9, 1, 0, 0)]
    for quaternion in turns:
        rotation = rotation_from_quaternion(quaternion)
        again = quaternion_from_rotation(rotation)
        assert again[0] >= 0 and abs(np.linalg.norm(again) - 1) < 1e-12
        assert np.abs(rotation_from_quaternion(again) - rotation).max() < 1e-12


@needs_data
def test_the_text_form_of_a_model_says_the_same_as_its_binary_form():
    """Both were written by COLMAP, the text with six digits; photos come in another order."""
    binary = colmap.read_model(DATA / "sceaux_model/sparse/0", with_observations=True)
    text = colmap.read_model(DATA / "sceaux_model/sparse_txt/0", with_observations=True)
    assert sorted(text.cameras) == sorted(binary.cameras) and len(text.positions) == len(binary.positions)
    for photo, camera in binary.cameras.items():
        assert np.abs(text.cameras[photo].camera_from_world - camera.camera_from_world).max() < 1e-4
    assert abs(text.reprojection_errors().mean() - binary.reprojection_errors().mean()) < 1e-3
    assert abs(binary.errors.mean() - text.errors.mean()) < 1e-5


@needs_data
@pytest.mark.parametrize(("folder", "mean_px"), [("sceaux_model/sparse/0", 0.6285), ("banana/sparse_400/0", 0.0759)])
def test_a_models_mean_reprojection_error_is_the_known_one(folder, mean_px):
    errors = colmap.read_model(DATA / folder, with_observations=True).reprojection_errors()
    assert abs(errors.mean() - mean_px) < 1e-3


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "colmap/sparse/0", "model"])
@pytest.mark.parametrize("as_text", [False, True])
def test_models_are_found_where_programs_put_them(tmp_path, place, as_text):
    (tmp_path / place).mkdir(parents=True)
    colmap.write_model(tmp_path / place, make_model(), as_text)
    assert colmap.find_model(tmp_path) == tmp_path / place
    assert colmap.find_model(tmp_path / place) == tmp_path / place


def test_the_usual_place_goes_before_others(tmp_path):
    for place in ("dense/sparse", "sparse/0", "sparse/1"):
        (tmp_path / place).mkdir(parents=True)
        colmap.write_model(tmp_path / place, make_model())
    assert colmap.find_model(tmp_path) == tmp_path / "sparse/0"


def test_a_chosen_model_folder_leads_to_its_capture(tmp_path):
    (tmp_path / "images").mkdir()
    for place in ("sparse/0", "sparse/1"):
        (tmp_path / place).mkdir(parents=True)
        colmap.write_model(tmp_path / place, make_model())
    assert capture_folder(tmp_path / "sparse/0") == tmp_path
    assert capture_folder(tmp_path / "sparse/1") == tmp_path / "sparse/1", "the capture would open another model"
    (tmp_path / "transforms.json").write_text("{}")
    assert capture_folder(tmp_path / "transforms.json") == tmp_path


def test_the_extra_files_of_colmap_4_are_ignored(tmp_path):
    model = make_model()
    colmap.write_model(tmp_path, model)
    for name in ("rigs.bin", "frames.bin", "project.ini"):
        (tmp_path / name).write_bytes(b"anything")
    assert_same_model(model, colmap.read_model(tmp_path, with_observations=True))


def test_a_model_without_points_has_none(tmp_path):
    colmap.write_model(tmp_path, make_model())
    (tmp_path / "points3D.bin").unlink()
    assert colmap.read_model(tmp_path).positions.shape == (0, 3)


def test_a_text_model_opens_as_a_capture(tmp_path):
    (tmp_path / "sparse").mkdir()
    (tmp_path / "images" / "left side").mkdir(parents=True)
    model = make_model()
    colmap.write_model(tmp_path / "sparse", model, as_text=True)
    for photo in model.cameras:
        (tmp_path / "images" / photo).write_bytes(b"photo")
    capture = open_capture(tmp_path)
    assert [view.name for view in capture.views] == [f"left side/photo {index}" for index in range(4)]
    assert [view.listed_as for view in capture.views] == list(model.cameras)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_binary_files_cut_anywhere_are_refused_by_name(tmp_path, name):
    model = make_model(photo_count=2, point_count=3)
    colmap.write_model(tmp_path, model)
    content = (tmp_path / name).read_bytes()
    for size in range(1, len(content)):
        (tmp_path / name).write_bytes(content[:size])
        with pytest.raises(CaptureError, match=rf"{name} ends too early\. It was cut short: copy it"):
            colmap.read_model(tmp_path, with_observations=True)


@pytest.mark.parametrize("suffix", ["bin", "txt"])
@pytest.mark.parametrize("stem", ["cameras", "images", "points3D"])
def test_empty_files_are_refused_by_name(tmp_path, stem, suffix):
    colmap.write_model(tmp_path, make_model(), as_text=suffix == "txt")
    (tmp_path / f"{stem}.{suffix}").write_bytes(b"")
    with pytest.raises(CaptureError, match=rf"{stem}\.{suffix} is empty\. Copy it again"):
        colmap.read_model(tmp_path)


@pytest.mark.parametrize("suffix", ["bin", "txt"])
def test_a_lost_file_is_named(tmp_path, suffix):
    colmap.write_model(tmp_path, make_model(), as_text=suffix == "txt")
    (tmp_path / f"images.{suffix}").unlink()
    with pytest.raises(CaptureError, match=rf"images\.{suffix} cannot be read .* complete COLMAP model"):
        colmap.read_model(tmp_path)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
def test_counts_that_no_file_could_hold_are_refused_at_once(tmp_path, name):
    colmap.write_model(tmp_path, make_model())
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(struct.pack("<Q", 2**62) + content[8:])
    with pytest.raises(CaptureError, match=rf"{name} ends too early"):
        colmap.read_model(tmp_path)


@pytest.mark.parametrize("number", [n for n in LENS_MODELS if n not in (0, 1, 2, 3, 4, 6)] + [99])
def test_lenses_without_pinhole_form_are_refused_by_name(tmp_path, number):
    colmap.write_model(tmp_path, make_model())
    name, count = LENS_MODELS.get(number, ("number 99", 4))
    record = struct.pack("<QiiQQ", 1, 1, number, 640, 480) + struct.pack(f"<{count}d", *[1.0] * count)
    (tmp_path / "cameras.bin").write_bytes(record)
    with pytest.raises(CaptureError, match=rf"The camera model {name} in .* is not supported\. Undistort the photos"):
        colmap.read_model(tmp_path)


LINES = {
    "cameras.txt": "# Number of cameras: 1\n1 PINHOLE 64 48 50 51 32 24\n",
    "images.txt": "# Number of images: 2\n1 1 0 0 0 0 0 0 1 a.png\n1.5 2.5 7 3 4 -1\n2 1 0 0 0 0 0 1 1 b.png\n\n",
    "points3D.txt": "# Number of points: 1\n7 1 2 3 255 0 51 0.5 1 0\n",
}


def write_text(folder: Path, **changed: str) -> Path:
    for name, content in LINES.items():
        (folder / name).write_text(changed.get(name.split(".")[0], content))
    return folder


def test_a_text_model_gives_cameras_points_and_observations(tmp_path):
    model = colmap.read_model(write_text(tmp_path), with_observations=True)
    assert list(model.cameras) == ["a.png", "b.png"] and model.cameras["b.png"].camera_from_world[2, 3] == 1.0
    assert model.positions.tolist() == [[1, 2, 3]] and np.allclose(model.colors, [[1, 0, 0.2]])
    assert model.observations["a.png"].pixels.tolist() == [[1.5, 2.5], [3, 4]]
    assert model.observations["a.png"].points.tolist() == [0, -1]
    assert len(model.observations["b.png"].points) == 0, "the line of observations may be blank"


def test_windows_line_ends_and_byte_order_marks_do_not_matter(tmp_path):
    for name, content in LINES.items():
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode())
    assert list(colmap.read_model(tmp_path).cameras) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"cameras": "1 PINHOLE 64 48 50 51 32\n"}, r"Line 1 of .*cameras\.txt has 3 parameters where PINHOLE has 4"),
        ({"cameras": "# Number of cameras: 2\n1 PINHOLE 64 48 50 51 32 24\n"}, "announces 2 cameras but holds 1"),
        ({"cameras": "1 PINHOLE\n"}, r"Line 1 of .*cameras\.txt is not a camera\. Copy the file again"),
        ({"cameras": "1 FOV 64 48 50 51 32 24 0.9\n"}, "camera model FOV in .* is not supported"),
        ({"cameras": "2 PINHOLE 64 48 50 51 32 24\n"}, "name camera 1, which is missing from the list of cameras"),
        ({"images": "# Number of images: 3\n" + LINES["images.txt"][22:]}, "announces 3 images but holds 2"),
        ({"images": "1 1 0 0 0 0 0 0 1 a.png\n1.5 2.5 7 3\n"}, r"Line 2 of .* has 4 numbers, which are not triples"),
        ({"images": "1 1 0 0 0 0 0 1 a.png\n\n"}, r"Line 1 of .*images\.txt is not an image"),
        ({"images": "# nothing\n"}, "has no registered image"),
        (
            {"images": "1 1 0 0 0 0 0 0 1 a.png\n\n2 1 0 0 0 0 0 1 1 a.png\n\n"},
            r"holds the photo a\.png twice\. Remove",
        ),
        ({"points3D": "7 1 2 3 255 0\n"}, r"Line 1 of .*points3D\.txt has 6 words, which is not a point"),
        ({"points3D": "7 1 2 x 255 0 51 0.5\n"}, r"Line 1 of .*points3D\.txt is not a point"),
        ({"points3D": "# Number of points: 5\n7 1 2 3 255 0 51 0.5 1 0\n"}, "announces 5 points but holds 1"),
    ],
)
def test_text_with_wrong_counts_is_told_where(tmp_path, changed, sentence):
    with pytest.raises(CaptureError, match=sentence):
        colmap.read_model(write_text(tmp_path, **changed))


def test_two_photos_of_one_name_are_refused_in_binary_models_too(tmp_path):
    model = make_model(photo_count=2)
    colmap.write_model(tmp_path, model)
    content = (tmp_path / "images.bin").read_bytes()
    (tmp_path / "images.bin").write_bytes(content.replace(b"photo 1.jpg", b"photo 0.jpg"))
    with pytest.raises(CaptureError, match=r"holds the photo left side/photo 0\.jpg twice"):
        colmap.read_model(tmp_path)


def test_a_quaternion_of_length_zero_is_refused_by_name(tmp_path):
    from splat_addon.errors import CameraError

    images = LINES["images.txt"].replace("1 1 0 0 0 0 0 0 1 a.png", "1 0 0 0 0 0 0 0 1 a.png")
    write_text(tmp_path, images=images)
    with pytest.raises(CameraError, match=r"The camera of a\.png contains a value that is not finite"):
        open_capture(tmp_path)
