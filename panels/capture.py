"""Capture and Seeds."""

import math

import bpy

from ..operators.capture import SPLAT_OT_cancel_capture, SPLAT_OT_capture_scene
from ..operators.rigs import SPLAT_OT_add_camera_rig, SPLAT_OT_mark_held_out
from ..operators.seeds import SPLAT_OT_sample_seeds, SPLAT_OT_show_seeds
from ..splat_addon.run.wording import in_time
from ..splat_addon.scene.splats.data import is_splats
from ..splat_addon.scene.tasks import live_render, outside_views
from .wrap import draw_sentence

LAST = 9  # among the panels of a stage


class SidebarPanel:
    """Where all panels of the add-on live. What a task says stands below all buttons of its stage, and what shows how
    far it is has the height of what it takes the place of: no button moves while it runs."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Splats"


class SPLAT_PT_capture(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_capture"
    bl_label = "Capture"

    def draw(self, context):
        layout, chosen = self.layout, context.scene.splat.capture
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(chosen, "folder", text="Folder")
        layout.prop(chosen, "source", text="From")
        if chosen.source == "DOME":
            column = layout.column(align=True)
            column.prop(chosen, "camera_count")
            column.prop(chosen, "lens_mm")
            column.prop(chosen, "lowest_deg")
        elif chosen.source == "COLLECTION":
            layout.prop(chosen, "collection")
        elif chosen.source == "FRAMES":
            column = layout.column(align=True)
            column.prop(chosen, "first_frame")
            column.prop(chosen, "last_frame")
            column.prop(chosen, "frame_step")
        render = live_render.current()
        if render is not None and not render.is_over:
            draw_render_progress(layout, render)
        else:
            layout.operator(SPLAT_OT_capture_scene.bl_idname, icon="RENDER_STILL")


class SPLAT_PT_capture_messages(SidebarPanel, bpy.types.Panel):
    """What the render of a capture says, below all that can be pressed; also that of views off the path, unless the
    Floaters panel of the active object does."""

    bl_idname = "SPLAT_PT_capture_messages"
    bl_parent_id = "SPLAT_PT_capture"
    bl_label = "Messages"
    bl_options = {"HIDE_HEADER"}
    bl_order = LAST

    @classmethod
    def poll(cls, context):
        render = live_render.current()
        if render is None or not (render.warnings or render.message):
            return False
        return not (render.is_outside and _is_told_in_floaters(context))

    def draw(self, context):
        render = live_render.current()
        if render is None:
            return
        column = self.layout.column(align=True)
        if render.message:
            draw_sentence(column, render.message, "ERROR" if render.state == "failed" else "CHECKMARK")
        for warning in render.warnings:
            draw_sentence(column, warning, "INFO")


class SPLAT_PT_capture_images(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_capture_images"
    bl_parent_id = "SPLAT_PT_capture"
    bl_label = "Images"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, chosen = self.layout, context.scene.splat.capture
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(chosen, "use_scene_resolution")
        if not chosen.use_scene_resolution:
            column = layout.column(align=True)
            column.prop(chosen, "width")
            column.prop(chosen, "height")
        layout.prop(chosen, "engine")
        layout.prop(chosen, "use_scene_samples")
        if not chosen.use_scene_samples:
            column = layout.column(align=True)
            column.prop(chosen, "samples")
            column.prop(chosen, "use_denoising")
        row = layout.row(heading="Also Write")
        row.prop(chosen, "depth")
        row.prop(chosen, "normals")


class SPLAT_PT_capture_cameras(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_capture_cameras"
    bl_parent_id = "SPLAT_PT_capture"
    bl_label = "Cameras"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, active = self.layout, context.active_object
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator(SPLAT_OT_add_camera_rig.bl_idname, icon="OUTLINER_OB_CAMERA")
        row = layout.row(align=True)
        row.operator(SPLAT_OT_mark_held_out.bl_idname, text="Hold Out").is_held_out = True
        row.operator(SPLAT_OT_mark_held_out.bl_idname, text="Train").is_held_out = False
        if active is not None and active.type == "CAMERA":
            layout.prop(active.splat, "is_held_out", text=f"{active.name} is held out")


class SPLAT_PT_seeds(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_seeds"
    bl_label = "Seeds"
    bl_options = {"DEFAULT_CLOSED"}  # a capture of the scene makes them by itself

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        chosen, training = context.scene.splat.capture, context.scene.splat.training
        layout.prop(chosen, "seed_source", text="From")
        if chosen.seed_source == "SURFACES":
            layout.prop(chosen, "seed_count")
        elif chosen.seed_source == "RANDOM":
            layout.prop(training, "seed_count", text="Seeds")
        layout.prop(training, "sky_seeds")
        if chosen.seed_source != "RANDOM":
            text = "Use Capture's Points" if chosen.seed_source == "CAPTURE" else "Sample Seeds"
            layout.operator(SPLAT_OT_sample_seeds.bl_idname, text=text, icon="OUTLINER_DATA_POINTCLOUD")
        layout.operator(SPLAT_OT_show_seeds.bl_idname, icon="HIDE_OFF")


def _is_told_in_floaters(context) -> bool:
    """Whether the Floaters panel is shown for splats of the capture whose views off the path are rendered."""
    active = context.active_object
    return active is not None and is_splats(active) and outside_views.render_of(context.scene, active) is not None


def draw_render_progress(layout, render: live_render.LiveRender) -> None:
    """How far the render is, and how long it will take, as a bar where the button was that began it."""
    done = render.progress.done if render.progress else 0
    left = render.progress.seconds_left if render.progress else math.nan
    text = f"{done} of {render.total} views" if render.state == "rendering" else render.state.title()
    text += "" if math.isnan(left) else f" · {in_time(left)} left"
    row = layout.row(align=True)
    row.progress(factor=render.fraction, text=text, type="BAR")
    row.operator(SPLAT_OT_cancel_capture.bl_idname, text="", icon="X")


CLASSES = (
    SPLAT_PT_capture,
    SPLAT_PT_capture_cameras,
    SPLAT_PT_capture_images,
    SPLAT_PT_capture_messages,
    SPLAT_PT_seeds,
)
