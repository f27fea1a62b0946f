"""Points near chosen ones, and the numbers they are selected by, against plain evaluation."""

import numpy as np
import pytest

from splat_addon.editing import nearness, quantities


@pytest.mark.parametrize("distance", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("choice", ["compact", "scattered", "one"])
def test_near_is_what_all_distances_say(distance, choice):
    random = np.random.default_rng(3)
    positions = np.concatenate([random.normal(0, 1, (1500, 3)), random.normal(0.5, 0.03, (500, 3))]).astype(np.float32)
    chosen = {
        "compact": np.linalg.norm(positions - 0.5, axis=1) < 0.4,
        "scattered": random.random(2000) < 0.2,
        "one": np.arange(2000) == 1700,
    }[choice]
    apart = np.linalg.norm(positions[:, None].astype(float) - positions[chosen][None], axis=2).min(axis=1)
    expected = apart <= distance
    found = nearness.is_near(positions, chosen, distance)
    unsure = np.abs(apart - distance) < 1e-6
    np.testing.assert_array_equal(found[~unsure], expected[~unsure])


def test_nothing_is_near_to_nothing():
    positions = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    assert not nearness.is_near(positions, np.zeros(50, bool), 1.0).any()
    positions[3] = np.nan
    assert not nearness.is_near(positions, np.arange(50) == 3, 100.0)[4:].any()


def test_the_usual_spacing_is_the_distance_to_the_third_neighbor():
    positions = np.random.default_rng(1).uniform(size=(4000, 3))
    squared = ((positions[:, None] - positions[None]) ** 2).sum(axis=2)
    exact = np.sqrt(np.median(np.partition(squared, 3, axis=1)[:, 3]))
    assert nearness.usual_spacing(positions) == pytest.approx(exact, rel=0.15)
    assert nearness.usual_spacing(positions[:2]) == 0


def test_numbers_about_gaussians():
    scales = np.array([[1, 1, 1], [0.1, 4, 2], [3, 0, 0]], np.float32)
    np.testing.assert_allclose(quantities.sizes(scales), [1, 4, 3])
    np.testing.assert_allclose(quantities.stretches(scales), [1, 2, quantities.LARGEST_STRETCH], rtol=1e-5)
    base = np.array([[0, 0, 0, 1]], np.float32)
    np.testing.assert_allclose(quantities.color_distances(base, np.array([0.5, 0.5, 0.1])), [0.4], rtol=1e-6)
    matrix = np.diag([2.0, 2, 2, 1])
    matrix[:3, 3] = 1, 0, 0
    away = quantities.distances(np.array([[1, 0, 0]], np.float32), matrix, np.array([0, 4.0, 0]))
    np.testing.assert_allclose(away, [5])


def test_a_histogram_counts_all_and_leaves_outliers_to_its_ends():
    values = np.concatenate([np.geomspace(1e-3, 1, 10_000), [1e9, -1.0, np.nan]])
    counts, edges = quantities.histogram(values, 40, is_log=True)
    assert (
        counts.sum() == 10_002 and edges[0] == pytest.approx(1e-3, rel=0.05) and edges[-1] == pytest.approx(1, rel=0.05)
    )
    assert counts[5:-5].std() < 0.05 * counts.mean()
    counts, edges = quantities.histogram(np.full(10, 3.0), 4, is_log=False)
    assert counts.sum() == 10 and edges[0] < 3 < edges[-1]
