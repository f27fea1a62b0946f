"""The Python that trains: looking what it has, and setting one up."""

from pathlib import Path

import bpy

from ..splat_addon.errors import SetupError
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.tasks import trainer_setup
from .reporting import reports_errors

TICK_S = 0.25
_WAIT = bpy.props.BoolProperty(
    name="Wait",
    description="For scripts: return only when it is over; it is an error when it failed",
    options={"SKIP_SAVE", "HIDDEN"},
)


class SPLAT_OT_set_up_trainer(bpy.types.Operator):
    """Download PyTorch and what else training needs, and make a Python environment of it in the chosen folder.
    Blender stays free meanwhile"""

    bl_idname = "splat.set_up_trainer"
    bl_label = "Set Up Trainer"
    bl_options = {"REGISTER"}

    wait: _WAIT

    @classmethod
    def poll(cls, context):
        if trainer_setup.is_setting_up():
            cls.poll_message_set("A set-up is at work already")
            return False
        if not getattr(bpy.app, "online_access", True):
            cls.poll_message_set("Allow Online Access in Preferences › System first: PyTorch has to be downloaded")
            return False
        return True

    @reports_errors
    def execute(self, context):
        chosen = preferences.of_addon()
        if not chosen.setup_folder.strip():
            raise SetupError("No folder is chosen for the trainer.", "Choose one in the add-on preferences.")
        folder = Path(bpy.path.abspath(chosen.setup_folder)).expanduser()
        set_up = trainer_setup.start(folder, chosen.setup_device.lower())
        if not self.wait:
            start_ticking()
            return {"FINISHED"}
        trainer_setup.wait()
        if not set_up.python:
            raise SetupError(set_up.message, "")
        _use(set_up)
        trainer_setup.wait()
        self.report({"INFO"}, f"The trainer is set up: {set_up.python}")
        return {"FINISHED"}


class SPLAT_OT_cancel_set_up(bpy.types.Operator):
    """Stop the set-up. What was downloaded is kept, and it can be started again"""

    bl_idname = "splat.cancel_set_up"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if not trainer_setup.is_setting_up():
            cls.poll_message_set("No set-up is at work")
            return False
        return True

    @reports_errors
    def execute(self, context):
        trainer_setup.cancel()
        return {"FINISHED"}


class SPLAT_OT_examine_trainer(bpy.types.Operator):
    """Look what this Python has for training: PyTorch, CUDA, gsplat, compiled kernels"""

    bl_idname = "splat.examine_trainer"
    bl_label = "Check"
    bl_options = {"REGISTER"}

    wait: _WAIT

    @classmethod
    def poll(cls, context):
        chosen = preferences.of_addon()
        if not chosen or not chosen.trainer_python:
            cls.poll_message_set("Choose a trainer Python, or set one up")
            return False
        return True

    @reports_errors
    def execute(self, context):
        trainer_setup.examine(preferences.trainer_python())
        if self.wait:
            trainer_setup.wait()
        else:
            start_ticking()
        return {"FINISHED"}


class SPLAT_OT_copy_text(bpy.types.Operator):
    """Copy this to the clipboard"""

    bl_idname = "splat.copy_text"
    bl_label = "Copy"
    bl_options = {"INTERNAL"}

    text: bpy.props.StringProperty(options={"SKIP_SAVE"})

    @reports_errors
    def execute(self, context):
        context.window_manager.clipboard = self.text
        self.report({"INFO"}, "Copied")
        return {"FINISHED"}


def start_ticking() -> None:
    """Let Blender's timer follow the children."""
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK_S, persistent=True)


def stop_ticking() -> None:
    """Before the add-on goes."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    was_setting_up = trainer_setup.is_setting_up()
    goes_on = trainer_setup.pump()
    set_up = trainer_setup.current()
    if was_setting_up and set_up is not None and set_up.python:
        _use(set_up)
        goes_on = True
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("PREFERENCES", "VIEW_3D"):
                area.tag_redraw()
    return TICK_S if goes_on else None


def _use(set_up: trainer_setup.SetUp) -> None:
    """The new environment trains from now on."""
    chosen = preferences.of_addon()
    chosen.trainer_python = set_up.python
    bpy.context.preferences.is_dirty = True
    trainer_setup.examine(set_up.python)


CLASSES = (SPLAT_OT_set_up_trainer, SPLAT_OT_cancel_set_up, SPLAT_OT_examine_trainer, SPLAT_OT_copy_text)
