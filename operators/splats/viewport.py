"""Splats in the viewport."""

import bpy

from ...splat_addon.scene.splats.data import is_splats
from ...splat_addon.scene.viewport import display
from ..reporting import reports_errors


class SPLAT_OT_toggle_viewport(bpy.types.Operator):
    """Draw the splats themselves in all viewports, or show their objects as Blender draws them"""

    bl_idname = "splat.toggle_viewport"
    bl_label = "Show Splats in Viewport"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if not any(is_splats(item) for item in context.scene.objects):
            cls.poll_message_set("This scene has no splats: import some first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        wanted = not display.is_shown(context.scene)
        display.show(context.scene, wanted)
        if display.is_shown(context.scene) != wanted:
            self.report({"WARNING"}, "Linked splats are shown as in the file they come from")
        else:
            self.report({"INFO"}, "Splats are drawn in the viewport" if wanted else "Objects are shown as they are")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_toggle_viewport,)
