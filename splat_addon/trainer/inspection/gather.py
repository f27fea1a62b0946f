"""Evidence about every splat: one pass over the photos through the trainer's kernels."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ...capture.capture import View
from ...gaussians.cloud import GaussianCloud
from ...inspection.evidence import HANGS_FROM, MOST_VIEWS, NO_VIEW, USED_FROM, Evidence
from ..backend.cpu.evidence import evidence_of_view
from ..backend.cpu.kernels.evidence import GAP_FROM
from ..backend.cpu.kernels.layout import BEHIND, DISTANCE, GAIN, GAP, HANG, IMPORTANCE, PEAK, WEIGHT
from ..backend.cpu.rasterizer import CpuRasterizer
from ..backend.protocol import Gaussians
from ..photos.photo import Photo

LONGER_SIDE_PX = 200  # of the reduced photos: a quarter of that loses little, see docs/inspection.md
REACH_VIEWS = 8
SKY_FROM = 4.0  # of the reach: pixels that far away are sky, and say nothing about how far things are
LOWER, ABOVE_LOWER = 0.2, 3.0  # before the reach is known: sky is what is so many times as far as that part of pixels
NEXT_FROM = 0.5  # of what a view misses a splat that misses it most: a second one is named, too
NOTHING_THERE = 0.7  # δ: a view finds nothing at a place when its depth is farther by this much, something when nearer
BLOCK = 1 << 18  # splats whose centers are projected at a time


class Stopped(Exception):
    """Somebody asked for the inspection to stop."""


def chosen_views(views: Sequence[View]) -> list[View]:
    """At most `MOST_VIEWS` of them, evenly."""
    places = np.linspace(0, len(views) - 1, min(len(views), MOST_VIEWS)).round().astype(int)
    return [views[place] for place in places]


@torch.no_grad()
def reach_of(rasterizer: CpuRasterizer, cloud: GaussianCloud, photos: Sequence[Photo]) -> float:
    """The median depth of what some of the photos see of `cloud` but for the sky, in its units: what lengths are
    measured by. A sky that was trained lies on a far shell, and may be most of what photos of open scenes see."""
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))
    found = []
    for photo in photos[:: max(1, len(photos) // REACH_VIEWS)][:REACH_VIEWS]:
        background = torch.full((3,), photo.backdrop)
        target = photo.over(background, rasterizer.over)
        depths = evidence_of_view(rasterizer, gaussians, photo.camera, background, target, 1.0).median_depth.numpy()
        found.append(depths[depths > 0])
    depths = np.concatenate(found) if found else np.empty(0)
    if len(depths) == 0:
        return 1.0
    return float(np.median(depths[depths <= ABOVE_LOWER * np.quantile(depths, LOWER)]))


def gather(
    rasterizer: CpuRasterizer,
    cloud: GaussianCloud,
    photos: Sequence[Photo],
    reach: float,
    set_aside: np.ndarray | None = None,
    tell: Callable[[int], None] = lambda done: None,
) -> Evidence:
    """Look through all `photos`, which are reduced and in the frame of `cloud`. All lengths are in its units.

    Depths are measured as if the splats of the mask `set_aside` (N,) were clear. `reach`: see `reach_of`. `tell` is
    called with the number of photos done, and may raise `Stopped`.
    """
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))
    aside = None if set_aside is None else torch.from_numpy(np.ascontiguousarray(set_aside))
    count = len(cloud)
    sums, peak = np.zeros((count, PEAK), np.float64 if count < 1 << 20 else np.float32), np.zeros(count, np.float32)
    used_by = np.zeros(count, np.uint64)
    delta = HANGS_FROM * reach
    centers, mass, needs = _Centers(cloud.means, delta), _Mass(cloud, NOTHING_THERE * delta), _Needs(count)
    for number, photo in enumerate(photos):
        tell(number)
        background = torch.full((3,), photo.backdrop)
        target = photo.over(background, rasterizer.over)
        mask = photo.mask_on(rasterizer.device)
        counts = None if mask is None else mask.float()
        view = evidence_of_view(rasterizer, gaussians, photo.camera, background, target, delta, counts, aside)
        rows, depths = view.sums.numpy(), view.median_depth.numpy()
        sums += rows[:, :PEAK]
        np.maximum(peak, rows[:, PEAK], out=peak)
        used_by[rows[:, PEAK] >= USED_FROM] |= np.uint64(1 << number)
        needs.look(number, rows[:, GAIN], view.error)
        known = depths[(depths > 0) & (depths < SKY_FROM * reach)]
        centers.look(photo, depths, float(np.median(known)) if len(known) else reach)
        mass.look(photo, depths)
    tell(len(photos))
    weight, landing = sums[:, WEIGHT], sums[:, BEHIND]
    seen = np.maximum(centers.seen, 1)
    return Evidence(
        weight=weight.astype(np.float32),
        peak=peak,
        behind=_ratio(landing, weight),
        gap=_ratio(sums[:, GAP], weight),
        hang=_ratio(sums[:, HANG], weight),
        distance=_ratio(sums[:, DISTANCE], landing),
        gain=sums[:, GAIN].astype(np.float32),
        importance=sums[:, IMPORTANCE].astype(np.float32),
        seen=centers.seen,
        looked_through=centers.looked_through,
        view_gap=centers.gaps / seen,
        view_open=mass.open,
        nearness=centers.nearness,
        nearest=centers.nearest,
        used_by=used_by,
        needed_most=needs.most,
        needed_next=needs.next,
        growth=needs.growth,
        mesh_distance=np.zeros(count, np.float32),
        mesh_sigmas=np.zeros(count, np.float32),
        reach=reach,
        view_names=tuple(photo.name for photo in photos),
        view_positions=np.array([photo.camera.position for photo in photos]).reshape(-1, 3),
    )


def arrays_of(cloud: GaussianCloud) -> tuple[np.ndarray, ...]:
    """The parameters in the order of `Gaussians`."""
    return cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh


def _ratio(sums: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return (sums / np.where(whole > 0, whole, 1)).astype(np.float32)


class _Needs:
    """Which two views each splat is missed in most, and how much."""

    def __init__(self, count: int):
        self._grown = np.zeros((2, count), np.float32)  # of the two views, the larger first, in parts of their errors
        self._views = np.full((2, count), NO_VIEW, np.uint8)
        self._errors: list[float] = []

    def look(self, number: int, gain: np.ndarray, error: float) -> None:
        """Take in the growth (N,) of a view's squared error when a splat is removed; `error` is what that is now."""
        self._errors.append(error)
        grown = gain / np.float32(max(error, 1e-12))
        is_next = grown > self._grown[1]
        self._grown[1][is_next], self._views[1][is_next] = grown[is_next], number
        is_most = self._grown[1] > self._grown[0]
        for values in (self._grown, self._views):
            values[:, is_most] = values[::-1, is_most]

    @property
    def most(self) -> np.ndarray:
        return self._views[0]

    @property
    def next(self) -> np.ndarray:
        return np.where(self._grown[1] > NEXT_FROM * self._grown[0], self._views[1], np.uint8(NO_VIEW))

    @property
    def growth(self) -> np.ndarray:
        """(N,) of the errors of these views together."""
        errors = np.zeros(NO_VIEW + 1)
        errors[: len(self._errors)] = self._errors
        first, second = errors[self.most], errors[self.next]
        whole = first + second
        grown = self._grown[0] * first + self._grown[1] * second
        return (grown / np.where(whole > 0, whole, 1)).astype(np.float32)


