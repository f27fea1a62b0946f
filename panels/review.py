"""Held-out review."""

import os

import bpy

from ..operators.review.held_out import SPLAT_OT_leave_review, SPLAT_OT_review_view, SPLAT_OT_step_review
from ..operators.review.report import SPLAT_OT_open_report, SPLAT_OT_save_report
from ..splat_addon.run.folder import RunFolder
from ..splat_addon.scene.review import held_out, switches
from ..splat_addon.scene.settings.paths import run_path
from ..splat_addon.scene.tasks import report_writer
from .capture import SidebarPanel
from .wrap import draw_sentence


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
    bl_label = "Held-out Review"

    def draw(self, context):
        layout, splat = self.layout, context.scene.splat
        is_reviewing = held_out.is_reviewing(context.scene)
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
            draw_switches(layout, context.scene)
            layout.operator(SPLAT_OT_leave_review.bl_idname, icon="LOOP_BACK")
        _draw_report(layout, context.scene)


def _draw_look(layout, chosen) -> None:
    """What is laid over the frame, and how."""
    column = layout.column(align=True)
    for modes in (("WIPE", "PHOTO", "RENDER"), ("DIFFERENCE", "NONE")):
        row = column.row(align=True)
        for mode in modes:
            row.prop_enum(chosen, "mode", mode)
    if chosen.mode == "WIPE":
        column.prop(chosen, "wipe", slider=True)
    if chosen.mode == "DIFFERENCE":
        column.prop(chosen, "gain")
        column.prop(chosen, "use_ramp")
    layout.prop(chosen, "show_badge")


def draw_switches(layout, scene) -> None:
    """What is seen while a camera of a capture is looked through."""
    column = layout.column(align=True)
    column.prop(scene.splat.review, "opacity", slider=True)
    row = column.row(align=True)
    row.prop(scene.splat.review, "show_splats", toggle=True)
    points = row.row(align=True)
    points.active = switches.has_points(scene)
    points.prop(scene.splat.review, "show_points", toggle=True)


def _draw_report(layout, scene) -> None:
    """Save and open the run's report; why it was not written."""
    path = run_path(scene)
    if path is None:
        return
    row = layout.row(align=True)
    text = "Writing the Report …" if report_writer.is_writing() else None
    row.operator(SPLAT_OT_save_report.bl_idname, text=text, icon="FILE_TICK")
    if os.path.isfile(RunFolder(path).report_file):
        row.operator(SPLAT_OT_open_report.bl_idname, text="Open", icon="URL")
    failure = report_writer.failure_of(path)
    if failure:
        draw_sentence(layout, failure, "ERROR")


CLASSES = (SPLAT_UL_held_out_views, SPLAT_PT_review)
