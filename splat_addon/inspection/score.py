"""How likely each splat is a floater: matter that hangs where there is none.

Photo error does not know floaters, since they fit the photos; depth and neighborhood do. The score is the square of the
sum of three signs, less one that speaks against it:

    open      0..1, of the mass of a splat and of those around it: the part of the views that look there and find
              nothing; and in a smaller part how far behind it the light lands along the rays that use it, from nothing
              to twice δ (see evidence.py). It belongs to a neighborhood, since floaters come in swarms.
    lonely    how much farther its neighbors are than usual, at its distance from the cameras; and the same around it
    large     how much larger it is than half of the others, where it is open in part
    needed    how much worse the photos would be without it alone: veils fit them, and each does little

Where photos are few, more floats and less can speak against it: there signs count for more, and more is risked, of what
photos show. Long training fills such captures with thousands of splats that hardly show; nobody can tell which float.

Floaters hide floaters: where they are most of what a view shows, its depth lies on them. So there are rounds (see
trainer/inspection/judge.py): what one is certain of is out of the way of depths in the next. Panes and mirrors, which
photos look through as well, are told by their shape (see sheets.py). docs/inspection.md has what the score finds, which
scenes it was chosen on, and what it cannot know.
"""

from dataclasses import dataclass

import numpy as np

from ..gaussians.cloud import GaussianCloud
from ..gaussians.neighbors import nearest_distances
from .evidence import Evidence
from .grid import cell_means
from .sheets import are_in_sheets

CELL = 0.04  # of the reach: the size of the cells that neighborhoods are measured in, and of half of the wider ones
OF_THE_MASS = 0.7  # of what is open is what views find at the mass; the rest is what lands behind, along the rays
LONELY_WEIGHT, LONELY_AROUND_WEIGHT = 0.06, 0.06  # beside what is open
MOST_LONELY, MOST_LARGE = 2.0, 1.0  # that count: the far background of photos is more so, and no floater
LARGE_WEIGHT = 0.05  # of what is not open: between the two, the larger are floaters more often
NEEDED_WEIGHT = 0.15  # of what is needed, which speaks against
NEEDED_FULLY = 0.01  # growth of the squared error by a unit of blending weight: more is not needed more
FEW_PHOTOS, MANY_PHOTOS = 12, 24  # up to so many photos are few, and from so many on they are not
OF_FEW_PHOTOS = 0.36  # where they are few, by so many parts more the signs count
SHOWN_FROM, SHOWN_FULLY = 5e-6, 6e-5  # of all light of the photos: nothing more up to the one, all from the other on
SCALE = 0.7  # of the square of the signs: a little is common, on walls whose depth photos cannot tell
LONELY_ALONE_WEIGHT = 0.3  # where it is the only sign
NEAREST_COUNTED = 0.2  # medians of depth: nearer splats are not expected to lie denser
FARTHEST = 2.5  # medians of depth: what lies beyond is sky to the photos, and never called a floater
SELECT_FROM = 0.74  # scores that are selected
LOOK_FROM = 0.5  # scores that are worth a look
ASIDE_FROM, ASIDE_LONELY_WEIGHT = 0.31, 0.1  # of what is open, squared: out of the way of depths in the last round
CERTAIN_FROM, CERTAIN_LONELY_WEIGHT = 0.8, 0.2  # of the first round
SHEET_FROM = 0.5  # of what is open, from which a splat may belong to a pane or a mirror
JUDGED, TOO_FAR, UNSEEN, BY_GEOMETRY, REFLECTION = range(5)  # kinds: what a score stands for


@dataclass(frozen=True)
class Findings:
    """The score (N,), from 0 up, and the signs (N,) that it is made of; `kind` (N,) says what it stands for."""

    score: np.ndarray
    open: np.ndarray
    lonely: np.ndarray
    kind: np.ndarray


def score_splats(cloud: GaussianCloud, evidence: Evidence) -> Findings:
    """Score the splats that the evidence is about. Lengths of both are in the same units."""
    is_open, lonely, around, kind = _signs(cloud, evidence)
    signs = is_open + LONELY_WEIGHT * np.minimum(lonely, MOST_LONELY)
    signs += LONELY_AROUND_WEIGHT * np.minimum(around, MOST_LONELY)
    signs += LARGE_WEIGHT * (1 - is_open) * np.minimum(largeness(cloud, evidence.weight > 0), MOST_LARGE)
    signs = np.maximum(0, signs - NEEDED_WEIGHT * neededness(evidence))
    signs *= 1 + OF_FEW_PHOTOS * fewness(len(evidence.view_names)) * shown(evidence)
    score = np.where((evidence.nearness < FARTHEST) & (kind != REFLECTION), SCALE * signs**2, 0)
    return Findings(score.astype(np.float32), is_open, lonely, kind)


