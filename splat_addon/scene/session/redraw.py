"""The one way to have parts of the interface drawn again."""

import bpy


def redraw(*area_types: str) -> None:
    """Draw all areas of these types again, in all windows, sidebars included; 3D views when no type is named."""
    for manager in bpy.data.window_managers:
        for window in manager.windows:
            for area in window.screen.areas:
                if area.type in (area_types or ("VIEW_3D",)):
                    area.tag_redraw()
