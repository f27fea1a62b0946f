"""Where the camera's frame lies in a viewport, and the wipe line in it. Region pixels: x right, y up."""

from typing import NamedTuple

import bpy
from bpy_extras.view3d_utils import location_3d_to_region_2d

REACH_PX = 10.0  # from this near the wipe line can be taken, times the interface's scale


class Frame(NamedTuple):
    """The borders of what the camera sees."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom

    def line_x(self, wipe: float) -> float:
        """Where the wipe line stands."""
        return self.left + wipe * self.width

    def wipe_at(self, x: float) -> float:
        """The wipe, 0..1, whose line stands at `x` or, beyond the frame, at its border."""
        return min(1.0, max(0.0, (x - self.left) / self.width))

    def is_on_line(self, wipe: float, x: float, y: float, reach_px: float) -> bool:
        """Whether a mouse at (x, y) is near enough to take the wipe line."""
        return abs(x - self.line_x(wipe)) <= reach_px and self.bottom <= y <= self.top


def frame_of(camera_object: bpy.types.Object, scene: bpy.types.Scene, region, region_3d) -> Frame | None:
    """The camera's frame in a viewport that looks through it, wherever it was zoomed or moved to; None when it has no
    extent there."""
    corners = [camera_object.matrix_world @ corner for corner in camera_object.data.view_frame(scene=scene)]
    places = [location_3d_to_region_2d(region, region_3d, corner) for corner in corners]
    found = [place for place in places if place is not None]
    if len(found) < len(corners):
        return None
    across, up = [place.x for place in found], [place.y for place in found]
    frame = Frame(min(across), min(up), max(across), max(up))
    return frame if frame.width > 1 and frame.height > 1 else None
