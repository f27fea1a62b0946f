"""Held-out review."""

import bpy

from ..operators.review import SPLAT_OT_leave_review, SPLAT_OT_review_view, SPLAT_OT_step_review
from ..splat_addon.scene import review
from .capture import SidebarPanel


class SPLAT_UL_held_out_views(bpy.types.UIList):
    bl_idname = "SPLAT_UL_held_out_views"

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        split = layout.split(factor=0.5)
        split.label(text=item.name, icon="CAMERA_DATA")
        row = split.row()
        row.label(text=f"{item.psnr_db:.2f}")
        row.label(text=f"{item.ssim:.3f}")


class SPLAT_PT_review(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_review"
    bl_label = "Review"

    def draw(self, context):
        layout, splat = self.layout, context.scene.splat
        is_reviewing = review.is_reviewing(context.scene)
        if splat.held_out_views:
            split = layout.split(factor=0.5)
            split.label(text="Worst view first")
            row = split.row()
            row.label(text="PSNR dB")
            row.label(text="SSIM")
            layout.template_list(
                SPLAT_UL_held_out_views.bl_idname, "", splat, "held_out_views", splat, "held_out_index", rows=4
            )
        row = layout.row(align=True)
        row.operator(SPLAT_OT_review_view.bl_idname, icon="VIEW_CAMERA")
        if is_reviewing:
            row.operator(SPLAT_OT_step_review.bl_idname, text="", icon="TRIA_UP").by = -1
            row.operator(SPLAT_OT_step_review.bl_idname, text="", icon="TRIA_DOWN").by = 1
            _draw_look(layout, splat.review)
            layout.operator(SPLAT_OT_leave_review.bl_idname, icon="LOOP_BACK")


def _draw_look(layout, chosen) -> None:
    """What is laid over the frame, and how."""
    column = layout.column(align=True)
    column.row(align=True).prop(chosen, "mode", expand=True)
    if chosen.mode == "WIPE":
        column.prop(chosen, "wipe", slider=True)
    if chosen.mode == "DIFFERENCE":
        column.prop(chosen, "gain")
        column.prop(chosen, "use_ramp")
    layout.prop(chosen, "show_badge")


CLASSES = (SPLAT_UL_held_out_views, SPLAT_PT_review)
