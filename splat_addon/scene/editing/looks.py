"""Color, harmonics and number of an object's splats."""

from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np

from ...editing.rows import dropped_color
from ...editing.visibility import coverage, least_visible
from ...errors import SceneError
from ...gaussians import color
from ..inspection import choosing
from ..splats.contents import attributes
from .values import changed, own_degree, read_rows, remove_harmonics_above, write_rows


@dataclass(frozen=True)
class Grading:
    """What an artist changes about colors; the defaults change nothing."""

    exposure: float = 0.0  # stops, of the values that are displayed
    temperature: float = 0.0  # stops
    tint: float = 0.0  # stops
    contrast: float = 1.0
    saturation: float = 1.0

    def change(self) -> color.AffineColor:
        """All of it, in that order."""
        done = color.exposure(self.exposure).then(color.white_balance(self.temperature, self.tint))
        return done.then(color.contrast(self.contrast)).then(color.saturation(self.saturation))


def recolor(item: bpy.types.Object, grading: Grading, only_selected: bool) -> int:
    """Change the colors of an object's splats, as seen from every direction. Returns of how many. Raises SceneError
    when only those that are selected are meant, and none is."""
    data: Any = item.data
    former = read_rows(data)
    rows = replace(former, levels=list(former.levels))
    which = choosing.selected(data) if only_selected else None
    if which is not None and not which.any():
        raise SceneError("No splat is selected.", "Select some, or switch Selected Only off.")
    if which is None:
        rows.recolor(grading.change())
        write_rows(data, rows, former)
    else:
        part = rows.select(which)
        part.recolor(grading.change())
        rows = replace(rows, base=rows.base.copy(), levels=[level.copy() for level in rows.levels])
        rows.base[which] = part.base
        for level, changes in zip(rows.levels, part.levels, strict=True):
            level[:, which] = changes
        write_rows(data, rows, former)
    changed(item)
    return len(rows) if which is None else int(which.sum())


def set_degree(item: bpy.types.Object, degree: int) -> tuple[int, float]:
    """Give an object's splats harmonics of exactly this degree. Returns of which they were, and the root mean square
    change of a color (0..1) that this makes, over all splats and directions."""
    data: Any = item.data
    former = own_degree(data)
    error = 0.0
    if degree < former:
        error = float(np.sqrt((dropped_color(read_rows(data), degree) ** 2).mean()))
        remove_harmonics_above(data, degree)
    elif degree > former:
        rows = read_rows(data)
        rows.set_degree(degree)
        write_rows(data, rows)
    changed(item)
    return former, error


def decimate(item: bpy.types.Object, count: int) -> tuple[int, float]:
    """Delete the least visible splats until `count` are left. Returns how many were deleted, and which share they had
    of what all splats cover, weighted by their opacity: see `coverage`."""
    data: Any = item.data
    present = attributes.points_in(data)
    if count >= present:
        raise SceneError(f"There are {present} splats.", "Choose a smaller number.")
    visible = coverage(attributes.read(data, "scale"), attributes.read(data, attributes.BASE)[:, 3])
    doomed = least_visible(visible, present - count)
    total = float(visible.sum(dtype=np.float64))
    share = float(visible[doomed].sum(dtype=np.float64)) / total if total > 0 else 0.0
    choosing.delete(data, doomed)
    changed(item)
    return present - count, share
