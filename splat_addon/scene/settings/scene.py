"""All that is kept in the .blend as `Scene.splat` and `Object.splat`."""

import bpy

from . import capture, lesson, review, training, viewport
from .axes import AXES, choose_axes, shown_axes
from .capture import SPLAT_PG_capture
from .hooks import on_change
from .lesson import SPLAT_PG_lesson
from .paths import MAY_BE_RELATIVE, chosen
from .review import SPLAT_PG_held_out_view, SPLAT_PG_review
from .splats import editing, inspection, training_further, trust
from .splats.editing import SPLAT_PG_editing
from .splats.inspection import SPLAT_PG_inspection
from .splats.training_further import SPLAT_PG_training_further
from .splats.trust import SPLAT_PG_trust
from .trained_for import TRAINED_FOR, choose_blend_space, is_antialiased, set_antialiased, shown_blend_space
from .training import PRESET_TEXTS, SPLAT_PG_training, choose_preset, shown_preset
from .viewport import SPLAT_PG_viewport

LOOKS = [
    ("BLENDER", "Scene Light", "Blend splats in linear light, like everything else in the scene; the view is Standard"),
    (
        "DISPLAY",
        "Trainer Look",
        "Blend display colors as most trainers do, for a layer of splats alone; the view is Raw",
    ),
]


class SPLAT_PG_object(bpy.types.PropertyGroup):
    """`Object.splat`: what is said about one object."""

    is_held_out: bpy.props.BoolProperty(
        name="Held Out",
        description="Views of this camera measure quality instead of training. As soon as one camera is marked, "
        "the marks decide instead of every n-th view",
        default=False,
    )
    drawn_by: bpy.props.EnumProperty(
        name="Drawn By",
        description="How renders draw these splats",
        items=[
            ("QUADS", "Splat Quads", "As trained, with one sample: for final images and held-out comparisons"),
            (
                "BLENDER",
                "Blender's Splats",
                "Noisy, at least 64 samples, and fast for a million splats; also for panoramas, reflections, mirrored "
                "and unevenly scaled objects. Widened to what trainers draw for the scene's camera",
            ),
        ],
        default="QUADS",
        update=on_change("drawn_by"),
    )
    axes: bpy.props.EnumProperty(
        name="Axes",
        description="Where the axes of the file point that these splats came from. Choosing turns the object; its "
        "splats stay as they are",
        items=AXES,
        get=lambda self: shown_axes(self.id_data),
        set=lambda self, number: choose_axes(self.id_data, number),
    )
    trained_for: bpy.props.EnumProperty(
        name="Trained For",
        description="How colors were blended when these splats were trained. Blender's own import does not keep what "
        "a file says about that",
        items=TRAINED_FOR,
        get=lambda self: shown_blend_space(self.id_data),
        set=lambda self, number: choose_blend_space(self.id_data, number),
        update=on_change("trained_for"),
    )
    antialiased: bpy.props.BoolProperty(
        name="Antialiased",
        description="Whether these splats were trained antialiased (Mip-Splatting): those smaller than a pixel are "
        "fainter then. Blender's own import does not keep what a file says about that",
        get=lambda self: is_antialiased(self.id_data),
        set=lambda self, wanted: set_antialiased(self.id_data, wanted),
        update=on_change("antialiased"),
    )


class SPLAT_PG_hidden_source(bpy.types.PropertyGroup):
    """One object that Hide Source has hidden, and the view layer it did that in."""

    item: bpy.props.PointerProperty(type=bpy.types.Object)
    layer: bpy.props.StringProperty()


class SPLAT_PG_scene(bpy.types.PropertyGroup):
    """`Scene.splat`: everything about splats that is saved with the scene."""

    capture: bpy.props.PointerProperty(type=SPLAT_PG_capture)
    training: bpy.props.PointerProperty(type=SPLAT_PG_training)
    preset: bpy.props.EnumProperty(
        name="Preset",
        description="How long and how finely to train; the other settings stay as they are",
        items=[(name.upper(), name.title(), description) for name, description in PRESET_TEXTS.items()],
        get=lambda self: shown_preset(self.training),
        set=lambda self, number: choose_preset(self.training, number),
    )
    viewport: bpy.props.PointerProperty(type=SPLAT_PG_viewport)
    follow_training: bpy.props.BoolProperty(
        name="Follow Training",
        description="Show the splats in the viewport as they are trained, except while you edit, render or animate",
        default=True,
        update=on_change("follow_training"),
    )
    follow_every_s: bpy.props.FloatProperty(
        name="Every",
        description="Seconds between two previews; longer if showing them would take more than 5 % of the time",
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
        default=5.0,
        min=1.0,
        soft_max=120.0,
        max=3600.0,
        precision=0,
        step=100,
    )
    run_folder: bpy.props.StringProperty(
        name="Run",
        description="The run whose splats and held-out views are shown: the last one started here, or any you choose",
        subtype="DIR_PATH",
        options=MAY_BE_RELATIVE,
        update=chosen("run_folder", then=on_change("run_folder")),
    )
    look: bpy.props.EnumProperty(
        name="Look",
        description="How the colors of overlapping splats are blended in renders",
        items=LOOKS,
        default="BLENDER",
        update=on_change("look"),
    )
    render_hidden: bpy.props.BoolProperty(
        name="Hidden Splats",
        description="Renders also show splats that are hidden in their objects; viewports leave them out",
        default=False,
        update=on_change("render_hidden"),
    )
    held_out_views: bpy.props.CollectionProperty(type=SPLAT_PG_held_out_view)
    held_out_index: bpy.props.IntProperty(name="Held-out View", update=on_change("held_out_index"))
    held_out_choice: bpy.props.StringProperty(
        name="Chosen View", description="The held-out view that the artist chose, by name; empty: the worst is shown"
    )
    hidden_source: bpy.props.CollectionProperty(type=SPLAT_PG_hidden_source)
    review: bpy.props.PointerProperty(type=SPLAT_PG_review)
    lesson: bpy.props.PointerProperty(type=SPLAT_PG_lesson)
    inspection: bpy.props.PointerProperty(type=SPLAT_PG_inspection)
    editing: bpy.props.PointerProperty(type=SPLAT_PG_editing)
    trust: bpy.props.PointerProperty(type=SPLAT_PG_trust)
    training_further: bpy.props.PointerProperty(type=SPLAT_PG_training_further)


CLASSES = (
    *(*capture.CLASSES, *training.CLASSES, *review.CLASSES, *viewport.CLASSES, *lesson.CLASSES),
    *(*inspection.CLASSES, *trust.CLASSES, *training_further.CLASSES, *editing.CLASSES),
    *(SPLAT_PG_object, SPLAT_PG_hidden_source, SPLAT_PG_scene),
)


def register() -> None:
    """Let scenes and objects have settings."""
    bpy.types.Scene.splat = bpy.props.PointerProperty(type=SPLAT_PG_scene)  # type: ignore[func-returns-value]
    bpy.types.Object.splat = bpy.props.PointerProperty(type=SPLAT_PG_object)  # type: ignore[func-returns-value]


def unregister() -> None:
    """Before the classes go."""
    del bpy.types.Object.splat
    del bpy.types.Scene.splat
