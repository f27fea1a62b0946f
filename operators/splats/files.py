"""Splat files in and out of the scene."""

from pathlib import Path

import bpy
from bpy_extras.io_utils import ExportHelper, ImportHelper
from mathutils import Matrix

from ...splat_addon.run.wording import counted
from ...splat_addon.scene.own_data import make_active
from ...splat_addon.scene.splats import data as splat_data
from ...splat_addon.scene.splats import files as splat_files
from ...splat_addon.scene.splats.contents import attributes
from ...splat_addon.scene.splats.data import splat_collection
from ...splat_addon.scene.splats.transforms import transform_problems
from ..reporting import reports_errors


class SPLAT_OT_import_ply(bpy.types.Operator, ImportHelper):
    """Bring the gaussian splats of a PLY file into the scene"""

    bl_idname = "splat.import_ply"
    bl_label = "Import Splats"
    bl_options = {"REGISTER", "UNDO"}

    filename_ext = ".ply"
    filter_glob: bpy.props.StringProperty(default="*.ply", options={"HIDDEN"})
    directory: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    axes: bpy.props.EnumProperty(
        name="Axes",
        description="How the object is rotated; the splats themselves stay as they are in the file",
        items=splat_files.AXES,
        default="STORED",
    )
    opacities: bpy.props.EnumProperty(
        name="Opacity",
        description="How the file stores opacities",
        items=splat_files.OPACITIES,
        default="AUTO",
    )

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def invoke(self, context, event):
        return self.invoke_popup(context)  # the axis choice after a drop, the file browser otherwise

    @reports_errors
    def execute(self, context):
        paths = [Path(self.directory, entry.name) for entry in self.files if entry.name] or [Path(self.filepath)]
        for path in paths:
            collection = splat_collection(context.scene)
            item, notes = splat_files.import_splats(path, self.axes, context.scene, collection, self.opacities.lower())
            for other in list(context.view_layer.objects.selected):
                other.select_set(False)
            context.view_layer.update()
            make_active(context.view_layer, item)
            for note in notes:
                self.report({"WARNING"}, note)
            self.report({"INFO"}, f"Imported {counted(splat_data.splat_count(item))} splats from {path.name}")
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
        if context.active_object is None or not splat_data.is_splats(context.active_object):
            cls.poll_message_set("Make a splat object active first")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    @reports_errors
    def execute(self, context):
        item, path = context.active_object, Path(self.filepath)
        if path.suffix.lower() != ".ply":
            path = path.with_name(path.name + ".ply")  # what follows a dot may be part of the name
        if item.matrix_world != Matrix.Identity(4):
            self.report({"WARNING"}, "The splats are written in the object's own frame, without its transform")
        for problem in [*attributes.problems(item.data), *transform_problems(item)]:
            self.report({"WARNING"}, problem)
        count = splat_files.export_splats(path, item)
        self.report({"INFO"}, f"Exported {counted(count)} splats to {path}")
        return {"FINISHED"}


class SPLAT_FH_ply(bpy.types.FileHandler):
    """A splat file dropped into a viewport or the outliner is imported."""

    bl_idname = "SPLAT_FH_ply"
    bl_label = "Gaussian Splats"
    bl_import_operator = SPLAT_OT_import_ply.bl_idname
    bl_file_extensions = ".ply"

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type in {"VIEW_3D", "OUTLINER"}


def draw_import(self, _context):
    """In File > Import."""
    self.layout.operator(SPLAT_OT_import_ply.bl_idname, text="Gaussian Splats (.ply)")


def draw_export(self, _context):
    """In File > Export."""
    self.layout.operator(SPLAT_OT_export_ply.bl_idname, text="Gaussian Splats (.ply)")


MENUS = {"TOPBAR_MT_file_import": draw_import, "TOPBAR_MT_file_export": draw_export}
CLASSES = (SPLAT_OT_import_ply, SPLAT_OT_export_ply, SPLAT_FH_ply)
