"""How often each value of a quantity occurs, as an image that a panel shows: painted by a timer, kept until the splats
or the choice change."""

from dataclasses import dataclass
from typing import Any

import bpy
import bpy.utils.previews
import numpy as np

from ...editing.quantities import histogram
from ...errors import SceneError
from ..session import icons, part, timer
from ..session.changes import forgetting
from ..session.redraw import redraw
from .selecting import Quantity, between, values_of

BINS = 64
_ICON = "histogram"
GROUND, BAR, CHOSEN = (29, 29, 29), (110, 118, 130), (95, 175, 255)


@dataclass(frozen=True)
class Shown:
    """What is known about the values of an object's splats; `problem` says why there are none."""

    counts: np.ndarray
    edges: np.ndarray
    selected: int
    problem: str = ""


class Histograms:
    """The one that is shown, what it was made of, and its icon."""

    def __init__(self) -> None:
        self.previews: Any = None
        self.wanted: tuple = ()
        self.made_of: tuple = ()
        self.values: np.ndarray | None = None
        self.values_of: tuple = ()
        self.shown: Shown | None = None

    def close(self) -> None:
        """Give the icon back."""
        if self.previews is not None:
            bpy.utils.previews.remove(self.previews)


def shown_for(item: bpy.types.Object, quantity: Quantity, low: float, high: float, size: tuple[int, int]):
    """(Shown, icon) of an object's splats as last painted, `size` pixels wide and high; None before. It is brought up
    to date soon. Icons have the number 0 in background mode."""
    state = part(Histograms)
    state.wanted = (item.name, item.data.session_uid, quantity, low, high, size)
    if state.wanted != state.made_of and not timer.is_running(repaint):
        timer.start(repaint)
    icon = state.previews[_ICON].icon_id if state.previews and state.made_of else 0
    return (state.shown, icon) if state.shown is not None else None


def repaint() -> None:
    """Count and paint what was asked for last."""
    state = part(Histograms)
    if state.wanted == state.made_of or not state.wanted:
        return
    name, data, quantity, low, high, size = state.wanted
    item = bpy.data.objects.get(name)
    if item is None or item.mode != "OBJECT":
        return
    try:
        if state.values_of != (name, data, quantity) or state.values is None:
            state.values, state.values_of = values_of(item, quantity), (name, data, quantity)
        counts, edges = histogram(state.values, BINS, quantity.is_log)
        state.shown = Shown(counts, edges, int(between(state.values, low, high).sum()))
    except SceneError as error:
        state.shown = Shown(np.zeros(BINS, int), np.linspace(0, 1, BINS + 1), 0, f"{error.message} {error.remedy}")
    state.made_of = state.wanted
    if state.previews is not None:
        icons.set_pixels(state.previews[_ICON], paint(state.shown, low, high, size))
    redraw()


def paint(shown: Shown, low: float, high: float, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8, top row first: a bar for each bin, as high as the root of its count; those in the range stand
    out."""
    width, height = size
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = GROUND
    heights = np.sqrt(shown.counts / max(int(shown.counts.max(initial=0)), 1))
    columns = np.arange(width) * BINS // max(width, 1)
    rows = np.arange(height)[:, None] >= height - np.round(heights[columns] * (height - 2))
    middles = np.sqrt(np.abs(shown.edges[1:] * shown.edges[:-1])) if shown.edges[0] > 0 else shown.edges[:-1]
    is_chosen = ((middles >= low) & (middles <= high))[columns]
    pixels[rows & is_chosen] = CHOSEN
    pixels[rows & ~is_chosen] = BAR
    return pixels


def register() -> None:
    """Make the icon."""
    part(Histograms).previews = bpy.utils.previews.new()
    part(Histograms).previews.new(_ICON)


def _forget(data: Any = None) -> None:
    state = part(Histograms)
    if data is None or data.session_uid in state.made_of:
        state.made_of = state.values_of = ()


HANDLERS = forgetting(_forget, _forget)
