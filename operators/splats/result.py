"""A run's splats in the scene."""

import bpy

from ...splat_addon.run.folder import RunFolder
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.review import held_out
from ...splat_addon.scene.runs.run_object import BroughtIn, bring_in
from ..reporting import reports_errors


class SPLAT_OT_import_result(bpy.types.Operator):
    """Bring the run's splats into the scene, at the place of what was captured"""

    bl_idname = "splat.import_result"
    bl_label = "Import Result"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        if not context.scene.splat.run_folder:
            cls.poll_message_set("Train first, or choose a run: this scene has none")
            return False
        return True

    @reports_errors
    def execute(self, context):
        folder = RunFolder(held_out.require_run(context.scene))
        report_brought_in(self, bring_in(context.scene, context.view_layer, folder))
        return {"FINISHED"}


def report_brought_in(operator: bpy.types.Operator, brought: BroughtIn) -> None:
    """Say what was brought in, and what is hidden for it."""
    text = f"Imported {counted(brought.count)} splats from {brought.file_name}"
    if brought.hidden:
        verb = "are" if len(brought.hidden) > 1 else "is"
        text += f"; {', '.join(brought.hidden)} in the same place {verb} hidden"
    for sentence in brought.settings:
        operator.report({"INFO"}, sentence)
    operator.report({"INFO"}, text)


CLASSES = (SPLAT_OT_import_result,)
