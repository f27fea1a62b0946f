"""Preferences of the add-on: which Python trains, setting one up, and what happens when Blender quits."""

import bpy

from ..operators.set_up import (
    SPLAT_OT_cancel_set_up,
    SPLAT_OT_copy_text,
    SPLAT_OT_examine_trainer,
    SPLAT_OT_set_up_trainer,
)
from ..splat_addon.errors import SplatError
from ..splat_addon.scene.settings import preferences
from ..splat_addon.scene.tasks import live_run, trainer_setup
from .wrap import draw_sentence


class SPLAT_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = preferences.ROOT_PACKAGE

    trainer_python: bpy.props.StringProperty(
        name="Trainer Python",
        description="The Python that trains: one with PyTorch, numba and Pillow, never Blender's own",
        subtype="FILE_PATH",
        default="",
    )
    setup_folder: bpy.props.StringProperty(
        name="Folder",
        description="Where Set Up Trainer creates the environment: a gigabyte or more, shared by all Blender versions",
        subtype="DIR_PATH",
        default="~/splat_trainer",
    )
    setup_device: bpy.props.EnumProperty(
        name="Train On",
        description="What the environment is for",
        items=[
            ("CPU", "CPU", "Any machine"),
            ("CUDA", "NVIDIA Card", "PyTorch with CUDA, and gsplat; needs NVIDIA's driver and CUDA toolkit"),
        ],
    )
    when_quitting: bpy.props.EnumProperty(
        name="When Blender Quits",
        description="What happens to a run in progress when Blender quits or crashes",
        items=[
            ("STOP", "Stop and Keep the Result", "The run ends, saves its splats, and can be resumed later"),
            ("GO_ON", "Let the Training Go On", "The run goes on without Blender and can be watched again later"),
        ],
        update=lambda self, context: live_run.outlive(self.when_quitting == "GO_ON"),
    )
    while_turning: bpy.props.EnumProperty(
        name="While the View Turns",
        description="What viewports draw of very many splats as long as the view moves",
        items=[
            ("FEWER", "Fewer Splats", "As many as can be drawn without stuttering, and all once the view rests"),
            ("ALL", "All Splats", "All of them, however long that takes"),
        ],
    )
    runs_folder: bpy.props.StringProperty(
        name="Also Find Runs In",
        description="A folder of runs, or of folders of runs, to list in the sidebar as well",
        subtype="DIR_PATH",
        default="",
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        row = layout.row(align=True)
        row.prop(self, "trainer_python")
        row.operator(SPLAT_OT_examine_trainer.bl_idname, text="", icon="FILE_REFRESH")
        column = layout.column()
        column.prop(self, "when_quitting")
        column.prop(self, "while_turning")
        column.prop(self, "runs_folder")
        _draw_set_up(layout.box(), self)
        _draw_python(layout.box(), self)


def _draw_python(layout, chosen: SPLAT_AP_preferences) -> None:
    """What the Python that trains has. It is checked by itself, below all other buttons: they stay where they are."""
    if not chosen.trainer_python:
        draw_sentence(layout, "No Python trains yet: set one up here, or choose one that has PyTorch.", "INFO")
        return
    try:
        known = trainer_setup.examined_by_itself(preferences.trainer_python())
    except SplatError as error:
        draw_sentence(layout, str(error), "ERROR")
        return
    if known is None:
        row = layout.row()
        row.label(text="Not checked yet", icon="QUESTION")
        row.operator(SPLAT_OT_examine_trainer.bl_idname)
    elif known.child is not None:
        layout.label(text="Checking what it has …", icon="TIME")
    elif known.message:
        draw_sentence(layout, known.message, "ERROR")
    else:
        draw_sentence(layout, known.verdict, "ERROR" if known.refusal else "CHECKMARK")
        fine = [f"{entry['name']} {entry['found']}" for entry in known.findings if entry["is_fine"]]
        draw_sentence(layout, " · ".join(fine), "BLANK1")
        column = layout.column(align=True)
        for entry in known.findings:
            if not entry["is_fine"]:
                _draw_missing(column, entry)


def _draw_missing(layout, entry: dict) -> None:
    """A missing piece, and its remedy with a button that copies it."""
    draw_sentence(layout, f"{entry['name']}: {entry['found']}", "ERROR" if entry["is_required"] else "INFO")
    if entry["remedy"]:
        draw_sentence(layout, entry["remedy"], "BLANK1")
        row = layout.row()
        row.operator(SPLAT_OT_copy_text.bl_idname, text="Copy", icon="COPYDOWN").text = entry["remedy"]
        if entry["is_required"]:
            row.operator(SPLAT_OT_set_up_trainer.bl_idname, icon="IMPORT")


def _draw_set_up(layout, chosen: SPLAT_AP_preferences) -> None:
    """Making an environment: where, for what, and how far it is."""
    set_up = trainer_setup.current()
    is_at_work = trainer_setup.is_setting_up() and set_up is not None
    column = layout.column()
    column.enabled = not is_at_work
    column.prop(chosen, "setup_folder")
    column.row().prop(chosen, "setup_device", expand=True)
    row = layout.row(align=True)
    if is_at_work:
        row.progress(factor=set_up.fraction, text=set_up.text, type="BAR")
        row.operator(SPLAT_OT_cancel_set_up.bl_idname, text="", icon="X")
        return
    row.operator(SPLAT_OT_set_up_trainer.bl_idname, icon="IMPORT")
    if set_up is not None and set_up.message:
        draw_sentence(layout, set_up.message, "ERROR")
    elif set_up is not None and set_up.python:
        layout.label(text="The trainer is set up", icon="CHECKMARK")
    elif refusal := trainer_setup.why_impossible(chosen.setup_device.lower()):
        draw_sentence(layout, str(refusal), "ERROR")
    elif not getattr(bpy.app, "online_access", True):
        draw_sentence(layout, "Online Access is off (Preferences › System): nothing can be downloaded", "INTERNET")
    else:
        device = chosen.setup_device.lower()
        needed = trainer_setup.needed(device)
        text = f"Downloads about {needed.download_gb:g} GB, and takes about {needed.disk_gb:g} GB in the folder"
        draw_sentence(layout, text, "INFO")
        if remark := trainer_setup.remark(device):
            draw_sentence(layout, remark, "INFO")


CLASSES = (SPLAT_AP_preferences,)
