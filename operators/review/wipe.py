"""The wipe line as a gizmo: it takes the mouse near the line and nowhere else, and nothing runs while it rests."""

import bpy

from ...splat_addon.scene.review import held_out, overlay
from ...splat_addon.scene.review.frame import REACH_PX


class SPLAT_GT_wipe(bpy.types.Gizmo):
    """The line between photo and trained image. The overlay draws it, over the images; this only handles the mouse."""

    bl_idname = "SPLAT_GT_wipe"

    def draw(self, context):
        overlay.set_line_hot(self.is_highlight or self.is_modal)

    def test_select(self, context, location):
        frame = overlay.frame_in_view(context)
        reach = REACH_PX * context.preferences.system.ui_scale
        wipe, (x, y) = context.scene.splat.review.wipe, location
        return 0 if frame is not None and frame.is_on_line(wipe, x, y, reach) else -1

    def invoke(self, context, event):
        self.before = context.scene.splat.review.wipe
        return {"RUNNING_MODAL"}

    def modal(self, context, event, tweak):
        frame = overlay.frame_in_view(context)
        if frame is None:
            return {"CANCELLED"}
        context.scene.splat.review.wipe = frame.wipe_at(event.mouse_region_x)
        return {"RUNNING_MODAL"}

    def exit(self, context, cancel):
        if cancel:
            context.scene.splat.review.wipe = self.before
        elif context.scene.splat.review.wipe != self.before:
            bpy.ops.ed.undo_push(message="Move Wipe")  # else undo would take back looking through, too


class SPLAT_GGT_wipe(bpy.types.GizmoGroup):
    """There while a viewport shows a wipe."""

    bl_idname = "SPLAT_GGT_wipe"
    bl_label = "Wipe between Photo and Trained Image"
    bl_space_type = "VIEW_3D"
    bl_region_type = "WINDOW"
    bl_options = {"PERSISTENT", "SHOW_MODAL_ALL"}

    @classmethod
    def poll(cls, context):
        scene = context.scene
        if scene.splat.review.mode != "WIPE" or not held_out.is_reviewing(scene):
            return False
        return overlay.shown() is not None and context.region_data.view_perspective == "CAMERA"

    def setup(self, context):
        self.gizmos.new(SPLAT_GT_wipe.bl_idname).use_draw_modal = True


CLASSES = (SPLAT_GT_wipe, SPLAT_GGT_wipe)
