"""What the meshes of a captured scene say about splats: whether they hang away from every surface, where photos look
past them. It is the strongest evidence there is, and known only where the capture is one of a scene."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..capture.camera import Camera
from ..gaussians.cloud import GaussianCloud
from ..gaussians.neighbors import nearest_distances
from .score import JUDGED, Findings
from .surfaces import are_away, mass_places

WITHOUT_PHOTOS = 0.5  # added to the score of what hangs away from the meshes, which photos alone must not have named
TOO_SPARSE = 2.0  # of the distance that counts as away: samples farther apart cannot tell
FEWEST_ACROSS, MOST_ACROSS = 3, 7  # points across the disc of a sample; of two by two, all lie outside of it
PIXELS = 2  # of a photo, a side of what depths of the surface are compared in
MOST_VIEWS = 24


def filled(positions: np.ndarray, normals: np.ndarray | None, distance: float) -> np.ndarray | None:
    """(Q, 3) samples of surfaces, closer together than a third of `distance`, from fewer (P, 3) with their normals
    (zero where not known): each becomes a disc of points as wide as its neighbors are away. None where they are too far
    apart for that."""
    positions = np.asarray(positions, np.float64)
    if len(positions) < 4 or normals is None:
        return None
    spacing = nearest_distances(positions).mean(axis=1)
    if float(np.median(spacing)) > TOO_SPARSE * distance:
        return None
    across = int(np.clip(np.ceil(2 * np.median(spacing) / (distance / 3)) + 1, FEWEST_ACROSS, MOST_ACROSS))
    steps = np.linspace(-1, 1, across)
    u, v = (grid.ravel() for grid in np.meshgrid(steps, steps))
    inside = u * u + v * v <= 1.01
    helper = np.where(np.abs(normals[:, :1]) < 0.7, [[1.0, 0, 0]], [[0, 1.0, 0]])
    first = np.cross(normals, helper)
    first /= np.maximum(np.linalg.norm(first, axis=1, keepdims=True), 1e-12)
    second = np.cross(normals, first)
    reach = np.minimum(spacing, 2 * np.median(spacing))[:, None, None]
    offsets = first[:, None] * u[inside, None] + second[:, None] * v[inside, None]
    return (positions[:, None] + reach * offsets).reshape(-1, 3)


def hanging_share(
    cloud: GaussianCloud, surface: np.ndarray, cameras: Sequence[Camera], distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """(N,), (N,) the part of each splat's mass, 0..1 in twelfths, that is farther than about `distance` from every one
    of the points `surface` (Q, 3); and the part that some of the cameras sees past by as much, besides. All in the same
    units and frame."""
    places = mass_places(cloud).astype(np.float32)
    is_off = are_away(places.reshape(-1, 3), surface, distance)
    off = np.flatnonzero(is_off)
    points, is_past = places.reshape(-1, 3)[off], np.zeros(len(off), bool)
    surface = surface.astype(np.float32)
    chosen = np.linspace(0, len(cameras) - 1, min(len(cameras), MOST_VIEWS)).round().astype(int)
    for number in chosen:
        camera = cameras[number]
        depths = _nearest_depths(camera, surface)
        inside, pixels, z = _pixels(camera, points)
        is_past[inside] |= z < depths.ravel()[pixels] - distance
    past = np.zeros(len(is_off), bool)
    past[off] = is_past
    count = places.shape[1]
    share, hanging = (mask.reshape(-1, count).mean(axis=1).astype(np.float32) for mask in (is_off, past))
    return share, hanging


def with_source_mesh(findings: Findings, hanging: np.ndarray) -> Findings:
    """The findings with what the meshes say: of what is near them nothing is left, the rest is more likely a floater.

    Meshes that were not sampled do no harm: photos have to find something, too, before anything is selected."""
    score = np.where(findings.kind == JUDGED, hanging * (findings.score + WITHOUT_PHOTOS), 0)
    return replace(findings, score=score.astype(np.float32))


def _nearest_depths(camera: Camera, surface: np.ndarray) -> np.ndarray:
    """(h, w) the depth of what is nearest in or beside each square of `PIXELS`, infinite where nothing is."""
    width, height = -(-camera.width // PIXELS), -(-camera.height // PIXELS)
    _, pixels, z = _pixels(camera, surface)
    nearest = np.full(width * height, np.inf, np.float32)
    np.minimum.at(nearest, pixels, z)
    around = np.pad(nearest.reshape(height, width), 1, constant_values=np.inf)
    return np.min([around[i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)


def _pixels(camera: Camera, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of the points (P, 3) a camera holds, the number of the square that each of these is in, and its depth."""
    matrix = camera.camera_from_world.astype(np.float32)
    x, y, z = matrix[:3, :3] @ points.T + matrix[:3, 3:]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        column, row = x / z * np.float32(camera.fx) + camera.cx, y / z * np.float32(camera.fy) + camera.cy
        inside = np.flatnonzero((z > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height))
    squares = (row[inside] // PIXELS).astype(np.intp) * -(-camera.width // PIXELS)
    return inside, squares + (column[inside] // PIXELS).astype(np.intp), z[inside]
