"""The Python that trains: looking what it has, and setting one up."""

from pathlib import Path

import bpy

from ..splat_addon.errors import SetupError
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.tasks import trainer_setup
from .reporting import reports_errors

_WAIT = bpy.props.BoolProperty(
    name="Wait",
    description="For scripts: return only when it is over, with an error if it failed",
    options={"SKIP_SAVE", "HIDDEN"},
)


class SPLAT_OT_set_up_trainer(bpy.types.Operator):
    """Download PyTorch and everything else that training needs into a new Python environment in the chosen folder.
    Blender stays free"""

    bl_idname = "splat.set_up_trainer"
    bl_label = "Set Up Trainer"
    bl_options = {"REGISTER"}

    wait: _WAIT

    @classmethod
    def poll(cls, context):
        if trainer_setup.is_setting_up():
            cls.poll_message_set("A set-up is already running")
            return False
        chosen = preferences.of_addon()
        refusal = trainer_setup.why_impossible(chosen.setup_device.lower()) if chosen else None
        if refusal is not None:
            cls.poll_message_set(str(refusal))
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
            trainer_setup.begin_watching()
            return {"FINISHED"}
        trainer_setup.wait()
        if not set_up.python:
            raise SetupError(set_up.message, "")
        trainer_setup.use(set_up)
        trainer_setup.wait()
        self.report({"INFO"}, f"The trainer is set up: {set_up.python}")
        return {"FINISHED"}


class SPLAT_OT_cancel_set_up(bpy.types.Operator):
    """Stop the set-up. Downloads are kept, and the set-up can be started again"""

    bl_idname = "splat.cancel_set_up"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if not trainer_setup.is_setting_up():
            cls.poll_message_set("No set-up is running")
            return False
        return True

    @reports_errors
    def execute(self, context):
        trainer_setup.cancel()
        return {"FINISHED"}


class SPLAT_OT_examine_trainer(bpy.types.Operator):
    """Check what this Python has for training: PyTorch, CUDA, gsplat, compiled kernels"""

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
            trainer_setup.begin_watching()
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


CLASSES = (SPLAT_OT_set_up_trainer, SPLAT_OT_cancel_set_up, SPLAT_OT_examine_trainer, SPLAT_OT_copy_text)
