"""Looking at held-out views."""

import bpy

from ..splat_addon.scene import review
from .report import reports_errors


class SPLAT_OT_review_view(bpy.types.Operator):
    """Look through the chosen held-out camera, with what training made of it over the photo"""

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
        view = review.show(context, context.scene)
        self.report({"INFO"}, f"Looking through {view.name}")
        return {"FINISHED"}


class SPLAT_OT_leave_review(bpy.types.Operator):
    """Back to your own camera and resolution"""

    bl_idname = "splat.leave_review"
    bl_label = "Leave Review"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if not review.is_reviewing(context.scene):
            cls.poll_message_set("No held-out view is shown")
            return False
        return True

    @reports_errors
    def execute(self, context):
        review.leave(context, context.scene)
        return {"FINISHED"}


CLASSES = (SPLAT_OT_review_view, SPLAT_OT_leave_review)
