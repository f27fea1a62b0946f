"""Splats in the scene."""

import bpy

from ..operators.splats import SPLAT_OT_export_ply, SPLAT_OT_import_result
from ..operators.viewport import SPLAT_OT_toggle_viewport
from ..splat_addon.scene import viewport
from ..splat_addon.scene.splats import is_splats
from .capture import SidebarPanel
from .training import WRAP
from .wrap import wrapped


class SPLAT_PT_splats(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_splats"
    bl_label = "Splats"

    def draw(self, context):
        layout = self.layout
        layout.prop(context.scene.splat, "run_folder")
        layout.operator(SPLAT_OT_import_result.bl_idname, icon="IMPORT")
        active = context.active_object
        if active is not None and is_splats(active):
            layout.label(text=f"{active.name}: {len(active.data.attributes['position'].data)} splats")
        layout.operator(SPLAT_OT_export_ply.bl_idname, icon="EXPORT")


class SPLAT_PT_viewport(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_viewport"
    bl_parent_id = "SPLAT_PT_splats"
    bl_label = "Viewport"

    def draw(self, context):
        layout, chosen = self.layout, context.scene.splat.viewport
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.operator(
            SPLAT_OT_toggle_viewport.bl_idname, icon="HIDE_OFF" if chosen.show else "HIDE_ON", depress=chosen.show
        )
        if not chosen.show:
            return
        _draw_sentence(layout, viewport.problem(), "ERROR")
        layout.prop(chosen, "kind")
        if chosen.kind == "ELLIPSOIDS":
            layout.prop(chosen, "reach_sigma")
        if chosen.kind == "POINTS":
            layout.prop(chosen, "point_px")
        layout.prop(chosen, "color_by")
        if chosen.color_by == "RADIANCE":
            layout.prop(chosen, "sh_degree")
        elif chosen.color_by == "ATTRIBUTE":
            layout.prop(chosen, "attribute")
        if chosen.color_by != "RADIANCE" and viewport.ramp_ends() is not None:
            low, high = viewport.ramp_ends()
            if chosen.color_by == "SIZE":
                low, high = 10**low, 10**high
            layout.label(text=f"{low:.4g} is purple, {high:.4g} yellow", icon="COLOR")
        layout.prop(chosen, "fraction")
        if chosen.kind == "SPLATS":
            layout.prop(chosen, "blending")
        layout.prop(chosen, "is_hidden_by_meshes")
        if chosen.is_hidden_by_meshes and viewport.lacks_depth():
            _draw_sentence(layout, "With overlays off, EEVEE keeps no depth: nothing hides the splats.", "INFO")


def _draw_sentence(layout, sentence: str, icon: str) -> None:
    for line in wrapped(sentence, width=WRAP) if sentence else ():
        layout.label(text=line, icon=icon)
        icon = "BLANK1"


CLASSES = (SPLAT_PT_splats, SPLAT_PT_viewport)
