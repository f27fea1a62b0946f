"""What review and curves need beside operators: keys, a handler for undo and loading, a look at the run, the icon."""

import bpy

from ..splat_addon.scene.review import curves, held_out, overlay
from . import save_report
from .review import SPLAT_OT_step_review

KEYS = (("PAGE_DOWN", 1), ("PAGE_UP", -1))  # free in Blender's 3D view; without a review they do nothing
LOOK_EVERY_S = 1.0
_HANDLERS = ("undo_post", "redo_post", "load_post")


class _Keys:
    """The add-on's own key bindings, to be removed again."""

    added: list[tuple[bpy.types.KeyMap, bpy.types.KeyMapItem]] = []


def register() -> None:
    """Add keys, handlers and the timer."""
    configuration = bpy.context.window_manager.keyconfigs.addon
    if configuration is not None:
        keymap = configuration.keymaps.new(name="3D View", space_type="VIEW_3D")
        for key, by in KEYS:
            item = keymap.keymap_items.new(SPLAT_OT_step_review.bl_idname, key, "PRESS", repeat=True)
            item.properties.by = by
            _Keys.added.append((keymap, item))
    curves.open_previews()
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).append(follow_review)
    bpy.app.timers.register(_look_at_run, first_interval=LOOK_EVERY_S, persistent=True)


def unregister() -> None:
    """Leave nothing behind; a view that is shown stays looked through until the review is left."""
    if bpy.app.timers.is_registered(_look_at_run):
        bpy.app.timers.unregister(_look_at_run)
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(follow_review)
    for keymap, item in _Keys.added:
        keymap.keymap_items.remove(item)
    _Keys.added.clear()
    save_report.stop_looking()
    overlay.close()
    curves.close_previews()


@bpy.app.handlers.persistent
def follow_review(*_) -> None:
    """The images follow undo, redo and a loaded file."""
    held_out.follow(bpy.context)


def _look_at_run() -> float:
    """A newer measurement of the run replaces the images that are shown. Rests unless a view is shown."""
    if bpy.context.window_manager.windows and held_out.is_reviewing(bpy.context.scene):
        held_out.follow(bpy.context)
    return LOOK_EVERY_S
