"""A modifier of the artist's on splats: renders alone follow it, which is said, until it is applied."""

import bpy
import numpy as np
import pytest

from support.splat_objects import make_splats


@pytest.fixture
def advice(extension):
    return extension.module("splat_addon.scene.splats.advice")


@pytest.fixture
def item(extension):
    """40 splats, 25 of them left of the origin, whose quads and box are there."""
    points = np.column_stack([np.where(np.arange(40) < 25, -1.0, 1.0), np.linspace(0, 1, 40), np.zeros(40)])
    item = make_splats(extension, points)
    extension.module("splat_addon.scene.splats.appearance").show_splats(item, bpy.context.scene)
    extension.module("splat_addon.scene.splats.box_modifier").hand_over(bpy.context.scene)
    bpy.context.view_layer.objects.active = item
    return item


def delete_the_left_half(item):
    group = bpy.data.node_groups.new("Crop", "GeometryNodeTree")
    for side in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Geometry", in_out=side, socket_type="NodeSocketGeometry")
    nodes, link = group.nodes, group.links.new
    start, end = nodes.new("NodeGroupInput"), nodes.new("NodeGroupOutput")
    delete, parts = nodes.new("GeometryNodeDeleteGeometry"), nodes.new("ShaderNodeSeparateXYZ")
    compare = nodes.new("FunctionNodeCompare")
    compare.operation, compare.data_type = "LESS_THAN", "FLOAT"
    link(nodes.new("GeometryNodeInputPosition").outputs[0], parts.inputs[0])
    link(parts.outputs["X"], compare.inputs[0])
    link(start.outputs[0], delete.inputs["Geometry"])
    link(compare.outputs[0], delete.inputs["Selection"])
    link(delete.outputs[0], end.inputs[0])
    modifier = item.modifiers.new("Crop", "NODES")
    modifier.node_group = group
    item.modifiers.move(len(item.modifiers) - 1, 0)
    return modifier


def test_it_is_said_that_renders_alone_follow_it(advice, item):
    assert advice.object_advice(item) == []
    modifier = delete_the_left_half(item)
    assert [
        sentence.startswith("Crop: changes these splats in renders alone") for sentence in advice.object_advice(item)
    ]
    modifier.show_render = False
    assert advice.object_advice(item) == []


def test_an_export_says_it_too(extension, item):
    delete_the_left_half(item)
    said = extension.module("operators.splats.files")._problems([item])
    assert len(said) == 1 and said[0].startswith("Crop: changes these splats in renders alone")


def test_once_applied_the_data_is_what_renders_showed(extension, advice, item):
    delete_the_left_half(item)
    if item.type == "POINTCLOUD" and bpy.app.version < (5, 2):
        pytest.skip("this Blender cannot apply nodes to point clouds")
    bpy.ops.object.modifier_apply(modifier="Crop")
    cloud = extension.module("splat_addon.scene.splats.data").splats_from_object(item)
    assert len(cloud) == 15 and (cloud.means[:, 0] > 0).all()
    assert not any("renders alone" in sentence for sentence in advice.object_advice(item))
