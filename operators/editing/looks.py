"""Color, harmonics and number of splats."""

import bpy

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.editing import looks, target
from ...splat_addon.scene.splats.data import splat_count
from ..reporting import reports_errors
from .subject import ActsOnActive, undo_memory


class SPLAT_OT_color_splats(ActsOnActive, bpy.types.Operator):
    """Change colors, exactly as seen from every direction: adjust them in Adjust Last Operation"""

    bl_idname = "splat.color"
    bl_label = "Color Splats"

    exposure: bpy.props.FloatProperty(
        name="Exposure", description="Stops, of the values that are displayed", soft_min=-4, soft_max=4, step=5
    )
    temperature: bpy.props.FloatProperty(
        name="Temperature", description="Warmer, or cooler below 0", soft_min=-1, soft_max=1, step=1
    )
    tint: bpy.props.FloatProperty(
        name="Tint", description="More magenta, or greener below 0", soft_min=-1, soft_max=1, step=1
    )
    contrast: bpy.props.FloatProperty(
        name="Contrast", description="Distance from middle gray", default=1, min=0, soft_max=2, max=10, step=1
    )
    saturation: bpy.props.FloatProperty(
        name="Saturation", description="Distance from gray", default=1, min=0, soft_max=2, max=10, step=1
    )
    only_selected: bpy.props.BoolProperty(name="Selected Only", description="Leave splats alone that are not selected")

    @reports_errors
    def execute(self, context):
        item = context.active_object
        target.require_editable([item])
        grading = looks.Grading(self.exposure, self.temperature, self.tint, self.contrast, self.saturation)
        count = looks.recolor(item, grading, self.only_selected)
        self.report({"INFO"}, f"Colored {counted(count)} splats{undo_memory([item])}")
        return {"FINISHED"}


class SPLAT_OT_set_sh_degree(ActsOnActive, bpy.types.Operator):
    """Set how much view-dependent color splats keep; lower takes less memory"""

    bl_idname = "splat.set_sh_degree"
    bl_label = "Set SH Degree"

    degree: bpy.props.IntProperty(name="Degree", description="0 is the same from all sides", default=2, min=0, max=3)

    @reports_errors
    def execute(self, context):
        item = context.active_object
        target.require_editable([item])
        former, error = looks.set_degree(item, self.degree)
        change = f"colors change by {255 * error:.2g}/255 (root mean square)" if error else "no color changes"
        self.report({"INFO"}, f"SH degree {former} is {self.degree} now: {change}")
        return {"FINISHED"}


class SPLAT_OT_decimate_splats(ActsOnActive, bpy.types.Operator):
    """Delete the splats that show least, by opacity and size, until so many are left"""

    bl_idname = "splat.decimate"
    bl_label = "Decimate Splats"

    count: bpy.props.IntProperty(name="Splats Left", description="How many to keep", default=100_000, min=1)

    def invoke(self, context, _event):
        self.count = max(1, splat_count(context.active_object) // 2)
        return self.execute(context)

    @reports_errors
    def execute(self, context):
        item = context.active_object
        target.require_editable([item])
        deleted, share = looks.decimate(item, self.count)
        covered = f"they made up {100 * share:.2g} % of what all cover"
        self.report({"INFO"}, f"Deleted {counted(deleted)} splats: {covered}{undo_memory([item])}")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_color_splats, SPLAT_OT_set_sh_degree, SPLAT_OT_decimate_splats)
