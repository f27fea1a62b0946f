"""Volumes: closed meshes of triangles, which points they enclose, and their files.

Rays upwards are counted through the triangles, which are spread over a grid across the rays, so that each point meets
those above its cell alone. Whether a ray meets a triangle is decided by the signs of three edges, each computed alike
for both triangles that share it: a ray through an edge meets exactly one of them. (Edges that are met exactly are
settled as in rasterization, by the first coordinate that differs.)

The file is Wavefront OBJ, which every modeling program writes: lines `v x y z` and `f a b c …`; all else is ignored.
Its coordinates are those of the capture.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..errors import SplatFileError
from ..files import open_regular, written_aside

_MOST_CELLS = 256  # along each side of the grid
_PAIRS = 1 << 20  # of points and triangles that are looked at together


@dataclass(frozen=True)
class ClosedMesh:
    """`vertices` (V, 3) float64, `triangles` (T, 3) indices. Where all faces turn the same way, what any of its parts
    encloses is inside; else what an odd number of walls surrounds."""

    vertices: np.ndarray
    triangles: np.ndarray

    @property
    def problem(self) -> str:
        """What keeps the mesh from having an inside, as the end of "its surface …"; empty when it has one."""
        if not len(self.triangles):
            return "has no faces"
        counts = np.unique(np.sort(self._edges, axis=1), axis=0, return_counts=True)[1]
        if (counts == 1).any():
            return f"is open: {int((counts == 1).sum())} edges belong to one face alone"
        if (counts != 2).any():
            return f"is not manifold: {int((counts > 2).sum())} edges belong to more than two faces"
        return ""

    def holds(self, points: np.ndarray) -> np.ndarray:
        """(P,) which points (P, 3) are inside. Points that are not finite are not."""
        inside = np.zeros(len(points), bool)
        used = self.vertices[np.unique(self.triangles)]
        low, high = used.min(axis=0), used.max(axis=0)
        near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
        if len(near):
            inside[near] = self._grid.crossings(points[near].astype(np.float64), self._has_one_orientation) != 0
        return inside

    @property
    def _edges(self) -> np.ndarray:
        return np.concatenate([self.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])

    @cached_property
    def _has_one_orientation(self) -> bool:
        """Whether the two triangles at each edge run along it in opposite directions."""
        return len(np.unique(self._edges, axis=0)) == len(self._edges)

    @cached_property
    def _grid(self) -> "_Grid":
        return _Grid(self.vertices, self.triangles)


class _Grid:
    """Triangles by the cells, seen along z, that they may reach into."""

    def __init__(self, corners: np.ndarray, triangles: np.ndarray):
        parts = corners[triangles].astype(np.float64)  # (T, 3, 3)
        self.low, high = (pick(parts[..., :2], axis=(0, 1)) for pick in (np.min, np.max))
        self.cells = int(np.clip(np.sqrt(len(triangles)) * 1.5, 1, _MOST_CELLS))
        self.size = np.maximum((high - self.low) / self.cells, 1e-300)
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


def write_volume(path: Path, mesh: ClosedMesh) -> None:
    """Write a volume as OBJ. Raises SplatFileError when the place cannot be written."""
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in np.asarray(mesh.vertices, np.float64).tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in (np.asarray(mesh.triangles) + 1).tolist()]
    try:
        with written_aside(path) as aside:
            aside.write_text("\n".join(lines) + "\n", encoding="ascii")
    except OSError as error:
        raise SplatFileError(
            f"{path} cannot be written ({error.strerror}).", "Choose a folder that can be written."
        ) from error


def read_volume(path: Path) -> ClosedMesh:
    """Read a volume; polygons become fans of triangles. Raises SplatFileError when it is not a closed mesh."""
    vertices, triangles = [], []
    try:
        with open_regular(path) as file:
            for line in file:
                words = line.split()
                if words[:1] == [b"v"]:
                    vertices.append([float(word) for word in words[1:4]])
                elif words[:1] == [b"f"]:
                    corners = [int(word.partition(b"/")[0]) for word in words[1:]]
                    corners = [corner - 1 if corner > 0 else len(vertices) + corner for corner in corners]
                    triangles += [[corners[0], *pair] for pair in pairwise(corners[1:])]
        mesh = ClosedMesh(np.array(vertices, np.float64).reshape(-1, 3), np.array(triangles, np.int64).reshape(-1, 3))
    except OSError as error:
        raise SplatFileError(f"{path} cannot be read ({error.strerror}).", "Choose an OBJ file that exists.") from error
    except (ValueError, OverflowError) as error:
        raise SplatFileError(f"{path.name} is not an OBJ file that can be read.", "Export it again as OBJ.") from error
    is_sound = len(triangles) and np.isfinite(mesh.vertices).all()
    if not is_sound or mesh.triangles.min() < 0 or mesh.triangles.max() >= len(vertices) or mesh.problem:
        raise SplatFileError(
            f"The mesh in {path.name} is not closed: it has no inside.", "Close its holes and export it again."
        )
    return mesh
