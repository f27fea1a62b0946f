"""A few splats that stand for all, and coarse pictures of them: who is seen in which cell."""

from typing import NamedTuple

import numpy as np

from ...capture.camera import Camera
from ...gaussians.cloud import GaussianCloud
from ...gaussians.neighbors import curve_order

ANCHORS = 12_000  # about, at most
TRAINING_CELLS, CELLS = 64, 24  # along the longer side of a training view, and of a view that is asked about
LEVELS = 5  # a splat fills a square of 1, 2, 4 … cells a side; one that would fill a larger one fades from its middle
ROUND_FROM = 8.0  # cells a side: from this size on
ROUND_WITHIN, MIDDLE = 2.5, 1.25  # sigmas: how far it is drawn, and where a camera that sees it sees its place
MOST_ROUND = 1_500_000  # cells of all these in a picture; farther ones fill a square: in a fog, more would take minutes
LARGEST_SHARE = 0.05  # of a picture: what is larger is not more likely to be chosen
FAINT = 0.02  # splats with less opacity hide nothing
LEAST_WEIGHT = 0.05  # of a cell's light: what has less is not listed
OPAQUE = 0.5  # a cell's surface is the anchor at which this part of its light is gone
REACHED = 0.35  # a camera sees an anchor that this much of a cell's light reaches,
SAME_PLACE = 0.03  # or that is not farther than what the cell shows by more than this part of its depth


class Seen(NamedTuple):
    """What a camera sees: J times an anchor in a cell."""

    anchors: np.ndarray  # (J,) indices
    cells: np.ndarray  # (J,) numbers, row by row
    weights: np.ndarray  # (J,) of the cell's light, as in blending
    depths: np.ndarray  # (J,) along +z
    shape: tuple[int, int]  # rows and columns of cells
    reached: np.ndarray  # indices of all anchors that it sees
    holes: float  # 0..1 mean square of the transmittance over the picture

    @property
    def cell_count(self) -> int:
        return self.shape[0] * self.shape[1]


