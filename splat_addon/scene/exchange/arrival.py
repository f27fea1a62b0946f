"""What an import does beside the splats, so that they can be seen at once: the default cube, and the view."""

import math

import bpy
import numpy as np
from mathutils import Vector

from ..cameras.framing import free_part
from ..own_data import is_local

ROOM = 1.1  # around what is framed
_SLOPE = 0.72  # of a viewport's wide side with a lens of 50 mm: Blender shows twice what a camera would
_CORNERS = 8


def hide_default_cube(layer: bpy.types.ViewLayer) -> bpy.types.Object | None:
    """Hide the cube of Blender's default scene, in the viewport and in renders, where nobody has changed it; returns
    it."""
    for item in layer.objects:
        if item.name == "Cube" and is_local(item) and not item.hide_render and _is_as_blender_made_it(item):
            item.hide_set(True, view_layer=layer)
            item.hide_render = True
            return item
    return None


def _is_as_blender_made_it(item: bpy.types.Object) -> bool:
    mesh = item.data
    if not isinstance(mesh, bpy.types.Mesh) or len(mesh.vertices) != _CORNERS or len(mesh.polygons) != 6:
        return False
    is_edited = item.modifiers or item.constraints or item.animation_data or item.parent or item.children
    corners = np.abs(np.array([vertex.co for vertex in mesh.vertices]))
    return not is_edited and np.allclose(corners, 1.0) and np.allclose(np.array(item.matrix_basis), np.eye(4))


def frame(context: bpy.types.Context, items: list[bpy.types.Object]) -> bool:
    """Let the largest 3D view of the window look at these objects from where it looks now; whether there is one. Of
    splats, their box decides, which floaters do not reach."""
    areas = [area for area in context.window.screen.areas if area.type == "VIEW_3D"] if context.window else []
    if not areas:
        return False
    area = max(areas, key=lambda area: area.width * area.height)
    depsgraph = context.evaluated_depsgraph_get()
    corners = [
        item.matrix_world @ Vector(corner) for item in items for corner in item.evaluated_get(depsgraph).bound_box
    ]
    low, high = (Vector([pick(axis) for axis in zip(*corners, strict=True)]) for pick in (min, max))
    space = area.spaces.active
    assert isinstance(space, bpy.types.SpaceView3D)
    view = space.region_3d
    left, _, right, _ = free_part(area)
    slope_of_pixel = 2 * _SLOPE * 50.0 / space.lens / max(area.width, area.height)
    slope = slope_of_pixel * max(1, min(right - left, area.height)) / 2
    if view.view_perspective == "CAMERA":
        view.view_perspective = "PERSP"
    view.view_distance = max(1e-3, ROOM * (high - low).length / 2 / math.sin(math.atan(slope)))
    aside = slope_of_pixel * view.view_distance * (area.width - right - left) / 2
    view.view_location = (low + high) / 2 + view.view_rotation @ Vector((aside, 0.0, 0.0))
    area.tag_redraw()
    return True
