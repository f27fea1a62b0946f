"""How splat objects are drawn in renders: as camera quads from geometry nodes, on every carrier and in every Blender.

Blender's own splats (5.3) are given quads, too: drawn by Blender itself they lack the trainer's dilation and are noisy.
"""

from typing import Any

import bpy

from ..settings.capabilities import has_native_splats
from .adoption import meet
from .data import is_splats
from .quads import DISPLAY_SPACE, GROUP_NAME, splat_quads

_FORMER_MODIFIER = "Splat Ellipsoids"  # files of version 0.1


def show_splats(item: bpy.types.Object, scene: bpy.types.Scene) -> None:
    """Give a splat object its quads in the look of `scene`. A linked one stays as it is."""
    if item.library is not None:
        return
    meet(item)
    former = item.modifiers.get(_FORMER_MODIFIER)
    if former is not None:
        item.modifiers.remove(former)
    modifier = quads_of(item) or item.modifiers.new(GROUP_NAME, "NODES")
    modifier.node_group = splat_quads()
    item.visible_shadow = False  # quads stand edge-on to most lamps; what splats glow is lit already
    set_look(item, scene.splat.look)


def is_native(item: bpy.types.Object) -> bool:
    """Whether Blender draws the object's splats itself where no modifier is in the way (5.3)."""
    return has_native_splats() and getattr(item.data, "type", "") == "GAUSSIAN_SPLAT"


def quads_of(item: bpy.types.Object) -> Any:
    """The modifier that draws an object's splats; None when it has none."""
    for modifier in item.modifiers:
        group = getattr(modifier, "node_group", None)
        if group is not None and DISPLAY_SPACE in group.interface.items_tree:
            return modifier
    return None


def set_look(item: bpy.types.Object, look: str) -> None:
    """Draw an object's quads in "BLENDER" or "DISPLAY" look; without quads it stays as it is."""
    modifier = quads_of(item)
    if modifier is None or item.library is not None:
        return
    identifier = modifier.node_group.interface.items_tree[DISPLAY_SPACE].identifier
    if hasattr(modifier, "properties"):  # 5.2
        getattr(modifier.properties.inputs, identifier).value = look == "DISPLAY"
    else:
        modifier[identifier] = look == "DISPLAY"
    item.update_tag()


def splat_objects(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The splat objects of a scene."""
    return [item for item in scene.objects if is_splats(item)]


def give_look_to_all(scene: bpy.types.Scene) -> None:
    """All splats of a scene have one look."""
    for item in splat_objects(scene):
        set_look(item, scene.splat.look)


ON_CHANGE = {"look": give_look_to_all}
