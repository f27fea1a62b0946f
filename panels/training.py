"""Training."""

import math

import bpy

from ..operators.training import SPLAT_OT_command_training, SPLAT_OT_resume_training, SPLAT_OT_start_training
from ..splat_addon.scene import live_run, machine
from ..splat_addon.scene.settings import TRAINING_FIELDS
from .capture import SidebarPanel
from .wrap import draw_sentence, wrapped

WRAP = 38  # letters that fit into the sidebar at its usual width


class SPLAT_PT_training(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_training"
    bl_label = "Training"

    def draw(self, context):
        layout, splat = self.layout, context.scene.splat
        layout.use_property_split = True
        layout.use_property_decorate = False
        column = layout.column()
        column.enabled = not live_run.is_training()
        column.prop(splat, "preset")
        for spec in TRAINING_FIELDS:
            if not spec.metadata["advanced"]:
                column.prop(splat.training, spec.name)
        run = live_run.current()
        if run is not None and not run.is_over:
            _draw_commands(layout, run)
        else:
            chosen = machine.preferences()
            if chosen is not None and not chosen.trainer_python:
                draw_sentence(layout, "Training needs a Python with PyTorch.", "INFO", WRAP)
                layout.operator("preferences.addon_show", text="Set Up Trainer …").module = machine.ROOT_PACKAGE
            layout.operator(SPLAT_OT_start_training.bl_idname, icon="PLAY")
            layout.operator(SPLAT_OT_resume_training.bl_idname, icon="FRAME_NEXT")
        if run is not None:
            _draw_run(layout, run)


class SPLAT_PT_training_advanced(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_training_advanced"
    bl_parent_id = "SPLAT_PT_training"
    bl_label = "Advanced"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.enabled = not live_run.is_training()
        for spec in TRAINING_FIELDS:
            if spec.metadata["advanced"]:
                layout.prop(context.scene.splat.training, spec.name)


def _draw_commands(layout, run: live_run.LiveRun) -> None:
    row = layout.row(align=True)
    is_paused = run.state == "paused"
    pause = row.operator(
        SPLAT_OT_command_training.bl_idname,
        text="Resume" if is_paused else "Pause",
        icon="PLAY" if is_paused else "PAUSE",
    )
    pause.command = "resume" if is_paused else "pause"
    row.operator(SPLAT_OT_command_training.bl_idname, text="Snapshot", icon="FILE_TICK").command = "snapshot"
    row.operator(SPLAT_OT_command_training.bl_idname, text="Stop", icon="SNAP_FACE").command = "stop"


def _draw_run(layout, run: live_run.LiveRun) -> None:
    """What the run does, in words and as a bar."""
    if not run.is_over:
        layout.progress(factor=run.fraction, text=f"{run.state.title()} {100 * run.fraction:.0f} %", type="BAR")
    column = layout.column(align=True)
    progress = run.progress
    if progress is not None:
        left = "" if math.isnan(progress.seconds_left) or run.is_over else f", {_duration(progress.seconds_left)} left"
        column.label(text=f"Step {progress.step} of {run.iterations}{left}")
        column.label(text=f"{progress.gaussian_count} splats, {progress.steps_per_s:.1f} it/s on {run.backend}")
    if run.evaluations:
        last = run.evaluations[-1]
        column.label(text=f"Held-out PSNR {last.psnr_db:.2f} dB, init only {run.evaluations[0].psnr_db:.2f}")
    for warning in run.warnings[:3]:
        icon = "INFO"
        for line in wrapped(warning, width=WRAP):
            column.label(text=line, icon=icon)
            icon = "BLANK1"
    if run.message:
        icon = "ERROR" if run.state == "failed" else "CHECKMARK"
        for line in wrapped(run.message, width=WRAP):
            column.label(text=line, icon=icon)
            icon = "BLANK1"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


CLASSES = (SPLAT_PT_training, SPLAT_PT_training_advanced)
