"""How splat objects are drawn in renders: as camera quads from geometry nodes, or by Blender itself (5.3).

Quads are exact, on every carrier and in every Blender. Blender's own drawing is noisy, and fast for many splats; it
follows uneven scales and mirroring and shows in panoramas. It gets its splats as wide as they were trained. One
modifier does either: its node group is what draws.
"""

from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...gaussians.rules import near_plane_scale
from .. import own_data
from ..settings import working_space
from ..settings.capabilities import has_native_splats
from ..settings.trained_for import is_antialiased
from . import dilation, quads
from .adoption import meet
from .data import is_splats
from .material import ENCODING_NAME, encoding_material

_BOX = "Splat Box"  # what `box_modifier.py` calls its own, which renders do not have
_FORMER_MODIFIER = "Splat Ellipsoids"  # files of version 0.1


def show_splats(item: bpy.types.Object, scene: bpy.types.Scene) -> None:
    """Give a splat object the modifier that draws it as the artist chose, in the look of `scene`. A linked
    one stays as it is."""
    if item.library is not None:
        return
    meet(item)
    former = item.modifiers.get(_FORMER_MODIFIER)
    if former is not None:
        item.modifiers.remove(former)
    by_blender = is_drawn_by_blender(item)
    wanted = dilation if by_blender else quads
    modifier = look_modifier(item) or item.modifiers.new(wanted.GROUP_NAME, "NODES")
    modifier.name = wanted.GROUP_NAME
    modifier.node_group = dilation.splat_dilation() if by_blender else quads.splat_quads()
    item.visible_shadow = False  # quads stand edge-on to most lamps; what splats glow is lit already
    if hasattr(item, "cycles"):
        item.cycles.use_deform_motion = False  # it would take quads of one moment for moved ones of another
    set_look(item, scene.splat.look)
    _set_input(modifier, quads.HIDDEN_SPLATS, scene.splat.render_hidden)
    fit_to_splats(item)


def fit_to_splats(item: bpy.types.Object) -> None:
    """Draw an object's splats as they were trained, antialiased or not, with the near plane that their size needs."""
    modifier = look_modifier(item)
    if modifier is not None and quads.ANTIALIASED in modifier.node_group.interface.items_tree:
        _set_input(modifier, quads.ANTIALIASED, is_antialiased(item))
        item.update_tag()
    _fit_near_plane(item)


def _fit_near_plane(item: bpy.types.Object) -> None:
    modifier, attributes = look_modifier(item), getattr(item.data, "attributes", {})
    if (
        modifier is None
        or quads.NEAR_SCALE not in modifier.node_group.interface.items_tree
        or "position" not in attributes
    ):
        return
    positions = np.empty(3 * len(attributes["position"].data), dtype=np.float32)
    attributes["position"].data.foreach_get("vector", positions)
    _set_input(modifier, quads.NEAR_SCALE, near_plane_scale(positions.reshape(-1, 3)))
    item.update_tag()


def is_native(item: bpy.types.Object) -> bool:
    """Whether Blender draws the object's splats itself where no modifier is in the way (5.3)."""
    return has_native_splats() and getattr(item.data, "type", "") == "GAUSSIAN_SPLAT"


def is_drawn_by_blender(item: bpy.types.Object) -> bool:
    """Whether renders leave the object's splats to Blender: chosen, and possible."""
    return is_native(item) and item.splat.drawn_by == "BLENDER"


def converts_here(item: bpy.types.Object) -> bool:
    """Whether an object's quads, if it has any, show its colors in the file's working space."""
    modifier = look_modifier(item)
    if modifier is None:
        return True
    return not working_space.is_for_another(modifier.node_group.get(own_data.VERSION_KEY, 0))


def look_modifier(item: bpy.types.Object) -> Any:
    """The modifier that draws an object's splats; None when it has none."""
    for modifier in item.modifiers:
        group = getattr(modifier, "node_group", None)
        if group is not None and quads.DISPLAY_SPACE in group.interface.items_tree:
            return modifier
    return None


def other_modifiers(item: bpy.types.Object) -> list[str]:
    """The names of modifiers that change an object's splats in renders alone: viewports and exports show its data."""
    own = (look_modifier(item), item.modifiers.get(_BOX))
    return [modifier.name for modifier in item.modifiers if modifier.show_render and modifier not in own]


def set_look(item: bpy.types.Object, look: str) -> None:
    """Draw an object's splats in "BLENDER" or "DISPLAY" look; without its modifier it stays as it is."""
    modifier = look_modifier(item)
    if modifier is None or item.library is not None:
        return
    _set_input(modifier, quads.DISPLAY_SPACE, look == "DISPLAY")
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


def render_hidden_or_not(scene: bpy.types.Scene) -> None:
    """The artist has chosen whether renders show hidden splats. Nodes of earlier versions, which cannot, are filled
    again."""
    for item in splat_objects(scene):
        modifier = look_modifier(item)
        if modifier is None or item.library is not None:
            continue
        if quads.HIDDEN_SPLATS not in modifier.node_group.interface.items_tree:
            modifier.node_group = dilation.splat_dilation() if is_drawn_by_blender(item) else quads.splat_quads()
        _set_input(modifier, quads.HIDDEN_SPLATS, scene.splat.render_hidden)
        item.update_tag()


@persistent
def follow_working_space(*_: Any) -> None:
    """When the artist chooses another working space, or opens a file that has one: what draws splats converts to it."""
    block: Any
    for block, name, make in (
        (bpy.data.node_groups.get(quads.GROUP_NAME), quads.GROUP_NAME, quads.splat_quads),
        (bpy.data.materials.get(ENCODING_NAME), ENCODING_NAME, encoding_material),
    ):
        if own_data.is_own(block, name) and working_space.is_for_another(block[own_data.VERSION_KEY]):
            make()


ON_CHANGE = {"render_hidden": render_hidden_or_not}
HANDLERS = {"depsgraph_update_post": follow_working_space, "load_post": follow_working_space}
