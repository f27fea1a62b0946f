"""Floaters among the active object's splats."""

import bpy

from ..operators.splats.inspect import (
    SPLAT_OT_cancel_inspection,
    SPLAT_OT_cancel_removal_preview,
    SPLAT_OT_delete_floaters,
    SPLAT_OT_hide_floaters,
    SPLAT_OT_inspect_splats,
    SPLAT_OT_keep_splats,
    SPLAT_OT_mark_reflections,
    SPLAT_OT_preview_removal,
    SPLAT_OT_render_outside_views,
    SPLAT_OT_select_floaters,
    SPLAT_OT_show_floater_score,
    SPLAT_OT_show_hidden,
    SPLAT_OT_step_region,
)
from ..operators.splats.train_further import SPLAT_OT_train_further
from ..splat_addon.run.wording import counted
from ..splat_addon.scene.inspection import columns, found, histogram, stepping
from ..splat_addon.scene.inspection.columns import SCORE
from ..splat_addon.scene.tasks import inspecting, outside_views, previewing_removal
from .capture import draw_render_progress
from .curves import MARGIN_PX
from .splats import ActiveSplatsPanel
from .wrap import draw_fact, draw_sentence

HOLES = "Deleting alone leaves holes: floaters hold color that photos demand. Training on closes them."


