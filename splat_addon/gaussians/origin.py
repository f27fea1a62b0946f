"""Where positions are counted from when they lie so far from the origin that 32 bits round what can be seen.

Surveys are in the coordinates of a country: there, 32 bits tell half a meter apart.
"""

import numpy as np

_COARSE = 1e-4  # of the size of what lies there
_ROOM = 64.0  # sizes: an origin is a multiple of that, so that parts of one thing mostly have the same
_EXACT_STEPS = 2.0**23  # multiples up to this many are exact in 32 bits


def needs_64_bits(positions: np.ndarray) -> bool:
    """Whether 32 bits round the positions (P, 3) of points to what can be seen, so far from the origin do they lie."""
    finite = positions[np.isfinite(positions).all(axis=1)]
    if positions.dtype != np.float64 or len(finite) == 0:
        return False
    size = float(np.median(np.abs(finite - np.median(finite, axis=0))))
    with np.errstate(over="ignore"):
        return bool(np.spacing(np.float32(np.median(np.abs(finite), axis=0).max())) > _COARSE * size > 0)


def origin_for(positions: np.ndarray) -> tuple[float, float, float] | None:
    """A place near `positions` (P, 3) that is exact in 32 bits; None where these do not need one."""
    if not needs_64_bits(positions):
        return None
    finite = positions[np.isfinite(positions).all(axis=1)]
    center = np.median(finite, axis=0)
    return rounded_origin(center, float(np.median(np.abs(finite - center))))


def rounded_origin(center: np.ndarray, size: float) -> tuple[float, float, float]:
    """The place exact in 32 bits next to `center` (3,) of something of that size."""
    step = 2.0 ** np.ceil(np.log2(max(_ROOM * size, np.abs(center).max() / _EXACT_STEPS)))
    x, y, z = (np.round(np.asarray(center, dtype=np.float64) / step) * step + 0.0).tolist()
    return x, y, z
