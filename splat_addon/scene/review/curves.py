"""Loss and held-out PSNR of a run as one image, which a panel shows as an icon.

A panel must draw in a millisecond: it only asks for the icon. Reading and painting are done by `follow` together with
the numbers next to the curves, or by a timer at most once a second; where no timers tick (background mode), scripts and
tests call `repaint`.
"""

import time
from pathlib import Path
from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

from ...run.folder import RunFolder
from ...run.history import Curve, History
from ..session import icons, part, timer
from ..session.redraw import redraw
from .chart import GROUND, Line, draw_chart

LOSS, FAINT_LOSS, HELD_OUT, TRAINED = (240, 160, 70), (112, 78, 40), (95, 175, 255), (110, 118, 130)
EVERY_S = 1.0
LARGEST_SHARE = 0.05  # of the time, that following a run may take
_SMOOTHED_PARTS = 40  # the loss of single views jumps: it is averaged over this part of the run
_ICON = "curves"


class Curves:
    """The one chart: its run, icon and size."""

    def __init__(self) -> None:
        self.previews: Any = None
        self.history: History | None = None
        self.size_px = 0
        self.painted_at = 0.0
        self.cost_s = 0.0  # of reading and painting, the last time
        self.painted: tuple = ()

    def close(self) -> None:
        """Give the icon back."""
        if self.previews is not None:
            bpy.utils.previews.remove(self.previews)


def _curves() -> Curves:
    return part(Curves)


def icon_for(path: Path, size_px: int) -> int | None:
    """The icon of the run in `path`, `size_px` wide and high, as last painted; it is brought up to date soon.

    None before it was painted for the first time. Icons have the number 0 in background mode.
    """
    if _curves().history is None or _curves().history.folder.path != path:
        _curves().history, _curves().painted = History(RunFolder(path)), ()
    _curves().size_px = size_px
    if not timer.is_running(repaint):
        timer.start(repaint, max(0.0, _curves().painted_at + EVERY_S - time.monotonic()) if _curves().painted else 0.0)
    return _curves().previews[_ICON].icon_id if _curves().previews and _curves().painted else None


def history() -> History | None:
    """What is known about the run that is drawn."""
    return _curves().history


def follow() -> None:
    """The watched run has news: paint them now, so that the curves keep up with the numbers, if a panel shows them."""
    is_shown = timer.is_running(repaint)  # drawing the panel has asked for it
    if is_shown and time.monotonic() > _curves().painted_at + _curves().cost_s / LARGEST_SHARE:
        timer.stop(repaint)
        again_s = repaint()
        if again_s is not None:
            timer.start(repaint, again_s)


def repaint() -> float | None:
    """Read a piece of the run's record; once it is all read and has news, paint. Returns when to come again."""
    known, size = _curves().history, _curves().size_px
    if known is None:
        return None
    began = time.monotonic()
    known.advance()
    if not known.is_complete:
        return 0.02  # a long record is read in pieces, so that nothing stutters
    state = (known.folder.path, len(known.loss.steps), len(known.held_out_db.steps), known.loss.steps[-1:], size)
    if state != _curves().painted and size > 0:
        icons.set_pixels(_curves().previews[_ICON], paint(known, size))
        _curves().painted, _curves().painted_at = state, time.monotonic()
        _curves().cost_s = _curves().painted_at - began
        redraw()
    return None  # drawing the panel asks again


def paint(known: History, size: int) -> np.ndarray:
    """(size, size, 3) uint8, top row first: the loss above, held-out PSNR below."""
    dot = max(1, round(size / 300))
    end = max([known.iterations if not known.is_timed else 0, *known.loss.steps[-1:], *known.held_out_db.steps[-1:]])
    smooth = Curve(known.loss.steps, _smoothed(known.loss.values))
    loss = [Line(known.loss.steps, known.loss.values, FAINT_LOSS), Line(smooth.steps, smooth.values, LOSS)]
    quality = [
        Line(known.train_db.steps, known.train_db.values, TRAINED, True),
        Line(known.held_out_db.steps, known.held_out_db.values, HELD_OUT, True),
    ]
    gap = np.full((4 * dot, size, 3), GROUND, dtype=np.uint8)
    upper = (size - len(gap)) // 2
    above = draw_chart((size, upper), loss, end, "Loss", dot)
    below = draw_chart((size, size - len(gap) - upper), quality, end, "PSNR dB", dot)
    return np.concatenate([above, gap, below])


def register() -> None:
    """Make the icon."""
    _curves().previews = bpy.utils.previews.new()
    _curves().previews.new(_ICON)


def _smoothed(values: list[float]) -> list[float]:
    """The mean of each value and those just before it."""
    reach = max(1, len(values) // _SMOOTHED_PARTS)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - reach)
    return ((sums[ends] - sums[starts]) / (ends - starts)).tolist()
