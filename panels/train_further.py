"""Training on from the active object's splats."""

import bpy

from ..operators.splats.train_further import SPLAT_OT_train_further
from ..splat_addon.scene.splats.data import is_splats
from .capture import SidebarPanel


class SPLAT_PT_train_further(SidebarPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_train_further"
    bl_parent_id = "SPLAT_PT_splats"
    bl_label = "Train Further"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        active = context.active_object
        return active is not None and is_splats(active)

    def draw(self, context):
        layout, chosen = self.layout, context.scene.splat.training_further
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("steps", "keep_empty", "without_hidden", "empty", "trained"):
            layout.prop(chosen, name)
        layout.operator(SPLAT_OT_train_further.bl_idname, icon="PLAY").without_floaters = False


CLASSES = (SPLAT_PT_train_further,)
