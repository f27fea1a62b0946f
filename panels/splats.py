"""Splats in the scene."""

import bpy

from ..operators.editing.moving import SPLAT_OT_repair_splats
from ..operators.splats.adopt import SPLAT_OT_adopt, SPLAT_OT_show_as_blenders
from ..operators.splats.files import SPLAT_OT_export_ply, SPLAT_OT_import_ply, draw_progress
from ..operators.splats.hide_source import SPLAT_OT_hide_source, SPLAT_OT_show_source
from ..operators.splats.result import SPLAT_OT_import_result
from ..operators.splats.set_up_render import (
    SPLAT_OT_composite_splats,
    SPLAT_OT_put_back_render,
    SPLAT_OT_set_up_render,
)
from ..operators.splats.viewport import SPLAT_OT_toggle_viewport
from ..operators.splats.viewport_render import draw_buttons
from ..splat_addon.errors import some_of
from ..splat_addon.run.wording import counted
from ..splat_addon.scene.exchange import writing
from ..splat_addon.scene.settings.axes import AXES_KEY, REASON_KEY
from ..splat_addon.scene.splats import adoption, hidden_source
from ..splat_addon.scene.splats.advice import object_advice, scene_advice
from ..splat_addon.scene.splats.appearance import is_native, splat_objects
from ..splat_addon.scene.splats.compositing import splat_layer
from ..splat_addon.scene.splats.contents import findings
from ..splat_addon.scene.splats.data import is_splats, splat_count
from ..splat_addon.scene.splats.render_setup import is_set_up
from ..splat_addon.scene.splats.transforms import is_broken
from ..splat_addon.scene.viewport import depth, display
from .capture import LAST, SidebarPanel
from .wrap import draw_sentence


class ActiveSplatsPanel(SidebarPanel):
    """A panel below *Splats* about the active object, shown when that holds splats."""

    bl_parent_id = "SPLAT_PT_splats"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        active = context.active_object
        return active is not None and is_splats(active)


