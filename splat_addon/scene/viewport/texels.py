"""What the viewport's shaders know about splats: attributes of data-blocks, packed as texels.

One splat is 4, 7, 10 or 15 RGBA texels (degree 0 to 3 of the harmonics): position and opacity; rotation; scale and a
spare place; base color; then the higher coefficients one after the other. The last of them, of degree 3, has no room
for its blue, which takes the spare place.
"""

import itertools
import zlib
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...gaussians.cloud import GaussianCloud
from ...gaussians.harmonics import coefficient_count
from ...gaussians.rules import near_plane_scale
from ..splats.contents import attributes as splat_attributes
from ..splats.data import BASE, FROM_FILE, HIGHER
from ..splats.hidden_points import HIDDEN

TEXELS = (4, 7, 10, 15)  # per splat, by degree
_FLOATS_BEFORE_HARMONICS = 16
_BLOCK = 8192  # rows that are packed at once: they stay in the processor's cache
_GROUP = 5  # harmonics that are read at once, which bounds the memory
_HIDING = (".hide_vert", ".hide_point", HIDDEN)  # what edit mode writes, and what the render look reads
_READABLE = {"FLOAT": np.float32, "INT": np.int32, "BOOLEAN": np.bool_}


@dataclass
class PackedSplats:
    """The splats of one data-block. `texels` is (rows, width, 4): whole splats to each row."""

    positions: np.ndarray  # (N, 3) object space, float32
    is_shown: np.ndarray | None  # (N,) False where hidden in edit mode; None when all are shown
    degree: int
    near_plane_scale: float = 1.0  # see `gaussians/rules.py`


class CloudSplats:
    """A cloud as the viewport reads it, without any data-block: it has the attributes that one would have."""

    _numbers = itertools.count(1)

    def __init__(self, cloud: GaussianCloud):
        self.blend_space, self.antialiased = cloud.blend_space, cloud.antialiased
        self.count = len(cloud)
        self.session_uid = -next(self._numbers)  # those of data-blocks are positive
        values = {
            "position": ("FLOAT_VECTOR", cloud.means),
            "scale": ("FLOAT_VECTOR", cloud.scales),
            "rotation": ("QUATERNION", cloud.rotations),
            BASE: ("FLOAT_COLOR", np.concatenate([cloud.sh[:, 0], cloud.opacities[:, None]], axis=1)),
        }
        values |= {f"{HIGHER}{k - 1}": ("FLOAT_VECTOR", cloud.sh[:, k]) for k in range(1, cloud.sh.shape[1])}
        self.attributes = {
            name: CloudAttribute(name, kind, np.ascontiguousarray(data, dtype=np.float32))
            for name, (kind, data) in values.items()
        }


@dataclass(frozen=True)
class CloudAttribute:
    """One attribute of `CloudSplats`; `data` is (N, width) float32."""

    name: str
    data_type: str
    data: np.ndarray
    domain: str = "POINT"


Splats = bpy.types.ID | CloudSplats


def count_of(data: Splats) -> int:
    """How many points a data-block has; 0 while a mesh is edited, since its points are elsewhere then."""
    attribute = _attributes(data).get("position")
    return len(attribute.data) if attribute is not None else 0


def degree_in(data: Splats) -> int:
    """The degree, 0 to 3, of the harmonics that are read; those that are missing in between count as 0."""
    return splat_attributes.degree_for(splat_attributes.harmonics_in(data)) if _attributes(data) else 0


