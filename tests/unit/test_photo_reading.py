"""What becomes of a decoded file: orientation, size, values, masks, color profiles, the lens. Without any decoder."""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import View
from splat_addon.capture.photos.masks import mask_weights
from splat_addon.capture.photos.orientation import (
    decide_orientations,
    inverse_orientation,
    orientation_by_size,
    turned,
    turned_size,
)
from splat_addon.capture.photos.profiles import read_profile
from splat_addon.capture.photos.reading import read_mask, read_photo
from splat_addon.capture.photos.records import is_heif, read_orientation, read_records
from splat_addon.capture.photos.sizes import fits
from splat_addon.capture.photos.undistort import pinhole_within, undistorted_photo
from splat_addon.capture.photos.values import Decoded, to_bytes, to_color
from splat_addon.capture.upright import held_upright, up_direction
from splat_addon.errors import CaptureError
from support.photo_files import DISPLAY_P3, exif, matrix_profile, png_chunk, with_exif, write_png

JPEG_HEAD = b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 8, 8, 30, 40, 1)  # 40 x 30, and nothing after


def camera(width: int = 40, height: int = 30, **more) -> Camera:
    return Camera(width, height, 40, 40, width / 2, height / 2, np.eye(4), **more)


# --- Orientation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_exif_defines(orientation):
    """Exif 2.32, 4.6.4: what the 0th row and the 0th column of the stored picture are on screen."""
    stored = np.arange(6).reshape(2, 3)
    first_row, first_column = stored[0].tolist(), stored[:, 0].tolist()
    shown = turned(stored, orientation)
    sides = {"top": shown[0], "bottom": shown[-1], "left": shown[:, 0], "right": shown[:, -1]}
    row, column = [
        ("top", "left"), ("top", "right"), ("bottom", "right"), ("bottom", "left"),
        ("left", "top"), ("right", "top"), ("right", "bottom"), ("left", "bottom"),
    ][orientation - 1]  # fmt: skip
    assert sorted(sides[row].tolist()) == first_row and sorted(sides[column].tolist()) == first_column
    assert shown.shape[::-1] == turned_size((3, 2), orientation)
    assert np.array_equal(turned(shown, inverse_orientation(orientation)), stored)


@pytest.mark.parametrize("kind", ["jpeg", "png", "late png", "webp", "tiff", "long", "intel"])
@pytest.mark.parametrize("value", [3, 6, 8])
def test_an_orientation_is_read_from_every_kind_of_file(tmp_path, kind, value):
    record = exif(value, "II" if kind == "intel" else "MM", 4 if kind == "long" else 3)
    path, chunk = tmp_path / "photo", png_chunk(b"eXIf", record)
    if "png" in kind:
        write_png(path, np.zeros((3, 4), np.uint8), 8, *((chunk, b"") if kind == "png" else (b"", chunk)))
    elif kind == "webp":
        body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(10) + b"ABCD" + struct.pack("<I", 3) + b"odd\0"
        path.write_bytes(b"RIFF" + bytes(4) + body + b"EXIF" + struct.pack("<I", len(record)) + record)
    else:
        path.write_bytes(record if kind == "tiff" else with_exif(JPEG_HEAD, record))
    assert read_orientation(path) == value


@pytest.mark.parametrize(
    "content",
    [
        with_exif(JPEG_HEAD, exif(0)),
        with_exif(JPEG_HEAD, exif(9)),
        with_exif(JPEG_HEAD, exif(6 << 8)),  # written in the other byte order than it says
        with_exif(JPEG_HEAD, exif(6)[:12]),
        with_exif(JPEG_HEAD, b"II*\0" + bytes(4)),
        with_exif(JPEG_HEAD, b""),
        JPEG_HEAD,
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 40,
        b"RIFF\xff\xff\xff\xffWEBP" + b"EXIF\xff\xff\xff\xff",
        b"II*\0\xff\xff\xff\xff",
        b"",
        b"no photo",
    ],
)
def test_a_record_that_says_nothing_valid_leaves_a_photo_as_stored(tmp_path, content):
    (tmp_path / "photo").write_bytes(content)
    assert read_records(tmp_path / "photo").orientation == 1
    assert read_orientation(tmp_path / "missing") == 1


def test_of_two_exif_records_the_first_with_an_orientation_counts(tmp_path):
    once = with_exif(JPEG_HEAD, exif(3))
    (tmp_path / "a").write_bytes(with_exif(once, exif(8)))
    (tmp_path / "b").write_bytes(with_exif(once, exif(0)))
    assert (read_orientation(tmp_path / "a"), read_orientation(tmp_path / "b")) == (8, 3)


