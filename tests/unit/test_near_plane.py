"""The near plane of small scenes."""

import numpy as np
import pytest

from splat_addon.gaussians.rules import near_plane_scale


def ball(count: int = 20_000) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(count, 3))


@pytest.mark.parametrize("scale", [0.1, 1.0, 1e6])
def test_scenes_of_ordinary_size_and_larger_ones_keep_it(scale):
    assert near_plane_scale(scale * ball() + 7) == 1.0


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e-2])
def test_in_small_scenes_it_is_in_proportion_to_what_holds_half_of_the_splats(scale):
    half = 1.538  # the median distance of normal numbers in space from their middle
    assert near_plane_scale(scale * ball()) == pytest.approx(0.4 * half * scale, rel=0.05)


def test_a_few_splats_far_away_do_not_count_and_what_is_not_a_number_neither():
    positions = 1e-3 * ball()
    positions[::100] = 1e6
    positions[1::100] = np.nan
    assert near_plane_scale(positions) == pytest.approx(0.4 * 1.538e-3, rel=0.1)
    assert near_plane_scale(positions[1:2]) == near_plane_scale(np.zeros((0, 3))) == 1.0
