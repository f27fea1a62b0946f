"""Rendering what has splats, with all that they need."""

import bpy

from ...splat_addon.errors import SceneError
from ...splat_addon.scene.cameras import framing
from ...splat_addon.scene.splats import appearance, render_setup
from ...splat_addon.scene.splats.box_modifier import hand_over
from ..reporting import allows, reports_errors


class SPLAT_OT_render(bpy.types.Operator):
    """Set what splats need, as Set Up Render does, and render the scene's camera"""

    bl_idname = "splat.render"
    bl_label = "Render"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        problem = ""
        if not appearance.splat_objects(context.scene):
            problem = "This scene has no splats: import some first"
        elif context.scene.camera is None:
            problem = "The scene has no camera: Camera to View makes one of what you see"
        elif bpy.app.is_job_running("RENDER"):
            problem = "A render is running already"
        return allows(cls, problem)

    @reports_errors
    def execute(self, context):
        scene = context.scene
        for item in appearance.splat_objects(scene):
            appearance.show_splats(item, scene)
        hand_over(scene)
        changes = render_setup.set_up(scene, False)
        if changes:
            bpy.ops.ed.undo_push(message="Set Up Render for Splats")
            self.report({"INFO"}, f"Set: {', '.join(changes)}. Put Back Render Settings undoes it")
        bpy.ops.render.render("EXEC_DEFAULT" if bpy.app.background else "INVOKE_DEFAULT")
        return {"FINISHED"}


class SPLAT_OT_camera_to_view(bpy.types.Operator):
    """Let the scene's camera see what this viewport shows; one is added where the scene has none"""

    bl_idname = "splat.camera_to_view"
    bl_label = "Camera to View"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        problem = ""
        if context.area is None or context.area.type != "VIEW_3D":
            problem = "Choose it in a 3D view"
        elif context.mode != "OBJECT":
            problem = "Switch to Object Mode first"
        elif context.scene.camera is not None and context.scene.camera.library is not None:
            problem = "The camera is linked: make one of your own the scene's camera (Ctrl 0)"
        return allows(cls, problem)

    @reports_errors
    def execute(self, context):
        scene = context.scene
        if scene.camera is None:
            camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
            scene.collection.objects.link(camera)
            scene.camera = camera
            context.view_layer.update()
        region = next(region for region in context.area.regions if region.type == "WINDOW")
        with context.temp_override(region=region):
            if bpy.ops.view3d.camera_to_view() != {"FINISHED"}:
                raise SceneError("The camera cannot be moved here.", "Unlock it, or turn the viewport first.")
        framing.frame_camera(context.area, scene)
        return {"FINISHED"}


CLASSES = (SPLAT_OT_render, SPLAT_OT_camera_to_view)
