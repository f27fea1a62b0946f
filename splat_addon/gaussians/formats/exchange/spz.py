"""SPZ, Niantic's compressed splats (nianticlabs/spz): versions 2, 3 and 4 are read, 3 and 4 written.

Versions 2 and 3 are one gzip stream: a header of 16 bytes, then each attribute for all points. Version 4 is a header of
32 bytes, extension records, and one Zstandard frame per attribute. The frames that are written hold their bytes
uncompressed, which every reader takes and which needs no library.
"""

import importlib
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import SplatFileError
from ...cloud import GaussianCloud
from ...harmonics import MAX_DEGREE, coefficient_count
from ...transform import STORED, Y_DOWN, Y_UP, Z_UP
from ..splat_file import (
    Header,
    Reading,
    Settings,
    SplatFile,
    SplatPart,
    broken,
    file_bytes,
    gathered,
    kept_degree,
    logits_of,
    losses_of,
    save_bytes,
)
from .packing import as_bytes, from_smallest_three, rounded, smallest_three

NAME, TITLE, EXTENSIONS = "spz", "SPZ", (".spz",)
READ_AXES, WRITE_AXES = Y_UP, Y_UP  # by its specification right, up, back

_MAGIC, _GZIP = b"NGSP", b"\x1f\x8b"
_HEAD = struct.Struct("<4sIIBBBB")
_HIGHEST_DEGREE = 4
_ANTIALIASED, _HAS_EXTENSIONS = 1, 2
_MOST_BITS = 24
_AXES_RECORD = 0xADBE0003  # of Adobe: where the axes of the stored numbers point
_AXES = {4: Y_UP, 6: Y_DOWN, 12: Z_UP}  # right-up-back, right-down-front, right-front-up
_BLOCK = 1 << 13
_BASE_SCALE = np.float32(np.float32(0.15) * np.float32(255))


def recognizes(start: bytes, path: Path) -> bool:
    """Those of version 4 by their own first bytes; a gzip stream of a file called so holds nothing else."""
    if start.startswith(_GZIP):
        try:
            return zlib.decompressobj(31).decompress(start, 4) == _MAGIC
        except zlib.error:
            return path.suffix.lower() in EXTENSIONS
    return start.startswith(_MAGIC)


@dataclass(frozen=True)
class _Content:
    version: int
    count: int
    degree: int
    bits: int  # of a position's fraction
    flags: int
    streams: list[bytes | memoryview]  # positions, alphas, colors, scales, rotations, harmonics
    records: bytes


def open_file(path: Path, reading: Reading) -> SplatFile:
    """Read and check all streams; numbers are decoded block by block."""
    return opened(path, file_bytes(path))


def opened(path: Path, data: bytes) -> SplatFile:
    """What the bytes of a file, or of a part of one, hold."""
    content = _content(path, data)
    degree, notes = kept_degree(content.degree)
    header = Header(content.count, degree, antialiased=bool(content.flags & _ANTIALIASED))
    axes, more = _recorded_axes(content)
    part = SplatPart(header, lambda: _blocks(content, header))
    return SplatFile(path, NAME, (part,), axes, (*notes, *more))


def _content(path: Path, data: bytes) -> _Content:
    is_packed = data.startswith(_GZIP)
    inflater = zlib.decompressobj(31)
    try:
        head = inflater.decompress(data, _HEAD.size) if is_packed else data[: _HEAD.size]
        if len(head) < _HEAD.size:
            raise broken(path, "holds no whole header")
        magic, version, count, degree, bits, flags, last = _HEAD.unpack(head)
        if magic != _MAGIC:
            raise SplatFileError(f"{path.name} is not an SPZ file.", "Choose a splat file.")
        if version not in (2, 3, 4) or (version == 4 and is_packed):
            raise SplatFileError(
                f"{path.name} is SPZ of version {version}; 2, 3 and 4 are known.", "Export it as version 3."
            )
        if degree > _HIGHEST_DEGREE or bits > _MOST_BITS:
            raise broken(path, "has a header of impossible numbers")
        rest = 3 * (coefficient_count(degree) - 1)
        sizes = [9 * count, count, 3 * count, 3 * count, (3 if version == 2 else 4) * count, rest * count]
        if version == 4:
            frames, records = _frames(path, data, last, sizes, flags)
            return _Content(version, count, degree, bits, flags, frames, records)
        total = sum(sizes)
        if is_packed:
            body = inflater.decompress(inflater.unconsumed_tail, total) if total else b""
            records = inflater.decompress(inflater.unconsumed_tail, 1 << 16)
            if len(body) == total and not inflater.eof and not inflater.unconsumed_tail:
                raise broken(path, "ends too early")
        else:
            body, records = data[_HEAD.size : _HEAD.size + total], data[_HEAD.size + total :]
    except zlib.error as error:
        raise broken(path, "cannot be decompressed") from error
    if len(body) < total:
        raise broken(path, f"announces {count} splats but is too short for them")
    ends = np.cumsum([0, *sizes])
    view = memoryview(body)
    streams: list[bytes | memoryview] = [view[start:end] for start, end in pairwise(ends)]
    return _Content(version, count, degree, bits, flags, streams, records if flags & _HAS_EXTENSIONS else b"")


