"""Evidence about every gaussian, of one view or of many: what `kernels/evidence.py` and `kernels/places.py` are given.
Memory and threads are here."""

from typing import NamedTuple

import torch
from torch import Tensor

from ....capture.camera import Camera
from ..blend_space import decode_srgb, is_linear
from ..protocol import Gaussians
from .kernels.layout import EVIDENCE, EVIDENCE_SCRATCH, NEAREST, NEARNESS, PEAK, PLACES, RECORD, SET_ASIDE
from .passes import ForwardPass, Parameters, camera_numbers, draw, flat
from .rasterizer import CpuRasterizer

ROWS_BYTES = 1 << 28  # all threads' sums together; for more gaussians than fit, fewer threads gather


class ViewEvidence(NamedTuple):
    """What one view tells. Sums are over its pixels, weighted by how much they count; see `kernels/evidence.py`."""

    sums: Tensor  # (N, 8) in the order of `kernels/layout.py`
    median_depth: Tensor  # (H, W) capture units, 0 where the view stays clear; -1: but for what is set aside
    image: Tensor  # (H, W, 3) the view in the blend space
    error: float  # Σ |photo - image|²


@torch.no_grad()
def evidence_of_view(
    rasterizer: CpuRasterizer,
    gaussians: Gaussians,
    camera: Camera,
    background: Tensor,
    photo: Tensor,
    delta: float,
    counts: Tensor | None = None,
    set_aside: Tensor | None = None,
    drawn: ForwardPass | None = None,
) -> ViewEvidence:
    """Compare one view with its `photo` (H, W, 3), display-encoded; `background` (3,) too.

    Light lands behind a gaussian where the median depth is farther by more than `delta`. `counts` (H, W) weighs the
    pixels, 0 … 1. `set_aside` (N,) marks gaussians that the median depth looks through. `drawn` is this view, where it
    was drawn before. Errors are in the light that colors are blended in. Raises `InvalidParameters` for numbers that
    are not finite.
    """
    count = len(gaussians.means)
    sums = torch.zeros(_parts(rasterizer, count), count * EVIDENCE)
    depths, image, error = _gathered(
        rasterizer, gaussians, camera, background, photo, delta, counts, set_aside, sums, drawn
    )
    rows = sums.view(-1, count, EVIDENCE)
    total = rows[0]
    for others in rows[1:]:
        peak = torch.maximum(total[:, PEAK], others[:, PEAK])
        total += others
        total[:, PEAK] = peak
    return ViewEvidence(total, depths, image, error)


class EvidenceOfViews:
    """What many views tell together, summed by the threads that look."""

    def __init__(
        self,
        rasterizer: CpuRasterizer,
        gaussians: Gaussians,
        axes: Tensor,
        delta: float,
        margin: float,
        used_from: float,
        set_aside: Tensor | None = None,
    ):
        """`axes` (N, 3, 3): of each gaussian, as long as a standard deviation there. A view uses what weighs
        `used_from` or more in a pixel. For the others see `evidence_of_view` and `look_at_places`."""
        count = len(gaussians.means)
        self.totals = torch.zeros(count, EVIDENCE)  # as those of a view; the last one is the largest
        self.used_by = torch.zeros(count, dtype=torch.int64)  # bit v: view v uses it
        self.grown = torch.zeros(count, 2)  # by how many parts the error of two views grows without it, falling
        self.missed_in = torch.full((count, 2), -1, dtype=torch.int32)  # the numbers of these views; -1: of none
        self.places = torch.zeros(count, PLACES)  # see layout.py
        self.places[:, [NEAREST, NEARNESS]] = torch.inf
        self.errors: list[float] = []  # of the views, Σ |photo - image|²
        self._rasterizer, self._gaussians, self._axes = rasterizer, gaussians, axes
        self._delta, self._margin, self._used_from, self._set_aside = delta, margin, used_from, set_aside
        self._rows = torch.zeros(_parts(rasterizer, count), count * EVIDENCE)

    @torch.no_grad()
    def look(self, camera: Camera, background: Tensor, photo: Tensor, counts: Tensor | None) -> Tensor:
        """Take in the next view, and give its median depths (H, W). For the arguments see `evidence_of_view`."""
        depths, _, error = _gathered(
            self._rasterizer, self._gaussians, camera, background, photo, self._delta, counts, self._set_aside,
            self._rows,
        )  # fmt: skip
        view, shop, crew, count = len(self.errors), self._rasterizer.workshop, self._rasterizer.crew, len(self.totals)
        self.errors.append(error)
        ranges, bit = crew.ranges(count), 1 << view if view < 63 else -(1 << 63)

        def add(part):
            shop.kernels.add_evidence(
                *ranges[part], count, len(self._rows), view, bit, self._used_from, max(error, 1e-12),
                self._rows, self.totals, self.used_by, self.grown, self.missed_in,
            )  # fmt: skip

        crew.run(add)
        return depths

    @torch.no_grad()
    def look_at_places(self, camera: Camera, depths: Tensor, usual: float, counts: Tensor | None) -> None:
        """Take in what a view finds where the gaussians are; `usual` is the median of its depths."""
        shop, crew = self._rasterizer.workshop, self._rasterizer.crew
        ranges, lens = crew.ranges(len(self.totals)), camera_numbers(camera, shop.rules)
        counts = torch.ones_like(depths) if counts is None else counts
        means, axes, counts = flat(self._gaussians.means), flat(self._axes), flat(counts)
        height, width = depths.shape

        def look(part):
            shop.kernels.look_at_places(
                *ranges[part], means, axes, lens, width, height, depths, counts,
                usual, self._delta, self._margin, self.places,
            )  # fmt: skip

        crew.run(look)


def _parts(rasterizer: CpuRasterizer, count: int) -> int:
    """How many threads gather, each in rows of its own."""
    return max(1, min(rasterizer.crew.size, ROWS_BYTES // (4 * EVIDENCE * max(1, count))))


def _gathered(
    rasterizer: CpuRasterizer,
    gaussians: Gaussians,
    camera: Camera,
    background: Tensor,
    photo: Tensor,
    delta: float,
    counts: Tensor | None,
    set_aside: Tensor | None,
    sums: Tensor,
    drawn: ForwardPass | None = None,
) -> tuple[Tensor, Tensor, float]:
    """The median depths, the image and its squared error; each thread's sums are added to its row of `sums`."""
    shop, crew = rasterizer.workshop, rasterizer.crew
    if is_linear(rasterizer.blend_space):
        background, photo = decode_srgb(background), decode_srgb(photo)
    parameters = Parameters.of(gaussians, None, gaussians.sh.shape[1])
    if drawn is None:
        drawn, _, _ = draw(shop, parameters, camera, flat(background))
    if set_aside is not None:
        count = parameters.gaussian_count
        drawn.records.view(-1, RECORD)[:count, SET_ASIDE] = set_aside.to(torch.float32)
    counts = torch.ones(drawn.height, drawn.width) if counts is None else counts
    difference = photo - drawn.blended
    error = float((difference.square().sum(-1) * counts).sum(dtype=torch.float64))
    residual, parts = flat(difference), len(sums)
    depths = torch.zeros(drawn.height, drawn.width)
    places = drawn.records.view(torch.float64)

    def gather(part):
        if part < parts:
            shop.kernels.gather_evidence(
                part, parts, drawn.entries, drawn.starts, drawn.entries_used, drawn.records, places,
                drawn.width, drawn.height, drawn.blended, residual, flat(counts), delta,
                torch.empty(EVIDENCE_SCRATCH), sums[part], depths,
            )  # fmt: skip

    crew.run(gather)
    return depths, drawn.blended, error
