"""What stands out among the splats of the viewports, and the lines that are drawn to it. Never saved."""

import bpy
import numpy as np

from ..session import part
from ..session.redraw import redraw
from . import selection_boxes
from .picture import Ghost

_COLOR, _WIDTH_PX = (1.0, 0.55, 0.1), 1.5


class StandingOut:
    """`ghost` None: nothing is dimmed. `rays`: lines, (2M, 3) in the space of the data of that `session_uid`."""

    def __init__(self) -> None:
        self.ghost: Ghost | None = None
        self.rays: dict[int, np.ndarray] = {}


def state() -> StandingOut:
    """The session's own."""
    return part(StandingOut)


def show(ghost: Ghost | None, rays: dict[int, np.ndarray] | None = None) -> None:
    """Dim all splats but some, or none any more, and draw lines between each two points."""
    state().ghost, state().rays = ghost, rays or {}
    redraw()


def forget() -> None:
    """Let go of what belongs to a file that goes."""
    state().ghost, state().rays = None, {}


def draw_rays(items: list[bpy.types.Object]) -> None:
    """Draw the lines that belong to these objects in the viewport that is being drawn."""
    for item in items:
        points = state().rays.get(item.data.session_uid)
        if points is not None and len(points):
            matrix = np.array(item.matrix_world)
            selection_boxes.draw_edges(points @ matrix[:3, :3].T + matrix[:3, 3], _COLOR, _WIDTH_PX)
