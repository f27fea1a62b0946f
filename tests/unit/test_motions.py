"""Motions that points made without their gaussians, found again from where they were and where they are."""

import numpy as np
import pytest

from splat_addon.editing.motions import find_motions
from splat_addon.gaussians.transform import nearest_orthogonal


def points(count: int, seed: int = 1, size: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, (count, 3)).astype(np.float32)


def similarity(seed: int, mirrors: bool = False) -> np.ndarray:
    random = np.random.default_rng(seed)
    linear = nearest_orthogonal(random.normal(size=(3, 3))) * random.uniform(0.3, 3)
    if (np.linalg.det(linear) < 0) != mirrors:
        linear[:, 0] *= -1
    return np.concatenate([np.concatenate([linear, random.normal(0, 3, (3, 1))], axis=1), [[0, 0, 0, 1]]])


def moved(before: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """As Blender does it: in 32 bits."""
    return before @ matrix[:3, :3].T.astype(np.float32) + matrix[:3, 3].astype(np.float32)


def test_nothing_is_broken_by_nothing_or_by_translations():
    before = points(5000)
    shifts = np.repeat([[0, 0, 0], [3, 1, -2], [100, 5, 0.25]], [2000, 2900, 100], axis=0).astype(np.float32)
    for now in (before, before + shifts, before + np.float32(1000)):
        found = find_motions(before, now)
        assert found.broken == [] and not len(found.alone)
        assert sum(len(group.which) for group in found.groups) == 5000


def test_points_that_were_moved_one_by_one_are_not_called_broken():
    before = points(500)
    now = before.copy()
    now[::25] += np.random.default_rng(3).normal(size=(20, 3)).astype(np.float32)
    found = find_motions(before, now)
    assert found.broken == [] and len(found.alone) == 20


@pytest.mark.parametrize("mirrors", [False, True])
@pytest.mark.parametrize("count", [6, 50, 30_000])
def test_a_similarity_is_found_to_1e_5(count, mirrors):
    before, matrix = points(count), similarity(count, mirrors)
    (found,) = find_motions(before, moved(before, matrix)).groups
    assert found.is_similarity and len(found.which) == count
    np.testing.assert_allclose(found.linear, matrix[:3, :3], atol=1e-5)
    np.testing.assert_allclose(found.offset, matrix[:3, 3], atol=2e-5)


def test_groups_of_a_join_are_told_apart():
    sizes = [4000, 3000, 300, 7]
    before = points(sum(sizes), 5)
    matrices = [np.eye(4), *(similarity(seed, seed == 2) for seed in (1, 2, 3))]
    parts = np.split(before, np.cumsum(sizes)[:-1])
    now = np.concatenate([moved(part, matrix) for part, matrix in zip(parts, matrices)])
    found = find_motions(before, now)
    assert [len(group.which) for group in found.groups] == sizes and len(found.broken) == 3
    for group, matrix in zip(found.groups, matrices):
        np.testing.assert_allclose(group.linear, matrix[:3, :3], atol=1e-5)


def test_copies_at_the_same_place_are_told_apart():
    """What a mirror modifier leaves: each point twice."""
    half = points(2000, 7)
    before = np.concatenate([half, half])
    now = np.concatenate([half, half * np.float32([-1, 1, 1])])
    (broken,) = find_motions(before, now).broken
    np.testing.assert_array_equal(broken.linear, np.diag([-1, 1, 1]))
    np.testing.assert_array_equal(np.sort(broken.which), np.arange(2000, 4000))


def test_a_turned_selection_among_shuffled_points_is_found():
    before = points(8000, 9)
    inside = np.linalg.norm(before - [1, 1, 0], axis=1) < 1.5
    matrix = similarity(11)
    now = np.where(inside[:, None], moved(before, matrix), before)
    (broken,) = find_motions(before, now).broken
    np.testing.assert_array_equal(np.sort(broken.which), np.flatnonzero(inside))


def test_an_uneven_scale_is_no_similarity():
    before = points(3000)
    (found,) = find_motions(before, before * np.float32([2, 1, 1])).broken
    assert not found.is_similarity
    np.testing.assert_allclose(found.linear, np.diag([2, 1, 1]), atol=1e-5)


def test_points_in_one_plane_turn_with_it():
    before = points(1000)
    before[:, 2] = 1
    matrix = similarity(4)
    (found,) = find_motions(before, moved(before, matrix)).broken
    np.testing.assert_allclose(found.linear, matrix[:3, :3], atol=1e-5)


def test_far_from_the_origin_rounding_is_no_motion():
    before = points(3000) + np.float32([5000, -3000, 10])
    now = (before + np.float32([0.1, 0.2, 7000.3])) - np.float32([0, 0, 7000])
    assert find_motions(before, now).broken == []


def test_a_small_turn_is_noticed():
    before, angle = points(3000), 2e-4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    (found,) = find_motions(before, before @ turn.T.astype(np.float32)).broken
    np.testing.assert_allclose(found.linear, turn, atol=1e-6)


def test_points_without_a_known_place_are_left_out():
    before = points(1000)
    before[::2] = 0
    now = points(1000, 2)
    now[1::2] = before[1::2]
    found = find_motions(before, now)
    assert found.broken == [] and not len(found.alone)
