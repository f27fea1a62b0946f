"""Colors of points in photos: what is decoded, and how it is compared."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..camera import Camera
from ..capture import View
from ..photos.orientation import AS_STORED
from ..points import Points
from ..seeds.photo_colors import project_visible

Decode = Callable[[View, int], np.ndarray | None]
"""A view's photo as its camera saw it, the longer side at most so many pixels: (H, W, 3 or 4) floats 0..1, straight
alpha; None when it cannot be read."""

MOST_VIEWS = 64  # spread over the capture
MOST_POINTS = 30_000
MOST_IN_PHOTO = 1500
LONGEST_SIDE_PX = 320
DECODING_S = 6.0  # then the photos that were decoded have to do, if they are at least
FEWEST_VIEWS = 4
FEWEST_POINTS = 30  # in a photo, for it to be judged
CLEAR_GAIN = 0.1  # mean correlation by which another reading has to be better than the capture as it is
WITHOUT_COLORS = 0.7  # correlation from which photos agree with each other although points have other colors
ORIENTATIONS = {  # Exif: relative place (x, y) in the camera's image -> in the picture
    2: ("mirrored", lambda x, y: (1 - x, y)),
    3: ("turned by 180 degrees", lambda x, y: (1 - x, 1 - y)),
    4: ("upside down in a mirror", lambda x, y: (x, 1 - y)),
    5: ("mirrored and turned by 90 degrees", lambda x, y: (y, x)),
    6: ("turned by 90 degrees", lambda x, y: (y, 1 - x)),
    7: ("mirrored and turned by 90 degrees", lambda x, y: (1 - y, 1 - x)),
    8: ("turned by 90 degrees", lambda x, y: (1 - y, x)),
}


def sampled(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, chosen at random, always the same."""
    if len(values) <= most:
        return values
    return values[np.sort(np.random.default_rng(0).choice(len(values), most, replace=False))]


