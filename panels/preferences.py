"""Preferences of the add-on."""

import bpy

ROOT_PACKAGE = __package__.rpartition(".")[0]


class SPLAT_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = ROOT_PACKAGE

    trainer_python: bpy.props.StringProperty(
        name="Trainer Python",
        description="The Python that trains: one with PyTorch, SciPy, Pillow and numba, never Blender's own",
        subtype="FILE_PATH",
        default="",
    )

    def draw(self, context):
        self.layout.prop(self, "trainer_python")
        self.layout.label(text="A Python with torch, numpy, scipy, pillow and numba; see the README.", icon="INFO")


CLASSES = (SPLAT_AP_preferences,)
