"""Near points in space, with NumPy alone: order along a curve, distances to the nearest, doubled points.

The work grows with the number of points and nothing else, however unevenly they lie. Blender and the trainer use the
same code, so that they agree.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

NEIGHBORS = 3  # whose distances make a point's spacing
LONE_SPACING = 0.01  # of a point without any other, capture units
CLOSEST = 1e-5  # of the usual spacing: less has no logarithm worth training
NEAR_DOUBLE = 0.01  # of the usual spacing: closer points count as one
_SHIFTS = (0.0, 0.19, 0.333, 0.41, 0.27, 0.11)  # of the curve, so that what one separates another keeps together
_WINDOW = 8  # how far along each curve neighbors are looked for
_NONE = np.iinfo(np.int64).max


def _spread_bits() -> np.ndarray:
    """(2048,) each 11-bit number with two zeros between its bits."""
    numbers = np.arange(2048, dtype=np.int64)
    spread = np.zeros(2048, dtype=np.int64)
    for bit in range(11):
        spread |= ((numbers >> bit) & 1) << (3 * bit)
    return spread


_SPREAD = _spread_bits()


def curve_order(positions: np.ndarray, shift: float = 0.0) -> np.ndarray:
    """Indices that sort points (P, 3) along a Morton curve, so that neighbors in order are near in space.

    `shift`, 0 to 0.99, moves the curve against the points.
    """
    lowest = positions.min(axis=0)
    length = float((positions - lowest).max()) or 1.0
    cells = ((positions - lowest) * (2**20 / length) + shift * 2**20).astype(np.int64)  # 21 bits
    keys = np.zeros(len(positions), dtype=np.int64)
    for axis in range(3):
        along = cells[:, axis]
        keys |= (_SPREAD[along >> 11] << (33 + axis)) | (_SPREAD[along & 2047] << axis)
    return np.argsort(keys)


def in_parallel(work: Callable, jobs: Iterable) -> list:
    """`work` on each of `jobs`, in order, on all cores: NumPy lets other threads run while it computes."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return list(threads.map(work, jobs))


def nearest_distances(positions: np.ndarray) -> np.ndarray:
    """(P, k) ascending distances from each point to its k nearest others, k = 3 or as many as there are.

    Neighbors are found along several space-filling curves (Liao et al. 2001, "High dimensional similarity search with
    space filling curves"). For more than a few points that is not exact: about one in fifty misses one of its three,
    which makes its spacing a few percent too long.
    """
    positions = np.asarray(positions, dtype=np.float64)
    columns = min(NEIGHBORS, len(positions) - 1)
    if columns < 1:
        return np.empty((len(positions), 0))
    nearest = np.full((columns, len(positions)), _NONE)
    for found in in_parallel(lambda shift: _nearest_along_curve(positions, columns, shift), _SHIFTS):
        for values in found:
            is_known = np.logical_or.reduce([values == row for row in nearest])
            _insert(nearest, np.where(is_known, _NONE, values))
    return np.sqrt((nearest >> 32).astype(np.int32).view(np.float32).astype(np.float64)).T


def _nearest_along_curve(positions: np.ndarray, columns: int, shift: float) -> np.ndarray:
    """(columns, P) the nearest along one curve, ascending: squared distance (as bits of a float, which sort alike) in
    the upper half of each number, the neighbor's index in the lower."""
    order = curve_order(positions, shift)
    ordered = np.ascontiguousarray(positions[order].T)
    found = np.full((columns, len(order)), _NONE)
    for step in range(1, min(_WINDOW, len(order) - 1) + 1):
        difference = ordered[:, step:] - ordered[:, :-step]
        difference *= difference
        squared = (difference[0] + difference[1] + difference[2]).astype(np.float32)
        bits = squared.view(np.int32).astype(np.int64) << 32
        _insert(found[:, step:], bits | order[:-step])
        _insert(found[:, :-step], bits | order[step:])
    result = np.empty_like(found)
    result[:, order] = found
    return result


def _insert(ascending: np.ndarray, values: np.ndarray) -> None:
    """Put values (P,) into the sorted columns of (k, P), in place; the largest goes."""
    for row in ascending:
        larger = np.maximum(row, values)
        np.minimum(row, values, out=row)
        values = larger


def point_spacing(positions: np.ndarray) -> np.ndarray:
    """(P,) root mean square distance to the three nearest neighbors (Kerbl et al. 2023, section 5)."""
    return _spacing(nearest_distances(positions))


def _spacing(nearest: np.ndarray) -> np.ndarray:
    spacing = np.sqrt((nearest**2).mean(axis=1)) if nearest.shape[1] else np.zeros(len(nearest))
    known = spacing[spacing > 0]
    return np.maximum(spacing, CLOSEST * np.median(known)) if len(known) else np.full(len(nearest), LONE_SPACING)


def distinct_points(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices (Q,), ascending, of points (P, 3) without those that double an earlier one, and their spacing (Q,).

    Doubled are points closer than `NEAR_DOUBLE` of the usual distance to the third neighbor, which two or three
    copies of the same cloud do not change. Rows that are not finite are left out.
    """
    positions = np.asarray(positions, dtype=np.float64)
    kept = np.flatnonzero(np.isfinite(positions).all(axis=1))
    single = positions[kept].astype(np.float32) + np.float32(0)  # -0 is 0
    kept = kept[_first_of_each(single.view(np.uint32))]
    nearest = nearest_distances(positions[kept])
    if nearest.shape[1] == NEIGHBORS:
        limit = NEAR_DOUBLE * float(np.median(nearest[:, -1]))
        crowded = np.flatnonzero(nearest[:, 0] < limit)  # both ends of each short distance
        if len(crowded):
            is_kept = np.ones(len(kept), dtype=bool)
            is_kept[crowded] = False
            is_kept[crowded[_first_within(positions[kept[crowded]], limit)]] = True
            kept = kept[is_kept]
            nearest = nearest_distances(positions[kept])
    return kept, _spacing(nearest)


def _first_of_each(rows: np.ndarray) -> np.ndarray:
    """Ascending indices of the first of each distinct row (P, 3) of integers, found by a 64-bit hash."""
    keys = np.zeros(len(rows), dtype=np.uint64)
    for column in range(rows.shape[1]):
        keys = (keys ^ rows[:, column].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return np.sort(np.unique(keys, return_index=True)[1])


def _first_within(positions: np.ndarray, limit: float) -> np.ndarray:
    """Ascending indices of points that no earlier one of these lies within `limit` of."""
    kept = np.arange(len(positions))
    lowest = positions.min(axis=0)
    corners = np.stack(np.meshgrid(*[(0.0, 0.5)] * 3), axis=-1).reshape(8, 3)
    for corner in corners:  # what one grid separates falls into one cell of another
        cells = np.floor((positions[kept] - lowest) / (2 * limit) + corner).astype(np.int64)
        kept = kept[_first_of_each(cells)]
    return kept
