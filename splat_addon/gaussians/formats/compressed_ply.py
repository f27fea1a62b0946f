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
_PACKED = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_SH_RANGE = 8.0  # coefficients lie within -4..4
_SMALLEST_OPACITY = 1e-6


def is_compressed(file: PlyFile) -> bool:
    """Whether the header is that of a compressed splat file."""
    vertices = file.element("vertex")
    return file.element("chunk") is not None and vertices is not None and set(_PACKED) <= set(vertices.names)


def rest_count(file: PlyFile) -> int:
    """Higher coefficients per color channel."""
    harmonics = file.element("sh")
    return len(harmonics.names) // 3 if harmonics is not None else 0


def blocks(file: PlyFile, rest: int, blend_space: str) -> Iterator[GaussianCloud]:
    """The gaussians in the order of the file, `rest` higher coefficients each. Raises SplatFileError when cut short."""
    bounds = file.read("chunk")
    chunks = {name: bounds[name].astype(np.float64) for name in bounds.dtype.names or ()}
    vertices = file.element("vertex")
    if vertices is not None and len(bounds) * CHUNK < vertices.count:
        raise SplatFileError(
            f"{file.path.name} has bounds for {len(bounds) * CHUNK} of {vertices.count} splats.", "Export it again."
        )
    harmonics = file.blocks("sh") if rest else None
    done = 0
    for block in file.blocks("vertex"):
        which = (done + np.arange(len(block))) // CHUNK
        done += len(block)
        sh = _harmonics(as_matrix(next(harmonics)), rest) if harmonics is not None else np.zeros((len(block), 0, 3))
        color = _unpacked(block["packed_color"], (8, 8, 8, 8))
        opacity = np.clip(color[:, 3], _SMALLEST_OPACITY, 1 - _SMALLEST_OPACITY)
        base = color_to_sh(_within(chunks, "rgb", "{}_{}", which, color[:, :3]))
        yield GaussianCloud(
            means=_within(chunks, "xyz", "{}_{}", which, _unpacked(block["packed_position"], (11, 10, 11))),
            log_scales=_within(chunks, "xyz", "{}_scale_{}", which, _unpacked(block["packed_scale"], (11, 10, 11))),
            quaternions=_quaternions(block["packed_rotation"]),
            logit_opacities=np.log(opacity / (1 - opacity)),
            sh=np.concatenate([base[:, None, :], sh], axis=1),
            blend_space=blend_space,
        )


def _unpacked(packed: np.ndarray, bits: tuple[int, ...]) -> np.ndarray:
    """The parts of 32-bit numbers, the highest bits first, each as 0..1: (N, parts)."""
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
