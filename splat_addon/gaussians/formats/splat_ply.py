"""PLY files: splats as the INRIA trainer writes them, and colored points.

Splat layout (Kerbl et al. 2023, reference implementation): x y z, nx ny nz (zeros), f_dc_0..2, f_rest_* with all
coefficients of red first, then green, then blue, opacity (logit), scale_0..2 (logarithm), rot_0..3 (w, x, y, z).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import SplatFileError
from ..cloud import BLENDER, DISPLAY, GaussianCloud, empty_cloud
from ..harmonics import MAX_DEGREE, coefficient_count
from . import compressed_ply
from .ply import BLOCK_ROWS, PlyFile, as_matrix, open_ply, write_ply

_COARSE = 1e-4  # of the points' size
_HIGHEST_STORED_DEGREE = 8  # beyond it the number of columns is a mistake and not a degree
# How a file says that its blend space is "blender". Files are recognized by these very words.
BLENDER_COMMENT = "colours are decoded to linear light before they are blended, as Blender does"


class SplatPly:
    """A splat file whose header has been read and understood.

    Raises SplatFileError when the file is not a PLY, holds no splats, or fewer than it announces.
    """

    def __init__(self, path: Path):
        self._file = open_ply(path)
        self.is_compressed = compressed_ply.is_compressed(self._file)
        if self.is_compressed:
            compressed_ply.check(self._file)
            self._rest_count = compressed_ply.rest_count(self._file)
        else:
            self._columns = _splat_columns(self._file)
            self._rest_count = len(self._columns["rest"]) // 3
        self.count = self._file.require("vertex").count
        self.stored_degree = _degree_of_rest(self._file, self._rest_count)

    @property
    def blend_space(self) -> str:
        """What its colors were trained to be blended in: "blender" where it says so, else "display", which is what
        trainers do that say nothing."""
        return BLENDER if BLENDER_COMMENT in self._file.comments else DISPLAY

    @property
    def sh_degree(self) -> int:
        """The degree of what is read: nothing here shows more than 3."""
        return min(self.stored_degree, MAX_DEGREE)

    def blocks(self, origin: Sequence[float] | None = None) -> Iterator[GaussianCloud]:
        """The gaussians in the order of the file, a few thousand at a time, their means counted from `origin` (3,), in
        double precision where the file has it. Raises SplatFileError when cut short."""
        if self.is_compressed:
            for cloud in compressed_ply.blocks(self._file, self._rest_count, self.blend_space):
                yield cloud if origin is None else replace(cloud, means=cloud.means.astype(np.float64) - origin)
            return
        columns = {name: _as_slice(indices) for name, indices in self._columns.items()}
        base, rest, stride = self._columns["base"], self._columns["rest"], self._rest_count
        harmonics = [base] + [rest[k::stride] for k in range(coefficient_count(self.sh_degree) - 1)]
        for block in self._file.blocks("vertex"):
            table = as_matrix(block)
            means = table[:, columns["mean"]] if origin is None else _table(block, ["x", "y", "z"]) - origin
            by_column = np.empty((len(harmonics), 3, len(table)), np.float32)
            for k, channels in enumerate(harmonics):
                for channel, column in enumerate(channels):
                    by_column[k, channel] = table[:, column]
            yield GaussianCloud(
                means=means,
                log_scales=table[:, columns["scale"]],
                quaternions=table[:, columns["rotation"]],
                logit_opacities=table[:, columns["opacity"]][:, 0],
                sh=by_column.transpose(2, 0, 1),
                blend_space=self.blend_space,
            )


def read_splats(path: Path, origin: Sequence[float] | None = None) -> GaussianCloud:
    """The gaussians of a splat PLY: properties found by name, bytes after the last record ignored. Means are counted
    from `origin` (3,), if one is given, before they are rounded to 32 bits.

    Raises SplatFileError when the file is not a PLY, is cut short, or holds no splats.
    """
    file = SplatPly(path)
    cloud, done = empty_cloud(file.count, file.sh_degree, file.blend_space), 0
    for block in file.blocks(origin):
        cloud.put(done, block)
        done += len(block)
    return cloud


def write_splats(path: Path, cloud: GaussianCloud, origin: Sequence[float] | None = None) -> None:
    """Write `cloud` in the INRIA layout, aside first and then moved into place, so that no reader sees half a file.

    The blend space "blender" is recorded as a comment: see `SplatPly.blend_space`. With an `origin` (3,), the means of
    `cloud` count from there, and the file has x, y and z in 64 bits.
    """
    blocks = (cloud.select(slice(start, start + BLOCK_ROWS)) for start in range(0, len(cloud), BLOCK_ROWS))
    write_splat_blocks(path, len(cloud), cloud.sh_degree, blocks, cloud.blend_space, origin)


def write_splat_blocks(
    path: Path,
    count: int,
    sh_degree: int,
    blocks: Iterator[GaussianCloud],
    blend_space: str,
    origin: Sequence[float] | None = None,
) -> None:
    """Write the `count` gaussians of `blocks`, as `write_splats` does. `blend_space` is that of the file."""
    rest_count = coefficient_count(sh_degree) - 1
    names = [*"xyz", "nx", "ny", "nz", *_names("f_dc", 3), *_names("f_rest", 3 * rest_count), "opacity"]
    names += [*_names("scale", 3), *_names("rot", 4)]
    place = "<f4" if origin is None else "<f8"
    dtype = np.dtype([(name, place if name in "xyz" else "<f4") for name in names])
    packed = np.dtype([("place", place, 3), ("others", "<f4", len(names) - 3)])

    def tables() -> Iterator[np.ndarray]:
        for block in blocks:
            rest = block.sh[:, 1:].transpose(0, 2, 1).reshape(len(block), 3 * rest_count)
            normals, opacity = np.zeros_like(block.means), block.logit_opacities[:, None]
            parts = [normals, block.sh[:, 0], rest, opacity, block.log_scales, block.quaternions]
            if origin is None:
                yield np.concatenate([block.means, *parts], axis=1)
                continue
            rows = np.empty(len(block), packed)
            rows["place"], rows["others"] = block.means.astype(np.float64) + origin, np.concatenate(parts, axis=1)
            yield rows

    write_ply(path, dtype, count, tables(), [BLENDER_COMMENT] if blend_space == BLENDER else [])


def write_points(path: Path, positions: np.ndarray, colors: np.ndarray, normals: np.ndarray | None = None) -> None:
    """Write P points: positions (P, 3) in capture units, colors (P, 3) display-encoded 0..1, unit normals (P, 3).

    Colors that are not known are NaN: they are written as mid gray and marked by `has_color` 0, which other readers
    pass over.
    """
    has_color = np.isfinite(colors).all(axis=1)
    colors = np.where(has_color[:, None], colors, 0.5)
    place = "<f8" if _needs_64_bits(positions) else "<f4"
    fields = [("x", place), ("y", place), ("z", place)]
    if normals is not None:
        fields += [("nx", "<f4"), ("ny", "<f4"), ("nz", "<f4")]
    fields += [("red", "|u1"), ("green", "|u1"), ("blue", "|u1")]
    if not has_color.all():
        fields.append(("has_color", "|u1"))
    vertices = np.empty(len(positions), dtype=fields)
    if not has_color.all():
        vertices["has_color"] = has_color
    for index in range(3):
        vertices["xyz"[index]] = positions[:, index]
        vertices[("red", "green", "blue")[index]] = np.clip(np.rint(colors[:, index] * 255), 0, 255)
        if normals is not None:
            vertices["n" + "xyz"[index]] = normals[:, index]
    write_ply(path, vertices.dtype, len(vertices), iter([vertices]))


def _needs_64_bits(positions: np.ndarray) -> bool:
    """Whether 32 bits round the positions (P, 3) of points to what can be seen, so far from the origin do they lie."""
    finite = positions[np.isfinite(positions).all(axis=1)]
    if positions.dtype != np.float64 or len(finite) == 0:
        return False
    size = float(np.median(np.abs(finite - np.median(finite, axis=0))))
    with np.errstate(over="ignore"):
        return bool(np.spacing(np.float32(np.median(np.abs(finite), axis=0).max())) > _COARSE * size > 0)


def read_points(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Positions (P, 3), display-encoded colors (P, 3) in 0..1 (mid gray where the file has none, NaN where it says that
    they are not known), normals (P, 3) of unit length (zero where not known) or None.

    Points whose positions are not finite are left out. Raises SplatFileError.
    """
    vertices = read_vertices(path)
    names = vertices.dtype.names or ()
    if not all(name in names for name in "xyz"):
        raise SplatFileError(f"{Path(path).name} has no point positions.", "Choose a PLY file that holds points.")
    positions = _table(vertices, ["x", "y", "z"])
    is_finite = np.isfinite(positions).all(axis=1)
    if not is_finite.all():
        vertices, positions = vertices[is_finite], positions[is_finite]
    colors = np.full(positions.shape, 0.5, np.float32)
    if all(name in names for name in ("red", "green", "blue")):
        with np.errstate(over="ignore"):
            colors = _table(vertices, ["red", "green", "blue"]).astype(np.float32)
        if vertices.dtype["red"].kind in "iu":
            colors = colors / np.float32(255.0)
    colors[~np.isfinite(colors).all(axis=1)] = np.nan
    if "has_color" in names:
        colors[vertices["has_color"] == 0] = np.nan
    normals = None
    if all(name in names for name in ("nx", "ny", "nz")):
        normals = _table(vertices, ["nx", "ny", "nz"])
        normals[~np.isfinite(normals).all(axis=1)] = 0
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = normals / np.where(lengths > 0, lengths, 1) if (lengths > 0).any() else None
    return positions, colors, normals


