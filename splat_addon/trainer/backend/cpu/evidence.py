"""One view's evidence about every gaussian: what `kernels/evidence.py` is given. Memory and threads are here."""

from typing import NamedTuple

import torch
from torch import Tensor

from ....capture.camera import Camera
from ..blend_space import decode_srgb, is_linear
from ..protocol import Gaussians
from .kernels.layout import EVIDENCE, EVIDENCE_SCRATCH, PEAK, RECORD, SET_ASIDE
from .passes import ForwardPass, Parameters, draw, flat
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
    shop, crew = rasterizer.workshop, rasterizer.crew
    if is_linear(rasterizer.blend_space):
        background, photo = decode_srgb(background), decode_srgb(photo)
    parameters = Parameters.of(gaussians, None, gaussians.sh.shape[1])
    if drawn is None:
        drawn, _, _ = draw(shop, parameters, camera, flat(background))
    count = parameters.gaussian_count
    if set_aside is not None:
        drawn.records.view(-1, RECORD)[:count, SET_ASIDE] = set_aside.to(torch.float32)
    counts = torch.ones(drawn.height, drawn.width) if counts is None else counts
    difference = photo - drawn.blended
    error = float((difference.square().sum(-1) * counts).sum(dtype=torch.float64))
    residual = flat(difference)
    parts = max(1, min(crew.size, ROWS_BYTES // (4 * EVIDENCE * max(1, count))))
    sums = torch.zeros(parts, count * EVIDENCE)
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
    rows = sums.view(parts, count, EVIDENCE)
    total = rows[0]
    for others in rows[1:]:
        peak = torch.maximum(total[:, PEAK], others[:, PEAK])
        total += others
        total[:, PEAK] = peak
    return ViewEvidence(total, depths, drawn.blended, error)
