"""Loss and held-out PSNR as curves."""

import math
import os

import bpy

from ..splat_addon.scene.review import curves
from ..splat_addon.scene.settings.paths import run_path
from ..splat_addon.scene.tasks import live_run
from .capture import LAST, SidebarPanel
from .wrap import draw_sentence

MARGIN_PX = 53  # what the sidebar leaves next to a panel's content, times the interface's scale
ICON_PADDING_PX = 4  # Blender keeps this free around a large icon


def run_to_draw(context):
    """The folder of the run whose curves are shown: the one that trains for this scene, else the scene's."""
    live = live_run.current()
    if live is not None and not live.is_over and not live_run.home_of(live, context.scene):
        return live.folder.path
    path = run_path(context.scene)
    return path if path is not None and os.path.isdir(path) else None


class SPLAT_PT_curves(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_curves"
    bl_parent_id = "SPLAT_PT_training"
    bl_label = "Curves"
    bl_order = LAST  # there is nothing to press

    @classmethod
    def poll(cls, context):
        return run_to_draw(context) is not None

    def draw(self, context):
        layout, scale = self.layout, context.preferences.system.ui_scale or 1.0  # 0 without a window
        width = context.region.width if context.region is not None else 0
        units = max(6.0, min(20.0, (width / scale - MARGIN_PX) / 20))
        icon = curves.icon_for(run_to_draw(context), round(units * 20 * scale) - 2 * ICON_PADDING_PX)
        known = curves.history()
        if icon is None or known is None:
            layout.label(text="Reading the run …")
            return
        layout.template_icon(icon, scale=units)
        column = layout.column(align=True)
        if known.loss.values:
            draw_sentence(column, f"Loss {known.loss.values[-1]:.4f}")
        if known.held_out_db.values:
            step, value = known.held_out_db.steps[-1], known.held_out_db.values[-1]
            draw_sentence(column, f"Held-out PSNR {value:.2f} dB" + (" before training" if not step else ""))
        if known.train_db.values and math.isfinite(known.train_db.values[-1]):
            draw_sentence(column, f"Training views {known.train_db.values[-1]:.2f} dB (gray)")


CLASSES = (SPLAT_PT_curves,)
