"""Seeds from surfaces: spread by area, on the evaluated surface, with its colours."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix


def add_square(name: str, size: float, place=(0, 0, 0), material=None) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    half = size / 2
    mesh.from_pydata([(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)], [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new(name="UVMap")
    for loop, uv in zip(layer.uv, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
        loop.vector = uv
    if material is not None:
        mesh.materials.append(material)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    item.matrix_world = Matrix.Translation(place)
    return item


def plain(color) -> bpy.types.Material:
    material = bpy.data.materials.new("Plain")
    if material.node_tree is None:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*color, 1)
    return material


def encoded(linear):
    return 1.055 * np.asarray(linear) ** (1 / 2.4) - 0.055


def test_points_are_spread_by_world_area(extension):
    meshes = extension.module("splat_addon.scene.seeds.surfaces")
    small, large = add_square("Small", 1.0), add_square("Large", 1.0, place=(10, 0, 0))
    large.scale = (3, 1, 1)
    points = meshes.sample_surfaces([small, large], 4000, seed=0)
    on_large = points.positions[:, 0] > 5
    assert len(points.positions) == 4000 and abs(on_large.sum() - 3000) < 10
    assert np.abs(points.positions[on_large].min(axis=0) - (8.5, -0.5, 0)).max() < 0.02
    assert np.allclose(points.normals, (0, 0, 1))
    cells = np.histogram2d(*points.positions[~on_large][:, :2].T, bins=5, range=[[-0.5, 0.5]] * 2)[0]
    assert cells.min() > 28 and cells.max() < 52, "40 are expected in each cell"


def test_modifiers_count(extension):
    item = add_square("Square", 1.0)
    modifier = item.modifiers.new("Array", "ARRAY")
    modifier.count = 3
    points = extension.module("splat_addon.scene.seeds.surfaces").sample_surfaces([item], 300, seed=0)
    assert points.positions[:, 0].max() > 2.4


def test_colours_follow_the_material_display_encoded(extension):
    item = add_square("Square", 1.0, material=plain((0.2, 0.5, 0.05)))
    points = extension.module("splat_addon.scene.seeds.surfaces").sample_surfaces([item], 10, seed=0)
    assert np.allclose(points.colors, encoded([0.2, 0.5, 0.05]), atol=1e-4)


def test_colours_follow_the_image(extension):
    image = bpy.data.images.new("Halves", 2, 1)
    image.pixels[:] = [1.0, 0.5, 0.0, 1.0, 0.0, 0.25, 1.0, 1.0]
    material = plain((0, 0, 0))
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    points = extension.module("splat_addon.scene.seeds.surfaces").sample_surfaces(
        [add_square("S", 1, material=material)], 40, 0
    )
    left = points.positions[:, 0] < 0
    assert np.abs(points.colors[left] - (1, 0.5, 0)).max() < 0.01
    assert np.abs(points.colors[~left] - (0, 0.25, 1)).max() < 0.01


def test_colours_follow_a_colour_attribute_without_material(extension):
    item = add_square("Square", 1.0)
    attribute = item.data.color_attributes.new("Paint", "FLOAT_COLOR", "POINT")
    attribute.data.foreach_set("color", [0.2, 0.2, 0.2, 1, 0.6, 0.2, 0.2, 1, 0.6, 0.2, 0.2, 1, 0.2, 0.2, 0.2, 1])
    points = extension.module("splat_addon.scene.seeds.surfaces").sample_surfaces([item], 50, seed=0)
    expected = encoded(0.4 + 0.4 * points.positions[:, 0])
    assert np.abs(points.colors[:, 0] - expected).max() < 1e-3
    assert np.allclose(points.colors[:, 1], encoded(0.2), atol=1e-4)


def test_the_same_seed_gives_the_same_points(extension):
    item = add_square("Square", 1.0)
    sample = extension.module("splat_addon.scene.seeds.surfaces").sample_surfaces
    assert np.array_equal(sample([item], 20, 5).positions, sample([item], 20, 5).positions)
    assert not np.array_equal(sample([item], 20, 5).positions, sample([item], 20, 6).positions)


def test_nothing_to_sample_is_said(extension):
    item = bpy.data.objects.new("Hollow", bpy.data.meshes.new("Hollow"))
    bpy.context.scene.collection.objects.link(item)
    with pytest.raises(extension.module("splat_addon.errors").CaptureError, match="'Hollow' has no surface"):
        extension.module("splat_addon.scene.seeds.surfaces").sample_surfaces([item], 10, seed=0)
