"""Crop by Volume and Merge Captures."""

import bpy

from ...splat_addon.errors import SceneError
from ...splat_addon.run.wording import counted
from ...splat_addon.scene.editing import cropping, joining, target
from ...splat_addon.scene.settings.splats.editing import INSIDE, OUTSIDE, SIDES
from ...splat_addon.scene.splats.data import splat_count
from ..reporting import reports_errors
from .joining import ActsOnJoined
from .subject import ActsOnSelected, splat_objects_of


def _volume(context) -> bpy.types.Object:
    """The object that crops. Raises SceneError when none is chosen."""
    volume = context.scene.splat.editing.volume
    if volume is None or volume.name not in context.scene.objects:
        raise SceneError("No volume is chosen.", "Choose an object in Volume: a closed mesh, a cube or a sphere.")
    return volume


class SPLAT_OT_crop_splats(ActsOnSelected, bpy.types.Operator):
    """Take away the selected objects' splats outside, or inside, of the chosen volume. Hidden ones come back with Show
    Hidden"""

    bl_idname = "splat.crop"
    bl_label = "Crop by Volume"

    side: bpy.props.EnumProperty(name="Take Away", items=SIDES)
    action: bpy.props.EnumProperty(
        name="Action",
        items=[
            (cropping.HIDE, "Hide", "Leave them out of viewports and renders; nothing is lost"),
            (cropping.SELECT, "Select", "Select them"),
            (cropping.DELETE, "Delete", "Delete them"),
        ],
    )

    @reports_errors
    def execute(self, context):
        volume = _volume(context)
        items = [item for item in splat_objects_of(context) if item != volume]
        target.require_editable(items)
        found = [(item, cropping.taken_away(item, volume, self.side)) for item in items]
        hit = [(item, which) for item, which in found if which.any()]
        if not hit:
            raise SceneError(f"No splat is {self.side.lower()} of '{volume.name}'.", "Move it, or take the other side.")
        count = sum(cropping.crop(item, which, self.action) for item, which in hit)
        verb = {"HIDE": "Hid", "SELECT": "Selected", "DELETE": "Deleted"}[self.action]
        self.report({"INFO"}, f"{verb} {counted(count)} splats {self.side.lower()} of '{volume.name}'")
        return {"FINISHED"}


class SPLAT_OT_merge_captures(ActsOnJoined, bpy.types.Operator):
    """Make the selected splats part of the active object, with a clean seam: inside the chosen volume only those of the
    active object are kept, outside only those of the others"""

    bl_idname = "splat.merge_captures"
    bl_label = "Merge Captures"

    seam: bpy.props.EnumProperty(
        name="Seam",
        items=[
            ("VOLUME", "Volume", "The active object's splats inside of the chosen volume, the others' outside"),
            ("NONE", "None", "Keep all splats of all"),
        ],
    )

    @reports_errors
    def execute(self, context):
        active, *others = splat_objects_of(context)
        dropped = 0
        if self.seam == "VOLUME":
            volume = _volume(context)
            target.require_editable(others)
            items = [(active, OUTSIDE), *((item, INSIDE) for item in others)]
            masks = [(item, cropping.taken_away(item, volume, side)) for item, side in items if item != volume]
            for item, which in masks:
                if which.all():
                    raise SceneError(f"Nothing would be left of '{item.name}'.", "Move the volume.")
            dropped = sum(cropping.crop(item, which, cropping.DELETE) for item, which in masks if which.any())
        for sentence in joining.join(active, others):
            self.report({"WARNING"}, sentence)
        self.report({"INFO"}, f"'{active.name}' has {counted(splat_count(active))} splats, {counted(dropped)} were cut")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_crop_splats, SPLAT_OT_merge_captures)
