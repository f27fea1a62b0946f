"""What was clicked in a held-out view: its splats by their share, selected and lit. Nothing is changed but that."""

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...capture.camera import Camera
from ...errors import RunError
from ...gaussians.rules import near_plane_scale
from ...inspection.blame.attribution import Attribution, attribute
from ...inspection.blame.footprints import outlines
from ...run.folder import RunFolder
from ..inspection import choosing
from ..review import held_out, overlay
from ..review.outlines import Outlines
from ..runs import run_object
from ..session import part
from ..splats.data import from_origin, is_splats, splats_from_object

SHARE = "blame_share"  # the attribute: 1 for the splat with the largest share, 0 for those that are not there
SELECTED_SHARE, MOST_SELECTED = 0.9, 200  # of what is shown, and at most so many splats


@dataclass(frozen=True)
class Picked:
    """What was clicked last, of which object."""

    uid: int  # of the object's data
    count: int  # splats that it had
    view: str
    box: tuple[int, int, int, int]  # left, top, right, bottom, pixels of the trained image
    found: Attribution
    selected: int  # of them, the first


class Picks:
    """The last click."""

    def __init__(self) -> None:
        self.last: Picked | None = None


def last(data: Any) -> Picked | None:
    """The last click, if it was about these splats and they are as many still."""
    picked = part(Picks).last
    if picked is None or data is None or picked.uid != data.session_uid:
        return None
    return picked if picked.count == len(data.attributes["position"].data) else None


def run_splats(scene: bpy.types.Scene) -> bpy.types.Object:
    """The object of the scene's run. Raises RunError when it is not in the scene."""
    item = run_object.find(scene, RunFolder(held_out.require_run(scene)))
    if item is None:
        raise RunError("The run's splats are not in this scene.", "Bring them in from the Splats panel.")
    return item


def pick(scene: bpy.types.Scene, box: tuple[float, float, float, float]) -> Picked:
    """Say which splats a part of the reviewed view comes from, select and light them. `box`: left, top, right, bottom
    as parts 0..1 of the image, from its upper left; a point for a click.

    Raises RunError when no view is shown or the splats are not in the scene, CameraError outside of the image and
    inside of a splat, SceneError where the splats cannot be selected.
    """
    shown = overlay.shown()
    if shown is None or not held_out.is_reviewing(scene):
        raise RunError("No held-out view is shown.", "Look through one in Held-out Review first.")
    item = run_splats(scene)
    problem = choosing.problem(item)
    if problem:
        raise RunError(f"{problem}.", "")
    width, height = shown.trained.width, shown.trained.height
    camera = own_camera(item, shown.camera).resized(width, height)
    left, top = int(np.floor(box[0] * width)), int(np.floor(box[1] * height))
    pixels = left, top, max(left + 1, int(np.ceil(box[2] * width))), max(top + 1, int(np.ceil(box[3] * height)))
    cloud = splats_from_object(item, largest_degree=0)  # what it looks like is not asked
    found = attribute(cloud, camera, pixels, near_scale=near_plane_scale(cloud.means))
    if len(found) == 0:
        raise RunError("No splat is drawn there: the background shows.", "Click where splats are.")
    reached = int(np.searchsorted(np.cumsum(found.shares), SELECTED_SHARE * found.shares.sum())) + 1
    selected = min(reached, MOST_SELECTED, len(found))
    data: Any = item.data
    _light(data, found)
    mask = np.zeros(len(cloud), bool)
    mask[found.splats[:selected]] = True
    choosing.select(data, mask)
    chosen = scene.splat.viewport
    chosen.attribute, chosen.color_by = SHARE, "ATTRIBUTE"
    picked = Picked(data.session_uid, len(cloud), shown.name, pixels, found, selected)
    part(Picks).last = picked
    places = outlines(found.centers[:selected], found.conics[:selected]) / (width, height)
    overlay.outline(Outlines(places, found.shares[:selected] / found.shares[0], is_lit))
    return picked


def is_lit(scene: bpy.types.Scene) -> bool:
    """Whether viewports show what was clicked: splats are colored by it, and there still."""
    chosen = scene.splat.viewport
    is_color = chosen.color_by == "ATTRIBUTE" and chosen.attribute == SHARE
    return is_color and any(last(item.data) is not None for item in scene.objects if is_splats(item))


def own_camera(item: bpy.types.Object, camera: Camera) -> Camera:
    """A camera of the capture in the frame of an object's splats, without its lens distortion."""
    return in_object(item, camera.without_distortion())


def in_object(item: bpy.types.Object, camera: Camera) -> Camera:
    """A camera of the capture in the frame of an object's splats."""
    return camera.moved(np.array(from_origin(item).inverted(), dtype=np.float64))


def splat_at(item: bpy.types.Object, camera: Camera, place: tuple[float, float]) -> int:
    """The splat with the largest share of what a `camera` of the world shows at a `place`, in its pixels. Raises
    RunError where there is none, CameraError outside of the image or inside of a splat."""
    cloud = splats_from_object(item, largest_degree=0)  # what it looks like is not asked
    own = camera.moved(np.array(item.matrix_world.inverted(), dtype=np.float64))
    x, y = int(place[0]), int(place[1])
    found = attribute(cloud, own, (x, y, x + 1, y + 1), near_scale=near_plane_scale(cloud.means))
    if len(found) == 0:
        raise RunError("No splat is drawn there.", "Click where splats are.")
    return int(found.splats[0])


def select_one(item: bpy.types.Object, splat: int) -> None:
    """Select this splat and no other. Raises RunError when there is none of that number, or it cannot be selected."""
    data: Any = item.data
    count = len(data.attributes["position"].data)
    problem = choosing.problem(item) or ("" if 0 <= splat < count else f"There is no splat {splat}")
    if problem:
        raise RunError(f"{problem}.", "")
    mask = np.zeros(count, bool)
    mask[splat] = True
    choosing.select(data, mask)


def _light(data: Any, found: Attribution) -> None:
    values = np.zeros(len(data.attributes["position"].data), np.float32)
    values[found.splats] = found.shares / found.shares[0]
    attribute_of = data.attributes.get(SHARE) or data.attributes.new(SHARE, "FLOAT", "POINT")
    attribute_of.data.foreach_set("value", values)
    data.update_tag()


def selected_splat(item: bpy.types.Object) -> int:
    """The one splat of an object that is selected. Raises RunError where it is none, or more."""
    data: Any = item.data
    which = np.flatnonzero(choosing.selected(data))
    if len(which) != 1:
        raise RunError(f"{len(which)} splats are selected.", "Select one splat in Edit Mode.")
    return int(which[0])