class _Mass:
    """What views find where the mass of the splats is: at six places, which have its mean and covariance."""

    def __init__(self, cloud: GaussianCloud, margin: float):
        self._means, self._axes, self._margin = cloud.means, _axes(cloud), margin
        self._seen, self._through = (np.zeros((6, len(cloud)), np.uint8) for _ in range(2))

    def look(self, photo: Photo, depths: np.ndarray) -> None:
        """Take in a view with its median depths (H, W): something is there, or nothing, or the view cannot tell."""
        for start in range(0, len(self._means), BLOCK):
            self._look(slice(start, start + BLOCK), photo, depths)

    def _look(self, block: slice, photo: Photo, depths: np.ndarray) -> None:
        camera, camera_from_world = photo.camera, photo.camera.camera_from_world.astype(np.float32)
        means = camera_from_world[:3, :3] @ self._means[block].T + camera_from_world[:3, 3:]
        for place in range(6):
            way = np.float32(3**0.5 if place % 2 else -(3**0.5)) * camera_from_world[:3, :3]
            x, y, z = means + way @ self._axes[place // 2, block].T
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                column, row = x / z * np.float32(camera.fx) + camera.cx, y / z * np.float32(camera.fy) + camera.cy
                inside = np.flatnonzero(
                    (z > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
                )
            pixels = row[inside].astype(np.intp), column[inside].astype(np.intp)
            depth, z = depths[pixels], z[inside]
            through = (depth < 0) | (z < depth - self._margin)
            seen = through | ((depth > 0) & (z < depth + self._margin))
            if photo.mask is not None:
                counts = photo.mask.numpy()[pixels] != 0
                through, seen = through & counts, seen & counts
            self._through[place, block][inside] += through
            self._seen[place, block][inside] += seen

    @property
    def open(self) -> np.ndarray:
        """(N,) 0..1."""
        return (self._through / np.maximum(self._seen, np.float32(1))).mean(axis=0)


def _axes(cloud: GaussianCloud) -> np.ndarray:
    """(3, N, 3) float32: the three axes of each splat, as long as its standard deviation there."""
    w, x, y, z = cloud.rotations.T
    rows = np.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y),
        2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x),
        2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y),
    ]).reshape(3, 3, -1)  # fmt: skip
    return np.ascontiguousarray((rows * cloud.scales.T[:, None]).transpose(0, 2, 1), np.float32)


