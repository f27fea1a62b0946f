"""Runs that were found on this machine."""

import bpy

from ..operators.runs import (
    SPLAT_OT_delete_run,
    SPLAT_OT_find_runs,
    SPLAT_OT_import_run,
    SPLAT_OT_resume_run,
    SPLAT_OT_watch_run,
)
from ..splat_addon.run.find import FoundRun
from ..splat_addon.run.wording import counted
from ..splat_addon.scene.runs import found_runs
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.settings.paths import run_path, why_no_run
from ..splat_addon.scene.tasks import live_run
from .capture import SidebarPanel
from .wrap import draw_sentence

SHOWN = 6  # runs; older ones are found through the preferences or the Run field


class SPLAT_PT_runs(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_runs"
    bl_parent_id = "SPLAT_PT_training"
    bl_label = "Runs"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 2

    def draw_header_preset(self, context):
        if found_runs.runs():
            is_any_training = any(run.is_training for run in found_runs.runs())
            icon = "RENDER_ANIMATION" if is_any_training else "NONE"
            self.layout.label(text=counted(len(found_runs.runs())), icon=icon)  # type: ignore[arg-type] # a str
        self.layout.operator(SPLAT_OT_find_runs.bl_idname, text="", icon="FILE_REFRESH", emboss=False)

    def draw(self, context):
        layout, own = self.layout, run_path(context.scene)
        watched = live_run.current()
        is_above = watched is not None and not watched.is_over and live_run.is_shown(watched, context.scene)
        shown = [run for run in found_runs.runs() if not (is_above and run.path == watched.folder.path)]
        if not shown:
            layout.label(text="Looking for runs …" if found_runs.is_searching() else "No other run was found")
        for run in shown[:SHOWN]:
            _draw_run(layout, run, is_own=run.path == own)
        if len(shown) > SHOWN:
            layout.label(text=f"and {len(shown) - SHOWN} older", icon="BLANK1")
        if own is None and (reason := why_no_run(context.scene)):
            draw_sentence(layout, reason, "ERROR")
        if own is not None and found_runs.is_missing(own):
            remedy = "It was moved or deleted: choose where it is now in the Splats panel."
            draw_sentence(layout, f"The run folder {own} is gone. {remedy}", "ERROR")


def draw_going_on(layout, scene) -> None:
    """Runs of this scene that train without this Blender: that they do, and how to watch them."""
    if live_run.is_training():
        return
    for run in found_runs.going_on(scene):
        column = layout.column(align=True)
        draw_sentence(column, f"{run.name} goes on without Blender: {100 * run.fraction:.0f} %.", "INFO")
        column.operator(SPLAT_OT_watch_run.bl_idname, icon="HIDE_OFF").path = str(run.path)


def draw_quitting(layout, run: live_run.LiveRun) -> None:
    """What becomes of a run that trains when Blender quits."""
    if not run.is_own:
        text = "This run goes on when Blender quits: another Blender started it."
    elif preferences.outlives():
        text = "When Blender quits, this run goes on: open the file again and click Watch."
    else:
        text = "When Blender quits, this run saves its result and stops. The preferences can let it go on."
    draw_sentence(layout, text, "INFO")


def _draw_run(layout, run: FoundRun, is_own: bool) -> None:
    """One row: what it is, how it stands, and what can be done with it."""
    row = layout.row(align=True)
    row.label(
        text=run.name, icon="RENDER_ANIMATION" if run.is_training else "RADIOBUT_ON" if is_own else "RADIOBUT_OFF"
    )
    buttons = row.row(align=True)
    if run.is_training:
        buttons.operator(SPLAT_OT_watch_run.bl_idname, text="", icon="HIDE_OFF").path = str(run.path)
    if run.can_resume:
        buttons.operator(SPLAT_OT_resume_run.bl_idname, text="", icon="PLAY").path = str(run.path)
    if run.has_splats:
        buttons.operator(SPLAT_OT_import_run.bl_idname, text="", icon="IMPORT").path = str(run.path)
    if not run.is_training:
        buttons.operator(SPLAT_OT_delete_run.bl_idname, text="", icon="TRASH").path = str(run.path)
    quality = "" if run.psnr_db is None else f", {run.psnr_db:.2f} dB"
    state = (
        f"{run.state.capitalize()} at {100 * run.fraction:.0f} %" if 0 < run.fraction < 1 else run.state.capitalize()
    )
    draw_sentence(layout, f"{state}{quality}", "BLANK1")


CLASSES = (SPLAT_PT_runs,)
