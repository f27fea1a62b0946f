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
from ..evidence import reach_of_depths
from .anchors import CELLS, TRAINING_CELLS, Seen, anchors_of, look

NEVER_DEG = 180.0  # the angle of what no training camera saw
BESIDE_DEG = 30.0  # cameras that near to a direction count as looking from there
SKY_FROM = 8.0  # of the reach: what is farther is sky


class Envelope(NamedTuple):
    """How far a view lies outside of what was trained. Columns (J,) are those of `seen`."""

    seen: Seen
    shares: np.ndarray  # (J,) of the picture; they sum to the part of it that shows something
    angles_deg: np.ndarray  # (J,) to the nearest camera that saw the same place; `NEVER_DEG` where none did
    beside: np.ndarray  # (J,) number of cameras within `BESIDE_DEG` that saw the place
    closer: np.ndarray  # (J,) log2 of how much finer than the sharpest photo of the place, at least 0
    contrast: np.ndarray  # (J,) variance of the colors in the cell
    is_sky: np.ndarray  # (J,) bool
    light: float  # mean square of the picture's colors: what a hole misses
    inside: float  # 0..1 the part of the picture that is made of splats whose sigma reaches the camera
    distance: float  # of the nearest training camera, in median depths of the view

    @property
    def unseen(self) -> float:
        """0..1 the part of the picture whose place no training camera saw."""
        return float(self.shares[self.angles_deg == NEVER_DEG].sum())

    @property
    def angle_deg(self) -> float:
        """Mean angle over what the picture shows."""
        return float(np.average(self.angles_deg, weights=self.shares)) if len(self.shares) else NEVER_DEG


@dataclass(frozen=True)
class Coverage:
    """Anchors, and which cameras saw them. A anchors, C training cameras; lengths and axes are the capture's."""

    points: np.ndarray  # (A, 3) float32
    sizes: np.ndarray  # (A,) float32 sigma, with what each stands for
    opacities: np.ndarray  # (A,) float32
    colors: np.ndarray  # (A, 3) float32 display-encoded, of the first harmonic
    positions: np.ndarray  # (C, 3) of the cameras
    seen_by: np.ndarray  # (A, C) bool
    distances: np.ndarray  # (A, C) float32 between them
    finest: np.ndarray  # (A,) smallest width of a photo's pixel at the place, in capture units; infinite: never seen
    reach: float  # median depth of what the cameras see, but for the sky

    def around(self, camera: Camera) -> Envelope:
        """How far a view of `camera` lies outside. The same camera gives the same numbers."""
        seen = look(self.points, self.sizes, self.opacities, camera, CELLS)
        if len(seen.anchors) == 0:
            nothing = np.empty(0, np.float32)
            return Envelope(seen, nothing, nothing, nothing, nothing, nothing, np.empty(0, bool), 0.0, 0.0, np.inf)
        which, place = np.unique(seen.anchors, return_inverse=True)
        cosines = self._cosines(which, camera.position)
        angles = np.degrees(np.arccos(np.clip(cosines.max(axis=1), -1, 1)))
        angles = np.where(self.seen_by[which].any(axis=1), angles, NEVER_DEG)[place]
        beside = (cosines > np.cos(np.radians(BESIDE_DEG))).sum(axis=1)[place]
        width = seen.depths / np.float32(min(camera.fx, camera.fy))
        finest = self.finest[seen.anchors]
        closer = np.log2(np.maximum(np.where(np.isfinite(finest), finest, width) / width, 1))
        colors, count = self.colors[seen.anchors], seen.cell_count
        light = np.bincount(seen.cells, seen.weights, count)
        means, squares = (
            np.stack([np.bincount(seen.cells, seen.weights * channel, count) for channel in values.T], axis=1)
            for values in (colors, colors * colors)
        )
        part = np.maximum(light, 1e-6)[:, None]
        contrast = np.maximum(squares / part - (means / part) ** 2, 0).mean(axis=1)
        shares = seen.weights / light[seen.cells] / count
        is_around = np.linalg.norm(self.points[which] - camera.position, axis=1) < self.sizes[which]
        away = np.linalg.norm(self.positions - camera.position, axis=1).min()
        return Envelope(
            seen=seen,
            shares=shares,
            angles_deg=angles,
            beside=beside,
            closer=closer,
            contrast=contrast[seen.cells],
            is_sky=seen.depths > SKY_FROM * self.reach,
            light=float((means * means).mean()),
            inside=float(shares[is_around[place]].sum()),
            distance=float(away / np.median(seen.depths)),
        )

    def _cosines(self, which: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(K, C) of the angles at anchors (K,) between `place` and the cameras that saw them; -2 for the others."""
        points = self.points[which]
        here = (place - points).astype(np.float64)
        here /= np.maximum(np.linalg.norm(here, axis=1, keepdims=True), 1e-12)
        along = here @ self.positions.T - (here * points).sum(axis=1)[:, None]
        return np.where(self.seen_by[which], along / self.distances[which], np.float32(-2))


def cover(cloud: GaussianCloud, cameras: Sequence[Camera], seed: int = 0) -> Coverage:
    """What `cameras`, in the frame of `cloud`, cover of it. There is at least one, and splats that are finite."""
    positions = np.array([camera.position for camera in cameras])
    chosen, sizes = anchors_of(cloud, positions, seed)
    points, opacities = cloud.means[chosen], cloud.opacities[chosen]
    colors = np.clip(sh_to_color(cloud.sh[chosen, 0]), 0, 1)
    seen_by = np.zeros((len(points), len(cameras)), bool)
    finest = np.full(len(points), np.inf, np.float32)
    seen_depths = []
    for number, camera in enumerate(cameras):
        camera = camera.without_distortion()
        seen = look(points, sizes, opacities, camera, TRAINING_CELLS)
        which = seen.reached
        seen_by[which, number] = True
        seen_depths.append(seen.depths)
        depths = camera.project(points[which])[1]
        finest[which] = np.minimum(finest[which], depths / min(camera.fx, camera.fy))
    distances = np.stack([np.linalg.norm(points - place, axis=1) for place in positions], axis=1)
    reach = reach_of_depths(np.concatenate(seen_depths))
    distances = np.maximum(distances, 1e-12).astype(np.float32)
    return Coverage(points, sizes, opacities, colors, positions, seen_by, distances, finest, reach)
