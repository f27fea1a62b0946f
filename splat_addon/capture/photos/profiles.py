"""Embedded color profiles: from a camera's or a phone's RGB to sRGB, which everything here computes in.

ICC.1:2022: what a matrix and a tone curve per channel describe (Display P3, Adobe RGB, ProPhoto, cameras' own), and
gray with one curve. Profiles of tables are not understood; their photos are used as they are, with a sentence.
"""

import struct
from dataclasses import dataclass

import numpy as np

from ...gaussians.srgb import encode_srgb

# sRGB's own columns (XYZ of its primaries, adapted to D50), IEC 61966-2-1
_XYZ_FROM_SRGB = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
_STEPS = 1 << 14  # of linear light that are told apart when encoding
_ENCODED = np.rint(encode_srgb(np.linspace(0, 1, _STEPS + 1)) * 255).astype(np.uint8)
_SAME = 1.0  # of 255: a profile that moves no color farther is sRGB

CONVERTED = "carry a color profile other than sRGB and were converted to sRGB"
NOT_UNDERSTOOD = "carry a color profile that is not understood, and are used as if they were sRGB"


@dataclass(frozen=True)
class Profile:
    """`curves` (256, C) take bytes to linear light, C is 1 (gray) or 3; `srgb_from_linear` is (3, 3)."""

    curves: np.ndarray
    srgb_from_linear: np.ndarray

    def to_srgb(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, 3 or 4) bytes in sRGB; alpha stays."""
        result = pixels.copy()
        if self.curves.shape[1] == 1:
            result[..., :3] = _encoded(self.curves[:, 0])[pixels[..., :3]]
            return result
        linear = np.stack([self.curves[:, channel][pixels[..., channel]] for channel in range(3)], axis=-1)
        result[..., :3] = _encoded(linear @ self.srgb_from_linear.T)
        return result

    def is_srgb(self) -> bool:
        """Whether it leaves all colors where they are."""
        levels = np.arange(0, 256, 51, dtype=np.uint8)
        colors = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
        if self.curves.shape[1] == 1:
            colors = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
        return float(np.abs(self.to_srgb(colors).astype(int) - colors).max()) <= _SAME


def read_profile(content: bytes) -> Profile | None:
    """What an ICC profile says; None where it is not of a kind that is understood."""
    try:
        tags = _tags(content)
        if content[16:20] == b"GRAY" and "kTRC" in tags:
            return Profile(_curve(tags["kTRC"])[:, None], np.eye(3))
        if content[16:20] != b"RGB " or content[20:24] != b"XYZ ":
            return None
        columns = [np.array(struct.unpack_from(">3i", tags[name], 8)) / 65536 for name in ("rXYZ", "gXYZ", "bXYZ")]
        curves = np.stack([_curve(tags[name]) for name in ("rTRC", "gTRC", "bTRC")], axis=1)
    except (KeyError, IndexError, ValueError, struct.error):
        return None
    if not np.isfinite(curves).all():
        return None
    return Profile(curves, (np.linalg.inv(_XYZ_FROM_SRGB) @ np.stack(columns, axis=1)).astype(np.float32))


def _tags(content: bytes) -> dict[str, bytes]:
    (count,) = struct.unpack_from(">I", content, 128)
    tags = {}
    for number in range(min(count, 100)):
        name, start, length = struct.unpack_from(">4sII", content, 132 + 12 * number)
        tags[name.decode("latin-1")] = content[start : start + length]
    return tags


def _curve(tag: bytes) -> np.ndarray:
    """(256,) linear light of each byte."""
    x = np.arange(256) / 255
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return x.astype(np.float32)
        values = np.frombuffer(tag, ">u2", count, 12)
        if count == 1:
            return (x ** (values[0] / 256)).astype(np.float32)
        return np.interp(x, np.linspace(0, 1, count), values / 65535).astype(np.float32)
    if tag[:4] != b"para":
        raise ValueError("not a curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    counts = (1, 3, 4, 5, 7)
    g, a, b, c, d, e, f = [*(np.array(struct.unpack_from(f">{counts[kind]}i", tag, 12)) / 65536), *[0.0] * 7][:7]
    if kind == 0:
        return (x**g).astype(np.float32)
    if kind < 3:  # c is added throughout, and ends the curve where a x + b does
        return np.where(a * x + b >= 0, np.maximum(a * x + b, 0) ** g + c, c).astype(np.float32)
    return np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f).astype(np.float32)


def _encoded(linear: np.ndarray) -> np.ndarray:
    return _ENCODED[(np.clip(linear, 0, 1) * _STEPS + 0.5).astype(np.int32)]
