"""Spreading points evenly: of more candidates than wanted, those that crowd others go (blue noise).

Sample elimination (Yuksel 2015, "Sample Elimination for Generating Poisson Disk Sample Sets") made parallel: candidates
are sorted along a space-filling curve and cut into buckets of equal number, in each of which the most crowded go; some
passes with moved curves let every neighborhood be judged whole. Equal shares of every bucket stay, so that the number
of points stays proportional to area.
"""

import math

import numpy as np

from .neighbors import curve_order, in_parallel

FINE = ((16, 12), (16, 12), (16, 13), (16, 14))  # (bucket, how many of it stay) of each pass
FAST = ((12, 8), (12, 10), (12, 11))
FAST_ABOVE = 300_000  # points
REACH = 0.775  # of the distance in a perfect hexagonal pattern, within which points crowd each other
MOVED = 0.1931  # the curve against the last pass; no simple fraction, which would leave its corners in place
_BUCKETS_AT_ONCE = 512


def candidate_count(count: int) -> int:
    """How many candidates, uniform by area, `spread_evenly` needs for `count` points."""
    for bucket, kept in reversed(_passes(count)):
        count = math.ceil(count / kept) * bucket
    return count


def spread_evenly(candidates: np.ndarray, count: int, area: float) -> np.ndarray:
    """Indices of `count` of the candidates (P, 3), uniform on surfaces of that `area`, that lie evenly on them."""
    kept = np.arange(len(candidates))
    positions = candidates.astype(np.float32)
    reach_squared = REACH**2 * 2 / math.sqrt(3) * area / count
    for number, (bucket, staying) in enumerate(_passes(count)):
        if len(kept) <= count:
            break
        kept = kept[_most_spaced(positions[kept], bucket, staying, number * MOVED, reach_squared)]
    surplus = len(kept) - count  # fewer than a bucket
    return np.delete(kept, np.linspace(0, len(kept) - 1, surplus).astype(int)) if surplus > 0 else kept


def _passes(count: int) -> tuple[tuple[int, int], ...]:
    return FAST if count > FAST_ABOVE else FINE


def _most_spaced(positions: np.ndarray, bucket: int, staying: int, shift: float, reach_squared: float) -> np.ndarray:
    """Indices of the `staying` least crowded points of every `bucket` along the curve; what fills no bucket stays."""
    order = curve_order(positions, shift)
    full = len(order) // bucket * bucket
    buckets = order[:full].reshape(-1, bucket)

    def work(start: int) -> np.ndarray:
        part = buckets[start : start + _BUCKETS_AT_ONCE]
        return part[_least_crowded(positions[part], staying, reach_squared)]

    parts = in_parallel(work, range(0, len(buckets), _BUCKETS_AT_ONCE))
    return np.concatenate([*parts, order[full:]])


def _least_crowded(places: np.ndarray, staying: int, reach_squared: float) -> np.ndarray:
    """(B, M) which `staying` points of each bucket (B, M, 3) remain when, one by one, the most crowded goes."""
    size = places.shape[1]
    crowding = np.zeros((size, size, len(places)), dtype=np.float32)  # of each pair: 1 at the same place, 0 at reach
    for axis in range(3):
        along = np.ascontiguousarray(places[:, :, axis].T)
        difference = along[:, None] - along[None]
        difference *= difference
        crowding += difference
    crowding *= np.float32(-1 / reach_squared)
    crowding += 1
    np.maximum(crowding, 0, out=crowding)
    crowding **= 4
    crowding[np.arange(size), np.arange(size)] = 0
    total = crowding.sum(axis=0)
    every = np.arange(len(places))
    for _ in range(size - staying):
        worst = total.argmax(axis=0)
        total -= crowding[worst, :, every].T
        total[worst, every] = -np.inf
    return np.isfinite(total).T
