"""Blame in the held-out review: which splats a pixel comes from, and which photos show them."""

import bpy

from ...operators.inspection.blame import SPLAT_OT_blame, SPLAT_OT_photos_of_splat
from ...splat_addon.run.folder import RunFolder
from ...splat_addon.scene.blame import photos, picked
from ...splat_addon.scene.review import held_out
from ...splat_addon.scene.runs import run_object
from ...splat_addon.scene.settings.paths import run_path
from ..capture import SidebarPanel
from ..wrap import draw_sentence

SPLATS_SHOWN, VIEWS_SHOWN = 6, 5
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
        last = picked.last(item.data) if item is not None and item.mode == "OBJECT" else None
        if item is None or last is None:
            draw_sentence(layout, CAVEAT, "INFO")
            return
        left, top, right, bottom = last.box
        draw_sentence(layout, f"{last.view}, {right - left} × {bottom - top} pixels at {left}, {top}")
        for number in range(min(SPLATS_SHOWN, len(last.found))):
            splat = int(last.found.splats[number])
            row = layout.row(align=True)
            row.label(text=f"{last.found.shares[number]:.0%}   splat {splat}, at {last.found.depths[number]:.3g}")
            row.operator(SPLAT_OT_photos_of_splat.bl_idname, text="", icon="IMAGE_DATA").splat = splat
            for one in (photos.known(item.data, splat) or [])[:VIEWS_SHOWN]:
                draw_sentence(layout, f"{one.view}: {one.share:.0%} at {one.x:.2f}, {one.y:.2f}", "DOT")
        rest = len(last.found) - SPLATS_SHOWN
        if rest > 0:
            draw_sentence(layout, f"and {rest} more; background {last.found.background:.0%}")
        draw_sentence(layout, CAVEAT, "INFO")


CLASSES = (SPLAT_PT_blame,)
