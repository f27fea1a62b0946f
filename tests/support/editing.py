"""Splat objects to edit, and what must be true of them: covariances and colors in the world, in float64."""

import bpy
import numpy as np


def cloud_of(extension, count: int = 200, degree: int = 3, seed: int = 1, **changes):
    random = np.random.default_rng(seed)
    values = {
        "means": random.normal(0, 1, (count, 3)),
        "log_scales": random.normal(-3, 0.6, (count, 3)),
        "quaternions": random.normal(size=(count, 4)),
        "logit_opacities": random.normal(0, 2, count),
        "sh": random.normal(0, 0.3, (count, (degree + 1) ** 2, 3)),
    }
    return extension.module("splat_addon.gaussians.cloud").GaussianCloud(**{**values, **changes})


def add_splats(extension, name: str = "Splats", **options):
    """An object of random splats, active and the only one that is selected."""
    data = extension.module("splat_addon.scene.splats.data")
    item = data.splats_to_object(cloud_of(extension, **options), name, bpy.context.scene.collection)
    make_active(item)
    return item


def make_active(item, *others) -> None:
    bpy.context.view_layer.update()
    for one in bpy.context.view_layer.objects:
        one.select_set(one in (item, *others))
    bpy.context.view_layer.objects.active = item
    bpy.context.view_layer.update()


def in_world(extension, item):
    """The object's gaussians where they stand in the scene, moved by the exact operations."""
    bpy.context.view_layer.update()
    cloud = extension.module("splat_addon.scene.splats.data").splats_from_object(item)
    return extension.module("splat_addon.gaussians.transform").transformed(cloud, np.array(item.matrix_world, float))


def covariances(extension, cloud) -> np.ndarray:
    rotations = extension.module("splat_addon.gaussians.transform").rotation_matrices(cloud.rotations)
    axes = rotations * np.exp(cloud.log_scales.astype(np.float64))[:, None, :]
    return axes @ axes.transpose(0, 2, 1)


def colors(extension, cloud, count: int = 30) -> np.ndarray:
    """(N, D, 3) what is shown in some directions."""
    directions = np.random.default_rng(9).normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = extension.module("splat_addon.gaussians.harmonics").harmonics(directions, cloud.sh_degree)
    return np.einsum("dk,nkc->ndc", values, cloud.sh.astype(np.float64)) + 0.5


def assert_same_splats(extension, found, expected, tolerance: float = 1e-6) -> None:
    """Places, covariances, colors from all sides and opacities are equal."""
    np.testing.assert_allclose(found.means, expected.means, atol=5 * tolerance, rtol=tolerance)
    wanted = covariances(extension, expected)
    sizes = np.abs(wanted).max(axis=(1, 2), keepdims=True)
    assert (np.abs(covariances(extension, found) - wanted) / sizes).max() < 4 * tolerance
    np.testing.assert_allclose(colors(extension, found), colors(extension, expected), atol=4 * tolerance)
    np.testing.assert_allclose(found.opacities, expected.opacities, atol=tolerance)
