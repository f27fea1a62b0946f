"""Which objects the geometry nodes of another object bring into the scene."""

from collections.abc import Iterator
from typing import Any

import bpy

_INFO = {"OBJECT_INFO": "Object", "COLLECTION_INFO": "Collection"}  # nodes that bring geometry, and their inputs


def objects_shown_by_nodes(item: bpy.types.Object) -> set[bpy.types.Object]:
    """The objects whose geometry the modifiers of `item`, those for renders, read by Object Info or Collection Info."""
    found: set[bpy.types.Object] = set()
    for modifier in item.modifiers:
        group = getattr(modifier, "node_group", None)
        if modifier.type == "NODES" and modifier.show_render and group is not None:
            for block in _blocks(group, set(_inputs(modifier)), set()):
                found |= set(block.all_objects) if isinstance(block, bpy.types.Collection) else {block}
    return found


def _blocks(group: Any, given: set[bpy.types.ID], seen: set[str]) -> set[Any]:
    """Objects and collections that info nodes of a group read; a linked input may bring any of those `given`."""
    if group.name_full in seen:
        return set()
    seen.add(group.name_full)
    found: set[Any] = set()
    for node in group.nodes:
        inner = getattr(node, "node_tree", None)
        if inner is not None:
            found |= _blocks(inner, given | set(_values(node.inputs)), seen)
        name = _INFO.get(node.type, "")
        is_shown = any(socket.is_linked for socket in node.outputs if socket.type == "GEOMETRY")
        if not (name and is_shown) or node.mute:
            continue
        socket = node.inputs[name]
        if socket.is_linked:
            kind = getattr(bpy.types, name)
            found |= {block for block in given if isinstance(block, kind)}
        elif socket.default_value is not None:
            found.add(socket.default_value)
    return found


def _values(sockets: Any) -> Iterator[bpy.types.ID]:
    for socket in sockets:
        value = getattr(socket, "default_value", None)
        if isinstance(value, bpy.types.ID):
            yield value


def _inputs(modifier: Any) -> Iterator[bpy.types.ID]:
    """The data-blocks that the artist gave a modifier."""
    for socket in modifier.node_group.interface.items_tree:
        if socket.item_type != "SOCKET" or socket.in_out != "INPUT":
            continue
        if hasattr(modifier, "properties"):  # 5.2
            value = getattr(getattr(modifier.properties.inputs, socket.identifier, None), "value", None)
        else:
            value = modifier.get(socket.identifier)
        if isinstance(value, bpy.types.ID):
            yield value