class _Centers:
    """What views show at the places of the splats' centers."""

    def __init__(self, means: np.ndarray, delta: float):
        self._means, self._delta = means, delta
        count = len(means)
        self.seen, self.looked_through = np.zeros(count, np.uint8), np.zeros(count, np.uint8)
        self.gaps = np.zeros(count, np.float32)
        self.nearness, self.nearest = np.full(count, np.inf, np.float32), np.full(count, np.inf, np.float32)

    def look(self, photo: Photo, depths: np.ndarray, median: float) -> None:
        """Take in a view with its median depths (H, W) and the median of these."""
        for start in range(0, len(self._means), BLOCK):
            self._look(slice(start, start + BLOCK), photo, depths, median)

    def _look(self, block: slice, photo: Photo, depths: np.ndarray, median: float) -> None:
        camera = photo.camera
        camera_from_world = camera.camera_from_world.astype(np.float32)
        x, y, z = camera_from_world[:3, :3] @ self._means[block].T + camera_from_world[:3, 3:]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            column, row = x / z * np.float32(camera.fx) + camera.cx, y / z * np.float32(camera.fy) + camera.cy
            inside = np.flatnonzero(
                (z > 0) & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
            )
        pixels = row[inside].astype(np.intp), column[inside].astype(np.intp)
        counts = np.ones(len(inside), bool) if photo.mask is None else photo.mask.numpy()[pixels] != 0
        inside, depth, z = inside[counts], depths[pixels][counts], z[inside][counts]
        for values, found in ((self.nearest, z), (self.nearness, z / median)):
            part = values[block]
            part[inside] = np.minimum(part[inside], found)
        is_open = (depth > 0) & (z < (1 + GAP_FROM) * depth)
        inside, z, depth = inside[is_open], z[is_open], depth[is_open]
        self.seen[block][inside] += 1
        self.looked_through[block][inside] += (depth - z > self._delta).astype(np.uint8)
        self.gaps[block][inside] += np.maximum(1 - z / depth, 0)
