"""Where a splat appears in the photos: training views have put it there, held-out ones only show it."""

from typing import Any, NamedTuple

import bpy
import numpy as np

from ...capture.capture import Capture, View
from ...capture.choices import choices_of
from ...errors import CaptureError, RunError
from ...gaussians.rules import near_plane_scale
from ...inspection.blame.attribution import blending_weights
from ...inspection.blame.footprints import footprints_at
from ...run.config import TrainConfig
from ...run.folder import RunFolder
from ..own_data import ensure_local
from ..photos.pixels import open_settled, small_photo
from ..session import part
from ..splats.data import splats_from_object
from ..tasks.inspecting import photos_for
from . import picked

LEAST_SHARE = 0.02  # a view uses a splat with at least this share of the pixel at its center
MOST_VIEWS = 48  # that are looked through, evenly chosen
LONGER_SIDE_PX = 400  # of them
PICTURE = "Splat in Photos"
SHOWN, ACROSS = 8, 4  # photos in the picture, and in a row of it
CELL_PX, AROUND = 240, 0.25  # of each, and how much of the photo's width it shows
MARK = (1.0, 0.0, 1.0)


class Appearance(NamedTuple):
    """A splat in a view."""

    view: str
    x: float  # of its center, parts 0..1 of the image from its upper left
    y: float
    share: float  # of the pixel there
    is_held_out: bool


class Appearances:
    """Of the splat that was asked about last."""

    def __init__(self) -> None:
        self.key: tuple[int, int] | None = None  # of the data, and the splat
        self.found: list[Appearance] = []


def known(data, splat: int) -> list[Appearance] | None:
    """What was found of a splat, if it was asked about last."""
    last = part(Appearances)
    return last.found if last.key == (data.session_uid, splat) else None


def asked(data) -> int | None:
    """Which splat of some data was asked about last."""
    key = part(Appearances).key
    return key[1] if key is not None and key[0] == data.session_uid else None


def appearances(scene: bpy.types.Scene, item: bpy.types.Object, splat: int) -> list[Appearance]:
    """The views that show a splat: those it was trained on first, then those held out, the largest share first. A
    picture of them is kept, `PICTURE`. Raises RunError or CaptureError when the capture or all its photos are gone."""
    capture = _capture_for(scene, item)
    views = list(capture.all_views)
    places = np.linspace(0, len(views) - 1, min(len(views), MOST_VIEWS)).round().astype(int)
    cloud = splats_from_object(item, largest_degree=0)  # what it looks like is not asked
    near, center = near_plane_scale(cloud.means), cloud.means[splat].astype(np.float64)
    found: list[tuple[Appearance, View]] = []
    for view in (views[place] for place in places):
        lens = picked.in_object(item, view.camera)
        inside, seen_at, _ = lens.seen(center[None])
        if len(inside) == 0:
            continue
        smaller = min(1.0, LONGER_SIDE_PX / max(lens.width, lens.height))
        camera = lens.without_distortion().resized(
            max(1, round(lens.width * smaller)), max(1, round(lens.height * smaller))
        )
        x, y = camera.project(center[None])[0][0]
        reached = footprints_at(cloud, camera, (x, y, x, y), near_scale=near)
        weights, _ = blending_weights(reached, np.array([[x, y]]))
        share = float(weights[0, reached.splats == splat].sum())
        if share >= LEAST_SHARE:
            x, y = seen_at[0] / (lens.width, lens.height)
            found.append((Appearance(view.name, float(x), float(y), share, view.is_held_out), view))
    found.sort(key=lambda one: (one[0].is_held_out, -one[0].share))
    _keep_picture(found[:SHOWN])
    last = part(Appearances)
    last.key, last.found = (item.data.session_uid, splat), [one for one, _ in found]
    return last.found


def _capture_for(scene: bpy.types.Scene, item: bpy.types.Object) -> Capture:
    """The capture that an object's splats were trained on; else the scene's."""
    photos = photos_for(scene, item)
    if photos.capture is None:
        raise RunError(
            "It is not known which photos these splats were trained on.", "Choose their capture in the Capture panel."
        )
    if photos.run is None:
        return open_settled(photos.capture, needs_photos=False)
    config = TrainConfig.read(RunFolder(photos.run).config_file)
    choices = choices_of(config.moved_to(photos.capture))
    return open_settled(photos.capture, config.hold_out_every, needs_photos=False, choices=choices)


def _keep_picture(found: list[tuple[Appearance, View]]) -> None:
    """Parts of the photos around a splat, with a cross where it is. Raises CaptureError when all photos are gone."""
    cells = [cell for one, view in found if (cell := _cell(one, view)) is not None]
    if found and not cells:
        raise CaptureError("The photos that show this splat cannot be read.", "Put them back into the capture.")
    if not cells:
        return
    rows = -(-len(cells) // ACROSS)
    width, height = min(len(cells), ACROSS) * CELL_PX, rows * CELL_PX
    whole = np.ones((height, width, 4), np.float32)
    for number, cell in enumerate(cells):
        top, left = number // ACROSS * CELL_PX, number % ACROSS * CELL_PX
        whole[top : top + CELL_PX, left : left + CELL_PX, :3] = cell

    def make(former: Any) -> Any:
        return former or bpy.data.images.new(PICTURE, width, height)

    image = ensure_local("images", PICTURE, make)
    image.scale(width, height)
    image.pixels.foreach_set(whole[::-1].ravel())
    image.update()
    image.pack()


def _cell(one: Appearance, view: View) -> np.ndarray | None:
    """(CELL_PX, CELL_PX, 3) of a photo around a splat; None when it cannot be read."""
    pixels = small_photo(view, round(CELL_PX / AROUND))
    if pixels is None:
        return None
    height, width = pixels.shape[:2]
    column, row = int(one.x * width), int(one.y * height)
    side = np.arange(CELL_PX) - CELL_PX // 2
    cell = pixels[np.clip(row + side, 0, height - 1)][:, np.clip(column + side, 0, width - 1), :3].copy()
    middle, arm = CELL_PX // 2, CELL_PX // 10
    for reach in (slice(middle - arm, middle - 4), slice(middle + 5, middle + arm + 1)):
        cell[reach, middle] = cell[middle, reach] = MARK
    return cell
