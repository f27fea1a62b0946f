"""How much of each splat hangs away from the meshes that were captured: the strongest evidence there is."""

import numpy as np

from ..gaussians.cloud import GaussianCloud
from .grid import cell_keys, grid_origin, packed

AWAY_FROM = 0.06  # of the reach: mass farther from every mesh hangs in the air
_CELLS = 3  # of the grid to that distance
_BLOCK = 1 << 18
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
    places = mass_places(cloud)
    return are_away(places.reshape(-1, 3), surface, distance).reshape(places.shape[:2]).mean(axis=1).astype(np.float32)


def are_away(places: np.ndarray, surface: np.ndarray, distance: float) -> np.ndarray:
    """(P,) which places (P, 3) are farther than about `distance` from every point of the surface."""
    surface = np.asarray(surface, np.float64)
    coarse, fine = _Cells(surface, distance, 1), _Cells(surface, distance / _CELLS, _CELLS)
    result = np.zeros(len(places), bool)
    for start in range(0, len(places), _BLOCK):
        block = np.asarray(places[start : start + _BLOCK], np.float64)
        is_near = coarse.are_near(block)
        is_near[is_near] = fine.are_near(block[is_near])
        result[start : start + len(block)] = ~is_near
    return result


class _Cells:
    """Which cells of a grid hold a point of the surface."""

    def __init__(self, surface: np.ndarray, cell: float, reach: int):
        """Cells at most `reach` and a half apart are near each other; for a reach of one, all that touch."""
        self._cell, self._origin = cell, grid_origin(surface, cell)
        self._keys = np.unique(packed(cell_keys(surface, cell, self._origin)))
        steps = np.array([*np.ndindex(*(3 * [2 * reach + 1]))]) - reach
        lengths = np.linalg.norm(steps, axis=1)
        order = np.argsort(lengths, kind="stable")
        self._steps = steps[order[lengths[order] <= max(reach + 0.5, np.sqrt(3))]]

    def are_near(self, places: np.ndarray) -> np.ndarray:
        """(P,) whether a place (P, 3) has a cell of the surface near it. Most have, in their own cell."""
        cells, left = cell_keys(places, self._cell, self._origin), np.arange(len(places))
        is_near = np.zeros(len(places), bool)
        for step in self._steps:
            wanted = packed(cells[left] + step)
            found = self._keys[np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)] == wanted
            is_near[left[found]] = True
            left = left[~found]
        return is_near


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
