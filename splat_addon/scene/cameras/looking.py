"""Looking through a camera of a capture: a viewport, the scene's camera and the picture's size are borrowed.

What has to change meanwhile is kept with the scene, so that it is given back even after the file was saved and loaded.
"""

from typing import Any

import bpy

from ..session import part
from .framing import frame_camera

_KEPT = ("resolution_x", "resolution_y", "resolution_percentage", "pixel_aspect_x", "pixel_aspect_y")
_KEPT_OF_VIEW = ("view_location", "view_rotation", "view_distance", "view_camera_zoom", "view_camera_offset")
_KEPT_OF_SPACE = ("lock_camera", "use_local_camera")
_KEY, _CAMERA_KEY, _VIEWS_KEY = "splat_look_before", "splat_look_camera", "splat_look_viewports"


class TurnedViewports:
    """What viewports were before they were turned, by scene and by name, for scenes that look through a camera: undo
    takes it from the scene, and leaves the viewports turned."""

    def __init__(self) -> None:
        self.of_scene: dict[int, dict[str, dict]] = {}


def is_looking(scene: bpy.types.Scene) -> bool:
    """Whether the scene's camera and size are borrowed."""
    return _KEY in scene


def begin(scene: bpy.types.Scene) -> None:
    """Remember the artist's camera and size, unless they are borrowed already."""
    if not is_looking(scene):
        scene[_KEY] = {name: getattr(scene.render, name) for name in _KEPT}
        scene[_CAMERA_KEY] = scene.camera
        scene[_VIEWS_KEY] = {}


def look_through(context: bpy.types.Context, scene: bpy.types.Scene, camera_object: bpy.types.Object) -> None:
    """Make it the scene's camera, and let one viewport look through it: that of the context, else one that was turned
    before, else the largest. Blender turns the viewport's own view meanwhile: that is remembered with the rest."""
    scene.camera = camera_object
    viewports, turned = _viewports(context, scene), _turned(scene)
    here = [key for key, area in viewports.items() if area == context.area]
    before = [key for key in viewports if key in turned]
    largest = sorted(viewports, key=lambda key: viewports[key].width * viewports[key].height)[-1:]
    for key in (here or before or largest)[:1]:
        space: Any = viewports[key].spaces.active
        region_3d = space.region_3d
        if key not in turned or region_3d.view_perspective != "CAMERA":
            turned[key] = {
                "view_perspective": region_3d.view_perspective,
                **{name: _plain(getattr(region_3d, name)) for name in _KEPT_OF_VIEW},
                **{name: getattr(space, name) for name in _KEPT_OF_SPACE},
            }
            part(TurnedViewports).of_scene.setdefault(scene.session_uid, {})[key] = turned[key].to_dict()
            is_framed = True
        else:  # the next picture may have other sides; a frame that the artist has zoomed or moved is left alone
            is_framed = _framing_of(region_3d) == _plain(turned[key].get("framed", []))
        space.lock_camera = space.use_local_camera = False
        region_3d.view_perspective = "CAMERA"
        if is_framed:
            frame_camera(viewports[key], scene)
            turned[key]["framed"] = _framing_of(region_3d)
        viewports[key].tag_redraw()


def end(context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    """Give camera, size and viewports back to the artist."""
    before: Any = scene.get(_KEY)
    if before is None:
        return
    turned = _turned(scene)
    for key, area in _viewports(context, None).items():
        if key in turned:
            _turn_back(area, turned[key])
    for name in _KEPT:
        setattr(scene.render, name, before[name])
    scene.camera = scene.get(_CAMERA_KEY)
    part(TurnedViewports).of_scene.pop(scene.session_uid, None)
    chosen = scene.splat.review
    chosen.opacity, chosen.show_splats, chosen.show_points = 1.0, True, True
    for key in (_KEY, _CAMERA_KEY, _VIEWS_KEY):
        if key in scene:
            del scene[key]


def follow_undo(context: bpy.types.Context) -> None:
    """Undo and redo leave viewports alone: turn those back whose scene looks through no camera any longer, and those
    again whose scene does once more."""
    turned, areas = part(TurnedViewports).of_scene, _viewports(context, None)
    for scene in bpy.data.scenes:
        if is_looking(scene) and scene.session_uid not in turned:
            turned[scene.session_uid] = {key: before.to_dict() for key, before in _turned(scene).items()}
            for key in turned[scene.session_uid].keys() & areas.keys():
                _view_of(areas[key]).view_perspective = "CAMERA"
        elif not is_looking(scene):
            for key, before in turned.pop(scene.session_uid, {}).items():
                if key in areas:
                    _turn_back(areas[key], before)


def forget_viewports() -> None:
    """Another file was loaded: what its scenes keep is all that is known."""
    part(TurnedViewports).of_scene.clear()


def _view_of(area: bpy.types.Area) -> Any:
    space: Any = area.spaces.active
    return space.region_3d


def _turned(scene: bpy.types.Scene) -> Any:
    """What the turned viewports were before, by their names."""
    if _VIEWS_KEY not in scene:
        scene[_VIEWS_KEY] = {}
    return scene[_VIEWS_KEY]


def _turn_back(area: bpy.types.Area, before: Any) -> None:
    space: Any = area.spaces.active
    region_3d = space.region_3d
    for name in _KEPT_OF_SPACE:
        setattr(space, name, bool(before[name]))
    if region_3d.view_perspective == "CAMERA":  # else the artist has turned away already
        region_3d.view_perspective = before["view_perspective"]
        for name in _KEPT_OF_VIEW:
            setattr(region_3d, name, before[name])
    area.tag_redraw()


def _framing_of(region_3d: Any) -> list[float]:
    return [region_3d.view_camera_zoom, *region_3d.view_camera_offset]


def _plain(value):
    """A number, or a list of numbers from a vector: what a scene can keep."""
    return value if isinstance(value, int | float) else list(value)


def _viewports(context: bpy.types.Context, scene: bpy.types.Scene | None) -> dict[str, bpy.types.Area]:
    """The 3D views of all windows that show `scene` (None: any), by a name that a saved file finds again."""
    found = {}
    for window in context.window_manager.windows:
        for index, area in enumerate(window.screen.areas):
            if area.type == "VIEW_3D" and (scene is None or window.scene == scene):
                found[f"{window.screen.name}/{index}"] = area
    return found
