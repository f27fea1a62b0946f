"""What concerns splats that Blender (5.3) draws itself."""

import bpy

from ..operators.splats.tidy import SPLAT_OT_measure_colors, SPLAT_OT_put_back_outliers, SPLAT_OT_tidy_outliers
from ..splat_addon.scene.splats.appearance import is_native
from ..splat_addon.scene.splats.contents import findings, quantization
from ..splat_addon.scene.splats.data import is_splats
from .capture import SidebarPanel
from .wrap import draw_sentence


class SPLAT_PT_blenders_splats(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_blenders_splats"
    bl_parent_id = "SPLAT_PT_splats"
    bl_label = "Blender's Splats"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        active = context.active_object
        return active is not None and is_splats(active) and is_native(active)

    def draw(self, context):
        layout, data = self.layout, context.active_object.data
        error = findings.color_error(data)
        column = layout.column(align=True)
        if error is None:
            column.operator(SPLAT_OT_measure_colors.bl_idname, icon="EYEDROPPER")
        else:
            draw_sentence(layout, quantization.sentence(error), "INFO")
        if quantization.is_tidied(data):
            column.operator(SPLAT_OT_put_back_outliers.bl_idname, icon="LOOP_BACK")
        else:
            column.operator(SPLAT_OT_tidy_outliers.bl_idname, icon="BRUSH_DATA")
        draw_sentence(layout, "Blender's own exports lose splats (PLY writes none): use Export Splats.", "INFO")


CLASSES = (SPLAT_PT_blenders_splats,)
