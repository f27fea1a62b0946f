"""Which pixels of a view off the path count: those that training could know, since two training photos show them.

What a view shows is known by its true depths. A training photo shows it when it lies in its picture, at the depth that
the photo has there within 5 %: its true depth where the capture has depths, else the median depth of the splats, before
any is removed. What is farther than everything (the sky) is shown where the photo shows nothing in that direction,
either. All else is left out: what no photo shows is a guess, whatever hangs before it.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...capture.camera import Camera
from ...capture.capture import Capture
from ...capture.outside import OutsideView, depths_of
from ...capture.photos.depths import NOTHING_FROM, read_depths
from ...capture.photos.reading import Decode
from ...errors import CaptureError
from ..backend.cpu.evidence import evidence_of_view
from ..backend.cpu.rasterizer import CpuRasterizer
from ..backend.protocol import Gaussians
from ..photos.photo import Photo, load_photo
from ..training_frame import TrainingFrame
from .gather import LONGER_SIDE_PX, chosen_views

LEAST_PHOTOS = 2  # that show what counts
SAME_DEPTH = 0.05  # of the depth
LEAST_COUNTED = 0.01  # of a view's pixels: where fewer do, it tells nothing


@dataclass(frozen=True)
class Sight:
    """What a training photo shows: a camera in the world, and depths (H, W) in capture units at its size, infinite
    where it shows nothing."""

    camera: Camera
    depths: np.ndarray

    def shows(self, places: np.ndarray, directions: np.ndarray, is_sky: np.ndarray) -> np.ndarray:
        """(P,) whether it shows what lies at world `places` (P, 3); of what `is_sky` (P,), what lies in the world
        `directions` (P, 3)."""
        turn, shift = self.camera.camera_from_world[:3, :3], self.camera.camera_from_world[:3, 3]
        points = np.where(is_sky[:, None], directions @ turn.T, places @ turn.T + shift)
        depths = points[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            across = points[:, 0] / depths * self.camera.fx + self.camera.cx
            down = points[:, 1] / depths * self.camera.fy + self.camera.cy
            height, width = self.depths.shape
            inside = (depths > 0) & (across >= 0) & (across < width) & (down >= 0) & (down < height)
        which = np.flatnonzero(inside)
        there = self.depths[down[which].astype(int), across[which].astype(int)]
        shown = np.zeros(len(points), bool)
        nothing = np.isinf(there)
        near = np.abs(np.where(nothing, 0, there) - depths[which]) < SAME_DEPTH * depths[which]
        shown[which] = np.where(is_sky[which], nothing, near & ~nothing)
        return shown


def sights_of(
    capture: Capture, frame: TrainingFrame, rasterizer: CpuRasterizer, gaussians: Gaussians
) -> Iterator[Sight]:
    """What at most 64 training photos of a capture show, one after the other; `gaussians` are in `frame`."""
    for view in chosen_views(capture.training_views):
        longer = max(view.camera.width, view.camera.height)
        reduction = max(1.0, longer / LONGER_SIDE_PX)
        width, height = round(view.camera.width / reduction), round(view.camera.height / reduction)
        camera = view.camera.without_distortion().resized(max(1, width), max(1, height))
        with contextlib.suppress(CaptureError):  # there are none, mostly
            depths = at_size(read_depths(depths_of(view)), camera.width, camera.height)
            yield Sight(camera, np.where(depths < NOTHING_FROM, depths, np.inf))
            continue
        nothing = torch.zeros(camera.height, camera.width, 3)
        moved = camera.moved(frame.training_from_world)
        found = evidence_of_view(rasterizer, gaussians, moved, torch.zeros(3), nothing, 1.0).median_depth.numpy()
        yield Sight(camera, np.where(found > 0, found * frame.unit, np.inf))


def counted(camera: Camera, depths: np.ndarray, sights: Sequence[Sight]) -> np.ndarray:
    """(H, W) bool: which pixels of a view count, by its true `depths` (H, W), in capture units at the camera's size."""
    down, across = np.indices(depths.shape).reshape(2, -1) + 0.5
    slopes = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy, np.ones(depths.size)], axis=1)
    directions, flat = slopes @ camera.camera_from_world[:3, :3], depths.reshape(-1, 1)
    is_sky = flat[:, 0] >= NOTHING_FROM
    places = camera.position + directions * np.where(is_sky[:, None], 0, flat)
    photos = sum((sight.shows(places, directions, is_sky).astype(int) for sight in sights), np.zeros(len(places), int))
    return (photos >= LEAST_PHOTOS).reshape(depths.shape)


def at_size(depths: np.ndarray, width: int, height: int) -> np.ndarray:
    """(height, width) depths, each that of one of the pixels: a mean would lie on no surface."""
    rows = ((np.arange(height) + 0.5) * depths.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * depths.shape[1] / width).astype(int)
    return depths[rows[:, None], columns]


def load_counted(
    outside: OutsideView,
    frame: TrainingFrame,
    sights: Sequence[Sight],
    max_resolution: int,
    decode: Decode,
) -> tuple[Photo, np.ndarray]:
    """A view off the path as training would see it, in `frame`, and which of its pixels (H, W) count. Raises
    CaptureError, naming it, when it cannot be read."""
    view = outside.view
    photo = load_photo(view, max_resolution, decode)
    height, width = photo.rgb.shape[:2]
    camera, depths = photo.camera, at_size(read_depths(outside.depths_path), width, height)
    counts = counted(camera, depths, sights)
    return Photo(photo.name, camera.moved(frame.training_from_world), photo.rgb, photo.alpha, photo.mask), counts
