"""PLY files: splats as the INRIA trainer writes them, and colored points.

Splat layout (Kerbl et al. 2023, reference implementation): x y z, nx ny nz (zeros), f_dc_0..2, f_rest_* with all
coefficients of red first, then green, then blue, opacity (logit), scale_0..2 (logarithm), rot_0..3 (w, x, y, z).
What other trainers and editors write is read as that: see `splat_columns.py`.
"""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import SplatFileError
from ..cloud import BLENDER, OPAQUE_LOGIT, GaussianCloud, empty_cloud
from ..harmonics import MAX_DEGREE, coefficient_count, color_to_sh, sh_to_color
from ..origin import needs_64_bits, origin_for
from ..srgb import encode_srgb
from . import compressed_ply, splat_columns
from .ply import BLOCK_ROWS, as_matrix, open_ply, write_ply
from .splat_columns import ANTIALIASED_COMMENT, BLENDER_COMMENT

AUTO, LOGIT, LINEAR = "auto", "logit", "linear"  # how a file stores opacities; auto: as its values look
_FLATNESS = math.log(1e-4)  # of the third scale of splats that have two, over the smaller of these
_LOG_OF_ZERO = -104.0  # the first of which the exponential is 0 in 32 bits: what an infinitely thin splat has
_FEW = 8  # different opacities: with fewer, nothing can be told from where they lie


class SplatPly:
    """A splat file whose header has been read and understood.

    `opacities` is "logit" or "linear" where it is known how they are stored. Raises SplatFileError when the file is not
    a PLY, holds no splats, splats that cannot be read, or fewer than it announces.
    """

    def __init__(self, path: Path, opacities: str = AUTO):
        self._file = open_ply(path)
        self._opacities = opacities
        self.is_compressed = compressed_ply.is_compressed(self._file)
        self._columns = None
        if self.is_compressed:
            compressed_ply.check(self._file)
            self._rest_count = compressed_ply.rest_count(self._file)
        else:
            self._columns = splat_columns.find_columns(self._file)
            self._rest_count = len(self._columns.rest) // 3
        self.count = self._file.require("vertex").count
        self.stored_degree = splat_columns.degree_of_rest(self._file, self._rest_count)

    @functools.cached_property
    def blend_space(self) -> str:
        """What its colors were trained to be blended in: "blender" or "display"."""
        return splat_columns.blend_space_of(self._file)

    @property
    def antialiased(self) -> bool:
        """Whether it was trained with opacities that make up for the dilation: see `GaussianCloud.antialiased`."""
        return splat_columns.is_antialiased(self._file, self._columns)

    @property
    def sh_degree(self) -> int:
        """The degree of what is read: nothing here shows more than 3."""
        return min(self.stored_degree, MAX_DEGREE)

    @functools.cached_property
    def has_linear_opacities(self) -> bool:
        """Whether opacities are stored as they are: where nobody says, whether all lie between 0 and 1, which logits of
        more than a few splats never do."""
        if self._columns is None or self._opacities != AUTO:
            return self._opacities == LINEAR
        column, different = self._columns.opacity[0], np.empty(0)
        for block in self._file.blocks("vertex"):
            values = block[column]
            if not ((values >= 0) & (values <= 1)).all():
                return False
            if len(different) < _FEW:
                different = np.unique(np.concatenate([different, values]))
        return len(different) >= _FEW

    @property
    def remarks(self) -> list[tuple[str, str]]:
        """What was decided about a file that does not say it in the usual way: sentences and remedies, where any."""
        name = self._file.path.name
        found: list[tuple[str, str]] = []
        if self._columns is None:
            return found
        if self._opacities == AUTO and self.has_linear_opacities:
            found.append(
                (
                    f"All opacities of {name} lie between 0 and 1, and are taken as they are.",
                    "If they are logits, import the file with Opacity set to Logits, and export it.",
                )
            )
        if self._columns.filter is not None:
            found.append((f"The 3D filter of {name} is made part of its scales and opacities.", ""))
        if self._columns.is_flat:
            found.append((f"{name} holds flat splats (2DGS): they are given a thickness of almost nothing.", ""))
        return found

    @property
    def extras(self) -> dict[str, np.dtype]:
        """Columns that are no part of splats, and their types."""
        if self._columns is None:
            return {}
        vertices = self._file.require("vertex")
        return {name: vertices.kind_of(name).newbyteorder("<") for name in self._columns.extra}

    def origin(self) -> tuple[float, float, float] | None:
        """Where positions are to be counted from: None unless the file has them in double precision, and so far from
        the origin that 32 bits would round what can be seen."""
        vertices = self._file.require("vertex")
        if self._columns is None or any(vertices.kind_of(name) != np.float64 for name in self._columns.mean):
            return None
        first = next(self._file.blocks("vertex"), None)
        return None if first is None else origin_for(_table(first, self._columns.mean))

    def blocks(self, origin: Sequence[float] | None = None, with_extras: bool = False) -> Iterator[GaussianCloud]:
        """The gaussians in the order of the file, a few thousand at a time, their means counted from `origin` (3,), in
        double precision where the file has it; if wanted, with `extras`. Raises SplatFileError when cut short."""
        antialiased = self.antialiased
        if self._columns is None:
            for cloud in compressed_ply.blocks(self._file, self._rest_count, self.blend_space):
                means = cloud.means if origin is None else cloud.means.astype(np.float64) - origin
                yield replace(cloud, means=means, antialiased=antialiased)
            return
        columns, names = self._columns, self._file.require("vertex").names
        place = {name: index for index, name in enumerate(names)}
        base, rest, mean, opacity, scale, rotation = (
            [place[name] for name in group]
            for group in (columns.color, columns.rest, columns.mean, columns.opacity, columns.scale, columns.rotation)
        )
        kept = coefficient_count(self.sh_degree) - 1
        harmonics = [base] + [rest[k :: self._rest_count] for k in range(kept)]
        is_linear = self.has_linear_opacities
        rgb_unit, extras = 0.0, columns.extra if with_extras else []
        for block in self._file.blocks("vertex"):
            table = as_matrix(block)
            means = _by_column(table, mean) if origin is None else _table(block, columns.mean) - origin
            by_column = np.empty((len(harmonics), 3, len(table)), np.float32)
            for k, channels in enumerate(harmonics):
                for channel, column in enumerate(channels):
                    by_column[k, channel] = table[:, column]
            if columns.is_rgb:
                rgb_unit = rgb_unit or splat_columns.unit_of_rgb(columns, block)
                by_column[0] = color_to_sh(by_column[0] / rgb_unit)
            if self._has_linear_colors:
                by_column[0] = color_to_sh(encode_srgb(sh_to_color(by_column[0].astype(np.float64))))
            logits, log_scales = _by_column(table, opacity)[:, 0], _by_column(table, scale)
            if is_linear:
                logits = _logits(logits)
            if columns.is_flat:
                log_scales = np.column_stack([log_scales, log_scales.min(axis=1) + _FLATNESS])
            if columns.filter is not None:
                log_scales, logits = with_filter(log_scales, logits, table[:, place[columns.filter]])
            logits, log_scales = _without_infinities(logits, log_scales)
            yield GaussianCloud(
                means=means,
                log_scales=log_scales,
                quaternions=_by_column(table, rotation),
                logit_opacities=logits,
                sh=by_column.transpose(2, 0, 1),
                blend_space=self.blend_space,
                antialiased=antialiased,
                extras={name: block[name] for name in extras},
            )

    @functools.cached_property
    def _has_linear_colors(self) -> bool:
        return splat_columns.has_linear_colors(self._file)


