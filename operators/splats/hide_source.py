"""The source of a capture, hidden and shown."""

import bpy

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.splats import hidden_source
from ...splat_addon.scene.splats.data import is_splats
from ..reporting import reports_errors


class SPLAT_OT_hide_source(bpy.types.Operator):
    """Hide what was captured to see the splats alone: everything that renders except cameras, lights and splats.
    Only in the viewport; Show Source puts exactly these objects back"""

    bl_idname = "splat.hide_source"
    bl_label = "Hide Source"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        if not any(map(is_splats, context.scene.objects)):
            cls.poll_message_set("This scene has no splats yet: train, or import some")
            return False
        if not hidden_source.is_visible(context.view_layer):
            cls.poll_message_set("Nothing that renders is visible here except splats")
            return False
        return True

    @reports_errors
    def execute(self, context):
        count = hidden_source.hide(context.scene, context.view_layer)
        self.report({"INFO"}, f"Hid {counted(count)} object{'s' if count != 1 else ''}: Show Source puts them back")
        return {"FINISHED"}


class SPLAT_OT_show_source(bpy.types.Operator):
    """Show what Hide Source has hidden. What you hid yourself stays hidden"""

    bl_idname = "splat.show_source"
    bl_label = "Show Source"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if not hidden_source.is_hidden(context.scene, context.view_layer):
            cls.poll_message_set("Nothing here was hidden with Hide Source")
            return False
        return True

    @reports_errors
    def execute(self, context):
        count = hidden_source.show(context.scene, context.view_layer)
        self.report({"INFO"}, f"{counted(count)} object{'s are' if count != 1 else ' is'} visible again")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_hide_source, SPLAT_OT_show_source)
