"""Making a capture from the scene."""

import bpy

from ..splat_addon.scene.rendering.plan import make_plan, what_is_missing
from ..splat_addon.scene.settings.paths import absolute
from ..splat_addon.scene.tasks import live_render
from .reporting import reports_errors


class SPLAT_OT_capture_scene(bpy.types.Operator):
    """Render the scene from all cameras into the capture folder, with points on the surfaces to start training from.
    A second Blender renders a copy of the file; this one stays free"""

    bl_idname = "splat.capture_scene"
    bl_label = "Capture Scene"
    bl_options = {"UNDO"}  # no REGISTER: adjusting the last operation would render all over again

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        if live_render.is_rendering():
            cls.poll_message_set("A capture is already being rendered: cancel it first")
            return False
        if not context.scene.splat.capture.folder:
            cls.poll_message_set("Choose a capture folder first")
            return False
        missing = what_is_missing(context)
        if missing:
            cls.poll_message_set(missing)
        return not missing

    def invoke(self, context, event):
        """From the interface: start, and let the panel tell how it goes."""
        return self._start_in_background(context)

    @reports_errors
    def execute(self, context):
        """From a script: start, and wait until the capture is complete."""
        render = _start(context)
        context.window_manager.progress_begin(0, render.total)
        try:
            live_render.wait(context.window_manager.progress_update)
        finally:
            context.window_manager.progress_end()
            for warning in render.warnings:
                self.report({"WARNING"}, warning)
        self.report({"INFO"}, f"{render.message} They are in {render.capture}")
        return {"FINISHED"}

    @reports_errors
    def _start_in_background(self, context):
        render = _start(context)
        live_render.begin_watching()
        for warning in render.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, f"Rendering {render.total} views in the background")
        return {"FINISHED"}


class SPLAT_OT_cancel_capture(bpy.types.Operator):
    """Cancel rendering the capture. Finished images are kept, and the next capture continues from them"""

    bl_idname = "splat.cancel_capture"
    bl_label = "Cancel Capture"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if not live_render.is_rendering():
            cls.poll_message_set("No capture is being rendered")
            return False
        return True

    @reports_errors
    def execute(self, context):
        live_render.cancel()
        return {"FINISHED"}


def _start(context) -> live_render.LiveRender:
    plan, points, warnings = make_plan(context)
    return live_render.start(plan, points, absolute(context.scene.splat.capture.folder), warnings)


CLASSES = (SPLAT_OT_capture_scene, SPLAT_OT_cancel_capture)