class SPLAT_PT_floaters(ActiveSplatsPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_floaters"
    bl_label = "Floaters"

    def draw(self, context):
        layout, item = self.layout, context.active_object
        layout.use_property_split = True
        layout.use_property_decorate = False
        row = layout.row(align=True)
        if inspecting.is_running():
            fraction, state = inspecting.progress()
            row.progress(factor=fraction, text=state)
            row.operator(SPLAT_OT_cancel_inspection.bl_idname, text="", icon="X")
        else:
            row.operator(SPLAT_OT_inspect_splats.bl_idname, icon="VIEWZOOM")
        scores = found.scores(item.data)
        if scores is not None:
            _draw_found(layout, context, item, scores)
        else:
            _draw_outside_found(layout, context.scene, item)
        for sentence in inspecting.said_of(item):
            draw_sentence(layout, sentence, "ERROR")


def _draw_found(layout, context, item, scores) -> None:
    chosen = context.scene.splat
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    width = context.region.width if context.region is not None else 0
    units = max(6.0, min(20.0, (width / scale - MARGIN_PX) / 20))
    layout.template_icon(
        histogram.icon_for(scores, chosen.inspection.threshold, round(units * 20 * scale)), scale=units
    )
    layout.prop(chosen.inspection, "threshold")
    threshold = chosen.inspection.threshold
    draw_sentence(layout, f"{counted(scores.above(threshold))} splats are above it", "OUTLINER_DATA_POINTCLOUD")
    is_shown = chosen.viewport.color_by == "ATTRIBUTE" and chosen.viewport.attribute == SCORE
    row = layout.row(align=True)
    row.operator(SPLAT_OT_show_floater_score.bl_idname, icon="COLOR", depress=is_shown)
    row.prop(chosen.inspection, "ghost", toggle=True, icon="GHOST_ENABLED")
    layout.prop(chosen.inspection, "color")
    row = layout.row(align=True)
    row.operator(SPLAT_OT_step_region.bl_idname, text="Previous Region", icon="TRIA_LEFT").by = -1
    row.operator(SPLAT_OT_step_region.bl_idname, text="Next Region", icon="TRIA_RIGHT").by = 1
    row = layout.row(align=True)
    row.operator(SPLAT_OT_select_floaters.bl_idname, icon="RESTRICT_SELECT_OFF")
    row.operator(SPLAT_OT_keep_splats.bl_idname, icon="FAKE_USER_ON").keep = True
    row.operator(SPLAT_OT_keep_splats.bl_idname, text="", icon="FAKE_USER_OFF").keep = False
    row = layout.row(align=True)
    row.operator(SPLAT_OT_mark_reflections.bl_idname, icon="MOD_MIRROR").mark = True
    row.operator(SPLAT_OT_mark_reflections.bl_idname, text="", icon="X").mark = False
    row = layout.row(align=True)
    row.operator(SPLAT_OT_hide_floaters.bl_idname, icon="HIDE_ON")
    row.operator(SPLAT_OT_show_hidden.bl_idname, icon="HIDE_OFF")
    _draw_preview(layout)
    _draw_outside(layout, context)
    button = layout.operator(SPLAT_OT_train_further.bl_idname, text="Delete and Train On", icon="PLAY")
    button.without_floaters = True
    layout.operator(SPLAT_OT_delete_floaters.bl_idname, icon="TRASH")
    _draw_region(layout, stepping.shown(item.data, threshold))
    _draw_measured(layout, item, scores.above(threshold))
    _draw_outside_found(layout, context.scene, item)
    if columns.is_of_another_version(item.data):
        told = "Another version of the add-on has inspected these splats: its scores are not used. Inspect again."
        draw_sentence(layout, told, "ERROR")
    elif scores.changed:
        stale = f"{counted(scores.changed)} splats are not what was inspected: their scores are not used."
        draw_sentence(layout, stale, "ERROR")
    if scores.reflections:
        told = f"{counted(scores.reflections)} splats are taken for reflections, and not offered for removal."
        draw_sentence(layout, told, "MOD_MIRROR")
    for caveat in (HOLES, *stepping.CAVEATS):
        draw_sentence(layout, caveat, "INFO")


def _draw_region(layout, region) -> None:
    """Why the splats of the region that was stepped to were found."""
    if region is not None:
        layout.label(text=f"Region {region.number + 1} of {region.count}")
        for sentence in region.sentences:
            draw_sentence(layout, sentence, "DOT")


def _draw_preview(layout) -> None:
    """How to have the removal measured, or how far that is."""
    row = layout.row(align=True)
    if previewing_removal.is_running():
        fraction, state = previewing_removal.progress()
        row.progress(factor=fraction, text=state)
        row.operator(SPLAT_OT_cancel_removal_preview.bl_idname, text="", icon="X")
    else:
        row.operator(SPLAT_OT_preview_removal.bl_idname, icon="HIDE_OFF").selected = False
        row.operator(SPLAT_OT_preview_removal.bl_idname, text="Selected").selected = True


def _draw_outside(layout, context) -> None:
    """How to have truth rendered from off the path, or how far that is."""
    render = outside_views.render_of(context.scene, context.active_object)
    if render is not None and not render.is_over:
        draw_render_progress(layout, render)
        return
    row = layout.row(align=True)
    row.operator(SPLAT_OT_render_outside_views.bl_idname, icon="RENDER_STILL")
    count = row.row(align=True)
    count.ui_units_x = 3
    count.prop(context.scene.splat.inspection, "outside_count", text="")


def _draw_outside_found(layout, scene, item) -> None:
    """What was rendered off the path, and what that render has said."""
    render = outside_views.render_of(scene, item)
    if render is not None:
        if render.message:
            draw_sentence(layout, render.message, "ERROR" if render.state == "failed" else "CHECKMARK")
        for warning in render.warnings:
            draw_sentence(layout, warning, "INFO")
    views, changed, remedy = outside_views.views_of(scene, item), outside_views.CHANGED, outside_views.REMEDY
    if not views.rendered:
        return
    if views.are_of_capture and views.is_trained_on:
        count = counted(views.rendered)
        told = f"{count} views off the path, rendered of this scene: Preview Removal measures there, too."
    elif views.is_trained_on:
        told = "The views off the path are of another capture than this is now, and not used: render them again."
    elif views.are_of_capture:
        told = f"{changed}, and the views off the path are of the new one. {remedy}."
    else:
        told = f"{changed}: the views off its path are not used. {remedy}; then render again."
    draw_sentence(layout, told, "INFO" if views.are_of_capture and views.is_trained_on else "ERROR")


def _draw_measured(layout, item, count: int) -> None:
    """What the removal would change, once it was measured."""
    for sentence in previewing_removal.said_of(item):
        draw_sentence(layout, sentence, "ERROR")
    measured = previewing_removal.measured_of(item)
    if measured is None:
        return
    found, column = measured.removal, layout.column(align=True)
    if not previewing_removal.is_current(measured, item, count):
        draw_sentence(column, f"Without {counted(measured.count)} splats, others than now:", "INFO")
    else:
        draw_sentence(column, f"Without these {counted(measured.count)} splats:", "INFO")
    draw_fact(column, "PSNR", f"{found.psnr_db[0]:.2f} to {found.psnr_db[1]:.2f} dB")
    draw_fact(column, "SSIM", f"{found.ssim[0]:.4f} to {found.ssim[1]:.4f}")
    draw_fact(column, "Holes", f"{found.holes:.2%} of the pixels")
    draw_fact(column, "Worst View", found.worst_view)
    if found.off_path is not None:
        off = found.off_path
        if not previewing_removal.is_current_outside(measured):
            draw_sentence(column, "In other views off the path than are there now:", "INFO")
        draw_fact(column, "Off the Path", f"PSNR {off.psnr_db[0]:.2f} to {off.psnr_db[1]:.2f} dB")
        draw_fact(column, "Holes There", f"{off.holes:.2%} in {off.views} views")
        draw_fact(column, "Worst There", off.worst_view)


CLASSES = (SPLAT_PT_floaters,)
