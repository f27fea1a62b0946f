"""Points on the surfaces of Blender objects: where gaussians start."""

import bpy
import numpy as np

from ..capture.capture import Points
from ..errors import CaptureError

SURFACE_TYPES = ("MESH", "CURVE", "SURFACE", "META", "FONT")
GREY = 0.8  # Blender's colour of a surface without material, scene-linear


def sample_surfaces(objects: list[bpy.types.Object], count: int, seed: int) -> Points:
    """`count` points spread by area over the evaluated surfaces of `objects`, world frame.

    Colours are what the material's base colour says at the point (image, colour attribute or value), display-encoded;
    normals are those of the triangles. Raises CaptureError when nothing has a surface.
    """
    random = np.random.default_rng(seed)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    surfaces = []
    for item in objects:
        evaluated = item.evaluated_get(depsgraph)
        mesh = evaluated.to_mesh()
        if mesh is not None and len(mesh.polygons):
            surfaces.append((evaluated, mesh, _triangle_corners(mesh, evaluated)))
    areas = [_areas(corners) for _, _, corners in surfaces]
    total = sum(float(area.sum()) for area in areas)
    if total <= 0:
        names = ", ".join(f"'{item.name}'" for item in objects[:3]) or "the selection"
        raise CaptureError(f"{names} has no surface to sample.", "Select mesh objects with faces.")
    shares = np.array([float(area.sum()) for area in areas]) / total
    counts = np.floor(np.cumsum(shares) * count + 1e-6).astype(int)
    counts = np.diff(counts, prepend=0)
    parts = []
    for (_, mesh, corners), area, part in zip(surfaces, areas, counts, strict=True):
        if part:
            parts.append(_sample(mesh, corners, area, int(part), random))
    for evaluated, _, _ in surfaces:
        evaluated.to_mesh_clear()
    positions, colors, normals = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Points(positions, colors, normals)


def _triangle_corners(mesh: bpy.types.Mesh, evaluated: bpy.types.Object) -> np.ndarray:
    """(T, 3, 3) world places of the triangles' corners."""
    mesh.calc_loop_triangles()
    places = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    mesh.vertices.foreach_get("co", places)
    matrix = np.array(evaluated.matrix_world, dtype=np.float64)
    world = places.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    return world[_per_triangle(mesh, "vertices")]


def _per_triangle(mesh: bpy.types.Mesh, name: str) -> np.ndarray:
    """(T, 3) vertex ("vertices") or corner ("loops") indices, or (T,) another integer of the loop triangles."""
    width = 3 if name in ("vertices", "loops") else 1
    values = np.empty(width * len(mesh.loop_triangles), dtype=np.int32)
    mesh.loop_triangles.foreach_get(name, values)
    return values.reshape(-1, 3) if width == 3 else values


def _areas(corners: np.ndarray) -> np.ndarray:
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return 0.5 * np.linalg.norm(crosses, axis=1)


