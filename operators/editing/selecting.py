"""Select by Value, Grow, Shrink and Invert."""

import bpy

from ...splat_addon.errors import SceneError
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.editing import selecting, target
from ...splat_addon.scene.inspection import choosing
from ...splat_addon.scene.settings.splats.editing import LARGEST, QUANTITIES
from ..reporting import reports_errors
from .subject import ActsOnActive


class SPLAT_OT_select_by_value(ActsOnActive, bpy.types.Operator):
    """Select the splats of which a number lies in a range; Edit Mode shows them"""

    bl_idname = "splat.select_by_value"
    bl_label = "Select by Value"

    quantity: bpy.props.EnumProperty(name="By", items=QUANTITIES)
    attribute: bpy.props.StringProperty(name="Attribute", description="For By Attribute: which one")
    color: bpy.props.FloatVectorProperty(
        name="Color", description="For By Color Difference: from which", subtype="COLOR_GAMMA", size=3, min=0, max=1
    )
    low: bpy.props.FloatProperty(name="From", default=0.0)
    high: bpy.props.FloatProperty(name="To", default=LARGEST)
    mode: bpy.props.EnumProperty(name="Mode", items=selecting.MODES)

    @reports_errors
    def execute(self, context):
        item = context.active_object
        target.require_editable([item])
        place = tuple(context.scene.cursor.location)
        quantity = selecting.Quantity(self.quantity, self.attribute, tuple(self.color), place)
        which = selecting.between(selecting.values_of(item, quantity), self.low, self.high)
        count = selecting.select(item, which, self.mode)
        self.report({"INFO"}, f"{counted(count)} of {counted(len(which))} splats are selected")
        return {"FINISHED"}


class SPLAT_OT_grow_selection(ActsOnActive, bpy.types.Operator):
    """Select what lies near to what is selected, or deselect what lies near to what is not"""

    bl_idname = "splat.grow_selection"
    bl_label = "Grow Selection"

    shrinks: bpy.props.BoolProperty(name="Shrink", description="Deselect at the border instead")
    distance: bpy.props.FloatProperty(
        name="Distance",
        description="How near, in the object's unit; 0 is twice the usual distance between neighbors",
        min=0,
        subtype="DISTANCE",
    )
    steps: bpy.props.IntProperty(name="Steps", description="How many times over", default=1, min=1, soft_max=10)

    @reports_errors
    def execute(self, context):
        item = context.active_object
        target.require_editable([item])
        count, distance = selecting.grow(item, self.distance, self.steps, self.shrinks)
        self.report({"INFO"}, f"{counted(count)} splats are selected (neighbors within {distance:.3g})")
        return {"FINISHED"}


class SPLAT_OT_invert_selection(ActsOnActive, bpy.types.Operator):
    """Select what is not selected, and nothing else"""

    bl_idname = "splat.invert_selection"
    bl_label = "Invert Selection"

    @reports_errors
    def execute(self, context):
        data = context.active_object.data
        target.require_editable([context.active_object])
        self.report({"INFO"}, f"{counted(choosing.select(data, ~choosing.selected(data)))} splats are selected")
        return {"FINISHED"}


class SPLAT_OT_delete_selected(ActsOnActive, bpy.types.Operator):
    """Delete the selected splats"""

    bl_idname = "splat.delete_selected"
    bl_label = "Delete Selected"

    @reports_errors
    def execute(self, context):
        item = context.active_object
        target.require_editable([item])
        which = choosing.selected(item.data)
        if not which.any():
            raise SceneError("No splat is selected.", "Select some by value, by volume, or in Edit Mode.")
        self.report({"INFO"}, f"Deleted {counted(choosing.delete(item.data, which))} splats")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_select_by_value, SPLAT_OT_grow_selection, SPLAT_OT_invert_selection, SPLAT_OT_delete_selected)
