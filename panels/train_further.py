"""Training on from the active object's splats."""

import bpy

from ..operators.splats.train_further import SPLAT_OT_train_further
from .splats import ActiveSplatsPanel


class SPLAT_PT_train_further(ActiveSplatsPanel, bpy.types.Panel):
    bl_idname = "SPLAT_PT_train_further"
    bl_label = "Train Further"

    def draw(self, context):
        layout, chosen = self.layout, context.scene.splat.training_further
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("steps", "keep_empty", "without_hidden", "empty", "trained"):
            layout.prop(chosen, name)
        layout.operator(SPLAT_OT_train_further.bl_idname, icon="PLAY").without_floaters = False


CLASSES = (SPLAT_PT_train_further,)
