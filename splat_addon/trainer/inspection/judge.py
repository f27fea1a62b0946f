"""From photos to findings: evidence, a first score, and the evidence again with the certain floaters out of the way."""

from collections.abc import Callable, Sequence

from ...gaussians.cloud import GaussianCloud
from ...inspection.evidence import Evidence
from ...inspection.score import Findings, certain, score_splats
from ..backend.cpu.rasterizer import CpuRasterizer
from ..photos.photo import Photo
from .gather import gather, reach_of


def judge(
    rasterizer: CpuRasterizer, cloud: GaussianCloud, photos: Sequence[Photo], tell: Callable[[float], None]
) -> tuple[Findings, Evidence]:
    """Score every splat of `cloud`, which is in the frame of the photos' cameras.

    Where floaters are most of what a view shows, its median depth lies on floaters, and those behind look sound. So a
    second look goes through what the first one was certain of. `tell` is called with the part that is done.
    """
    steps = 2 * len(photos) or 1
    reach = reach_of(rasterizer, cloud, photos)
    evidence = gather(rasterizer, cloud, photos, reach, None, lambda done: tell(done / steps))
    aside = certain(cloud, evidence)
    evidence = gather(rasterizer, cloud, photos, reach, aside, lambda done: tell(0.5 + done / steps))
    return score_splats(cloud, evidence), evidence