def decoded(
    views: tuple[View, ...], decode: Decode, tell: Callable[[float], None]
) -> tuple[list[View], list[np.ndarray], list[str]]:
    """Views spread over the capture with their photos, as many as there is time for, and what could not be read."""
    sample = list(views[:: -(-len(views) // MOST_VIEWS) or 1])
    order = np.random.default_rng(0).permutation(len(sample))
    found: dict[int, np.ndarray] = {}
    unreadable = []
    began = time.monotonic()
    for done, index in enumerate(order):
        if time.monotonic() - began > DECODING_S and len(found) >= FEWEST_VIEWS:
            break
        pixels = decode(sample[index], LONGEST_SIDE_PX)
        if pixels is None:
            unreadable.append(sample[index].listed_as or sample[index].name)
        else:
            found[index] = ranked(pixels)
        tell(0.8 * (done + 1) / len(order))
    places = sorted(found)
    return [sample[index] for index in places], [found[index] for index in places], sorted(unreadable)


def ranked(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 4) float32: each color's rank within its photo, 0..1, and alpha."""
    height, width = pixels.shape[:2]
    result = np.ones((height, width, 4), np.float32)
    for channel in range(3):
        levels = np.rint(np.clip(pixels[..., min(channel, pixels.shape[2] - 1)], 0, 1) * 255).astype(np.intp)
        counts = np.bincount(levels.ravel(), minlength=256)
        result[..., channel] = ((np.cumsum(counts) - counts / 2) / levels.size)[levels]
    if pixels.shape[2] == 4:
        result[..., 3] = pixels[..., 3]
    return result


@dataclass(frozen=True)
class Measured:
    """Views with enough points in them, their photos by rank, and the points with the colors to compare with."""

    views: list[View]
    photos: list[np.ndarray]
    positions: np.ndarray
    colors: np.ndarray  # (P, 3); NaN where only photos can tell

    @staticmethod
    def of(points: Points, views: list[View], photos: list[np.ndarray]) -> "Measured":
        table = np.concatenate([points.positions, points.colors], axis=1)
        table = sampled(table[np.isfinite(table[:, :3]).all(axis=1)], MOST_POINTS)
        return Measured(views, photos, table[:, :3], table[:, 3:])

    @property
    def is_colored(self) -> bool:
        """Whether the points have colors of their own."""
        known = np.isfinite(self.colors).all(axis=1)
        return bool(known.mean() > 0.5 and self.colors[known].std(axis=0).max() > 1e-3)

    def thinned(self, most_views: int, most_points: int) -> "Measured":
        """At most so many views, spread over these, and points."""
        step = -(-len(self.views) // most_views) or 1
        table = sampled(np.concatenate([self.positions, self.colors], axis=1), most_points)
        return Measured(self.views[::step], self.photos[::step], table[:, :3], table[:, 3:])

    def moved(self, similarity: np.ndarray) -> "Measured":
        """With points that a similarity (3, 4) has moved."""
        return replace(self, positions=self.positions @ similarity[:, :3].T + similarity[:, 3])


def _projected(camera: Camera, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of points that a camera sees, and their places relative to its image, 0..1."""
    seen, pixels = project_visible(camera, positions)
    both = sampled(np.concatenate([seen[:, None], pixels / (camera.width, camera.height)], axis=1), MOST_IN_PHOTO)
    return both[:, 0].astype(np.intp), both[:, 1:]


def _looked_up(photo: np.ndarray, places: np.ndarray, orientation: int = 1) -> np.ndarray:
    x, y = places.T if orientation == AS_STORED else ORIENTATIONS[orientation][1](*places.T)
    across, down = _pixels(photo.shape[:2], x, y)
    return photo[down, across]


def _pixels(shape: tuple[int, ...], x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = shape
    return np.clip(x * width, 0, width - 1).astype(np.intp), np.clip(y * height, 0, height - 1).astype(np.intp)


def _correlations(pixels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(n,) of the colors at points in n photos, (n, Q, 4), with the reference (Q, 3), without the means; NaN where too
    little is known."""
    is_known = (pixels[..., 3] >= 0.5) & np.isfinite(reference).all(axis=1)
    counts = is_known.sum(axis=1)
    weights = is_known.astype(np.float64) / np.maximum(counts, 1)[:, None]
    seen, known = pixels[..., :3].astype(np.float64), np.nan_to_num(reference)
    seen_mean, known_mean = np.einsum("nq,nqc->nc", weights, seen), weights @ known
    together = np.einsum("nqc,qc->nq", seen, known)
    covariance = (weights * together).sum(axis=1) - (seen_mean * known_mean).sum(axis=1)
    of_seen = (weights * np.einsum("nqc,nqc->nq", seen, seen)).sum(axis=1) - (seen_mean**2).sum(axis=1)
    of_known = weights @ (known**2).sum(axis=1) - (known_mean**2).sum(axis=1)
    size = np.sqrt(np.maximum(of_seen, 0) * np.maximum(of_known, 0))
    result = np.where(size > 1e-9, covariance / np.maximum(size, 1e-9), 0.0)
    return np.where(counts >= FEWEST_POINTS, result, np.nan)


def _references(measured: Measured, projected: list, samples: list[np.ndarray], by_photos: bool) -> list[np.ndarray]:
    """For each view the colors (Q, 3) that its points should have: their own, or their mean in all other photos."""
    if not by_photos:
        return [_rank_rows(measured.colors[seen]) for seen, _ in projected]
    sums, counts = np.zeros((len(measured.positions), 3)), np.zeros(len(measured.positions))
    for (seen, _), sample in zip(projected, samples, strict=True):
        weight = (sample[:, 3] >= 0.5).astype(np.float64)
        sums[seen] += sample[:, :3] * weight[:, None]
        counts[seen] += weight
    references = []
    for (seen, _), sample in zip(projected, samples, strict=True):
        weight = (sample[:, 3] >= 0.5).astype(np.float64)
        others = counts[seen] - weight
        rest = (sums[seen] - sample[:, :3] * weight[:, None]) / np.maximum(others, 1)[:, None]
        references.append(np.where(others[:, None] > 0, rest, np.nan))
    return references


def _rank_rows(colors: np.ndarray) -> np.ndarray:
    """Ranks 0..1 of each channel, equal values sharing one."""
    ranks = np.empty(colors.shape)
    for channel, values in enumerate(colors.T):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks[:, channel] = ((np.cumsum(counts) - counts / 2) / len(values))[inverse.reshape(-1)]
    ranks[~np.isfinite(colors).all(axis=1)] = np.nan
    return ranks


def matrix(measured: Measured, by_photos: bool) -> np.ndarray:
    """(C, C) correlation of what the points in view i look like with photo j at their places in view i."""
    projected = [_projected(view.camera, measured.positions) for view in measured.views]
    own = [_looked_up(photo, places) for photo, (_, places) in zip(measured.photos, projected, strict=True)]
    references = _references(measured, projected, own, by_photos)
    stacks = [(group, np.stack([measured.photos[index] for index in group])) for group in _of_one_size(measured.photos)]
    scores = np.full((len(own), len(own)), np.nan)
    for row, ((_, places), reference) in enumerate(zip(projected, references, strict=True)):
        for group, photos in stacks:
            across, down = _pixels(photos.shape[1:3], *places.T)
            scores[row, group] = _correlations(photos[:, down, across], reference)
    return scores


def _of_one_size(photos: list[np.ndarray]) -> list[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, photo in enumerate(photos):
        groups.setdefault(photo.shape, []).append(index)
    return list(groups.values())


def own_scores(
    measured: Measured, by_photos: bool, cameras: list[Camera] | None = None, orientations: list[int] | None = None
) -> np.ndarray:
    """(C,) correlation of each view with its own photo, with other cameras, or photos turned; 0 where nothing can be
    seen."""
    cameras = cameras or [view.camera for view in measured.views]
    orientations = orientations or [AS_STORED] * len(cameras)
    projected = [_projected(camera, measured.positions) for camera in cameras]
    own = [
        _looked_up(photo, places, orientation)
        for photo, (_, places), orientation in zip(measured.photos, projected, orientations, strict=True)
    ]
    references = _references(measured, projected, own, by_photos)
    return np.nan_to_num(
        [_correlations(sample[None], reference)[0] for sample, reference in zip(own, references, strict=True)], nan=0.0
    )


def turned_scores(measured: Measured, orientations: list[int], by_photos: bool) -> np.ndarray:
    """(C, len(orientations)) correlation of each view with its own photo turned, those of all others as they are; NaN
    where too little is seen."""
    projected = [_projected(view.camera, measured.positions) for view in measured.views]
    own = [_looked_up(photo, places) for photo, (_, places) in zip(measured.photos, projected, strict=True)]
    references = _references(measured, projected, own, by_photos)
    return np.array(
        [
            [_correlations(_looked_up(photo, places, each)[None], reference)[0] for each in orientations]
            for photo, (_, places), reference in zip(measured.photos, projected, references, strict=True)
        ]
    )


def angles_deg(views: list[View]) -> np.ndarray:
    """(C, C) by how much each camera is turned from each other."""
    turns = np.stack([view.camera.camera_from_world[:3, :3] for view in views])
    traces = np.einsum("aij,bij->ab", turns, turns)
    return np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1)))
