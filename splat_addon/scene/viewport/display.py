"""Splats in the viewports: which are shown, when they are read again, and how the display starts and ends.

While any scene shows splats, one draw handler paints them after Blender has drawn everything else, in every viewport
and shading mode. What it keeps is in `_Display`, never saved, and gone when the display is switched off. Nothing there
is a reference to Blender's data: objects are found again by name and `session_uid`.

Their objects' own geometry is switched off meanwhile: see `box_modifier.py`.
"""

import traceback
from typing import Any

import bpy
import gpu
import numpy as np
from bpy.app.handlers import persistent

from ...errors import SplatError
from ..splats.appearance import BLEND_SPACE_KEY
from ..splats.data import is_splats
from . import selection_boxes
from .picture import Atlas, Look, Picture, Placed, Viewpoint, forget_programs
from .texels import fingerprint

_MOST_PICTURES = 16


class _Display:
    """What the display remembers between redraws."""

    handle: object | None = None  # of the draw handler, while the display runs
    listed: list[tuple[tuple[str, str | None], int]] | None = None  # names and uids of splat objects; None: look again
    changed: set[int] = set()  # uids of data-blocks that were updated since they were read
    is_all_changed = False
    atlas: Atlas | None = None
    pictures: dict[int, Picture] = {}  # by region
    problem = ""
    has_depth = True
    ramp_ends: tuple[float, float] | None = None


def problem() -> str:
    """Why nothing is drawn, in a sentence for the user; empty when all is well."""
    return _Display.problem


def lacks_depth() -> bool:
    """Whether the last viewport drawn kept no depth, so that nothing could hide splats."""
    return not _Display.has_depth


def ramp_ends() -> tuple[float, float] | None:
    """The numbers that the ends of the colour ramp stand for; None while colours are radiance."""
    return _Display.ramp_ends


def is_running() -> bool:
    """Whether the draw handler is there."""
    return _Display.handle is not None


# --- What is shown -------------------------------------------------------------------------------------------------


def look_of(scene: bpy.types.Scene, items: list[bpy.types.Object]) -> Look:
    """The scene's settings, for the objects that are shown."""
    chosen = scene.splat.viewport
    return Look(
        kind=chosen.kind,
        color_by=chosen.color_by,
        attribute=chosen.attribute if chosen.color_by == "ATTRIBUTE" else "",
        fraction=chosen.fraction,
        sh_degree=chosen.sh_degree,
        is_linear=chosen.kind == "SPLATS" and _blends_linearly(chosen.blending, items),
        reach_sigma=chosen.reach_sigma,
        point_px=chosen.point_px,
    )


def _blends_linearly(blending: str, items: list[bpy.types.Object]) -> bool:
    """One picture has one blend space: linear only when all that is shown was trained so."""
    if blending == "TRAINED":
        return bool(items) and all(item.get(BLEND_SPACE_KEY) == "blender" for item in items)
    return blending == "LINEAR"


def visible_splats(view_layer: bpy.types.ViewLayer, space: bpy.types.SpaceView3D | None) -> list[bpy.types.Object]:
    """The splat objects that this viewport shows: hidden objects and collections and local view respected."""
    options: dict[str, Any] = {"view_layer": view_layer} | ({"viewport": space} if space is not None else {})
    return [item for item in _splat_objects() if item.visible_get(**options)]


def _splat_objects() -> list[bpy.types.Object]:
    """All splat objects of the file. Thousands of other objects are looked through only after changes."""
    if _Display.listed is not None:
        found = [bpy.data.objects.get(key) for key, _ in _Display.listed]
        if all(item is not None and item.session_uid == uid for item, (_, uid) in zip(found, _Display.listed)):
            return [item for item in found if item is not None]
    items = [item for item in bpy.data.objects if item.type in ("MESH", "POINTCLOUD") and is_splats(item)]
    _Display.listed = [
        ((item.name, item.library.filepath if item.library else None), item.session_uid) for item in items
    ]
    return items


def current_atlas(items: list[bpy.types.Object]) -> tuple[Atlas, dict[int, bpy.types.ID]]:
    """The atlas with the data-blocks of `items`, and those by uid. Read anew only when some are new, gone or changed.

    Data-blocks that were shown before and are hidden now stay in it, so that showing them again costs nothing.
    """
    existing: dict[int, Any] = {item.data.session_uid: item.data for item in _splat_objects()}
    needed = {item.data.session_uid for item in items}
    atlas = _Display.atlas
    kept = needed | (set(atlas.first) & set(existing) if atlas else set())
    if atlas is None or kept != set(atlas.first) or any(_has_changed(atlas, existing[uid]) for uid in kept):
        _Display.atlas = atlas = None  # its textures go before the new ones come
        atlas = _Display.atlas = Atlas({uid: existing[uid] for uid in sorted(kept)})
        for picture in _Display.pictures.values():
            picture.forget_order()
    _Display.changed.clear()
    _Display.is_all_changed = False
    return atlas, existing


def _has_changed(atlas: Atlas, data: bpy.types.ID) -> bool:
    if not _Display.is_all_changed and data.session_uid not in _Display.changed:
        return False
    if getattr(data, "is_editmode", False):
        return False  # its points are out of reach until edit mode is left
    return fingerprint(data) != atlas.fingerprints[data.session_uid]


