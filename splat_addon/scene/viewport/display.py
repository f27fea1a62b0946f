"""Splats in the viewports: which are shown, when they are read again, and how the display starts and ends.

While there is anything to show, one draw handler paints it after Blender has drawn everything else, in every viewport
and shading mode. What it keeps is in `Display`, never saved, and gone when the display is switched off. Nothing there
is a reference to Blender's data: objects are found again by name and `session_uid`.

Their objects' own geometry is switched off meanwhile: see `box_modifier.py`. Where it is not, Blender shows the object,
and nothing is drawn over that.
"""

import traceback
from dataclasses import dataclass
from typing import Any, Protocol

import bpy
import gpu
import numpy as np
from bpy.app.handlers import persistent

from ...errors import SplatError
from ..session import part, timer
from ..session.redraw import redraw
from ..settings.trained_for import is_antialiased
from ..splats import adoption, appearance
from ..splats.box_modifier import hand_over, has_box
from ..splats.data import BLEND_SPACE_KEY, is_splats
from . import edit_points, selection_boxes, standing_out, turning
from .depth import read_depth
from .look import look_of
from .picture import Atlas, Picture, Placed, Viewpoint, forget_programs
from .texels import CloudSplats, Splats, fingerprint, float_attributes

_MOST_PICTURES = 16


class Preview(Protocol):
    """Splats that are drawn although no object holds them: those of a run while it trains."""

    splats: CloudSplats
    scene_uid: int  # of the scene they are drawn in
    place: np.ndarray | None  # (4, 4) world from splats; None while they are not to be seen

    def replaces(self, item: bpy.types.Object) -> bool:
        """Whether an object is not drawn meanwhile, since it shows the same in the same place."""


class Display:
    """What the display remembers between redraws."""

    def __init__(self) -> None:
        self.handle: object | None = None  # of the draw handler, while the display runs
        self.preview: Preview | None = None
        self.listed: list[tuple[tuple[str, str | None], int]] | None = None  # names and uids; None: look again
        self.changed: set[int] = set()  # uids of data-blocks that were updated since they were read
        self.is_all_changed = False
        self.atlas: Atlas | None = None
        self.pictures: dict[int, Picture] = {}  # by region
        self.problem = ""
        self.ramp_ends: tuple[float, float] | None = None
        self.left_out: dict[int, np.ndarray] = {}  # by uid: splats that a preview takes away

    def close(self) -> None:
        """Let go of everything: the draw handler, what was read, textures, shaders."""
        if self.handle is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self.handle, "WINDOW")
            self.handle = None
        self.forget_data()
        forget_programs()

    def forget_data(self) -> None:
        """Let go of what was read from the file."""
        self.atlas = None
        edit_points.forget()
        self.pictures.clear()
        self.changed.clear()
        self.listed = None
        self.problem = ""
        standing_out.forget()
        turning.forget()


def state() -> Display:
    """The session's own."""
    return part(Display)


def set_preview(preview: Preview | None) -> None:
    """Draw a preview in the viewports, or none any more."""
    state().preview = preview
    start_anew()


def replaced_by_preview(scene: bpy.types.Scene) -> list[str]:
    """The names of objects that are not drawn in a scene, since a preview shows the same in the same place."""
    preview = state().preview
    if preview is None or preview.scene_uid != scene.session_uid or preview.place is None:
        return []
    return [item.name for item in _splat_objects() if item.name in scene.objects and preview.replaces(item)]


def problem() -> str:
    """Why nothing is drawn, in a sentence for the user; empty when all is well."""
    return state().problem


def ramp_ends() -> tuple[float, float] | None:
    """The numbers that the ends of the color ramp stand for; None while colors are radiance."""
    return state().ramp_ends


def is_running() -> bool:
    """Whether the draw handler is there."""
    return state().handle is not None


# --- What is shown -------------------------------------------------------------------------------------------------


def visible_splats(view_layer: bpy.types.ViewLayer, space: bpy.types.SpaceView3D | None) -> list[bpy.types.Object]:
    """The splat objects whose splats this viewport shows: boxes stand for them, and they are not hidden, neither by
    their collections nor by local view."""
    options: dict[str, Any] = {"view_layer": view_layer} | ({"viewport": space} if space is not None else {})
    return [item for item in _splat_objects() if has_box(item) and item.visible_get(**options)]


@dataclass
class Shown:
    """The splats that a viewport shows: objects and a preview, where they stand, and how they were trained."""

    items: list[bpy.types.Object]
    preview: Preview | None
    placed: list[Placed]
    blend_spaces: list[str]


