"""The lesson: fitting an image by 2D gaussians."""

import bpy

from ..operators.lesson import (
    SPLAT_OT_densify_lesson,
    SPLAT_OT_pause_lesson,
    SPLAT_OT_pick_lesson_gaussian,
    SPLAT_OT_reset_lesson,
    SPLAT_OT_step_lesson,
    SPLAT_OT_train_lesson,
)
from ..splat_addon.run.wording import counted
from ..splat_addon.scene.lesson import arrow, live, picture
from .capture import SidebarPanel
from .curves import ICON_PADDING_PX, MARGIN_PX
from .wrap import draw_fact, draw_sentence


class SPLAT_PT_lesson(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_lesson"
    bl_label = "Lesson"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, scene = self.layout, context.scene
        chosen, fitter = scene.splat.lesson, live.fitter_of(scene)
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(chosen, "target")
        if chosen.target == "IMAGE":
            layout.template_ID(chosen, "image", open="image.open")
        _draw_buttons(layout, scene)
        if fitter is not None:
            _draw_fit(layout, context, fitter)
        _draw_settings(layout, chosen)
        _draw_one(layout, scene, fitter)
        if fitter is not None and live.waits_for_reset(scene):
            draw_sentence(layout, "Changed settings take effect with Reset.", "INFO")
        for text in (live.problem_of(scene), *live.notes_of(scene)):
            if text:
                draw_sentence(layout, text, "INFO")


def _draw_buttons(layout, scene) -> None:
    is_training = live.is_training(scene)
    row = layout.row(align=True)
    if is_training:
        row.operator(SPLAT_OT_pause_lesson.bl_idname, icon="PAUSE")
    else:
        row.operator(SPLAT_OT_train_lesson.bl_idname, icon="PLAY")
    row.operator(SPLAT_OT_step_lesson.bl_idname, icon="FRAME_NEXT")
    row.operator(SPLAT_OT_reset_lesson.bl_idname, icon="FILE_REFRESH")
    row = layout.row(align=True)
    row.use_property_split = False
    row.operator(SPLAT_OT_densify_lesson.bl_idname, icon="STICKY_UVS_DISABLE")
    row.prop(scene.splat.lesson, "is_auto", toggle=True)


def _draw_fit(layout, context, fitter) -> None:
    """Numbers, and the pictures with their names above."""
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    speed = f", {live.steps_per_second():.0f} it/s" if live.steps_per_second() else ""
    column = layout.column(align=True)
    draw_fact(column, "Step", f"{counted(fitter.step_count)}{speed}")
    draw_fact(column, "Gaussians", counted(len(fitter.gaussians)))
    if fitter.measured is not None:
        held_out = fitter.held_out_losses.values
        hint = f", held out {held_out[-1]:.3g} (blue)" if held_out else ""
        draw_fact(column, "Loss", f"{fitter.measured.loss:.3g}{hint}")
    column = layout.column(align=True)
    row = column.row()
    for name in ("Target", "Render", f"Diff. × {picture.DIFFERENCE_GAIN:.0f}"):
        row.label(text=name)
    width = context.region.width if context.region is not None else 0
    units = max(6.0, min(20.0, (width / scale - MARGIN_PX) / 20))
    size = round(units * 20 * scale) - 2 * ICON_PADDING_PX
    column.template_icon(picture.icon_for(fitter, size), scale=units)


def _draw_settings(layout, chosen) -> None:
    header, body = layout.panel("splat_lesson_fit", default_closed=True)
    header.label(text="Fit")
    if body is not None:
        for name in ("count", "seed", "side_px", "compositing", "is_anisotropic", "held_out", "loss"):
            body.prop(chosen, name)
        if chosen.loss == "L1_SSIM":
            body.prop(chosen, "ssim_lambda")
    header, body = layout.panel("splat_lesson_density", default_closed=True)
    header.label(text="Densification")
    if body is not None:
        body.prop(chosen, "strategy")
        body.prop(chosen, "most")


def _draw_one(layout, scene, fitter) -> None:
    """The chosen gaussian's gradient, factor by factor."""
    header, body = layout.panel("splat_lesson_one", default_closed=True)
    header.label(text="Gaussians in the 3D View")
    if body is None:
        return
    body.prop(scene.splat.lesson, "color_by")
    body.prop(scene.splat.lesson, "dot_sigmas", slider=True)
    body.prop(scene.splat.lesson, "selected")
    row = body.row(align=True)
    row.operator(SPLAT_OT_pick_lesson_gaussian.bl_idname, text="Highest Gradient").by = "GRADIENT"
    row.operator(SPLAT_OT_pick_lesson_gaussian.bl_idname, text="At 3D Cursor").by = "CURSOR"
    terms = arrow.chosen_terms(scene, fitter) if fitter is not None else None
    if terms is not None:
        column = body.column(align=True)
        for line in arrow.lines_of(terms):
            draw_sentence(column, line)
    elif scene.splat.lesson.selected >= 0 and fitter is not None:
        body.label(text="It reaches no pixel, or is gone.", icon="INFO")


CLASSES = (SPLAT_PT_lesson,)
