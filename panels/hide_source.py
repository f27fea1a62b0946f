"""Hiding what was captured, next to splats."""

from ..operators.splats.hide_source import SPLAT_OT_hide_source, SPLAT_OT_show_source
from ..splat_addon.scene.splats import hidden_source


def draw_source(layout, context) -> None:
    """One button: hide what was captured, or put it back."""
    if hidden_source.is_hidden(context.scene, context.view_layer):
        layout.operator(SPLAT_OT_show_source.bl_idname, icon="HIDE_ON")
    else:
        layout.operator(SPLAT_OT_hide_source.bl_idname, icon="HIDE_OFF")
