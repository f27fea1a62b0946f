"""How the splats of a scene are to look in viewports: its settings, as drawing takes them."""

from collections.abc import Iterable

import bpy

from . import standing_out
from .picture import Look


def look_of(scene: bpy.types.Scene, blend_spaces: Iterable[str]) -> Look:
    """The scene's settings, for splats that were trained in these blend spaces."""
    chosen = scene.splat.viewport
    return Look(
        kind=chosen.kind,
        color_by=chosen.color_by,
        attribute=chosen.attribute if chosen.color_by == "ATTRIBUTE" else "",
        fraction=chosen.fraction,
        sh_degree=chosen.sh_degree,
        is_linear=chosen.kind == "SPLATS" and _blends_linearly(chosen.blending, list(blend_spaces)),
        reach_sigma=chosen.reach_sigma,
        point_px=chosen.point_px,
        ghost=standing_out.state().ghost,
    )


def _blends_linearly(blending: str, blend_spaces: list[str]) -> bool:
    """One picture has one blend space: linear only when all that is shown was trained so."""
    if blending == "TRAINED":
        return bool(blend_spaces) and all(blend_space == "blender" for blend_space in blend_spaces)
    return blending == "BLENDER"
