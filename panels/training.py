"""Training."""

import math

import bpy

from ..operators.training import SPLAT_OT_command_training, SPLAT_OT_resume_training, SPLAT_OT_start_training
from ..splat_addon.errors import RunError
from ..splat_addon.run.wording import counted, in_time, ordinal, processor
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.settings.training import TRAINING_FIELDS
from ..splat_addon.scene.tasks import live_render, live_run, preflight, preview, trainer_setup
from ..splat_addon.scene.viewport import display
from .capture import LAST, SidebarPanel
from .runs import draw_going_on, draw_quitting
from .wrap import draw_fact, draw_sentence

GROUPS = ("Quality", "Growth", "Learning Rates", "Few Views", "Data", "Run")
EDITED = (
    "The splats in the scene were edited and are left alone. Switch Follow Training off and on to give the run"
    " an object of its own."
)


class SPLAT_PT_training(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_training"
    bl_label = "Training"

    def draw(self, context):
        layout, scene = self.layout, context.scene
        layout.use_property_split = True
        layout.use_property_decorate = False
        draw_going_on(layout, scene)
        if run_of(scene) is not None:  # also when it is over, so that nothing moves at its end
            header, body = layout.panel("splat_training_settings", default_closed=True)
            header.label(text="Settings")
            if body is not None:
                _draw_settings(body, scene)
        else:
            _draw_settings(layout, scene)
        layout.operator(SPLAT_OT_start_training.bl_idname, icon="PLAY")
        layout.operator(SPLAT_OT_resume_training.bl_idname, icon="FRAME_NEXT")
        _draw_follow(layout, context)


class SPLAT_PT_training_messages(SidebarPanel, bpy.types.Panel):
    """What a run needs, does and says, below all that can be pressed."""

    bl_idname = "SPLAT_PT_training_messages"
    bl_parent_id = "SPLAT_PT_training"
    bl_label = "Messages"
    bl_options = {"HIDE_HEADER"}
    bl_order = LAST - 1  # the curves come below

    def draw(self, context):
        layout, scene, run = self.layout, context.scene, run_of(context.scene)
        layout.use_property_split = True
        layout.use_property_decorate = False
        if run is not None:
            _draw_numbers(layout, run)
            if not run.is_over:
                draw_quitting(layout, run)
                _draw_previews(layout, scene)
                return
            layout.label(text="The next run:")
        elsewhere = live_run.current()
        if elsewhere is not None and not elsewhere.is_over:
            _draw_elsewhere(layout, elsewhere, live_run.home_of(elsewhere, scene))
        _draw_trainer(layout)
        _draw_needs(layout, scene)


def run_of(scene) -> live_run.LiveRun | None:
    """The run that trains, or has trained, for this scene."""
    run = live_run.current()
    return run if run is not None and not live_run.home_of(run, scene) else None


class SPLAT_PT_training_advanced(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_training_advanced"
    bl_parent_id = "SPLAT_PT_training"
    bl_label = "Advanced"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 1

    def draw(self, context):
        layout, training = self.layout, context.scene.splat.training
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.enabled = not live_run.is_training()
        for group in GROUPS:
            header, body = layout.panel(f"splat_training_{group}", default_closed=True)
            header.label(text=group)
            if body is not None:
                column = body.column()
                for spec in TRAINING_FIELDS:
                    if spec.metadata["group"] == group and spec.name == "hold_out_every":
                        _draw_hold_out(column, training)
                    elif spec.metadata["group"] == group:
                        column.prop(training, spec.name)


def _draw_hold_out(layout, training) -> None:
    """As a sentence, since the number alone says nothing."""
    number = training.hold_out_every
    row = layout.row()
    row.use_property_split = False
    what = {0: "Hold Out No View", 1: "Hold Out Every View"}.get(number, f"Hold Out Every {ordinal(number)} View")
    row.prop(training, "hold_out_every", text=what)


def _draw_settings(layout, scene) -> None:
    """The few settings that everybody sees."""
    column = layout.column()
    column.enabled = not live_run.is_training()
    column.prop(scene.splat, "preset")
    training = scene.splat.training
    for spec in TRAINING_FIELDS:
        if spec.metadata["group"] == "":
            row = column.row()
            row.active = spec.name != "iterations" or training.seconds == 0  # a time decides, if one is given
            row.prop(training, spec.name)


def _draw_needs(layout, scene) -> None:
    """What the next run will need."""
    if not scene.splat.capture.folder:
        draw_sentence(layout, "Capture the scene first, or choose the folder of a capture.", "INFO")
    elif live_render.is_capturing():
        draw_sentence(layout, "The capture is being rendered: train when it is done.", "TIME")
    else:
        _draw_preflight(layout, scene)


def _draw_trainer(layout) -> None:
    """Which Python trains, where that hinders training."""
    chosen = preferences.of_addon()
    if chosen is None:
        return
    text = "Training needs a Python with PyTorch."
    if chosen.trainer_python:
        try:
            known = trainer_setup.examined_by_itself(preferences.trainer_python())
        except RunError as error:
            text = str(error)
        else:
            text = known.refusal if known is not None else ""
    if text:
        draw_sentence(layout, text, "ERROR" if chosen.trainer_python else "INFO")
        layout.operator("preferences.addon_show", text="Set Up Trainer …").module = preferences.ROOT_PACKAGE


def _draw_preflight(layout, scene) -> None:
    column, now = layout.column(align=True), preflight.look(scene)
    known = now or preflight.latest(scene)
    if now is None:
        column.label(text="Checking the capture …", icon="TIME")
    if known is None:
        return
    if known.hint:
        draw_sentence(column, known.hint, "INFO")
    for name, value in known.rows:
        draw_fact(column, name, value)
    for problem in known.problems:
        draw_sentence(column, problem, "ERROR")


def draw_commands(layout, run: live_run.LiveRun) -> None:
    row = layout.row(align=True)
    row.enabled = run.state != "stopping"
    is_paused = run.state == "paused"
    pause = row.operator(
        SPLAT_OT_command_training.bl_idname,
        text="Resume" if is_paused else "Pause",
        icon="PLAY" if is_paused else "PAUSE",
    )
    pause.command = "resume" if is_paused else "pause"
    row.operator(SPLAT_OT_command_training.bl_idname, text="Snapshot", icon="FILE_TICK").command = "snapshot"
    row.operator(SPLAT_OT_command_training.bl_idname, text="Stop", icon="SNAP_FACE").command = "stop"


def draw_run_bar(layout, run: live_run.LiveRun) -> None:
    """How far the run is, or was when it ended, as a bar."""
    progress, text = run.progress, f"{run.state.capitalize()} {100 * run.fraction:.0f} %"
    if run.is_over and run.evaluations:
        text += f" · {run.evaluations[-1].psnr_db:.2f} dB held out"
    if progress is not None and run.state == "training" and math.isfinite(progress.seconds_left):
        text += f" · {in_time(progress.seconds_left)} left"
    layout.progress(factor=run.fraction, text=text, type="BAR")


def _draw_elsewhere(layout, run: live_run.LiveRun, home: str) -> None:
    """A run that trains for another scene: that it does, and how to stop it."""
    draw_sentence(layout, f"A run trains for {home}.", "INFO")
    draw_run_bar(layout, run)
    draw_commands(layout, run)


def _draw_numbers(layout, run: live_run.LiveRun) -> None:
    """What the run does; when it is over, how it ended and what it has reached."""
    column = layout.column(align=True)
    progress = run.progress
    if run.message:
        draw_sentence(column, run.message, "ERROR" if run.state == "failed" else "CHECKMARK")
    if progress is not None and not run.is_over:
        of = f" of {counted(run.iterations)}" if progress.step <= run.iterations else ""
        draw_fact(column, "Step", f"{counted(progress.step)}{of}")
        draw_fact(column, "Speed", f"{progress.steps_per_s:.1f} it/s, {processor(run.backend)}")
    if progress is not None:
        draw_fact(column, "Splats", counted(progress.gaussian_count))
    if run.evaluations:
        first, last = run.evaluations[0], run.evaluations[-1]
        before = f", init {first.psnr_db:.2f}" if last is not first else ", untrained" if not last.step else ""
        draw_fact(column, "Held-out PSNR", f"{last.psnr_db:.2f} dB{before}")
        if math.isfinite(last.train_psnr_db):
            draw_fact(column, "Training PSNR", f"{last.train_psnr_db:.2f} dB")
    if run.snapshot is not None:
        saved = f"Saved {counted(run.snapshot.gaussian_count)} splats of step {counted(run.snapshot.step)}"
        draw_sentence(column, f"{saved} in {run.folder.path.name}/{run.snapshot.path}", "FILE_TICK")
    for sentence in [*run.warnings[:3], *run.decisions]:
        draw_sentence(column, sentence, "INFO")


def _draw_follow(layout, context) -> None:
    """Whether the viewport follows the training."""
    chosen = context.scene.splat
    row = layout.row(align=True)
    row.use_property_split = False
    row.prop(chosen, "follow_training")
    interval = row.row()
    interval.active = chosen.follow_training
    interval.prop(chosen, "follow_every_s")


def _draw_previews(layout, scene) -> None:
    """What the viewport shows of the training."""
    follower = preview.current()
    if follower is None or not scene.splat.follow_training:
        return
    if follower.obstacle:
        draw_sentence(layout, EDITED, "INFO")
    elif follower.shown is not None:
        shown = follower.shown
        column = layout.column(align=True)
        draw_fact(column, "Shown", f"step {counted(shown.step)}")
        if shown.count < shown.total:
            draw_fact(column, "", f"{counted(shown.count)} of {counted(shown.total)}")
        replaced = display.replaced_by_preview(scene)
        if replaced:
            names = ", ".join(replaced)
            draw_sentence(column, f"Not drawn during training, in the same place: {names}", "INFO")


CLASSES = (SPLAT_PT_training, SPLAT_PT_training_advanced, SPLAT_PT_training_messages)