def shown_in(scene: bpy.types.Scene, layer: bpy.types.ViewLayer, space: bpy.types.SpaceView3D | None) -> Shown:
    """What a viewport shows now."""
    preview = state().preview
    if preview is not None and (preview.scene_uid != scene.session_uid or preview.place is None):
        preview = None
    items = [item for item in visible_splats(layer, space) if preview is None or not preview.replaces(item)]
    placed = [Placed(item.data.session_uid, np.array(item.matrix_world), is_antialiased(item)) for item in items]
    blend_spaces = [str(item.get(BLEND_SPACE_KEY, "")) for item in items]
    if preview is not None and preview.place is not None:
        placed.append(Placed(preview.splats.session_uid, preview.place, preview.splats.antialiased))
        blend_spaces.append(preview.splats.blend_space)
    return Shown(items, preview, placed, blend_spaces)


def is_shown(scene: bpy.types.Scene) -> bool:
    """Whether the splats of a scene are drawn; while it has none, whether they will be."""
    items = [item for item in _splat_objects() if item.name in scene.objects]
    return any(map(has_box, items)) if items else scene.splat.viewport.show


def _splat_objects() -> list[bpy.types.Object]:
    """All splat objects of the file. Thousands of other objects are looked through only after changes."""
    listed = state().listed
    if listed is not None:
        found = [bpy.data.objects.get(key) for key, _ in listed]
        if all(item is not None and item.session_uid == uid for item, (_, uid) in zip(found, listed)):
            return [item for item in found if item is not None]
    items = [item for item in bpy.data.objects if item.type in ("MESH", "POINTCLOUD") and is_splats(item)]
    state().listed = [
        ((item.name, item.library.filepath if item.library else None), item.session_uid) for item in items
    ]
    return items


def current_atlas(items: list[bpy.types.Object], preview: Preview | None = None) -> tuple[Atlas, dict[int, Splats]]:
    """The atlas with the data of `items` and of `preview`, and those by uid. Read again only when some are new, gone or
    changed.

    Data-blocks that were shown before and are hidden now stay in it, so that showing them again costs nothing.
    """
    display = state()
    existing: dict[int, Splats] = {}
    for item in _splat_objects():
        if preview is None or not preview.replaces(item):
            data: Any = item.data
            existing[data.session_uid] = data
    needed: set[int] = {item.data.session_uid for item in items}
    if preview is not None:
        existing[preview.splats.session_uid] = preview.splats
        needed.add(preview.splats.session_uid)
    atlas = display.atlas
    kept = needed | (set(atlas.first) & set(existing) if atlas else set())
    if atlas is None or kept != set(atlas.first) or any(_has_changed(atlas, existing[uid]) for uid in kept):
        display.atlas = atlas = None  # its textures go before the new ones come
        atlas = display.atlas = Atlas({uid: existing[uid] for uid in sorted(kept)})
        for picture in display.pictures.values():
            picture.forget_order()
    elif display.changed or display.is_all_changed:
        atlas.forget_ramps()
    display.changed.clear()
    display.is_all_changed = False
    atlas.leave_out(display.left_out)
    return atlas, existing


def _has_changed(atlas: Atlas, data: Any) -> bool:
    if not state().is_all_changed and data.session_uid not in state().changed:
        return False
    if getattr(data, "is_editmode", False):
        return False  # its points are out of reach until edit mode is left
    return fingerprint(data) != atlas.fingerprints[data.session_uid]


# --- Drawing -------------------------------------------------------------------------------------------------------


def _draw() -> None:
    """Called by Blender at the end of each redraw of each viewport."""
    if state().problem:
        return
    try:
        _draw_region(bpy.context)
    except SplatError as error:
        _stop_drawing(f"{error.message} {error.remedy}")
    except Exception:  # shown once, not at each redraw
        traceback.print_exc()
        _stop_drawing("The splats cannot be drawn here. Switch Show Splats off and on; details are in the console.")


def _stop_drawing(sentence: str) -> None:
    state().problem = sentence
    state().atlas = None
    state().pictures.clear()


def _draw_region(context: Any) -> None:
    display, scene, region, region_3d = state(), context.scene, context.region, context.region_data
    if region_3d is None:
        return
    shown = shown_in(scene, context.view_layer, context.space_data)
    if not shown.placed:
        if not _splat_objects():
            display.atlas = None
        return
    look = look_of(scene, shown.blend_spaces)
    atlas, blocks = current_atlas(shown.items, shown.preview)
    gpu_state: Any = gpu.state
    x, y, width, height = gpu_state.viewport_get()
    view = Viewpoint(width, height, np.array(region_3d.view_matrix), np.array(region_3d.window_matrix))
    depth = None
    if scene.splat.viewport.is_hidden_by_meshes:
        depth = read_depth(context.space_data, (x, y, width, height))
    picture = _picture_of(region.as_pointer(), context.window_manager)
    is_playing = context.screen.is_animation_playing
    turning.paint(region.as_pointer(), picture, atlas, blocks, shown.placed, view, look, depth, is_playing)
    picture.lay_over(look.is_linear, (x, y))
    selection_boxes.draw(context, shown.items)
    edit_points.draw(context, shown.items)
    standing_out.draw_rays(shown.items)
    is_radiance = look.color_by == "RADIANCE"
    display.ramp_ends = None if is_radiance else atlas.ramp(blocks, look.color_by, look.attribute)[1]


