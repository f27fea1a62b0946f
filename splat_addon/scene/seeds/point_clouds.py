"""Points of objects that are points: point clouds, and meshes without faces."""

from typing import Any

import bpy
import numpy as np

from ...capture.capture import Points
from ...capture.seeds.first_gaussians import joined
from ...errors import CaptureError
from ...gaussians.srgb import encode_srgb
from ..settings.working_space import to_rec709, vertex_colors
from ..splats.data import is_splats

COLOR_NAMES = ("Col", "Color", "color", "rgb", "RGB", "Cd")  # of importers; else any color attribute will do
NORMAL_NAMES = ("normal", "Normal", "N", "normals")


def is_point_cloud(item: bpy.types.Object) -> bool:
    """Whether an object holds points and nothing else; splats are not mere points."""
    if is_splats(item):
        return False
    if item.type == "POINTCLOUD":
        return True
    return item.type == "MESH" and len(item.data.vertices) > 0 and len(item.data.polygons) == 0


def read_points(objects: list[bpy.types.Object]) -> Points:
    """All points of `objects`, world frame, with the colors they carry (NaN where they carry none) and their normals.

    Raises CaptureError when there is no point.
    """
    depsgraph = bpy.context.evaluated_depsgraph_get()
    parts = [part for part in (_read(item, depsgraph) for item in objects) if len(part.positions)]
    if not parts:
        names = ", ".join(f"'{item.name}'" for item in objects[:3]) or "the selection"
        raise CaptureError(f"{names} has no points.", "Select a point cloud, or a mesh of vertices without faces.")
    return joined(parts)


def _read(item: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Points:
    data: Any = item.evaluated_get(depsgraph).data
    if "position" not in data.attributes or len(data.attributes["position"].data) == 0:
        data = item.data  # nodes that draw the points as something else leave none
    matrix = np.array(item.matrix_world, dtype=np.float64)
    positions = _vectors(data.attributes["position"]) @ matrix[:3, :3].T + matrix[:3, 3]
    color, normal = _color_attribute(data), _named(data, NORMAL_NAMES, ("FLOAT_VECTOR",))
    colors = np.full_like(positions, np.nan)
    if color is not None:
        linear = _vectors(color) if color.data_type == "FLOAT_VECTOR" else _colors(color)
        colors = encode_srgb(np.clip(to_rec709(linear), 0, 1))
    normals = None
    if normal is not None:
        normals = _vectors(normal) @ np.linalg.inv(matrix[:3, :3])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        normals = normals / np.where(lengths > 0, lengths, 1)
    return Points(positions, colors, normals)


def _color_attribute(data: Any) -> Any:
    """The colors that Blender shows for the points, else those of a usual name, else any."""
    shown = getattr(getattr(data, "color_attributes", None), "active_color", None)
    if shown is not None and shown.domain == "POINT":
        return shown
    named = _named(data, COLOR_NAMES, ("FLOAT_COLOR", "BYTE_COLOR", "FLOAT_VECTOR"))
    return named or _named(data, data.attributes.keys(), ("FLOAT_COLOR", "BYTE_COLOR"))


def _named(data: Any, names, kinds: tuple[str, ...]) -> Any:
    for name in names:
        attribute = data.attributes.get(name)
        if attribute is not None and attribute.domain == "POINT" and attribute.data_type in kinds:
            return attribute
    return None


def _vectors(attribute: Any) -> np.ndarray:
    values = np.empty(3 * len(attribute.data), dtype=np.float32)
    attribute.data.foreach_get("vector", values)
    return values.reshape(-1, 3).astype(np.float64)


def _colors(attribute: Any) -> np.ndarray:
    """(P, 3) scene-linear."""
    return vertex_colors(attribute)[:, :3].astype(np.float64)
