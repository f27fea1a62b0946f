"""One view's blending weights as a matrix W (pixels × gaussians) that is never written down.

γ = W c is linear in the colors of the gaussians, so `W u` is the forward pass with u in place of a color, over nothing,
and `Wᵀ y` is what the backward pass gives as ∂L/∂c for ∂L/∂γ = y. The view is projected and binned once.
"""

import torch
from torch import Tensor

from ....capture.camera import Camera
from ..protocol import Gaussians
from .kernels.layout import BLEND_SCRATCH, BLUE, GREEN, RECORD, RED, SUM_RED
from .passes import Parameters, blend_back, draw, flat
from .rasterizer import CpuRasterizer


class ViewWeights:
    """The weights of one view. Raises `InvalidParameters` for numbers that are not finite."""

    @torch.no_grad()
    def __init__(self, rasterizer: CpuRasterizer, gaussians: Gaussians, camera: Camera, background: Tensor):
        """`background` (3,) is in the light that colors are blended in; only `image` knows it."""
        self._shop, self._crew = rasterizer.workshop, rasterizer.crew
        parameters = Parameters.of(gaussians, None, gaussians.sh.shape[1])
        self.drawn, _, _ = draw(self._shop, parameters, camera, flat(background))
        self.gaussian_count = parameters.gaussian_count
        self.image = self.drawn.blended  # (H, W, 3) in the light that colors are blended in
        self._nothing = torch.zeros(3)

    @property
    def size_bytes(self) -> int:
        """How much memory it takes to keep this view."""
        return sum(tensor.nbytes for tensor in self.drawn.tensors)

    @torch.no_grad()
    def times(self, values: Tensor) -> Tensor:
        """W u (H, W) for u (N,)."""
        drawn = self.drawn
        records = drawn.records.view(-1, RECORD)
        records[: self.gaussian_count, RED] = values
        records[: self.gaussian_count, GREEN : BLUE + 1] = 0.0
        blended = torch.empty(drawn.height, drawn.width, 3)
        alpha, depth = torch.empty(drawn.height, drawn.width), torch.empty(drawn.height, drawn.width)
        transmittance, entries_used = torch.empty_like(drawn.transmittance), torch.empty_like(drawn.entries_used)
        places = drawn.records.view(torch.float64)

        def blend(part):
            self._shop.kernels.blend_forward(
                part, self._crew.size, drawn.entries, drawn.starts, drawn.records, places, drawn.width, drawn.height,
                self._nothing, torch.empty(BLEND_SCRATCH), blended, False, blended, alpha, depth, transmittance,
                entries_used,
            )  # fmt: skip

        self._crew.run(blend)
        return blended[..., 0]

    @torch.no_grad()
    def transposed_times(self, values: Tensor) -> Tensor:
        """Wᵀ y (N,) for y (H, W), or (N, K) for y (H, W, K) with K up to 3 in one pass."""
        y = values if values.ndim == 3 else values[..., None]
        d_image = torch.zeros(*y.shape[:2], 3)
        d_image[..., : y.shape[2]] = y
        rows, _ = blend_back(self._shop, self.drawn, flat(d_image), None, None, of_blended=True)
        columns = slice(SUM_RED, SUM_RED + y.shape[2])
        total = rows.view(len(rows), -1, RECORD)[:, : self.gaussian_count, columns].sum(dim=0)
        return total if values.ndim == 3 else total[:, 0]
