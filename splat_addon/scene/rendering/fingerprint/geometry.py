"""Geometry as a mark: of a million vertices with corners and a UV map in about half a second."""

from typing import Any

import bpy
import numpy as np

from .marks import Mark, MarkMaker

_KEYS = {"FLOAT_COLOR": "color", "BYTE_COLOR": "color", "FLOAT_VECTOR": "vector", "FLOAT2": "vector"}
_TYPES = {
    "INT": np.int32, "INT8": np.int8, "BOOLEAN": np.bool_, "INT16_2D": np.int16, "INT32_2D": np.int32,
}  # fmt: skip
_CONVERTED = (bpy.types.Curve, bpy.types.MetaBall)  # what is rendered of these is a mesh
_HAIRS = 500  # of a particle system are looked at


def geometry_mark(item: bpy.types.Object) -> Mark:
    """What an evaluated object's own data shows; the mark of nothing where it has no geometry."""
    digest = MarkMaker()
    data: Any = item.data
    if isinstance(data, _CONVERTED):
        mesh = item.to_mesh()
        if mesh is not None:
            _add_mesh(digest, mesh)
            item.to_mesh_clear()
    elif isinstance(data, bpy.types.Mesh):
        _add_mesh(digest, data)
    elif hasattr(data, "attributes"):
        _add_attributes(digest, data.attributes)
        curves = getattr(data, "curves", None)
        if curves is not None:
            _add_array(digest, curves, "points_length", np.int32)
    elif hasattr(data, "layers"):
        _add_drawings(digest, data)
    return digest.mark()


def hair_mark(item: bpy.types.Object) -> Mark:
    """Some hairs of an evaluated object's particle systems that are rendered as paths."""
    digest = MarkMaker()
    for system in item.particle_systems:
        settings = system.settings
        if settings.render_type != "PATH" or settings.type != "HAIR":
            continue
        count = len(system.particles)
        digest.say(str(count))
        which = range(0, count, max(1, count // _HAIRS))
        ends = [system.co_hair(object=item, particle_no=index, step=step)[:] for index in which for step in (1, 4)]
        digest.add(np.array(ends, dtype=np.float32))
    return digest.mark()


def _add_mesh(digest: MarkMaker, mesh: bpy.types.Mesh) -> None:
    _add_attributes(digest, mesh.attributes)
    _add_array(digest, mesh.polygons, "loop_start", np.int32)
    if getattr(mesh, "has_custom_normals", False) and "custom_normal" not in mesh.attributes:
        _add_array(digest, mesh.corner_normals, "vector", np.float32, 3)
    shown = [layer.name for layer in mesh.uv_layers if layer.active_render]
    digest.say(repr((shown, mesh.color_attributes.render_color_index)))


def _add_attributes(digest: MarkMaker, attributes: Any) -> None:
    found = {attribute.name: attribute for attribute in attributes}  # in one order for all sessions
    has_edge_values = any(item.domain == "EDGE" and not name.startswith(".") for name, item in found.items())
    for name in sorted(found):
        attribute = found[name]
        is_topology = name == ".corner_vert" or (name == ".edge_verts" and has_edge_values)
        if (name.startswith(".") and not is_topology) or not len(attribute.data):
            continue
        digest.say(f"{name} {attribute.domain} {attribute.data_type}")
        if attribute.data_type == "STRING":
            digest.say(repr([item.value for item in attribute.data]))
            continue
        key = _KEYS.get(attribute.data_type, "value")
        key = key if hasattr(attribute.data[0], key) else "vector"
        spec = attribute.data[0].bl_rna.properties[key]
        width = 16 if attribute.data_type == "FLOAT4X4" else spec.array_length or 1
        _add_array(digest, attribute.data, key, _TYPES.get(attribute.data_type, np.float32), width)


def _add_array(digest: MarkMaker, collection: Any, key: str, kind: Any, width: int = 1) -> None:
    values = np.empty(len(collection) * width, dtype=kind)
    collection.foreach_get(key, values)
    digest.add(values)


def _add_drawings(digest: MarkMaker, data: Any) -> None:
    """Grease Pencil, as drawn at the current frame."""
    for layer in data.layers:
        is_former = hasattr(layer, "active_frame")  # before Blender 4.3
        frame = layer.active_frame if is_former else layer.current_frame()
        digest.say(repr((getattr(layer, "name", ""), layer.hide, layer.opacity)))
        if frame is not None and is_former:
            for stroke in frame.strokes:
                _add_array(digest, stroke.points, "co", np.float32, 3)
        elif frame is not None:
            _add_attributes(digest, frame.drawing.attributes)
