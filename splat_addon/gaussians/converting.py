"""Splats from one file into another, turned and recolored exactly on the way."""

import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from . import color
from .cloud import GaussianCloud
from .formats.registry import cloud_of, format_for, open_splats, written_in_steps
from .formats.splat_file import Encode, Header, Pixels, Reading, Settings, gathered, in_blocks
from .transform import STORED, transformed, with_degree, z_up_from

TELL_EVERY_S = 5.0


def convert(options: Namespace, say: Callable[[str], None], pixels: Pixels, encode: Encode) -> None:
    """Carry out what `run.arguments` reads from a command line; `say` gets each sentence for whoever started it,
    `pixels` and `encode` are for images.

    What the target cannot hold is said before it is written, and how far that is while it takes long. Raises
    SplatError.
    """
    writer = format_for(options.target)
    file = open_splats(options.source, Reading(pixels))
    keeps_doubles = getattr(writer, "HAS_DOUBLES", False) and len(file.parts) == 1
    part, origin = file.parts[0], file.parts[0].origin if keeps_doubles else None
    cloud = cloud_of(file) if origin is None else gathered(part.header, part.read())  # which counts from there
    for note in file.notes:
        say(f"{file.path.name}: {note}")
    if len(cloud) < file.count:
        say(f"{file.count - len(cloud)} splats with values that are not finite were left out.")
    known, wanted = _axes(options.from_axes) or file.axes, _axes(options.axes) or writer.WRITE_AXES
    if STORED in (known, wanted):
        if known != wanted and wanted != STORED:
            say(f"{file.path.name} does not say where up is: written as stored. Name it with --from-axes.")
        wanted = known
    turn = axes_from_axes(wanted, known)
    cloud = transformed(cloud, turn)
    if origin is not None:
        x, y, z = (turn[:3, :3] @ origin).tolist()
        origin = x, y, z
    if options.sh_degree is not None and options.sh_degree < cloud.sh_degree:
        cloud = replace(cloud, sh=with_degree(cloud.sh, options.sh_degree))
    cloud = _recolored(cloud, options)
    header = Header(len(cloud), cloud.sh_degree, cloud.blend_space, cloud.antialiased)
    settings = Settings(wanted, options.spz_version, tuple(options.sh_bits), origin, encode=encode)
    losses = writer.losses(header, settings)
    if any(part.header.extras for part in file.parts):
        losses = [*losses, "Columns that are no part of splats are left out."]
    if origin is None and any(part.origin for part in file.parts):
        losses = [*losses, "The splats lie far from the origin: positions are rounded to 32 bits. A PLY keeps them."]
    for loss in losses:
        say(loss)
    told = time.monotonic()
    for step in written_in_steps(options.target, header, in_blocks(cloud), settings):
        if step.note:
            say(step.note)
        if time.monotonic() - told >= TELL_EVERY_S:
            say(f"{options.target.name}: {100 * step.done:.0f} % written")
            told = time.monotonic()
    size = options.target.stat().st_size / 1e6
    say(f"Wrote {len(cloud)} splats of degree {cloud.sh_degree} to {options.target} ({size:.1f} MB)")


def axes_from_axes(wanted: str, known: str) -> np.ndarray:
    """(4, 4) the turn from axes that are `known` to those that are `wanted`."""
    return z_up_from(wanted).T @ z_up_from(known)


def _axes(choice: str | None) -> str | None:
    return choice.upper().replace("-", "_") if choice else None


def _recolored(cloud: GaussianCloud, options: Namespace) -> GaussianCloud:
    change = color.gain(*options.gain).then(color.exposure(options.exposure))
    change = change.then(color.contrast(options.contrast)).then(color.saturation(options.saturation))
    is_unchanged = np.array_equal(change.matrix, np.eye(3)) and not change.offset.any()
    return cloud if is_unchanged else color.recolored(cloud, change)
