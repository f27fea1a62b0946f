"""Panes and mirrors: photos look through them, as through floaters, but they are flat, thin and dense.

A window or a mirror is trained as a veil in the plane of its glass, with what it shows behind. Nothing else that photos
look through lies so close to a plane: swarms of floaters fill a volume.
"""

import numpy as np

TRIES = 600  # planes, each through three of the splats
LEAST = 30  # splats of a sheet
APART, WITHIN = 0.03, 0.15  # of the reach: how far apart the three are
RADIUS = 0.25  # of the reach: how far a sheet is followed around the first of them
THIN, THICK = 0.012, 0.06  # of the reach: half of a sheet's thickness, and of the slab that should be empty but for it
WIDE = 0.04  # of the reach: the standard deviation of a sheet's splats across it; a narrower one is a strip
CONCENTRATED = 0.6  # part of the slab's splats that lie in the sheet; evenly spread, a fifth would
MOST = 20_000  # splats that are looked at, at random where there are more


def are_in_sheets(means: np.ndarray, reach: float) -> np.ndarray:
    """(N,) which of the splats at `means` (N, 3), all of which photos look through, are part of a flat and thin sheet.

    Planes are tried at random, as RANSAC does (Fischler and Bolles 1981), and moved to the splats near them; the same
    splats always have the same answer.
    """
    result = np.zeros(len(means), bool)
    rng = np.random.default_rng(0)
    chosen = np.arange(len(means)) if len(means) <= MOST else np.sort(rng.choice(len(means), MOST, replace=False))
    points = means[chosen].astype(np.float64)
    if len(points) < LEAST:
        return result
    for first in rng.integers(len(points), size=TRIES):
        offsets = points - points[first]
        distances = np.linalg.norm(offsets, axis=1)
        around = np.flatnonzero(distances < RADIUS * reach)
        others = around[(distances[around] > APART * reach) & (distances[around] < WITHIN * reach)]
        if len(others) < LEAST:
            continue
        second, third = rng.choice(others, 2, replace=False)
        normal = np.cross(offsets[second], offsets[third])
        length = np.linalg.norm(normal)
        if length < 1e-3 * (APART * reach) ** 2:
            continue
        sheet = _sheet(points[around], points[first], normal / length, reach)
        result[chosen[around[sheet]]] = True
    return result


def _sheet(points: np.ndarray, place: np.ndarray, normal: np.ndarray, reach: float) -> np.ndarray:
    """Indices of the points of the sheet near a plane; none when there is none."""
    heights = np.abs((points - place) @ normal)
    for _ in range(2):
        near = points[heights < 1.5 * THIN * reach]
        if len(near) < LEAST:
            return np.empty(0, int)
        place = near.mean(axis=0)
        variances, axes = np.linalg.eigh(np.cov((near - place).T))
        if variances[1] < (WIDE * reach) ** 2:
            return np.empty(0, int)
        normal = axes[:, 0]
        heights = np.abs((points - place) @ normal)
    inside = np.flatnonzero(heights < THIN * reach)
    if len(inside) < max(LEAST, CONCENTRATED * int((heights < THICK * reach).sum())):
        return np.empty(0, int)
    return inside