def with_filter(log_scales: np.ndarray, logits: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-scales (N, 3) and logits (N,) of gaussians blurred by 3D filters of `sizes` (N,), capture units.

    Variances add, and opacities fall as volumes grow: Yu et al. 2024, Mip-Splatting, equation 7.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        log_scales, logits = log_scales.astype(np.float64), logits.astype(np.float64)
        wider = 0.5 * np.logaddexp(2 * log_scales, 2 * np.log(np.abs(sizes, dtype=np.float64))[:, None])
        opacities = np.exp(-np.logaddexp(0, -logits) + (log_scales - wider).sum(axis=1))
        return wider, _logits(opacities)


def _logits(opacities: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        opacities = opacities.astype(np.float64)
        return np.log(opacities) - np.log1p(-opacities)


def _by_column(table: np.ndarray, columns: list[int]) -> np.ndarray:
    """(N, C) columns of a table, each in one piece of memory, which is faster for everything that follows."""
    found = np.empty((len(columns), len(table)), table.dtype)
    for values, column in zip(found, columns, strict=True):
        values[:] = table[:, column]
    return found.T


def _without_infinities(logits: np.ndarray, log_scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Opacities of 0 and 1 and scales of 0 have infinite logits and logarithms: finite ones that mean the same. An
    infinite scale means nothing that can be drawn: it stays, and is left out later, as splat-transform does."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(logits.sum()) and np.isfinite(log_scales.sum()):
            return logits, log_scales
    logits = np.where(np.isinf(logits), np.copysign(OPAQUE_LOGIT, logits), logits)
    return logits, np.where(np.isneginf(log_scales), _LOG_OF_ZERO, log_scales)


def read_splats(path: Path, origin: Sequence[float] | None = None) -> GaussianCloud:
    """The gaussians of a splat PLY: properties found by name, bytes after the last record ignored. Means are counted
    from `origin` (3,), if one is given, before they are rounded to 32 bits.

    Raises SplatFileError when the file is not a PLY, is cut short, or holds no splats.
    """
    file = SplatPly(path)
    cloud, done = empty_cloud(file.count, file.sh_degree, file.blend_space, file.antialiased), 0
    for block in file.blocks(origin):
        cloud.put(done, block)
        done += len(block)
    return cloud


def write_splats(path: Path, cloud: GaussianCloud, origin: Sequence[float] | None = None) -> None:
    """Write `cloud` in the INRIA layout, aside first and then moved into place, so that no reader sees half a file.

    The blend space "blender" and antialiasing are recorded as comments: see `splat_columns.py`. With an `origin` (3,),
    the means of `cloud` count from there, and the file has x, y and z in 64 bits.
    """
    blocks = (cloud.select(slice(start, start + BLOCK_ROWS)) for start in range(0, len(cloud), BLOCK_ROWS))
    write_splat_blocks(path, len(cloud), cloud.sh_degree, blocks, cloud.blend_space, origin, cloud.antialiased)


def write_splat_blocks(
    path: Path,
    count: int,
    sh_degree: int,
    blocks: Iterator[GaussianCloud],
    blend_space: str,
    origin: Sequence[float] | None = None,
    antialiased: bool = False,
    extras: Mapping[str, np.dtype] | None = None,
) -> None:
    """Write the `count` gaussians of `blocks`, as `write_splats` does. `blend_space` and `antialiased` are those of the
    file; `extras` are those of the blocks that are written behind all others, and as what."""
    extras = extras or {}
    rest_count = coefficient_count(sh_degree) - 1
    names = [*"xyz", "nx", "ny", "nz", *_names("f_dc", 3), *_names("f_rest", 3 * rest_count), "opacity"]
    names += [*_names("scale", 3), *_names("rot", 4)]
    place = "<f4" if origin is None else "<f8"
    dtype = np.dtype([(name, place if name in "xyz" else "<f4") for name in names])
    dtype = np.dtype([*dtype.descr, *extras.items()])
    packed = np.dtype([("place", place, 3), ("others", "<f4", len(names) - 3), *_extra_fields(extras)])

    def tables() -> Iterator[np.ndarray]:
        for block in blocks:
            rest = block.sh[:, 1:].transpose(0, 2, 1).reshape(len(block), 3 * rest_count)
            normals, opacity = np.zeros_like(block.means), block.logit_opacities[:, None]
            parts = [normals, block.sh[:, 0], rest, opacity, block.log_scales, block.quaternions]
            if origin is None and not extras:
                yield np.concatenate([block.means, *parts], axis=1)
                continue
            rows = np.empty(len(block), packed)
            rows["place"] = block.means if origin is None else block.means.astype(np.float64) + origin
            rows["others"] = np.concatenate(parts, axis=1)
            for name, (field, kind) in zip(extras, _extra_fields(extras), strict=True):
                rows[field] = _within_type(block.extras[name], kind)
            yield rows

    comments = [BLENDER_COMMENT] if blend_space == BLENDER else []
    write_ply(path, dtype, count, tables(), [*comments, ANTIALIASED_COMMENT] if antialiased else comments)


def _extra_fields(extras: Mapping[str, np.dtype]) -> list[tuple[str, np.dtype]]:
    """Their fields in a record: names of their own, which those of columns could collide with."""
    return [(f"extra {index}", np.dtype(kind)) for index, kind in enumerate(extras.values())]


def _within_type(values: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Values as numbers of a type, those beyond its limits at them."""
    if kind.kind not in "iu" or values.dtype == kind:
        return values
    limits = np.iinfo(kind)
    return np.clip(np.nan_to_num(np.rint(values)), limits.min, limits.max)


def write_points(path: Path, positions: np.ndarray, colors: np.ndarray, normals: np.ndarray | None = None) -> None:
    """Write P points: positions (P, 3) in capture units, colors (P, 3) display-encoded 0..1, unit normals (P, 3).

    Colors that are not known are NaN: they are written as mid gray and marked by `has_color` 0, which other readers
    pass over.
    """
    has_color = np.isfinite(colors).all(axis=1)
    colors = np.where(has_color[:, None], colors, 0.5)
    place = "<f8" if needs_64_bits(positions) else "<f4"
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