def _picture_of(region: int, windows: bpy.types.WindowManager) -> Picture:
    if region not in state().pictures:
        present = {r.as_pointer() for w in windows.windows for area in w.screen.areas for r in area.regions}
        kept = [key for key in state().pictures if key in present][-_MOST_PICTURES:]
        state().pictures = {key: state().pictures[key] for key in kept}
        state().pictures[region] = Picture()
    return state().pictures[region]


# --- Start and end -------------------------------------------------------------------------------------------------


def start_anew(*_) -> None:
    """Start or end the display as scenes and objects say, try again after a problem, and redraw."""
    display = state()
    display.problem = ""
    display.ramp_ends = None
    display.listed = None
    if display.preview is not None or _is_anything_shown():
        if display.handle is None:
            display.handle = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")
    else:
        end()
    redraw()


def _is_anything_shown() -> bool:
    return any(scene.splat.viewport.show for scene in bpy.data.scenes) or any(map(has_box, _splat_objects()))


def end() -> None:
    """Let go of everything: the draw handler, textures, shaders."""
    state().close()


def _on_show(scene: bpy.types.Scene) -> None:
    hand_over(scene)
    start_anew()


def show(scene: bpy.types.Scene, wanted: bool) -> None:
    """Draw the splats of a scene, those included that came by other ways, or show their objects."""
    scene.splat.viewport.show = wanted
    if wanted:
        adopt(scene, adoption.waiting(scene))
    start_anew()


def adopt(scene: bpy.types.Scene, items: list[bpy.types.Object]) -> None:
    """Make splat objects that came by other ways be as ours are: drawn by us in renders and, if chosen, in viewports.

    To be called in an action of the artist, never from a handler.
    """
    for item in items:
        appearance.show_splats(item, scene)
    hand_over(scene)


def _on_drawn(item: bpy.types.Object) -> None:
    """Something about how an object is drawn was chosen: files of earlier versions get the nodes for it."""
    for scene in item.users_scene if is_splats(item) else ():
        adopt(scene, [item])
    start_anew()


def _on_trained_for(item: bpy.types.Object) -> None:
    if is_splats(item) and appearance.look_modifier(item) is None:
        adopt(bpy.context.scene, [item])
    start_anew()


def _attribute_names(scene: bpy.types.Scene, typed: str) -> list[str]:
    """Names of attributes, of any splat object of the scene, that are one number per splat."""
    found = {name for item in scene.objects if is_splats(item) for name in float_attributes(item.data)}
    return sorted(name for name in found if typed.lower() in name.lower())


@persistent
def _on_update(scene, depsgraph) -> None:
    for update in depsgraph.updates:
        block = update.id.original
        if isinstance(block, bpy.types.Mesh | bpy.types.PointCloud):
            state().changed.add(block.session_uid)
            edit_points.forget(block.session_uid)
            state().listed = None
        elif not isinstance(block, bpy.types.Object) or update.is_updated_geometry:
            state().listed = None
            if not is_running() and isinstance(block, bpy.types.Object) and is_splats(block) and has_box(block):
                start_anew()  # it was appended to a file that shows none


@persistent
def _on_undo(*_) -> None:
    state().is_all_changed = True
    state().listed = None
    edit_points.forget()
    start_anew()


@persistent
def _on_load_pre(*_) -> None:
    state().forget_data()


@persistent
def _on_load(*_) -> None:
    state().forget_data()
    start_anew()


HANDLERS = {
    "depsgraph_update_post": _on_update,
    "undo_post": _on_undo,
    "redo_post": _on_undo,
    "load_pre": _on_load_pre,
    "load_post": _on_load,
}
ON_CHANGE = {
    "drawn_by": _on_drawn,
    "trained_for": _on_trained_for,
    "antialiased": _on_drawn,
    "viewport": start_anew,
    "viewport.show": _on_show,
    "viewport.attributes": _attribute_names,
}


def register() -> None:
    """The display itself starts as soon as Blender lets scenes be read, which is after this."""
    timer.start(start_anew)
