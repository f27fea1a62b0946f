"""Which columns of a splat PLY hold what, in the dialects of trainers and editors, and what else its header says.

INRIA's layout is in `splat_ply.py`. Others have RGB instead of harmonics, two scales (2DGS, Huang et al. 2024), a 3D
filter that is not yet part of the scales (Mip-Splatting, Yu et al. 2024), or names that begin with `scalar_`
(CloudCompare). What moves in time, or fits no degree of harmonics, is refused by name.
"""

import contextlib
import re
from dataclasses import dataclass

import numpy as np

from ...errors import SplatFileError
from ..cloud import BLENDER, DISPLAY
from ..harmonics import coefficient_count
from .ply import PlyFile

HIGHEST_STORED_DEGREE = 8  # beyond it the number of columns is a mistake and not a degree
# How a file says that its blend space is "blender". Files are recognized by these very words.
BLENDER_COMMENT = "colours are decoded to linear light before they are blended, as Blender does"
# How Brush, and splat-transform for whatever it has read, say that opacities make up for the dilation.
ANTIALIASED_COMMENT = "SplatRenderMode: mip"
FILTER = "filter_3D"
_ANTIALIASED_WORDS = {  # Brush's and Postshot's
    "splatrendermode: mip": True,
    "splatrendermode: default": False,
    "splatrendermode: 2dgs": False,
    "antialiased 1": True,
    "antialiased 0": False,
}
_COLOR_SPACE = "color_space"  # an element of SHARP's files: 0 for sRGB, 1 for linear RGB
_FOREIGN_PREFIX = "scalar_"  # CloudCompare's
_MOST_EXTRA = 32  # columns that are kept although they are no part of splats
_FREE = re.compile(r"[!-~]{1,48}")
_TAKEN = re.compile(r"n?[xyz]|f_dc_\d+|f_rest_\d+|opacity|scale_\d+|rot_\d+|filter_3D")
_RGB = ["red", "green", "blue"]
# Columns of splats that move: 4DGS (Yang et al. 2024), Spacetime Gaussians (Li et al. 2024), and those like them.
_IN_TIME = {"t", "time", "scale_t", "t_scale", "time_scale", "scale_3", "rot_4", "duration"}
_IN_TIME_STEMS = ("motion_", "omega_", "velocity_", "vel_", "rot_r_", "rot_t_", "trbf_")


@dataclass(frozen=True)
class SplatColumns:
    """Names of the vertices' columns. `rest` is all of red first, then green, then blue."""

    mean: list[str]
    color: list[str]  # base coefficients, or RGB
    rest: list[str]
    opacity: list[str]
    scale: list[str]  # two or three
    rotation: list[str]
    is_rgb: bool
    filter: str | None
    extra: list[str]  # what is no part of splats

    @property
    def is_flat(self) -> bool:
        """Whether the third scale is missing, since splats are discs."""
        return len(self.scale) == 2


def find_columns(file: PlyFile) -> SplatColumns:
    """Raises SplatFileError when the vertices are not splats, or splats of a kind that cannot be read."""
    vertices = file.element("vertex")
    stored = vertices.names if vertices is not None else ()
    if not stored:
        raise SplatFileError(f"{file.path.name} holds no points.", "Choose a PLY written by a splat trainer or editor.")
    names = {}
    for name in stored:
        plain = name.removeprefix(_FOREIGN_PREFIX)
        names[name if plain in stored else plain] = name
    _refuse_in_time(file, [name for name in stored if not name.startswith(_FOREIGN_PREFIX)])
    is_rgb = not any(name in names for name in _numbered("f_dc", 3)) and all(name in names for name in _RGB)
    is_flat = "scale_2" not in names and "scale_0" in names
    groups = {
        "mean": ["x", "y", "z"],
        "color": _RGB if is_rgb else _numbered("f_dc", 3),
        "opacity": ["opacity"],
        "scale": _numbered("scale", 2 if is_flat else 3),
        "rotation": _numbered("rot", 4),
    }
    missing = [name for group in groups.values() for name in group if name not in names]
    if missing:
        raise SplatFileError(
            f"{file.path.name} holds points but no splats (it lacks {', '.join(missing[:4])}).",
            "Choose a PLY written by a splat trainer or editor.",
        )
    groups["rest"] = _rest_of(file, names)
    found = {group: [names[name] for name in members] for group, members in groups.items()}
    used = {name for members in found.values() for name in members} | {names.get(FILTER)}
    extra = [name for name in stored if name not in used and is_free(name)][:_MOST_EXTRA]
    return SplatColumns(**found, is_rgb=is_rgb, filter=names.get(FILTER), extra=extra)


