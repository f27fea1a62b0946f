"""The card of a capture: what it says, kept as data and read back whatever has become of it."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.capture import Capture, View
from splat_addon.capture.card import Card, card_of, read_card
from splat_addon.capture.check.check import Agreement, Check
from splat_addon.capture.choices import AUTOMATIC, MASKS, ORIENTATIONS, POINTS_FRAMES, CaptureChoices, choices_of
from splat_addon.capture.inspection import Inspection, inspect_photos, key_of, read_inspection
from splat_addon.capture.photos.values import Decoded
from splat_addon.capture.points import Points
from splat_addon.capture.remarks import Remark
from splat_addon.run.config import READING, TrainConfig
from support.photo_files import exif, png_chunk, write_png
from support.scenes import ring_of_cameras

REMARKS = (Remark("It was found."), Remark("It is wrong.", "Mend it.", is_warning=True))


def ring(tmp_path: Path, masks: list[float] | None = None) -> Capture:
    """Four views; with `masks`, a share of each photo's rows that its mask keeps."""
    views = []
    for index, (name, camera) in enumerate(ring_of_cameras(4).items()):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        write_png(path, np.full((30, 40, 3), 40 * index))
        mask = None
        if masks is not None:
            mask = tmp_path / f"mask_{index}.png"
            write_png(mask, np.repeat(np.where(np.arange(30) < 30 * masks[index], 255, 0)[:, None], 40, axis=1))
        views.append(View(path.stem, path, camera, index == 0, mask, name))
    return Capture(tmp_path, tuple(views), None, remarks=REMARKS[:1])


def decode_png(path: Path) -> Decoded:
    images = pytest.importorskip("PIL.Image")
    with images.open(path) as file:
        return Decoded(np.array(file), False)


def test_every_choice_is_a_setting_of_a_run_with_the_same_values():
    of_reading = {spec.name: spec for spec in fields(TrainConfig) if spec.metadata["group"] == READING}
    assert list(of_reading) == [spec.name for spec in fields(CaptureChoices)]
    assert choices_of(TrainConfig()) == AUTOMATIC
    for name, choices in (("orientation", ORIENTATIONS), ("points_frame", POINTS_FRAMES), ("masks", MASKS)):
        assert of_reading[name].metadata["choices"] == choices
    changed = CaptureChoices("turned", "images_2", "sparse/1", "original", "inverted")
    assert choices_of(TrainConfig(**{name: getattr(changed, name) for name in of_reading})) == changed


def test_folders_that_were_chosen_in_a_capture_move_with_it():
    config = TrainConfig("/a/vase", photos_folder="/a/vase/images_2", model_folder="/models/vase", masks="inverted")
    assert config.moved_to(Path("/b/vase")) == replace(config, capture="/b/vase", photos_folder="/b/vase/images_2")
    relative = TrainConfig("/a/vase", photos_folder="images_2")
    assert relative.moved_to(Path("/b/vase")) == replace(relative, capture="/b/vase")


def test_what_masks_keep_and_which_axis_is_up_is_on_the_card(tmp_path):
    capture = ring(tmp_path, [1.0, 0.5, 0.5, 0.2])
    told = []
    inspection = inspect_photos(capture, lambda view, longest_px: None, decode_png, told.append)
    assert inspection.kept_share == pytest.approx(0.55) and told == sorted(told) and told[-1] == 1.0
    card = card_of(capture).inspected(inspection)
    rows = dict(card.rows)
    assert rows["Masks"] == "4 of 4 photos, keeping 55 %" and rows["Frame"] == "z is up"
    assert rows["Agreement"] == "not measured" and card.remarks[0] == REMARKS[0]
    tilted = np.array([[1, 0, 0, 0], [0, np.cos(2), -np.sin(2), 0], [0, np.sin(2), np.cos(2), 0]])
    assert dict(card_of(capture.moved(np.vstack([tilted, [0, 0, 0, 1]]))).rows)["Frame"] == "-y is up, 25° off"
    for view in capture.views:  # held upside down, which the record says
        write_png(view.image_path, np.zeros((30, 40, 3)), before=png_chunk(b"eXIf", exif(3)))
    assert dict(card_of(capture).rows)["Frame"] == "-z is up"


def test_a_card_comes_back_as_it_was_written(tmp_path):
    settled = (Remark("They are used turned."),)
    inspection = Inspection(Check(Agreement(0.5, float("nan"), 7, True), REMARKS), 0.25, settled, REMARKS[:1])
    card = replace(card_of(ring(tmp_path)).inspected(inspection))
    (tmp_path / "capture.json").write_text(json.dumps(card.as_json(), allow_nan=False))
    again = read_card(tmp_path / "capture.json")
    assert again.rows == card.rows and again.remarks == card.remarks and again.warnings == (REMARKS[1],)
    assert np.isnan(again.inspection.check.agreement.chance) and again.inspection.kept_share == 0.25
    assert again.inspection.check.remarks == REMARKS and again.inspection.settled == settled
    assert again.remarks == (*settled, *REMARKS), "instead of what was said when it was opened"
    assert again.inspection.superseded == REMARKS[:1]
    assert [line for line in card.lines() if "Warning" in line] == ["Warning: It is wrong. Mend it."]


@pytest.mark.parametrize("content", ["", "[]", "{", '"card"', "[" * 100_000, "\x00"])
def test_what_is_not_a_card_is_none(tmp_path, content):
    (tmp_path / "capture.json").write_text(content)
    assert read_card(tmp_path / "capture.json") is None
    assert read_card(tmp_path / "missing.json") is None and read_card(tmp_path) is None


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"rows": 5, "remarks": "x", "inspection": []},
        {"rows": [["a"], [1, 2], "ab", None], "remarks": [{}, {"text": 5}, 7], "inspection": {"agreement": {}}},
        {"inspection": {"agreement": {"score": "x", "chance": 1, "photo_count": 1, "agrees": True}}},
        {"inspection": {"agreement": {"score": 1, "chance": 1, "photo_count": float("inf"), "agrees": True}}},
    ],
)
def test_what_is_broken_of_a_card_is_left_out(tmp_path, values):
    (tmp_path / "capture.json").write_text(json.dumps(values))
    card = read_card(tmp_path / "capture.json")
    assert card == Card((), ())


def test_an_inspection_of_another_kind_is_none_and_an_impossible_share_is_unknown():
    assert read_inspection(None) is None and read_inspection([1]) is None
    for share in (-1, 2, "a", float("nan"), None):
        assert read_inspection({"agreement": None, "kept_share": share}) == Inspection(Check(None, ()))


def test_the_key_changes_with_photos_cameras_and_points(tmp_path):
    capture = ring(tmp_path)
    points = Points(np.zeros((3, 3)), np.zeros((3, 3)))
    keys = {key_of(capture), key_of(replace(capture, points=points)), key_of(replace(capture, views=capture.views[1:]))}
    moved = replace(capture, points=Points(points.positions + 1, points.colors))
    write_png(capture.views[0].image_path, np.zeros((30, 40, 4)))
    assert len({*keys, key_of(moved), key_of(capture)}) == 5
    assert key_of(capture) == key_of(replace(capture, remarks=()))
