"""Colors for points from the photos that see them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...errors import CaptureError
from ..camera import Camera
from ..capture import Points, View
from ..photos.reading import Decode, read_mask, read_photo

MOST_VIEWS = 64  # spread over all training views
LONGEST_SIDE_PX = 800
OPAQUE = 128  # alpha from which on a pixel shows something
MOST_PIXELS_PER_CELL = 32  # along one side, of the coarse depth image
STEEPEST = 1.5  # how much nearer, in cells, a surface may be within one cell of the depth image without hiding another


@dataclass(frozen=True)
class Photo:
    """A reduced photo with its camera."""

    camera: Camera
    pixels: np.ndarray  # (H, W, 4) uint8, straight alpha
    counts: np.ndarray | None = None  # (H, W) bool, False where a mask or the lens leaves nothing to be seen

    def look_up(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colors (Q, 4) at places (Q, 2) within the image, and whether (Q,) these count."""
        columns, rows = pixels.astype(np.int64).T
        counts = np.ones(len(pixels), dtype=bool) if self.counts is None else self.counts[rows, columns]
        return self.pixels[rows, columns], counts


ReadPhoto = Callable[[View], Photo | None]
"""Reads a view's photo as its camera measured it (see `capture/photos/reading.py`); None where it cannot be used."""


def read_photos(views: tuple[View, ...], read_photo: ReadPhoto) -> list[Photo]:
    """At most `MOST_VIEWS` of the views. Photos that cannot be used are left out."""
    photos = (read_photo(view) for view in views[:: -(-len(views) // MOST_VIEWS) or 1])
    return [photo for photo in photos if photo is not None]


def read_seed_photo(view: View, decode: Decode) -> Photo | None:
    """A view's photo, reduced, as `decode` gives it; None when it cannot be used."""
    try:
        read = read_photo(view, decode, _reduced)
        weights = read_mask(view, read.full_size, decode)
    except CaptureError:
        return None
    counts = None
    if weights is not None:  # of each pixel, the mask's nearest
        sides = zip(read.full_size[::-1], weights.shape, strict=True)
        rows, columns = ((2 * np.arange(photo) + 1) * mask // (2 * photo) for photo, mask in sides)
        counts = _reduced(weights[np.ix_(rows, columns)] != 0)
    return _photo(view.camera.resized(*read.full_size), read.pixels, counts)


def reduced_photo(camera: Camera, pixels: np.ndarray, counts: np.ndarray | None = None) -> Photo:
    """A photo (H, W, 3 or 4) of `camera`, of the same size, reduced; `counts` (H, W) as in Photo."""
    return _photo(camera, _reduced(pixels), None if counts is None else _reduced(counts))


def _reduced(plane: np.ndarray) -> np.ndarray:
    """Each n-th pixel, so that the longer side has at most `LONGEST_SIDE_PX`."""
    step = _step(plane.shape[1], plane.shape[0])
    rows, columns = plane.shape[0] // step, plane.shape[1] // step
    return np.ascontiguousarray(plane[step // 2 :: step, step // 2 :: step][:rows, :columns])


def _step(width: int, height: int) -> int:
    return -(-max(width, height) // LONGEST_SIDE_PX)


def _photo(camera: Camera, pixels: np.ndarray, counts: np.ndarray | None) -> Photo:
    """Pixels that `_reduced` has left of a photo of `camera`."""
    rows, columns = pixels.shape[:2]
    if pixels.shape[2] == 3:
        pixels = np.concatenate([pixels, np.full((rows, columns, 1), 255, np.uint8)], axis=2)
    step = _step(camera.width, camera.height)
    cut = replace(camera, width=columns * step, height=rows * step)  # a rest at the right and below is left out
    return Photo(cut.resized(columns, rows), pixels, counts)


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
        seen, pixels, depths = photo.camera.seen(points.positions)
        is_visible = _in_front(photo.camera, pixels, depths) & (slot[seen] >= 0)
        seen, (samples, counts) = seen[is_visible], photo.look_up(pixels[is_visible])
        weight = (counts & (samples[:, 3] >= OPAQUE)).astype(np.float64)
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
        seen, pixels, _ = photo.camera.seen(places)
        samples, counts = photo.look_up(pixels)
        seen, samples = seen[counts], samples[counts]
        seen_by[seen] += 1
        sums[seen] += samples[:, :3] / 255.0
        is_left = np.ones(len(left), dtype=bool)
        is_left[seen] = samples[:, 3] >= OPAQUE
        if not is_left.all():
            left, places, seen_by, sums = left[is_left], places[is_left], seen_by[is_left], sums[is_left]
    colors = np.where(seen_by[:, None] > 0, sums / np.maximum(seen_by, 1)[:, None], np.nan)
    return left, seen_by, colors


def project_visible(camera: Camera, positions: np.ndarray, hides: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Indices (Q,) and pixels (Q, 2) of the points (P, 3) that a camera sees: within its image and, if points hide
    each other, with nothing before them."""
    seen, pixels, depths = camera.seen(positions)
    is_visible = _in_front(camera, pixels, depths) if hides and len(seen) else np.ones(len(seen), dtype=bool)
    return seen[is_visible], pixels[is_visible]


def is_seen(camera: Camera, positions: np.ndarray) -> np.ndarray:
    """(P,) whether points (P, 3) lie within the camera's image."""
    result = np.zeros(len(positions), dtype=bool)
    result[camera.seen(positions)[0]] = True
    return result


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
