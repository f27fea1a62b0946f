"""The points of splat objects that are being edited, over their splats: selected ones in the theme's color.

Blender draws the points of what is shown in the viewport, where a box stands for point clouds, and the splats would lie
over those of a mesh. So edit mode would show nothing of what is selected.
"""

import itertools
from typing import Any

import bmesh
import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader
from mathutils import Matrix

from ..session import part
from .texels import read

SELECTED = ".selection"  # of point clouds; missing: all are selected
NEARER = 0.01  # of their distance, by which points are drawn nearer: Blender's own, in the same place, hide them else


class EditPoints:
    """What was read from objects in edit mode, by the uid of their data: places and batches of what is drawn."""

    def __init__(self) -> None:
        self.batches: dict[int, list[tuple[bool, gpu.types.GPUBatch]]] = {}


def forget(uid: int | None = None) -> None:
    """The data of this uid (of all, without one) has changed: read it again."""
    if uid is None:
        part(EditPoints).batches.clear()
    else:
        part(EditPoints).batches.pop(uid, None)


def edited(items: list[bpy.types.Object]) -> list[bpy.types.Object]:
    """Those that are being edited."""
    return [item for item in items if item.mode == "EDIT"]


def points_of(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) places in the object's frame, and (N,) whether they are selected, of the points that edit mode shows."""
    data: Any = item.data
    if isinstance(data, bpy.types.Mesh):
        shown: list[Any] = [vertex for vertex in bmesh.from_edit_mesh(data).verts if not vertex.hide]
        places = np.fromiter(itertools.chain.from_iterable(v.co for v in shown), np.float32, 3 * len(shown))
        return places.reshape(-1, 3), np.fromiter((v.select for v in shown), bool, len(shown))
    places, selected = read(data, "position", 3), read(data, SELECTED, 1)
    is_selected = selected.reshape(-1) != 0 if len(selected) == len(places) else np.ones(len(places), bool)
    return places, is_selected


def draw(context: Any, items: list[bpy.types.Object]) -> None:
    """Draw the points of those of `items` that are edited, hidden by what is nearer, selected ones last; if the
    viewport that is being drawn has overlays."""
    found = edited(items) if context.space_data.overlay.show_overlays else []
    if not found:
        forget()
        return
    theme = context.preferences.themes[0].view_3d
    width_px = (theme.vertex_size + 1.0) * (context.preferences.system.ui_scale or 1.0)  # 0 without a window
    is_hidden_by_meshes = not _sees_through(context.space_data.shading)
    for item in found:
        colors = {False: theme.vertex, True: theme.vertex_select}
        matrix = nearer(context.region_data) @ item.matrix_world
        draw_points(_batches(item), matrix, colors, width_px, is_hidden_by_meshes)


def nearer(view: Any) -> Matrix:
    """(4, 4) of world points: a little nearer to the eye of a viewport's `region_data`, seen in the same place."""
    world_from_view = view.view_matrix.inverted()
    if view.is_perspective:
        return world_from_view @ Matrix.Scale(1.0 - NEARER, 4) @ view.view_matrix
    return world_from_view @ Matrix.Translation((0, 0, NEARER * view.view_distance)) @ view.view_matrix


def _sees_through(shading: Any) -> bool:
    return shading.type == "WIREFRAME" or (shading.type == "SOLID" and shading.show_xray)


def _batches(item: bpy.types.Object) -> list[tuple[bool, gpu.types.GPUBatch]]:
    """What `item` is drawn with: whether these points are selected, and they."""
    data: Any = item.data
    kept = part(EditPoints).batches
    if data.session_uid not in kept:
        places, is_selected = points_of(item)
        kept[data.session_uid] = [
            (kind, batch_for_shader(_shader(), "POINTS", {"pos": places[is_selected == kind]}))
            for kind in (False, True)
            if (is_selected == kind).any()
        ]
    return kept[data.session_uid]


def draw_points(
    batches: list[tuple[bool, Any]], matrix: Any, colors: dict[bool, Any], width_px: float, is_hiding: bool
) -> None:
    """Draw batches of points as squares of `colors`, by whether they are selected; with the matrices that are set."""
    state: Any = gpu.state
    state.blend_set("ALPHA")
    state.depth_test_set("LESS_EQUAL" if is_hiding else "NONE")
    state.point_size_set(width_px)
    shader: Any = _shader()
    matrices: Any = gpu.matrix
    try:
        with matrices.push_pop():
            matrices.multiply_matrix(matrix)
            shader.bind()
            for is_selected, batch in batches:
                shader.uniform_float("color", (*colors[is_selected][:3], 1.0))
                batch.draw(shader)
    finally:
        state.point_size_set(1.0)
        state.depth_test_set("NONE")
        state.blend_set("NONE")


def _shader() -> Any:
    return gpu.shader.from_builtin("POINT_UNIFORM_COLOR")
