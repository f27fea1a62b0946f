"""Splats in and out of the scene."""

from pathlib import Path

import bpy
from bpy_extras.io_utils import ExportHelper
from mathutils import Matrix

from ..splat_addon.errors import RunError
from ..splat_addon.gaussians.ply import read_splats, write_splats
from ..splat_addon.run.folder import RunFolder
from ..splat_addon.scene import appearance, review, run_object, splats
from .report import reports_errors


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
        folder = RunFolder(review.require_run(context.scene))
        path = folder.result_file()
        if path is None:
            raise RunError(f"The run in {folder.path} has no splats yet.", "Wait for a snapshot, or take one.")
        cloud = read_splats(path)
        item = run_object.put(context.scene, folder, cloud)
        appearance.show_as_ellipsoids(item)
        run_object.follow_capture(context.scene, item, folder)
        context.view_layer.update()
        for other in context.selected_objects:
            other.select_set(False)  # nor is the new object selected: thousands of outlines would hide it
        context.view_layer.objects.active = item
        self.report({"INFO"}, f"Imported {len(cloud)} splats from {path.name}")
        return {"FINISHED"}


class SPLAT_OT_export_ply(bpy.types.Operator, ExportHelper):
    """Write the active splat object as a PLY that other splat tools read"""

    bl_idname = "splat.export_ply"
    bl_label = "Export Splats"
    bl_options = {"REGISTER"}

    filename_ext = ".ply"
    filter_glob: bpy.props.StringProperty(default="*.ply", options={"HIDDEN"})

    @classmethod
    def poll(cls, context):
        if context.active_object is None or not splats.is_splats(context.active_object):
            cls.poll_message_set("Make a splat object active first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        cloud = splats.splats_from_object(context.active_object)
        if context.active_object.matrix_world != Matrix.Identity(4):
            self.report({"WARNING"}, "The splats are written in the object's own frame, without its transform")
        write_splats(Path(self.filepath).with_suffix(".ply"), cloud)
        self.report({"INFO"}, f"Exported {len(cloud)} splats to {self.filepath}")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_import_result, SPLAT_OT_export_ply)
