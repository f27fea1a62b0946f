"""What the panel shows of a fit, as one icon: target, render and difference side by side, below them the loss.

A panel must draw in a millisecond: it only asks for the icon, which is painted while the fit trains.
"""

from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

from ...lesson.fitter import Fitter
from ..review.chart import GROUND, Line, draw_chart
from ..review.curves import HELD_OUT, LOSS
from ..session import icons, part

DIFFERENCE_GAIN = 4.0
_ICON, _GAP_PX = "lesson", 4


class Painted:
    """The one icon."""

    def __init__(self) -> None:
        self.previews: Any = None
        self.size_px = 0
        self.uid: object = None  # of the fit that it shows

    def close(self) -> None:
        """Give the icon back."""
        if self.previews is not None:
            bpy.utils.previews.remove(self.previews)


def icon_for(fitter: Fitter, size_px: int) -> int:
    """The icon that shows `fitter`, `size_px` wide and high. Icons have the number 0 in background mode."""
    painted = part(Painted)
    is_other = painted.size_px != size_px or painted.uid is not fitter
    painted.size_px = size_px
    if is_other:
        repaint(fitter)
    return painted.previews[_ICON].icon_id if painted.previews else 0


def forget() -> None:
    """Another file is loaded."""
    part(Painted).uid = None


def repaint(fitter: Fitter) -> None:
    """Let the icon show a fit as it is now, if a panel has asked for it."""
    painted = part(Painted)
    painted.uid = fitter
    if painted.size_px <= 0 or painted.previews is None:
        return
    icons.set_pixels(painted.previews[_ICON], paint(fitter, painted.size_px))


def paint(fitter: Fitter, size: int) -> np.ndarray:
    """(size, size, 3) uint8, top row first."""
    pixels = np.empty((size, size, 3), np.uint8)
    pixels[:] = GROUND
    side = (size - 2 * _GAP_PX) // 3
    render = fitter.measured.image if fitter.measured is not None else np.zeros_like(fitter.target)
    difference = DIFFERENCE_GAIN * np.abs(render - fitter.target)
    for number, image in enumerate((fitter.target, render, difference)):
        fitted = _fitted(image, side)
        left = number * (side + _GAP_PX) + (side - fitted.shape[1]) // 2
        top = (side - fitted.shape[0]) // 2
        pixels[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    top = side + 2 * _GAP_PX
    lines = [
        Line(curve.steps, np.maximum(curve.values, 1e-12).tolist(), color)
        for curve, color in ((fitter.held_out_losses, HELD_OUT), (fitter.losses, LOSS))
        if curve.steps
    ]
    if not fitter.losses.steps:
        return pixels
    dot = max(1, round(size / 300))
    end = max(100, fitter.step_count)
    pixels[top:] = draw_chart((size, size - top), lines, end, "Loss", dot, True, fitter.densified_at)
    return pixels


def _fitted(image: np.ndarray, side: int) -> np.ndarray:
    """(h, w, 3) bytes, as large as fits, each pixel a square."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    rows = np.minimum((np.arange(max(1, round(height * scale))) / scale).astype(int), height - 1)
    columns = np.minimum((np.arange(max(1, round(width * scale))) / scale).astype(int), width - 1)
    return np.round(255 * np.clip(image[rows][:, columns], 0, 1)).astype(np.uint8)


def register() -> None:
    """Make the icon."""
    part(Painted).previews = bpy.utils.previews.new()
    part(Painted).previews.new(_ICON)
