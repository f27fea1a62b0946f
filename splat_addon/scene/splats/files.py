"""Splat files in and out of the scene."""

import math
from pathlib import Path

import bpy

from ...errors import SplatFileError
from ...gaussians.formats.splat_ply import AUTO, LINEAR, LOGIT, SplatPly, write_splat_blocks
from ..settings.trained_for import ANTIALIASED_KEY, BLEND_SPACE_KEY
from . import appearance
from .adoption import mark
from .box_modifier import hand_over
from .data import SplatReader, remove_data, splat_blocks_to_data, splat_count

AXES = [
    ("STORED", "As Stored", "Keep the axes of the file"),
    ("Y_DOWN", "Y Down to Z Up", "For files from COLMAP-based trainers, in which y points down"),
    ("Y_UP", "Y Up to Z Up", "For files from viewers and game engines, in which y points up"),
]
OPACITIES = [
    (AUTO.upper(), "Automatic", "As logits, unless all are from 0 to 1"),
    (LOGIT.upper(), "Logits", "As trainers store them, before the sigmoid"),
    (LINEAR.upper(), "Linear", "As they are, from 0 to 1"),
]
_TURN_X_DEG = {"STORED": 0.0, "Y_DOWN": -90.0, "Y_UP": 90.0}


def import_splats(
    path: Path, axes: str, scene: bpy.types.Scene, collection: bpy.types.Collection, opacities: str = AUTO
):
    """The splats of a file as a new object in `collection`, and sentences about what was decided and left out.

    `axes` turn the object; the data stays as it is in the file, so that an export gives the file back. `opacities` are
    stored as "logit", "linear", or, "auto", as they look.
    Raises SplatFileError when it is not a splat file, is cut short, or holds nothing to show.
    """
    file = SplatPly(path, opacities)
    data = splat_blocks_to_data(file.count, file.sh_degree, file.blocks(), path.stem)
    item = bpy.data.objects.new(path.stem, data)
    count = splat_count(item)
    if count == 0:
        bpy.data.objects.remove(item)
        remove_data(data)
        raise SplatFileError(f"{path.name} holds no splats.", "Export it again from the tool that wrote it.")
    collection.objects.link(item)
    item.rotation_euler.x = math.radians(_TURN_X_DEG[axes])
    item[BLEND_SPACE_KEY], item[ANTIALIASED_KEY] = file.blend_space, file.antialiased
    appearance.show_splats(item, scene)
    hand_over(scene)
    notes = [f"{sentence} {remedy}".strip() for sentence, remedy in file.remarks]
    if count < file.count:
        notes.append(f"{file.count - count} splats with values that are not finite were left out.")
    if file.stored_degree > file.sh_degree:
        notes.append(f"Harmonics above degree {file.sh_degree} were left out.")
    return item, notes


def export_splats(path: Path, item: bpy.types.Object) -> int:
    """Write an object's splats, in its own frame, as a PLY that trainers and viewers read; return how many.

    Raises SplatFileError when the object holds no splats or the place cannot be written.
    """
    reader = SplatReader(item)
    mark(item.data)
    blocks, antialiased = reader.blocks(), reader.antialiased
    write_splat_blocks(path, reader.count, reader.sh_degree, blocks, reader.blend_space, antialiased=antialiased)
    return reader.count
