"""Starting, watching and ending a training run."""

from pathlib import Path

import bpy

from ..splat_addon.errors import RunError
from ..splat_addon.run.events import Finished
from ..splat_addon.run.folder import next_run_path
from ..splat_addon.scene import live_run
from ..splat_addon.scene.settings import train_config
from .report import reports_errors

TICK_S = 0.25
ROOT_PACKAGE = __package__.rpartition(".")[0]


def preferences(context):
    """The add-on's preferences; None when it runs without having been enabled as an extension."""
    entry = context.preferences.addons.get(ROOT_PACKAGE)
    return entry.preferences if entry else None


def trainer_python(context) -> Path:
    """The interpreter that trains, as the preferences say."""
    chosen = preferences(context)
    return Path(bpy.path.abspath(chosen.trainer_python)) if chosen and chosen.trainer_python else Path()


class SPLAT_OT_start_training(bpy.types.Operator):
    """Train splats on the capture in a process of its own; Blender stays free"""

    bl_idname = "splat.start_training"
    bl_label = "Start Training"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        if live_run.is_training():
            cls.poll_message_set("A run is training already: stop it first")
            return False
        if not context.scene.splat.capture.folder:
            cls.poll_message_set("Choose a capture folder first")
            return False
        if not trainer_python(context).name:
            cls.poll_message_set("Set the trainer Python in the add-on preferences first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        config = train_config(context.scene)
        capture = Path(config.capture)
        if not capture.is_dir():
            raise RunError(f"The capture folder {capture} does not exist.", "Capture the scene, or choose a capture.")
        runs = capture.with_name(capture.name + "_runs")
        run = live_run.start(context.scene, config, next_run_path(runs), trainer_python(context))
        start_ticking()
        self.report({"INFO"}, f"Training in {run.folder.path}")
        return {"FINISHED"}


class SPLAT_OT_command_training(bpy.types.Operator):
    """Tell the run what to do"""

    bl_idname = "splat.command_training"
    bl_label = "Command Training"
    bl_options = {"INTERNAL"}

    command: bpy.props.EnumProperty(
        items=[
            ("stop", "Stop", "Finish this step, save the result and end"),
            ("pause", "Pause", "Rest until resumed; the processor is free meanwhile"),
            ("resume", "Resume", "Go on training"),
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


def start_ticking() -> None:
    """Let Blender's timer watch the run. Timers do not tick in background mode; scripts call `live_run.pump`."""
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_S, persistent=True)


def stop_ticking() -> None:
    """Before the add-on goes."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    events = live_run.pump()
    if events:
        _redraw()
    if any(isinstance(event, Finished) for event in events):
        _import_result()
    return TICK_S if live_run.is_training() else None


def _import_result() -> None:
    """The result appears by itself, as an undo step of its own, where that disturbs nobody."""
    from .splats import SPLAT_OT_import_result

    run, windows = live_run.current(), bpy.context.window_manager.windows
    window = next((window for window in windows if window.scene.name == run.scene_name), None)
    if window is None:
        return
    with bpy.context.temp_override(window=window):
        if SPLAT_OT_import_result.poll(bpy.context):
            bpy.ops.splat.import_result("EXEC_DEFAULT", True)


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


CLASSES = (SPLAT_OT_start_training, SPLAT_OT_command_training)
