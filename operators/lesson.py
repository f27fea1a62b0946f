"""The lesson: fitting an image by 2D gaussians."""

import math

import bpy
import numpy as np

from ..splat_addon.errors import LessonError
from ..splat_addon.scene.lesson import live, shown
from .reporting import reports_errors


class SPLAT_OT_train_lesson(bpy.types.Operator):
    """Fit the target by gaussians until you pause; the 3D view and the panel follow"""

    bl_idname = "splat.train_lesson"
    bl_label = "Train"
    bl_options = {"REGISTER", "UNDO"}

    steps: bpy.props.IntProperty(
        name="Steps",
        description="For scripts: so many steps at once; 0 trains until it is paused",
        min=0,
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @reports_errors
    def execute(self, context):
        live.train(context.scene, self.steps or None)
        if self.steps:
            live.work(math.inf)
        return {"FINISHED"}


class SPLAT_OT_pause_lesson(bpy.types.Operator):
    """Stop training for now; the fit is kept in the file"""

    bl_idname = "splat.pause_lesson"
    bl_label = "Pause"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        if not live.is_training(context.scene):
            cls.poll_message_set("Nothing is training")
            return False
        return True

    @reports_errors
    def execute(self, context):
        live.pause(context.scene)
        return {"FINISHED"}


class SPLAT_OT_step_lesson(bpy.types.Operator):
    """One step: render, compare, differentiate, move all parameters"""

    bl_idname = "splat.step_lesson"
    bl_label = "Step"
    bl_options = {"REGISTER"}

    @reports_errors
    def execute(self, context):
        live.train(context.scene, 1)
        live.work()  # what is left of a long step, the timer does
        return {"FINISHED"}


class SPLAT_OT_densify_lesson(bpy.types.Operator):
    """Change the number of gaussians where the residual asks for it, and remove the transparent ones"""

    bl_idname = "splat.densify_lesson"
    bl_label = "Densify"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        if live.fitter_of(context.scene) is None:
            cls.poll_message_set("Train first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        change = live.densify(context.scene)
        fitter = live.fitter_of(context.scene)
        self.report({"INFO"}, f"Densified: {change.sentence(len(fitter.gaussians))}")
        return {"FINISHED"}


class SPLAT_OT_reset_lesson(bpy.types.Operator):
    """Begin anew from the target, the seed and the settings; equal ones give the same fit again"""

    bl_idname = "splat.reset_lesson"
    bl_label = "Reset"
    bl_options = {"REGISTER", "UNDO"}

    @reports_errors
    def execute(self, context):
        live.reset(context.scene)
        live.work()
        for note in live.notes_of(context.scene):
            self.report({"INFO"}, note)
        return {"FINISHED"}


class SPLAT_OT_pick_lesson_gaussian(bpy.types.Operator):
    """Choose the gaussian whose gradient is shown"""

    bl_idname = "splat.pick_lesson_gaussian"
    bl_label = "Choose a Gaussian"
    bl_options = {"REGISTER"}

    by: bpy.props.EnumProperty(
        name="By",
        items=[
            ("GRADIENT", "Highest Gradient", "The one that is pulled hardest"),
            ("CURSOR", "Nearest to 3D Cursor", "The one whose center is nearest to the 3D cursor"),
        ],
        default="GRADIENT",
    )

    @classmethod
    def description(cls, context, properties):
        if properties.by == "CURSOR":
            return "Choose the gaussian whose center is nearest to the 3D cursor"
        return "Choose the gaussian that is pulled hardest"

    @classmethod
    def poll(cls, context):
        fitter = live.fitter_of(context.scene)
        if fitter is None or fitter.measured is None or not len(fitter.gaussians):
            cls.poll_message_set("Train first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        scene, fitter = context.scene, live.fitter_of(context.scene)
        if self.by == "CURSOR":
            item = shown.find(scene)
            if item is None:
                raise LessonError("The gaussians are not in this scene.", "Press Train to show them.")
            cursor = np.array(item.matrix_world.inverted_safe() @ scene.cursor.location)
            places = shown.places_of(fitter.gaussians.means, fitter.size)
            number = int(np.argmin(np.linalg.norm((places - cursor)[:, [0, 2]], axis=1)))
        else:
            number = int(np.argmax(np.linalg.norm(fitter.measured.gradients.means, axis=1)))
        scene.splat.lesson.selected = number
        return {"FINISHED"}


CLASSES = (
    *(SPLAT_OT_train_lesson, SPLAT_OT_pause_lesson, SPLAT_OT_step_lesson),
    *(SPLAT_OT_densify_lesson, SPLAT_OT_reset_lesson, SPLAT_OT_pick_lesson_gaussian),
)
