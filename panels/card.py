"""The card of a photo capture: what it was taken for, what is wrong with it, and how to have it read otherwise."""

import bpy

from ..operators.photos import SPLAT_OT_open_again
from ..splat_addon.scene.photos import photo_capture
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.settings.training import READING_FIELDS, is_chosen_capture
from ..splat_addon.scene.tasks import checking, live_render, preflight
from .capture import SidebarPanel
from .wrap import draw_fact, draw_sentence


class SPLAT_PT_card(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_card"
    bl_parent_id = "SPLAT_PT_capture"
    bl_label = "Capture Card"

    @classmethod
    def poll(cls, context):
        """Where photos were chosen: about a capture of the scene there is nothing to decide."""
        if not context.scene.splat.capture.folder or live_render.is_capturing():
            return False
        known = preflight.look(context.scene) or preflight.latest(context.scene)
        return known is not None and not known.hint and (known.card is None or bool(known.key))

    def draw(self, context):
        layout, scene = self.layout, context.scene
        layout.use_property_split = True
        layout.use_property_decorate = False
        _draw_choices(layout, scene)
        now = preflight.look(scene)
        known = now or preflight.latest(scene)
        if known is not None:
            _draw_card(layout, known)
        if now is None:
            layout.label(text="Reading the capture …", icon="TIME")


def _draw_card(layout, known: preflight.Preflight) -> None:
    column = layout.column(align=True)
    if known.card is None:
        for problem in known.problems:
            draw_sentence(column, problem, "ERROR")
        return
    for name, value in known.card.rows:
        draw_fact(column, name, value)
    fraction = checking.fraction(known.key)
    if fraction is not None:
        layout.progress(factor=fraction, text="Comparing photos and points", type="BAR")
    elif known.card.inspection is None or known.card.inspection.check.agreement is None:
        _draw_why_unmeasured(layout, known)
    remarks = sorted(known.card.remarks, key=lambda remark: not remark.is_warning)
    for remark in remarks:
        draw_sentence(layout, remark.told, "ERROR" if remark.is_warning else "INFO")


def _draw_why_unmeasured(layout, known: preflight.Preflight) -> None:
    chosen = preferences.of_addon()
    if checking.why_not(known.key):
        draw_sentence(layout, checking.why_not(known.key), "INFO")
    elif chosen is not None and not chosen.trainer_python and known.card.has_points:
        draw_sentence(layout, "Points and photos are compared when a trainer is set up.", "INFO")


def _draw_choices(layout, scene) -> None:
    """How to have the capture read otherwise; what is open in the scene follows when it is opened again."""
    header, body = layout.panel("splat_card_choices", default_closed=True)
    header.label(text="Read Otherwise")
    if body is not None:
        for spec in READING_FIELDS:
            body.prop(scene.splat.training, spec.name)
    if any(_is_open(scene, root) for root in photo_capture.roots(scene)):
        layout.operator(SPLAT_OT_open_again.bl_idname, icon="FILE_REFRESH")


def _is_open(scene, root) -> bool:
    folder = photo_capture.folder_if_known(root)
    return folder is not None and is_chosen_capture(scene, folder)


CLASSES = (SPLAT_PT_card,)
