"""Sparse points as an object that shows their colors: a point cloud, or mesh vertices where Blender makes none.

Attributes (on points): position, `Col` (scene-linear color, the name Blender's own importers use), `radius`.
"""

from typing import Any

import bpy
import numpy as np

from ...capture.capture import Points
from ...gaussians.srgb import decode_srgb
from ..own_data import emptied, ensure_local, ensure_socket
from ..settings.capabilities import has_resizable_point_clouds
from ..settings.working_space import to_working

COLOR = "Col"
_NAME = "Splat Point Colors"


def points_to_object(points: Points, name: str, radius: float, collection: bpy.types.Collection) -> bpy.types.Object:
    """A new object that holds `points` in its own frame, as balls of `radius` that shine in their color.

    It is hidden from renders: the points are something to look at, not part of the scene.
    """
    positions, colors = np.asarray(points.positions, np.float32), np.asarray(points.colors, np.float64)
    is_usable = np.isfinite(positions).all(axis=1)
    positions, colors = positions[is_usable], colors[is_usable]
    count = len(positions)
    data: Any
    if has_resizable_point_clouds():
        data = bpy.data.pointclouds.new(name)
        data.resize(count)
    else:
        data = bpy.data.meshes.new(name)
        data.vertices.add(count)
    for attribute, kind in ((COLOR, "FLOAT_COLOR"), ("radius", "FLOAT")):
        if attribute not in data.attributes:
            data.attributes.new(attribute, kind, "POINT")
    linear = np.concatenate([to_working(decode_srgb(np.clip(colors, 0, 1))), np.ones((count, 1))], axis=1)
    data.attributes["position"].data.foreach_set("vector", positions.ravel())
    data.attributes[COLOR].data.foreach_set("color", linear.astype(np.float32).ravel())
    data.attributes["radius"].data.foreach_set("value", np.full(count, radius, np.float32))
    data.materials.append(ensure_local("materials", _NAME, _make_material))
    data.update_tag()
    item = bpy.data.objects.new(name, data)
    item.hide_render = True
    collection.objects.link(item)
    if isinstance(data, bpy.types.Mesh):
        item.modifiers.new(_NAME, "NODES").node_group = ensure_local("node_groups", _NAME, _make_group)
    return item


def _make_material(former: Any) -> bpy.types.Material:
    """Emits the points' color, so that it looks the same in any light."""
    material = former or bpy.data.materials.new(_NAME)
    if material.node_tree is None:
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    emptied(material.node_tree)
    color, shine, end = (
        nodes.new(kind) for kind in ("ShaderNodeAttribute", "ShaderNodeEmission", "ShaderNodeOutputMaterial")
    )
    color.attribute_name = COLOR
    shine.location, end.location = (200, 0), (400, 0)
    links.new(color.outputs["Color"], shine.inputs["Color"])
    links.new(shine.outputs[0], end.inputs["Surface"])
    return material


def _make_group(former: Any) -> bpy.types.NodeTree:
    """Mesh vertices as points of the radius and material they carry."""
    group = emptied(former or bpy.data.node_groups.new(_NAME, "GeometryNodeTree"))
    ensure_socket(group, "Geometry", "INPUT", "NodeSocketGeometry")
    ensure_socket(group, "Geometry", "OUTPUT", "NodeSocketGeometry")
    start, radius, points, paint, end = (
        group.nodes.new(kind)
        for kind in (
            "NodeGroupInput",
            "GeometryNodeInputNamedAttribute",
            "GeometryNodeMeshToPoints",
            "GeometryNodeSetMaterial",
            "NodeGroupOutput",
        )
    )
    radius.inputs["Name"].default_value = "radius"
    paint.inputs["Material"].default_value = ensure_local("materials", _NAME, _make_material)
    for index, node in enumerate((start, radius, points, paint, end)):
        node.location = (200 * index, -200 if node == radius else 0)
    group.links.new(start.outputs[0], points.inputs["Mesh"])
    group.links.new(next(socket for socket in radius.outputs if socket.enabled), points.inputs["Radius"])
    group.links.new(points.outputs[0], paint.inputs["Geometry"])
    group.links.new(paint.outputs[0], end.inputs[0])
    return group
