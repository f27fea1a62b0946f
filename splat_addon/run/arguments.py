"""Every setting of a run as an option of a command line."""

import argparse
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from .config import PRESETS, TrainConfig, with_preset


def add_settings(parser: argparse.ArgumentParser) -> None:
    """`--preset`, and one option per field of `TrainConfig`, the capture left out."""
    parser.add_argument("--preset", choices=list(PRESETS), help="how long and how finely to train")
    for spec in fields(TrainConfig):
        if spec.name == "capture":
            continue
        option = "--" + spec.name.replace("_", "-")
        help_text = f"{spec.metadata['doc']} (default {spec.default})".replace("%", "%%")
        if spec.type is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=None, help=help_text)
        else:
            choices = spec.metadata["choices"] or None
            parser.add_argument(option, type=type(spec.default), choices=choices, default=None, help=help_text)


def with_settings(config: TrainConfig, given: Mapping[str, Any]) -> TrainConfig:
    """`config` with the preset and then the settings that were given. Raises RunError when one is out of range."""
    if given.get("preset"):
        config = with_preset(config, given["preset"])
    chosen = {spec.name: given.get(spec.name) for spec in fields(TrainConfig) if spec.name != "capture"}
    changed = replace(config, **{name: value for name, value in chosen.items() if value is not None})
    changed.check()
    return changed
