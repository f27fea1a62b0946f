"""What the user chooses, kept in the .blend as `Scene.splat`. Training settings are generated from `TrainConfig`."""

import contextlib
import os
from dataclasses import fields, replace
from pathlib import Path

import bpy
import numpy as np

from ...errors import RunError
from ...run.config import CUSTOM, PRESETS, TrainConfig, label, preset_of
from ..splats.appearance import LOOKS
from ..splats.hidden_source import SPLAT_PG_hidden_source
from . import review as review_settings
from .review import SPLAT_PG_held_out_view, SPLAT_PG_review
from .viewport import SPLAT_PG_viewport

CAPTURE_SOURCES = [
    ("DOME", "Dome", "Build a dome of cameras around the selected objects"),
    ("SELECTED", "Selected Cameras", "Use the selected cameras"),
    ("COLLECTION", "Collection", "Use the cameras of a collection, for example of a rig"),
    ("FRAMES", "Frame Range", "Use the scene's camera, as it is animated, over a range of frames"),
    ("ALL", "All Cameras", "Use all cameras of the scene"),
]
ENGINES = [
    ("SCENE", "Scene's Engine", "Render with the engine of the scene"),
    ("CYCLES", "Cycles", "Render with Cycles, whatever the scene's engine is"),
]

# Newer Blenders want to be told that a path may begin with "//"
_IS_ASKED = "is_path_supports_blend_relative" in bpy.types.Property.bl_rna.properties
MAY_BE_RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if _IS_ASKED else set()
SEED_SOURCES = [
    ("SURFACES", "Meshes", "Spread over the surfaces of the selected objects; of all visible ones if none is selected"),
    ("POINT_CLOUDS", "Point Clouds", "The points of the selected point clouds and of meshes without faces"),
    ("CAPTURE", "Capture's Points", "The points that the capture came with"),
    ("RANDOM", "Random", "At random where the cameras look, coloured by the photos"),
]


class SPLAT_PG_capture(bpy.types.PropertyGroup):
    """How the training images are made."""

    folder: bpy.props.StringProperty(
        name="Capture Folder",
        description="Where the images and cameras are written; photos captured elsewhere can be chosen too",
        subtype="DIR_PATH",
        options=MAY_BE_RELATIVE,
        default="",
    )
    source: bpy.props.EnumProperty(
        name="Cameras", description="Which cameras see the scene", items=CAPTURE_SOURCES, default="DOME"
    )
    camera_count: bpy.props.IntProperty(
        name="Cameras", description="How many cameras the dome has", default=48, min=2, soft_max=500, max=100_000
    )
    lens_mm: bpy.props.FloatProperty(
        name="Lens mm", description="Focal length of the dome's cameras on a 36 mm sensor", default=50.0, min=5, max=500
    )
    lowest_deg: bpy.props.FloatProperty(
        name="Lowest °",
        description="Height above the horizon, in degrees, at which the dome begins; negative looks from below",
        default=10.0,
        min=-80.0,
        max=80.0,
    )
    collection: bpy.props.PointerProperty(
        name="Collection", description="The collection whose cameras see the scene", type=bpy.types.Collection
    )
    first_frame: bpy.props.IntProperty(name="First Frame", description="Frame of the first image", default=1)
    last_frame: bpy.props.IntProperty(name="Last Frame", description="Frame of the last image at most", default=250)
    frame_step: bpy.props.IntProperty(name="Step", description="Frames from one image to the next", default=5, min=1)
    engine: bpy.props.EnumProperty(name="Engine", description="What renders the images", items=ENGINES, default="SCENE")
    use_scene_samples: bpy.props.BoolProperty(
        name="Scene Samples", description="Render with the scene's own samples and denoising", default=False
    )
    depth: bpy.props.BoolProperty(
        name="Depth", description="Also write the depth of each image, as 32-bit OpenEXR", default=False
    )
    normals: bpy.props.BoolProperty(
        name="Normals", description="Also write the normals of each image, as 32-bit OpenEXR", default=False
    )
    use_scene_resolution: bpy.props.BoolProperty(
        name="Scene Resolution",
        description="Render at the scene's resolution and percentage, and its render region if that crops",
        default=False,
    )
    width: bpy.props.IntProperty(name="Width", description="Width of the images", default=800, min=8, max=16384)
    height: bpy.props.IntProperty(name="Height", description="Height of the images", default=600, min=8, max=16384)
    samples: bpy.props.IntProperty(
        name="Samples", description="Samples per pixel of each image", default=64, min=1, max=65536
    )
    use_denoising: bpy.props.BoolProperty(
        name="Denoise", description="Denoise the images: noise cannot be learned, only averaged", default=True
    )
    seed_source: bpy.props.EnumProperty(
        name="Seeds", description="Where the gaussians come from that training starts with", items=SEED_SOURCES
    )
    seed_count: bpy.props.IntProperty(
        name="Seeds",
        description="How many gaussians training starts from, spread over the surfaces of the selected objects",
        default=20_000,
        min=1,
        max=50_000_000,
    )


