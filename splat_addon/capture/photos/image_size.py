"""The size of a photo from the head of its file, without decoding it: PNG, JPEG, WebP, BMP, TIFF."""

import struct
from pathlib import Path

from ...errors import CaptureError
from ...files import open_regular

_HEAD = 64
_MOST_FILL = 4096  # bytes between two segments of a JPEG: there should be none


def read_image_size(path: Path) -> tuple[int, int]:
    """Width and height in stored pixels; a turn noted in EXIF is not applied. Raises CaptureError, naming the photo."""
    try:
        with open_regular(path) as file:
            size = _size(file, file.read(_HEAD))
    except (OSError, struct.error, IndexError, ValueError):
        size = None
    if size is None or min(size) < 1:
        raise CaptureError(
            f"The size of the photo {path} cannot be read.",
            "Replace the file, or write w and h into transforms.json.",
        )
    return size


def _size(file, head: bytes) -> tuple[int, int] | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return struct.unpack_from(">II", head, 16)
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(file)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp_size(head)
    if head.startswith(b"BM"):
        width, height = struct.unpack_from("<ii", head, 18)
        return width, abs(height)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _tiff_size(file, head)
    return None


def _jpeg_size(file) -> tuple[int, int] | None:
    """Walk over the segments to the first start of frame (SOF0 … SOF15 but for DHT, JPG and DAC)."""
    file.seek(2)
    while True:
        fill = file.read(_MOST_FILL)
        place = fill.index(b"\xff")
        while fill[place] == 0xFF:
            place += 1
        file.seek(place + 1 - len(fill), 1)
        marker = fill[place]
        (length,) = struct.unpack(">H", file.read(2))
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            _, height, width = struct.unpack(">BHH", file.read(5))
            return width, height
        file.seek(length - 2, 1)


def _webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        across, down = int.from_bytes(head[24:27], "little"), int.from_bytes(head[27:30], "little")
        return across + 1, down + 1
    return None


def _tiff_size(file, head: bytes) -> tuple[int, int] | None:
    order = "<" if head[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", head, 4)
    file.seek(start)
    (count,) = struct.unpack(order + "H", file.read(2))
    found = {}
    for _ in range(count):
        tag, kind, _, value = struct.unpack(order + "HHI4s", file.read(12))
        if tag in (256, 257):  # ImageWidth, ImageLength as SHORT or LONG
            (found[tag],) = struct.unpack_from(order + ("H" if kind == 3 else "I"), value)
    return (found[256], found[257]) if len(found) == 2 else None
