"""The blame map's numbers and its file."""

import numpy as np
import pytest

from splat_addon.errors import SplatFileError
from splat_addon.inspection.blame.blame_map import (
    BlameMap,
    ViewGains,
    agreement,
    arrays_of,
    brightness,
    fading_of,
    read_blame_map,
    standing_out,
)


def test_fading_is_the_best_of_a_square():
    # |r - t d|² for d = (2, 0): r = (1, 1) is best at t = ½; r = (3, 0) would want more than all; r = (-1, 0) nothing.
    importance = np.array([4.0, 4.0, 4.0, 0.0])
    gain = importance - 2 * np.array([2.0, 6.0, -2.0, 0.0])
    assert fading_of(importance, gain) == pytest.approx([1, 8, 0, 0])


def test_what_views_agree_on_counts_more_than_what_one_of_them_calls_for():
    # Splat 0 gains 1 in each of four views at t = ½, splat 1 gains 4 in one alone; nothing sees splat 2.
    along, importance = np.full((4, 3), 0.0), np.zeros((4, 3))
    along[:, 0], importance[:, 0] = 2, 4
    along[2, 1], importance[2, 1] = 4, 4
    weight = (importance > 0).astype(float)
    views = [ViewGains.of(i, i - 2 * a, w, w * [0.5, 0.1, 0], 10.0) for a, i, w in zip(along, importance, weight)]
    assert [view.splats.tolist() for view in views] == [[0], [0], [0, 1], [0]]
    agreed, mean, fading = agreement(3, views)
    assert fading * 40 == pytest.approx([4, 4, 0])
    assert agreed * 40 == pytest.approx([(4 * 1) ** 2 / 4, 4 / 4, 0])
    assert mean == pytest.approx([0.5, 0.1, 0])


def test_what_splats_around_share_is_nobodys_fault():
    # Three at one place, with the largest; one alone; one so far from it that exp(-1/2) of it counts.
    means = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [9, 0, 0], [9, 0.3, 0], [50, 0, 0]])
    values = np.array([3.0, 3, 3, 2, 1, 0])
    found = standing_out(values, means, np.log(np.full((6, 3), 0.1)))
    half = np.exp(-0.5)
    wanted = [3 / 9, 3 / 9, 3 / 9, 2 * (2 / (2 + half)) ** 2, (1 / (1 + 2 * half)) ** 2, 0]
    assert found == pytest.approx(wanted) and found.argmax() == 3
    assert (standing_out(np.zeros(2), np.zeros((2, 3)), np.zeros((2, 3))) == 0).all()
    assert len(standing_out(np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3)))) == 0


def test_the_few_that_have_most_are_compared():
    rng = np.random.default_rng(0)
    values, means = rng.random(5000), rng.normal(size=(5000, 3)) * 100
    found = standing_out(values, means, np.log(np.full((5000, 3), 0.1)))
    assert found == pytest.approx(values, rel=1e-3), "all are alone"


def test_brightness_loses_a_quarter_for_each_tenth():
    assert brightness(np.array([0.5, 0.05, 0.0005, 1e-9, 0])) == pytest.approx([1, 0.75, 0.25, 0, 0], abs=1e-6)
    assert brightness(np.zeros(3)).tolist() == [0, 0, 0]


def made(count=3) -> BlameMap:
    return BlameMap(f"{count}:abc", *np.random.default_rng(0).random((5, count)).astype(np.float32), "training", 5)


def test_the_file_gives_back_what_was_written(tmp_path):
    np.savez(tmp_path / "blame.npz", **arrays_of(made()))
    found = read_blame_map(tmp_path / "blame.npz")
    assert (found.key, found.photos, found.view_count) == ("3:abc", "training", 5)
    assert (found.fading == made().fading).all() and (found.weight == made().weight).all()


def test_a_file_that_is_not_a_map_is_told(tmp_path):
    path = tmp_path / "blame.npz"
    path.write_bytes(b"PK nothing")
    with pytest.raises(SplatFileError, match="not a blame map"):
        read_blame_map(path)
    np.savez(path, **arrays_of(made()) | {"fading": np.zeros(4, np.float32)})
    with pytest.raises(SplatFileError, match="its columns"):
        read_blame_map(path)
    np.savez(path, **arrays_of(made()) | {"fading": np.full(3, np.nan, np.float32)})
    with pytest.raises(SplatFileError, match="its columns"):
        read_blame_map(path)