def anchors_of(cloud: GaussianCloud, places: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (A,) and sigmas (A,) of splats that stand for all: those that cover more of what is seen from `places`
    (C, 3) are more likely, and each is as much larger as it stands for others."""
    finite = np.flatnonzero(cloud.finite())
    means, opacities, scales = cloud.means[finite], cloud.opacities[finite], np.sort(cloud.scales[finite], axis=1)
    sizes = np.sqrt(scales[:, 2] * scales[:, 1])
    if len(means) <= ANCHORS:
        return finite, sizes
    nearest = np.full(len(means), np.inf, np.float32)
    for place in places:
        nearest = np.minimum(nearest, ((means - place.astype(np.float32)) ** 2).sum(axis=1))
    weights = opacities * np.clip(sizes * sizes / np.maximum(nearest, 1e-12), 0, LARGEST_SHARE)
    weights = weights / max(float(weights.sum()), 1e-30) + 1 / len(means)
    chances = np.minimum(1.0, 0.5 * ANCHORS * weights)
    order = curve_order(means)  # so that the chosen are spread evenly over what is there
    passed = np.floor(np.cumsum(chances[order], dtype=np.float64) + np.random.default_rng(seed).random())
    chosen = np.sort(order[np.diff(passed, prepend=0.0) > 0])
    return finite[chosen], (sizes[chosen] / np.sqrt(chances[chosen])).astype(np.float32)


def look(points: np.ndarray, sizes: np.ndarray, opacities: np.ndarray, camera: Camera, longer_side: int) -> Seen:
    """A picture, `longer_side` cells wide or high, of anchors at `points` (A, 3) with `sizes` and `opacities` (A,).

    Each covers a square of whole cells with the mass that it has there, or, if it is large, all cells around its middle
    as a Gaussian does; the cells are composited near to far. Lens distortion does not count.
    """
    longer = max(camera.width, camera.height)
    columns = max(1, round(longer_side * camera.width / longer))
    rows = max(1, round(longer_side * camera.height / longer))
    z, which, owner, cell, alpha, is_middle = _covered(points, sizes, opacities, camera, rows, columns)
    if len(owner) == 0:
        nothing, no_number = np.empty(0, np.intp), np.empty(0, np.float32)
        return Seen(nothing, nothing, no_number, no_number, (rows, columns), nothing, 1.0)
    order = np.argsort(cell.astype(np.int16), kind="stable")  # by digits, which is fast
    owner, cell, alpha, is_middle = owner[order], cell[order], alpha[order], is_middle[order]

    thickness = -np.log1p(-np.minimum(alpha, 0.999))
    behind = np.cumsum(thickness, dtype=np.float64)  # -log of what is left of the light, but for what came before
    starts = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    ends = np.append(starts[1:], len(cell)) - 1
    behind -= np.repeat(behind[starts] - thickness[starts], np.diff(np.append(starts, len(cell))))
    left = np.exp(-behind)
    before = left * np.exp(thickness)
    opaque = np.flatnonzero(left <= OPAQUE)
    first = opaque[np.concatenate([[True], cell[opaque][1:] != cell[opaque][:-1]])] if len(opaque) else opaque
    surface = np.full(rows * columns, np.inf, np.float32)
    surface[cell[first]] = z[which[owner[first]]] * np.float32(1 + SAME_PLACE)
    is_reached = np.zeros(len(which), bool)
    is_reached[owner[is_middle & ((before >= REACHED) | (z[which[owner]] <= surface[cell]))]] = True
    holes = 1 - float((1 - left[ends] ** 2).sum()) / (rows * columns)
    listed = np.flatnonzero(before - left > LEAST_WEIGHT)
    anchors, weights = which[owner[listed]], (before - left)[listed].astype(np.float32)
    return Seen(anchors, cell[listed], weights, z[anchors], (rows, columns), which[is_reached], holes)


def _covered(points, sizes, opacities, camera, rows, columns) -> tuple:
    """Depths of all; the indices of those that may be seen, near to far; and one entry for each cell that each of these
    covers: its number among them, the cell, its opacity there, and whether that is near its middle."""
    matrix = camera.camera_from_world.astype(np.float32)
    x, y, z = matrix[:3, :3] @ points.T + matrix[:3, 3:]
    across, down = np.float32(columns / camera.width), np.float32(rows / camera.height)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u = (x / z * np.float32(camera.fx) + np.float32(camera.cx)) * across
        v = (y / z * np.float32(camera.fy) + np.float32(camera.cy)) * down
        sigma = sizes / z * np.float32(camera.fx) * across  # in cells
        around = np.float32(ROUND_WITHIN) * sigma
        may_be_seen = (z > 1e-6) & (u > -around) & (v > -around) & (u < columns + around) & (v < rows + around)
    which = np.flatnonzero(may_be_seen & (opacities > FAINT))
    which = which[np.argsort(z[which])]
    u, v, sigma, around = np.clip(u[which], -1e5, 1e5), np.clip(v[which], -1e5, 1e5), sigma[which], around[which]
    side = np.float32(2.5) * sigma  # a splat covers about 2 pi sigma²
    width = 1 << np.clip(np.ceil(np.log2(np.maximum(side, 1e-6))), 0, LEVELS - 1).astype(np.int32)
    is_round = side > ROUND_FROM
    areas = np.minimum(4.0 * around.astype(np.float64) ** 2, rows * columns)
    is_round &= np.cumsum(np.where(is_round, areas, 0)) <= MOST_ROUND
    left = np.where(is_round, np.floor(np.maximum(u - around, 0)), np.rint(u - width / 2)).astype(np.int32)
    top = np.where(is_round, np.floor(np.maximum(v - around, 0)), np.rint(v - width / 2)).astype(np.int32)
    right = np.where(is_round, np.ceil(np.minimum(u + around, columns)), left + width).astype(np.int32)
    bottom = np.where(is_round, np.ceil(np.minimum(v + around, rows)), top + width).astype(np.int32)
    left, top = np.maximum(left, 0), np.maximum(top, 0)
    across_of = np.maximum(np.minimum(right, columns) - left, 0)
    counts = across_of * np.maximum(np.minimum(bottom, rows) - top, 0)

    owner = np.repeat(np.arange(len(which), dtype=np.int32), counts)
    number = np.arange(len(owner), dtype=np.int32) - np.repeat((np.cumsum(counts) - counts).astype(np.int32), counts)
    row = number // np.maximum(across_of, 1)[owner]
    column = left[owner] + number - row * across_of[owner]
    row += top[owner]
    alpha = (np.minimum(1.0, (side / width) ** 2) * opacities[which])[owner]
    of_round = np.flatnonzero(is_round[owner])
    its = owner[of_round]
    away = (column[of_round] + 0.5 - u[its]) ** 2 + (row[of_round] + 0.5 - v[its]) ** 2
    away /= sigma[its] ** 2
    alpha[of_round] = opacities[which[its]] * np.exp(-0.5 * away)
    is_middle = np.ones(len(owner), bool)
    is_middle[of_round] = away < MIDDLE**2
    return z, which, owner, row * columns + column, alpha, is_middle
