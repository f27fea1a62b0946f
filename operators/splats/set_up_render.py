"""Render settings for splats, and back."""

import bpy

from ...splat_addon.scene.splats import advice, appearance, render_setup
from ...splat_addon.scene.splats.box_modifier import hand_over
from ...splat_addon.scene.splats.compositing import splat_layer
from ..reporting import allows, reports_errors


class SPLAT_OT_set_up_render(bpy.types.Operator):
    """Set what Cycles, EEVEE and color management need to render splats in the chosen look"""

    bl_idname = "splat.set_up_render"
    bl_label = "Set Up Render for Splats"
    bl_options = {"REGISTER", "UNDO"}

    is_exact: bpy.props.BoolProperty(
        name="Exactly as Trained",
        description="One sample at the center of each pixel, as trainers render; meshes then get jagged edges",
        default=False,
    )

    @reports_errors
    def execute(self, context):
        scene = context.scene
        for item in appearance.splat_objects(scene):
            appearance.show_splats(item, scene)
            for sentence in advice.object_advice(item):
                self.report({"WARNING"}, f"{item.name}: {sentence}")
        hand_over(scene)
        changes = render_setup.set_up(scene, self.is_exact)
        for sentence in advice.scene_advice(scene, self.is_exact):
            self.report({"WARNING"}, sentence)
        kept = render_setup.samples_kept(scene)
        if kept:
            self.report({"INFO"}, kept)
        self.report({"INFO"}, f"Set: {', '.join(changes)}" if changes else "Everything is set already")
        return {"FINISHED"}


class SPLAT_OT_composite_splats(bpy.types.Operator):
    """Render the splats in a view layer of their own in Trainer Look, everything else in a copy of this one, and blend
    them in the compositor as trainers do. The look Scene Light undoes it"""

    bl_idname = "splat.composite_splats"
    bl_label = render_setup.BUTTON
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        problem = ""
        if not appearance.splat_objects(context.scene):
            problem = "This scene has no splats: import some first"
        elif splat_layer.is_there(context.scene):
            problem = "The splats are composited already: the look Scene Light undoes it"
        elif not splat_layer.others(context.scene):
            problem = "Nothing else renders: Trainer Look needs no layer here"
        return allows(cls, problem)

    @reports_errors
    def execute(self, context):
        scene = context.scene
        for item in appearance.splat_objects(scene):
            appearance.show_splats(item, scene)
        hand_over(scene)
        splat_layer.make(scene, context.view_layer)
        scene.splat.look = "DISPLAY"
        changes = render_setup.set_up(scene, False)
        layers = f"'{splat_layer.SPLATS}' and '{splat_layer.REST}'"
        self.report(
            {"INFO"}, f"View layers {layers} are rendered and composited. Set: {', '.join(changes) or 'nothing'}"
        )
        return {"FINISHED"}


class SPLAT_OT_put_back_render(bpy.types.Operator):
    """Restore the render settings from before they were set up for splats"""

    bl_idname = "splat.put_back_render"
    bl_label = "Put Back Render Settings"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if not render_setup.is_set_up(context.scene):
            cls.poll_message_set("Nothing was set up for splats in this scene")
            return False
        return True

    @reports_errors
    def execute(self, context):
        changes = render_setup.put_back(context.scene)
        self.report({"INFO"}, f"Put back: {', '.join(changes)}")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_set_up_render, SPLAT_OT_composite_splats, SPLAT_OT_put_back_render)
