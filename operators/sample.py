"""A scene to try everything on."""

import bpy

from ..splat_addon.errors import some_of
from ..splat_addon.scene.exchange import arrival
from ..splat_addon.scene.rendering import sample_scene
from .reporting import reports_errors

FIRST_TRY = {"camera_count": 24, "width": 400, "height": 300}  # where the artist has chosen nothing: a minute to train


class SPLAT_OT_add_sample_scene(bpy.types.Operator):
    """Add a small still life with textures, a glossy ball and a thin ring, selected and ready to capture in a minute.
    Objects that reach into it, as the default cube does, are hidden"""

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
        arrival.frame(context, objects)
        chosen = context.scene.splat.capture
        for name, value in FIRST_TRY.items():
            if not chosen.is_property_set(name):
                setattr(chosen, name, value)
        text = f"Added {len(objects)} objects, to be captured by {chosen.camera_count} cameras"
        if hidden:
            names = some_of(f"'{item.name}'" for item in hidden)
            text += f"; {names} in the same place {'is' if len(hidden) == 1 else 'are'} hidden, also in renders"
        self.report({"INFO"}, text)
        return {"FINISHED"}


def draw_add(self, _context):
    """In the 3D view's menu Add."""
    self.layout.operator(SPLAT_OT_add_sample_scene.bl_idname, text="Splat Sample Scene", icon="MESH_MONKEY")


MENUS = {"VIEW3D_MT_add": draw_add}
CLASSES = (SPLAT_OT_add_sample_scene,)
