"""How a run is trained, kept in the .blend as `Scene.splat.training`: one property for each field of `TrainConfig`."""

import contextlib
from dataclasses import fields, replace
from pathlib import Path

import bpy
import numpy as np

from ...capture.choices import AUTOMATIC, CaptureChoices
from ...errors import RunError
from ...run.config import CUSTOM, PRESETS, READING, TrainConfig, label, preset_of
from .paths import MAY_BE_RELATIVE, absolute, chosen

ONCE_SWITCHES = ("sky_seeds",)  # settings that files of earlier versions hold as 0 or 1
AS_SWITCH = {"auto": 2, "on": 1, "off": 0}


def _property_of(spec):
    """The Blender property for one field of `TrainConfig`."""
    metadata = spec.metadata
    common = {"name": label(spec), "description": metadata["doc"]}
    if metadata["choices"]:
        names = {"cpu": "CPU", "cuda": "CUDA", "mcmc": "MCMC"}
        numbers = AS_SWITCH if spec.name in ONCE_SWITCHES else {name: at for at, name in enumerate(metadata["choices"])}
        items = [(name.upper(), names.get(name, name.title()), "", number) for name, number in numbers.items()]
        return bpy.props.EnumProperty(**common, items=items, default=spec.default.upper())
    if spec.type is bool:
        return bpy.props.BoolProperty(**common, default=spec.default)
    if spec.type is str:
        update = chosen(spec.name)
        path: dict = {"subtype": "FILE_PATH"}
        if metadata["is_folder"]:
            path = {"subtype": "DIR_PATH", "options": MAY_BE_RELATIVE}
        return bpy.props.StringProperty(**common, default=spec.default, update=update, **path)
    limits = {"min": metadata["low"], "max": metadata["high"]}
    if spec.type is int:
        return bpy.props.IntProperty(**common, default=spec.default, **limits)
    return bpy.props.FloatProperty(**common, default=spec.default, **limits, precision=6)


TRAINING_FIELDS = tuple(spec for spec in fields(TrainConfig) if spec.name not in ("capture", "seeds"))
READING_FIELDS = tuple(spec for spec in TRAINING_FIELDS if spec.metadata["group"] == READING)
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


def shown_preset(training) -> int:
    """The number of the preset that the training settings are."""
    try:
        return list(PRESET_TEXTS).index(preset_of(chosen_config(training)))
    except RunError:
        return list(PRESET_TEXTS).index(CUSTOM)


def choose_preset(training, number: int) -> None:
    """Set what belongs to a preset; all else stays."""
    name = list(PRESET_TEXTS)[number]
    if name != CUSTOM:
        for setting in PRESETS[name]:
            setattr(training, setting, PRESETS[name][setting])


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


def reading_choices(scene: bpy.types.Scene, folder: Path) -> CaptureChoices:
    """What the artist has decided about the capture in `folder`: nothing, unless it is the chosen one. Raises RunError
    for a folder on a share that nobody has asked for."""
    if not is_chosen_capture(scene, folder):
        return AUTOMATIC
    group = scene.splat.training
    return CaptureChoices(**{spec.name: _value(spec, getattr(group, spec.name)) for spec in READING_FIELDS})


def forget_reading(scene: bpy.types.Scene) -> None:
    """What was decided about one capture is not said of another that is chosen now."""
    chosen = scene.splat.capture
    if not _is_same_folder(chosen.folder, chosen.decided_for):
        for spec in READING_FIELDS:
            scene.splat.training.property_unset(spec.name)
    chosen.decided_for = chosen.folder


def _is_same_folder(one: str, other: str) -> bool:
    if one == other:
        return True
    with contextlib.suppress(RunError):
        return bool(one and other) and absolute(one) == absolute(other)
    return False


def is_chosen_capture(scene: bpy.types.Scene, folder: Path) -> bool:
    """Whether the capture that the scene has chosen is the one in `folder`."""
    with contextlib.suppress(RunError):
        chosen_folder = scene.splat.capture.folder
        return bool(chosen_folder) and absolute(chosen_folder).resolve() == folder.resolve()
    return False


def apply_train_config(scene: bpy.types.Scene, config: TrainConfig) -> None:
    """Show `config` in the interface."""
    chosen = scene.splat.capture
    chosen.folder = config.capture
    if (config.seeds == "random") != (chosen.seed_source == "RANDOM"):
        chosen.seed_source = "RANDOM" if config.seeds == "random" else "CAPTURE"
    for spec in TRAINING_FIELDS:
        value = getattr(config, spec.name)
        if spec.metadata["is_folder"] and value:  # what is relative begins at the capture, and here at the .blend
            value = str(Path(config.capture) / value)
        setattr(scene.splat.training, spec.name, value.upper() if spec.metadata["choices"] else value)


def _value(spec, shown):
    if spec.metadata["choices"]:
        return shown.lower()
    if spec.type is str:
        return str(absolute(shown)) if shown else ""
    if spec.type is float:
        return spec.default if np.float32(spec.default) == np.float32(shown) else float(f"{shown:.7g}")
    return shown


CLASSES = (SPLAT_PG_training,)
