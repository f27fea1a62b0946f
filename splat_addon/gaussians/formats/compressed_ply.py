"""Compressed splat PLYs as SuperSplat and splat-transform write them: quantized within chunks of 256 gaussians.

Elements: `chunk` with the bounds of position, log-scale and (in newer files) color; `vertex` with four packed
numbers; `sh` (optional) with one byte per higher coefficient, all of red first, then green, then blue.
"""

from collections.abc import Iterator

import numpy as np

from ...errors import SplatFileError
from ..cloud import GaussianCloud
from ..harmonics import MAX_DEGREE, coefficient_count, color_to_sh
from .ply import PlyFile, as_matrix

CHUNK = 256
_BOUNDED = ("{}_{}", "{}_scale_{}")  # "min_x", "max_scale_z", …
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_SH_RANGE = 8.0  # coefficients lie within -4..4
_SMALLEST_OPACITY = 1e-6


def is_compressed(file: PlyFile) -> bool:
    """Whether the header is that of a compressed splat file."""
    vertices = file.element("vertex")
    return file.element("chunk") is not None and vertices is not None and set(_PACKED) <= set(vertices.names)


def check(file: PlyFile) -> None:
    """Raise SplatFileError when a column is missing or of another type, or when there are fewer records than needed."""
    chunks, vertices = file.require("chunk"), file.require("vertex")
    bounds = {form.format(side, axis) for form in _BOUNDED for side in ("min", "max") for axis in "xyz"}
    colors = {f"{side}_{channel}" for side in ("min", "max") for channel in "rgb"}
    if colors & set(chunks.names):  # older files have no bounds of color
        bounds |= colors
    if missing := sorted(bounds - set(chunks.names)):
        raise _wrong(file, f"lacks the bounds {', '.join(missing[:4])}")
    for name in _PACKED:
        kind = vertices.kind_of(name)
        if kind.kind not in "iu" or kind.itemsize != 4:
            raise _wrong(file, f"has a {name} that is not a number of 32 bits")
    if chunks.count * CHUNK < vertices.count:
        raise _wrong(file, f"has bounds for {chunks.count * CHUNK} of {vertices.count} splats")
    if file.element("sh") is None:
        return
    harmonics = file.require("sh")
    if harmonics.count != vertices.count:
        raise _wrong(file, f"has harmonics for {harmonics.count} of {vertices.count} splats")
    if len(harmonics.names) % 3 or any(harmonics.kind_of(name).str != "|u1" for name in harmonics.names):
        raise _wrong(file, f"has {len(harmonics.names)} columns of harmonics that are not three channels of bytes")


def _wrong(file: PlyFile, what: str) -> SplatFileError:
    return SplatFileError(f"{file.path.name} {what}.", "Export it again.")


def rest_count(file: PlyFile) -> int:
    """Higher coefficients per color channel."""
    harmonics = file.element("sh")
    return len(harmonics.names) // 3 if harmonics is not None else 0


def blocks(file: PlyFile, rest: int, blend_space: str) -> Iterator[GaussianCloud]:
    """The gaussians in the order of a file that was checked, `rest` higher coefficients each. Raises SplatFileError
    when it is cut short."""
    bounds = file.read("chunk")
    chunks = {name: bounds[name].astype(np.float64) for name in bounds.dtype.names or ()}
    harmonics = file.blocks("sh") if rest else None
    done = 0
    for block in file.blocks("vertex"):
        which = (done + np.arange(len(block))) // CHUNK
        done += len(block)
        stored = next(harmonics, None) if harmonics is not None else None
        sh = np.zeros((len(block), 0, 3)) if stored is None else _harmonics(as_matrix(stored), rest)
        with np.errstate(over="ignore", invalid="ignore"):  # absurd bounds: such splats are not finite
            cloud = _unpacked_cloud(block, chunks, which, sh, blend_space)
        yield cloud


def _unpacked_cloud(
    block: np.ndarray, chunks: dict[str, np.ndarray], which: np.ndarray, sh: np.ndarray, blend_space: str
) -> GaussianCloud:
    """One block of gaussians; `which` (N,) are their chunks, `sh` (N, K - 1, 3) their higher coefficients."""
    color = _unpacked(block["packed_color"], (8, 8, 8, 8))
    opacity = np.clip(color[:, 3], _SMALLEST_OPACITY, 1 - _SMALLEST_OPACITY)
    base = color_to_sh(_within(chunks, "rgb", "{}_{}", which, color[:, :3]))
    return GaussianCloud(
        means=_within(chunks, "xyz", "{}_{}", which, _unpacked(block["packed_position"], (11, 10, 11))),
        log_scales=_within(chunks, "xyz", "{}_scale_{}", which, _unpacked(block["packed_scale"], (11, 10, 11))),
        quaternions=_quaternions(block["packed_rotation"].astype(np.uint32)),
        logit_opacities=np.log(opacity / (1 - opacity)),
        sh=np.concatenate([base[:, None, :], sh], axis=1),
        blend_space=blend_space,
    )


def _unpacked(packed: np.ndarray, bits: tuple[int, ...]) -> np.ndarray:
    """The parts of 32-bit numbers, the highest bits first, each as 0..1: (N, parts)."""
    packed = packed.astype(np.uint32, copy=False)
    parts, shift = [], 32
    for width in bits:
        shift -= width
        parts.append(((packed >> np.uint32(shift)) & np.uint32((1 << width) - 1)) / ((1 << width) - 1))
    return np.stack(parts, axis=1)


def _within(chunks: dict[str, np.ndarray], axes: str, form: str, which: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """0..1 as a place between the bounds of each gaussian's chunk; older files have no bounds of color."""
    if form.format("min", axes[0]) not in chunks:
        return unit
    low, high = (np.stack([chunks[form.format(side, axis)][which] for axis in axes], axis=1) for side in ("min", "max"))
    return low + unit * (high - low)


def _quaternions(packed: np.ndarray) -> np.ndarray:
    """(N, 4) w, x, y, z: three components of 10 bits in ±1/√2, and which of the four, the largest, is left out."""
    largest = (packed >> np.uint32(30)).astype(int)
    rest = (_unpacked(packed << np.uint32(2), (10, 10, 10, 2))[:, :3] - 0.5) * np.sqrt(2.0)
    missing = np.sqrt(np.maximum(0.0, 1.0 - np.sum(rest * rest, axis=1)))
    quaternions = np.empty((len(packed), 4))
    for place in range(4):
        rows = largest == place
        others = [index for index in range(4) if index != place]
        quaternions[np.ix_(rows, others)] = rest[rows]
        quaternions[rows, place] = missing[rows]
    return quaternions


def _harmonics(stored: np.ndarray, rest: int) -> np.ndarray:
    """(N, K - 1, 3) of bytes; 0 and 255 are the ends of the range, others the middles of their steps."""
    unit = np.where(stored == 0, 0.0, np.where(stored == 255, 1.0, (stored + 0.5) / 256.0))
    kept = min(rest, coefficient_count(MAX_DEGREE) - 1)
    return ((unit - 0.5) * _SH_RANGE).reshape(len(stored), 3, rest)[:, :, :kept].transpose(0, 2, 1)
