"""Whether two renders of one view show the same scene, whatever their noise is.

Noise averages out over a block of pixels, and where it does not yet, the pixels of the block say how far off their mean
may be. What was added, moved or taken away differs in whole blocks.
"""

import numpy as np

from ...gaussians.srgb import decode_srgb, encode_srgb
from .values import to_color

BLOCKS_ACROSS, LEAST_PX = 40, 4  # a picture is this many blocks wide, unless they would be smaller
ERRORS = 3.0  # standard errors of a block's mean are noise
DIFFERS = 0.12  # of a display-encoded color or of alpha, beyond noise: 1 to 4 samples with another seed keep below
SHARE = 0.005  # of the blocks may differ, or one: noise of few samples is heavy-tailed


def differing_blocks(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """(rows, columns) whether blocks of two pictures of one size show something else. Pictures are (H, W, C) bytes as
    displayed, with straight alpha, if any. No block does when so few differ that it may be noise."""
    one, other = _light(before), _light(now)
    rows, columns = _steps(one.shape[0], one.shape[1]), _steps(one.shape[1], one.shape[1])
    counts = np.outer(*(np.diff(steps) for steps in (rows, columns)))[..., None]

    def means(values: np.ndarray) -> np.ndarray:
        sums: np.ndarray = np.add.reduceat(np.add.reduceat(values, rows[:-1], axis=0), columns[:-1], axis=1)
        return sums / counts

    first, second = means(one), means(other)
    errors = np.sqrt(np.maximum(means((one - other) ** 2) - (first - second) ** 2, 0) / counts)
    least = np.minimum(first, second)
    most = np.maximum(np.maximum(first, second) - ERRORS * errors, least)
    colors = encode_srgb(most[..., :3]) - encode_srgb(least[..., :3])
    found: np.ndarray = np.maximum(colors.max(axis=2), (most - least)[..., 3]) > DIFFERS
    return found if found.sum() > max(1, SHARE * found.size) else np.zeros_like(found)


def place_of(found: np.ndarray) -> str:
    """Where in a picture blocks were found, in words: 'at the top left'."""
    rows, columns = np.nonzero(found)
    down, across = (3 * rows.mean() // found.shape[0], 3 * columns.mean() // found.shape[1])
    words = [("top", "", "bottom")[int(down)], ("left", "", "right")[int(across)]]
    said = " ".join(filter(None, words))
    return f"at the {said}" if said else "in the middle"


def _light(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 4) scene-linear colors, multiplied by alpha, and alpha: what can be averaged."""
    colors = to_color(pixels) / 255
    alpha = colors[..., 3:] if colors.shape[2] > 3 else np.ones_like(colors[..., :1])
    return np.concatenate([decode_srgb(colors[..., :3]) * alpha, alpha], axis=2)


def _steps(length: int, width: int) -> np.ndarray:
    """Where blocks begin along a side of `length` pixels of a picture that is `width` wide, and where the last ends."""
    size = max(width / BLOCKS_ACROSS, LEAST_PX)
    return np.linspace(0, length, max(1, round(length / size)) + 1).round().astype(int)
