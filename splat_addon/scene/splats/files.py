"""Splat files into the scene."""

from pathlib import Path

import bpy
import numpy as np

from ...errors import SplatFileError
from ...gaussians.formats.axes import guess_axes
from ...gaussians.formats.registry import open_splats
from ...gaussians.formats.splat_file import Reading, SplatPart
from ...gaussians.formats.splat_ply import AUTO as BY_THEIR_LOOK
from ...gaussians.formats.splat_ply import LINEAR, LOGIT
from ...gaussians.transform import z_up_from
from ..settings.axes import AXES as CHOICES
from ..settings.axes import AXES_KEY, REASON_KEY, put_exactly
from ..settings.axes import placed_exactly as placed_by_import
from ..settings.trained_for import ANTIALIASED_KEY, BLEND_SPACE_KEY
from . import appearance
from .box_modifier import hand_over
from .contents.bundled import expose_usd, pixels_of
from .data import ORIGIN_KEY, from_origin, remove_data, splat_blocks_to_data, splat_count

AUTO = "AUTO"
AXES = [
    (AUTO, "Automatic", "As the file and what lies around it tell; the panel says why, and can turn it later"),
    *CHOICES,
]
OPACITIES = [
    (BY_THEIR_LOOK.upper(), "Automatic", "As logits, unless all are from 0 to 1"),
    (LOGIT.upper(), "Logits", "As trainers store them, before the sigmoid"),
    (LINEAR.upper(), "Linear", "As they are, from 0 to 1"),
]


def import_splats(
    path: Path, axes: str, scene: bpy.types.Scene, collection: bpy.types.Collection, opacities: str = BY_THEIR_LOOK
):
    """The splats of a file as new objects in `collection`, one for each of its parts, and sentences about what was
    decided and left out.

    `axes` turn the objects; the data stays as it is in the file, so that an export gives the file back. `opacities` of
    a PLY are stored as "logit", "linear", or, "auto", as they look.
    Raises SplatFileError when it is not a splat file, is cut short, or holds nothing to show.
    """
    expose_usd(path)
    file = open_splats(path, Reading(pixels_of, opacities))
    axes, reason = guess_axes(file) if axes == AUTO else (axes, "")
    turn = z_up_from(axes)
    own = path.stem.removesuffix(".compressed")
    names = [own] if len(file.parts) == 1 else [part.name or own for part in file.parts]
    made = [(part, _data_of(part, name)) for part, name in zip(file.parts, names, strict=True)]
    found = [(part, data) for part, data in made if data is not None]
    if not found:
        raise SplatFileError(f"{path.name} holds no splats.", "Export it again from the tool that wrote it.")
    items = []
    for part, data in found:
        item = bpy.data.objects.new(data.name, data)
        collection.objects.link(item)
        put_exactly(item, turn @ part.matrix)
        item[AXES_KEY] = axes
        if reason:
            item[REASON_KEY] = reason
        if part.origin is not None:
            item[ORIGIN_KEY] = list(part.origin)
        item[BLEND_SPACE_KEY], item[ANTIALIASED_KEY] = part.header.blend_space, part.header.antialiased
        appearance.show_splats(item, scene)
        items.append(item)
    hand_over(scene)
    notes = list(file.notes)
    count = sum(splat_count(item) for item in items)
    if count < file.count:
        notes.append(f"{file.count - count} splats with values that are not finite were left out.")
    return items, notes


def _data_of(part: SplatPart, name: str) -> bpy.types.ID | None:
    """The data-block of a part; None when it holds nothing to show."""
    header, blocks = part.header, iter(part.read())
    data = splat_blocks_to_data(header.count, header.sh_degree, blocks, name, header.extras)
    if len(data.attributes["position"].data if "position" in data.attributes else ()) == 0:
        remove_data(data)
        return None
    return data


def placed_exactly(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """(4, 4) where its import put an object, below its parent: exactly, and as Blender rounded it. For what came in
    another way, where its positions count from."""
    placed = placed_by_import(item)
    if placed is None:
        place = np.array(from_origin(item), dtype=np.float64)
        return place, place
    return placed
