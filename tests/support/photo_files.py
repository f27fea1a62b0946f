"""Photos as files, written by hand where no library writes that kind."""

import struct
import zlib
from pathlib import Path

import numpy as np


def exif(orientation: int, order: str = "MM", tag_type: int = 3) -> bytes:
    """An Exif record, without a marker, that holds an orientation alone."""
    mark = ">" if order == "MM" else "<"
    value = struct.pack(
        mark + ("HH" if tag_type == 3 else "I"), *((orientation, 0) if tag_type == 3 else (orientation,))
    )
    return order.encode() + struct.pack(mark + "HIHHHI", 42, 8, 1, 274, tag_type, 1) + value + bytes(4)


def with_exif(jpeg: bytes, record: bytes) -> bytes:
    """The same JPEG with an Exif segment in front."""
    body = b"Exif\0\0" + record
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def write_png(path: Path, pixels: np.ndarray, depth: int = 8, before: bytes = b"", after: bytes = b"") -> None:
    """Values (H, W) or (H, W, 2 to 4) of `depth` bits as a PNG, with chunks `before` and `after` its picture."""
    height, width = pixels.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    flat = pixels.reshape(height, -1)
    if depth == 16:
        rows = np.ascontiguousarray(flat.astype(">u2")).view(np.uint8)
    elif depth == 8:
        rows = flat.astype(np.uint8)
    else:
        bits = (flat[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    data = zlib.compress(np.concatenate([np.zeros((height, 1), np.uint8), rows.reshape(height, -1)], axis=1).tobytes())
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    picture = png_chunk(b"IDAT", data)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + before + picture + after + png_chunk(b"IEND", b""))


def matrix_profile(columns: np.ndarray, gamma: float) -> bytes:
    """An ICC profile of RGB with the XYZ (D50) of its primaries as `columns` (3, 3), and one gamma."""

    def xyz(values) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79)
    parts = {b"desc": text, b"wtpt": xyz((0.9642, 1, 0.8249)), b"cprt": b"text\0\0\0\0-\0\0\0"}
    parts |= {name: xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)}
    parts |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, start = b"", b"", 132 + 12 * len(parts)
    for name, content in parts.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(parts)) + table + body


def write_float_tiff(path: Path, pixels: np.ndarray) -> None:
    """Floating-point colors (H, W, 3) as an uncompressed TIFF."""
    height, width, channels = pixels.shape
    data = pixels.astype("<f4").tobytes()
    start = 8 + 2 + 12 * 9 + 4
    lists = struct.pack("<3H", 32, 32, 32) + struct.pack("<3H", 3, 3, 3)
    short, long = 3, 4
    tags = [(256, short, 1, width), (257, short, 1, height), (258, short, channels, start), (259, short, 1, 1)]
    tags += [(262, short, 1, 2), (273, long, 1, start + len(lists)), (277, short, 1, channels)]
    tags += [(279, long, 1, len(data)), (339, short, channels, start + 6)]
    table = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4) + lists + data)


DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
"""(3, 3) XYZ (D50) of Display P3's red, green and blue, as its profile has them."""
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
"""The same of sRGB."""
