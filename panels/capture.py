"""Capture and Seeds."""

import bpy

from ..operators.capture import SPLAT_OT_capture_scene
from ..operators.sample import SPLAT_OT_add_sample_scene
from ..operators.seeds import SPLAT_OT_sample_seeds, SPLAT_OT_show_seeds


class SidebarPanel:
    """Where all panels of the add-on live."""

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
        layout.prop(chosen, "use_scene_resolution")
        if not chosen.use_scene_resolution:
            column = layout.column(align=True)
            column.prop(chosen, "width")
            column.prop(chosen, "height")
        column = layout.column(align=True)
        column.prop(chosen, "samples")
        column.prop(chosen, "use_denoising")
        layout.operator(SPLAT_OT_capture_scene.bl_idname, icon="RENDER_STILL")
        layout.operator(SPLAT_OT_add_sample_scene.bl_idname, icon="MESH_MONKEY")


class SPLAT_PT_seeds(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_seeds"
    bl_label = "Seeds"

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


CLASSES = (SPLAT_PT_capture, SPLAT_PT_seeds)
