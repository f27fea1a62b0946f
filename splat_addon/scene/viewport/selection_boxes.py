"""The box around selected splat objects, drawn where Blender would outline other objects. Never around unselected ones.

Splats have no outline of their own: without the box nobody could tell which object is selected.
"""

from typing import Any

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

_EDGES = [(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7)]
_WIDTH_PX = 1.5


def selected(items: list[bpy.types.Object], layer: bpy.types.ViewLayer) -> list[bpy.types.Object]:
    """Those that get a box: selected, and not being edited."""
    return [item for item in items if item.select_get(view_layer=layer) and item.mode == "OBJECT"]


def edges_of(item: bpy.types.Object) -> np.ndarray:
    """(24, 3) world points, two for each edge of the object's box as Blender has evaluated it."""
    corners = np.array([(*corner, 1.0) for corner in item.bound_box]) @ np.array(item.matrix_world).T
    return corners[np.array(_EDGES).ravel(), :3]


def draw(context: Any, items: list[bpy.types.Object]) -> None:
    """Draw the boxes of the selected ones among `items` in the viewport that is being drawn, if it has overlays."""
    overlay = context.space_data.overlay
    if not (overlay.show_overlays and overlay.show_outline_selected):
        return
    theme = context.preferences.themes[0].view_3d
    width_px = _WIDTH_PX * (context.preferences.system.ui_scale or 1.0)  # 0 without a window
    for item in selected(items, context.view_layer):
        is_active = item == context.view_layer.objects.active
        draw_edges(edges_of(item), theme.object_active if is_active else theme.object_selected, width_px)


def draw_edges(points: np.ndarray, color: Any, width_px: float) -> None:
    """Draw lines between each two of `points`, hidden by nearer surfaces; with the matrices that are set."""
    shader: Any = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    batch = batch_for_shader(shader, "LINES", {"pos": points.astype(np.float32)})
    state: Any = gpu.state
    state.blend_set("ALPHA")
    state.depth_test_set("LESS_EQUAL")
    shader.bind()
    shader.uniform_float("viewportSize", state.viewport_get()[2:])
    shader.uniform_float("lineWidth", width_px)
    shader.uniform_float("color", (*color, 1.0))
    batch.draw(shader)
    state.depth_test_set("NONE")
    state.blend_set("NONE")
