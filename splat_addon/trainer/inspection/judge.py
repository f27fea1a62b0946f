"""From photos to findings: evidence, a first score, and the evidence again with the certain floaters out of the way."""

from collections.abc import Callable, Sequence

import numpy as np

from ...gaussians.cloud import GaussianCloud
from ...inspection.evidence import Evidence
from ...inspection.score import Findings, are_aside, certain_at_first, score_splats
from ..backend.cpu.rasterizer import CpuRasterizer
from ..photos.photo import Photo
from .gather import gather, reach_of

EARLY_VIEWS = 24  # of the photos are enough to learn what is out of the way of depths


def judge(
    rasterizer: CpuRasterizer, cloud: GaussianCloud, photos: Sequence[Photo], tell: Callable[[float], None]
) -> tuple[Findings, Evidence]:
    """Score every splat of `cloud`, which is in the frame of the photos' cameras.

    Where floaters are most of what a view shows, its median depth lies on floaters, and those behind look sound. So the
    second look goes through what the first one was certain of, and the third through what the second one suspects.
    `tell` is called with the part that is done.
    """
    places = np.linspace(0, len(photos) - 1, min(len(photos), EARLY_VIEWS)).round().astype(int)
    early = [photos[place] for place in places]
    steps = 2 * len(early) + len(photos) or 1
    reach = reach_of(rasterizer, cloud, photos)
    evidence = gather(rasterizer, cloud, early, reach, None, lambda done: tell(done / steps))
    aside = certain_at_first(cloud, evidence)
    evidence = gather(rasterizer, cloud, early, reach, aside, lambda done: tell((len(early) + done) / steps))
    aside = are_aside(cloud, evidence)
    evidence = gather(rasterizer, cloud, photos, reach, aside, lambda done: tell((2 * len(early) + done) / steps))
    return score_splats(cloud, evidence), evidence