class SPLAT_PT_splats(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_splats"
    bl_label = "Splats"

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(context.scene.splat, "run_folder")
        layout.operator(SPLAT_OT_import_result.bl_idname, icon="IMPORT")
        row = layout.row(align=True)
        row.operator(SPLAT_OT_import_ply.bl_idname, text="Import Splats", icon="FILE_FOLDER")
        if writing.is_running():
            draw_progress(row, "")
        else:
            row.operator(SPLAT_OT_export_ply.bl_idname, text="Export Splats", icon="EXPORT")
        is_shown = display.is_shown(context.scene)
        column = layout.column(align=True)
        column.operator(
            SPLAT_OT_toggle_viewport.bl_idname,
            icon="SHADING_RENDERED" if is_shown else "SHADING_WIRE",
            depress=is_shown,
        )
        draw_source(column, context)
        active = context.active_object
        if active is not None and is_splats(active):
            draw_sentence(layout, f"{active.name}: {counted(splat_count(active))} splats", "OUTLINER_DATA_POINTCLOUD")
            if AXES_KEY in active:
                layout.prop(active.splat, "axes")
            layout.prop(active.splat, "trained_for")
            layout.prop(active.splat, "antialiased")
            if is_broken(active.data):
                layout.operator(SPLAT_OT_repair_splats.bl_idname, icon="TOOL_SETTINGS")
            if adoption.has_lost_type(active):
                layout.operator(SPLAT_OT_show_as_blenders.bl_idname, icon="POINTCLOUD_DATA")
        if adoption.waiting(context.scene):
            layout.operator(SPLAT_OT_adopt.bl_idname, icon="IMPORT")
        _draw_messages(layout, context)


def _draw_messages(layout, context) -> None:
    """What is to be known about the active splats and the scene's."""
    active, waiting = context.active_object, adoption.waiting(context.scene)
    if active is not None and is_splats(active):
        if REASON_KEY in active:
            draw_sentence(layout, active[REASON_KEY], "INFO")
        for problem in [*findings.problems(active.data), *object_advice(active)]:
            draw_sentence(layout, problem, "ERROR")
    if waiting:
        draw_sentence(layout, f"Drawn by Blender, not as trained: {some_of(map(_name, waiting))}.", "INFO")


class SPLAT_PT_splats_messages(SidebarPanel, bpy.types.Panel):
    """What became of files that were written, and of drawing, below all that can be pressed."""

    bl_idname = "SPLAT_PT_splats_messages"
    bl_parent_id = "SPLAT_PT_splats"
    bl_label = "Messages"
    bl_options = {"HIDE_HEADER"}
    bl_order = LAST

    @classmethod
    def poll(cls, context):
        return bool(_said(context.scene))

    def draw(self, context):
        for sentence, icon in _said(context.scene):
            draw_sentence(self.layout, sentence, icon)


def _said(scene) -> list[tuple[str, str]]:
    """Sentences and their icons."""
    problem = display.problem() if display.is_shown(scene) else ""
    errors = [*([problem] if problem else []), *writing.failures()]
    return [*((each, "ERROR") for each in errors), *((each, "INFO") for each in writing.written())]


def draw_source(layout, context) -> None:
    """One button: hide what was captured, or put it back."""
    if hidden_source.is_hidden(context.scene, context.view_layer):
        layout.operator(SPLAT_OT_show_source.bl_idname, icon="HIDE_ON")
    else:
        layout.operator(SPLAT_OT_hide_source.bl_idname, icon="HIDE_OFF")


def _name(item) -> str:
    return item.name


class SPLAT_PT_viewport(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_viewport"
    bl_parent_id = "SPLAT_PT_splats"
    bl_label = "Viewport Display"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, chosen = self.layout, context.scene.splat.viewport
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.active = display.is_shown(context.scene)
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
        if chosen.color_by != "RADIANCE" and display.ramp_ends() is not None:
            low, high = display.ramp_ends()
            if chosen.color_by == "SIZE":
                low, high = 10**low, 10**high
            draw_sentence(layout, f"{low:.4g} is purple, {high:.4g} yellow", "COLOR")
        layout.prop(chosen, "fraction")
        if chosen.kind == "SPLATS":
            layout.prop(chosen, "blending")
        layout.prop(chosen, "is_hidden_by_meshes")
        if chosen.is_hidden_by_meshes and depth.lacks_depth():
            draw_sentence(layout, "With overlays off, EEVEE keeps no depth: nothing hides the splats.", "INFO")
        draw_sentence(layout, "Blender's own viewport renders show no splats. These do:", "INFO")
        layout.prop(chosen, "render_from")
        layout.prop(chosen, "render_overlays")
        draw_buttons(layout.row(align=True), context.scene, "Image", "Animation")


class SPLAT_PT_render(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_render"
    bl_parent_id = "SPLAT_PT_splats"
    bl_label = "Render"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        draw_render(self.layout, context)


class SPLAT_PT_render_properties(bpy.types.Panel):
    """The same where render settings are."""

    bl_idname = "SPLAT_PT_render_properties"
    bl_label = "Splats"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"

    @classmethod
    def poll(cls, context):
        return bool(splat_objects(context.scene))

    def draw(self, context):
        draw_render(self.layout, context)


def draw_render(layout, context):
    """What renders of splats need, and what is not so."""
    scene = context.scene
    layout.use_property_split = True
    layout.use_property_decorate = False
    layout.prop(scene.splat, "look")
    active = context.active_object
    if active is not None and is_splats(active) and is_native(active):
        layout.prop(active.splat, "drawn_by")
    layout.prop(scene.splat, "render_hidden")
    column = layout.column(align=True)
    column.operator(SPLAT_OT_set_up_render.bl_idname, icon="OUTPUT")
    if splat_layer.others(scene) and not splat_layer.is_there(scene):
        column.operator(SPLAT_OT_composite_splats.bl_idname, icon="NODE_COMPOSITING")
    if is_set_up(scene):
        column.operator(SPLAT_OT_put_back_render.bl_idname, icon="LOOP_BACK")
    for sentence in scene_advice(scene):
        draw_sentence(layout, sentence, "INFO")


def draw_in_render_menu(self, context):
    """In the menu Render, below its commands: what splats still need."""
    if scene_advice(context.scene):
        self.layout.separator()
        self.layout.operator(SPLAT_OT_set_up_render.bl_idname, icon="ERROR")


def draw_over_render(self, context):
    """In the header of an image editor that shows a render: what it lacks for splats."""
    image = context.space_data.image
    if image is None or image.type != "RENDER_RESULT":
        return
    found = scene_advice(context.scene)
    if found:
        self.layout.label(text=f"Splats: {found[0]}", icon="ERROR")
        self.layout.operator(SPLAT_OT_set_up_render.bl_idname, text="Set Up Render")


MENUS = {"TOPBAR_MT_render": draw_in_render_menu, "IMAGE_HT_header": draw_over_render}
CLASSES = (SPLAT_PT_splats, SPLAT_PT_splats_messages, SPLAT_PT_viewport, SPLAT_PT_render, SPLAT_PT_render_properties)
