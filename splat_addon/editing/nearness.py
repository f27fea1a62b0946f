"""Which points lie within a distance of chosen ones: what growing and shrinking a selection asks. Exact, NumPy alone.

Points are sorted into cells as wide as the distance, so that only the 27 cells around one can hold a near one. The box
around the chosen points of a cell decides for most pairs of a point and a cell; the rest is compared point by point.
"""

import numpy as np

from ..gaussians.neighbors import curve_order

_AXIS_BITS = 21  # so that the three numbers of a cell fit into one of 64 bits
_OFFSETS = sorted(np.ndindex(3, 3, 3), key=lambda one: sum(abs(part - 1) for part in one))  # the nearest first
_WINDOWS, _WINDOW = 48, 192  # of points that follow each other along a curve, by which the usual spacing is measured
_THIRD = 3


def usual_spacing(positions: np.ndarray) -> float:
    """The median distance from a point to its third neighbor, measured on a few swarms of them; 0 for fewer."""
    positions = positions[np.isfinite(positions).all(axis=1)]
    if len(positions) <= _THIRD:
        return 0.0
    order = curve_order(positions.astype(np.float64))
    width = min(_WINDOW, len(order))
    starts = np.linspace(0, len(order) - width, _WINDOWS if len(order) > width else 1).astype(int)
    found = []
    for start in starts:
        swarm = positions[order[start : start + width]].astype(np.float64)
        squared = ((swarm[:, None] - swarm[None]) ** 2).sum(axis=2)
        found.append(np.partition(squared, _THIRD, axis=1)[:, _THIRD])
    return float(np.sqrt(np.median(np.concatenate(found))))


def is_near(positions: np.ndarray, chosen: np.ndarray, distance: float) -> np.ndarray:
    """(N,) which of `positions` (N, 3) lie within `distance` of one that is `chosen` (N,), those included."""
    near = chosen.copy()
    is_sound = np.isfinite(positions).all(axis=1)
    sources = np.flatnonzero(chosen & is_sound)
    if not len(sources) or distance <= 0:
        return near
    low, high = positions[sources].min(axis=0) - distance, positions[sources].max(axis=0) + distance
    asked = np.flatnonzero(~chosen & is_sound & ((positions >= low) & (positions <= high)).all(axis=1))
    if not len(asked):
        return near
    cell = max(distance, float((high - low).max()) / ((1 << _AXIS_BITS) - 4))
    swarms = _Swarms(positions[sources].astype(np.float64), low.astype(np.float64), cell)
    points = positions[asked].astype(np.float64)
    cells = _cells(points, low, cell)
    left = np.arange(len(asked))
    for offset in _OFFSETS:
        number, is_there = swarms.find(cells[left] + np.array(offset) - 1)
        rows = left[is_there]
        found = swarms.is_within(points[rows], number[is_there], distance)
        near[asked[rows[found]]] = True
        left = left[~near[asked[left]]]
        if not len(left):
            break
    return near


class _Swarms:
    """Chosen points by the cell they lie in, with the box around those of each cell."""

    def __init__(self, points: np.ndarray, low: np.ndarray, cell: float):
        keys = _packed(_cells(points, low, cell))
        order = np.argsort(keys, kind="stable")
        self.points = points[order]
        self.keys, self.starts = np.unique(keys[order], return_index=True)
        self.counts = np.diff([*self.starts, len(points)])
        self.low = np.minimum.reduceat(self.points, self.starts)
        self.high = np.maximum.reduceat(self.points, self.starts)

    def find(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(M,) the number of the swarm in each cell (M, 3), and whether there is one."""
        wanted = _packed(cells)
        number = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return number, self.keys[number] == wanted

    def is_within(self, points: np.ndarray, number: np.ndarray, distance: float) -> np.ndarray:
        """(M,) whether a point of the swarm of that number lies within `distance` of each of `points` (M, 3)."""
        low, high = self.low[number], self.high[number]
        nearest = np.maximum(np.maximum(low - points, points - high), 0)
        farthest = np.maximum(np.abs(points - low), np.abs(points - high))
        limit = distance**2
        found = (farthest**2).sum(axis=1) <= limit
        open_rows = np.flatnonzero(~found & ((nearest**2).sum(axis=1) <= limit))
        step = 0
        while len(open_rows):  # the first point of each swarm, then the second, as long as there are any
            place = self.starts[number[open_rows]] + step
            met = ((self.points[place] - points[open_rows]) ** 2).sum(axis=1) <= limit
            found[open_rows[met]] = True
            step += 1
            open_rows = open_rows[~met]
            open_rows = open_rows[self.counts[number[open_rows]] > step]
        return found


def _cells(points: np.ndarray, low: np.ndarray, cell: float) -> np.ndarray:
    return np.floor((points - low) / cell).astype(np.int64) + 1


def _packed(cells: np.ndarray) -> np.ndarray:
    return (cells[:, 0] << (2 * _AXIS_BITS)) | (cells[:, 1] << _AXIS_BITS) | cells[:, 2]
