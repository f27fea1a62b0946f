"""PLY as one of the formats: INRIA's, read in every dialect, and SuperSplat's compressed one."""

from collections.abc import Iterable
from pathlib import Path

from ...cloud import GaussianCloud
from ...transform import STORED
from ..splat_file import Header, Settings, SplatFile, SplatPart, kept_degree
from ..splat_ply import SplatPly, write_splat_blocks

NAME, TITLE, EXTENSIONS = "ply", "PLY", (".ply",)
READ_AXES, WRITE_AXES = STORED, STORED  # as its trainer had them


def recognizes(start: bytes, path: Path) -> bool:
    """By its first word."""
    return start.startswith(b"ply")


def open_file(path: Path, pixels=None) -> SplatFile:
    """Any splat PLY."""
    file = SplatPly(path)
    degree, notes = kept_degree(file.stored_degree)
    header = Header(file.count, degree, file.blend_space, getattr(file, "antialiased", False))
    return SplatFile(path, NAME, (SplatPart(header, file.blocks),), READ_AXES, notes)


def losses(header: Header, settings: Settings) -> list[str]:
    """Nothing."""
    return []


def write(path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings) -> None:
    """As `write_splat_blocks`."""
    write_splat_blocks(path, header.count, header.sh_degree, iter(blocks), header.blend_space)
