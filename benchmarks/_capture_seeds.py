"""Cases of `bench capture`: seeds of a large mesh."""

import time
from pathlib import Path

FACES_ALONG = 1000  # of the mesh that seeds are sampled from: a million faces


def case_sample_a_million_seeds(extension, folder: Path) -> float:
    """A million evenly spread seeds, with colors from an image, of a mesh of a million faces."""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    item = textured_sheet()
    meshes = extension.module("splat_addon.scene.seeds.surfaces")
    began = time.perf_counter()
    points = meshes.sample_surfaces([item], 1_000_000, seed=0)
    seconds = time.perf_counter() - began
    if len(points.positions) != 1_000_000 or not (points.colors >= 0).all():
        raise SystemExit("bench: seeds or colors are missing")
    return seconds


def case_make_a_million_gaussians_of_points(extension, folder: Path) -> float:
    """Doubled points go, spacing is measured."""
    import numpy as np

    points = extension.module("splat_addon.capture.capture").Points
    config = extension.module("splat_addon.run.config").TrainConfig(sh_degree=0)
    places = np.random.default_rng(0).random((1_000_000, 3)) * (1, 1, 0.01)
    make = extension.module("splat_addon.capture.seeds.first_gaussians").gaussians_from_points
    began = time.perf_counter()
    make(points(places, places), config)
    return time.perf_counter() - began


def textured_sheet():
    """A wavy sheet of a million quads with an image texture."""
    import bpy
    import numpy as np

    along = np.linspace(-1, 1, FACES_ALONG + 1)
    flat = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    vertices = np.column_stack([flat, 0.1 * np.sin(5 * flat[:, 0])]).astype(np.float32)
    grid = np.arange(len(flat)).reshape(FACES_ALONG + 1, -1)
    faces = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=-1).reshape(-1, 4)
    mesh = bpy.data.meshes.new("Sheet")
    mesh.vertices.add(len(vertices))
    mesh.loops.add(faces.size)
    mesh.polygons.add(len(faces))
    mesh.vertices.foreach_set("co", vertices.ravel())
    mesh.loops.foreach_set("vertex_index", faces.astype(np.int32).ravel())
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 4, dtype=np.int32))
    mesh.uv_layers.new(name="UVMap").uv.foreach_set(
        "vector", (flat[faces.ravel()] / 2 + 0.5).astype(np.float32).ravel()
    )
    mesh.update()
    image = bpy.data.images.new("Texture", 2048, 2048)
    image.pixels.foreach_set(np.random.default_rng(0).random(2048 * 2048 * 4, dtype=np.float32))
    material = bpy.data.materials.new("Textured")
    if material.node_tree is None:
        material.use_nodes = True
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    mesh.materials.append(material)
    item = bpy.data.objects.new("Sheet", mesh)
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.update()
    return item


CASES = (case_sample_a_million_seeds, case_make_a_million_gaussians_of_points)
