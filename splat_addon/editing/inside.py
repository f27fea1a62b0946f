"""Which points lie inside a closed surface: rays upwards are counted through its triangles.

Triangles are spread over a grid across the rays, so that each point meets those above its cell alone. Whether a ray
meets a triangle is decided by the signs of three edges, each computed alike for both triangles that share it: a ray
through an edge meets exactly one of them. (Rules for edges that are met exactly: as in rasterization, by the first
coordinate that differs.)
"""

from dataclasses import dataclass

import numpy as np

_MOST_CELLS = 256  # along each side of the grid
_PAIRS = 1 << 20  # of points and triangles that are looked at together


@dataclass(frozen=True)
class Surface:
    """Triangles in space: `points` (P, 3) and the indices of `triangles` (T, 3)."""

    points: np.ndarray
    triangles: np.ndarray


def problem_of(surface: Surface) -> str:
    """What keeps a surface from having an inside, as the end of "its mesh …"; empty when it has one."""
    if not len(surface.triangles):
        return "has no faces"
    counts = np.unique(np.sort(_edges(surface.triangles), axis=1), axis=0, return_counts=True)[1]
    if (counts == 1).any():
        return f"is open: {int((counts == 1).sum())} edges belong to one face alone"
    if (counts != 2).any():
        return f"is not manifold: {int((counts > 2).sum())} edges belong to more than two faces"
    return ""


def is_inside(points: np.ndarray, surface: Surface) -> np.ndarray:
    """(N,) which `points` (N, 3) a closed surface encloses. Where its faces all turn the same way, parts that overlap
    count as one; else what an odd number of walls surrounds is inside."""
    inside = np.zeros(len(points), bool)
    corners = surface.points.astype(np.float64)
    used = corners[np.unique(surface.triangles)]
    low, high = used.min(axis=0), used.max(axis=0)
    near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    if len(near):
        grid = _Grid(corners, surface.triangles, low[:2], high[:2])
        crossings = grid.crossings(points[near].astype(np.float64), _has_one_orientation(surface.triangles))
        inside[near] = crossings != 0
    return inside


class _Grid:
    """Triangles by the cells, seen along z, that they may reach into."""

    def __init__(self, corners: np.ndarray, triangles: np.ndarray, low: np.ndarray, high: np.ndarray):
        self.low = low
        self.cells = int(np.clip(np.sqrt(len(triangles)) * 1.5, 1, _MOST_CELLS))
        self.size = np.maximum((high - low) / self.cells, 1e-300)
        parts = corners[triangles]  # (T, 3, 3)
        first, last = self._cell(parts[:, :, :2].min(axis=1)), self._cell(parts[:, :, :2].max(axis=1))
        widths = last - first + 1
        counts = widths[:, 0] * widths[:, 1]
        owner = np.repeat(np.arange(len(triangles)), counts)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        across, up = place % widths[owner, 0], place // widths[owner, 0]
        cell = (first[owner, 0] + across) * self.cells + first[owner, 1] + up
        order = np.argsort(cell, kind="stable")
        self.members = owner[order]
        self.starts = np.searchsorted(cell[order], np.arange(self.cells**2 + 1))
        # What is asked of a pair: three edges, each from the lower to the higher of its points, and the height.
        self.edges = [_Edge(parts[:, a], parts[:, b]) for a, b in ((0, 1), (1, 2), (2, 0))]
        normals = np.cross(parts[:, 1] - parts[:, 0], parts[:, 2] - parts[:, 0])
        self.turns = np.sign(normals[:, 2]).astype(np.int8)
        steep = np.where(normals[:, 2] == 0, 1.0, normals[:, 2])
        self.slope = -normals[:, :2] / steep[:, None]
        self.height = parts[:, 0, 2] - (self.slope * parts[:, 0, :2]).sum(axis=1)

    def _cell(self, points: np.ndarray) -> np.ndarray:
        return np.clip(((points - self.low) / self.size).astype(np.int64), 0, self.cells - 1)

    def crossings(self, points: np.ndarray, is_signed: bool) -> np.ndarray:
        """(N,) how often the ray upwards from each point passes a triangle: up counts 1 and down -1 where
        `is_signed`, else whether that is odd."""
        cell = self._cell(points[:, :2])
        key = cell[:, 0] * self.cells + cell[:, 1]
        start, count = self.starts[key], self.starts[key + 1] - self.starts[key]
        total = np.zeros(len(points), np.int32)
        ends = np.cumsum(count)
        begin = 0
        while begin < len(points):
            done = ends[begin - 1] if begin else 0
            stop = max(begin + 1, int(np.searchsorted(ends, done + _PAIRS, side="right")))
            rows = np.repeat(np.arange(begin, stop), count[begin:stop])
            offset = np.arange(len(rows)) - np.repeat(ends[begin:stop] - count[begin:stop] - done, count[begin:stop])
            found = self._met(points, rows, self.members[start[rows] + offset])
            total[begin:stop] += np.bincount(rows - begin, found, minlength=stop - begin).astype(np.int32)
            begin = stop
        return total if is_signed else total % 2

    def _met(self, points: np.ndarray, rows: np.ndarray, which: np.ndarray) -> np.ndarray:
        """(M,) for each pair of a point and a triangle 1, -1 or 0: whether the ray meets it, and from which side."""
        x, y, z = points[rows, 0], points[rows, 1], points[rows, 2]
        left = [edge.is_left(which, x, y) for edge in self.edges]
        inside = (left[0] == left[1]) & (left[1] == left[2])
        above = self.slope[which, 0] * x + self.slope[which, 1] * y + self.height[which] > z
        return np.where(inside & above, self.turns[which], 0)


class _Edge:
    """One edge of every triangle, seen along z. What is on the line counts as left of its lower-to-higher direction."""

    def __init__(self, a: np.ndarray, b: np.ndarray):
        is_swapped = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
        low, high = np.where(is_swapped[:, None], b, a), np.where(is_swapped[:, None], a, b)
        self.x, self.y = low[:, 0], low[:, 1]
        self.dx, self.dy = high[:, 0] - low[:, 0], high[:, 1] - low[:, 1]
        self.is_swapped = is_swapped

    def is_left(self, which: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """(M,) whether points are left of the triangles' edges in their own direction."""
        side = self.dx[which] * (y - self.y[which]) - self.dy[which] * (x - self.x[which])
        return (side >= 0) != self.is_swapped[which]


def _edges(triangles: np.ndarray) -> np.ndarray:
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def _has_one_orientation(triangles: np.ndarray) -> bool:
    """Whether the two triangles at each edge run along it in opposite directions."""
    edges = _edges(triangles)
    return len(np.unique(edges, axis=0)) == len(edges)
