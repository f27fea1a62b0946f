"""Splats that Blender itself has imported."""

import bpy

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.splats import adoption, render_setup
from ...splat_addon.scene.splats.contents import findings
from ...splat_addon.scene.viewport import display
from ..reporting import reports_errors


class SPLAT_OT_adopt(bpy.types.Operator):
    """Draw splats that Blender has imported as exactly as those imported here, in viewports and in renders.
    Attributes of another type than splats need are converted"""

    bl_idname = "splat.adopt"
    bl_label = "Adopt Splats"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        if not adoption.waiting(context.scene):
            cls.poll_message_set("All splats of this scene are adopted already")
            return False
        return True

    @reports_errors
    def execute(self, context):
        items = adoption.waiting(context.scene)
        for item in items:
            for problem in findings.problems(item.data):
                self.report({"WARNING"}, f"{item.name}: {problem}")
        display.adopt(context.scene, items)
        display.start_anew()
        for sentence in render_setup.prepare(context.scene, items):
            self.report({"INFO"}, sentence)
        what = items[0].name if len(items) == 1 else f"{counted(len(items))} splat objects"
        self.report({"INFO"}, f"Adopted {what}; choose in Trained For how they were trained")
        return {"FINISHED"}


class SPLAT_OT_show_as_blenders(bpy.types.Operator):
    """Tell Blender that these points are splats: an older Blender that saved the file has not kept that"""

    bl_idname = "splat.show_as_blenders"
    bl_label = "Show as Blender's Splats"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if not _without_type(context):
            cls.poll_message_set("Select splats whose type was lost in an older Blender")
            return False
        return True

    @reports_errors
    def execute(self, context):
        items = _without_type(context)
        for item in items:
            adoption.give_type(item)
        self.report({"INFO"}, f"{', '.join(item.name for item in items)}: Blender knows the splats again")
        return {"FINISHED"}


def _without_type(context) -> list[bpy.types.Object]:
    """The selected objects and the active one, as far as they need their type back."""
    items = dict.fromkeys([*context.selected_objects, *filter(None, [context.active_object])])
    return [item for item in items if adoption.has_lost_type(item)]


CLASSES = (SPLAT_OT_adopt, SPLAT_OT_show_as_blenders)
