"""The inside of an object that an artist chose as a volume, as it is shown, with its modifiers."""

from typing import Any

import bpy
import numpy as np

from ..errors import SceneError
from ..gaussians.closed_mesh import ClosedMesh

_REMEDY = "Close it (Mesh > Clean Up > Fill Holes, Merge by Distance), or take a cube"


def volume_of(item: bpy.types.Object, there_from_item: np.ndarray) -> ClosedMesh:
    """The surface of an object, moved by a matrix (4, 4) from the object's frame. Raises SceneError where it has none,
    or no inside."""
    evaluated: Any = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    try:
        mesh: Any = evaluated.to_mesh()
    except RuntimeError:
        mesh = None
    if mesh is None:
        raise SceneError(f"'{item.name}' has no surface.", "Choose an object with a closed surface.")
    try:
        mesh.calc_loop_triangles()
        points: np.ndarray = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", points)
        triangles: np.ndarray = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", triangles)
    finally:
        evaluated.to_mesh_clear()
    places = points.reshape(-1, 3).astype(np.float64) @ there_from_item[:3, :3].T + there_from_item[:3, 3]
    volume = ClosedMesh(places, triangles.reshape(-1, 3).astype(np.int64))
    if volume.problem:
        raise SceneError(f"'{item.name}' has no inside: its surface {volume.problem}.", f"{_REMEDY}.")
    return volume
