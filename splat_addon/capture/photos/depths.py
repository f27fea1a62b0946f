"""Depths that Blender has written beside images: one channel of a 32-bit OpenEXR file, by NumPy alone.

Pillow reads no OpenEXR. What Blender's File Output writes is all that is read here: one part of scan lines, not
compressed or by zip (https://openexr.com/en/latest/OpenEXRFileLayout.html).
"""

import struct
import zlib
from pathlib import Path

import numpy as np

from ...errors import CaptureError
from ...files import open_regular
from ..camera import MOST_PIXELS

NOTHING_FROM = 1e9  # Blender writes 1e10 where nothing is seen
_MAGIC = 20000630
_OTHER_KINDS = 0x200 | 0x800 | 0x1000  # tiles, deep pixels, several parts
_LINES = {0: 1, 2: 1, 3: 16}  # in a chunk, by compression: none, zip of single lines, zip
_BYTES = {0: 4, 1: 2, 2: 4}  # of a pixel, by type: whole, half, float
_FLOAT = 2
_MOST_RATIO = 1100  # of zip


def read_depths(path: Path) -> np.ndarray:
    """(H, W) float32, what the file holds: along the viewing direction, `NOTHING_FROM` and more where nothing is seen.

    Raises CaptureError when there is no such file, or it is broken or of another kind.
    """
    try:
        with open_regular(path) as file:
            content = file.read()
        return _depths(content)
    except (OSError, ValueError, KeyError, IndexError, OverflowError, struct.error, zlib.error) as error:
        raise CaptureError(f"The depths in {path} cannot be read.", "Render them again.") from error


def _depths(content: bytes) -> np.ndarray:
    magic, version = struct.unpack_from("<iI", content)
    if magic != _MAGIC or version & _OTHER_KINDS:
        raise ValueError("another kind of file")
    header, start = _header(content)
    left, top, right, bottom = struct.unpack("<4i", header["dataWindow"])
    width, height, compression = right - left + 1, bottom - top + 1, header["compression"][0]
    if not (0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS):
        raise ValueError("an impossible size")
    channels = _channels(header["channels"])
    before = sum(_BYTES[kind] for _, kind in channels[: _chosen(channels)])
    line_bytes = width * sum(_BYTES[kind] for _, kind in channels)
    lines = _LINES[compression]
    offsets = np.frombuffer(content, "<u8", -(-height // lines), start).tolist()
    if height * line_bytes > _MOST_RATIO * len(content):
        raise ValueError("more pixels than zip can hold")
    depths = np.empty((height, width), np.float32)
    for offset in offsets:
        first, size = struct.unpack_from("<ii", content, offset)
        row, here = first - top, min(lines, height - (first - top))
        if not 0 <= row < height or not 0 <= size <= len(content) - offset - 8:
            raise ValueError("a chunk that lies elsewhere")
        data = content[offset + 8 : offset + 8 + size]
        if size != here * line_bytes:  # what zip cannot make smaller is left as it is
            data = _unzipped(data, here * line_bytes)
        rows = np.frombuffer(data, np.uint8).reshape(here, line_bytes)
        depths[row : row + here] = np.ascontiguousarray(rows[:, before * width : (before + 4) * width]).view("<f4")
    return depths


def _header(content: bytes) -> tuple[dict[str, bytes], int]:
    """The attributes by name, and where they end."""
    attributes, place = {}, 8
    while content[place]:
        end = content.index(b"\0", place)
        name, kind_end = content[place:end].decode("latin-1"), content.index(b"\0", end + 1)
        (size,) = struct.unpack_from("<i", content, kind_end + 1)
        place = kind_end + 5 + size
        if size < 0:
            raise ValueError("an attribute without an end")
        attributes[name] = content[kind_end + 5 : place]
    return attributes, place + 1


def _channels(listed: bytes) -> list[tuple[str, int]]:
    """Names and types, in the order in which each line has them."""
    channels, place = [], 0
    while listed[place]:
        end = listed.index(b"\0", place)
        (kind,) = struct.unpack_from("<i", listed, end + 1)
        channels.append((listed[place:end].decode("latin-1"), kind))
        place = end + 17
    return channels


def _chosen(channels: list[tuple[str, int]]) -> int:
    """The first of 32 bits: depth stands alone, or three times."""
    return [kind for _, kind in channels].index(_FLOAT)


def _unzipped(data: bytes, size: int) -> bytes:
    """Bytes that were put apart by even and odd places, and then told by their differences."""
    packed = np.frombuffer(zlib.decompressobj().decompress(data, size), np.uint8)
    if len(packed) != size:
        raise ValueError("a chunk that is cut short")
    steps = packed.astype(np.int64)
    steps[1:] -= 128
    whole, half = np.cumsum(steps).astype(np.uint8), (size + 1) // 2
    result = np.empty(size, np.uint8)
    result[0::2], result[1::2] = whole[:half], whole[half:]
    return result.tobytes()