def _sample(mesh, corners: np.ndarray, areas: np.ndarray, count: int, random: np.random.Generator):
    """Positions, colours and normals of `count` points. One point falls into each of `count` equal shares of area."""
    cumulative = np.cumsum(areas)
    marks = (np.arange(count) + random.random(count)) / count * cumulative[-1]
    triangles = np.minimum(np.searchsorted(cumulative, marks, side="right"), len(areas) - 1)
    root, along = np.sqrt(random.random(count)), random.random(count)
    weights = np.stack([1 - root, root * (1 - along), root * along], axis=1)  # uniform (Osada et al. 2002, eq. 1)
    chosen = corners[triangles]
    positions = np.einsum("pk,pkd->pd", weights, chosen)
    normals = np.cross(chosen[:, 1] - chosen[:, 0], chosen[:, 2] - chosen[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    colors = _surface_colors(mesh, triangles, weights)
    return positions, encode_srgb(np.clip(colors, 0, 1)), normals


def _surface_colors(mesh: bpy.types.Mesh, triangles: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(P, 3) scene-linear base colours at points given by triangle and barycentric weights."""
    material_of = np.minimum(_per_triangle(mesh, "material_index")[triangles], max(len(mesh.materials) - 1, 0))
    colors = np.full((len(triangles), 3), GREY)
    for index in np.unique(material_of):
        here = material_of == index
        material = mesh.materials[index] if len(mesh.materials) else None
        colors[here] = _material_colors(mesh, material, triangles[here], weights[here])
    return colors


def _material_colors(mesh, material, triangles: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if material is None:
        attribute = mesh.color_attributes.active_color if len(mesh.color_attributes) else None
        return _attribute_colors(mesh, attribute, triangles, weights) if attribute else np.full((len(weights), 3), GREY)
    socket = _base_color_socket(material)
    if socket is None:
        return np.tile(material.diffuse_color[:3], (len(weights), 1))
    if not socket.is_linked:
        return np.tile(socket.default_value[:3], (len(weights), 1))
    source = socket.links[0].from_node
    if source.type == "TEX_IMAGE" and source.image is not None and mesh.uv_layers.active is not None:
        return _image_colors(mesh, source.image, triangles, weights)
    if source.type in ("VERTEX_COLOR", "ATTRIBUTE"):
        name = source.layer_name if source.type == "VERTEX_COLOR" else source.attribute_name
        attribute = mesh.color_attributes.get(name) or mesh.color_attributes.active_color
        if attribute is not None:
            return _attribute_colors(mesh, attribute, triangles, weights)
    return np.tile(material.diffuse_color[:3], (len(weights), 1))


def _base_color_socket(material: bpy.types.Material):
    """The input that colours the surface: the base colour of its Principled shader, else a diffuse or emission one."""
    if material.node_tree is None:
        return None
    for kind, name in (("BSDF_PRINCIPLED", "Base Color"), ("BSDF_DIFFUSE", "Color"), ("EMISSION", "Color")):
        for node in material.node_tree.nodes:
            if node.type == kind:
                return node.inputs[name]
    return None


def _attribute_colors(mesh, attribute, triangles: np.ndarray, weights: np.ndarray) -> np.ndarray:
    values = np.empty(4 * len(attribute.data), dtype=np.float32)
    attribute.data.foreach_get("color", values)
    corners = _per_triangle(mesh, "vertices" if attribute.domain == "POINT" else "loops")[triangles]
    return np.einsum("pk,pkd->pd", weights, values.reshape(-1, 4)[corners][..., :3])


def _image_colors(mesh, image: bpy.types.Image, triangles: np.ndarray, weights: np.ndarray) -> np.ndarray:
    layer = mesh.uv_layers.active
    places = np.empty(2 * len(layer.uv), dtype=np.float32)
    layer.uv.foreach_get("vector", places)
    corners = _per_triangle(mesh, "loops")[triangles]
    uv = np.einsum("pk,pkd->pd", weights, places.reshape(-1, 2)[corners])
    width, height = image.size
    if width == 0 or height == 0:
        return np.full((len(weights), 3), GREY)
    values = np.empty(width * height * image.channels, dtype=np.float32)
    image.pixels.foreach_get(values)
    pixels = values.reshape(height, width, image.channels)
    column = np.floor(uv[:, 0] * width).astype(int) % width
    row = np.floor(uv[:, 1] * height).astype(int) % height
    colors = np.broadcast_to(pixels[row, column][:, : min(3, image.channels)], (len(weights), 3))
    is_encoded = not image.is_float and image.colorspace_settings.name == "sRGB"
    return decode_srgb(colors) if is_encoded else colors


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Scene-linear Rec.709 to display-encoded sRGB (IEC 61966-2-1), 0..1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """Display-encoded sRGB to scene-linear Rec.709, 0..1."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0.04045) + 0.055) / 1.055) ** 2.4)