def _frames(
    path: Path, data: bytes, number: int, sizes: list[int], flags: int
) -> tuple[list[bytes | memoryview], bytes]:
    """The decompressed streams of version 4, and its extension records."""
    wanted = sizes[: 5 if sizes[5] == 0 and number == 5 else 6]
    table = struct.unpack_from("<I", data, 16)[0] if len(data) >= 32 else 0
    at = table + 16 * number
    if table < 32 or number != len(wanted) or at > len(data):
        raise SplatFileError(
            f"{path.name} is not laid out as SPZ of version 4 is.",
            "Some older programs wrote another layout: export it as version 3.",
        )
    streams: list[bytes | memoryview] = []
    decompress = None
    for place, size in enumerate(wanted):
        packed, announced = struct.unpack_from("<QQ", data, table + 16 * place)
        if announced != size or at + packed > len(data):
            raise broken(path, "has streams of other sizes than its splats need")
        frame = data[at : at + packed]
        at += packed
        stored = _stored_content(frame, size)
        if stored is None:
            decompress = decompress or _zstandard(path)
            stored = decompress(frame, size) if size else b""
        if stored is None or len(stored) != size:
            raise broken(path, "cannot be decompressed")
        streams.append(stored)
    return [*streams, *[b""] * (6 - len(streams))], data[32:table] if flags & _HAS_EXTENSIONS else b""


def _recorded_axes(content: _Content) -> tuple[str, tuple[str, ...]]:
    """Where the axes point by an extension record, else by the specification; and a sentence about what is unknown."""
    at = 0
    while at + 8 <= len(content.records):
        kind, size = struct.unpack_from("<II", content.records, at)
        if kind == _AXES_RECORD and size == 4 and at + 12 <= len(content.records):
            (value,) = struct.unpack_from("<I", content.records, at + 8)
            if value in _AXES:
                return _AXES[value], ()
            if value:
                return STORED, (f"The file's axes (number {value} of SPZ's list) are not known here: set Axes.",)
        at += 8 + size
    return READ_AXES, ()


def _blocks(content: _Content, header: Header) -> Iterator[GaussianCloud]:
    place, alpha, color, scale, turn, rest = (np.frombuffer(stream, np.uint8) for stream in content.streams)
    stored = coefficient_count(content.degree) - 1
    kept = coefficient_count(header.sh_degree) - 1
    logits = logits_of(np.arange(256) / 255).astype(np.float32)
    bases = ((np.arange(256) / 255 - 0.5) / 0.15).astype(np.float32)
    for start in range(0, content.count, _BLOCK):
        end = min(start + _BLOCK, content.count)
        bytes_ = place[9 * start : 9 * end].reshape(-1, 3, 3)
        words = np.zeros((end - start, 3, 4), np.uint8)
        words[:, :, 1:] = bytes_  # the sign is in the highest byte
        means = (words.view("<i4")[:, :, 0] >> 8) / np.float64(1 << content.bits)
        sh = np.empty((end - start, kept + 1, 3), np.float32)
        sh[:, 0] = bases[color[3 * start : 3 * end].reshape(-1, 3)]
        if kept:
            higher = rest[3 * stored * start : 3 * stored * end].reshape(-1, stored, 3)[:, :kept]
            np.subtract(higher, np.float32(128), out=sh[:, 1:])
            sh[:, 1:] *= np.float32(1 / 128)
        size = len(turn) // content.count
        yield GaussianCloud(
            means=means,
            log_scales=scale[3 * start : 3 * end].reshape(-1, 3) * np.float32(1 / 16) - np.float32(10),
            quaternions=_quaternions(turn[size * start : size * end].reshape(-1, size)),
            logit_opacities=logits[alpha[start:end]],
            sh=sh,
            antialiased=header.antialiased,
        )


