"""Data-blocks of the add-on's own: local to the file, complete, and of this version; or made anew.

A name is no proof. A linked block may have the same name and be gone with its library, an artist may have made one of
that name or renamed ours, and appended files bring what earlier versions made. So ours are marked, and known by that.
"""

from collections.abc import Callable
from typing import Any

import bpy

from ..errors import SceneError

NAME_KEY = "splat_own"  # which of ours it is
VERSION_KEY = "splat_version"  # of the add-on's code that filled it
_MADE_KEY = "splat_made"  # how many nodes and links it then had


def ensure_local(
    kind: str,
    name: str,
    make: Callable[[Any], Any],
    version: int | str = 1,
    is_former: Callable[[Any], bool] = lambda _block: False,
    is_usable: Callable[[Any], bool] = lambda _block: True,
) -> Any:
    """The add-on's own data-block `name` in `bpy.data.<kind>`.

    `make(None)` makes one. `make(former)` fills one again that is incomplete or of another version, for all that use
    it; with `is_former`, also one that a version made which set no marks. What is not `is_usable` is left alone.
    """
    found = [block for block in getattr(bpy.data, kind) if is_local(block) and is_usable(block)]
    found = [block for block in found if block.get(NAME_KEY) == name or (block.name == name and is_former(block))]
    own = min(found, key=lambda block: (block.name != name, not _is_right(block, version)), default=None)
    if own is None or not _is_right(own, version):
        own = make(own)
        own[NAME_KEY], own[VERSION_KEY] = name, version
        tree = _tree(own)
        if tree is not None:
            own[_MADE_KEY] = [len(tree.nodes), len(tree.links)]
    return own


def is_local(block: Any) -> bool:
    """Whether a data-block is this file's own, and may be written: neither linked nor an override of what is linked."""
    return block.library is None and block.override_library is None


def is_own(block: Any, name: str) -> bool:
    """Whether a data-block is the add-on's own of this name, whatever it is called now."""
    return block is not None and is_local(block) and block.get(NAME_KEY) == name


def require_local(scene: bpy.types.Scene) -> None:
    """Raises SceneError for a scene that is linked from another file: nothing can be added to it."""
    if not is_local(scene):
        raise SceneError(
            f"The scene '{scene.name}' is linked from another file, and nothing can be changed in it.",
            "Open that file, or make the scene local (Object > Relations > Make Local > All).",
        )


def ensure_collection(
    scene: bpy.types.Scene, name: str, view_layer: bpy.types.ViewLayer | None = None
) -> bpy.types.Collection:
    """The add-on's own collection of this name in a scene, in which `view_layer` (unless given, the one at hand) sees
    objects: not a linked one, and not one that the artist has excluded there."""
    require_local(scene)
    layer = view_layer or layer_at_hand(scene)

    def make(former: bpy.types.Collection | None) -> bpy.types.Collection:
        if former is not None:
            return former
        collection = bpy.data.collections.new(name)
        scene.collection.children.link(collection)
        return collection

    return ensure_local(
        "collections", name, make, is_former=lambda _: True, is_usable=lambda item: _is_included(item, layer)
    )


def layer_at_hand(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The view layer that the artist works in, if it is the scene's; else the scene's first."""
    layer = bpy.context.view_layer
    return layer if layer is not None and layer.id_data == scene else scene.view_layers[0]


def make_active(view_layer: bpy.types.ViewLayer, item: bpy.types.Object) -> bool:
    """Make an object the active one where the view layer has it; names are no proof, since linked ones may be equal."""
    is_there = any(item == other for other in view_layer.objects)
    if is_there:
        view_layer.objects.active = item
    return is_there


def emptied(tree: Any) -> Any:
    """A node tree without nodes and their drivers; its sockets stay, which modifiers know by their identifiers."""
    tree.nodes.clear()
    tree.animation_data_clear()
    return tree


def ensure_socket(group: bpy.types.NodeTree, name: str, in_out: str, kind: str) -> Any:
    """The socket of a group's interface, made where it is missing."""
    for socket in group.interface.items_tree:
        is_socket = socket.item_type == "SOCKET" and socket.name == name
        if is_socket and (socket.in_out, socket.socket_type) == (in_out, kind):
            return socket
    return group.interface.new_socket(name, in_out=in_out, socket_type=kind)  # type: ignore[arg-type] # a str


def _is_included(collection: bpy.types.Collection, view_layer: bpy.types.ViewLayer) -> bool:
    waiting = [view_layer.layer_collection]
    while waiting:
        place = waiting.pop()
        if place.collection == collection:
            return not place.exclude
        waiting += place.children
    return False


def _is_right(block: Any, version: int | str) -> bool:
    tree = _tree(block)
    if NAME_KEY not in block or tree is None:
        return NAME_KEY in block and block.get(VERSION_KEY) == version
    made = list(block.get(_MADE_KEY, ()))
    is_whole = len(made) == 2 and len(tree.nodes) >= made[0] and len(tree.links) >= made[1]
    if block.get(VERSION_KEY) != version or not is_whole:
        return False
    return not any(node.bl_idname == "NodeUndefined" or _lacks_material(node) for node in tree.nodes)


def _lacks_material(node: Any) -> bool:
    """Whether a node sets a material that is gone, or that will be gone with its library."""
    sockets = [socket for socket in node.inputs if socket.type == "MATERIAL" and not socket.is_linked]
    return any(socket.default_value is None or not is_local(socket.default_value) for socket in sockets)


def _tree(block: Any) -> Any:
    """The nodes of a node group or a material; None for all else."""
    return block if isinstance(block, bpy.types.NodeTree) else getattr(block, "node_tree", None)
