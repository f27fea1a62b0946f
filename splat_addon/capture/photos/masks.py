"""From what a mask's file holds to how much each pixel counts."""

import numpy as np

from .values import Decoded, to_bytes

MOST_LABELS = 32  # of a gray picture without white: above, its values are grades
_LOSS = 16  # how far compression moves black and white
LEAST_SHARE = 0.01  # of a photo that its mask should leave


def mask_weights(mask: Decoded, is_inverted: bool = False) -> np.ndarray:
    """(H, W) uint8: 255 where a pixel counts, 0 where not, grades between. `is_inverted` swaps them.

    - With an alpha channel that varies, alpha keeps, whatever the colors are.
    - With colors, or few gray values without white, the values are labels: all but black keep.
    - Two gray values, of any depth: what is not zero keeps.
    - Otherwise gray values are weights, and white counts fully.
    """
    pixels = mask.pixels if mask.pixels.ndim == 3 else mask.pixels[..., None]
    if pixels.shape[2] in (2, 4) and bool((pixels[..., -1] != pixels.flat[pixels.shape[2] - 1]).any()):
        weights = _of_gray(pixels[..., -1], mask.is_lossy)
    else:
        colors = pixels[..., : 3 if pixels.shape[2] >= 3 else 1]
        highest = colors.max(axis=2)
        is_gray = mask.is_lossy or bool((colors.min(axis=2) == highest).all())
        weights = _of_gray(highest, mask.is_lossy) if is_gray else _kept(highest != 0)
    return 255 - weights if is_inverted else weights


def is_two_valued(weights: np.ndarray) -> bool:
    """Whether weights only say yes or no."""
    return bool(((weights == 0) | (weights == 255)).all())


def _of_gray(values: np.ndarray, is_lossy: bool) -> np.ndarray:
    if values.dtype == bool:
        return _kept(values)
    lowest, highest = values.min(), values.max()
    if bool(((values == lowest) | (values == highest)).all()):
        return _kept(values != 0)
    if np.issubdtype(values.dtype, np.integer):
        if lowest >= 0 and highest < MOST_LABELS:
            return _kept(values != 0)
        if highest <= 255:  # 8 bits in a file of 16
            values = values.astype(np.uint8)
    weights, _ = to_bytes(values)
    if is_lossy:
        weights = np.where(weights < _LOSS, 0, np.where(weights > 255 - _LOSS, 255, weights)).astype(np.uint8)
    return weights


def _kept(is_kept: np.ndarray) -> np.ndarray:
    return is_kept.astype(np.uint8) * 255
