"""Exact operations on clouds, against what is seen: colors from every direction, and covariances."""

from dataclasses import replace

import numpy as np
import pytest

from splat_addon.gaussians import color
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.harmonics import harmonics
from splat_addon.gaussians.transform import (
    is_exact,
    joined,
    quaternions_of,
    rotated_harmonics,
    rotation_matrices,
    transformed,
    z_up_from,
)
from support.scenes import random_cloud


def orthogonals(count: int, seed: int = 0) -> np.ndarray:
    """Random rotations and, every other one, reflections."""
    random = np.random.default_rng(seed)
    q, r = np.linalg.qr(random.normal(size=(count, 3, 3)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return (
        q * np.where(np.linalg.det(q) < 0, -1, 1)[:, None, None] * np.where(np.arange(count) % 2, -1, 1)[:, None, None]
    )


def directions(count: int = 200) -> np.ndarray:
    found = np.random.default_rng(5).normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def covariances(cloud: GaussianCloud) -> np.ndarray:
    axes = rotation_matrices(cloud.rotations) * cloud.scales.astype(np.float64)[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


IDENTITY = np.eye(3)


def moved(rotation=IDENTITY, translation=(0, 0, 0), scale=1.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = scale * np.asarray(rotation), translation
    return matrix


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_rotated_harmonics_show_in_each_direction_what_was_shown_before_it_was_rotated(degree):
    sh = np.random.default_rng(degree).normal(size=(30, (degree + 1) ** 2, 3))
    seen_from = directions()
    for rotation in orthogonals(40):
        now = np.einsum("dk,nkc->ndc", harmonics(seen_from, degree), rotated_harmonics(sh, rotation))
        before = np.einsum("dk,nkc->ndc", harmonics(seen_from @ rotation, degree), sh)
        assert np.abs(now - before).max() <= 1e-12 * np.abs(before).max()


@pytest.mark.parametrize("degree", [4])
def test_the_fourth_degree_is_orthonormal_as_the_others_are(degree):
    """Over the sphere, by a quadrature that is exact for products of two: 16 latitudes and 32 longitudes."""
    z, weight = np.polynomial.legendre.leggauss(16)
    turn = 2 * np.pi * np.arange(32) / 32
    z, turn = (grid.ravel() for grid in np.meshgrid(z, turn, indexing="ij"))
    around = np.sqrt(1 - z * z)
    values = harmonics(np.stack([around * np.cos(turn), around * np.sin(turn), z], axis=1), degree)
    gram = values.T @ (values * (np.repeat(weight, 32) * 2 * np.pi / 32)[:, None])
    assert np.allclose(gram, np.eye(25), atol=1e-12)


def test_covariances_and_means_follow_rotations_reflections_and_scale():
    cloud = random_cloud(50)
    for number, rotation in enumerate(orthogonals(20, 1)):
        matrix = moved(rotation, (1, -2, 3), 0.25 + number)
        assert is_exact(matrix)
        found, linear = transformed(cloud, matrix), matrix[:3, :3]
        assert np.allclose(found.means, cloud.means @ linear.T + (1, -2, 3), rtol=1e-5, atol=1e-5)
        expected = linear @ covariances(cloud) @ linear.T
        assert np.allclose(covariances(found), expected, rtol=1e-4, atol=2e-6 * expected.max())
        assert np.allclose(found.quaternion_lengths, cloud.quaternion_lengths, rtol=1e-6)
        assert np.array_equal(found.logit_opacities, cloud.logit_opacities)


def test_turns_by_quarters_and_mirrors_along_axes_come_back_bit_for_bit():
    cloud = random_cloud(200)
    for axes in ("Y_UP", "Y_DOWN"):
        matrix = z_up_from(axes)
        assert np.array_equal(transformed(transformed(cloud, matrix), matrix.T).means, cloud.means)
    for signs in ((-1, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, 1), (-1, -1, -1)):
        matrix = np.diag([*signs, 1.0])
        again = transformed(transformed(cloud, matrix), matrix)
        for name in ("means", "log_scales", "sh"):
            assert np.array_equal(getattr(again, name), getattr(cloud, name)), (signs, name)
        assert np.allclose(covariances(again), covariances(cloud), atol=0, rtol=1e-6)


def test_what_is_not_moved_is_the_same_cloud():
    cloud = random_cloud(3)
    assert transformed(cloud, np.eye(4)) is cloud


def test_shape_follows_shear_and_scales_that_differ_by_axis():
    cloud = random_cloud(50)
    matrix = np.eye(4)
    matrix[:3, :3] = [[2, 0.3, 0], [0, 0.5, -0.7], [0.1, 0, -1.5]]
    assert not is_exact(matrix)
    found, linear = transformed(cloud, matrix), matrix[:3, :3]
    expected = linear @ covariances(cloud) @ linear.T
    size = np.abs(expected).max(axis=(1, 2))
    assert (np.abs(covariances(found) - expected).max(axis=(1, 2)) <= 1e-5 * size).all()


def test_extreme_sizes_survive_a_shear_and_degenerate_quaternions_count_as_none():
    cloud = random_cloud(4)
    cloud.log_scales[:] = [[-80, -90, -85], [40, 30, 35], [-104, -104, -104], [-5, 2, -30]]
    cloud.quaternions[0] = 0
    found = transformed(cloud, np.diag([2.0, 1.0, 0.5, 1.0]))
    assert np.isfinite(found.log_scales).all() and np.allclose(found.log_scales[0].max(), -80 + np.log(2), atol=1e-5)
    turned = transformed(cloud, moved(orthogonals(1)[0]))
    assert np.allclose(rotation_matrices(turned.rotations[:1])[0], orthogonals(1)[0], atol=1e-6)


def test_a_quaternion_is_found_for_every_rotation():
    rotations = orthogonals(400)[::2]
    rotations = np.concatenate([rotations, [np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1])]])
    assert np.allclose(rotation_matrices(quaternions_of(rotations)), rotations, atol=1e-14)


def test_splats_that_are_not_finite_spoil_no_others():
    cloud = random_cloud(5)
    cloud.sh[2, 4] = np.nan
    cloud.means[3] = np.inf
    found = transformed(cloud, moved(orthogonals(1)[0]))
    assert found.finite().tolist() == [True, True, False, False, True]


def test_joining_levels_degrees_and_takes_the_blend_space_of_most():
    one, two = random_cloud(3, degree=1), replace(random_cloud(5, 1, degree=3), blend_space="blender")
    both = joined([one, two])
    assert (len(both), both.sh_degree, both.blend_space) == (8, 3, "blender")
    assert np.array_equal(both.sh[:3, :4], one.sh) and not both.sh[:3, 4:].any()
    assert np.array_equal(both.sh[3:], two.sh) and np.array_equal(both.means, np.concatenate([one.means, two.means]))
    assert joined([one, two], "display").blend_space == "display"


def test_an_affine_change_of_color_is_the_same_from_every_direction():
    cloud = random_cloud(20)
    matrix = np.random.default_rng(2).normal(size=(3, 3))
    change = color.channel_mix(matrix).then(color.exposure(0.7)).then(color.contrast(1.3, 0.4))
    change = change.then(color.saturation(0.2)).then(color.gain(1.1, 1.0, 0.9))
    values = harmonics(directions(), 3)
    before = np.einsum("dk,nkc->ndc", values, cloud.sh) + 0.5
    now = np.einsum("dk,nkc->ndc", values, color.recolored(cloud, change).sh) + 0.5
    step = (1.3 * (2**0.7 * before @ matrix.T - 0.4)) + 0.4
    luma = (step @ color.LUMA)[..., None]
    assert np.allclose(now, (luma + 0.2 * (step - luma)) * (1.1, 1.0, 0.9), atol=2e-6 * np.abs(step).max())
