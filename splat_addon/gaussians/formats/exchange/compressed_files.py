"""SuperSplat's compressed PLY as one of the formats; see `compressed_ply` for what is in it.

Chunks of 256 splats are small in space only if neighbors in the file are neighbors there: splats are sorted along a
Morton curve.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...cloud import GaussianCloud
from ...harmonics import MAX_DEGREE, coefficient_count, sh_to_color
from ...transform import STORED
from ..compressed_ply import CHUNK
from ..splat_file import Header, Reading, Settings, SplatFile, gathered, losses_of, save_bytes
from . import ply_files
from .packing import smallest_three

NAME, TITLE, EXTENSIONS = "compressed.ply", "Compressed PLY", (".compressed.ply",)
READ_AXES, WRITE_AXES = STORED, STORED

_LARGEST_LOG_SCALE = 20.0
_SMALLEST_SPAN = 1e-5
_SH_RANGE = 8.0  # of coefficients -4..4
_CHUNKS_AT_ONCE = 64


def recognizes(start: bytes, path: Path) -> bool:
    """A PLY with packed numbers."""
    return start.startswith(b"ply") and b" packed_position" in start


def open_file(path: Path, reading: Reading) -> SplatFile:
    """As any PLY."""
    return replace(ply_files.open_file(path, reading), format=NAME)


def losses(header: Header, settings: Settings) -> list[str]:
    """What it cannot hold."""
    return [
        "Precision is lost: positions and sizes to 11 bits within their neighborhood, colors to 8. The order changes.",
        *losses_of(header, MAX_DEGREE, has_flag=False),
    ]


def write(path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings) -> None:
    """Write it, sorted. Raises SplatFileError."""
    cloud = gathered(header, blocks)
    cloud = cloud.select(morton_order(cloud.means))
    rest = coefficient_count(cloud.sh_degree) - 1
    chunks = -(-len(cloud) // CHUNK)
    lines = ["ply", "format binary_little_endian 1.0", f"element chunk {chunks}"]
    bounds = [f"{side}_{axis}" for side in ("min", "max") for axis in "xyz"]
    bounds += [f"{side}_scale_{axis}" for side in ("min", "max") for axis in "xyz"]
    bounds += [f"{side}_{channel}" for side in ("min", "max") for channel in "rgb"]
    lines += [f"property float {name}" for name in bounds]
    lines += [f"element vertex {len(cloud)}"]
    lines += [f"property uint packed_{name}" for name in ("position", "rotation", "scale", "color")]
    if rest:
        lines += [f"element sh {len(cloud)}", *(f"property uchar f_rest_{index}" for index in range(3 * rest))]
    tables, vertices, harmonics = [], [], []
    for start in range(0, len(cloud), CHUNK * _CHUNKS_AT_ONCE):
        block = cloud.select(slice(start, start + CHUNK * _CHUNKS_AT_ONCE))
        table, packed = _packed(block)
        tables.append(table.astype("<f4").tobytes())
        vertices.append(packed.astype("<u4").tobytes())
        levels = (block.sh[:, 1:].transpose(0, 2, 1).reshape(len(block), -1) / _SH_RANGE + np.float32(0.5)) * 256
        harmonics.append(np.clip(np.trunc(levels), 0, 255).astype(np.uint8).tobytes())
    save_bytes(path, [("\n".join(lines) + "\nend_header\n").encode("ascii"), *tables, *vertices, *harmonics])


def morton_order(means: np.ndarray) -> np.ndarray:
    """(N,) indices along a Morton curve of 2^10 cells per axis over the bounds of means (N, 3)."""
    if len(means) == 0:
        return np.zeros(0, np.intp)
    low, high = means.min(axis=0).astype(np.float64), means.max(axis=0).astype(np.float64)
    cells = ((means - low) * (1023 / np.maximum(high - low, 1e-30))).astype(np.uint32)
    for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
        cells = (cells | cells << np.uint32(shift)) & np.uint32(mask)
    codes = cells[:, 0] | cells[:, 1] << np.uint32(1) | cells[:, 2] << np.uint32(2)
    return np.argsort(codes, kind="stable")


def _packed(cloud: GaussianCloud) -> tuple[np.ndarray, np.ndarray]:
    """The bounds (chunks, 18) and the packed numbers (N, 4) of whole chunks, the last one of which may be shorter."""
    count = len(cloud)
    rows = np.minimum(np.arange(-(-count // CHUNK) * CHUNK), count - 1)  # the last splat fills the last chunk
    values = [
        cloud.means[rows],
        np.clip(cloud.log_scales[rows], -_LARGEST_LOG_SCALE, _LARGEST_LOG_SCALE),
        sh_to_color(cloud.sh[rows, 0]),
    ]
    bounds, units = [], []
    for value in values:
        value = value.reshape(-1, CHUNK, 3)
        low, high = value.min(axis=1), value.max(axis=1)
        span = (high - low)[:, None].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            unit = np.where(span < _SMALLEST_SPAN, 0, (value - low[:, None].astype(np.float64)) / span)
        bounds += [low, high]
        units.append(unit.reshape(-1, 3)[:count])
    largest, others = smallest_three(cloud.rotations.astype(np.float64))
    turn = _whole(others * np.sqrt(0.5) + 0.5, 10)
    packed = np.empty((count, 4), np.uint32)
    for column, unit in ((0, units[0]), (2, units[1])):
        packed[:, column] = _whole(unit[:, 0], 11) << 21 | _whole(unit[:, 1], 10) << 11 | _whole(unit[:, 2], 11)
    packed[:, 1] = largest.astype(np.uint32) << 30 | turn[:, 0] << 20 | turn[:, 1] << 10 | turn[:, 2]
    color = _whole(units[2], 8)
    packed[:, 3] = color[:, 0] << 24 | color[:, 1] << 16 | color[:, 2] << 8 | _whole(cloud.opacities, 8)
    return np.concatenate(bounds, axis=1), packed


def _whole(unit: np.ndarray, bits: int) -> np.ndarray:
    """0..1 as whole numbers of so many bits."""
    top = (1 << bits) - 1
    return np.clip(np.floor(unit * top + 0.5), 0, top).astype(np.uint32)