@pytest.mark.parametrize("size", [(40, 40), (40, 30), (30, 40)])
@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("record", range(1, 9))
@pytest.mark.parametrize("is_colmap", [True, False])
def test_the_cameras_proportion_decides_the_orientation_or_leaves_it_open(tmp_path, size, is_stored, record, is_colmap):
    """Measured on the pixels as stored, or as a viewer shows them: what is certain, and what is not."""
    write_png(tmp_path / "a.png", np.zeros(size[::-1], np.uint8), before=png_chunk(b"eXIf", exif(record)))
    measured = size if is_stored else turned_size(size, record)
    found = decide_orientations({"a": tmp_path / "a.png"}, {"a": camera(*measured)}, "auto", is_colmap)
    tells = record >= 5 and size[0] != size[1]
    expected = record if tells and not is_stored else 1
    assert found.by_name.get("a", 1) == expected
    assert found.unclear == ({"a": record} if not (tells or record == 1 or is_colmap) else {})
    assert len(found.remarks) == (expected != 1 or bool(found.unclear))
    assert orientation_by_size(record, size, measured) == (expected, tells or record == 1)


def test_the_artist_decides_the_orientation_instead(tmp_path):
    write_png(tmp_path / "a.png", np.zeros((30, 40), np.uint8), before=png_chunk(b"eXIf", exif(3)))
    photos, cameras = {"a": tmp_path / "a.png"}, {"a": camera()}
    assert decide_orientations(photos, cameras, "turned").by_name == {"a": 3}
    assert decide_orientations(photos, cameras, "stored", False).unclear == {}


def test_what_is_held_upright_is_up_whatever_the_record():
    """A quarter orbit, level, whose pictures are stored in any of the eight ways: up is z."""
    directions = {1: (0, -1), 3: (1, 0), 5: (0, 1), 7: (-1, 0)}  # x right, y down, of pixels in a square of nine
    for orientation in range(1, 9):
        shown = turned(np.array([[0, 1, 2], [7, 8, 3], [6, 5, 4]]), orientation)
        up_x, up_y = directions[int(shown[0, 1])]  # where the stored picture has what a viewer shows at the top
        cameras = []
        for angle in np.linspace(0, np.pi / 2, 12):
            level, upward = np.array([-np.sin(angle), np.cos(angle), 0]), np.array([0, 0, 1.0])
            right, down = (up_x * upward, level) if up_x else (level, up_y * upward)
            matrix = np.eye(4)
            matrix[:3, :3] = np.stack([right, down, np.cross(right, down)])
            cameras.append(Camera(40, 30, 40, 40, 20, 15, matrix))
        up = up_direction([held_upright(each, orientation) for each in cameras])
        assert np.allclose(up, (0, 0, 1), atol=1e-6), orientation


# --- Size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photo", "measured", "expected"),
    [
        ((400, 266), (400, 266), True),
        ((400, 261), (400, 266), False),
        ((400, 270), (400, 266), False),
        ((389, 259), (3118, 2078), True),
        ((390, 260), (3118, 2078), True),
        ((3118, 2078), (389, 259), True),
        ((3118, 2040), (389, 259), False),
        ((1600, 1067), (4000, 2667), True),
        ((1600, 1200), (1600, 1184), False),
        ((30, 40), (40, 30), False),
        ((1, 1), (4000, 4000), True),
    ],
)
def test_a_photo_is_its_cameras_picture_scaled_by_one_factor(photo, measured, expected):
    assert fits(photo, measured) is expected


def test_a_cropped_photo_is_refused_with_both_sizes():
    view = View("a", Path("a.png"), camera(400, 266), False)
    with pytest.raises(CaptureError, match=r"The photo a\.png is 400 x 261, its camera 400 x 266"):
        read_photo(view, lambda path: Decoded(np.zeros((261, 400, 3), np.uint8)))


# --- Values ----------------------------------------------------------------------------------------------------------


def test_every_depth_gives_the_nearest_byte():
    words = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_bytes(words)[0], np.rint(words / 257))
    assert np.array_equal(to_bytes(words.astype(np.int32))[0], to_bytes(words)[0])
    levels = np.linspace(0, 1, 1001, dtype=np.float32)
    assert np.array_equal(to_bytes(levels)[0], np.rint(levels * 255))
    assert to_bytes(np.array([False, True]))[0].tolist() == [0, 255]


