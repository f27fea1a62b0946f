"""Splats that came into the file by other ways than ours: Blender's own import of PLY, SPZ and glTF, nodes, appending.

They are splat objects like all others: listed, exported, trained on. What only ours have (marks, a blend space, the
modifiers that draw them) is written by the artist's first action on them, as part of its undo step: never by a handler.
Until then Blender draws them as it does without this add-on.
"""

from typing import Any

import bpy

from ...gaussians.cloud import DISPLAY
from ..settings.capabilities import has_native_splats
from ..settings.trained_for import BLEND_SPACE_KEY
from .contents import attributes
from .data import is_splats
from .transforms import PLACE, has_places, remember_places, was_applied_before


def is_adopted(item: bpy.types.Object) -> bool:
    """Whether nothing is to be written to a splat object before it is as ours are; linked ones stay as they are."""
    if item.library is not None:
        return True
    is_as_ours = not _is_writable(item.data) or (has_places(item.data) and attributes.is_right(item.data))
    return BLEND_SPACE_KEY in item and is_as_ours


def waiting(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The splat objects of a scene that no action has adopted yet."""
    return [item for item in scene.objects if is_splats(item) and not is_adopted(item)]


def meet(item: bpy.types.Object) -> None:
    """Write what ours have to a splat object, where it is missing: attributes of the right types, marks, blend space.

    To be called in an action on it. Nothing is written to linked objects and linked data.
    """
    if item.library is None and BLEND_SPACE_KEY not in item:
        item[BLEND_SPACE_KEY] = DISPLAY
    if _is_writable(item.data) and item.mode == "OBJECT":
        attributes.repair(item.data)
        mark(item.data)


def mark(data: Any) -> None:
    """Let it be noticed later that the points of splats were turned or resized alone, from now on."""
    is_known = PLACE in data.attributes or was_applied_before(data)
    if _is_writable(data) and not is_known:
        remember_places(data)


def has_lost_type(item: bpy.types.Object) -> bool:
    """Whether Blender (5.3) would draw the object's splats itself but for the type, which older Blenders lose."""
    data = item.data
    is_points = has_native_splats() and isinstance(data, bpy.types.PointCloud) and data.type == "POINTS"
    return is_points and is_splats(item) and _is_writable(data)


def give_type(item: bpy.types.Object) -> None:
    """Let Blender know that a point cloud holds splats."""
    data: Any = item.data
    data.type = "GAUSSIAN_SPLAT"
    data.update_tag()


def _is_writable(data: Any) -> bool:
    return data.library is None
