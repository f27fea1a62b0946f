"""What stands in the viewport for a splat object whose splats are drawn: the edges of its box, to be seen and clicked.

Its own geometry (raw points, or the quads of the render look) would be drawn on top of the splats, and computed anew
with each move of the view. A last modifier, for the viewport alone, puts the box in its place; renders are not touched.
Display as bounds would not do: EEVEE draws the points of a point cloud nevertheless.
"""

import bpy

from . import appearance
from .splats import is_splats

NAME = "Splat Bounds"


def hand_over(scene: bpy.types.Scene) -> None:
    """Make the viewport geometry of all splat objects of `scene` fit the scene's choice: boxes while splats are drawn.

    To be called by what makes splat objects or changes their look, and when the choice changes, so that it is part of
    an action the user undoes: never from a handler.
    """
    for item in scene.objects:
        if item.library is None and is_splats(item):
            if scene.splat.viewport.show:
                show_box(item)
            else:
                show_own_geometry(item)


def show_box(item: bpy.types.Object) -> None:
    """Put the box in the place of the object's own geometry, in the viewport."""
    for modifier in _look_modifiers(item):
        modifier.show_viewport = False
    modifier = item.modifiers.get(NAME) or item.modifiers.new(NAME, "NODES")
    modifier.node_group = bpy.data.node_groups.get(NAME) or _make_group()
    modifier.show_render = False
    modifier.show_in_editmode = False


def show_own_geometry(item: bpy.types.Object) -> None:
    """Undo `show_box`; an object without a box is left alone."""
    modifier = item.modifiers.get(NAME)
    if modifier is None:
        return
    group = modifier.node_group
    item.modifiers.remove(modifier)
    if group is not None and group.users == 0:
        bpy.data.node_groups.remove(group)
    for modifier in _look_modifiers(item):
        modifier.show_viewport = True


def _look_modifiers(item: bpy.types.Object) -> list[bpy.types.Modifier]:
    modifier = appearance.quads_of(item)
    return [] if modifier is None else [modifier]


def _make_group() -> bpy.types.NodeTree:
    group = bpy.data.node_groups.new(NAME, "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    start, box, edges, low, high, join, end = [
        group.nodes.new(name)
        for name in (
            "NodeGroupInput",
            "GeometryNodeBoundBox",
            "GeometryNodeDeleteGeometry",
            "GeometryNodePoints",
            "GeometryNodePoints",
            "GeometryNodeJoinGeometry",
            "NodeGroupOutput",
        )
    ]
    edges.domain, edges.mode = "FACE", "ONLY_FACE"  # faces would hide the splats
    group.links.new(start.outputs[0], box.inputs[0])
    group.links.new(box.outputs["Bounding Box"], edges.inputs[0])
    for points, corner in ((low, "Min"), (high, "Max")):  # a point cloud's size is that of its points
        points.inputs["Radius"].default_value = 0.0
        group.links.new(box.outputs[corner], points.inputs["Position"])
        group.links.new(points.outputs[0], join.inputs[0])
    group.links.new(edges.outputs[0], join.inputs[0])
    group.links.new(join.outputs[0], end.inputs[0])
    for node, place in ((box, (200, 0)), (edges, (400, 0)), (low, (400, -200)), (high, (400, -400))):
        node.location = place
    join.location, end.location = (600, 0), (800, 0)
    return group
