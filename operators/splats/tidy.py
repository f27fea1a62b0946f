"""What makes Blender's own drawing of splats inexact, measured and mended."""

import bpy

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.splats import adoption
from ...splat_addon.scene.splats.contents import findings, quantization
from ...splat_addon.scene.splats.data import is_splats
from ..reporting import reports_errors


class _OfActiveSplats:
    """What works on the active splat object, in Object Mode, if it is not linked."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        item = context.active_object
        if item is None or not is_splats(item):
            cls.poll_message_set("Make a splat object active first")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        problem = cls.problem_with(item.data)
        if problem:
            cls.poll_message_set(problem)
        return not problem

    @classmethod
    def problem_with(cls, data) -> str:
        """Why it cannot be done with these splats; empty when it can."""
        return "Linked splats cannot be changed" if data.library is not None else ""


class SPLAT_OT_measure_colors(_OfActiveSplats, bpy.types.Operator):
    """Measure how exactly EEVEE and Workbench show the colors of these splats when Blender draws them itself: it keeps
    8 bits over the range of the object, so that one outlier makes the colors of all splats coarse"""

    bl_idname = "splat.measure_colors"
    bl_label = "Measure Color Error"
    bl_options = {"REGISTER"}

    @classmethod
    def problem_with(cls, data) -> str:
        return ""

    @reports_errors
    def execute(self, context):
        error = findings.measure(context.active_object.data)
        self.report({"INFO"}, quantization.sentence(error))
        return {"FINISHED"}


class SPLAT_OT_tidy_outliers(_OfActiveSplats, bpy.types.Operator):
    """Clip each color coefficient to the middle 99.99 % of its values and give a size to splats with a scale of 0, for
    finer colors and sizes in EEVEE. Put Outliers Back restores them to the last bit"""

    bl_idname = "splat.tidy_outliers"
    bl_label = "Tidy Outliers"

    @classmethod
    def problem_with(cls, data) -> str:
        if quantization.is_tidied(data):
            return "The outliers are tidied already"
        return super().problem_with(data)

    @reports_errors
    def execute(self, context):
        item = context.active_object
        adoption.meet(item)
        done = quantization.tidy(item.data)
        context.view_layer.update()  # tells of the change, which makes what was measured before be forgotten
        error = findings.measure(item.data)
        numbers = f"Clipped {counted(done.colors)} color coefficients, raised {counted(done.scales)} scales"
        self.report({"INFO"}, f"{numbers}. {quantization.sentence(error)}")
        return {"FINISHED"}


class SPLAT_OT_put_back_outliers(_OfActiveSplats, bpy.types.Operator):
    """Restore the colors and sizes that Tidy Outliers has changed"""

    bl_idname = "splat.put_back_outliers"
    bl_label = "Put Outliers Back"

    @classmethod
    def problem_with(cls, data) -> str:
        if not quantization.is_tidied(data):
            return "No outliers of these splats were tidied"
        return super().problem_with(data)

    @reports_errors
    def execute(self, context):
        data = context.active_object.data
        done, edited = quantization.put_back(data)
        if edited:
            self.report({"WARNING"}, f"{counted(edited)} numbers were edited since and stay as they are")
        self.report({"INFO"}, f"Put back {counted(done)} numbers")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_measure_colors, SPLAT_OT_tidy_outliers, SPLAT_OT_put_back_outliers)
