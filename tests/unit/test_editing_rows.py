"""Gaussians moved and recolored as Blender keeps them, against covariances and colors evaluated in float64."""

import numpy as np
import pytest

from splat_addon.editing.rows import Rows, dropped_color
from splat_addon.gaussians import color
from splat_addon.gaussians.harmonics import harmonics, sh_to_color
from splat_addon.gaussians.transform import rotation_matrices

COUNT = 300


def make_rows(degree: int, seed: int = 1) -> Rows:
    random = np.random.default_rng(seed)
    rotations = random.normal(size=(COUNT, 4))
    values = {
        "positions": random.normal(0, 2, (COUNT, 3)),
        "scales": np.exp(random.normal(-3, 1, (COUNT, 3))),
        "rotations": rotations / np.linalg.norm(rotations, axis=1, keepdims=True),
        "base": random.uniform(0, 1, (COUNT, 4)),
    }
    levels = [random.normal(0, 0.2, (2 * level + 1, COUNT, 3)).astype(np.float32) for level in range(1, degree + 1)]
    return Rows(**{name: array.astype(np.float32) for name, array in values.items()}, levels=levels)


def copy_of(rows: Rows) -> Rows:
    return rows.select(np.arange(len(rows)))


def covariances(rows: Rows) -> np.ndarray:
    axes = rotation_matrices(rows.rotations) * rows.scales.astype(np.float64)[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


def colors(rows: Rows, directions: np.ndarray) -> np.ndarray:
    """(N, D, 3) what is shown in `directions` (D, 3), in float64."""
    sh = np.concatenate([rows.base[None, :, :3], *rows.levels]).astype(np.float64)
    return np.einsum("dk,knc->ndc", harmonics(directions, rows.sh_degree), sh) + 0.5


def directions(count: int = 40) -> np.ndarray:
    found = np.random.default_rng(9).normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def similarity(seed: int, mirrors: bool = False) -> np.ndarray:
    random = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3] = random.uniform(0.2, 5) * np.linalg.qr(random.normal(size=(3, 3)))[0]
    if (np.linalg.det(matrix) < 0) != mirrors:
        matrix[:3, 0] *= -1
    matrix[:3, 3] = random.normal(0, 3, 3)
    return matrix


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    sizes = np.abs(expected).max(axis=(1, 2), keepdims=True)
    return float((np.abs(found - expected) / sizes).max())


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("mirrors", [False, True])
def test_moving_by_a_similarity_is_exact(degree, mirrors):
    before = make_rows(degree)
    after, matrix = copy_of(before), similarity(degree, mirrors)
    after.move(matrix)
    linear = matrix[:3, :3]
    moved = before.positions.astype(np.float64) @ linear.T + matrix[:3, 3]
    np.testing.assert_allclose(after.positions, moved, rtol=1e-6, atol=1e-5)
    assert relative_error(covariances(after), linear @ covariances(before) @ linear.T) < 1e-6
    rotation = linear / abs(np.linalg.det(linear)) ** (1 / 3)
    seen = directions()
    np.testing.assert_allclose(colors(after, seen), colors(before, seen @ rotation), atol=1e-6)


def test_shear_is_exact_for_covariances():
    before = make_rows(3)
    after, matrix = copy_of(before), np.eye(4)
    matrix[:3, :3] = [[1.5, 0.4, 0], [0, 0.7, -0.3], [0.2, 0, 2.0]]
    after.move(matrix)
    linear = matrix[:3, :3]
    assert relative_error(covariances(after), linear @ covariances(before) @ linear.T) < 1e-6


def test_a_translation_changes_positions_alone_to_the_last_bit():
    before = make_rows(3)
    after, matrix = copy_of(before), np.eye(4)
    matrix[:3, 3] = 1, 2, 3
    after.move(matrix)
    assert (after.positions != before.positions).all()
    for name in ("scales", "rotations", "base"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    for one, other in zip(after.levels, before.levels):
        np.testing.assert_array_equal(one, other)


def test_a_scale_of_zero_stays_zero_under_a_similarity():
    rows = make_rows(1)
    rows.scales[5] = 0
    rows.move(similarity(3))
    assert (rows.scales[5] == 0).all() and np.isfinite(rows.scales).all()


def test_recoloring_is_seen_from_every_direction():
    before = make_rows(3)
    after = copy_of(before)
    change = color.exposure(0.7).then(color.white_balance(0.3, -0.2)).then(color.contrast(1.4, 0.3))
    change = change.then(color.saturation(0.5))
    after.recolor(change)
    seen = directions()
    expected = colors(before, seen) @ change.matrix.T + change.offset
    np.testing.assert_allclose(colors(after, seen), expected, atol=1e-6)
    np.testing.assert_array_equal(after.base[:, 3], before.base[:, 3])


def test_white_balance_keeps_the_luma_of_gray_and_warms():
    change = color.white_balance(0.5, 0.0)
    gray = change.matrix @ np.full(3, 0.5)
    assert gray @ color.LUMA == pytest.approx(0.5) and gray[0] > gray[1] > gray[2]
    greener = color.white_balance(0.0, -0.5).matrix @ np.full(3, 0.5)
    assert greener[1] > greener[0] == greener[2]
    np.testing.assert_array_equal(color.white_balance(0.0, 0.0).matrix, np.eye(3))


def test_the_error_of_a_lower_degree_is_what_sampling_finds():
    rows = make_rows(3)
    seen = directions(200_000)
    lower = copy_of(rows)
    lower.set_degree(1)
    assert len(lower.levels) == 1
    few = lower.select(np.arange(5)), rows.select(np.arange(5))
    difference = colors(few[1], seen) - colors(few[0], seen)
    sampled = np.sqrt((difference**2).mean(axis=(1, 2)))
    np.testing.assert_allclose(dropped_color(rows, 1)[:5], sampled, rtol=0.02)


def test_a_higher_degree_shows_the_same():
    rows = make_rows(1)
    seen = directions()
    before = colors(rows, seen)
    rows.set_degree(3)
    assert [len(level) for level in rows.levels] == [3, 5, 7]
    np.testing.assert_allclose(colors(rows, seen), before, atol=1e-12)


def test_rows_are_put_back_where_they_were_taken():
    rows = make_rows(2)
    which = np.arange(COUNT) % 3 == 0
    part = rows.select(which)
    part.move(similarity(4))
    before = copy_of(rows)
    rows.put(which, part)
    np.testing.assert_array_equal(rows.positions[which], part.positions)
    np.testing.assert_array_equal(rows.levels[1][:, ~which], before.levels[1][:, ~which])


def test_the_base_shows_the_color_it_is_given():
    rows = make_rows(0)
    rows.recolor(color.AffineColor(np.zeros((3, 3)), np.array([0.2, 0.4, 0.6])))
    np.testing.assert_allclose(sh_to_color(rows.base[:, :3].astype(np.float64)), [[0.2, 0.4, 0.6]] * COUNT, atol=1e-7)
