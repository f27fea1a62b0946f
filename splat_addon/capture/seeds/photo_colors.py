"""Colors for points from the photos that see them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..camera import Camera
from ..capture import Points, View

ReadPixels = Callable[[Path], np.ndarray | None]
"""Decodes a photo: (H, W, 4) bytes, display-encoded, straight alpha, first row on top; None when it cannot."""

MOST_VIEWS = 64  # spread over all training views
LONGEST_SIDE_PX = 800
OPAQUE = 128  # alpha from which on a pixel shows something
MOST_PIXELS_PER_CELL = 32  # along one side, of the coarse depth image
STEEPEST = 1.5  # how much nearer, in cells, a surface may be within one cell of the depth image without hiding another


@dataclass(frozen=True)
class Photo:
    """A reduced photo with its camera."""

    camera: Camera
    pixels: np.ndarray  # (H, W, 4) uint8


def read_photos(views: tuple[View, ...], read_pixels: ReadPixels) -> list[Photo]:
    """At most `MOST_VIEWS` of the views, each n-th pixel of each. Photos that cannot be read, or do not fit their
    camera, are left out."""
    photos = []
    for view in views[:: -(-len(views) // MOST_VIEWS) or 1]:
        pixels = read_pixels(view.image_path)
        if pixels is None:
            continue
        height, width = pixels.shape[:2]
        camera = view.camera
        if abs((width / height) / (camera.width / camera.height) - 1) > 0.02:
            continue
        step = -(-max(width, height) // LONGEST_SIDE_PX)
        rows, columns = height // step, width // step
        pixels = pixels[step // 2 :: step, step // 2 :: step][:rows, :columns]
        reduced = camera.resized(width, height).resized(columns * step, rows * step).resized(columns, rows)
        photos.append(Photo(reduced, np.ascontiguousarray(pixels)))
    return photos


def color_points(points: Points, photos: list[Photo]) -> np.ndarray:
    """(P, 3) the points' colors, those that are NaN taken from the photos in which the point is visible.

    Visible is what a coarse depth image of all points does not hide and the photo's alpha does not leave out; views
    along the surface count less. What no photo shows stays NaN.
    """
    colors = np.array(points.colors, dtype=np.float64)
    asking = np.flatnonzero(np.isnan(colors).any(axis=1))
    sums, weights = np.zeros((len(asking), 3)), np.zeros(len(asking))
    slot = np.full(len(colors), -1)
    slot[asking] = np.arange(len(asking))
    for photo in photos if len(asking) else ():
        seen, pixels, depths = _inside(photo.camera, points.positions)
        is_visible = _in_front(photo.camera, pixels, depths) & (slot[seen] >= 0)
        seen, samples = seen[is_visible], _look_up(photo, pixels[is_visible])
        weight = (samples[:, 3] >= OPAQUE).astype(np.float64)
        if points.normals is not None:
            weight *= _facing(photo.camera, points.positions[seen], points.normals[seen])
        sums[slot[seen]] += samples[:, :3] / 255.0 * weight[:, None]
        weights[slot[seen]] += weight
    colors[asking] = np.where(weights[:, None] > 0, sums / np.maximum(weights, 1e-9)[:, None], np.nan)
    return colors


def look_through(positions: np.ndarray, photos: list[Photo]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For places in space, hidden by nothing: indices (Q,) of those that no photo shows to be empty by its transparency
    (the visual hull, Laurentini 1994), in how many photos each of these lies (Q,), and their mean color there (Q, 3),
    NaN where there is none."""
    left, places = np.arange(len(positions)), positions
    seen_by, sums = np.zeros(len(left)), np.zeros((len(left), 3))
    for photo in photos:
        seen, pixels, _ = _inside(photo.camera, places)
        samples = _look_up(photo, pixels)
        seen_by[seen] += 1
        sums[seen] += samples[:, :3] / 255.0
        is_left = np.ones(len(left), dtype=bool)
        is_left[seen] = samples[:, 3] >= OPAQUE
        if not is_left.all():
            left, places, seen_by, sums = left[is_left], places[is_left], seen_by[is_left], sums[is_left]
    colors = np.where(seen_by[:, None] > 0, sums / np.maximum(seen_by, 1)[:, None], np.nan)
    return left, seen_by, colors


def _inside(camera: Camera, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the points (P, 3) within the image, their pixels (Q, 2) and depths (Q,).

    Far outside, a lens polynomial may fold back into the image: there the pinhole decides.
    """
    straight, depths = camera.without_distortion().project(positions)
    size = np.array([camera.width, camera.height])
    near = np.flatnonzero((depths > 0) & (np.abs(straight - size / 2) < size).all(axis=1))
    pixels, depths = camera.project(positions[near]) if any(camera.distortion) else (straight[near], depths[near])
    inside = ((pixels >= 0) & (pixels < size)).all(axis=1)
    return near[inside], pixels[inside], depths[inside]


def project_visible(camera: Camera, positions: np.ndarray, hides: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Indices (Q,) and pixels (Q, 2) of the points (P, 3) that a camera sees: within its image and, if points hide
    each other, with nothing before them."""
    seen, pixels, depths = _inside(camera, positions)
    is_visible = _in_front(camera, pixels, depths) if hides and len(seen) else np.ones(len(seen), dtype=bool)
    return seen[is_visible], pixels[is_visible]


def is_seen(camera: Camera, positions: np.ndarray) -> np.ndarray:
    """(P,) whether points (P, 3) lie within the camera's image."""
    result = np.zeros(len(positions), dtype=bool)
    result[_inside(camera, positions)[0]] = True
    return result


def _look_up(photo: Photo, pixels: np.ndarray) -> np.ndarray:
    places = pixels.astype(np.int64)
    return photo.pixels[places[:, 1], places[:, 0]]


def _in_front(camera: Camera, pixels: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """(Q,) whether nothing lies before a point in an image of depths so coarse that surfaces have no holes in it."""
    cell_px = 3 * np.sqrt(camera.width * camera.height / max(len(pixels), 1))
    cell_px = min(max(cell_px, 2.0), MOST_PIXELS_PER_CELL)
    columns = int(camera.width / cell_px) + 1
    cells = (pixels[:, 1] / cell_px).astype(np.int64) * columns + (pixels[:, 0] / cell_px).astype(np.int64)
    nearest = np.full(columns * (int(camera.height / cell_px) + 1), np.inf)
    np.minimum.at(nearest, cells, depths)
    return depths <= nearest[cells] * (1 + STEEPEST * cell_px / camera.fx)


def _facing(camera: Camera, positions: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """(Q,) squared cosine between the normal (either side) and the view; 1 where the normal is not known."""
    toward = camera.position - positions
    toward /= np.maximum(np.linalg.norm(toward, axis=1, keepdims=True), 1e-12)
    cosine = np.abs((toward * normals).sum(axis=1))
    return np.where(np.any(normals, axis=1), cosine**2, 1.0)
