"""Editing the active object's splats."""

import bpy

from ...operators.editing.joining import SPLAT_OT_join_splats, SPLAT_OT_separate_splats
from ...operators.editing.looks import SPLAT_OT_color_splats, SPLAT_OT_decimate_splats, SPLAT_OT_set_sh_degree
from ...operators.editing.moving import SPLAT_OT_apply_transform, SPLAT_OT_mirror_splats
from ..splats import ActiveSplatsPanel


class SPLAT_PT_editing(ActiveSplatsPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_editing"
    bl_label = "Edit"

    def draw(self, context):
        layout = self.layout
        column = layout.column(align=True)
        column.operator(SPLAT_OT_apply_transform.bl_idname, icon="CHECKMARK")
        column.operator(SPLAT_OT_mirror_splats.bl_idname, icon="MOD_MIRROR")
        column.operator(SPLAT_OT_join_splats.bl_idname, icon="SELECT_EXTEND")
        column.operator(SPLAT_OT_separate_splats.bl_idname, icon="SELECT_SUBTRACT")
        column = layout.column(align=True)
        column.operator(SPLAT_OT_color_splats.bl_idname, icon="COLOR")
        column.operator(SPLAT_OT_set_sh_degree.bl_idname, icon="SPHERE")
        column.operator(SPLAT_OT_decimate_splats.bl_idname, icon="MOD_DECIM")


CLASSES = (SPLAT_PT_editing,)
