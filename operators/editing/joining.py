"""Join and Separate."""

import bpy

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.editing import joining, target
from ...splat_addon.scene.splats.data import is_splats, splat_count
from ..reporting import allows, reports_errors
from .subject import ActsOnActive, splat_objects_of, undo_memory


class ActsOnJoined:
    """What makes the selected objects' splats part of the active object."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        active = context.active_object
        if active is None or not is_splats(active) or len(splat_objects_of(context)) < 2:
            return allows(cls, "Select splat objects, the one that they become part of last")
        # What is joined may be used elsewhere, too; only the active one's splats are changed.
        problems = map(target.problem_with_joined, splat_objects_of(context)[1:])
        return allows(cls, target.problem(active) or next(filter(None, problems), ""))


class SPLAT_OT_join_splats(ActsOnJoined, bpy.types.Operator):
    """Make the selected splats part of the active object, as they stand in the scene. Blender's own Join turns and
    resizes the points alone"""

    bl_idname = "splat.join"
    bl_label = "Join Splats"

    @reports_errors
    def execute(self, context):
        active, *others = splat_objects_of(context)
        for sentence in joining.join(active, others):
            self.report({"WARNING"}, sentence)
        count = counted(splat_count(active))
        self.report({"INFO"}, f"Joined {counted(len(others) + 1)} objects: {count} splats{undo_memory([active])}")
        return {"FINISHED"}


class SPLAT_OT_separate_splats(ActsOnActive, bpy.types.Operator):
    """Make the selected splats an object of their own, in the same place"""

    bl_idname = "splat.separate"
    bl_label = "Separate Selected"

    @reports_errors
    def execute(self, context):
        item = context.active_object
        target.require_editable([item])
        other = joining.separate(item)
        other.select_set(True)
        self.report({"INFO"}, f"'{other.name}' has {counted(splat_count(other))} of the splats now")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_join_splats, SPLAT_OT_separate_splats)
