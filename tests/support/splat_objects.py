"""Splat objects made by code in the open file."""

import numpy as np


def make_splats(extension, points, name: str = "Splats"):
    """An object with small gray gaussians at `points` (N, 3), in the scene's collection."""
    import bpy

    count = len(points)
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=np.asarray(points, dtype=float),
        log_scales=np.full((count, 3), -3.0),
        quaternions=np.tile((1.0, 0, 0, 0), (count, 1)),
        logit_opacities=np.zeros(count),
        sh=np.zeros((count, 1, 3)),
    )
    module = extension.module("splat_addon.scene.splats.data")
    item = module.splats_to_object(cloud, name, bpy.context.scene.collection)
    bpy.context.view_layer.update()
    return item