# --- Drawing -------------------------------------------------------------------------------------------------------


def _draw() -> None:
    """Called by Blender at the end of each redraw of each viewport."""
    if _Display.problem:
        return
    try:
        _draw_region(bpy.context)
    except SplatError as error:
        _stop_drawing(f"{error.message} {error.remedy}")
    except Exception:  # shown once, not at each redraw
        traceback.print_exc()
        _stop_drawing("The splats cannot be drawn here. Switch Show Splats off and on; details are in the console.")


def _stop_drawing(sentence: str) -> None:
    _Display.problem = sentence
    _Display.atlas = None
    _Display.pictures.clear()


def _draw_region(context: Any) -> None:
    scene, region, region_3d = context.scene, context.region, context.region_data
    if region_3d is None or not scene.splat.viewport.show:
        return
    items = visible_splats(context.view_layer, context.space_data)
    if not items:
        if not _splat_objects():
            _Display.atlas = None
        return
    look = look_of(scene, items)
    atlas, blocks = current_atlas(items)
    state: Any = gpu.state
    x, y, width, height = state.viewport_get()
    view = Viewpoint(width, height, np.array(region_3d.view_matrix), np.array(region_3d.window_matrix))
    placed = [Placed(item.data.session_uid, np.array(item.matrix_world)) for item in items]
    depth = None
    if scene.splat.viewport.is_hidden_by_meshes:
        depth = _read_depth(x, y, width, height)
    picture = _picture_of(region.as_pointer(), context.window_manager)
    picture.paint(atlas, blocks, placed, view, look, depth)
    picture.lay_over(look.is_linear, (x, y))
    selection_boxes.draw(context, items)
    _Display.ramp_ends = None if look.color_by == "RADIANCE" else atlas.ramp(blocks, look.color_by, look.attribute)[1]


def _read_depth(x: int, y: int, width: int, height: int) -> gpu.types.GPUTexture:
    """The depth of what Blender has drawn. EEVEE leaves it at 0 while overlays are off."""
    state: Any = gpu.state
    types: Any = gpu.types
    values = state.active_framebuffer_get().read_depth(x, y, width, height)
    _Display.has_depth = bool(np.asarray(values, dtype=np.float32).any())
    return types.GPUTexture((width, height), format="R32F", data=values)


def _picture_of(region: int, windows: bpy.types.WindowManager) -> Picture:
    if region not in _Display.pictures:
        present = {r.as_pointer() for w in windows.windows for area in w.screen.areas for r in area.regions}
        kept = [key for key in _Display.pictures if key in present][-_MOST_PICTURES:]
        _Display.pictures = {key: _Display.pictures[key] for key in kept}
        _Display.pictures[region] = Picture()
    return _Display.pictures[region]


# --- Start and end -------------------------------------------------------------------------------------------------


def start_anew() -> None:
    """Start or end the display as the scenes say, try again after a problem, and redraw."""
    _Display.problem = ""
    _Display.ramp_ends = None
    if any(scene.splat.viewport.show for scene in bpy.data.scenes):
        if _Display.handle is None:
            _Display.handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")
    else:
        end()
    _redraw()


def end() -> None:
    """Let go of everything: the draw handler, textures, shaders."""
    if _Display.handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_Display.handle, "WINDOW")
        _Display.handle = None
    forget_data()
    forget_programs()


def forget_data() -> None:
    """Let go of what was read from the file."""
    _Display.atlas = None
    _Display.pictures.clear()
    _Display.changed.clear()
    _Display.listed = None
    _Display.problem = ""


def _redraw() -> None:
    for manager in bpy.data.window_managers:
        for window in manager.windows:
            for area in window.screen.areas:
                if area.type == "VIEW_3D":
                    area.tag_redraw()


@persistent
def _on_update(scene, depsgraph) -> None:
    for update in depsgraph.updates:
        block = update.id.original
        if isinstance(block, bpy.types.Mesh | bpy.types.PointCloud):
            _Display.changed.add(block.session_uid)
            _Display.listed = None
        elif not isinstance(block, bpy.types.Object) or update.is_updated_geometry:
            _Display.listed = None


@persistent
def _on_undo(*_) -> None:
    _Display.is_all_changed = True
    _Display.listed = None
    start_anew()


@persistent
def _on_load_pre(*_) -> None:
    forget_data()


@persistent
def _on_load(*_) -> None:
    forget_data()
    start_anew()


HANDLERS = {
    "depsgraph_update_post": _on_update,
    "undo_post": _on_undo,
    "redo_post": _on_undo,
    "load_pre": _on_load_pre,
    "load_post": _on_load,
}


def register() -> None:
    """Follow the file. The display itself starts as soon as Blender lets scenes be read, which is after this."""
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)
    bpy.app.timers.register(start_anew, first_interval=0.0)


def unregister() -> None:
    """Leave nothing behind."""
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    if bpy.app.timers.is_registered(start_anew):
        bpy.app.timers.unregister(start_anew)
    end()