class SPLAT_PG_object(bpy.types.PropertyGroup):
    """`Object.splat`: what is said about one object."""

    is_held_out: bpy.props.BoolProperty(
        name="Held Out",
        description="Views of this camera measure quality instead of training. As soon as one camera is marked, "
        "marks decide instead of every n-th view",
        default=False,
    )


def _property_of(spec):
    """The Blender property for one field of `TrainConfig`."""
    metadata = spec.metadata
    common = {"name": label(spec), "description": metadata["doc"]}
    if metadata["choices"]:
        names = {"cpu": "CPU", "cuda": "CUDA", "mcmc": "MCMC"}
        items = [(choice.upper(), names.get(choice, choice.title()), "") for choice in metadata["choices"]]
        return bpy.props.EnumProperty(**common, items=items, default=spec.default.upper())
    if spec.type is bool:
        return bpy.props.BoolProperty(**common, default=spec.default)
    if spec.type is str:
        return bpy.props.StringProperty(**common, default=spec.default, subtype="FILE_PATH")
    limits = {"min": metadata["low"], "max": metadata["high"]}
    if spec.type is int:
        return bpy.props.IntProperty(**common, default=spec.default, **limits)
    return bpy.props.FloatProperty(**common, default=spec.default, **limits, precision=6)


TRAINING_FIELDS = tuple(spec for spec in fields(TrainConfig) if spec.name not in ("capture", "seeds"))
SPLAT_PG_training = type(
    "SPLAT_PG_training",
    (bpy.types.PropertyGroup,),
    {
        "__doc__": "Training settings, one property per field of `TrainConfig`.",
        "__module__": __name__,
        "__annotations__": {spec.name: _property_of(spec) for spec in TRAINING_FIELDS},
    },
)


PRESET_TEXTS = {
    **{name: ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in PRESETS[name].items()) for name in PRESETS},
    CUSTOM: "Settings that are no preset's",
}


def _shown_preset(group) -> int:
    """The number of the preset that the training settings are."""
    try:
        return list(PRESET_TEXTS).index(preset_of(chosen_config(group.training)))
    except RunError:
        return list(PRESET_TEXTS).index(CUSTOM)


def _choose_preset(group, number: int) -> None:
    name = list(PRESET_TEXTS)[number]
    if name != CUSTOM:
        for setting in PRESETS[name]:
            setattr(group.training, setting, PRESETS[name][setting])


class SPLAT_PG_scene(bpy.types.PropertyGroup):
    """`Scene.splat`: everything about splats that is saved with the scene."""

    capture: bpy.props.PointerProperty(type=SPLAT_PG_capture)
    training: bpy.props.PointerProperty(type=SPLAT_PG_training)
    preset: bpy.props.EnumProperty(
        name="Preset",
        description="How long and how finely to train; the other settings stay as they are",
        items=[(name.upper(), name.title(), description) for name, description in PRESET_TEXTS.items()],
        get=lambda self: _shown_preset(self),
        set=lambda self, number: _choose_preset(self, number),
    )
    viewport: bpy.props.PointerProperty(type=SPLAT_PG_viewport)
    follow_training: bpy.props.BoolProperty(
        name="Follow Training",
        description="Show the splats in the scene as they are trained; not while you edit, render or play animation",
        default=True,
        update=lambda self, context: _on_follow_chosen(self.id_data),
    )
    follow_every_s: bpy.props.FloatProperty(
        name="Every",
        description="Seconds between two previews; more when showing them would take over 5 % of the time",
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
        update=lambda self, context: _on_run_chosen(self.id_data),
    )
    look: bpy.props.EnumProperty(
        name="Look",
        description="How the colors of overlapping splats are blended in renders",
        items=LOOKS,
        default="SCENE",
        update=lambda self, context: _on_look_chosen(self.id_data),
    )
    held_out_views: bpy.props.CollectionProperty(type=SPLAT_PG_held_out_view)
    held_out_index: bpy.props.IntProperty(
        name="Held-out View", update=lambda self, context: _on_view_chosen(self, context)
    )
    held_out_choice: bpy.props.StringProperty(
        name="Chosen View", description="The held-out view that the artist chose, by name; empty: the worst is shown"
    )
    hidden_source: bpy.props.CollectionProperty(type=SPLAT_PG_hidden_source)
    review: bpy.props.PointerProperty(type=SPLAT_PG_review)


