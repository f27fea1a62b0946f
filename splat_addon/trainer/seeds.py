"""Where the gaussians start: one per measured point, flat where the surface's normal is known."""

import math

import numpy as np
from scipy.spatial import cKDTree

from ..capture.capture import Points
from ..errors import CaptureError
from ..gaussians.cloud import GaussianCloud
from ..gaussians.harmonics import coefficient_count, color_to_sh

THICKNESS = 0.1  # of the tangential size; thinner than that, gradients across the surface vanish
NEIGHBORS = 3
SURFACE_OPACITY = 0.5  # at least, where a surface was measured; a lone point may be wrong and starts fainter


def seeds_from_points(points: Points, count_limit: int, opacity: float, sh_degree: int, seed: int) -> GaussianCloud:
    """At most `count_limit` gaussians at the points, sized by the RMS distance to the three nearest neighbours.

    Points with normals become discs of `THICKNESS` in their surface (as surfels, Pfister et al. 2000), others spheres
    (Kerbl et al. 2023, section 5). Doubled points are merged first, since no spacing can be measured between them.
    """
    positions = np.asarray(points.positions, dtype=np.float64)
    finite = np.isfinite(positions).all(axis=1)
    _, first = np.unique(positions[finite].astype(np.float32), axis=0, return_index=True)
    kept = np.flatnonzero(finite)[np.sort(first)]
    if len(kept) > count_limit:
        kept = np.sort(np.random.default_rng(seed).choice(kept, count_limit, replace=False))
    if len(kept) == 0:
        raise CaptureError("The capture has no points to start from.", "Capture a scene with surfaces in it.")
    positions = positions[kept]
    spacing = point_spacing(positions)
    count = len(kept)
    log_scales = np.repeat(np.log(spacing)[:, None], 3, axis=1)
    quaternions = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    if points.normals is not None:
        log_scales[:, 2] += math.log(THICKNESS)
        opacity = max(opacity, SURFACE_OPACITY)
        quaternions = quaternions_to_normals(np.asarray(points.normals, dtype=np.float64)[kept])
    sh = np.zeros((count, coefficient_count(sh_degree), 3))
    sh[:, 0] = color_to_sh(np.asarray(points.colors)[kept])
    logits = np.full(count, math.log(opacity / (1 - opacity)))
    return GaussianCloud(positions, log_scales, quaternions, logits, sh)


def point_spacing(positions: np.ndarray) -> np.ndarray:
    """(P,) root mean square distance to the three nearest neighbours."""
    if len(positions) == 1:
        return np.full(1, 0.01)
    neighbors = min(NEIGHBORS, len(positions) - 1)
    distances, _ = cKDTree(positions).query(positions, k=neighbors + 1)
    spacing = np.sqrt((distances[:, 1:] ** 2).mean(axis=1))
    return np.maximum(spacing, 1e-7)


def quaternions_to_normals(normals: np.ndarray) -> np.ndarray:
    """(P, 4) unit quaternions w, x, y, z that turn the +z axis to unit `normals` (P, 3) on the shortest way."""
    quaternions = np.stack([1 + normals[:, 2], -normals[:, 1], normals[:, 0], np.zeros(len(normals))], axis=1)
    opposite = quaternions[:, 0] < 1e-9
    quaternions[opposite] = (0.0, 1.0, 0.0, 0.0)
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
