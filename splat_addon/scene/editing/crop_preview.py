"""A crop shown while its volume moves: what it would take away is left out in the viewport. Nothing is written."""

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ...errors import SceneError
from ..session import part, timer
from ..session.redraw import redraw
from ..splats.appearance import splat_objects
from ..viewport import display
from .cropping import taken_away


class CropPreview:
    """Why the volume cannot crop; empty when it can."""

    def __init__(self) -> None:
        self.problem = ""


def problem() -> str:
    """Why nothing is previewed, in a sentence for the user."""
    return part(CropPreview).problem


def refresh() -> None:
    """Leave out what the volume of the scene at hand takes away, if that is to be previewed; show all if not."""
    scene = bpy.context.scene
    chosen = scene.splat.editing
    part(CropPreview).problem = ""
    masks = {}
    if chosen.preview and chosen.volume is not None:
        try:
            for item in splat_objects(scene):
                if item != chosen.volume and item.mode == "OBJECT":
                    masks[item.data.session_uid] = taken_away(item, chosen.volume, chosen.side)
        except SceneError as error:
            part(CropPreview).problem = f"{error.message} {error.remedy}"
            masks = {}
    _leave_out(masks)


def _leave_out(masks: dict[int, np.ndarray]) -> None:
    """Let the viewports not draw these splats (N,), by the `session_uid` of their data."""
    shown = display.state()
    if masks or shown.left_out:
        shown.left_out = masks
        for picture in shown.pictures.values():
            picture.forget_order()
        redraw()


def _on_change(_scene: bpy.types.Scene) -> None:
    timer.stop(refresh)
    refresh()


@persistent
def _on_update(scene, depsgraph) -> None:
    chosen = scene.splat.editing
    if not chosen.preview or chosen.volume is None:
        return
    for update in depsgraph.updates:
        block = update.id.original
        is_volume = block in (chosen.volume, chosen.volume.data)
        if is_volume or (isinstance(block, bpy.types.Object) and block in splat_objects(scene)):
            timer.start(refresh)  # not here: a handler computes nothing
            return


@persistent
def _on_other_data(*_) -> None:
    if any(scene.splat.editing.preview for scene in bpy.data.scenes):
        timer.start(refresh)


ON_CHANGE = {"editing.crop": _on_change}
HANDLERS = {"depsgraph_update_post": _on_update, "undo_post": _on_other_data, "redo_post": _on_other_data}
HANDLERS |= {"load_post": _on_other_data}
