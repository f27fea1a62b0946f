"""What the training cameras cover: from how many of them, from which side and how sharply each place was seen.

A few thousand of the splats stand for all of them (*anchors*, each as much larger as it stands for others). On a coarse
picture they tell what a camera sees. Which of them each training camera sees is kept; a view that is asked about shows
some of them, each from a direction that is so far from the nearest of those (the lesson's envelope). NumPy alone, and
quick enough to follow a view that is being turned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...capture.camera import Camera
from ...gaussians.cloud import GaussianCloud
from ...gaussians.harmonics import sh_to_color
from .anchors import CELLS, TRAINING_CELLS, Seen, anchors_of, look

NEVER_DEG = 180.0  # the angle of what no training camera saw
BESIDE_DEG = 30.0  # cameras that near to a direction count as looking from there


class Envelope(NamedTuple):
    """How far a view lies outside of what was trained. Means are over the J cells that show something."""

    angle_deg: float  # mean angle to the nearest camera that saw the same place; `NEVER_DEG` where none did
    angles_deg: np.ndarray  # (J,) the same, cell by cell
    cell_count: int  # with those that show nothing
    unseen: float  # 0..1 part of those cells whose place no training camera saw
    holes: float  # 0..1 mean square of the transmittance: the error where the background shows, but for its color
    light: float  # mean square of the colors that are seen: what a hole misses
    closer: float  # mean of log2 (how much finer than the sharpest photo of the place), at least 0
    beside: float  # mean number of cameras within `BESIDE_DEG` that saw the place
    distance: float  # of the nearest training camera, in median depths of the view
    seen: Seen


@dataclass(frozen=True)
class Coverage:
    """Anchors, and which cameras saw them. A anchors, C training cameras; lengths and axes are the capture's."""

    points: np.ndarray  # (A, 3) float32
    sizes: np.ndarray  # (A,) float32 sigma, with what each stands for
    opacities: np.ndarray  # (A,) float32
    colors: np.ndarray  # (A, 3) float32 display-encoded, of the first harmonic
    positions: np.ndarray  # (C, 3) of the cameras
    seen_by: np.ndarray  # (A, C) bool
    finest: np.ndarray  # (A,) smallest width of a photo's pixel at the place, in capture units; infinite: never seen

    def around(self, camera: Camera) -> Envelope:
        """How far a view of `camera` lies outside. The same camera gives the same numbers."""
        seen = look(self.points, self.sizes, self.opacities, camera, CELLS)
        cell_count = seen.shape[0] * seen.shape[1]
        if len(seen.anchors) == 0:
            return Envelope(NEVER_DEG, np.empty(0), cell_count, 1.0, 1.0, 0.0, 0.0, 0.0, np.inf, seen)
        which, place = np.unique(seen.anchors, return_inverse=True)
        cosines = self._cosines(which, camera.position)
        is_seen = self.seen_by[which].any(axis=1)
        nearest = np.degrees(np.arccos(np.clip(cosines.max(axis=1), -1, 1)))
        angles = np.where(is_seen, nearest, NEVER_DEG)[place]
        was_seen, colors = is_seen[place], self.colors[seen.anchors]
        beside = (cosines > np.cos(np.radians(BESIDE_DEG))).sum(axis=1)[place]
        width = seen.depths[was_seen] / min(camera.fx, camera.fy)
        finer = np.maximum(np.log2(self.finest[seen.anchors[was_seen]] / width), 0)
        away = np.linalg.norm(self.positions - camera.position, axis=1).min()
        return Envelope(
            angle_deg=float(angles.mean()),
            angles_deg=angles,
            cell_count=cell_count,
            unseen=float(1 - was_seen.mean()),
            holes=seen.holes,
            light=float((colors * colors).mean()),
            closer=float(finer.mean()) if len(finer) else 0.0,
            beside=float(beside.mean()),
            distance=float(away / np.median(seen.depths)),
            seen=seen,
        )

    def _cosines(self, which: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(K, C) of the angles at anchors (K,) between `place` and the cameras that saw them; -2 for the others."""
        points = self.points[which]
        here = (place - points).astype(np.float32)
        here /= np.maximum(np.linalg.norm(here, axis=1, keepdims=True), 1e-12)
        there = self.positions.astype(np.float32)[None] - points[:, None]
        lengths = np.sqrt(np.einsum("jci,jci->jc", there, there))
        cosines = np.einsum("jci,ji->jc", there, here) / np.maximum(lengths, 1e-12)
        return np.where(self.seen_by[which], cosines, np.float32(-2))


def cover(cloud: GaussianCloud, cameras: Sequence[Camera], seed: int = 0) -> Coverage:
    """What `cameras`, in the frame of `cloud`, cover of it. There is at least one, and splats that are finite."""
    positions = np.array([camera.position for camera in cameras])
    chosen, sizes = anchors_of(cloud, positions, seed)
    points, opacities = cloud.means[chosen], cloud.opacities[chosen]
    colors = np.clip(sh_to_color(cloud.sh[chosen, 0]), 0, 1)
    seen_by = np.zeros((len(points), len(cameras)), bool)
    finest = np.full(len(points), np.inf, np.float32)
    for number, camera in enumerate(cameras):
        camera = camera.without_distortion()
        which = look(points, sizes, opacities, camera, TRAINING_CELLS).reached
        seen_by[which, number] = True
        depths = camera.project(points[which])[1]
        finest[which] = np.minimum(finest[which], depths / min(camera.fx, camera.fy))
    return Coverage(points, sizes, opacities, colors, positions, seen_by, finest)
