"""Means over the cells of a grid in space, and groups of neighboring cells, with NumPy alone."""

import numpy as np

_AXIS_BITS = 21  # so that the three numbers of a cell fit into one of 64 bits
_BLOCK = 1 << 18  # rows at a time


def cell_keys(points: np.ndarray, cell: float, origin: np.ndarray) -> np.ndarray:
    """(P, 3) which cell each point (P, 3) lies in, counted from `origin`; what is too far away, at the edge."""
    with np.errstate(invalid="ignore", over="ignore"):
        numbers = np.floor((points - origin) / cell)
    return np.clip(np.nan_to_num(numbers), 1, (1 << _AXIS_BITS) - 2).astype(np.int64)


def packed(cells: np.ndarray) -> np.ndarray:
    """(P,) one number for each cell (P, 3)."""
    return (cells[:, 0] << (2 * _AXIS_BITS)) | (cells[:, 1] << _AXIS_BITS) | cells[:, 2]


def grid_origin(points: np.ndarray, cell: float) -> np.ndarray:
    """(3,) where counting begins: the median is in the middle of what can be numbered, and of its cell."""
    return np.median(points, axis=0) - cell * ((1 << (_AXIS_BITS - 1)) + 0.5)


def cell_means(points: np.ndarray, values: np.ndarray, weights: np.ndarray, cell: float) -> np.ndarray:
    """(P, F) at each point the weighted mean of `values` (P, F) around it: over cells, interpolated between the middles
    of the eight nearest. Cells without a point count for nothing."""
    points = np.asarray(points, np.float64)
    origin = grid_origin(points, cell)
    keys, place = np.unique(packed(cell_keys(points, cell, origin)), return_inverse=True)
    place = place.reshape(-1)
    columns = [weights, *(weights * column for column in values.T)]
    sums = np.stack([np.bincount(place, column, minlength=len(keys)) for column in columns], axis=1)
    result = np.zeros((len(points), values.shape[1]), np.float32)
    for start in range(0, len(points), _BLOCK):
        rows = slice(start, start + _BLOCK)
        result[rows] = _between(points[rows], keys, sums, cell, origin)
    return result


def _between(points: np.ndarray, keys: np.ndarray, sums: np.ndarray, cell: float, origin: np.ndarray) -> np.ndarray:
    lower = cell_keys(points - cell / 2, cell, origin)
    part = np.clip((points - origin) / cell - 0.5 - lower, 0, 1)
    lowest, place = np.unique(packed(lower), return_inverse=True)
    place = place.reshape(-1)
    sums = np.concatenate([sums, np.zeros((1, sums.shape[1]))])  # the last one: of cells without a point
    total = np.zeros((len(points), sums.shape[1]))
    for corner in np.ndindex(2, 2, 2):
        wanted = lowest + packed(np.array([corner]))
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = np.where(keys[found] == wanted, found, len(keys))
        share = np.prod(np.where(corner, part, 1 - part), axis=1)
        total += share[:, None] * sums[found[place]]
    return total[:, 1:] / np.where(total[:, :1] > 0, total[:, :1], 1)


def connected_cells(keys: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """(M,) for each of some distinct cells, given in ascending order as `packed` makes them, the smallest number of a
    cell that it is connected with: through faces, edges or corners, or by the pairs of numbers `linked` (2, L)."""
    group = np.arange(len(keys))
    pairs = [linked]
    offsets = [offset for offset in np.ndindex(3, 3, 3) if offset > (1, 1, 1)]
    for offset in offsets:
        wanted = keys + int(packed(np.array([offset]))[0] - packed(np.array([[1, 1, 1]]))[0])
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        is_there = keys[found] == wanted
        pairs.append(np.stack([np.flatnonzero(is_there), found[is_there]]))
    one, other = np.concatenate(pairs, axis=1)
    while len(one):  # each round links the roots of pairs, then shortens every path to its root
        a, b = group[one], group[other]
        apart = a != b
        if not apart.any():
            break
        one, other, a, b = one[apart], other[apart], a[apart], b[apart]
        np.minimum.at(group, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(shorter := group[group], group):
            group = shorter
    return group
