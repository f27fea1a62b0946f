"""Where the capture is one of a scene: how much of each splat hangs off its meshes, and how far."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ...capture.capture import Capture
from ...capture.formats.transforms import is_own_capture
from ...gaussians.cloud import GaussianCloud
from ...gaussians.neighbors import nearest_distances
from ...inspection.source_mesh import filled, hanging_share
from ...inspection.surfaces import AWAY_FROM, mass_places
from ...run.events import Event, Warned
from ..photos.photo import Photo
from ..training_frame import TrainingFrame

MOSTLY = 0.5  # of a splat's mass: with more off the mesh, it is said how far
PAIRS = 1 << 24  # of splats and seeds whose distance is computed at a time
MOST_PAIRS = 1 << 30  # with more, every so many-th seed stands for its neighbors


class OffMesh(NamedTuple):
    """Columns (N,) of splats, in the frame of training."""

    share: np.ndarray  # 0..1 of the mass that is off the meshes
    hanging: np.ndarray  # 0..1 of the mass that photos look past, besides
    distance: np.ndarray  # from the center to the mesh, where most of the mass is off it; else 0
    sigmas: np.ndarray  # the same in standard deviations of the splat in that direction


def off_source_mesh(
    cloud: GaussianCloud,
    capture: Capture,
    frame: TrainingFrame,
    photos: Sequence[Photo],
    reach: float,
    send: Callable[[Event], None],
) -> OffMesh | None:
    """How much of each splat is off the meshes of a captured scene, and how far; None for photo captures, which have
    none. The seeds of a scene are samples of its meshes."""

    if not is_own_capture(capture.folder) or capture.points is None or capture.points.normals is None:
        return None
    points = capture.points.moved(frame.training_from_world)
    surface = filled(points.positions, points.normals, AWAY_FROM * reach)
    if surface is None:
        told = "The capture's seeds are too few to say what hangs off the source mesh: photos alone judge."
        send(Warned(told, "Sample more seeds from the meshes."))
        return None
    share, hanging = hanging_share(cloud, surface, [photo.camera for photo in photos], AWAY_FROM * reach)
    assert points.normals is not None
    far = np.flatnonzero(share > MOSTLY)
    distance, sigmas = np.zeros(len(cloud), np.float32), np.zeros(len(cloud), np.float32)
    if len(far):
        distance[far], sigmas[far] = distances(cloud.select(far), points.positions, points.normals)
    return OffMesh(share, hanging, distance, sigmas)


@torch.no_grad()
def distances(cloud: GaussianCloud, positions: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,), (N,) how far the centers are from the mesh around the nearest of its samples, which are discs at
    `positions` (P, 3) with `normals` (P, 3), as wide as their neighbors are away; in units and in standard deviations
    of each splat in that direction."""
    every = max(1, len(cloud) * len(positions) // MOST_PAIRS)
    positions, normals = positions[::every].astype(np.float64), normals[::every]
    radii = nearest_distances(positions).mean(axis=1)
    means, samples = (torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in (cloud.means, positions))
    rows = max(1, PAIRS // len(samples))
    nearest = torch.cat([torch.cdist(part, samples).argmin(dim=1) for part in means.split(rows)]).numpy()
    offset = positions[nearest] - cloud.means
    height = (offset * normals[nearest]).sum(axis=1, keepdims=True) * normals[nearest]
    aside = offset - height
    length = np.linalg.norm(aside, axis=1, keepdims=True)
    aside *= np.maximum(length - radii[nearest, None], 0) / np.maximum(length, 1e-12)
    way = height + aside
    distance = np.linalg.norm(way, axis=1)
    direction = way / np.maximum(distance, 1e-12)[:, None]
    places = mass_places(cloud) - cloud.means[:, None]  # of twelve with the covariance of the splat
    sigma = np.sqrt((np.einsum("nsi,ni->ns", places, direction) ** 2).mean(axis=1))
    return distance.astype(np.float32), (distance / np.maximum(sigma, 1e-12)).astype(np.float32)