def _quaternions(stored: np.ndarray) -> np.ndarray:
    """(N, 4) w, x, y, z. Three bytes: x, y, z. Four: the largest of x, y, z, w left out, the others with a sign and
    nine bits each."""
    if stored.shape[1] == 3:
        xyz = stored * np.float32(1 / 127.5) - np.float32(1)
        w = np.sqrt(np.maximum(0, 1 - np.einsum("ni,ni->n", xyz, xyz)))
        return np.concatenate([w[:, None], xyz], axis=1)
    words = np.ascontiguousarray(stored).view("<u4").astype(np.uint32)
    fields = (words >> np.array([20, 10, 0], np.uint32)) & np.uint32(1023)
    sizes = (fields & np.uint32(511)).astype(np.float32) * np.float32(np.sqrt(0.5) / 511)
    xyzw = from_smallest_three((words[:, 0] >> np.uint32(30)).astype(np.intp), np.where(fields & 512, -sizes, sizes))
    return xyzw[:, [3, 0, 1, 2]]


def losses(header: Header, settings: Settings) -> list[str]:
    """What SPZ cannot hold."""
    found = ["Precision is lost: sizes to 3 %, colors and opacities to 8 bits."]
    if min(settings.sh_bits) < 8 and header.sh_degree:
        found.append(f"Harmonics keep {settings.sh_bits[0]} and {settings.sh_bits[1]} of 8 bits.")
    return [*found, *losses_of(header, MAX_DEGREE, has_flag=True)]


def write(path: Path, header: Header, blocks: Iterable[GaussianCloud], settings: Settings) -> None:
    """Write version 3 or 4. Raises SplatFileError."""
    cloud = gathered(header, blocks)
    head, streams = encoded(cloud, settings.spz_version, settings.sh_bits)
    if settings.spz_version < 4:
        save_bytes(path, _gzipped([head, *streams]))
        return
    record = b""
    for value, axes in _AXES.items():
        if axes == settings.axes:
            record = struct.pack("<III", _AXES_RECORD, 4, value)
    streams = [stream for stream in streams if len(stream)]
    frames = [_stored_frame(stream) for stream in streams]
    table = b"".join(struct.pack("<QQ", sum(map(len, frame)), len(stream)) for frame, stream in zip(frames, streams))
    flags = head[14] | (_HAS_EXTENSIONS if record else 0)
    head = head[:14] + struct.pack("<BBI12x", flags, len(streams), 32 + len(record))
    save_bytes(path, [head, record, table, *(part for frame in frames for part in frame)])


