"""Held-out review."""

import bpy

from ..operators.review import SPLAT_OT_leave_review, SPLAT_OT_review_view
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
        if splat.held_out_views:
            split = layout.split(factor=0.5)
            split.label(text="Worst view first")
            row = split.row()
            row.label(text="PSNR dB")
            row.label(text="SSIM")
            layout.template_list(
                SPLAT_UL_held_out_views.bl_idname, "", splat, "held_out_views", splat, "held_out_index", rows=4
            )
            layout.row().prop(splat, "review_mode", expand=True)
        row = layout.row(align=True)
        row.operator(SPLAT_OT_review_view.bl_idname, icon="VIEW_CAMERA")
        if review.is_reviewing(context.scene):
            row.operator(SPLAT_OT_leave_review.bl_idname, icon="LOOP_BACK")


CLASSES = (SPLAT_UL_held_out_views, SPLAT_PT_review)
