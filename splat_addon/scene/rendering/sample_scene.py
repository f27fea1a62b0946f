"""A sample scene made by code: a small still life to try everything on.

Every surface has a color that can be measured (image, color attribute or material); one object is glossy, so that its
color depends on the view; one is thin.
"""

import math
from collections.abc import Callable

import bmesh
import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..own_data import require_local
from ..splats import hidden_source

COLLECTION = "Splat Still Life"


def build_still_life(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """Add the still life, its lights and a gray world to `scene`; return its mesh objects. About 1.6 m across."""
    require_local(scene)
    collection = bpy.data.collections.new(COLLECTION)
    scene.collection.children.link(collection)
    objects = [
        _mesh_object("Ground", _disc, _textured("Ground Tiles", _tiles_pixels(), roughness=0.8)),
        _mesh_object("Striped Vase", _vase, _textured("Stripes", _stripes_pixels(), roughness=0.6)),
        _mesh_object("Wooden Block", _block, _textured("Wood", _wood_pixels(), roughness=0.7)),
        _mesh_object("Glossy Ball", _ball, _plain("Glossy Gold", (0.9, 0.55, 0.18), roughness=0.18, metallic=1.0)),
        _mesh_object("Painted Head", _head, _painted("Painted")),
        _mesh_object("Thin Ring", _ring, _plain("Blue Wire", (0.05, 0.15, 0.6), roughness=0.5, metallic=0.0)),
    ]
    for item in objects:
        collection.objects.link(item)
    _place(objects[1], (-0.35, 0.25, 0.0), turn_deg=20)
    _place(objects[2], (0.38, 0.30, 0.16), turn_deg=30)
    _place(objects[3], (0.30, -0.28, 0.17))
    _place(objects[4], (-0.25, -0.30, 0.19), turn_deg=-35)
    objects[5].matrix_world = Matrix.Translation((0.05, 0.03, 0.33)) @ Matrix.Rotation(math.radians(80), 4, "X")
    _light(collection, "Sun", "SUN", energy=2.5, turn=(0.6, 0.25, 0.4), angle=0.15)
    _light(collection, "Fill", "AREA", energy=25.0, turn=(-0.9, -0.5, 0.0), place=(-1.2, 1.6, 1.8), size=1.5)
    _grey_world(scene)
    return objects


def hide_what_is_in_the_way(layer: bpy.types.ViewLayer, objects: list[bpy.types.Object]) -> list[bpy.types.Object]:
    """Hide what else is rendered and reaches into the box around `objects`, as the default cube does, in the viewport
    and in renders; returns it."""
    low, high = _box(objects)
    hidden = []
    for item in hidden_source.objects_of(layer):
        if item not in objects:
            other_low, other_high = _box([item])
            if (other_low < high).all() and (other_high > low).all():
                item.hide_set(True, view_layer=layer)
                item.hide_render = True
                hidden.append(item)
    return hidden


def _box(items: list[bpy.types.Object]) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array([item.matrix_world @ Vector(corner) for item in items for corner in item.bound_box])
    return corners.min(axis=0), corners.max(axis=0)


def _place(item: bpy.types.Object, location: tuple[float, float, float], turn_deg: float = 0.0) -> None:
    item.matrix_world = Matrix.Translation(location) @ Matrix.Rotation(math.radians(turn_deg), 4, "Z")


def _mesh_object(name: str, build: Callable[[bmesh.types.BMesh], None], material: bpy.types.Material):
    shape = bmesh.new()
    shape.loops.layers.uv.new("UVMap")
    build(shape)
    mesh = bpy.data.meshes.new(name)
    shape.to_mesh(mesh)
    shape.free()
    mesh.polygons.foreach_set("use_smooth", [name not in ("Ground", "Wooden Block")] * len(mesh.polygons))
    mesh.materials.append(material)
    if name == "Painted Head":
        _paint_by_height(mesh)
    return bpy.data.objects.new(name, mesh)


def _disc(shape: bmesh.types.BMesh) -> None:
    bmesh.ops.create_circle(shape, cap_ends=True, cap_tris=True, segments=64, radius=0.8)
    uv = shape.loops.layers.uv.active
    for face in shape.faces:
        if face.normal.z < 0:
            face.normal_flip()
        for loop in face.loops:
            loop[uv].uv = (loop.vert.co.x / 1.6 + 0.5, loop.vert.co.y / 1.6 + 0.5)


def _vase(shape: bmesh.types.BMesh) -> None:
    """A surface of revolution, closed at the bottom, with its texture around and along."""
    heights = np.linspace(0.0, 1.0, 40)
    radii = 0.13 + 0.05 * np.sin(heights * 5.5) - 0.05 * heights
    _revolve(shape, radii, heights * 0.55, segments=48)


def _revolve(shape: bmesh.types.BMesh, radii: np.ndarray, heights: np.ndarray, segments: int) -> None:
    uv = shape.loops.layers.uv.active
    turns = np.linspace(0, 2 * math.pi, segments, endpoint=False)
    rings = [
        [shape.verts.new((radius * math.cos(turn), radius * math.sin(turn), height)) for turn in turns]
        for radius, height in zip(radii, heights, strict=True)
    ]
    for row in range(len(rings) - 1):
        for column in range(segments):
            after = (column + 1) % segments
            corners = [rings[row][column], rings[row][after], rings[row + 1][after], rings[row + 1][column]]
            face = shape.faces.new(corners)
            places = ((column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1))
            for loop, (across, along) in zip(face.loops, places, strict=True):
                loop[uv].uv = (across / segments, along / (len(rings) - 1))
    shape.faces.new(list(reversed(rings[0])))


def _block(shape: bmesh.types.BMesh) -> None:
    bmesh.ops.create_cube(shape, size=0.32, calc_uvs=True)


def _ball(shape: bmesh.types.BMesh) -> None:
    bmesh.ops.create_uvsphere(shape, u_segments=48, v_segments=24, radius=0.17, calc_uvs=True)


def _head(shape: bmesh.types.BMesh) -> None:
    bmesh.ops.create_monkey(shape, matrix=Matrix.Rotation(math.radians(-20), 4, "X") @ Matrix.Scale(0.2, 4))
    bmesh.ops.subdivide_edges(shape, edges=shape.edges[:], cuts=1, use_grid_fill=True, smooth=0.6)


def _ring(shape: bmesh.types.BMesh) -> None:
    """A wire of 12 mm around a circle of 60 cm."""
    around, tube = 64, 8
    rings = []
    for turn in np.linspace(0, 2 * math.pi, around, endpoint=False):
        ring = []
        for bend in np.linspace(0, 2 * math.pi, tube, endpoint=False):
            reach = 0.3 + 0.006 * math.cos(bend)
            ring.append(shape.verts.new((reach * math.cos(turn), reach * math.sin(turn), 0.006 * math.sin(bend))))
        rings.append(ring)
    for row in range(around):
        for column in range(tube):
            after, beside = rings[(row + 1) % around], (column + 1) % tube
            shape.faces.new([rings[row][column], after[column], after[beside], rings[row][beside]])


def _paint_by_height(mesh: bpy.types.Mesh) -> None:
    """A color attribute with soft bands, scene-linear."""
    attribute = mesh.color_attributes.new("Paint", "FLOAT_COLOR", "POINT")
    places = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    mesh.vertices.foreach_get("co", places)
    height = places.reshape(-1, 3)[:, 2]
    band = 0.5 + 0.5 * np.sin(height * 45.0)
    low, high = np.array([0.45, 0.08, 0.06]), np.array([0.75, 0.55, 0.30])
    colors = np.ones((len(mesh.vertices), 4), dtype=np.float32)
    colors[:, :3] = low + (high - low) * band[:, None]
    attribute.data.foreach_set("color", colors.ravel())


def _material(name: str, roughness: float, metallic: float) -> tuple[bpy.types.Material, bpy.types.Node]:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    return material, shader


def _plain(name: str, color: tuple[float, float, float], roughness: float, metallic: float) -> bpy.types.Material:
    material, shader = _material(name, roughness, metallic)
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    material.diffuse_color = (*color, 1.0)
    return material


def _textured(name: str, pixels: np.ndarray, roughness: float) -> bpy.types.Material:
    """`pixels` (H, W, 3): display-encoded, bottom row first."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(name, width, height)
    image.pixels.foreach_set(np.concatenate([pixels, np.ones((height, width, 1))], axis=2).astype(np.float32).ravel())
    image.update()
    image.pack()
    material, shader = _material(name, roughness, metallic=0.0)
    texture = material.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    material.node_tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return material


def _painted(name: str) -> bpy.types.Material:
    material, shader = _material(name, roughness=0.6, metallic=0.0)
    attribute = material.node_tree.nodes.new("ShaderNodeVertexColor")
    attribute.layer_name = "Paint"
    material.node_tree.links.new(attribute.outputs["Color"], shader.inputs["Base Color"])
    return material


def _tiles_pixels(size: int = 512) -> np.ndarray:
    across, down = np.meshgrid(np.arange(size) / size, np.arange(size) / size)
    checker = (np.floor(across * 10) + np.floor(down * 10)) % 2
    grain = _value_noise(size, cells=24, seed=1)
    light, dark = np.array([0.80, 0.76, 0.68]), np.array([0.34, 0.42, 0.46])
    base = dark + (light - dark) * checker[..., None]
    return np.clip(base + 0.22 * (grain[..., None] - 0.5), 0, 1)


def _stripes_pixels(size: int = 512) -> np.ndarray:
    across, along = np.meshgrid(np.arange(size) / size, np.arange(size) / size)
    wave = np.sin(2 * math.pi * (along * 8 + 0.25 * np.sin(2 * math.pi * across * 6)))
    mix = (wave > 0)[..., None]
    cream, teal = np.array([0.88, 0.84, 0.72]), np.array([0.10, 0.45, 0.48])
    speckle = 0.14 * (_value_noise(size, cells=64, seed=2)[..., None] - 0.5)
    return np.clip(np.where(mix, cream, teal) + speckle, 0, 1)


def _wood_pixels(size: int = 512) -> np.ndarray:
    across, _ = np.meshgrid(np.arange(size) / size, np.arange(size) / size)
    bend = _value_noise(size, cells=6, seed=3)
    rings = 0.5 + 0.5 * np.sin(2 * math.pi * (across * 9 + 1.6 * bend))
    dark, light = np.array([0.36, 0.20, 0.10]), np.array([0.70, 0.48, 0.27])
    return dark + (light - dark) * rings[..., None]


def _value_noise(size: int, cells: int, seed: int) -> np.ndarray:
    """(size, size) smooth random values 0..1 that repeat at the borders."""
    values = np.random.default_rng(seed).random((cells, cells))
    place = np.arange(size) / size * cells
    first = place.astype(int)
    blend = place - first
    blend = blend * blend * (3 - 2 * blend)
    second = (first + 1) % cells
    rows = values[first] * (1 - blend)[:, None] + values[second] * blend[:, None]
    return rows[:, first] * (1 - blend) + rows[:, second] * blend


def _light(
    collection: bpy.types.Collection, name: str, kind: str, energy: float, turn, place=(0, 0, 3), size=None, angle=None
) -> None:
    data = bpy.data.lights.new(name, kind)
    data.energy = energy
    if size is not None:
        data.size = size
    if angle is not None:
        data.angle = angle
    item = bpy.data.objects.new(name, data)
    item.location, item.rotation_euler = place, turn
    collection.objects.link(item)


def _grey_world(scene: bpy.types.Scene) -> None:
    if scene.world is not None:
        return
    world = bpy.data.worlds.new("Still Life World")
    if world.node_tree is None:
        world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (0.55, 0.60, 0.65, 1.0)
    background.inputs["Strength"].default_value = 0.6
    scene.world = world
