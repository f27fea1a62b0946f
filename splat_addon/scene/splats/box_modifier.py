"""What stands in the viewport for a splat object whose splats are drawn: the extent of its box, and nothing to be seen.

Its own geometry (raw points, or the quads of the render look) would be drawn on top of the splats, and computed again
with each move of the view. A last modifier, for the viewport alone, puts a box in its place; renders are not touched.
The box encloses the splats but for those far from all others: a single floater must not make it huge. Blender frames
and snaps to it, and draws its edges in wireframe shading alone; around selected objects `selection_boxes.py` draws it.
Display as bounds would not do: EEVEE draws the points of a point cloud nevertheless.

The box is also what says that an object's splats are drawn: so the display and the objects agree in every file, also in
one that was saved under another default, by another Blender, or appended from a scene with another choice.
"""

from typing import Any

import bpy

from ..own_data import emptied, ensure_local, ensure_socket
from . import appearance
from .adoption import is_adopted
from .data import is_splats
from .node_math import NodeTree, Scalar, Vector

NAME = "Splat Box"
_FORMER_NAME = "Splat Bounds"  # files of earlier versions: its edges were always drawn
_REACH = 6.0  # of the box from the middle, in median distances from it
_SAMPLED = 10_000  # splats at least, where there are as many, that decide what the middle is


def hand_over(scene: bpy.types.Scene) -> None:
    """Make the viewport geometry of all splat objects of `scene` fit the scene's choice: boxes while splats are drawn.

    To be called by what makes splat objects or changes their look, and when the choice changes, so that it is part of
    an action the user undoes: never from a handler. Splats that no action has adopted stay as Blender shows them.
    """
    chosen = scene.splat.viewport
    if not chosen.is_property_set("show"):
        chosen.show = chosen.show  # kept in the file: no other version's default decides there
    for item in scene.objects:
        if item.library is None and is_splats(item) and is_adopted(item):
            if chosen.show:
                show_box(item)
            else:
                show_own_geometry(item)


def has_box(item: bpy.types.Object) -> bool:
    """Whether a box stands in the viewport for the object's own geometry."""
    found = (_modifier(item, name) for name in (NAME, _FORMER_NAME))
    return any(modifier is not None and modifier.show_viewport for modifier in found)


def show_box(item: bpy.types.Object) -> None:
    """Put the box in the place of the object's own geometry, in the viewport."""
    for modifier in _look_modifiers(item):
        modifier.show_viewport = False
    _remove(item, _FORMER_NAME)
    modifier = _modifier(item, NAME) or item.modifiers.new(NAME, "NODES")
    former = modifier.node_group
    modifier.node_group = ensure_local("node_groups", NAME, _make_group)
    if former is not None and former != modifier.node_group:
        _remove_unused(former)
    modifier.show_render = False
    modifier.show_in_editmode = False


def show_own_geometry(item: bpy.types.Object) -> None:
    """Undo `show_box`; an object without a box is left alone."""
    if not (_remove(item, NAME) or _remove(item, _FORMER_NAME)):
        return
    for modifier in _look_modifiers(item):
        modifier.show_viewport = True


def _remove(item: bpy.types.Object, name: str) -> bool:
    """Remove a modifier of ours, and its nodes with the last one; whether there was one."""
    modifier = _modifier(item, name)
    if modifier is None:
        return False
    group = modifier.node_group
    item.modifiers.remove(modifier)
    if group is not None:
        _remove_unused(group)
    return True


def _modifier(item: bpy.types.Object, name: str) -> Any:
    """The modifier of ours, by the name it was given; others of that name do other things."""
    modifier = item.modifiers.get(name)
    return modifier if modifier is not None and modifier.type == "NODES" else None


def _remove_unused(group: bpy.types.NodeTree) -> None:
    if group.users == 0 and group.library is None:
        bpy.data.node_groups.remove(group)


def _look_modifiers(item: bpy.types.Object) -> list[bpy.types.Modifier]:
    modifier = appearance.look_modifier(item)
    return [] if modifier is None else [modifier]


def _make_group(former: Any) -> bpy.types.NodeTree:
    group = emptied(former or bpy.data.node_groups.new(NAME, "GeometryNodeTree"))
    ensure_socket(group, "Geometry", "INPUT", "NodeSocketGeometry")
    ensure_socket(group, "Geometry", "OUTPUT", "NodeSocketGeometry")
    tree = NodeTree(group)
    splats = tree.add("NodeGroupInput").outputs[0]
    low, high = _corners(tree, splats)

    tree.frame("Box")
    size, middle = high - low, (low + high) * 0.5
    cube = tree.add("GeometryNodeMeshCube", Size=size).outputs["Mesh"]
    cube = tree.add("GeometryNodeTransform", Geometry=cube, Translation=middle).outputs[0]
    cube = tree.add("GeometryNodeDeleteGeometry", {"domain": "FACE", "mode": "ONLY_FACE"}, cube).outputs[0]
    # Blender draws edges that belong to no face; each of these gets one without any area.
    cube = tree.add("GeometryNodeExtrudeMesh", {"mode": "EDGES"}, cube, Offset_Scale=0.0).outputs["Mesh"]
    corners = [  # a point cloud's extent is that of its points
        tree.add("GeometryNodePoints", Position=corner, Radius=0.0).outputs[0] for corner in (low, high)
    ]
    join = tree.add("GeometryNodeJoinGeometry")
    for part in (cube, *corners):
        group.links.new(part, join.inputs[0])
    tree.add("NodeGroupOutput", None, join.outputs[0])
    return group


def _corners(tree: NodeTree, splats) -> tuple[Vector, Vector]:
    """The lowest and the highest corner of the box, from the splats' own median: no floater moves that."""
    tree.frame("Extent")
    bounding = tree.add("GeometryNodeBoundBox", Geometry=splats)
    if "Use Radius" in bounding.inputs:  # newer Blenders: that of points, which splats do not have
        bounding.inputs["Use Radius"].default_value = False
    box = bounding.outputs
    position = Vector(tree, tree.add("GeometryNodeInputPosition").outputs[0])
    counts = [
        Scalar(tree, tree.add("GeometryNodeAttributeDomainSize", {"component": kind}, splats).outputs["Point Count"])
        for kind in ("MESH", "POINTCLOUD")
    ]
    index = Scalar(tree, tree.add("GeometryNodeInputIndex").outputs[0])
    every = tree.math("FLOOR", ((counts[0] + counts[1]) / _SAMPLED).at_least(1.0))
    is_sampled = tree.math("MODULO", index, every) < 0.5
    middle = Vector(tree, _median(tree, splats, is_sampled, position, "FLOAT_VECTOR"))
    distance = tree.vector_math("DISTANCE", position, middle)
    reach = Scalar(tree, _median(tree, splats, is_sampled, distance, "FLOAT")) * _REACH
    around = tree.vector(reach, reach, reach)
    low = (middle - around).at_least(Vector(tree, box["Min"]))
    return low, tree.vector_math("MINIMUM", middle + around, Vector(tree, box["Max"]))


def _median(tree: NodeTree, geometry, selection: Scalar, value, kind: str):
    node = tree.add("GeometryNodeAttributeStatistic", {"data_type": kind, "domain": "POINT"}, geometry, selection)
    tree.fill(next(socket for socket in node.inputs if socket.enabled and socket.name == "Attribute"), value)
    return next(socket for socket in node.outputs if socket.enabled and socket.name == "Median")
