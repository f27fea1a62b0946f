"""PLY as one of the formats: INRIA's, read in every dialect, and SuperSplat's compressed one."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...cloud import GaussianCloud
from ...transform import STORED
from ..splat_file import Header, Reading, Settings, SplatFile, SplatPart, kept_degree
from ..splat_ply import SplatPly, write_splat_blocks

NAME, TITLE, EXTENSIONS = "ply", "PLY", (".ply",)
READ_AXES, WRITE_AXES = STORED, STORED  # as its trainer had them
HAS_DOUBLES = True


def recognizes(start: bytes, path: Path) -> bool:
    """By its first word."""
    return start.startswith(b"ply")


def open_file(path: Path, reading: Reading) -> SplatFile:
    """Any splat PLY."""
    file = SplatPly(path, reading.opacities)
    degree, notes = kept_degree(file.stored_degree)
    decisions = [f"{sentence} {remedy}".strip() for sentence, remedy in file.remarks]
    header = Header(file.count, degree, file.blend_space, file.antialiased, file.extras)
    origin, matrix = file.origin(), np.eye(4)
    matrix[:3, 3] = origin or 0.0
    part = SplatPart(header, lambda: file.blocks(origin, with_extras=True), "", matrix, origin)
    return SplatFile(path, NAME, (part,), READ_AXES, (*decisions, *notes))


def losses(header: Header, settings: Settings) -> list[str]:
    """Nothing."""
    return []


def write(path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings) -> None:
    """As `write_splat_blocks`."""
    space, antialiased = header.blend_space, header.antialiased
    write_splat_blocks(
        path, header.count, header.sh_degree, iter(blocks), space, settings.origin, antialiased, header.extras
    )
