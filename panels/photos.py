"""Photographs: captures made elsewhere."""

import bpy

from ..operators.photos import (
    SPLAT_OT_close_photo_capture,
    SPLAT_OT_export_capture,
    SPLAT_OT_leave_photo,
    SPLAT_OT_look_through_photo,
    SPLAT_OT_open_photo_capture,
    SPLAT_OT_stand_upright,
    chosen_camera,
    chosen_root,
)
from ..splat_addon.scene.cameras import looking
from ..splat_addon.scene.photos import photo_capture
from ..splat_addon.scene.review import held_out
from .capture import SidebarPanel
from .review import draw_switches
from .wrap import draw_sentence


class SPLAT_PT_photos(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_photos"
    bl_parent_id = "SPLAT_PT_capture"
    bl_label = "Photographs"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        layout.operator(SPLAT_OT_open_photo_capture.bl_idname, icon="IMPORT")
        root = chosen_root(context)
        if root is not None:
            column = layout.column(align=True)
            count = len(photo_capture.photo_cameras(root))
            draw_sentence(column, f"{root.name}: {count} cameras", "OUTLINER_OB_CAMERA")
            column.operator(SPLAT_OT_stand_upright.bl_idname, icon="ORIENTATION_GLOBAL")
            camera = chosen_camera(context)
            row = column.row(align=True)
            row.operator(SPLAT_OT_look_through_photo.bl_idname, text="", icon="TRIA_LEFT").step = -1
            name = camera.name if camera is not None else "Look Through"
            row.operator(SPLAT_OT_look_through_photo.bl_idname, text=name, icon="VIEW_CAMERA").step = 0
            row.operator(SPLAT_OT_look_through_photo.bl_idname, text="", icon="TRIA_RIGHT").step = 1
            if looking.is_looking(context.scene) and not held_out.is_reviewing(context.scene):
                row.operator(SPLAT_OT_leave_photo.bl_idname, text="", icon="LOOP_BACK")
                draw_switches(column, context.scene)
            column.operator(SPLAT_OT_close_photo_capture.bl_idname, icon="X")
        layout.operator(SPLAT_OT_export_capture.bl_idname, icon="EXPORT")


CLASSES = (SPLAT_PT_photos,)
