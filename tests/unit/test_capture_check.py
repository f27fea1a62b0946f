"""The capture check: right captures pass, and what does not belong together is found by measurement."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import Capture, open_capture
from splat_addon.capture.card import card_of
from splat_addon.capture.check.check import Check, check_capture
from splat_addon.capture.check.geometry import check_geometry, folds_back
from splat_addon.capture.points import Points
from support.textured_ball import ball_capture

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared captures are not on this machine")


def banana() -> tuple[Capture, dict[str, np.ndarray]]:
    images = pytest.importorskip("PIL.Image")
    capture = open_capture(DATA / "banana")
    return capture, {view.name: np.asarray(images.open(view.image_path).convert("RGB")) for view in capture.views}


CAPTURES = [pytest.param(ball_capture, id="ball"), pytest.param(banana, id="banana", marks=needs_data)]


def checked(capture: Capture, photos: dict[str, np.ndarray]) -> Check:
    return check_capture(capture, lambda view, longest_px: np.float32(photos[view.name] / 255))


def warnings(check: Check) -> list[str]:
    return [remark.text for remark in check.remarks if remark.is_warning]


def with_poses(capture: Capture, changed) -> Capture:
    """With `changed(world_from_camera)` as each camera's pose."""
    cameras = [
        replace(view.camera, camera_from_world=np.linalg.inv(changed(view.camera.world_from_camera)))
        for view in capture.views
    ]
    views = tuple(replace(view, camera=camera) for view, camera in zip(capture.views, cameras, strict=True))
    return replace(capture, views=views)


def transposed(pose: np.ndarray) -> np.ndarray:
    result = pose.copy()
    result[:3, :3] = pose[:3, :3].T
    return result


@pytest.mark.parametrize("make", CAPTURES)
def test_a_right_capture_is_not_complained_about(make):
    capture, photos = make()
    check = checked(capture, photos)
    assert check.remarks == () and check.agreement.agrees
    assert check.agreement.score > 0.6 and check.agreement.chance < 0.3


@pytest.mark.parametrize("make", CAPTURES)
@pytest.mark.parametrize("kind", ["exposure", "gray", "few points", "no colors", "few photos"])
def test_a_right_capture_of_another_kind_is_not_complained_about_either(make, kind):
    capture, photos = make()
    random, points = np.random.default_rng(2), capture.points
    if kind == "exposure":
        photos = {name: np.clip(pixels * 2 ** random.uniform(-0.5, 0.3), 0, 255) for name, pixels in photos.items()}
    elif kind == "gray":
        photos = {name: pixels.mean(axis=2, keepdims=True) for name, pixels in photos.items()}
    elif kind == "few points":
        kept = random.choice(len(points.positions), 200, replace=False)
        capture = replace(capture, points=Points(points.positions[kept], points.colors[kept]))
    elif kind == "no colors":
        capture = replace(capture, points=Points(points.positions, np.full_like(points.colors, np.nan)))
    else:
        capture = replace(capture, views=capture.views[:8])
    assert warnings(checked(capture, photos)) == []


@pytest.mark.parametrize("make", CAPTURES)
@pytest.mark.parametrize(
    ("kind", "turned"),
    [("turned by 180 degrees", lambda pixels: pixels[::-1, ::-1]), ("mirrored", lambda pixels: pixels[:, ::-1])],
)
def test_photos_of_a_wrong_orientation_are_found_and_named(make, kind, turned):
    capture, photos = make()
    found = warnings(checked(capture, {name: turned(pixels) for name, pixels in photos.items()}))
    assert len(found) == 1 and f"with the photos {kind}" in found[0]


@pytest.mark.parametrize("make", CAPTURES)
@pytest.mark.parametrize("changed", [transposed, np.linalg.inv], ids=["transposed", "inverted"])
def test_camera_matrices_written_another_way_are_found(make, changed):
    capture, photos = make()
    found = " ".join(warnings(checked(with_poses(capture, changed), photos)))
    assert "do not agree" in found or "look away" in found


@pytest.mark.parametrize("make", CAPTURES)
def test_points_in_another_frame_are_found(make):
    capture, photos = make()
    turn = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]])
    found = " ".join(warnings(checked(replace(capture, points=capture.points.moved(turn)), photos)))
    assert "do not agree" in found or "look away" in found


@pytest.mark.parametrize("make", CAPTURES)
def test_shuffled_photos_are_found(make):
    capture, photos = make()
    names = list(photos)
    shuffled = dict(zip(names, [photos[name] for name in (*names[5:], *names[:5])], strict=True))
    assert "do not agree" in warnings(checked(capture, shuffled))[0]


@pytest.mark.parametrize("make", CAPTURES)
def test_two_swapped_photos_are_named(make):
    capture, photos = make()
    first, second = capture.views[2], capture.views[9]
    swapped = {**photos, first.name: photos[second.name], second.name: photos[first.name]}
    assert warnings(checked(capture, swapped)) == [
        f"The photos {first.listed_as} and {second.listed_as} are swapped: each fits the other's camera."
    ]


def test_without_points_geometry_alone_is_checked_and_that_is_said():
    capture, photos = ball_capture()
    check = checked(replace(capture, points=None), photos)
    assert check.agreement is None
    assert [remark.text for remark in check.remarks] == [
        "The capture has no points, so that photos and cameras could not be compared."
    ]


def test_cameras_at_one_place_and_cameras_that_look_away_are_named():
    capture, _ = ball_capture(3)
    place = capture.views[0].camera.position

    def moved(pose: np.ndarray) -> np.ndarray:
        return np.block([[pose[:3, :3], place[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])

    texts = [remark.text for remark in check_geometry(with_poses(capture, moved))]
    assert texts[0] == "All 3 cameras stand at one place: photos taken by only turning show no depth."
    assert texts[1] == "2 of 3 cameras look away from all points (photo_01, photo_02)."


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e9])
def test_whether_cameras_stand_at_one_place_depends_on_no_unit(scale):
    capture, _ = ball_capture(3)
    bare = replace(capture, points=None).moved(np.diag([scale, scale, scale, 1.0]))
    assert check_geometry(bare) == ()
    place = bare.views[0].camera.position

    def moved(pose: np.ndarray) -> np.ndarray:
        return np.block([[pose[:3, :3], place[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])

    (remark,) = check_geometry(with_poses(bare, moved))
    assert remark.text.startswith("All 3 cameras stand at one place")


@pytest.mark.parametrize(
    ("distortion", "expected"),
    [((), False), ((-0.2, 0.03, 0, 0), False), ((0.3, 0, 0, 0), False), ((-0.9, 0, 0, 0), True)],
)
def test_a_lens_that_folds_back_within_the_picture_is_found(distortion, expected):
    camera = Camera(100, 80, 60.0, 60.0, 50.0, 40.0, np.eye(4), distortion)
    assert folds_back(camera) == expected


def test_the_card_says_what_was_opened_and_measured():
    capture, photos = ball_capture()
    card = card_of(capture, checked(capture, photos))
    rows = dict(card.rows)
    assert rows["Photos"] == "12, 96 × 72 px" and rows["Points"] == "800" and rows["Masks"] == "none"
    assert rows["Split"] == "10 to train on, 2 held out" and rows["Agreement"].endswith("in 12 photos")
    assert card.as_json()["rows"][0] == ["Photos", "12, 96 × 72 px"]
