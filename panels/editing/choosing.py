"""Choosing splats: by value, with a histogram, by neighbors, and by volume."""

import bpy

from ...operators.editing.cropping import SPLAT_OT_crop_splats, SPLAT_OT_merge_captures
from ...operators.editing.selecting import (
    SPLAT_OT_delete_selected,
    SPLAT_OT_grow_selection,
    SPLAT_OT_invert_selection,
    SPLAT_OT_select_by_value,
)
from ...operators.splats.inspect import SPLAT_OT_show_hidden
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.editing import crop_preview, histograms
from ...splat_addon.scene.editing.selecting import Quantity
from ...splat_addon.scene.settings.splats.editing import ATTRIBUTE, COLOR
from ...splat_addon.scene.splats.data import is_splats
from ..capture import SidebarPanel
from ..wrap import draw_sentence

MARGIN_PX = 53  # what the sidebar leaves next to a panel's content, times the interface's scale


def _has_splats(context) -> bool:
    active = context.active_object
    return active is not None and is_splats(active)


class SPLAT_PT_select(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_select"
    bl_parent_id = "SPLAT_PT_editing"
    bl_label = "Select"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return _has_splats(context)

    def draw(self, context):
        layout, chosen = self.layout, context.scene.splat.editing
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(chosen, "quantity")
        if chosen.quantity == ATTRIBUTE:
            layout.prop(chosen, "attribute")
        if chosen.quantity == COLOR:
            layout.prop(chosen, "color")
        if context.active_object.mode == "OBJECT":
            _draw_histogram(layout, context)
        column = layout.column(align=True)
        column.prop(chosen, "low")
        column.prop(chosen, "high")
        select = layout.operator(SPLAT_OT_select_by_value.bl_idname, icon="RESTRICT_SELECT_OFF")
        select.quantity, select.attribute, select.color = chosen.quantity, chosen.attribute, chosen.color
        select.low, select.high = chosen.low, chosen.high
        row = layout.row(align=True)
        row.operator(SPLAT_OT_grow_selection.bl_idname, text="Grow", icon="ADD").shrinks = False
        row.operator(SPLAT_OT_grow_selection.bl_idname, text="Shrink", icon="REMOVE").shrinks = True
        row = layout.row(align=True)
        row.operator(SPLAT_OT_invert_selection.bl_idname, text="Invert", icon="ARROW_LEFTRIGHT")
        row.operator(SPLAT_OT_delete_selected.bl_idname, text="Delete", icon="TRASH")


def _draw_histogram(layout, context) -> None:
    chosen, scale = context.scene.splat.editing, context.preferences.system.ui_scale or 1.0  # 0 without a window
    width = context.region.width if context.region is not None else 0
    units = max(6.0, min(20.0, (width / scale - MARGIN_PX) / 20))
    side = round(units * 20 * scale)
    place = tuple(context.scene.cursor.location)
    quantity = Quantity(chosen.quantity, chosen.attribute, tuple(chosen.color), place)
    found = histograms.shown_for(context.active_object, quantity, chosen.low, chosen.high, (side, side // 2))
    if found is None:
        layout.label(text="Counting …")
        return
    shown, icon = found
    if shown.problem:
        draw_sentence(layout, shown.problem, "INFO")
        return
    layout.template_icon(icon, scale=units)
    row = layout.row()
    row.label(text=f"{shown.edges[0]:.3g}")
    row.label(text=f"{counted(shown.selected)} splats")
    row.label(text=f"{shown.edges[-1]:.3g}")


class SPLAT_PT_crop(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_crop"
    bl_parent_id = "SPLAT_PT_editing"
    bl_label = "Crop"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return _has_splats(context)

    def draw(self, context):
        layout, chosen = self.layout, context.scene.splat.editing
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(chosen, "volume")
        layout.prop(chosen, "side")
        layout.prop(chosen, "preview")
        row = layout.row(align=True)
        hide = row.operator(SPLAT_OT_crop_splats.bl_idname, text="Hide", icon="HIDE_ON")
        hide.action, hide.side = "HIDE", chosen.side
        select = row.operator(SPLAT_OT_crop_splats.bl_idname, text="Select", icon="RESTRICT_SELECT_OFF")
        select.action, select.side = "SELECT", chosen.side
        delete = row.operator(SPLAT_OT_crop_splats.bl_idname, text="Delete", icon="TRASH")
        delete.action, delete.side = "DELETE", chosen.side
        layout.operator(SPLAT_OT_show_hidden.bl_idname, icon="HIDE_OFF")
        layout.operator(SPLAT_OT_merge_captures.bl_idname, icon="SELECT_EXTEND")
        if chosen.preview and crop_preview.problem():
            draw_sentence(layout, crop_preview.problem(), "ERROR")


CLASSES = (SPLAT_PT_select, SPLAT_PT_crop)
