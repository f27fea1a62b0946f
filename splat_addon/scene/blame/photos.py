"""Where a splat appears in the training views: the photos that put it there."""

from typing import NamedTuple

import bpy
import numpy as np

from ...capture.choices import choices_of
from ...errors import CaptureError
from ...gaussians.rules import near_plane_scale
from ...inspection.blame.attribution import blending_weights
from ...inspection.blame.footprints import footprints_at
from ...run.config import TrainConfig
from ...run.folder import RunFolder
from ..photos.pixels import open_settled
from ..review import held_out
from ..session import part
from ..settings.paths import capture_now
from ..splats.data import splats_from_object
from . import picked

LEAST_SHARE = 0.02  # a view uses a splat with at least this share of the pixel at its center
MOST_VIEWS = 48  # that are looked through, evenly chosen
LONGER_SIDE_PX = 400  # of them


class Appearance(NamedTuple):
    """A splat in a view."""

    view: str
    x: float  # of its center, parts 0..1 of the image from its upper left
    y: float
    share: float  # of the pixel there


class Appearances:
    """Of the splat that was asked about last."""

    def __init__(self) -> None:
        self.key: tuple[int, int] | None = None  # of the data, and the splat
        self.found: list[Appearance] = []


def known(data, splat: int) -> list[Appearance] | None:
    """What was found of a splat, if it was asked about last."""
    last = part(Appearances)
    return last.found if last.key == (data.session_uid, splat) else None


def appearances(scene: bpy.types.Scene, item: bpy.types.Object, splat: int) -> list[Appearance]:
    """The training views that show a splat, the largest share first. Raises CaptureError when the capture is gone."""
    folder = RunFolder(held_out.require_run(scene))
    config = TrainConfig.read(folder.config_file)
    place = capture_now(scene, config.capture)
    if not place.is_dir():
        raise CaptureError(
            f"The capture {place}, which these splats were trained on, is gone.",
            "Put it back, or choose where it is now in the Capture panel.",
        )
    moved = config.moved_to(place)
    capture = open_settled(place, config.hold_out_every, needs_photos=False, choices=choices_of(moved))
    views = [view for view in capture.all_views if not view.is_held_out]
    places = np.linspace(0, len(views) - 1, min(len(views), MOST_VIEWS)).round().astype(int)
    cloud = splats_from_object(item)
    near, center, found = near_plane_scale(cloud.means), cloud.means[splat].astype(np.float64), []
    for view in (views[place] for place in places):
        camera = picked.own_camera(item, view.camera)
        smaller = min(1.0, LONGER_SIDE_PX / max(camera.width, camera.height))
        camera = camera.resized(max(1, round(camera.width * smaller)), max(1, round(camera.height * smaller)))
        inside, pixels, _ = camera.seen(center[None])
        if len(inside) == 0:
            continue
        x, y = pixels[0]
        reached = footprints_at(cloud, camera, (x, y, x, y), near_scale=near)
        weights, _ = blending_weights(reached, pixels)
        share = float(weights[0, reached.splats == splat].sum())
        if share >= LEAST_SHARE:
            found.append(Appearance(view.name, float(x / camera.width), float(y / camera.height), share))
    found.sort(key=lambda one: -one.share)
    last = part(Appearances)
    last.key, last.found = (item.data.session_uid, splat), found
    return found
