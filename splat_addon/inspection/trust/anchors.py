"""A few splats that stand for all, and coarse pictures of them: who is seen in which cell."""

from typing import NamedTuple

import numpy as np

from ...capture.camera import Camera
from ...gaussians.cloud import GaussianCloud
from ...gaussians.neighbors import curve_order

ANCHORS = 12_000  # about, at most
TRAINING_CELLS, CELLS = 64, 24  # along the longer side of a training view, and of a view that is asked about
LEVELS = 5  # a splat fills a square of 1, 2, 4 … cells a side
LARGEST_SHARE = 0.05  # of a picture: what is larger is not more likely to be chosen
FAINT = 0.02  # splats with less opacity hide nothing
OPAQUE = 0.5  # a cell shows the anchor at which this part of its light is gone
REACHED = 0.35  # a camera sees an anchor that this much of a cell's light reaches,
SAME_PLACE = 0.03  # or that is not farther than what the cell shows by more than this part of its depth


class Seen(NamedTuple):
    """What a camera sees: J cells show something."""

    anchors: np.ndarray  # (J,) indices
    depths: np.ndarray  # (J,) along +z
    cells: np.ndarray  # (J,) numbers, row by row
    shape: tuple[int, int]  # rows and columns of cells
    reached: np.ndarray  # indices of all anchors that it sees
    holes: float  # 0..1 mean square of the transmittance over the picture


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

    Each covers a square of whole cells with the mass that it has there; the cells are composited near to far. Lens
    distortion does not count.
    """
    longer = max(camera.width, camera.height)
    columns = max(1, round(longer_side * camera.width / longer))
    rows = max(1, round(longer_side * camera.height / longer))
    z, which, left, top, width, mass = _squares(points, sizes, opacities, camera, rows, columns)

    # One entry for each cell of each square, near to far; then cell by cell.
    first_column, first_row = np.maximum(left, 0), np.maximum(top, 0)
    columns_of = np.maximum(np.minimum(left + width, columns) - first_column, 0)
    counts = columns_of * np.maximum(np.minimum(top + width, rows) - first_row, 0)
    owner = np.repeat(np.arange(len(which), dtype=np.int32), counts)
    if len(owner) == 0:
        nothing = np.empty(0, np.intp)
        return Seen(nothing, np.empty(0, np.float32), nothing, (rows, columns), nothing, 1.0)
    number = np.arange(len(owner), dtype=np.int32) - np.repeat((np.cumsum(counts) - counts).astype(np.int32), counts)
    row = number // columns_of[owner]
    cell = (first_row[owner] + row) * columns + first_column[owner] + number - row * columns_of[owner]
    order = np.argsort(cell.astype(np.int16), kind="stable")  # by digits, which is fast
    owner, cell = owner[order], cell[order]

    thickness = -np.log1p(-np.minimum(mass, 0.999))[owner]
    behind = np.cumsum(thickness, dtype=np.float64)  # -log of what is left of the light, but for what came before
    starts = np.flatnonzero(np.concatenate([[True], cell[1:] != cell[:-1]]))
    behind -= np.repeat(behind[starts] - thickness[starts], np.diff(np.append(starts, len(cell))))
    opaque = np.flatnonzero(behind >= -np.log(OPAQUE))
    first = opaque[np.concatenate([[True], cell[opaque][1:] != cell[opaque][:-1]])] if len(opaque) else opaque
    anchors = which[owner[first]]
    surface = np.full(rows * columns, np.inf, np.float32)
    surface[cell[first]] = z[anchors] * np.float32(1 + SAME_PLACE)
    is_reached = np.zeros(len(which), bool)
    is_reached[owner[(behind - thickness <= -np.log(REACHED)) | (z[which[owner]] <= surface[cell])]] = True
    ends = np.append(starts[1:], len(cell)) - 1
    holes = 1 - float((1 - np.exp(-2 * behind[ends])).sum()) / (rows * columns)
    return Seen(anchors, z[anchors], cell[first], (rows, columns), which[is_reached], holes)


def _squares(points, sizes, opacities, camera, rows, columns) -> tuple:
    """Depths of all; then of those that may be seen, near to far: index, left, top and width in cells, and mass."""
    matrix = camera.camera_from_world.astype(np.float32)
    x, y, z = matrix[:3, :3] @ points.T + matrix[:3, 3:]
    across, down = np.float32(columns / camera.width), np.float32(rows / camera.height)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        u = (x / z * np.float32(camera.fx) + np.float32(camera.cx)) * across
        v = (y / z * np.float32(camera.fy) + np.float32(camera.cy)) * down
        radius = sizes / z * np.float32(camera.fx) * across  # sigma, in cells
        may_be_seen = (z > 1e-6) & (u > -radius) & (v > -radius) & (u < columns + radius) & (v < rows + radius)
    which = np.flatnonzero(may_be_seen & (opacities > FAINT))
    which = which[np.argsort(z[which])]
    side = np.float32(2.5) * radius[which]  # a splat covers about 2 pi sigma²
    level = np.clip(np.ceil(np.log2(np.maximum(side, 1e-6))), 0, LEVELS - 1).astype(np.intp)
    width = (1 << level).astype(np.int32)
    left = np.rint(np.clip(u[which], -1e4, 1e4) - width / 2).astype(np.int32)
    top = np.rint(np.clip(v[which], -1e4, 1e4) - width / 2).astype(np.int32)
    return z, which, left, top, width, np.minimum(1.0, (side / width) ** 2) * opacities[which]
