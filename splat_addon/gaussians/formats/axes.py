"""Where the axes of a splat file point, and what tells so."""

import os
from pathlib import Path

from ..transform import STORED, Y_DOWN, Y_UP, Z_UP
from .ply import open_ply
from .registry import format_named
from .splat_columns import BLENDER_COMMENT
from .splat_file import SplatFile

_OF_TRAINERS = ("cfg_args", "cameras.json")  # what INRIA's trainer, and those that follow it, leave above their PLYs
_OF_OUR_RUNS = ("config.json", "events.jsonl")
_SAID = "vertical axis:"  # a comment of nerfstudio and Brush


def guess_axes(file: SplatFile) -> tuple[str, str]:
    """`STORED`, `Y_UP` or `Y_DOWN` for an opened file, and a sentence about what tells so, for whoever may know better.

    Some formats have axes of their own; a PLY says nothing but in comments, and by what lies around it.
    """
    if file.axes != STORED:
        said = {Y_UP: "y points up", Y_DOWN: "y points down", Z_UP: "z points up"}[file.axes]
        return (STORED if file.axes == Z_UP else file.axes), f"{format_named(file.format).TITLE}: {said} in such files."
    near = list(Path(os.path.abspath(file.path)).parents)[:3]
    if any(all(os.path.isfile(folder / name) for name in _OF_OUR_RUNS) for folder in near[:2]):
        return STORED, "It lies in a run of this add-on: its axes are those of the capture."
    comments = [comment.lower() for comment in _comments(file)]
    if BLENDER_COMMENT.lower() in comments:
        return STORED, "It was trained for Blender's light: its axes are those of the scene."
    for comment in comments:
        if comment.startswith(_SAID):
            said = comment.removeprefix(_SAID).strip()
            if said == "z":
                return STORED, "It says that its vertical axis is z."
            if said == "y":
                return Y_DOWN, "It says that its vertical axis is y; in trainers that write so, y points down."
    for name in _OF_TRAINERS:
        if any(os.path.isfile(folder / name) for folder in near):
            return Y_DOWN, f"{name} above it is of a trainer on COLMAP's axes, in which y points down."
    return STORED, "It does not say where up is. If the splats lie on their side or upside down, choose another."


def _comments(file: SplatFile) -> tuple[str, ...]:
    return open_ply(file.path).comments if file.format == "ply" else ()
