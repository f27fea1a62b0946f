"""How scores are spread, as a picture for a panel: bars on a logarithmic scale, and a line at the threshold."""

from itertools import pairwise
from typing import Any

import bpy.utils.previews
import numpy as np

from ..review.chart import GRID, GROUND, WORDS
from ..session import icons, part
from .found import Scores

HIGHEST = 1.5  # score at the right end; what is higher is in the last bar
BARS = 60
_BELOW, _ABOVE, _LINE = (95, 120, 150), (240, 200, 60), (255, 255, 255)
_ICON = "histogram"


class Histograms:
    """The one picture, and of what it is."""

    def __init__(self) -> None:
        self.previews: Any = None
        self.painted: tuple = ()
        self.counted: tuple[Scores, np.ndarray] | None = None

    def close(self) -> None:
        """Give the icon back."""
        if self.previews is not None:
            bpy.utils.previews.remove(self.previews)


def icon_for(scores: Scores, threshold: float, size_px: int) -> int:
    """The icon of a histogram, `size_px` wide and half as high; 0 in background mode."""
    known = part(Histograms)
    if known.previews is None:
        known.previews = bpy.utils.previews.new()
        known.previews.new(_ICON)
    if known.counted is None or known.counted[0] is not scores:
        known.counted = scores, counts_of(scores)
    wanted = (id(scores), threshold, size_px)
    if known.painted != wanted and size_px > 0:
        icons.set_pixels(known.previews[_ICON], paint(known.counted[1], threshold, size_px))
        known.painted = wanted
    return known.previews[_ICON].icon_id


def counts_of(scores: Scores) -> np.ndarray:
    """(BARS,) how many current scores lie in each of equal parts of 0..HIGHEST."""
    current = scores.score[scores.is_current]
    places = np.clip((current * (BARS / HIGHEST)).astype(np.int64), 0, BARS - 1)
    return np.bincount(places, minlength=BARS)


def paint(counts: np.ndarray, threshold: float, size: int) -> np.ndarray:
    """(size / 2, size, 3) uint8, top row first."""
    height = size // 2
    pixels = np.empty((height, size, 3), np.uint8)
    pixels[:] = GROUND
    tall = np.log1p(counts) / max(float(np.log1p(counts.max(initial=0))), 1.0)
    edges = np.linspace(0, size, len(counts) + 1).astype(int)
    for tenth in range(1, int(HIGHEST * 10)):
        column = int(tenth / 10 / HIGHEST * size)
        pixels[:, column] = WORDS if tenth in (5, 10) else GRID
    for bar, (left, right) in enumerate(pairwise(edges)):
        top = height - int(tall[bar] * (height - 2))
        is_above = (bar + 0.5) / len(counts) * HIGHEST > threshold
        pixels[top:, left : max(left + 1, right - 1)] = _ABOVE if is_above else _BELOW
    column = min(int(threshold / HIGHEST * size), size - 1)
    pixels[:, max(0, column - 1) : column + 1] = _LINE
    return pixels
