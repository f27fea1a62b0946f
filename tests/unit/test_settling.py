"""What a capture's files leave open is settled by its points, where they can tell, and what was chosen is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.capture import Capture, open_capture
from splat_addon.capture.check.settling import SAMPLE, settled
from splat_addon.capture.choices import CaptureChoices
from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.capture.photos.kept import KeptPictures
from splat_addon.capture.photos.orientation import inverse_orientation, turned
from splat_addon.capture.photos.values import Decoded
from splat_addon.capture.points import Points
from splat_addon.gaussians.formats.splat_ply import write_points
from support.photo_files import exif, png_chunk, write_png
from support.textured_ball import ball_capture, write_ball

SQUARE = {"width": 72, "height": 72}
EITHER = [2, 3, 4]  # with which a landscape photo keeps its proportion
FRAME = np.array([[0.0, 1, 0, 0.1], [1, 0, 0, 0], [0, 0, -1, 0]])  # as nerfstudio turns a world


def written(folder: Path, *arguments, **options) -> Capture:
    """The ball in files, opened, but not settled."""
    write_ball(folder, *arguments, **options)
    return open_capture(folder)


def read_png(path: Path) -> Decoded:
    """What `write_png` wrote."""
    import zlib

    content = path.read_bytes()
    width, height = (int.from_bytes(content[place : place + 4], "big") for place in (16, 20))
    place = content.index(b"IDAT")
    rows = np.frombuffer(zlib.decompress(content[place + 4 :]), np.uint8).reshape(height, -1)
    return Decoded(rows[:, 1:].reshape(height, width, 3))


def told(capture: Capture) -> str:
    return " ".join(remark.told for remark in capture.remarks)


@pytest.mark.parametrize("points", ["colored", "plain"])
@pytest.mark.parametrize("is_measured_turned", [True, False])
@pytest.mark.parametrize("record", [*EITHER, "square 2", "square 5", "square 6", "square 7", "square 8"])
def test_points_tell_whether_cameras_were_measured_on_the_turned_photos(tmp_path, record, is_measured_turned, points):
    size = SQUARE if isinstance(record, str) else {}
    record = int(str(record).removeprefix("square "))
    capture = written(tmp_path, record, is_measured_turned, points, **size)
    assert {view.orientation for view in capture.views} == {1} and "They are used as stored." in told(capture)
    found = settled(capture, read_png)
    assert {view.orientation for view in found.views} == ({record} if is_measured_turned else {1})
    chosen = "They are turned" if is_measured_turned else "They are used as stored"
    assert f"{chosen}: only so the points agree with them." in told(found)
    assert not found.doubts and len(found.remarks) == len(capture.remarks)


@pytest.mark.parametrize("why", ["no points", "gray photos"])
def test_where_points_cannot_tell_photos_stay_as_stored_and_that_is_said(tmp_path, why):
    points, pixels = ("none", "photos") if why == "no points" else ("colored", "gray")
    found = settled(written(tmp_path, 3, True, points, pixels), read_png)
    assert {view.orientation for view in found.views} == {1}
    assert "They are used as stored. If training does not converge, choose the other orientation." in told(found)


def test_a_choice_leaves_no_doubt_and_no_photo_is_decoded_without_one(tmp_path):
    def refuse(path: Path) -> Decoded:
        raise AssertionError("decoded")

    written(tmp_path, 3, True)
    chosen = settled(open_capture(tmp_path, choices=CaptureChoices(orientation="turned")), refuse)
    assert {view.orientation for view in chosen.views} == {3}
    plain, _ = ball_capture()
    assert settled(plain, refuse) is plain


@pytest.mark.parametrize("is_original", [True, False])
@pytest.mark.parametrize("record", [1, 3])
def test_points_that_cameras_cannot_place_are_placed_by_photos(tmp_path, is_original, record):
    """With a doubt about the orientation as well, both are settled together."""
    capture, photos = ball_capture()
    similarity = np.vstack([FRAME, (0, 0, 0, 1)])
    right = capture.points.moved(FRAME).positions
    cameras = {}
    (tmp_path / "images").mkdir()
    for view in capture.views:
        stored = turned(photos[view.name], inverse_orientation(record))
        write_png(tmp_path / f"images/{view.name}.png", stored, before=png_chunk(b"eXIf", exif(record)))
        cameras[f"images/{view.name}.png"] = view.camera.moved(similarity)
    write_points(tmp_path / "pc.ply", capture.points.positions if is_original else right, capture.points.colors)
    extra = {"applied_transform": FRAME.tolist()}
    write_transforms(tmp_path / "transforms.json", cameras, set(), "pc.ply", extra)
    opened = open_capture(tmp_path)
    assert len(opened.doubts) == 1 + (record != 1)
    found = settled(opened, read_png)
    assert np.allclose(found.points.positions, right, atol=1e-5)
    assert {view.orientation for view in found.views} == {record}
    assert ("were moved by applied_transform" if is_original else "were left where they are: only so") in told(found)
    assert "cannot be told" not in told(found)


def test_a_doubt_moves_with_its_capture(tmp_path):
    capture, _ = ball_capture()
    doubt = replace(written(tmp_path, 3, True).doubts[0], points=capture.points)
    similarity = np.diag([2.0, 2, 2, 1])
    moved = replace(capture, doubts=(doubt,)).moved(similarity)
    assert np.array_equal(moved.doubts[0].points.positions, 2 * capture.points.positions)


def test_what_one_has_decoded_is_not_decoded_again_within_its_budget(tmp_path):
    asked = []

    def decode(path: Path) -> Decoded:
        asked.append(path.stem)
        return read_png(path)

    capture = written(tmp_path, 3, True)
    kept = KeptPictures(decode, 4 * 96 * 72 * 3)
    found = settled(capture, kept.first)
    assert len(asked) == min(SAMPLE, len(capture.views)) == 10 and {view.orientation for view in found.views} == {3}
    for view in found.views:
        assert np.array_equal(kept.second(view.image_path).pixels, read_png(view.image_path).pixels)
    assert len(asked) == 10 + len(capture.views) - 4
    kept.second(capture.views[0].image_path)  # it was taken
    assert len(asked) == 11 + len(capture.views) - 4


def test_points_given_to_a_doubt_need_colors_or_several_photos():
    capture, photos = ball_capture(2)
    few = replace(capture, points=Points(capture.points.positions[:10], capture.points.colors[:10]))
    assert settled(few, lambda path: Decoded(photos[path.stem])) == few