def is_free(name: str) -> bool:
    """Whether a column may have that name although it is no part of splats."""
    return _FREE.fullmatch(name) is not None and _TAKEN.fullmatch(name) is None and not _is_in_time(name)


def _is_in_time(name: str) -> bool:
    return name in _IN_TIME or name.startswith(_IN_TIME_STEMS)


def _refuse_in_time(file: PlyFile, names: list[str]) -> None:
    moving = [name for name in names if _is_in_time(name)]
    if moving:
        raise SplatFileError(
            f"{file.path.name} holds splats that move in time (it has the columns {', '.join(moving[:4])}).",
            "Only still splats can be shown: export one moment of it.",
        )


def _rest_of(file: PlyFile, names: dict[str, str]) -> list[str]:
    count = sum(name.startswith("f_rest_") for name in names)
    rest = _numbered("f_rest", count)
    if any(name not in names for name in rest):
        raise SplatFileError(f"{file.path.name} numbers its harmonics with gaps.", "Export it again.")
    if count % 3:
        raise SplatFileError(
            f"{file.path.name} has {count} columns of color harmonics, which fits no degree.",
            "Export it again from the tool that wrote it.",
        )
    return rest


def degree_of_rest(file: PlyFile, rest_count: int) -> int:
    """The degree of harmonics with `rest_count` higher ones per channel. Raises SplatFileError when there is none."""
    for degree in range(HIGHEST_STORED_DEGREE + 1):
        if coefficient_count(degree) - 1 == rest_count:
            return degree
    raise SplatFileError(
        f"{file.path.name} has {rest_count} color harmonics per channel, which fits no degree.",
        "Export it again from the tool that wrote it.",
    )


def blend_space_of(file: PlyFile) -> str:
    """What the file's colors were trained to be blended in: "blender" where it says so, or where it is of SHARP, which
    blends in linear light; else "display", which is what trainers do that say nothing."""
    return BLENDER if BLENDER_COMMENT in file.comments or _color_space(file) is not None else DISPLAY


def has_linear_colors(file: PlyFile) -> bool:
    """Whether its colors are linear RGB already, and so have to be encoded."""
    return _color_space(file) == 1


def _color_space(file: PlyFile) -> int | None:
    element = file.element(_COLOR_SPACE)
    if element is None or element.names != (_COLOR_SPACE,) or element.count != 1:
        return None
    with contextlib.suppress(SplatFileError):  # cut off behind the splats
        return int(file.read(_COLOR_SPACE)[_COLOR_SPACE][0])
    return None


def is_antialiased(file: PlyFile, columns: SplatColumns | None) -> bool:
    """Whether opacities were trained to make up for the dilation. Files with a 3D filter are of Mip-Splatting, which
    always does; where comments contradict each other, the last one counts. `columns` None: a compressed file."""
    if columns is not None and columns.is_flat:
        return False
    words = [" ".join(comment.lower().split()) for comment in file.comments]
    said = [_ANTIALIASED_WORDS[word] for word in words if word in _ANTIALIASED_WORDS]
    return said[-1] if said else columns is not None and columns.filter is not None


def unit_of_rgb(columns: SplatColumns, block: np.ndarray) -> float:
    """What the largest RGB is in a file with these records: 255 or 65535 where its type is whole numbers, for real
    numbers 1, or 255 where some are larger than 2."""
    kind = block.dtype[columns.color[0]]
    if kind.kind in "iu":
        return float(np.iinfo(kind).max if kind.itemsize <= 2 else 255)
    largest = max((float(np.nanmax(block[name], initial=0.0)) for name in columns.color), default=0.0)
    return 255.0 if largest > 2.0 else 1.0


def _numbered(stem: str, count: int) -> list[str]:
    return [f"{stem}_{index}" for index in range(count)]
