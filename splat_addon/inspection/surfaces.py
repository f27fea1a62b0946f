"""How much of each splat hangs away from the meshes that were captured: the strongest evidence there is."""

import numpy as np

from ..gaussians.cloud import GaussianCloud
from .grid import cell_keys, grid_origin, packed

AWAY_FROM = 0.06  # of the reach: mass farther from every mesh hangs in the air
_CELLS = 3  # of the grid to that distance
_BLOCK = 1 << 16
_GOLDEN = 0.5 * (1 + np.sqrt(5))
# (12, 3) the corners of an icosahedron, so far out that they have the mean and the covariance of a normal distribution.
_MASS = np.array([
    [0, 1, _GOLDEN], [0, 1, -_GOLDEN], [1, _GOLDEN, 0], [1, -_GOLDEN, 0], [_GOLDEN, 0, 1], [-_GOLDEN, 0, 1],
]) * np.sqrt(3 / (1 + _GOLDEN**2))  # fmt: skip
_MASS = np.concatenate([_MASS, -_MASS])


def away_share(cloud: GaussianCloud, surface: np.ndarray, distance: float) -> np.ndarray:
    """(N,) the part of each splat's mass, 0..1 in twelfths, that is farther than about `distance` from every one of the
    points `surface` (P, 3), which lie closer together than a third of that. All in the same units and frame.

    The distance is measured in cells, to within a sixth of itself.
    """
    cell = distance / _CELLS
    origin = grid_origin(surface, cell)
    near = _cells_within(np.unique(packed(cell_keys(surface, cell, origin))))
    share = np.zeros(len(cloud), np.float32)
    for start in range(0, len(cloud), _BLOCK):
        rows = slice(start, start + _BLOCK)
        places = mass_places(cloud.select(rows))
        for part in places.transpose(1, 0, 2):
            wanted = packed(cell_keys(part, cell, origin))
            found = np.minimum(np.searchsorted(near, wanted), len(near) - 1)
            share[rows] += near[found] != wanted
    return share / len(_MASS)


def mass_places(cloud: GaussianCloud, part: float = 1.0) -> np.ndarray:
    """(N, 12, 3) places that stand for the mass of each splat: their mean and covariance are its own, or those of a
    splat whose size is a `part` of its own."""
    w, x, y, z = cloud.rotations.T.astype(np.float64)
    rotation = np.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ], axis=1).reshape(-1, 3, 3)  # fmt: skip
    scaled = part * _MASS[None] * cloud.scales[:, None].astype(np.float64)
    return cloud.means[:, None] + scaled @ rotation.transpose(0, 2, 1)


def _cells_within(keys: np.ndarray) -> np.ndarray:
    """Those cells, ascending, and all whose middles are at most `_CELLS` and a half away from one of theirs."""
    middle = packed(np.full((1, 3), _CELLS))[0]
    steps = np.array([*np.ndindex(*(3 * [2 * _CELLS + 1]))])
    steps = steps[np.linalg.norm(steps - _CELLS, axis=1) <= _CELLS + 0.5]
    found = keys
    for step in packed(steps) - middle:
        found = np.union1d(found, keys + step) if len(found) < 1 << 16 else _merged(found, keys + step)
    return found


def _merged(ascending: np.ndarray, more: np.ndarray) -> np.ndarray:
    place = np.minimum(np.searchsorted(ascending, more), len(ascending) - 1)
    new = more[ascending[place] != more]
    return np.unique(np.concatenate([ascending, new])) if len(new) else ascending
