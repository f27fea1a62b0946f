"""A line in each viewport: how far its view is outside of the photos, and what quality to expect.

Drawing only writes the last answer. While there is trust, the timer looks which views have changed and asks about them,
so that turning the view never waits for it.
"""

import bpy

from ...errors import CameraError
from ..session import part, timer
from ..session.redraw import redraw
from . import measured, volume
from .views import camera_of_view

ASK_EVERY_S = 0.12


class Badge:
    """Answers by viewport, and what they are about."""

    def __init__(self) -> None:
        self.answers: dict[int, measured.Answer] = {}  # by the region's pointer
        self.asked: dict[int, tuple] = {}  # what they were asked about


def begin() -> None:
    """Follow the views from now on, while there is trust."""
    timer.start(follow)


def answer_in(context: bpy.types.Context) -> measured.Answer | None:
    """The last answer about the viewport of `context`; None before the first."""
    return None if context.region is None else part(Badge).answers.get(context.region.as_pointer())


def ask_about(region, space, scene: bpy.types.Scene) -> measured.Answer:
    """What to say of a viewport now."""
    found = measured.trust()
    assert found is not None  # there is a badge
    try:
        return measured.ask_in_world(found, camera_of_view(region, space, scene))
    except CameraError as error:
        message = error.message.rstrip(".")
        return measured.Answer(0.0, None, message)


def _view(region, space, scene: bpy.types.Scene, found: measured.Trust) -> tuple:
    """What an answer depends on, cheaply."""
    region_3d, item = space.region_3d, measured.object_of(found)
    place = item.matrix_world if item is not None else None
    view = [tuple(row) for matrix in (region_3d.perspective_matrix, place) if matrix is not None for row in matrix]
    camera = (region_3d.view_perspective, scene.camera.session_uid if scene.camera else 0)
    return id(found), region.width, region.height, *camera, *view


def follow() -> float | None:
    """Ask about all viewports whose view has changed. A job of the timer."""
    badge, found, has_changed = part(Badge), measured.trust(), False
    if found is None:
        badge.answers.clear()
        badge.asked.clear()
        return None
    for window in bpy.context.window_manager.windows:
        if window.scene.splat.trust.show_volume and volume.volume().trust is not found:
            volume.begin(found)
        for area in window.screen.areas:
            if area.type != "VIEW_3D" or not window.scene.splat.trust.show_badge:
                continue
            region, space = next(other for other in area.regions if other.type == "WINDOW"), area.spaces.active
            key, view = region.as_pointer(), _view(region, space, window.scene, found)
            if badge.asked.get(key) != view:
                badge.answers[key], badge.asked[key] = ask_about(region, space, window.scene), view
                has_changed = True
    if has_changed:
        redraw("VIEW_3D")
    return ASK_EVERY_S
