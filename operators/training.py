"""Starting, watching and ending a training run."""

import os
from pathlib import Path

import bpy

from ..splat_addon.errors import RunError
from ..splat_addon.run.folder import RunFolder, next_run_path
from ..splat_addon.scene.review import held_out
from ..splat_addon.scene.runs import found_runs
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.settings.paths import run_path
from ..splat_addon.scene.settings.training import train_config
from ..splat_addon.scene.tasks import live_render, live_run, preflight, trainer_setup, watching
from .reporting import reports_errors

WAIT = bpy.props.BoolProperty(
    name="Wait",
    description="For scripts: return only when the run is over, with an error if it failed",
    options={"SKIP_SAVE", "HIDDEN"},
)


class SPLAT_OT_start_training(bpy.types.Operator):
    """Train splats on the capture in a separate process; Blender stays free"""

    bl_idname = "splat.start_training"
    bl_label = "Start Training"
    bl_options = {"REGISTER"}

    wait: WAIT

    @classmethod
    def poll(cls, context):
        if live_run.is_training():
            cls.poll_message_set("A run is already training: stop it first")
            return False
        if not context.scene.splat.capture.folder:
            cls.poll_message_set("Choose a capture folder first")
            return False
        if live_render.is_capturing():
            cls.poll_message_set("The capture is being rendered: train when it is done")
            return False
        if reason := preflight.why_impossible(context.scene):
            cls.poll_message_set(reason)
            return False
        return has_trainer(cls, context)

    @reports_errors
    def execute(self, context):
        config = train_config(context.scene)
        capture = Path(config.capture)
        if not os.path.isdir(capture):
            raise RunError(f"The capture folder {capture} does not exist.", "Capture the scene, or choose a capture.")
        runs = capture.with_name(capture.name + "_runs")
        python = Path(preferences.trainer_python())
        known = preflight.inspection_of(config)
        run = live_run.start(context.scene, config, next_run_path(runs), python, preferences.outlives(), known)
        found_runs.remember(run.folder.path)
        self.report({"INFO"}, f"Training in {run.folder.path}")
        return go_on(self.wait)


class SPLAT_OT_resume_training(bpy.types.Operator):
    """Continue the run of this scene from its last save"""

    bl_idname = "splat.resume_training"
    bl_label = "Resume Run"
    bl_options = {"REGISTER"}

    wait: WAIT

    @classmethod
    def poll(cls, context):
        if live_run.is_training():
            cls.poll_message_set("A run is already training: stop it first")
            return False
        path = run_path(context.scene)
        if path is None or not os.path.isfile(RunFolder(path).checkpoint_file):
            cls.poll_message_set("This scene has no run with anything saved to continue from")
            return False
        return has_trainer(cls, context)

    @reports_errors
    def execute(self, context):
        path, python = held_out.require_run(context.scene), Path(preferences.trainer_python())
        run = live_run.resume(context.scene, path, python, preferences.outlives())
        self.report({"INFO"}, f"Continuing in {run.folder.path}")
        return go_on(self.wait)


def go_on(is_to_wait: bool) -> set[str]:
    """Leave the run to the timer, or wait for its end. Raises RunError when it was waited for and failed."""
    if not is_to_wait:
        watching.begin()
        return {"FINISHED"}
    run = live_run.wait()
    if run.state == "failed":
        raise RunError(run.message, "")
    return {"FINISHED"}


def has_trainer(cls, context) -> bool:
    """Whether a Python was chosen that trains, as far as is known; the poll message says what is missing."""
    chosen = preferences.of_addon()
    if not chosen or not chosen.trainer_python:
        cls.poll_message_set("Set the trainer Python in the add-on preferences first")
        return False
    if reason := trainer_setup.why_not_ready():
        cls.poll_message_set(reason)
        return False
    return True


class SPLAT_OT_command_training(bpy.types.Operator):
    """Control the run"""

    bl_idname = "splat.command_training"
    bl_label = "Command Training"
    bl_options = {"INTERNAL"}

    command: bpy.props.EnumProperty(
        items=[
            ("stop", "Stop", "Finish this step, save the result and stop"),
            ("pause", "Pause", "Pause until resumed, which frees the processor"),
            ("resume", "Resume", "Continue training"),
            ("snapshot", "Snapshot", "Save the splats as they are now"),
        ]
    )

    @classmethod
    def description(cls, context, properties):
        return cls.bl_rna.properties["command"].enum_items[properties.command].description

    @classmethod
    def poll(cls, context):
        if not live_run.is_training():
            cls.poll_message_set("No run is training")
            return False
        return True

    @reports_errors
    def execute(self, context):
        live_run.send(self.command)
        return {"FINISHED"}


CLASSES = (SPLAT_OT_start_training, SPLAT_OT_resume_training, SPLAT_OT_command_training)
