"""Fewer splats while a view turns, as many as can be drawn without stuttering, and all of them again once it rests.

How long they take is measured in each viewport, since their number alone does not tell. A single jump to another view
is no turning, and neither is an animation that plays.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import bpy

from ..session import part, timer
from ..settings import preferences
from . import texels
from .picture import Atlas, Look, Picture, Placed, Viewpoint

TICK_S, TICKS = 0.1, 3  # a view rests after so many ticks without being drawn anew: slow drawing lets pass one at most
AIM_S = 1 / 25  # that drawing may take while the view turns
FEW = 100_000  # splats that are always drawn
LEAST = 1 / 16


class Turn:
    """What is known of one viewport."""

    def __init__(self) -> None:
        self.share = 1.0  # of the splats, that was drawn last
        self.quiet_ticks = TICKS  # since another view than before was drawn
        self._view: object = None
        self._whole_s = 0.0  # how long the last drawing of all splats took

    def share_of(self, count: int, view: object) -> float:
        """The share of `count` splats to draw now, from a view that equals another where they are the same.

        The same as long as the view turns: it may only fall, so that no splat comes and goes.
        """
        is_new, was_turning = view != self._view, not self.has_rested()
        self._view = view
        if is_new:
            self.quiet_ticks = 0
        if not was_turning:
            self.share = 1.0
        elif is_new and self.share == 1.0:
            while self.share * self._whole_s > AIM_S and self.share / 2 >= _least(count):
                self.share /= 2
        return self.share

    def drawn(self, count: int, seconds: float) -> None:
        """What was asked for took so long."""
        if self.share == 1.0:
            self._whole_s = seconds
        elif seconds > 2 * AIM_S and self.share / 2 >= _least(count):
            self.share /= 2

    def has_rested(self) -> bool:
        """Whether no other view was drawn for a while."""
        return self.quiet_ticks >= TICKS


def _least(count: int) -> float:
    return max(LEAST, FEW / max(count, 1))


class Turns:
    """Those of all viewports, by the address of their region."""

    def __init__(self) -> None:
        self.by_region: dict[int, Turn] = {}


def forget() -> None:
    """Let go of what was measured."""
    part(Turns).by_region.clear()


def paint(
    region: int,
    picture: Picture,
    atlas: Atlas,
    blocks: Mapping[int, texels.Splats],
    placed: Sequence[Placed],
    view: Viewpoint,
    look: Look,
    depth: Any,
    is_playing: bool,
) -> None:
    """`picture.paint`, of fewer splats while the view of this region turns."""
    count = round(look.fraction * sum(len(atlas.packed[item.data_uid].positions) for item in placed))
    if is_playing or count <= FEW or not _is_wanted():
        picture.paint(atlas, blocks, placed, view, look, depth)
        return
    turn = part(Turns).by_region.setdefault(region, Turn())
    seen = (view.width_px, view.height_px, view.view_from_world.tobytes(), view.clip_from_view.tobytes())
    look = replace(look, share=turn.share_of(count, seen))
    began = time.perf_counter()
    picture.paint(atlas, blocks, placed, view, look, depth)
    picture.finish()
    turn.drawn(count, time.perf_counter() - began)
    if not turn.has_rested():
        timer.start(_tick, TICK_S)


def _is_wanted() -> bool:
    chosen = preferences.of_addon()
    return chosen is None or chosen.while_turning == "FEWER"


def _tick() -> float | None:
    """Have the views that rest now drawn whole."""
    turns = part(Turns).by_region
    for turn in turns.values():
        turn.quiet_ticks += 1
    rested = {address for address, turn in turns.items() if turn.has_rested() and turn.share < 1.0}
    for manager in bpy.data.window_managers if rested else ():
        for window in manager.windows:
            for area in window.screen.areas:
                for region in area.regions:
                    if region.as_pointer() in rested:
                        region.tag_redraw()
    return None if all(turn.has_rested() for turn in turns.values()) else TICK_S
