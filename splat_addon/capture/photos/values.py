"""From what a decoder gives to display-encoded bytes: depth, gray, alpha."""

from dataclasses import dataclass

import numpy as np

BEYOND_WHITE = "hold values beyond white, which were clipped"
IN_BYTES = "hold floating-point values up to 255, which was taken as white"
IN_WORDS = "hold floating-point values up to 65535, which was taken as white"
NOT_FINITE = "hold values that are not finite, which became black"


@dataclass(frozen=True)
class Decoded:
    """A picture as its file stores it: (H, W) or (H, W, C), first row on top, not turned. C is 1 (gray), 2 (gray with
    alpha), 3 or 4 (with alpha); alpha is straight. Palettes, color keys and color models other than RGB are resolved.

    Of bool, 8 or 16 bits, or floating point, where 1 is white. `is_lossy`: compression has blurred edges (JPEG).
    """

    pixels: np.ndarray
    is_lossy: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]


def to_bytes(pixels: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Values of any depth as uint8 of the same shape, rounded to the nearest, and what is to be said about them.

    Floating-point values are display-encoded, as 8 bits are, and 1 is white; but where more than half of them lie
    beyond it, 255 or 65535 is. Raises ValueError, with the words that follow "holds", where white is not known.
    """
    if pixels.dtype == np.uint8:
        return pixels, []
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255, []
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8), []
    if not np.issubdtype(pixels.dtype, np.floating):
        low, high = (int(pixels.min()), int(pixels.max())) if pixels.size else (0, 0)
        if low < 0 or high > 65535:
            raise ValueError("values of 32 bits, whose black and white are not known")
        return to_bytes(pixels.astype(np.uint16))
    notes = []
    is_finite = np.isfinite(pixels)
    if not is_finite.all():
        pixels = np.where(is_finite, pixels, 0)
        notes.append(NOT_FINITE)
    colors = pixels if pixels.ndim < 3 else pixels[..., : 3 if pixels.shape[2] >= 3 else 1]
    white, highest = 1.0, float(colors.max(initial=0.0))
    if highest > 1 and float((colors > 1).mean()) > 0.5:
        white = 255.0 if highest <= 255 else 65535.0
        if highest > white:
            raise ValueError("floating-point values, whose black and white are not known")
        notes.append(IN_BYTES if white == 255 else IN_WORDS)
    elif highest > 1:
        notes.append(BEYOND_WHITE)
    scale = np.full(1 if pixels.ndim < 3 else pixels.shape[2], 255 / white, pixels.dtype)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        scale[-1] = 255  # of alpha, 1 is always opaque
    return np.rint(np.clip(pixels * scale, 0, 255)).astype(np.uint8), notes


def to_color(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) or, with an alpha that varies or leaves out, (H, W, 4) uint8 of bytes with one to four channels."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    channels = pixels.shape[2]
    if channels <= 2:
        pixels = np.concatenate([np.repeat(pixels[..., :1], 3, axis=2), pixels[..., 1:]], axis=2)
    if pixels.shape[2] == 4 and bool((pixels[..., 3] == 255).all()):
        return pixels[..., :3]
    return pixels
