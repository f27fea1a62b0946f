"""The color of a surface without light: what its material says at a point, where that can be told from the nodes."""

from typing import Any

import bpy
import numpy as np

from ...gaussians.srgb import decode_srgb
from ..settings.working_space import to_rec709, to_working, vertex_colors

GRAY = 0.8  # Blender's color of a surface without material, scene-linear
_COLOR_INPUTS = {
    "BSDF_PRINCIPLED": "Base Color",
    "BSDF_DIFFUSE": "Color",
    "BSDF_GLOSSY": "Color",
    "BSDF_METALLIC": "Base Color",
    "BSDF_GLASS": "Color",
    "BSDF_TRANSLUCENT": "Color",
    "BSDF_SHEEN": "Color",
    "BSDF_TOON": "Color",
    "SUBSURFACE_SCATTERING": "Color",
    "EMISSION": "Color",
}
_DECODED = decode_srgb(np.arange(256) / 255).astype(np.float32)  # of each byte
_REC709_SPACES = {"Linear Rec.709", "Linear", "Linear BT.709"}
_LINEAR_SPACES = {"Non-Color", "Raw", "scene_linear", *_REC709_SPACES}


class _Unknown(Exception):
    """The nodes compute the color in a way that is not followed here."""


class Places:
    """P places on a mesh: polygon (P,), its triangle's corners (P, 3), barycentric weights (P, 3)."""

    def __init__(self, mesh: bpy.types.Mesh, polygons: np.ndarray, corners: np.ndarray, weights: np.ndarray):
        self.mesh, self.polygons, self.corners, self.weights = mesh, polygons, corners, weights

    def __len__(self) -> int:
        return len(self.polygons)

    def at(self, which: np.ndarray) -> "Places":
        return Places(self.mesh, self.polygons[which], self.corners[which], self.weights[which])

    def attribute(self, name: str, width: int) -> np.ndarray:
        """(P, width) the mesh's attribute of that name, interpolated. Raises _Unknown when it has none."""
        attribute = self.mesh.attributes.get(name)
        key = {"FLOAT_COLOR": "color", "BYTE_COLOR": "color", "FLOAT_VECTOR": "vector", "FLOAT2": "vector"}.get(
            attribute.data_type if attribute is not None else ""
        )
        if attribute is None or key is None:
            raise _Unknown
        stored = {"color": 4, "vector": 2 if attribute.data_type == "FLOAT2" else 3}[key]
        if stored < width:
            raise _Unknown
        if key == "color":
            values = vertex_colors(attribute)[:, :width]
        else:
            values = np.empty(stored * len(attribute.data), dtype=np.float32)
            attribute.data.foreach_get(key, values)
            values = values.reshape(-1, stored)[:, :width]
        if attribute.domain == "FACE":
            return values[self.polygons]
        indices = self.corners
        if attribute.domain == "POINT":
            vertices = np.empty(len(self.mesh.loops), dtype=np.int32)
            self.mesh.attributes[".corner_vert"].data.foreach_get("value", vertices)
            indices = vertices[indices]
        elif attribute.domain != "CORNER":
            raise _Unknown
        return sum(self.weights[:, corner, None] * values[indices[:, corner]] for corner in range(3))


