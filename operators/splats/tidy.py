"""What makes Blender's own drawing of splats inexact, measured and mended."""

import bpy

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.splats.contents import findings, quantization
from ...splat_addon.scene.splats.data import is_splats
from ..reporting import allows, reports_errors


def _problem(context) -> str:
    """Why nothing can be done with the active object's splats; empty when it can."""
    item = context.active_object
    if item is None or not is_splats(item):
        return "Make a splat object active first"
    return "" if context.mode == "OBJECT" else "Switch to Object Mode first"


def _problem_with_changing(context, is_tidied: bool) -> str:
    """Why they cannot be changed, which needs splats that are tidied already, or that are not."""
    if _problem(context):
        return _problem(context)
    data = context.active_object.data
    if data.library is not None:
        return "Linked splats cannot be changed"
    if quantization.is_tidied(data) == is_tidied:
        return ""
    return "No outliers of these splats were tidied" if is_tidied else "The outliers are tidied already"


class SPLAT_OT_measure_colors(bpy.types.Operator):
    """Measure how exactly EEVEE and Workbench show the colors of these splats when Blender draws them itself: it keeps
    8 bits over the range of the object, so that one outlier makes the colors of all splats coarse"""

    bl_idname = "splat.measure_colors"
    bl_label = "Measure Color Error"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        problem = _problem(context)
        return allows(cls, problem)

    @reports_errors
    def execute(self, context):
        error = findings.measure(context.active_object.data)
        self.report({"INFO"}, quantization.sentence(error))
        return {"FINISHED"}


class SPLAT_OT_tidy_outliers(bpy.types.Operator):
    """Clip color coefficients far outside the middle 99.99 % of their values, and give a size to splats with a scale
    of 0, for finer colors and sizes in EEVEE. Put Outliers Back restores them to the last bit"""

    bl_idname = "splat.tidy_outliers"
    bl_label = "Tidy Outliers"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        problem = _problem_with_changing(context, is_tidied=False)
        return allows(cls, problem)

    @reports_errors
    def execute(self, context):
        item = context.active_object
        done = quantization.tidy(item.data)
        context.view_layer.update()  # tells of the change, which makes what was measured before be forgotten
        error = findings.measure(item.data)
        numbers = f"Clipped {counted(done.colors)} color coefficients, raised {counted(done.scales)} scales"
        self.report({"INFO"}, f"{numbers}. {quantization.sentence(error)}")
        return {"FINISHED"}


class SPLAT_OT_put_back_outliers(bpy.types.Operator):
    """Restore the colors and sizes that Tidy Outliers has changed"""

    bl_idname = "splat.put_back_outliers"
    bl_label = "Put Outliers Back"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        problem = _problem_with_changing(context, is_tidied=True)
        return allows(cls, problem)

    @reports_errors
    def execute(self, context):
        data = context.active_object.data
        done, edited = quantization.put_back(data)
        if edited:
            self.report({"WARNING"}, f"{counted(edited)} numbers were edited since and stay as they are")
        self.report({"INFO"}, f"Put back {counted(done)} numbers")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_measure_colors, SPLAT_OT_tidy_outliers, SPLAT_OT_put_back_outliers)
