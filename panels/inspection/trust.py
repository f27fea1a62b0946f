"""How far views of the active object's splats may be trusted."""

import bpy

from ...operators.inspection.trust import (
    SPLAT_OT_ask_along_path,
    SPLAT_OT_forget_trust,
    SPLAT_OT_go_to_frame,
    SPLAT_OT_measure_trust,
)
from ...splat_addon.scene.trust import measured, strip
from ..splats import ActiveSplatsPanel
from ..wrap import draw_sentence

WORST_SHOWN = 5
CAVEAT = "An expectation, often wrong by 2 dB: it knows cameras and splats, not what they should show."


class SPLAT_PT_trust(ActiveSplatsPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_trust"
    bl_label = "Trust"

    def draw(self, context):
        layout, scene, found = self.layout, context.scene, measured.trust()
        row = layout.row(align=True)
        row.operator(SPLAT_OT_measure_trust.bl_idname, icon="HIDE_OFF")
        if found is None:
            return
        row.operator(SPLAT_OT_forget_trust.bl_idname, text="", icon="X")
        row = layout.row(align=True)
        for name in ("show_badge", "show_volume", "show_strip"):
            row.prop(scene.splat.trust, name, toggle=True)
        layout.operator(SPLAT_OT_ask_along_path.bl_idname, icon="CAMERA_DATA")
        column = layout.column(align=True)
        for frame in strip.worst_first(strip.frames(scene))[:WORST_SHOWN]:
            text = f"Frame {frame.number}: {frame.answer.short}"
            column.operator(SPLAT_OT_go_to_frame.bl_idname, text=text).frame = frame.number
        for sentence in found.said:
            draw_sentence(layout, sentence, "ERROR")
        draw_sentence(layout, CAVEAT, "INFO")


CLASSES = (SPLAT_PT_trust,)
