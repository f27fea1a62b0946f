"""Evidence about every splat: one pass over the photos through the trainer's kernels."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ...capture.capture import View
from ...gaussians.cloud import GaussianCloud
from ...gaussians.transform import rotation_matrices
from ...inspection.evidence import HANGS_FROM, MOST_VIEWS, NO_VIEW, USED_FROM, Evidence, reach_of_depths
from ..backend.cpu.evidence import EvidenceOfViews, evidence_of_view
from ..backend.cpu.kernels.layout import (
    BEHIND,
    DISTANCE,
    FOUND_AT,
    GAIN,
    GAP,
    HANG,
    IMPORTANCE,
    LOOKED_THROUGH,
    MASS_PLACES,
    NEAREST,
    NEARNESS,
    OPEN_AT,
    PEAK,
    SEEN,
    VIEW_GAPS,
    WEIGHT,
)
from ..backend.cpu.rasterizer import CpuRasterizer
from ..backend.protocol import Gaussians
from ..photos.photo import Photo

LONGER_SIDE_PX = 200  # of the reduced photos: a quarter of that loses little, see docs/inspection.md
REACH_VIEWS = 8
SKY_FROM = 4.0  # of the reach: pixels that far away are sky, and say nothing about how far things are
NEXT_FROM = 0.5  # of what a view misses a splat that misses it most: a second one is named, too
NOTHING_THERE = 0.35  # δ: a view finds nothing at a place when its depth is farther by this much, something when nearer


class Stopped(Exception):
    """Somebody asked for the inspection to stop."""


def chosen_views(views: Sequence[View]) -> list[View]:
    """At most `MOST_VIEWS` of them, evenly."""
    places = np.linspace(0, len(views) - 1, min(len(views), MOST_VIEWS)).round().astype(int)
    return [views[place] for place in places]


@torch.no_grad()
def reach_of(rasterizer: CpuRasterizer, cloud: GaussianCloud, photos: Sequence[Photo]) -> float:
    """The reach of some of the photos: how far away the pixels are that see `cloud`, in its units."""
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))
    found = []
    for photo in photos[:: max(1, len(photos) // REACH_VIEWS)][:REACH_VIEWS]:
        background = torch.full((3,), photo.backdrop)
        target = photo.over(background, rasterizer.over)
        depths = evidence_of_view(rasterizer, gaussians, photo.camera, background, target, 1.0).median_depth.numpy()
        found.append(depths[depths > 0])
    return reach_of_depths(np.concatenate(found) if found else np.empty(0))


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
    count, delta = len(cloud), HANGS_FROM * reach
    views = EvidenceOfViews(
        rasterizer, gaussians, torch.from_numpy(axes_of(cloud)), delta, NOTHING_THERE * delta, USED_FROM, aside
    )
    for number, photo in enumerate(photos):
        tell(number)
        background = torch.full((3,), photo.backdrop)
        mask = photo.mask_on(rasterizer.device)
        counts = None if mask is None else mask.float()
        depths = views.look(photo.camera, background, photo.over(background, rasterizer.over), counts)
        known = depths[(depths > 0) & (depths < SKY_FROM * reach)]
        views.look_at_places(photo.camera, depths, float(known.median()) if len(known) else reach, counts)
    tell(len(photos))
    sums, places = views.totals.numpy(), views.places.numpy()
    weight, landing, seen = sums[:, WEIGHT], sums[:, BEHIND], places[:, SEEN]
    found = places[:, FOUND_AT : FOUND_AT + MASS_PLACES]
    most, following, growth = _needs(views)
    return Evidence(
        weight=weight.copy(),
        peak=sums[:, PEAK].copy(),
        behind=_ratio(landing, weight),
        gap=_ratio(sums[:, GAP], weight),
        hang=_ratio(sums[:, HANG], weight),
        distance=_ratio(sums[:, DISTANCE], landing),
        gain=sums[:, GAIN].copy(),
        importance=sums[:, IMPORTANCE].copy(),
        seen=seen.astype(np.uint8),
        looked_through=places[:, LOOKED_THROUGH].astype(np.uint8),
        view_gap=_ratio(places[:, VIEW_GAPS], seen),
        view_open=_ratio(places[:, OPEN_AT : OPEN_AT + MASS_PLACES], found).mean(axis=1),
        nearness=places[:, NEARNESS].copy(),
        nearest=places[:, NEAREST].copy(),
        used_by=views.used_by.numpy().view(np.uint64),
        needed_most=most,
        needed_next=following,
        growth=growth,
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


def _needs(views: EvidenceOfViews) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) the view that misses each splat most, (N,) the next one, where it does so by half as much at least, and (N,)
    by how many parts the squared errors of these together grow."""
    grown, missed_in = views.grown.numpy(), views.missed_in.numpy()
    most, following = (np.where(column < 0, NO_VIEW, column).astype(np.uint8) for column in missed_in.T)
    following = np.where(grown[:, 1] > NEXT_FROM * grown[:, 0], following, np.uint8(NO_VIEW))
    errors = np.zeros(NO_VIEW + 1)
    errors[: len(views.errors)] = views.errors
    first, second = errors[most], errors[following]
    return most, following, _ratio(grown[:, 0] * first + grown[:, 1] * second, first + second)


def axes_of(cloud: GaussianCloud) -> np.ndarray:
    """(N, 3, 3) float32: the three axes of each splat, as long as its standard deviation there."""
    axes = rotation_matrices(cloud.rotations).transpose(0, 2, 1)
    return np.ascontiguousarray(axes * cloud.scales[:, :, None], np.float32)
