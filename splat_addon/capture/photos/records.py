"""What the head of a photo says about its pixels: the Exif orientation and the color profile. JPEG, PNG, TIFF, WebP."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from ...files import open_regular

_MOST_BYTES = 1 << 24  # of a record: no camera and no profile writes more
_MOST_PARTS = 10_000  # of one file
_ORIENTATION, _PROFILE = 274, 34675  # tags of TIFF 6.0 and of the ICC
_BITS, _COMPRESSION, _SAMPLE_FORMAT, _FLOAT = 258, 259, 339, 3


@dataclass(frozen=True)
class Records:
    """`orientation` is Exif's, 1 to 8; 1 where nothing valid is said. `profile` is an ICC profile, or empty."""

    orientation: int = 1
    profile: bytes = b""


def read_records(path: Path) -> Records:
    """What the file says of itself; nothing where it cannot be read, which is for its decoder to tell."""
    try:
        with open_regular(path) as opened:
            file: Any = opened
            head = file.read(12)
            if head.startswith(b"\xff\xd8"):
                return _of_jpeg(file)
            if head.startswith(b"\x89PNG\r\n\x1a\n"):
                return _of_png(file.raw)
            if head[:4] == b"RIFF" and head[8:] == b"WEBP":
                return _of_webp(file)
            if head[:4] in (b"II*\0", b"MM\0*"):
                return _of_tiff(file)
    except (OSError, struct.error, ValueError, zlib.error):
        pass
    return Records()


def read_orientation(path: Path) -> int:
    """The Exif orientation, 1 to 8; 1 where the file says nothing valid."""
    return read_records(path).orientation


def is_heif(path: Path) -> bool:
    """Whether a file is of the kind that phones write as HEIC, or is an AVIF."""
    try:
        with open_regular(path) as file:
            head = file.read(12)
    except OSError:
        return False
    return head[4:8] == b"ftyp" and head[8:11] in (b"hei", b"hev", b"mif", b"msf", b"avi")


def is_one_bit_tiff(path: Path) -> bool:
    """Whether a file is an uncompressed TIFF that stores one bit for each pixel. Without the tags, it is that."""
    return _short_of_tiff(path, _BITS, 1) == _short_of_tiff(path, _COMPRESSION, 1) == (1, 1)


def is_float_color_tiff(path: Path) -> bool:
    """Whether a file is a TIFF of floating-point colors."""
    count, value = _short_of_tiff(path, _SAMPLE_FORMAT, 1) or (0, 0)
    return count >= 3 and value == _FLOAT


def _short_of_tiff(path: Path, tag: int, default: int) -> tuple[int, int] | None:
    """How many 16-bit values a tag holds, and the first of them; None where the file is not a TIFF."""
    try:
        with open_regular(path) as opened:
            file: Any = opened
            mark = file.read(4)
            if mark not in (b"II*\0", b"MM\0*"):
                return None
            file.seek(0)
            order = "<" if mark[:2] == b"II" else ">"
            _, count, value = _tags(file).get(tag, (3, 1, struct.pack(order + "HH", default, 0)))
            if count > 2:
                file.seek(struct.unpack(order + "I", value)[0])
                value = file.read(2)
            return count, struct.unpack_from(order + "H", value)[0]
    except (OSError, struct.error, ValueError):
        return None


def _of_jpeg(file: BinaryIO) -> Records:
    orientation, parts = None, {}
    for marker, content in _segments(file):
        if marker == 0xE1 and content.startswith(b"Exif\0") and orientation is None:
            orientation = _in_exif(content[6:])
        if marker == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
            parts[content[12]] = content[14:]
    return Records(orientation or 1, b"".join(parts[number] for number in sorted(parts)))


def _segments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Marker and content of what comes before the picture."""
    file.seek(2)
    for _ in range(_MOST_PARTS):
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte or byte[0] in (0xD9, 0xDA):
            return
        length = file.read(2)
        if len(length) < 2:
            return
        count = int.from_bytes(length, "big") - 2
        if byte[0] in (0xE1, 0xE2):
            yield byte[0], file.read(max(count, 0))
        else:
            file.seek(max(count, 0), 1)


def _of_png(file: Any) -> Records:
    """Unbuffered: a picture may come in thousands of chunks, none of which is to be read."""
    orientation, profile = None, b""
    file.seek(8)
    for _ in range(_MOST_PARTS):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            break
        count = int.from_bytes(head[:4], "big")
        if head[4:] in (b"eXIf", b"iCCP") and count <= _MOST_BYTES:
            content = file.read(count)
            if head[4:] == b"eXIf":
                orientation = orientation or _in_exif(content)
            else:
                _, _, packed = content.partition(b"\0")
                profile = zlib.decompressobj().decompress(packed[1:], _MOST_BYTES)
            count = 0
        file.seek(count + 4, 1)
    return Records(orientation or 1, profile)


def _of_webp(file: BinaryIO) -> Records:
    orientation, profile = None, b""
    for _ in range(_MOST_PARTS):
        head = file.read(8)
        if len(head) < 8:
            break
        count = int.from_bytes(head[4:], "little")
        skipped = count + count % 2
        if head[:4] in (b"EXIF", b"ICCP") and count <= _MOST_BYTES:
            content = file.read(count)
            skipped = count % 2
            if head[:4] == b"ICCP":
                profile = content
            else:
                orientation = _in_exif(content.removeprefix(b"Exif\0\0"))
        file.seek(skipped, 1)
    return Records(orientation or 1, profile)


def _of_tiff(file: BinaryIO) -> Records:
    file.seek(0)
    tags = _tags(file)
    orientation = tags.get(_ORIENTATION, (0, 0, b""))
    _, count, value = tags.get(_PROFILE, (0, 0, b""))
    profile = b""
    if 4 < count <= _MOST_BYTES:
        file.seek(0)
        order = "<" if file.read(2) == b"II" else ">"
        file.seek(struct.unpack(order + "I", value)[0])
        profile = file.read(count)
    file.seek(0)
    return Records(_valid(orientation, file.read(2)) or 1, profile)


def _in_exif(content: bytes) -> int | None:
    """The orientation in the first directory of an Exif record, None where there is no valid one."""
    if content[:2] not in (b"II", b"MM"):
        return None
    try:
        tags = _tags(BytesIO(content))
    except struct.error:
        return None
    return _valid(tags.get(_ORIENTATION, (0, 0, b"")), content[:2])


def _tags(file: BinaryIO) -> dict[int, tuple[int, int, bytes]]:
    """Type, count and the four bytes of each tag in the first directory; those before a file that is cut short."""
    order = "<" if file.read(2) == b"II" else ">"
    _, start = struct.unpack(order + "HI", file.read(6))
    file.seek(start)
    (count,) = struct.unpack(order + "H", file.read(2))
    found: dict[int, tuple[int, int, bytes]] = {}
    for _ in range(count):
        entry = file.read(12)
        if len(entry) < 12:
            break
        tag, kind, number, value = struct.unpack(order + "HHI4s", entry)
        found.setdefault(tag, (kind, number, value))
    return found


def _valid(tag: tuple[int, int, bytes], order: bytes) -> int | None:
    kind, _, value = tag
    formats = {1: "B", 3: "H", 4: "I"}
    if kind not in formats:
        return None
    (number,) = struct.unpack_from(("<" if order == b"II" else ">") + formats[kind], value)
    return number if 1 <= number <= 8 else None
