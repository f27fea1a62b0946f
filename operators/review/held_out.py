"""Looking at held-out views."""

import bpy

from ...splat_addon.scene.review import held_out
from ..reporting import reports_errors


class SPLAT_OT_review_view(bpy.types.Operator):
    """Look through the chosen held-out camera, with the photo and what training made of it over the viewport"""

    bl_idname = "splat.review_view"
    bl_label = "Look Through"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if not context.scene.splat.held_out_views:
            cls.poll_message_set("No held-out view was measured yet: train first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        view = held_out.show(context, context.scene)
        self.report({"INFO"}, f"Looking through {view.name}")
        return {"FINISHED"}


class SPLAT_OT_step_review(bpy.types.Operator):
    """Look through the next or the previous held-out view of the list"""

    bl_idname = "splat.step_review"
    bl_label = "Next Held-out View"
    bl_options = {"REGISTER"}

    by: bpy.props.IntProperty(name="Views", description="How far down the list; negative goes up", default=1)

    @classmethod
    def description(cls, context, properties):
        return "The next worse view" if properties.by < 0 else "The next better view"

    @classmethod
    def poll(cls, context):
        return _is_reviewing(cls, context)

    @reports_errors
    def execute(self, context):
        held_out.step(context, context.scene, self.by)
        return {"FINISHED"}


class SPLAT_OT_leave_review(bpy.types.Operator):
    """Back to your own camera, resolution and view"""

    bl_idname = "splat.leave_review"
    bl_label = "Leave Review"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return _is_reviewing(cls, context)

    @reports_errors
    def execute(self, context):
        held_out.leave(context, context.scene)
        return {"FINISHED"}


def _is_reviewing(cls, context) -> bool:
    if not held_out.is_reviewing(context.scene):
        cls.poll_message_set("No held-out view is shown")
        return False
    return True


CLASSES = (SPLAT_OT_review_view, SPLAT_OT_step_review, SPLAT_OT_leave_review)
"""For registration; what else a review needs in the interface is in `review_keys.py`."""
