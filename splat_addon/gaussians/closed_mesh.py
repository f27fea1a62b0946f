"""Volumes in which splats are to be left out or trained: closed meshes of triangles, and their files.

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

_MOST_CELLS = 256  # of the grid that triangles are sorted into, along one side
_PAIRS = 1 << 22  # of points and triangles that are compared at a time
_ASIDE = np.array([0.7390851, 0.5671433]) * 1e-9  # of its size: rays that meet no edge of a mesh that was made by hand


@dataclass(frozen=True)
class ClosedMesh:
    """`vertices` (V, 3) float64, `triangles` (T, 3) indices. Parts may overlap or lie inside each other: what any of
    them encloses is inside."""

    vertices: np.ndarray
    triangles: np.ndarray

    @property
    def is_closed(self) -> bool:
        """Whether each edge belongs to an even number of triangles, so that there is an inside."""
        return len(self.triangles) > 0 and not (self._edges[0] % 2).any()

    @cached_property
    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each edge, how many triangles have it, and how many more in one direction than in the other."""
        edges = self.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64)
        ways = np.where(edges[:, 0] < edges[:, 1], 1, -1)
        _, place = np.unique(edges.min(axis=1) * len(self.vertices) + edges.max(axis=1), return_inverse=True)
        place = place.reshape(-1)
        return np.bincount(place), np.bincount(place, ways).astype(np.int64)

    def holds(self, points: np.ndarray) -> np.ndarray:
        """(P,) whether points (P, 3) are inside, by the crossings of a ray along z: the surface winds around them; or,
        where faces do not agree on which side is out, their number is odd."""
        points = np.asarray(points, np.float64)
        inside = np.zeros(len(points), bool)
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)
        near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
        if len(near):
            has_sides = not self._edges[1].any()
            crossed = self._crossed(points[near] + [*(_ASIDE * (high - low).max()), 0.0], has_sides)
            inside[near] = (crossed if has_sides else crossed % 2) != 0
        return inside

    def _crossed(self, points: np.ndarray, has_sides: bool) -> np.ndarray:
        """(P,) how often the rays upward from points (P, 3) cross the surface; with sides, outward less inward."""
        starts, sorted_triangles, cells = self._grid
        cell = self._cell_of(points[:, :2], cells)
        counts = starts[cell + 1] - starts[cell]
        crossed: np.ndarray = np.zeros(len(points), np.int64)
        order, first = np.cumsum(counts), 0
        while first < len(points):
            base = order[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(order, base + _PAIRS, side="right")))
            point = np.repeat(np.arange(first, last), counts[first:last])
            begins = order[first:last] - counts[first:last] - base
            within = np.arange(len(point)) - np.repeat(begins, counts[first:last])
            triangle = sorted_triangles[starts[cell[point]] + within]
            crossing = _crossings(self.vertices[self.triangles[triangle]], points[point])
            crossing = crossing if has_sides else np.abs(crossing)
            crossed[first:last] = np.bincount(point - first, crossing, minlength=last - first).astype(np.int64)
            first = last
        return crossed

    @cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Where the triangles of each cell begin (cells² + 1), the triangles cell by cell, and cells along a side."""
        cells = int(np.clip(np.sqrt(len(self.triangles)), 1, _MOST_CELLS))
        corners = self.vertices[self.triangles][:, :, :2]
        low, high = self._column_row(corners.min(axis=1), cells), self._column_row(corners.max(axis=1), cells)
        wide, tall = (high - low + 1).T
        number = np.repeat(np.arange(len(corners)), wide * tall)
        within = np.arange(len(number)) - np.repeat(np.cumsum(wide * tall) - wide * tall, wide * tall)
        column = low[number, 0] + within % wide[number]
        row = low[number, 1] + within // wide[number]
        cell = row * cells + column
        order = np.argsort(cell, kind="stable")
        return np.searchsorted(cell[order], np.arange(cells * cells + 1)), number[order], cells

    def _column_row(self, places: np.ndarray, cells: int) -> np.ndarray:
        low, high = self.vertices[:, :2].min(axis=0), self.vertices[:, :2].max(axis=0)
        size = np.where(high > low, high - low, 1.0)
        return np.clip(((places - low) / size * cells).astype(np.int64), 0, cells - 1)

    def _cell_of(self, places: np.ndarray, cells: int) -> np.ndarray:
        column, row = self._column_row(places, cells).T
        return row * cells + column


def _crossings(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(M,) how a ray from each point along +z crosses the triangle (M, 3, 3) that goes with it: 1, -1, or 0 not."""
    a, b, c = (corners[:, k] - points for k in range(3))
    areas = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)], axis=1)
    total = areas.sum(axis=1)
    is_met = ((areas > 0).all(axis=1) | (areas < 0).all(axis=1)) & (total != 0)
    height = (areas * np.stack([a[:, 2], b[:, 2], c[:, 2]], axis=1)).sum(axis=1) / np.where(total == 0, 1, total)
    return np.where(is_met & (height > 0), np.sign(total), 0.0)


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


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
    if not is_sound or mesh.triangles.min() < 0 or mesh.triangles.max() >= len(vertices) or not mesh.is_closed:
        raise SplatFileError(
            f"The mesh in {path.name} is not closed: it has no inside.", "Close its holes and export it again."
        )
    return mesh
