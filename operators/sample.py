"""A scene to try everything on."""

import bpy

from ..splat_addon.errors import some_of
from ..splat_addon.scene.rendering import sample_scene
from .reporting import reports_errors


class SPLAT_OT_add_sample_scene(bpy.types.Operator):
    """Add a small still life with textures, a glossy ball and a thin ring, selected and ready to capture. Objects that
    reach into it, as the default cube does, are hidden"""

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
        hidden = sample_scene.hide_what_is_in_the_way(context.view_layer, objects)
        for item in context.view_layer.objects:
            item.select_set(item in objects)
        context.view_layer.objects.active = objects[0]
        text = f"Added {len(objects)} objects"
        if hidden:
            names = some_of(f"'{item.name}'" for item in hidden)
            text += f"; {names} in the same place {'is' if len(hidden) == 1 else 'are'} hidden, also in renders"
        self.report({"INFO"}, text)
        return {"FINISHED"}


CLASSES = (SPLAT_OT_add_sample_scene,)
