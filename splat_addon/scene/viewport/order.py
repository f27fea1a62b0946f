"""The order in which splats are blended: far to near along the view, for millions of them at every turn of the view.

NumPy only. A depth is a product with one row: `depth = row[:3] @ point + row[3]`, positive in front of the viewer.
"""

import numpy as np

EXACT_COUNT = 50_000  # up to here depths are compared themselves, beyond as 16-bit keys, which sort ten times as fast
_NEAR_SHARE = 16  # keys are evenly spaced up to this part of the median depth, logarithmically beyond
_LAST_KEY = 65535


def depth_row(view_from_object: np.ndarray) -> np.ndarray:
    """(4,) the row that gives the depth along the view of points in an object's frame; the view looks along -z."""
    return -np.asarray(view_from_object, dtype=np.float64)[2]


def far_to_near(depths: np.ndarray, *, is_perspective: bool) -> np.ndarray:
    """Indices (N,) of `depths` (N,) float32, the farthest first, of equal ones the last: what comes first lies on top,
    as the trainer has it.

    More than EXACT_COUNT depths are rounded to 65 536 steps first: for perspective views the steps grow with the
    distance from the viewer, for orthographic ones with the distance from the median.
    """
    if len(depths) <= EXACT_COUNT:
        return np.argsort(depths, kind="stable")[::-1]
    return np.argsort(_keys(depths, is_perspective), kind="stable")[::-1]  # a radix sort


def _keys(depths: np.ndarray, is_perspective: bool) -> np.ndarray:
    """(N,) uint16, small where near.

    The bits of a positive float, read as an integer, grow like its logarithm: a logarithm for nothing.
    """
    sample = depths[:: max(1, len(depths) // 4096)]
    center = np.float32(0.0 if is_perspective else np.median(sample))
    offsets = depths - center
    step = max(np.float32(np.median(np.abs(sample - center)) / _NEAR_SHARE), np.finfo(np.float32).tiny)
    sizes = np.abs(offsets)
    sizes += step
    levels = sizes.view(np.int32)
    levels -= np.float32(step).view(np.int32)
    np.negative(levels, out=levels, where=offsets < 0)
    farthest, nearest = int(levels.max()), int(levels.min())
    levels -= nearest
    keys = np.multiply(levels, np.float32(_LAST_KEY / max(farthest - nearest, 1)), dtype=np.float32, out=sizes)
    return np.minimum(keys, _LAST_KEY, out=keys).astype(np.uint16)


class SortedView:
    """Remembers what an order was made for, and tells whether it still holds for other depths' rows."""

    def __init__(self, rows: np.ndarray, is_perspective: bool, what: object):
        self._rows = rows
        self._is_perspective = is_perspective
        self._what = what
        self._reach = float(np.abs(rows[:, 3]).max(initial=0.0))

    def holds_for(self, rows: np.ndarray, is_perspective: bool, what: object) -> bool:
        """Whether splats `what`, seen along `rows` (M, 4), one per object, are still in this order.

        Moving sideways changes no row, moving along the view changes all alike: the order stays. Only when the viewer
        has come much nearer or farther are the rounded depths of a perspective view taken again.
        """
        if what != self._what or is_perspective != self._is_perspective or rows.shape != self._rows.shape:
            return False
        turned = np.abs(rows[:, :3] - self._rows[:, :3]).max(initial=0.0)
        moved = rows[:, 3] - self._rows[:, 3]
        scale = max(self._reach, 1e-30)
        apart = np.ptp(moved) if len(moved) else 0.0
        return bool(turned < 1e-6 and apart < 1e-6 * scale and np.abs(moved).max(initial=0.0) < 0.05 * scale)