def encoded(
    cloud: GaussianCloud, version: int = 3, sh_bits: tuple[int, int] = (8, 8), bits: int | None = None
) -> tuple[bytes, list[bytes]]:
    """The header of 16 bytes and the six streams, in the arithmetic of the reference (32 bits). `bits` of a position's
    fraction: unless given, as many as the farthest splat leaves, at most 16."""
    f, count, rest = np.float32, len(cloud), cloud.sh.shape[1] - 1
    farthest = float(np.abs(cloud.means).max()) if count else 0.0
    if bits is None:
        bits = int(np.clip(np.floor(22.9 - np.log2(max(farthest, 1e-9))), 0, 16))
    if farthest * (1 << bits) >= 1 << 23:
        raise SplatFileError(
            f"Splats lie {farthest:.3g} units from the origin, and SPZ reaches {(1 << 23 - bits):.3g}.",
            "Move them to the origin, or choose another format.",
        )
    step = np.array([1 << 8 - sh_bits[0]] * 3 + [1 << 8 - sh_bits[1]] * 21)[:rest, None].astype(np.int32)
    streams: list[list[bytes]] = [[] for _ in range(6)]
    for start in range(0, count, _BLOCK):
        block = cloud.select(slice(start, start + _BLOCK))
        fixed = rounded(block.means * f(1 << bits)).astype("<i4")
        with np.errstate(over="ignore"):
            alpha = as_bytes(f(255) / (1 + np.exp(-block.logit_opacities)))
        higher = (rounded(block.sh[:, 1:] * f(128)) + f(128)).clip(-1e6, 1e6).astype(np.int32)
        if min(sh_bits) < 8:
            higher += step // 2
            higher = np.where(higher >= 0, higher // step, -(-higher // step)) * step
        parts = [
            fixed.view(np.uint8).reshape(-1, 3, 4)[:, :, :3],
            alpha,
            as_bytes(block.sh[:, 0] * _BASE_SCALE + f(127.5)),
            as_bytes((block.log_scales + f(10)) * f(16)),
            _packed_quaternions(block.rotations, version),
            higher.clip(0, 255).astype(np.uint8),
        ]
        for stream, part in zip(streams, parts):
            stream.append(part.tobytes())
    flags = _ANTIALIASED if cloud.antialiased else 0
    return _HEAD.pack(_MAGIC, version, count, cloud.sh_degree, bits, flags, 0), [b"".join(s) for s in streams]


def _packed_quaternions(unit: np.ndarray, version: int) -> np.ndarray:
    if version == 2:
        signs = np.where(unit[:, :1] < 0, np.float32(-127.5), np.float32(127.5))
        return as_bytes(unit[:, 1:] * signs + np.float32(127.5))
    largest, others = smallest_three(unit[:, [1, 2, 3, 0]])
    sizes = np.floor(511 * (np.abs(others).astype(np.float64) / np.sqrt(0.5)) + 0.5).astype(np.uint32)
    fields = np.minimum(sizes, 511) | np.signbit(others).astype(np.uint32) << np.uint32(9)
    word = largest.astype(np.uint32) << np.uint32(30)
    for place in range(3):
        word |= fields[:, place] << np.uint32(20 - 10 * place)
    return word.astype("<u4")


def _gzipped(parts: list[bytes]) -> Iterator[bytes]:
    """One gzip stream, compressed by all processors: pieces that end on whole bytes make one stream (as pigz does)."""
    piece = 1 << 20
    pieces = [memoryview(part)[at : at + piece] for part in parts for at in range(0, len(part), piece)]
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)

    def deflated(number: int) -> bytes:
        packer = zlib.compressobj(3, zlib.DEFLATED, -15)
        is_last = number == len(pieces) - 1
        return packer.compress(pieces[number]) + packer.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH)

    yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from pool.map(deflated, range(len(pieces)))
    yield struct.pack("<II", checksum, sum(map(len, parts)) & 0xFFFFFFFF)


_FRAME = b"\x28\xb5\x2f\xfd\xc0\x38"  # content size in 8 bytes, a window of 128 KiB
_RAW_BLOCK = 1 << 17
_LARGEST_WINDOW = 1 << 27


def _stored_frame(data: bytes) -> list[bytes | memoryview]:
    """A Zstandard frame (RFC 8878) that holds `data` as it is."""
    frame: list[bytes | memoryview] = [_FRAME, struct.pack("<Q", len(data))]
    for at in range(0, len(data), _RAW_BLOCK):
        block = memoryview(data)[at : at + _RAW_BLOCK]
        frame += [struct.pack("<I", len(block) << 3 | (at + _RAW_BLOCK >= len(data)))[:3], block]
    return frame


def _stored_content(frame: bytes, size: int) -> bytes | None:
    """What a frame holds that was written as above; None for any other."""
    if not frame.startswith(_FRAME) or len(frame) < 14:
        return None
    at, blocks, is_last = 14, [], False
    while not is_last and at + 3 <= len(frame):
        head = int.from_bytes(frame[at : at + 3], "little")
        is_last, kind, length = bool(head & 1), head >> 1 & 3, head >> 3
        if kind or at + 3 + length > len(frame):
            return None
        blocks.append(memoryview(frame)[at + 3 : at + 3 + length])
        at += 3 + length
    return b"".join(blocks) if is_last and sum(map(len, blocks)) == size else None


def _zstandard(path: Path) -> Callable[[bytes, int], bytes | None]:
    """What decompresses a frame whose size is known; None for one that is broken. Blender brings a library for it."""
    for name, decompress in (("zstandard", _by_zstandard), ("compression.zstd", _by_compression)):
        try:
            return partial(decompress, importlib.import_module(name))
        except ImportError:
            continue
    raise SplatFileError(
        f"{path.name} is SPZ of version 4, which this Python cannot decompress.",
        "Convert it in Blender (blender --command splat convert), or export it as version 3.",
    )


def _by_zstandard(library: Any, frame: bytes, size: int) -> bytes | None:
    try:
        return library.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).stream_reader(frame).read(size)
    except (library.ZstdError, MemoryError):
        return None


def _by_compression(library: Any, frame: bytes, size: int) -> bytes | None:
    """Python 3.14 and newer."""
    try:
        return library.ZstdDecompressor().decompress(frame, size)
    except (library.ZstdError, MemoryError):
        return None
