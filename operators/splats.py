"""A run's splats in the scene."""

import bpy

from ..splat_addon.errors import RunError
from ..splat_addon.gaussians.formats.splat_ply import SplatPly, read_splats
from ..splat_addon.run.folder import RunFolder
from ..splat_addon.run.wording import counted
from ..splat_addon.scene.review import held_out
from ..splat_addon.scene.runs import run_object
from ..splat_addon.scene.splats import appearance
from .reporting import reports_errors


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
        path = folder.result_file()
        if path is None:
            raise RunError(f"The run in {folder.path} has no splats yet.", "Wait for a snapshot, or take one.")
        cloud = read_splats(path)
        item = run_object.put(context.scene, folder, cloud)
        item[appearance.BLEND_SPACE_KEY] = SplatPly(path).blend_space
        run_object.follow_capture(context.scene, item, folder)
        run_object.unhide(context.scene, item)
        hidden = run_object.hide_others(context.scene, folder)
        context.view_layer.update()
        for other in list(context.view_layer.objects.selected):
            other.select_set(False)  # nor is the new object selected: thousands of outlines would hide it
        context.view_layer.objects.active = item
        self.report({"INFO"}, f"Imported {counted(len(cloud))} splats from {path.name}{_told(hidden)}")
        return {"FINISHED"}


def _told(hidden: list[str]) -> str:
    if not hidden:
        return ""
    return f"; {', '.join(hidden)} in the same place {'are' if len(hidden) > 1 else 'is'} hidden"


CLASSES = (SPLAT_OT_import_result,)
