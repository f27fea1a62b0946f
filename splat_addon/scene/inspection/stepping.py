"""From swarm to swarm of floaters, the one that covers most of the photos first."""

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from ...errors import SceneError
from ...inspection.reasons import MIRRORS, WALLS, reasons
from ...inspection.regions import Region, find_regions
from ...run.wording import counted
from ..session import part
from ..splats.data import splats_from_object
from . import choosing, columns

CAVEATS = (MIRRORS, WALLS)  # what no score can know
_FRAMED = 6.0  # radii of a region that the eye is away from its center


@dataclass(frozen=True)
class Shown:
    """The region that was stepped to: its number from 0, how many there are above that score, and what is said."""

    uid: int  # of the data
    threshold: float
    number: int
    count: int
    sentences: tuple[str, ...]
    splats: np.ndarray  # indices
    center: tuple[float, float, float]  # in the space of the splats
    used_by: tuple[int, ...]  # views by number, the one that uses most first


class Stepping:
    """The region that is looked at."""

    def __init__(self) -> None:
        self.shown: Shown | None = None


def shown(data: Any, threshold: float) -> Shown | None:
    """The region of these splats that was stepped to last, while the score stays the same."""
    last = part(Stepping).shown
    return last if last is not None and (last.uid, last.threshold) == (data.session_uid, threshold) else None


def step(item: bpy.types.Object, threshold: float, by: int) -> Region:
    """Go `by` regions on, around the end; select the region's splats and tell its reasons. Raises SceneError when there
    is no region."""
    data: Any = item.data
    evidence = columns.evidence_of(data)
    if evidence is None:
        raise SceneError("Without photos, there are no regions.", "Inspect with the capture of these splats.")
    findings = columns.findings_of(data)
    is_floater = choosing.floaters(data, threshold) & ~choosing.hidden(data)
    score = np.where(is_floater, findings.score, -1).astype(np.float32)
    regions = find_regions(splats_from_object(item), score, evidence, max(threshold, 0.0))
    if not regions:
        raise SceneError(f"No splat that is shown has a score above {threshold:.2g}.", "Choose a lower score.")
    last = shown(data, threshold)
    number = (last.number + by) % len(regions) if last is not None else (0 if by > 0 else len(regions) - 1)
    region = regions[number]
    is_in_it = np.zeros(len(score), bool)
    is_in_it[region.splats] = True
    choosing.select(data, is_in_it)
    share = region.weight / (float(evidence.weight.sum(dtype=np.float64)) or 1.0)
    users = f"{len(region.used_by)} of {len(evidence.view_names)} photos use them"
    size = f"{counted(len(region.splats))} splats: {share:.2%} of what photos show; {users}."
    told = (size, *reasons(findings, evidence, int(region.splats[0])))
    center = tuple(region.center.tolist())
    place = (number, len(regions), told, region.splats, center, region.used_by)
    part(Stepping).shown = Shown(data.session_uid, threshold, *place)
    return region


def frame(region_3d: bpy.types.RegionView3D, item: bpy.types.Object, region: Region) -> None:
    """Let a 3D view look at a region, from the side it looks from."""
    if region_3d.view_perspective == "CAMERA":
        region_3d.view_perspective = "PERSP"
    region_3d.view_location = item.matrix_world @ Vector(region.center.tolist())
    region_3d.view_distance = _FRAMED * region.radius * max(*item.matrix_world.to_scale())
