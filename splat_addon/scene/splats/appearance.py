"""How splat objects are drawn: native splats draw themselves, all others get camera quads from geometry nodes."""

from typing import Any

import bpy
import numpy as np

from ...gaussians.rules import near_plane_scale
from ..settings.capabilities import has_native_splats
from .data import is_splats
from .quads import DISPLAY_SPACE, GROUP_NAME, NEAR_SCALE, splat_quads

_FORMER_MODIFIER = "Splat Ellipsoids"  # files of version 0.1


def show_splats(item: bpy.types.Object, scene: bpy.types.Scene) -> None:
    """Give a splat object its display in the look of `scene`. Native splats draw themselves and get none."""
    former = item.modifiers.get(_FORMER_MODIFIER)
    if former is not None:
        item.modifiers.remove(former)
    if is_native(item):
        return
    modifier = quads_of(item) or item.modifiers.new(GROUP_NAME, "NODES")
    modifier.node_group = splat_quads()
    item.visible_shadow = False  # quads stand edge-on to most lamps; what splats glow is lit already
    set_look(item, scene.splat.look)
    fit_near_plane(item)


def fit_near_plane(item: bpy.types.Object) -> None:
    """Take the near plane that the size of an object's splats asks for."""
    modifier, attributes = quads_of(item), getattr(item.data, "attributes", {})
    if modifier is None or NEAR_SCALE not in modifier.node_group.interface.items_tree or "position" not in attributes:
        return
    positions = np.empty(3 * len(attributes["position"].data), dtype=np.float32)
    attributes["position"].data.foreach_get("vector", positions)
    _set_input(modifier, NEAR_SCALE, near_plane_scale(positions.reshape(-1, 3)))
    item.update_tag()


def is_native(item: bpy.types.Object) -> bool:
    """Whether Blender draws the object's splats itself (5.3)."""
    return has_native_splats() and getattr(item.data, "type", "") == "GAUSSIAN_SPLAT"


def quads_of(item: bpy.types.Object) -> Any:
    """The modifier that draws an object's splats; None when it has none."""
    for modifier in item.modifiers:
        group = getattr(modifier, "node_group", None)
        if group is not None and DISPLAY_SPACE in group.interface.items_tree:
            return modifier
    return None


def set_look(item: bpy.types.Object, look: str) -> None:
    """Draw an object's splats in "BLENDER" or "DISPLAY" look. Native splats have the scene's only."""
    modifier = quads_of(item)
    if modifier is None:
        return
    _set_input(modifier, DISPLAY_SPACE, look == "DISPLAY")
    item.update_tag()


def _set_input(modifier: Any, name: str, value: bool | float) -> None:
    identifier = modifier.node_group.interface.items_tree[name].identifier
    if hasattr(modifier, "properties"):  # 5.2
        getattr(modifier.properties.inputs, identifier).value = value
    else:
        modifier[identifier] = value


def splat_objects(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The splat objects of a scene."""
    return [item for item in scene.objects if is_splats(item)]


def give_look_to_all(scene: bpy.types.Scene) -> None:
    """All splats of a scene have one look."""
    for item in splat_objects(scene):
        set_look(item, scene.splat.look)


ON_CHANGE = {"look": give_look_to_all}
