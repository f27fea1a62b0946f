"""Blame: from a wrong pixel of a held-out view to its splats, and from a splat to its photos."""

import bpy

from ...splat_addon.errors import RunError
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.blame import photos, picked
from ...splat_addon.scene.review import held_out, overlay
from ..reporting import reports_errors


class SPLAT_OT_blame(bpy.types.Operator):
    """Click a wrong pixel of the held-out view, or drag a box: the splats it comes from are selected and lit, by their
    share. It tells where photos disagree, not what is wrong with a splat"""

    bl_idname = "splat.blame"
    bl_label = "Blame"
    bl_options = {"REGISTER", "UNDO"}

    box: bpy.props.FloatVectorProperty(
        name="Box",
        description="Left, top, right and bottom as parts of the image, from its upper left",
        size=4,
        min=0.0,
        max=1.0,
        default=(0.5, 0.5, 0.5, 0.5),
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context):
        if not held_out.is_reviewing(context.scene):
            cls.poll_message_set("Look through a held-out view first")
            return False
        return True

    def invoke(self, context, event):
        self.begin = None
        context.window.cursor_modal_set("EYEDROPPER")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type in {"ESC", "RIGHTMOUSE"}:
            context.window.cursor_modal_restore()
            return {"CANCELLED"}
        if event.type != "LEFTMOUSE":
            return {"PASS_THROUGH"}
        place = self._place(context, event)
        if event.value == "PRESS":
            if place is None:
                return {"PASS_THROUGH"}
            self.begin = place
            return {"RUNNING_MODAL"}
        if self.begin is None or event.value != "RELEASE":
            return {"RUNNING_MODAL"}
        end = place or self.begin
        low, high = map(min, zip(self.begin, end, strict=True)), map(max, zip(self.begin, end, strict=True))
        self.box = (*low, *high)
        context.window.cursor_modal_restore()
        return self.execute(context)

    @staticmethod
    def _place(context, event):
        """Where the mouse is, in parts of the image of the viewport below it; None outside."""
        for area in context.screen.areas:
            region = next((other for other in area.regions if other.type == "WINDOW"), None)
            if area.type != "VIEW_3D" or region is None:
                continue
            with context.temp_override(area=area, region=region):
                frame = overlay.frame_in_view(bpy.context)
            if frame is None:
                continue
            x, y = event.mouse_x - region.x - frame.left, event.mouse_y - region.y - frame.bottom
            if 0 <= x < frame.width and 0 <= y < frame.height:
                return x / frame.width, 1 - y / frame.height
        return None

    @reports_errors
    def execute(self, context):
        found = picked.pick(context.scene, tuple(self.box))
        first = found.found.shares[0]
        self.report({"INFO"}, f"{counted(found.selected)} splats are selected; the first has {first:.0%}")
        return {"FINISHED"}


class SPLAT_OT_photos_of_splat(bpy.types.Operator):
    """Say in which training views this splat appears, and where: these photos have put it there"""

    bl_idname = "splat.photos_of_splat"
    bl_label = "Photos of This Splat"
    bl_options = {"REGISTER"}

    splat: bpy.props.IntProperty(name="Splat", description="Its index; -1: the one selected splat", default=-1, min=-1)

    @reports_errors
    def execute(self, context):
        item = picked.run_splats(context.scene)
        splat = self.splat if self.splat >= 0 else picked.selected_splat(item)
        found = photos.appearances(context.scene, item, splat)
        if not found:
            raise RunError("No training view shows this splat at its center.", "Choose another one.")
        self.report(
            {"INFO"}, f"{len(found)} training views show splat {splat}: {', '.join(one.view for one in found[:6])}"
        )
        return {"FINISHED"}


CLASSES = (SPLAT_OT_blame, SPLAT_OT_photos_of_splat)
