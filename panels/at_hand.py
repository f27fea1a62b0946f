"""What comes first now, at the top of the sidebar: how to begin, a run that trains or has trained, or splats to be
rendered."""

import bpy

from ..operators.capture import SPLAT_OT_capture_scene
from ..operators.photos import SPLAT_OT_open_photo_capture
from ..operators.review.held_out import SPLAT_OT_leave_review, SPLAT_OT_review_view
from ..operators.sample import SPLAT_OT_add_sample_scene
from ..operators.splats.files import SPLAT_OT_import_ply
from ..operators.splats.render import SPLAT_OT_camera_to_view, SPLAT_OT_render
from ..operators.training import SPLAT_OT_start_training
from ..splat_addon.scene.review import held_out
from ..splat_addon.scene.runs import run_object
from ..splat_addon.scene.settings.axes import AXES_KEY
from ..splat_addon.scene.splats.data import is_splats
from ..splat_addon.scene.tasks import live_render, live_run
from .capture import SidebarPanel
from .splats import draw_source
from .training import draw_commands, draw_run_bar, run_of
from .wrap import draw_sentence


class SPLAT_PT_at_hand(SidebarPanel, bpy.types.Panel):
    """Few rows, always as many in one state: nothing below them moves under the mouse. There is always something: else
    the tab would change its place among the others, too."""

    bl_idname = "SPLAT_PT_at_hand"
    bl_label = "At Hand"
    bl_options = {"HIDE_HEADER"}

    def draw(self, context):
        layout, state, run = self.layout, state_of(context), live_run.current()
        layout.use_property_split = True
        layout.use_property_decorate = False
        if run is not None and state == "TRAINING":
            draw_run_bar(layout, run)
            draw_commands(layout, run)
            _draw_review(layout, context)
        elif run is not None and state == "TRAINED":  # as many rows, so that nothing moves at the end of a run
            draw_run_bar(layout, run)
            _draw_render(layout)
            _draw_review(layout, context)
        elif state == "SPLATS":
            item = context.active_object
            draw_sentence(layout, item.name, "OUTLINER_DATA_POINTCLOUD")
            _draw_render(layout)
            if AXES_KEY in item:
                layout.prop(item.splat, "axes")
        elif state == "CAPTURE":
            row = layout.row(align=True)
            row.operator(SPLAT_OT_capture_scene.bl_idname, icon="RENDER_STILL")
            row.operator(SPLAT_OT_start_training.bl_idname, icon="PLAY")
        else:
            column = layout.column(align=True)
            column.operator(SPLAT_OT_import_ply.bl_idname, icon="FILE_FOLDER")
            column.operator(SPLAT_OT_open_photo_capture.bl_idname, icon="IMPORT")
            column.operator(SPLAT_OT_add_sample_scene.bl_idname, icon="MESH_MONKEY")


def _draw_render(layout) -> None:
    row = layout.row(align=True)
    row.operator(SPLAT_OT_camera_to_view.bl_idname, icon="VIEW_CAMERA")
    row.operator(SPLAT_OT_render.bl_idname, icon="RENDER_STILL")


def _draw_review(layout, context) -> None:
    row = layout.row(align=True)
    if held_out.is_reviewing(context.scene):
        row.operator(SPLAT_OT_leave_review.bl_idname, icon="LOOP_BACK")
    else:
        row.operator(SPLAT_OT_review_view.bl_idname, icon="VIEW_CAMERA")
    draw_source(row, context)


def state_of(context) -> str:
    """ "TRAINING" while a run trains for this scene; "SPLATS" while a splat object is the active one, if it is not of
    the run that is over; "TRAINED" after that run; "CAPTURE" where there is a folder for one; else "BEGINNING"."""
    scene, run, active = context.scene, run_of(context.scene), context.active_object
    if run is not None and not run.is_over:
        return "TRAINING"
    is_of_run = run is not None and active is not None and active == run_object.find(scene, run.folder)
    if active is not None and is_splats(active) and not is_of_run:
        return "SPLATS"
    if run is not None:
        return "TRAINED"
    return "CAPTURE" if scene.splat.capture.folder or live_render.is_capturing() else "BEGINNING"


CLASSES = (SPLAT_PT_at_hand,)