def test_floats_beyond_white_are_clipped_or_scaled_and_that_is_said():
    values, notes = to_bytes(np.array([[0, 0.5, 1, 3]], np.float32))
    assert values.tolist() == [[0, 128, 255, 255]] and "beyond white" in notes[0]
    values, notes = to_bytes(np.array([[0, 64, 128, 255]], np.float32))
    assert values.tolist() == [[0, 64, 128, 255]] and "up to 255" in notes[0]
    values, notes = to_bytes(np.array([[np.nan, 0.2, np.inf, 1]], np.float32))
    assert values.tolist() == [[0, 51, 0, 255]] and "not finite" in notes[0]
    rgba = np.tile(np.array([255, 128, 64, 1], np.float32), (4, 4, 1))
    assert to_bytes(rgba)[0][0, 0].tolist() == [255, 128, 64, 255], "alpha is never scaled"
    with pytest.raises(ValueError, match="32 bits"):
        to_bytes(np.array([70_000]))


def test_gray_becomes_color_and_an_alpha_that_leaves_nothing_out_goes():
    gray = np.array([[[7, 255], [9, 255]]], np.uint8)
    assert to_color(gray).tolist() == [[[7, 7, 7], [9, 9, 9]]]
    gray[0, 0, 1] = 3
    assert to_color(gray).tolist() == [[[7, 7, 7, 3], [9, 9, 9, 255]]]


