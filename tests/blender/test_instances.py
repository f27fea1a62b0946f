"""Seeds on what objects instance: collections, geometry nodes, text, many copies."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from support.cube_scene import add_cube


@pytest.fixture
def sample(extension):
    meshes = extension.module("splat_addon.scene.seeds.surfaces")
    return lambda items, count=600: meshes.sample_surfaces(items, count, seed=0)


def link(item, collection=None):
    (collection or bpy.context.scene.collection).objects.link(item)
    return item


def square(name="Square", collection=None) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], [], [(0, 1, 2, 3)])
    return link(bpy.data.objects.new(name, mesh), collection)


def instancing_nodes(item, instance) -> None:
    """At each vertex of `item` an instance of the object `instance`, beside its own mesh."""
    group = bpy.data.node_groups.new("Scatter", "GeometryNodeTree")
    group.interface.new_socket("Geometry", in_out="INPUT", socket_type="NodeSocketGeometry")
    group.interface.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    start, end, info, scatter, join = (
        group.nodes.new(kind)
        for kind in (
            "NodeGroupInput",
            "NodeGroupOutput",
            "GeometryNodeObjectInfo",
            "GeometryNodeInstanceOnPoints",
            "GeometryNodeJoinGeometry",
        )
    )
    info.inputs["Object"].default_value, info.inputs["As Instance"].default_value = instance, True
    scatter.inputs["Scale"].default_value = (0.5, 0.5, 0.5)
    group.links.new(start.outputs[0], scatter.inputs["Points"])
    group.links.new(info.outputs["Geometry"], scatter.inputs["Instance"])
    group.links.new(scatter.outputs[0], join.inputs[0])
    group.links.new(start.outputs[0], join.inputs[0])
    group.links.new(join.outputs[0], end.inputs[0])
    item.modifiers.new("Scatter", "NODES").node_group = group


def test_a_collection_instance_is_sampled_where_it_stands(sample):
    hidden = bpy.data.collections.new("Library")
    square("Inner", hidden).location = (1, 0, 0)
    empty = link(bpy.data.objects.new("Instance", None))
    empty.instance_type, empty.instance_collection = "COLLECTION", hidden
    empty.matrix_world = Matrix.Translation((0, 0, 5)) @ Matrix.Rotation(np.pi / 2, 4, "Y")
    bpy.context.view_layer.update()
    points = sample([empty])
    assert np.allclose(points.positions.min(axis=0), (0, 0, 3), atol=0.05)
    assert np.allclose(points.positions.max(axis=0), (0, 1, 4), atol=0.05)
    assert np.allclose(np.abs(points.normals), (1, 0, 0), atol=1e-6)


def test_geometry_nodes_instances_count_by_their_area(sample):
    """The square and four copies of half its size: 1 and 4 x 1/4 of its area."""
    source, item = square("Source"), square("Scattering")
    source.location.x = 50
    instancing_nodes(item, source)
    item.location.y = 10
    bpy.context.view_layer.update()
    points = sample([item], 2000)
    assert points.positions[:, 0].max() < 2, "the source itself was not asked for"
    copies = [(points.positions[:, 0] > 1) & (points.positions[:, 1] > 11)]
    assert np.abs(np.mean(copies[0]) - 0.125) < 0.01, "one whole copy lies beyond the corner"
    assert len(sample([source, item], 2000).positions) == 2000


def test_instances_that_are_stretched_keep_area_and_normals(sample):
    collection = bpy.data.collections.new("Library")
    tilted = square("Tilted", collection)
    tilted.rotation_euler = (np.pi / 4, 0, 0)
    empties = []
    for index, scale in enumerate(((1, 1, 1), (1, 1, 3))):
        empty = link(bpy.data.objects.new(f"Instance {index}", None))
        empty.instance_type, empty.instance_collection = "COLLECTION", collection
        empty.scale, empty.location = scale, (10 * index, 0, 0)
        empties.append(empty)
    bpy.context.view_layer.update()
    points = sample(empties, 3000)
    stretched = points.positions[:, 0] > 5
    side = np.array([0, np.cos(np.pi / 4), 3 * np.sin(np.pi / 4)])
    assert abs(stretched.mean() - np.linalg.norm(side) / (1 + np.linalg.norm(side))) < 0.005
    expected = np.cross((1, 0, 0), side)
    assert np.allclose(points.normals[stretched], expected / np.linalg.norm(expected), atol=1e-6)
    heights = points.positions[stretched]
    assert np.allclose(heights[:, 2], 3 * heights[:, 1], atol=1e-5)


@pytest.mark.parametrize("scale", [(-1, 1, 1), (2, -3, 0.5), (-1, -1, -2), (-1, 2, -1)])
def test_normals_of_mirrored_objects_point_out(sample, scale):
    item = add_cube()
    item.scale = scale
    bpy.context.view_layer.update()
    points = sample([item])
    out = points.positions / (0.5 * np.abs(scale))  # the face of a cube is where this is 1
    assert np.allclose((points.normals * out).sum(axis=1), 1, atol=1e-5)


def test_text_and_metaballs_have_surfaces(sample):
    text = bpy.data.curves.new("Text", "FONT")
    text.body, text.extrude = "A", 0.1
    ball = bpy.data.metaballs.new("Ball")
    ball.elements.new().radius = 1.0
    items = [link(bpy.data.objects.new("Text", text)), link(bpy.data.objects.new("Ball", ball))]
    items[1].location.x = 10
    bpy.context.view_layer.update()
    points = sample(items, 1000)
    on_ball = points.positions[:, 0] > 5
    assert 0.1 < on_ball.mean() < 1 and (~on_ball).any()
    radii = np.linalg.norm(points.positions[on_ball] - (10, 0, 0), axis=1)
    assert np.ptp(radii) < 0.2


def test_subdivision_is_part_of_the_surface(sample):
    bpy.ops.mesh.primitive_cube_add(size=2)
    item = bpy.context.active_object
    item.modifiers.new("Smooth", "SUBSURF").levels = 3
    radii = np.linalg.norm(sample([item]).positions, axis=1)
    assert radii.max() < 1.3, "the corners of the cube are gone"


def test_neighbours_on_a_mesh_keep_their_distance(extension, sample):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32)
    points = sample([bpy.context.active_object], 5000)
    nearest = extension.module("splat_addon.gaussians.neighbors").nearest_distances(points.positions)[:, 0]
    usual = np.sqrt(4 * np.pi / 5000)  # of random points it is half of this, and 1 % of them are below a tenth of half
    assert nearest.mean() > 0.7 * usual and np.percentile(nearest, 1) > 0.35 * usual
