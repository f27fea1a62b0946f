"""A scene to try everything on."""

import bpy

from ..splat_addon.scene.rendering import sample_scene
from .reporting import reports_errors


class SPLAT_OT_add_sample_scene(bpy.types.Operator):
    """Add a small still life with textures, a glossy ball and a thin ring, selected and ready to capture"""

    bl_idname = "splat.add_sample_scene"
    bl_label = "Add Sample Scene"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        objects = sample_scene.build_still_life(context.scene)
        context.view_layer.update()
        for item in context.view_layer.objects:
            item.select_set(item in objects)
        context.view_layer.objects.active = objects[0]
        self.report({"INFO"}, f"Added {len(objects)} objects")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_add_sample_scene,)
