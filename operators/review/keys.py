"""The keys of a review: Page Up and Page Down step through held-out views."""

import bpy

from ...splat_addon.scene.session import part
from .held_out import SPLAT_OT_step_review

KEYS = (("PAGE_DOWN", 1), ("PAGE_UP", -1))  # free in Blender's 3D view; without a review they do nothing


class Keys:
    """The add-on's own key bindings."""

    def __init__(self) -> None:
        self.added: list[tuple[bpy.types.KeyMap, bpy.types.KeyMapItem]] = []

    def close(self) -> None:
        """Remove them."""
        for keymap, item in self.added:
            keymap.keymap_items.remove(item)


def register() -> None:
    """Add the keys."""
    configuration = bpy.context.window_manager.keyconfigs.addon
    if configuration is None:
        return
    keymap = configuration.keymaps.new(name="3D View", space_type="VIEW_3D")
    for key, by in KEYS:
        item = keymap.keymap_items.new(SPLAT_OT_step_review.bl_idname, key, "PRESS", repeat=True)
        item.properties.by = by
        part(Keys).added.append((keymap, item))
