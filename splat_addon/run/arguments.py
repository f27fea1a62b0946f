"""Every setting of a run, and what may change when splats are converted, as options of a command line."""

import argparse
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from .config import PRESETS, TrainConfig, with_preset

CONVERSION = "Convert a splat file into another format: the ending of OUT says which."
_AXES = ("stored", "y-up", "y-down", "z-up")


def add_settings(parser: argparse.ArgumentParser, only: Collection[str] = ()) -> None:
    """`--preset`, and one option per field of `TrainConfig`, the capture left out; or `only` for some fields."""
    if not only:
        parser.add_argument("--preset", choices=list(PRESETS), help="how long and how finely to train")
    for spec in fields(TrainConfig):
        if spec.name == "capture" or (only and spec.name not in only):
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


def add_conversion(parser: argparse.ArgumentParser) -> None:
    """Source, target, and what may be changed on the way."""
    parser.add_argument("source", type=Path, metavar="IN", help="the file to read, recognized by its content")
    parser.add_argument("target", type=Path, metavar="OUT", help="the file to write")
    parser.add_argument(
        "--from-axes", choices=_AXES, help="where the axes of IN point (default: as it says, or its format has them)"
    )
    parser.add_argument(
        "--axes", choices=_AXES, help="where those of OUT shall point (default: as its format has them)"
    )
    parser.add_argument("--sh-degree", type=int, choices=range(4), help="drop harmonics above this degree")
    parser.add_argument("--spz-version", type=int, choices=(3, 4), default=3, help="of SPZ (3)")
    parser.add_argument(
        "--sh-bits", type=int, nargs=2, choices=range(1, 9), default=(8, 8), metavar=("FIRST", "HIGHER"),
        help="bits of a harmonic in SPZ, of degree 1 and above (8 8; others write 5 4)",
    )  # fmt: skip
    parser.add_argument("--exposure", type=float, default=0.0, metavar="STOPS", help="brighten colors as displayed")
    parser.add_argument("--gain", type=float, nargs=3, default=(1, 1, 1), metavar=("R", "G", "B"), help="white balance")
    parser.add_argument("--contrast", type=float, default=1.0, help="about mid gray; 1 changes nothing")
    parser.add_argument("--saturation", type=float, default=1.0, help="0 is black and white, 1 changes nothing")
