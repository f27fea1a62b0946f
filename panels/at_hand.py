"""What comes first now, at the top of the sidebar: how to begin, a run that trains or has trained, or splats to be
rendered."""

import bpy

from ..operators.photos import SPLAT_OT_open_photo_capture
from ..operators.review.held_out import SPLAT_OT_review_view
from ..operators.sample import SPLAT_OT_add_sample_scene
from ..operators.splats.files import SPLAT_OT_import_ply
from ..operators.splats.render import SPLAT_OT_camera_to_view, SPLAT_OT_render
from ..splat_addon.scene.settings.axes import AXES_KEY
from ..splat_addon.scene.splats.data import is_splats
from ..splat_addon.scene.tasks import live_run
from .capture import SidebarPanel, is_beginning
from .splats import draw_source
from .training import draw_commands, draw_run_bar, run_of
from .wrap import draw_sentence


class SPLAT_PT_at_hand(SidebarPanel, bpy.types.Panel):
    """Few rows, always as many in one state: nothing below them moves under the mouse."""

    bl_idname = "SPLAT_PT_at_hand"
    bl_label = "At Hand"
    bl_options = {"HIDE_HEADER"}

    @classmethod
    def poll(cls, context):
        return state_of(context) != ""

    def draw(self, context):
        layout, state, run = self.layout, state_of(context), live_run.current()
        layout.use_property_split = True
        layout.use_property_decorate = False
        if run is not None and state == "TRAINING":
            draw_run_bar(layout, run)
            draw_commands(layout, run)
        elif run is not None and state == "TRAINED":  # as many rows, so that nothing moves at the end of a run
            draw_run_bar(layout, run)
            row = layout.row(align=True)
            row.operator(SPLAT_OT_review_view.bl_idname, icon="VIEW_CAMERA")
            draw_source(row, context)
        elif state == "SPLATS":
            item = context.active_object
            draw_sentence(layout, item.name, "OUTLINER_DATA_POINTCLOUD")
            row = layout.row(align=True)
            row.operator(SPLAT_OT_camera_to_view.bl_idname, icon="VIEW_CAMERA")
            row.operator(SPLAT_OT_render.bl_idname, icon="RENDER_STILL")
            if AXES_KEY in item:
                layout.prop(item.splat, "axes")
        else:
            column = layout.column(align=True)
            column.operator(SPLAT_OT_import_ply.bl_idname, icon="FILE_FOLDER")
            column.operator(SPLAT_OT_open_photo_capture.bl_idname, icon="IMPORT")
            column.operator(SPLAT_OT_add_sample_scene.bl_idname, icon="MESH_MONKEY")


def state_of(context) -> str:
    """ "TRAINING" while a run trains for this scene, "SPLATS" while a splat object is the active one, "TRAINED" when
    the run is over, "BEGINNING" where there are neither splats nor a capture; else empty."""
    scene, run = context.scene, run_of(context.scene)
    if run is not None and not run.is_over:
        return "TRAINING"
    if context.active_object is not None and is_splats(context.active_object):
        return "SPLATS"
    if run is not None:
        return "TRAINED"
    return "BEGINNING" if is_beginning(scene) else ""


CLASSES = (SPLAT_PT_at_hand,)
