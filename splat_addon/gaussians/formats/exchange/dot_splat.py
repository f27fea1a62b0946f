"""`.splat`, of antimatter15's web viewer: records of 32 bytes without a header, and without harmonics.

Position and linear scale in 32-bit floats, then color and opacity, then the quaternion w, x, y, z, a byte each.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ....files import open_regular
from ...cloud import GaussianCloud
from ...harmonics import color_to_sh, sh_to_color
from ...transform import Y_DOWN
from ..splat_file import (
    Header,
    Reading,
    Settings,
    SplatFile,
    SplatPart,
    broken,
    gathered,
    in_blocks,
    logits_of,
    logs_of,
    losses_of,
    save_bytes,
    unreadable,
)
from .packing import as_bytes

NAME, TITLE, EXTENSIONS = "splat", ".splat", (".splat",)
READ_AXES, WRITE_AXES = Y_DOWN, Y_DOWN

_RECORD = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("rotation", "u1", 4)])
_BLOCK = 1 << 15


def recognizes(start: bytes, path: Path) -> bool:
    """By its name alone: it has no mark of its own."""
    return path.suffix.lower() in EXTENSIONS


def open_file(path: Path, reading: Reading) -> SplatFile:
    """The size says how many there are."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise unreadable(path, error) from error
    if size % _RECORD.itemsize:
        raise broken(path, f"does not hold whole records of {_RECORD.itemsize} bytes")
    header = Header(size // _RECORD.itemsize, 0)
    return SplatFile(path, NAME, (SplatPart(header, lambda: _blocks(path, header)),), READ_AXES)


def _blocks(path: Path, header: Header) -> Iterator[GaussianCloud]:
    done = 0
    try:
        with open_regular(path) as file:
            while done < header.count:
                records = np.fromfile(file, _RECORD, min(_BLOCK, header.count - done))
                if len(records) == 0:
                    raise broken(path, "became shorter while it was read")
                done += len(records)
                yield _cloud(records)
    except OSError as error:
        raise unreadable(path, error) from error


def _cloud(records: np.ndarray) -> GaussianCloud:
    color = records["color"] / np.float32(255)
    with np.errstate(invalid="ignore"):
        return GaussianCloud(
            means=records["mean"],
            log_scales=logs_of(records["scale"]),
            quaternions=(records["rotation"] - np.float32(128)) / np.float32(128),
            logit_opacities=logits_of(color[:, 3]),
            sh=color_to_sh(color[:, None, :3]),
        )


def losses(header: Header, settings: Settings) -> list[str]:
    """What it cannot hold."""
    return ["Precision is lost: colors, opacities and rotations to 8 bits.", *losses_of(header, 0, has_flag=False)]


def write(path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings) -> None:
    """Write it, in the order of the splats. Raises SplatFileError."""
    cloud = gathered(header, blocks)

    def tables() -> Iterator[bytes]:
        for block in in_blocks(cloud, _BLOCK):
            records = np.empty(len(block), _RECORD)
            records["mean"], records["scale"] = block.means, block.scales
            records["color"][:, :3] = as_bytes(255 * sh_to_color(block.sh[:, 0]))
            records["color"][:, 3] = as_bytes(255 * block.opacities)
            records["rotation"] = as_bytes(block.rotations * np.float32(128) + np.float32(128))
            yield records.tobytes()

    save_bytes(path, tables())
