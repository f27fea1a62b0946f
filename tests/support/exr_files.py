"""OpenEXR files of one size and kind of channel, as Blender's File Output writes them."""

import struct
import zlib
from pathlib import Path

import numpy as np

NONE, ZIP_OF_LINES, ZIP = 0, 2, 3


def write_exr(path: Path, values: np.ndarray, compression: int = ZIP, channels: str = "V", flags: int = 0) -> None:
    """`values` (H, W), 32-bit, once for each letter of `channels`."""
    height, width = values.shape

    def attribute(name: str, kind: str, data: bytes) -> bytes:
        return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(data)) + data

    listed = b"".join(letter.encode() + b"\0" + struct.pack("<iiii", 2, 0, 1, 1) for letter in channels) + b"\0"
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    header = struct.pack("<iI", 20000630, 2 | flags)
    header += attribute("channels", "chlist", listed) + attribute("compression", "compression", bytes([compression]))
    header += attribute("dataWindow", "box2i", box) + attribute("displayWindow", "box2i", box)
    header += attribute("lineOrder", "lineOrder", b"\0") + b"\0"
    lines = 16 if compression == ZIP else 1
    rows = np.repeat(values.astype("<f4")[:, None], len(channels), axis=1)
    chunks = []
    for first in range(0, height, lines):
        raw = rows[first : first + lines].tobytes()
        packed = raw if compression == NONE else zlib.compress(_apart(raw))
        chunks.append(struct.pack("<ii", first, min(len(packed), len(raw))) + min(packed, raw, key=len))
    offset, table = len(header) + 8 * len(chunks), b""
    for chunk in chunks:
        table += struct.pack("<Q", offset)
        offset += len(chunk)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + table + b"".join(chunks))


def _apart(raw: bytes) -> bytes:
    """Even bytes, then odd ones, each told by its difference to the one before."""
    values = np.frombuffer(raw, np.uint8)
    values = np.concatenate([values[0::2], values[1::2]]).astype(np.int64)
    values[1:] = np.diff(values) + 128
    return values.astype(np.uint8).tobytes()