def _on_look_chosen(scene) -> None:
    """All splats of a scene have one look."""
    from ..splats import appearance

    for item in appearance.splat_objects(scene):
        appearance.set_look(item, scene.splat.look)


def _on_follow_chosen(scene) -> None:
    """Switching it on is to see the splats, also when they were deleted or edited."""
    from ..runs import preview

    if scene.splat.follow_training:
        preview.begin_again(scene)


def _on_run_chosen(scene) -> None:
    """The list of held-out views is that of the run."""
    from ..tasks import live_run

    live_run.list_views_of_run(scene)


def _on_view_chosen(group, context) -> None:
    """The choice is kept by name, since the order changes. While a held-out view is shown, it shows the chosen one."""
    from ..review import held_out as review

    if 0 <= group.held_out_index < len(group.held_out_views):
        group.held_out_choice = group.held_out_views[group.held_out_index].name
    review.refresh(context)


CLASSES = (
    *(SPLAT_PG_capture, SPLAT_PG_object, *review_settings.CLASSES, SPLAT_PG_hidden_source),
    *(SPLAT_PG_training, SPLAT_PG_viewport, SPLAT_PG_scene),
)


def train_config(scene: bpy.types.Scene) -> TrainConfig:
    """The settings of `scene` as a checked `TrainConfig`.

    Blender keeps numbers in 32 bits; they are read back as the decimal that was typed. Raises RunError.
    """
    seeds = "random" if scene.splat.capture.seed_source == "RANDOM" else "points"
    folder = str(absolute(scene.splat.capture.folder))
    config = replace(chosen_config(scene.splat.training), capture=folder, seeds=seeds)
    config.check()
    return config


def chosen_config(group) -> TrainConfig:
    """The settings of a training property group, without a capture, not checked. Raises RunError."""
    return replace(TrainConfig(), **{spec.name: _value(spec, getattr(group, spec.name)) for spec in TRAINING_FIELDS})


def apply_train_config(scene: bpy.types.Scene, config: TrainConfig) -> None:
    """Show `config` in the interface."""
    chosen = scene.splat.capture
    chosen.folder = config.capture
    if (config.seeds == "random") != (chosen.seed_source == "RANDOM"):
        chosen.seed_source = "RANDOM" if config.seeds == "random" else "CAPTURE"
    for spec in TRAINING_FIELDS:
        value = getattr(config, spec.name)
        setattr(scene.splat.training, spec.name, value.upper() if spec.metadata["choices"] else value)


def _value(spec, shown):
    if spec.metadata["choices"]:
        return shown.lower()
    if spec.type is str:
        return str(absolute(shown)) if shown else ""
    if spec.type is float:
        return spec.default if np.float32(spec.default) == np.float32(shown) else float(f"{shown:.7g}")
    return shown


def absolute(path: str) -> Path:
    """A folder or file as the user typed it: `~` is the home folder, `//` and relative paths lie beside the .blend.

    Links are not followed. Raises RunError when the .blend has no place yet.
    """
    if not path:
        return Path()
    is_beside = path.startswith("//") or not (path.startswith("~") or Path(path).is_absolute())
    if is_beside and not bpy.data.filepath:
        raise RunError(
            f"{path} is relative to a .blend that was not saved yet.", "Save the file, or choose a full path."
        )
    if not is_beside:
        return Path(path).expanduser()
    return Path(os.path.abspath(Path(bpy.data.filepath).parent / path.removeprefix("//")))


def run_path(scene: bpy.types.Scene) -> Path | None:
    """The folder of the scene's run; None when it has none or its place cannot be told."""
    try:
        return absolute(scene.splat.run_folder) if scene.splat.run_folder else None
    except RunError:
        return None


def remember_run(scene: bpy.types.Scene, path: Path) -> None:
    """Keep a run with the scene: beside the .blend where possible, so that a project can be moved."""
    text = str(path)
    if bpy.data.filepath:
        with contextlib.suppress(ValueError):  # another drive on Windows
            text = bpy.path.relpath(text)
    if scene.splat.run_folder != text:
        scene.splat.run_folder = text
