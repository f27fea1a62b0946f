"""Suspicious splats as swarms: what an artist steps through, the one that covers most first."""

from dataclasses import dataclass

import numpy as np

from ..gaussians.cloud import GaussianCloud
from .evidence import Evidence
from .grid import cell_keys, connected_cells, grid_origin, packed
from .score import CELL
from .surfaces import mass_places

GROUP_CELL = 1.5 * CELL  # of the reach: splats whose mass lies in touching cells of this size are one swarm
CORE = 0.5  # of a splat's size: where that touches, swarms are one


@dataclass(frozen=True)
class Region:
    """A swarm. `splats` are indices, those that cover most first; `weight` is what they cover, in pixels of the reduced
    photos; `center` (3,) and `radius` hold nine tenths of it, capture units."""

    splats: np.ndarray
    weight: float
    center: np.ndarray
    radius: float
    score: float  # mean over the weight
    used_by: tuple[int, ...]  # views, by number, the one that uses most of its splats first


def find_regions(cloud: GaussianCloud, score: np.ndarray, evidence: Evidence, threshold: float) -> list[Region]:
    """The connected groups of splats whose score is above `threshold`, ranked by what they cover in the photos."""
    chosen = np.flatnonzero(score > threshold)
    if len(chosen) == 0:
        return []
    cell = GROUP_CELL * evidence.reach
    parts = cloud.select(chosen)
    places = np.concatenate([parts.means[:, None].astype(np.float64), mass_places(parts, CORE)], axis=1)
    numbers = packed(cell_keys(places.reshape(-1, 3), cell, grid_origin(parts.means, cell)))
    keys, place = np.unique(numbers, return_inverse=True)
    place = place.reshape(places.shape[:2])
    linked = np.stack([np.broadcast_to(place[:, :1], place[:, 1:].shape).ravel(), place[:, 1:].ravel()])
    groups = connected_cells(keys, linked[:, linked[0] != linked[1]])[place[:, 0]]
    weight = evidence.weight[chosen].astype(np.float64)
    _, number = np.unique(groups, return_inverse=True)
    number = number.reshape(-1)
    totals = np.bincount(number, weight)
    order = np.lexsort((-weight, number))
    members = np.split(order, np.cumsum(np.bincount(number))[:-1])
    ranked = sorted(range(len(members)), key=lambda group: (-totals[group], group))
    return [_region(chosen[members[group]], cloud.means, score, evidence) for group in ranked]


def _region(splats: np.ndarray, means: np.ndarray, score: np.ndarray, evidence: Evidence) -> Region:
    weight = evidence.weight[splats].astype(np.float64)
    total = float(weight.sum())
    shares = weight / total if total > 0 else np.full(len(splats), 1 / len(splats))
    places = means[splats].astype(np.float64)
    center = shares @ places
    distances = np.linalg.norm(places - center, axis=1)
    order = np.argsort(distances)
    last = min(int(np.searchsorted(np.cumsum(shares[order]), 0.9)), len(order) - 1)
    bits = evidence.used_by[splats]
    counts = [int(np.count_nonzero(bits >> np.uint64(v) & np.uint64(1))) for v in range(len(evidence.view_names))]
    users = sorted((v for v, count in enumerate(counts) if count), key=lambda v: (-counts[v], v))
    radius = max(float(distances[order[last]]), 0.5 * CELL * evidence.reach)
    return Region(splats, total, center, radius, float(shares @ score[splats]), tuple(users))
