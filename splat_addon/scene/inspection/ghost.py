"""Ghost: the region that was stepped to, or all floaters, stands out in the viewport, and the cameras that use it are
drawn with lines to it. Only what the viewport draws is changed."""

from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..splats.data import is_splats, origin_of
from ..viewport import standing_out
from ..viewport.picture import Ghost
from . import choosing, columns, found, stepping

MOST_CAMERAS = 24
_PYRAMID = 0.12  # of the distance between a camera and its region: how large the camera is drawn


def refresh(scene: bpy.types.Scene) -> None:
    """Bring what stands out up to date: the threshold, the region, or the choice has changed."""
    view_layer = bpy.context.view_layer
    item = view_layer.objects.active if view_layer is not None else None
    chosen = scene.splat.inspection
    if item is None or not chosen.ghost or not is_splats(item) or found.scores(item.data) is None:
        if standing_out.state().ghost is not None:
            standing_out.show(None)
        return
    data: Any = item.data
    shown = stepping.shown(data, chosen.threshold)
    token = (data.session_uid, chosen.threshold, None if shown is None else shown.number, _mark(data))
    if shown is None:
        standing_out.show(Ghost(token, {data.session_uid: above(data, chosen.threshold)}))
    else:
        bright = np.zeros(choosing.splat_count(data), bool)
        bright[shown.splats] = True
        standing_out.show(Ghost(token, {data.session_uid: bright}), {data.session_uid: rays_to(item, shown)})


def above(data: Any, threshold: float) -> np.ndarray:
    """(N,) the floaters above a threshold, from what is known already: at each move of the slider."""
    scores = found.scores(data)
    assert scores is not None
    return scores.is_current & (scores.score > threshold) & ~scores.is_protected


def rays_to(item: bpy.types.Object, shown: "stepping.Shown") -> np.ndarray:
    """(2M, 3) lines, two points each: the cameras that use a region, as pyramids that look at it, and from each a line
    to its center; in the space of the splats."""
    positions = columns.view_positions(item.data) - np.array(origin_of(item) or 0.0)
    center = np.asarray(shown.center, float)
    lines = []
    for view in shown.used_by[:MOST_CAMERAS]:
        if view < len(positions):
            lines += [positions[view], center, *_pyramid(positions[view], center)]
    return np.array(lines, np.float64).reshape(-1, 3)


def _pyramid(eye: np.ndarray, target: np.ndarray) -> list[np.ndarray]:
    ahead = (target - eye) * _PYRAMID
    size = float(np.linalg.norm(ahead))
    if size == 0:
        return []
    side = np.cross(ahead, [0.0, 0.0, 1.0] if abs(ahead[2]) < 0.9 * size else [1.0, 0.0, 0.0])
    side *= 0.5 * size / float(np.linalg.norm(side))
    up = np.cross(side, ahead) / size * 0.75
    corners = [eye + ahead + x * side + y * up for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return [point for k in range(4) for point in (eye, corners[k], corners[k], corners[(k + 1) % 4])]


@persistent
def _on_other_data(*_) -> None:
    if bpy.context.scene is not None:
        refresh(bpy.context.scene)


def _mark(data: Any) -> int:
    scores = found.scores(data)
    return id(scores)  # they are read again when anything about the splats has changed


ON_CHANGE = {"inspection": refresh}
HANDLERS = {"undo_post": _on_other_data, "redo_post": _on_other_data}
