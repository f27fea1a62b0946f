"""Blame: which splats a pixel of a held-out view comes from, the map of all splats, and which photos show one."""

import bpy

from ...operators.inspection.blame import (
    SPLAT_OT_blame,
    SPLAT_OT_click_splat,
    SPLAT_OT_map_blame,
    SPLAT_OT_photos_of_splat,
    SPLAT_OT_show_blame,
)
from ...operators.splats.inspect import SPLAT_OT_cancel_inspection
from ...splat_addon.run.folder import RunFolder
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.blame import mapped, photos, picked
from ...splat_addon.scene.review import held_out, overlay
from ...splat_addon.scene.runs import run_object
from ...splat_addon.scene.settings.paths import run_path
from ...splat_addon.scene.tasks import inspecting
from ..capture import SidebarPanel
from ..splats import ActiveSplatsPanel
from ..wrap import draw_sentence

SPLATS_SHOWN, VIEWS_SHOWN = 6, 5
TITLES = {identifier: title for identifier, title, _ in mapped.WHICH}
COVERED = "The images cover the lit splats: they are outlined. Choose None, or a lower Image Opacity, to see them."
CAVEAT = "Where photos disagree with the splats. It does not say which splats are wrong, or what to change."


class SPLAT_PT_blame(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_blame"
    bl_parent_id = "SPLAT_PT_review"
    bl_label = "Blame"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return held_out.is_reviewing(context.scene)

    def draw(self, context):
        layout, path = self.layout, run_path(context.scene)
        layout.operator(SPLAT_OT_blame.bl_idname, text="Click a Wrong Pixel", icon="EYEDROPPER")
        item = run_object.find(context.scene, RunFolder(path)) if path else None
        if item is None:
            draw_sentence(layout, CAVEAT, "INFO")
            return
        last = picked.last(item.data) if item.mode == "OBJECT" else None
        if last is not None:
            left, top, right, bottom = last.box
            if overlay.outlines_over_images(context.scene) and context.scene.splat.review.opacity == 1:
                draw_sentence(layout, COVERED, "INFO")
            draw_sentence(layout, f"{last.view}, {right - left} × {bottom - top} pixels at {left}, {top}")
            for number in range(min(SPLATS_SHOWN, len(last.found))):
                splat, depth = int(last.found.splats[number]), last.found.depths[number]
                _draw_splat(layout, item, splat, f"{last.found.shares[number]:.0%}   splat {splat}, at {depth:.3g}")
            rest = len(last.found) - SPLATS_SHOWN
            if rest > 0:
                draw_sentence(layout, f"and {rest} more; background {last.found.background:.0%}")
        _draw_making(layout, item, "HELD_OUT")
        draw_sentence(layout, CAVEAT, "INFO")


class SPLAT_PT_blame_map(ActiveSplatsPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_blame_map"
    bl_label = "Blame Map"

    def draw(self, context):
        layout, item = self.layout, context.active_object
        _draw_making(layout, item, "TRAINING", "ALL", "HELD_OUT")
        found = mapped.told(item.data) if item.mode == "OBJECT" else None
        if found is not None:
            _draw_map(layout, context, item, found)
        layout.operator(SPLAT_OT_click_splat.bl_idname, icon="EYEDROPPER")
        splat = photos.asked(item.data)
        if splat is not None:
            _draw_splat(layout, item, splat, f"Splat {splat}")
            draw_sentence(layout, f"Image '{photos.PICTURE}' shows where", "IMAGE_DATA")
        draw_sentence(layout, CAVEAT, "INFO")


def _draw_making(layout, item, *which: str) -> None:
    """Buttons for a map, or how far it is, and what the last one said."""
    if inspecting.is_running():
        fraction, state = inspecting.progress()
        layout.progress(factor=fraction, text=state)
        layout.operator(SPLAT_OT_cancel_inspection.bl_idname, icon="CANCEL")
        return
    column = layout.column(align=True)
    for one in which:
        button = column.operator(SPLAT_OT_map_blame.bl_idname, text=f"Map of {TITLES[one]}", icon="VIEWZOOM")
        button.photos, button.of = one, item.name
    for sentence in inspecting.said_of(item):
        draw_sentence(layout, sentence, "ERROR")


def _draw_map(layout, context, item, found: mapped.Told) -> None:
    """The splats that the map says most about."""
    viewport = context.scene.splat.viewport
    is_shown = viewport.color_by == "ATTRIBUTE" and viewport.attribute == mapped.BLAME
    layout.operator(SPLAT_OT_show_blame.bl_idname, icon="COLOR", depress=is_shown)
    title = TITLES.get(found.photos, TITLES["ALL"]).lower()
    draw_sentence(
        layout,
        "Those come first that most photos agree on and that stand out among those around. Their part of the error in"
        f" {found.view_count} photos ({title}):",
    )
    if found.changed:
        stale = f"{counted(found.changed)} splats are not what was compared: they are left out. Make the map again."
        draw_sentence(layout, stale, "ERROR")
    asked = photos.asked(item.data)
    for splat, part in zip(found.worst[:SPLATS_SHOWN], found.fading[:SPLATS_SHOWN], strict=True):
        text = f"{part:.2%}   splat {splat}"
        if splat == asked:
            layout.label(text=text)  # its photos are below
        else:
            _draw_splat(layout, item, int(splat), text)


def _draw_splat(layout, item, splat: int, text: str) -> None:
    """A line about a splat, a button for its photos, and these once they are known."""
    row = layout.row(align=True)
    row.label(text=text)
    row.operator_context = "EXEC_DEFAULT"  # nothing is left to be clicked
    for kind, icon in ((SPLAT_OT_click_splat, "RESTRICT_SELECT_OFF"), (SPLAT_OT_photos_of_splat, "IMAGE_DATA")):
        button = row.operator(kind.bl_idname, text="", icon=icon)
        button.splat, button.of = splat, item.name
    for one in (photos.known(item.data, splat) or [])[:VIEWS_SHOWN]:
        held_out = " (held out)" if one.is_held_out else ""
        draw_sentence(layout, f"{one.view}{held_out}: {one.share:.0%} at {one.x:.2f}, {one.y:.2f}", "DOT")


CLASSES = (SPLAT_PT_blame, SPLAT_PT_blame_map)