def test_heic_is_told_from_other_files_in_one_sentence(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    assert is_heif(tmp_path / "a.jpg")
    with pytest.raises(CaptureError, match=r"a\.jpg is a HEIC or AVIF file.*Convert it to JPEG"):
        read_photo(View("a", tmp_path / "a.jpg", camera(), False), lambda path: pytest.fail("decodes it"))


# --- Color profiles --------------------------------------------------------------------------------------------------


def test_display_p3_becomes_srgb(tmp_path):
    """Red of P3 at half intensity lies within sRGB when it is desaturated; by the formulas, in floating point."""
    profile = matrix_profile(DISPLAY_P3, 2.2)
    chunk = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))
    colors = np.random.default_rng(0).integers(60, 200, (30, 40, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", colors, before=chunk)
    read = read_photo(View("a", tmp_path / "a.png", camera(), False), lambda path: Decoded(colors))
    srgb = np.array(
        [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
    )
    linear = (colors / 255) ** (563 / 256) @ (np.linalg.inv(srgb) @ DISPLAY_P3).T
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)
    inside = ((linear > 0) & (linear < 1)).all(axis=2)
    assert inside.mean() > 0.5 and np.abs(read.pixels - 255 * expected)[inside].max() < 1
    assert np.abs(read.pixels.astype(int) - colors).max() > 5 and "converted to sRGB" in read.notes[0]


def test_a_profile_that_is_srgb_or_not_understood_changes_nothing():
    assert read_profile(b"") is None and read_profile(bytes(200)) is None
    whole = matrix_profile(DISPLAY_P3, 2.2)
    assert not read_profile(whole).is_srgb()
    assert all(read_profile(whole[:cut]) is None for cut in (100, 130, 140, 300))


# --- Masks -----------------------------------------------------------------------------------------------------------

HALF = np.zeros((30, 40), np.uint8)
HALF[:, :20] = 1
COLORS = np.zeros((30, 40, 3), np.uint8)
COLORS[:, :10], COLORS[:, 10:20] = (128, 0, 0), (0, 128, 0)
MASKS = {
    "0/1": HALF,
    "0/255": HALF * 255,
    "bool": HALF > 0,
    "0/1 of 16 bits": HALF.astype(np.uint16),
    "0/255 of 16 bits": HALF.astype(np.uint16) * 255,
    "0/65535": HALF.astype(np.uint16) * 65535,
    "0/128": HALF * 128,
    "float": HALF.astype(np.float32),
    "labels": HALF * (1 + np.arange(40, dtype=np.uint8) % 5),
    "label colors": COLORS,
    "white with alpha": np.dstack([np.full((30, 40, 3), 255, np.uint8), HALF * 255]),
    "black with alpha": np.dstack([np.zeros((30, 40, 3), np.uint8), HALF * 255]),
    "opaque": np.dstack([HALF * 255] * 3 + [np.full((30, 40), 255, np.uint8)]),
    "gray with alpha": np.dstack([HALF * 0, HALF * 255]),
}


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("is_inverted", [False, True])
def test_a_mask_of_two_values_keeps_what_is_not_zero(kind, is_inverted):
    weights = mask_weights(Decoded(MASKS[kind]), is_inverted)
    assert weights.dtype == np.uint8 and np.array_equal(weights == 255, (HALF > 0) ^ is_inverted)
    assert np.array_equal(weights == 0, (HALF == 0) ^ is_inverted)


def test_grades_are_weights_and_what_compression_adds_is_not():
    ramp = np.tile(np.arange(40, dtype=np.uint8) * 6, (30, 1))
    assert np.array_equal(mask_weights(Decoded(ramp)), ramp)
    assert np.abs(mask_weights(Decoded(ramp.astype(np.uint16) * 257)).astype(int) - ramp).max() == 0
    assert np.array_equal(mask_weights(Decoded(ramp.astype(np.uint16))), ramp), "8 bits in 16"
    noise = np.random.default_rng(0).integers(0, 6, (30, 40))
    blurred = np.where(HALF > 0, 255 - noise, noise).astype(np.uint8)
    assert np.array_equal(mask_weights(Decoded(blurred, is_lossy=True)), HALF * 255)
    assert mask_weights(Decoded(np.zeros((4, 4), np.uint8))).max() == 0
    assert mask_weights(Decoded(np.full((4, 4), 255, np.uint8))).min() == 255


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_mask_lies_as_its_photo_does(tmp_path, is_turned):
    """The photo is turned; its mask was made on the stored pixels, or on the turned ones."""
    write_png(tmp_path / "m.png", HALF)
    stored = HALF if not is_turned else turned(HALF, 6)
    view = View("a", tmp_path / "a.png", camera(30, 40), False, tmp_path / "m.png", orientation=6)
    assert np.array_equal(read_mask(view, (30, 40), lambda path: Decoded(stored)), turned(HALF, 6) * 255)


# --- The lens --------------------------------------------------------------------------------------------------------


def test_colors_are_weighted_by_alpha_where_a_lens_is_taken_out():
    """White on transparent black: every pixel that shows something is white."""
    lens = camera(distortion=(-0.2, 0.05, 0.0, 0.0))
    pixels = np.zeros((30, 40, 4), np.uint8)
    pixels[8:20, 10:30] = 255
    result, _ = undistorted_photo(pixels, lens, lens.without_distortion())
    shown = result[..., 3] > 0
    assert (shown & (result[..., 3] < 255)).sum() > 0 and (result[shown][:, :3] == 255).all()


def test_what_lies_beyond_the_fold_of_a_lens_is_not_seen():
    """r (1 - 0.5 r²) turns back at r = sqrt(2/3); the corners of this picture lie at 0.625 of the focal length."""
    lens = camera(distortion=(-0.5, 0.0, 0.0, 0.0))
    wide = Camera(40, 30, 16, 16, 20, 15, np.eye(4), lens.distortion)
    fold = math.sqrt(2 / 3)
    slopes = np.stack([np.linspace(0, 2, 41), np.zeros(41)], axis=1)
    assert np.array_equal(lens.is_before_fold(slopes), slopes[:, 0] < fold)
    _, is_seen = undistorted_photo(np.zeros((30, 40, 3), np.uint8), wide, wide.without_distortion())
    across, down = np.meshgrid((np.arange(40) + 0.5 - 20) / 16, (np.arange(30) + 0.5 - 15) / 16)
    assert np.array_equal(is_seen, np.hypot(across, down) < fold) and 0.3 < is_seen.mean() < 0.9
    places = np.stack([across.ravel(), down.ravel(), np.ones(1200)], axis=1)
    assert np.array_equal(np.isin(np.arange(1200), wide.seen(places)[0]), is_seen.ravel())
    pinhole = pinhole_within(wide)
    assert undistorted_photo(np.zeros((30, 40, 3), np.uint8), wide, pinhole)[1].all()


def test_lenses_without_a_fold_see_everything():
    far = np.array([[50.0, 80.0]])
    for distortion in ((), (0.1, 0.02, 0.0, 0.0), (0.3, 0.1, 0.0, 0.0, 0.0, 0.2, 0.05, 0.0)):
        assert camera(distortion=distortion).is_before_fold(far).all()


def test_a_pole_of_a_lens_is_not_seen_either():
    """1 / (1 - r²) grows without end toward r = 1, which lies on the middle of pixels here."""
    lens = Camera(40, 30, 10, 10, 20.5, 15.5, np.eye(4), (0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0))
    _, is_seen = undistorted_photo(np.full((30, 40, 3), 9, np.uint8), lens, lens.without_distortion())
    assert not is_seen[15, 30] and not is_seen[15, 39] and is_seen[15, 20]
