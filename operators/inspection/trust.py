"""Trust: how far views are outside of the training photos."""

import bpy

from ...splat_addon.errors import RunError
from ...splat_addon.scene.session.redraw import redraw
from ...splat_addon.scene.splats.data import is_splats
from ...splat_addon.scene.trust import drawing, measured, strip
from ..reporting import reports_errors


def _has_trust(cls) -> bool:
    if measured.trust() is None:
        cls.poll_message_set("Measure Trust first")
    return measured.trust() is not None


class SPLAT_OT_measure_trust(bpy.types.Operator):
    """Look through the cameras that these splats were trained on, so that viewports can tell how far they are outside
    and what quality to expect"""

    bl_idname = "splat.measure_trust"
    bl_label = "Measure Trust"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        active = context.active_object
        if active is None or not is_splats(active):
            cls.poll_message_set("Make a splat object active first")
            return False
        if active.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
        return active.mode == "OBJECT"

    @reports_errors
    def execute(self, context):
        found = measured.measure(context.scene, context.active_object)
        drawing.start()
        redraw()
        known = "" if found.expectation is None else f"; expect {found.inside_db:.0f} dB within them"
        self.report({"INFO"}, f"{len(found.cameras)} training views{known}")
        return {"FINISHED"}


class SPLAT_OT_forget_trust(bpy.types.Operator):
    """Take badge, volume and strip out of the viewports"""

    bl_idname = "splat.forget_trust"
    bl_label = "Leave"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        return _has_trust(cls)

    @reports_errors
    def execute(self, context):
        measured.forget()
        drawing.stop()
        redraw()
        return {"FINISHED"}


class SPLAT_OT_ask_along_path(bpy.types.Operator):
    """Ask about every frame of the scene camera's animation (250 at most): the strip shows which frames are worst"""

    bl_idname = "splat.ask_along_path"
    bl_label = "Along the Camera's Path"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        return _has_trust(cls)

    @reports_errors
    def execute(self, context):
        found = measured.trust()
        assert found is not None  # poll
        asked = strip.ask_along(context.scene, found)
        worst = strip.worst_first(asked)
        if not worst:
            raise RunError(f"No frame has a number: {asked[0].answer.why}.", "Let the camera look at the splats.")
        redraw()
        self.report({"INFO"}, f"Worst of {len(asked)} frames: {worst[0].number}. {worst[0].answer.text}")
        return {"FINISHED"}


class SPLAT_OT_go_to_frame(bpy.types.Operator):
    """Go to this frame of the animation"""

    bl_idname = "splat.go_to_frame"
    bl_label = "Go to Frame"
    bl_options = {"REGISTER"}

    frame: bpy.props.IntProperty(name="Frame")

    @reports_errors
    def execute(self, context):
        context.scene.frame_set(self.frame)
        return {"FINISHED"}


CLASSES = (SPLAT_OT_measure_trust, SPLAT_OT_forget_trust, SPLAT_OT_ask_along_path, SPLAT_OT_go_to_frame)
