"""Looking through a camera of a capture: the viewport, the scene's camera and the picture's size are borrowed.

What has to change meanwhile is kept with the scene, so that it is given back even after the file was saved and loaded.
"""

from collections.abc import Iterator

import bpy

_KEPT = ("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y")
_KEY, _CAMERA_KEY = "splat_look_before", "splat_look_camera"


def is_looking(scene: bpy.types.Scene) -> bool:
    """Whether the scene's camera and size are borrowed."""
    return _KEY in scene


def begin(scene: bpy.types.Scene) -> None:
    """Remember the artist's camera and size, unless they are borrowed already."""
    if not is_looking(scene):
        scene[_KEY] = {name: getattr(scene.render, name) for name in _KEPT}
        scene[_CAMERA_KEY] = scene.camera


def look_through(context: bpy.types.Context, scene: bpy.types.Scene, camera_object: bpy.types.Object) -> None:
    """Make it the scene's camera and let all viewports look through it."""
    scene.camera = camera_object
    for region_3d in _viewports(context):
        region_3d.view_perspective = "CAMERA"


def end(context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    """Give camera and size back to the artist."""
    before = scene.get(_KEY)
    if before is None:
        return
    for name in _KEPT:
        setattr(scene.render, name, before[name])
    scene.camera = scene.get(_CAMERA_KEY)
    for key in (_KEY, _CAMERA_KEY):
        if key in scene:
            del scene[key]
    for region_3d in _viewports(context):
        if region_3d.view_perspective == "CAMERA":
            region_3d.view_perspective = "PERSP"


def _viewports(context: bpy.types.Context) -> Iterator[bpy.types.RegionView3D]:
    """The 3D views of all windows (none in background mode)."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                yield area.spaces.active.region_3d
