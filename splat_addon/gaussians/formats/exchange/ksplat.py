"""`.ksplat`, of GaussianSplats3D (mkkellogg): read only.

Sections of records in buckets, at three levels of compression. A header of 4096 bytes, one of 1024 for each section,
then the sections: the lengths of partly filled buckets, the centers of all buckets, records. Scales are linear;
harmonics come degree by degree, red, green, blue.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...cloud import GaussianCloud
from ...harmonics import coefficient_count, color_to_sh
from ...transform import Y_DOWN
from ..splat_file import Header, Reading, SplatFile, SplatPart, broken, file_bytes, logits_of, logs_of

NAME, TITLE, EXTENSIONS = "ksplat", ".ksplat", (".ksplat",)
READ_AXES = Y_DOWN

_HEADER, _SECTION = 4096, 1024
_BLOCK = 1 << 14


def recognizes(start: bytes, path: Path) -> bool:
    """Its mark is only a version, 0.1 and more: the name counts, too."""
    return path.suffix.lower() in EXTENSIONS and len(start) >= 2 and start[0] == 0 and start[1] >= 1


@dataclass(frozen=True)
class _Section:
    count: int
    degree: int
    bucket_size: int
    full_buckets: int
    lengths: np.ndarray  # of the buckets that are not full
    centers: np.ndarray  # (buckets, 3)
    step: float  # of positions, from level 1 on
    zero: int
    records: int  # where they begin, bytes


def open_file(path: Path, reading: Reading) -> SplatFile:
    """Read the headers and check them against the size."""
    data = file_bytes(path)
    if len(data) < _HEADER + _SECTION:
        raise broken(path, "is too short for its headers")
    most_sections, sections, _, count = struct.unpack_from("<4I", data, 4)
    (level,) = struct.unpack_from("<H", data, 20)
    low, high = struct.unpack_from("<2f", data, 36)
    if level > 2 or sections > most_sections or _HEADER + most_sections * _SECTION > len(data):
        raise broken(path, "has a header of impossible numbers")
    low, high = low or -1.5, high or 1.5
    found, at = [], _HEADER + most_sections * _SECTION
    for number in range(sections):
        section, at = _section(path, data, _HEADER + number * _SECTION, at, level)
        found.append(section)
    if sum(section.count for section in found) < count:
        raise broken(path, f"announces {count} splats but its sections hold fewer")
    degree = max((section.degree for section in found), default=0)
    header = Header(sum(section.count for section in found), degree)
    part = SplatPart(header, lambda: _blocks(data, found, level, degree, low, high))
    return SplatFile(path, NAME, (part,), READ_AXES)


def _record(level: int, degree: int) -> np.dtype:
    place, number, harmonic = (("<f4", "<f4", "<f4"), ("<u2", "<f2", "<f2"), ("<u2", "<f2", "u1"))[level]
    rest = 3 * (coefficient_count(degree) - 1)
    fields = [("mean", place, 3), ("scale", number, 3), ("rotation", number, 4), ("color", "u1", 4)]
    return np.dtype([*fields, ("rest", harmonic, rest)])


def _section(path: Path, data: bytes, head: int, at: int, level: int) -> tuple[_Section, int]:
    """What the header at `head` says of the section that begins at `at`, and where the next one begins."""
    count, most, bucket_size, buckets = struct.unpack_from("<4I", data, head)
    (block_size,) = struct.unpack_from("<f", data, head + 16)
    (stride,) = struct.unpack_from("<H", data, head + 20)
    (zero,) = struct.unpack_from("<I", data, head + 24)
    full, partial = struct.unpack_from("<2I", data, head + 32)
    (degree,) = struct.unpack_from("<H", data, head + 40)
    if degree > 2 or count > most:
        raise broken(path, "has a section of impossible numbers")
    has_buckets = level > 0
    lengths_size, centers_size = 4 * partial, stride * buckets
    records = at + lengths_size + centers_size
    end = records + most * _record(level, degree).itemsize
    if end > len(data) or (buckets and stride < 12) or (has_buckets and full + partial > buckets):
        raise broken(path, "is too short for the splats of a section")
    lengths = np.frombuffer(data, "<u4", partial, at).astype(np.int64)
    raw = np.frombuffer(data, np.uint8, centers_size, at + lengths_size).reshape(buckets, -1) if buckets else None
    centers = np.zeros((0, 3)) if raw is None else np.ascontiguousarray(raw[:, :12]).view("<f4").astype(np.float64)
    if has_buckets and full * bucket_size + int(lengths.sum()) < count:
        raise broken(path, "has splats that are in no bucket")
    zero = zero or 32767
    return _Section(count, degree, bucket_size, full, lengths, centers, block_size / 2 / zero, zero, records), end


def _blocks(
    data: bytes, sections: list[_Section], level: int, degree: int, low: float, high: float
) -> Iterator[GaussianCloud]:
    kept = coefficient_count(degree) - 1
    for section in sections:
        table = np.frombuffer(data, _record(level, section.degree), section.count, section.records)
        in_full = section.full_buckets * section.bucket_size
        ends = in_full + np.cumsum(section.lengths)
        for start in range(0, section.count, _BLOCK):
            records = table[start : start + _BLOCK]
            with np.errstate(over="ignore", invalid="ignore"):
                means = records["mean"].astype(np.float64)
                if level:
                    number = np.arange(start, start + len(records))
                    late = section.full_buckets + np.searchsorted(ends, number, side="right")
                    bucket = np.where(number < in_full, number // max(section.bucket_size, 1), late)
                    means = (means - section.zero) * section.step + section.centers[bucket]
                rest = records["rest"].astype(np.float32)
                if level == 2:
                    rest = np.float32(low) + rest * np.float32((high - low) / 255)
                sh = np.zeros((len(records), kept + 1, 3), np.float32)
                sh[:, 0] = color_to_sh(records["color"][:, :3] / np.float32(255))
                for each in range(1, section.degree + 1):
                    part = slice(coefficient_count(each - 1) - 1, coefficient_count(each) - 1)
                    channels = rest[:, 3 * part.start : 3 * part.stop].reshape(len(records), 3, -1)
                    sh[:, 1 + part.start : 1 + part.stop] = channels.transpose(0, 2, 1)
                yield GaussianCloud(
                    means=means,
                    log_scales=logs_of(records["scale"]),
                    quaternions=records["rotation"],
                    logit_opacities=logits_of(records["color"][:, 3] / np.float32(255)),
                    sh=sh,
                )
