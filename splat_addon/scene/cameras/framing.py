"""Framing what a viewport's camera sees in the part of the viewport that nothing covers."""

import math

import bpy

_ROOM = 0.94  # of the free part
_SQRT2 = math.sqrt(2.0)
_ZOOMS = (-30.0, 600.0)  # Blender's limits of `view_camera_zoom`


def free_part(area: bpy.types.Area) -> tuple[int, int, int, int]:
    """Left, bottom, right and top of what no toolbar, header or sidebar of a 3D view covers, in pixels of its main
    region."""
    main = next(region for region in area.regions if region.type == "WINDOW")
    left, bottom, right, top = 0, 0, main.width, main.height
    for region in area.regions:
        x, y = region.x - main.x, region.y - main.y
        if region.type == "TOOLS" and region.width > 1:
            left = max(left, x + region.width)
        elif region.type == "UI" and region.width > 1:
            right = min(right, x)
        elif region.type in ("HEADER", "TOOL_HEADER") and region.height > 1 and y > main.height / 2:
            top = min(top, y)
    return left, bottom, max(left + 1, right), max(bottom + 1, top)


def frame_camera(area: bpy.types.Area, scene: bpy.types.Scene) -> tuple[float, float, float]:
    """Zoom and move a viewport's camera view so that the whole picture lies in its free part; returns zoom and
    offset as they are then. The frame's size and place follow `BKE_camera_params_from_view3d` in Blender's source; a
    lens's shift moves view and frame alike."""
    space = area.spaces.active
    assert isinstance(space, bpy.types.SpaceView3D)
    main = next(region for region in area.regions if region.type == "WINDOW")
    if main.width <= 1 or main.height <= 1:  # no window
        return space.region_3d.view_camera_zoom, *space.region_3d.view_camera_offset
    view, render, camera = space.region_3d, scene.render, space.camera if space.use_local_camera else scene.camera
    left, bottom, right, top = free_part(area)
    across = render.resolution_x * render.pixel_aspect_x
    up = render.resolution_y * render.pixel_aspect_y
    lens = camera.data if camera is not None and isinstance(camera.data, bpy.types.Camera) else None
    chosen = lens.sensor_fit if lens is not None else "AUTO"
    longer = {"HORIZONTAL": across, "VERTICAL": up}.get(chosen, max(across, up))
    sides = {"HORIZONTAL": main.width, "VERTICAL": main.height}
    side = sides.get(chosen, max(main.width, main.height))  # pixels of the fitted side at a zoom factor of 1
    factor = _ROOM * min((right - left) * longer / across, (top - bottom) * longer / up) / side
    zoom = 50.0 * (2.0 * math.sqrt(factor) - _SQRT2)
    view.view_camera_zoom = min(max(zoom, _ZOOMS[0]), _ZOOMS[1])
    factor = (_SQRT2 + view.view_camera_zoom / 50.0) ** 2 / 4.0
    aside = (main.width - left - right) / (4 * factor * main.width)
    down = (main.height - bottom - top) / (4 * factor * main.height)
    view.view_camera_offset = (aside, down)
    return view.view_camera_zoom, *view.view_camera_offset