def fewness(photos: int) -> float:
    """1 where photos are few, 0 where they are not, and between them by their number."""
    return min(1.0, max(0.0, (MANY_PHOTOS - photos) / (MANY_PHOTOS - FEW_PHOTOS)))


def shown(evidence: Evidence) -> np.ndarray:
    """(N,) 0..1 by the logarithm of the part of all photos that is a splat, from `SHOWN_FROM` to `SHOWN_FULLY`."""
    part = evidence.weight / max(float(evidence.weight.sum(dtype=np.float64)), 1e-9)
    return np.clip(np.log(np.maximum(part, SHOWN_FROM) / SHOWN_FROM) / np.log(SHOWN_FULLY / SHOWN_FROM), 0, 1)


def are_aside(cloud: GaussianCloud, evidence: Evidence) -> np.ndarray:
    """(N,) which splats are suspected enough to be out of the way of depths in the last round."""
    is_open, lonely, around, kind = _signs(cloud, evidence)
    return (kind == JUDGED) & (is_open**2 + ASIDE_LONELY_WEIGHT * (lonely + around) > ASIDE_FROM)


def _signs(cloud: GaussianCloud, evidence: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(N,) each: what is open, what is lonely, what is lonely around it, and the kind."""
    cell, weights = CELL * evidence.reach, np.sqrt(evidence.weight)
    lonely = loneliness(cloud.means, evidence.nearness)
    landing = OF_THE_MASS * evidence.view_open + (1 - OF_THE_MASS) * evidence.hang
    near = cell_means(cloud.means, np.stack([landing, lonely], axis=1), weights, cell)
    is_open = 0.5 * (near[:, 0] + cell_means(cloud.means, landing[:, None], weights, 2 * cell)[:, 0])
    kind = np.full(len(cloud), JUDGED, np.uint8)
    kind[evidence.used_by == 0] = UNSEEN
    kind[~(evidence.nearness < FARTHEST)] = TOO_FAR
    kind[np.isinf(evidence.nearness)] = UNSEEN
    suspects = np.flatnonzero((is_open > SHEET_FROM) & (kind == JUDGED))
    kind[suspects[are_in_sheets(cloud.means[suspects], evidence.reach)]] = REFLECTION
    return is_open, lonely, near[:, 1], kind


def certain_at_first(cloud: GaussianCloud, evidence: Evidence) -> np.ndarray:
    """(N,) which splats are floaters beyond doubt, by how far behind them light lands in parts of its own distance."""
    return gap_score(cloud, evidence) > CERTAIN_FROM


def gap_score(cloud: GaussianCloud, evidence: Evidence) -> np.ndarray:
    """(N,) the sum of the mean gap 1 - z/D of the splat, of those around it, and of what the views there see."""
    around = np.stack([evidence.gap, evidence.view_gap], axis=1)
    means = cell_means(cloud.means, around, np.sqrt(evidence.weight), CELL * evidence.reach)
    score = evidence.gap + means.sum(axis=1) + CERTAIN_LONELY_WEIGHT * loneliness(cloud.means, evidence.nearness)
    return np.where(evidence.nearness < FARTHEST, score, 0)


def largeness(cloud: GaussianCloud, among: np.ndarray) -> np.ndarray:
    """(N,) the logarithm of how much longer a splat's longest sigma is than that of half of those at a mask (N,)."""
    logs = cloud.log_scales.max(axis=1)
    return logs - np.median(logs[among]) if among.any() else np.zeros(len(cloud), np.float32)


def neededness(evidence: Evidence) -> np.ndarray:
    """(N,) 0..1 by how much the squared error of the photos grows without a splat, for its weight in them."""
    return np.clip(evidence.gain / np.maximum(evidence.weight, 1e-9) / NEEDED_FULLY, 0, 1)


def score_by_geometry(cloud: GaussianCloud) -> Findings:
    """What positions alone can say, without any photo: which splats are far from all others."""
    lonely = loneliness(cloud.means, np.ones(len(cloud)))
    kind = np.full(len(cloud), BY_GEOMETRY, np.uint8)
    return Findings(LONELY_ALONE_WEIGHT * lonely, np.zeros(len(cloud), np.float32), lonely, kind)


def loneliness(means: np.ndarray, nearness: np.ndarray) -> np.ndarray:
    """(N,) the logarithm of how many times farther the three nearest others are than those of half of all splats, after
    what is to be expected at that nearness to a camera; 0 for those that are nearer."""
    distances = nearest_distances(means)
    if distances.shape[1] == 0:
        return np.zeros(len(means), np.float32)
    mean = distances.mean(axis=1)
    usual = float(np.median(mean)) or 1.0
    near = np.clip(nearness, NEAREST_COUNTED, FARTHEST)
    logs = np.log(np.maximum(mean, 1e-6 * usual)) - np.log(near)
    return np.maximum(0, logs - np.median(logs)).astype(np.float32)
