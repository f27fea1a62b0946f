"""Splats in the scene."""

import bpy

from ..operators.render import SPLAT_OT_put_back_render, SPLAT_OT_set_up_render
from ..operators.splat_files import SPLAT_OT_export_ply, SPLAT_OT_import_ply
from ..operators.splats import SPLAT_OT_import_result
from ..splat_addon.scene.render_setup import is_set_up
from ..splat_addon.scene.splats import is_splats, splat_count
from ..splat_addon.scene.transforms import transform_problems
from .capture import SidebarPanel


class SPLAT_PT_splats(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_splats"
    bl_label = "Splats"

    def draw(self, context):
        layout = self.layout
        layout.prop(context.scene.splat, "run_folder")
        layout.operator(SPLAT_OT_import_result.bl_idname, icon="IMPORT")
        row = layout.row(align=True)
        row.operator(SPLAT_OT_import_ply.bl_idname, text="Import PLY", icon="FILE_FOLDER")
        row.operator(SPLAT_OT_export_ply.bl_idname, text="Export PLY", icon="EXPORT")
        active = context.active_object
        if active is not None and is_splats(active):
            layout.label(text=f"{active.name}: {splat_count(active)} splats")
            for problem in transform_problems(active):
                for sentence in problem.replace(": ", ":\n", 1).splitlines():
                    layout.label(text=sentence, icon="ERROR")
        draw_render_settings(layout, context)


def draw_render_settings(layout, context) -> None:
    """The look and what renders need for it."""
    column = layout.column(align=True)
    column.prop(context.scene.splat, "look", text="Render")
    column.operator(SPLAT_OT_set_up_render.bl_idname, icon="OUTPUT")
    if is_set_up(context.scene):
        column.operator(SPLAT_OT_put_back_render.bl_idname, icon="LOOP_BACK")


CLASSES = (SPLAT_PT_splats,)