def texture_shape(count: int, degree: int, largest: int) -> tuple[int, int, int]:
    """Splats per row, width and height in texels of the texture of `count` splats, no side longer than `largest`."""
    per_row = max(1, min(count, largest // TEXELS[degree]))
    return per_row, per_row * TEXELS[degree], max(1, -(-count // per_row))


def pack(data: Splats, numbers: np.ndarray, degree: int) -> PackedSplats:
    """Write the splats of `data` into `numbers` (N, 4 * TEXELS[degree]) float32; harmonics it lacks are zero."""
    count = len(numbers)
    positions = read(data, "position", 3)
    own_degree = degree_in(data)
    columns = [(0, positions), (4, read(data, "rotation", 4)), (8, read(data, "scale", 3))]
    base = read(data, BASE, 4)
    columns += [(3, base[:, 3:]), (12, base[:, :3])]
    _fill(numbers, columns)
    kept = coefficient_count(min(degree, own_degree)) - 1
    for first in range(0, kept, _GROUP):
        group = range(first, min(first + _GROUP, kept))
        _fill(numbers, [place for k in group for place in _harmonic_places(k, read(data, f"{HIGHER}{k}", 3))])
    if kept < coefficient_count(degree) - 1:
        numbers[:, _FLOATS_BEFORE_HARMONICS + 3 * kept :] = 0
        numbers[:, 11] = 0
    return PackedSplats(positions, _shown(data, count), own_degree, near_plane_scale(positions))


def _harmonic_places(k: int, values: np.ndarray) -> list[tuple[int, np.ndarray]]:
    first = _FLOATS_BEFORE_HARMONICS + 3 * k
    if k == 14:
        return [(first, values[:, :2]), (11, values[:, 2:])]
    return [(first, values)]


def _fill(numbers: np.ndarray, columns: list[tuple[int, np.ndarray]]) -> None:
    for start in range(0, len(numbers), _BLOCK):
        rows = slice(start, start + _BLOCK)
        block = numbers[rows]
        for first, values in columns:
            block[:, first : first + values.shape[1]] = values[rows]


def fingerprint(data: Splats) -> tuple[int, ...]:
    """Differs when the splats differ: undo and updates of other things, such as attributes that colors or selections
    come from, must not pack a million splats again."""
    names = ["position", "rotation", "scale", BASE, f"{HIGHER}0", *_HIDING]
    attributes = _attributes(data)
    found = [_checksum(read(data, name, 1)) for name in names if name in attributes]
    harmonics = splat_attributes.harmonics_in(data) if attributes else 0
    return (count_of(data), len(found), harmonics, *found)


def _checksum(values: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(values).ravel().view(np.uint8).data)


def float_attributes(data: Splats) -> list[str]:
    """Names of stored attributes that are one number per splat."""
    return sorted(
        attribute.name
        for attribute in _attributes(data).values()
        if attribute.domain == "POINT"
        and attribute.data_type in _READABLE
        and not attribute.name.startswith((".", FROM_FILE))
    )


def numbers_for_ramp(data: Splats, what: str, attribute_name: str) -> np.ndarray:
    """(N,) float32 that OPACITY, SIZE or ATTRIBUTE colors by; not a number where there is none.

    The size is the decimal logarithm of the largest sigma, since sizes differ by orders of magnitude.
    """
    count = count_of(data)
    if what == "OPACITY":
        return read(data, BASE, 4)[:, 3]
    if what == "SIZE":
        return np.log10(np.maximum(read(data, "scale", 3).max(axis=1, initial=0.0), 1e-12))
    if attribute_name in float_attributes(data):
        return read(data, attribute_name, 1).astype(np.float32)[:, 0]
    return np.full(count, np.nan, dtype=np.float32)


def ramp_range(values: np.ndarray, what: str) -> tuple[float, float]:
    """Which numbers the ends of the ramp stand for: 0 and 1 for opacities, else 1st and 99th percentile, so that a few
    outliers do not leave one color to all others."""
    if what == "OPACITY":
        return 0.0, 1.0
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = np.percentile(finite, (1, 99))
    if low == high:
        low, high = finite.min(), finite.max()
    return float(low), float(high)


def ramp_places(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """(N,) float32 places on the ramp, 0..1; -1 where there is no number."""
    with np.errstate(invalid="ignore"):
        places = np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0)
    return np.where(np.isfinite(values), places, -1.0).astype(np.float32)


def read(data: Splats, name: str, width: int) -> np.ndarray:
    """(N, width) values of an attribute; of what makes a splat, as far as it is there."""
    if isinstance(data, bpy.types.ID) and (name in ("scale", "rotation", BASE) or name.startswith(HIGHER)):
        return splat_attributes.read(data, name)
    attribute = _attributes(data).get(name)
    return np.zeros((0, width), np.float32) if attribute is None else _read(attribute).reshape(-1, width)


def _read(attribute: bpy.types.Attribute | CloudAttribute) -> np.ndarray:
    if isinstance(attribute, CloudAttribute):
        return attribute.data.reshape(-1)
    key, width = {
        "FLOAT_VECTOR": ("vector", 3),
        "FLOAT4": ("vector", 4),
        "FLOAT_COLOR": ("color", 4),
        "QUATERNION": ("value", 4),
    }.get(attribute.data_type, ("value", 1))
    values: np.ndarray = np.empty(len(attribute.data) * width, dtype=_READABLE.get(attribute.data_type, np.float32))
    attribute.data.foreach_get(key, values)
    return values


def _shown(data: Splats, count: int) -> np.ndarray | None:
    hidden = np.zeros(count, dtype=bool)
    for name in _HIDING:
        attribute = _attributes(data).get(name)
        if attribute is not None and attribute.data_type == "BOOLEAN" and len(attribute.data) == count:
            hidden |= _read(attribute)
    return ~hidden if hidden.any() else None


def _attributes(data: Splats) -> Any:
    return getattr(data, "attributes", {})