def surface_colors(mesh, materials: list, polygons: np.ndarray, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(P, 3) linear Rec.709 base colors at places on a mesh (see `Places`); NaN where the nodes do not tell.

    `materials`: one per material index, None for an empty slot.
    """
    return to_rec709(_surface_colors(mesh, materials, Places(mesh, polygons, corners, weights)))


def _surface_colors(mesh, materials: list, places: Places) -> np.ndarray:
    """The same, scene-linear."""
    indices = mesh.attributes.get("material_index")
    if indices is None or len(materials) < 2:
        return _colors(materials[0] if materials else None, places)
    index_of = np.empty(len(mesh.polygons), dtype=np.int32)
    indices.data.foreach_get("value", index_of)
    index_of = np.clip(index_of, 0, len(materials) - 1)[places.polygons]
    colors = np.empty((len(places), 3), dtype=np.float32)
    for index in np.unique(index_of):
        here = index_of == index
        colors[here] = _colors(materials[index], places.at(here))
    return colors


def _colors(material: bpy.types.Material | None, places: Places) -> np.ndarray:
    try:
        if material is None:
            active = places.mesh.color_attributes.active_color
            return places.attribute(active.name, 3) if active is not None else _flat((GRAY,) * 3, places)
        if material.node_tree is None:
            return _flat(material.diffuse_color, places)
        return _shader_colors(_shader(material), places)
    except _Unknown:
        return np.full((len(places), 3), np.nan, dtype=np.float32)


def _flat(color, places: Places) -> np.ndarray:
    return np.tile(np.array(color[:3], dtype=np.float32), (len(places), 1))


def _shader(material: bpy.types.Material) -> bpy.types.Node:
    """The first shader with a color upstream of the active output, nearest first."""
    output = next(
        (node for node in material.node_tree.nodes if node.type == "OUTPUT_MATERIAL" and node.is_active_output), None
    )
    surface = output.inputs["Surface"] if output is not None else None
    waiting = [surface] if surface is not None else []
    while waiting:
        socket = waiting.pop(0)
        for link in socket.links:
            if link.from_node.type in _COLOR_INPUTS:
                return link.from_node
            waiting += [entry for entry in link.from_node.inputs if entry.type == "SHADER" or _is_reroute(entry.node)]
    raise _Unknown


def _shader_colors(shader: bpy.types.Node, places: Places) -> np.ndarray:
    colors = _socket_colors(shader.inputs[_COLOR_INPUTS[shader.type]], places)
    if shader.type == "EMISSION":
        return colors * _number(shader.inputs["Strength"])
    if shader.type == "BSDF_PRINCIPLED" and "Emission Strength" in shader.inputs:
        strength_input = shader.inputs["Emission Strength"]
        if strength_input.is_linked or strength_input.default_value > 0:
            emitted = shader.inputs.get("Emission Color")
            if emitted is not None:
                colors = colors + _number(strength_input) * _socket_colors(emitted, places)
    return colors


def _number(socket: bpy.types.NodeSocket) -> float:
    if not socket.is_linked:
        return float(socket.default_value)
    source = _source(socket)
    if source.node.type == "VALUE":
        return float(source.default_value)
    raise _Unknown


def _source(socket: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    """The output that feeds a linked input, past reroutes."""
    source = socket.links[0].from_socket
    while _is_reroute(source.node):
        inlet = source.node.inputs[0]
        if not inlet.is_linked:
            raise _Unknown
        source = inlet.links[0].from_socket
    return source


def _is_reroute(node: bpy.types.Node) -> bool:
    return node.type == "REROUTE"


def _socket_colors(socket: bpy.types.NodeSocket, places: Places) -> np.ndarray:
    """(P, 3) scene-linear colors that enter a socket."""
    if not socket.is_linked:
        return _flat(socket.default_value, places)
    output = _source(socket)
    source: Any = output.node
    if source.mute:
        raise _Unknown
    if source.type == "RGB":
        return _flat(output.default_value, places)
    if source.type == "TEX_IMAGE" and output.name == "Color":
        return _image_colors(source, places)
    if source.type == "VERTEX_COLOR" and output.name == "Color":
        return places.attribute(source.layer_name or _render_color(places.mesh), 3)
    if source.type == "ATTRIBUTE" and output.name in ("Color", "Vector") and source.attribute_type == "GEOMETRY":
        return places.attribute(source.attribute_name or _render_color(places.mesh), 3)
    raise _Unknown


def _render_color(mesh: bpy.types.Mesh) -> str:
    index = mesh.color_attributes.render_color_index
    if 0 <= index < len(mesh.color_attributes):
        return mesh.color_attributes[index].name
    raise _Unknown


def _image_colors(node: bpy.types.Node, places: Places) -> np.ndarray:
    """The image's nearest pixels, as scene-linear colors."""
    image = node.image
    if image is None or image.source not in ("FILE", "GENERATED") or node.projection != "FLAT":
        raise _Unknown
    width, height = image.size
    if width == 0 or height == 0:
        raise _Unknown
    space = image.colorspace_settings.name
    if not (image.is_float or space == "sRGB" or space in _LINEAR_SPACES):
        raise _Unknown  # a byte image in a color space that only Blender can convert
    columns, rows, is_inside = _pixels_at(_image_coordinates(node, places), width, height, node.extension)
    channels = image.channels
    values = np.empty(width * height * channels, dtype=np.float32)
    image.pixels.foreach_get(values)
    found = values.reshape(height, width, channels)[rows, columns]
    colors = np.repeat(found[:, :1], 3, axis=1) if channels < 3 else found[:, :3]
    if not image.is_float and space == "sRGB":  # float pixels are scene-linear already
        colors = to_working(_DECODED[np.rint(colors * 255).astype(np.uint8)])
    elif not image.is_float and space in _REC709_SPACES:
        colors = to_working(colors)
    return np.where(is_inside[:, None], colors, np.float32(0))


def _pixels_at(uv: np.ndarray, width: int, height: int, extension: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns and rows (bottom first) of the pixels at `uv` (P, 2), and whether the image is there at all."""
    columns = np.floor(uv[:, 0] * width).astype(np.int64)
    rows = np.floor(uv[:, 1] * height).astype(np.int64)
    is_inside = np.ones(len(uv), dtype=bool)
    if extension == "REPEAT":
        return columns % width, rows % height, is_inside
    if extension == "MIRROR":
        columns, rows = columns % (2 * width), rows % (2 * height)
        return np.minimum(columns, 2 * width - 1 - columns), np.minimum(rows, 2 * height - 1 - rows), is_inside
    if extension == "CLIP":
        is_inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    return np.clip(columns, 0, width - 1), np.clip(rows, 0, height - 1), is_inside


def _image_coordinates(node: bpy.types.Node, places: Places) -> np.ndarray:
    """(P, 2) where an image node looks: a UV map, perhaps moved by a Mapping node."""
    socket = node.inputs["Vector"]
    if not socket.is_linked:
        return places.attribute(_render_uv(places.mesh), 2)
    output = _source(socket)
    source: Any = output.node
    if source.type == "MAPPING":
        inner = source.inputs["Vector"]
        if not inner.is_linked:
            raise _Unknown
        return _mapped(source, _uv(_source(inner), places))
    return _uv(output, places)


def _uv(output: bpy.types.NodeSocket, places: Places) -> np.ndarray:
    source: Any = output.node
    if source.type == "UVMAP" and not source.from_instancer:
        return places.attribute(source.uv_map or _render_uv(places.mesh), 2)
    if source.type == "TEX_COORD" and output.name == "UV" and not source.from_instancer:
        return places.attribute(_render_uv(places.mesh), 2)
    if source.type == "ATTRIBUTE" and output.name == "Vector" and source.attribute_type == "GEOMETRY":
        return places.attribute(source.attribute_name, 2)
    raise _Unknown


def _render_uv(mesh: bpy.types.Mesh) -> str:
    for layer in mesh.uv_layers:
        if layer.active_render:
            return layer.name
    raise _Unknown


def _mapped(node: bpy.types.Node, uv: np.ndarray) -> np.ndarray:
    """What a Mapping node of type Point or Texture makes of `uv` (P, 2)."""
    if node.vector_type not in ("POINT", "TEXTURE"):
        raise _Unknown
    values = []
    for name in ("Location", "Rotation", "Scale"):
        if node.inputs[name].is_linked:
            raise _Unknown
        values.append(node.inputs[name].default_value)
    location, rotation, scale = values
    matrix = np.array(rotation.to_matrix())
    places = np.concatenate([uv, np.zeros((len(uv), 1))], axis=1)
    if node.vector_type == "POINT":
        return ((places * np.array(scale)) @ matrix.T + np.array(location))[:, :2]
    return (((places - np.array(location)) @ matrix) / np.array(scale))[:, :2]