def read_vertices(path: Path) -> np.ndarray:
    """The vertex element of a PLY as a structured array (P,): ascii or binary of either byte order."""
    return open_ply(path).read("vertex")


def _splat_columns(file: PlyFile) -> dict[str, list[int]]:
    """Which columns of the vertices hold what. Raises SplatFileError when these are not splats."""
    vertices = file.element("vertex")
    names = vertices.names if vertices is not None else ()
    groups = {
        "mean": ["x", "y", "z"],
        "base": _names("f_dc", 3),
        "opacity": ["opacity"],
        "scale": _names("scale", 3),
        "rotation": _names("rot", 4),
    }
    missing = [name for group in groups.values() for name in group if name not in names]
    if not names:
        raise SplatFileError(f"{file.path.name} holds no points.", "Choose a PLY written by a splat trainer or editor.")
    if missing:
        raise SplatFileError(
            f"{file.path.name} holds points but no splats (it lacks {', '.join(missing[:4])}).",
            "Choose a PLY written by a splat trainer or editor.",
        )
    groups["rest"] = _names("f_rest", sum(name.startswith("f_rest_") for name in names) // 3 * 3)
    if any(name not in names for name in groups["rest"]):
        raise SplatFileError(f"{file.path.name} numbers its harmonics with gaps.", "Export it again.")
    return {group: [names.index(name) for name in members] for group, members in groups.items()}


def _degree_of_rest(file: PlyFile, rest_count: int) -> int:
    for degree in range(_HIGHEST_STORED_DEGREE + 1):
        if coefficient_count(degree) - 1 == rest_count:
            return degree
    raise SplatFileError(
        f"{file.path.name} has {rest_count} color harmonics per channel, which fits no degree.",
        "Export it again from the tool that wrote it.",
    )


def _as_slice(indices: list[int]) -> slice | list[int]:
    """Neighboring columns as a slice, which costs no copy."""
    first = indices[0] if indices else 0
    return slice(first, first + len(indices)) if indices == list(range(first, first + len(indices))) else indices


def _names(stem: str, count: int) -> list[str]:
    return [f"{stem}_{index}" for index in range(count)]


def _table(vertices: np.ndarray, names: list[str]) -> np.ndarray:
    """(P, columns) float32, float64 where the file has that."""
    is_double = any(vertices.dtype[name] == np.float64 for name in names)
    table = np.empty((len(vertices), len(names)), dtype=np.float64 if is_double else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for index, name in enumerate(names):
            table[:, index] = vertices[name]
    return table
