"""Splats in the scene."""

import bpy

from ..operators.splats import SPLAT_OT_export_ply, SPLAT_OT_import_result
from ..splat_addon.scene.splats import is_splats
from .capture import SidebarPanel


class SPLAT_PT_splats(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_splats"
    bl_label = "Splats"

    def draw(self, context):
        layout = self.layout
        layout.prop(context.scene.splat, "run_folder")
        layout.operator(SPLAT_OT_import_result.bl_idname, icon="IMPORT")
        space = context.space_data
        if space is not None and space.type == "VIEW_3D" and space.shading.type in ("SOLID", "WIREFRAME"):
            layout.label(text="Material Preview shows their colours", icon="SHADING_TEXTURE")
        active = context.active_object
        if active is not None and is_splats(active):
            layout.label(text=f"{active.name}: {len(active.data.attributes['position'].data)} splats")
        layout.operator(SPLAT_OT_export_ply.bl_idname, icon="EXPORT")


CLASSES = (SPLAT_PT_splats,)
