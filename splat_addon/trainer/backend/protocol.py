"""What every backend takes, gives and can do.

EWA splatting as 3DGS uses it (Kerbl et al. 2023; Zwicker et al. 2001), by the numbers of `gaussians/rules.py`.
Frames: OpenCV camera axes (+x right, +y down, +z forward), pixel centers at +0.5, quaternions (w, x, y, z).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ...capture.camera import Camera
from ...gaussians.rules import PictureRules


class Gaussians(NamedTuple):
    """The stored (not activated) parameters of N gaussians, float32 unless said otherwise."""

    means: Tensor  # (N, 3) world frame, capture units
    log_scales: Tensor  # (N, 3) natural logarithm of sigma
    quaternions: Tensor  # (N, 4) w, x, y, z; any length but zero
    logit_opacities: Tensor  # (N,)
    sh: Tensor  # (N, K, 3) K = (degree + 1)**2, real spherical harmonics, INRIA order and signs


@dataclass(frozen=True)
class Rendering:
    """One view as the rasterizer sees it. H, W: the camera's pixels; N: gaussians given."""

    image: Tensor  # (H, W, 3) composited over the background; display-encoded, not clamped
    alpha: Tensor  # (H, W) 1 - transmittance
    depth: Tensor | None  # (H, W) expected depth along +z in capture units: sum(w z) / sum(w), 0 where nothing is
    radii_px: Tensor  # (N,) three sigma of the longer screen axis, rounded up; 0 = not drawn


@dataclass
class Moments:
    """What Adam remembers of one parameter: running means of the gradient and of its square, in its shape."""

    mean: Tensor
    square: Tensor

    @classmethod
    def like(cls, parameter: Tensor) -> "Moments":
        """Moments before the first step."""
        return cls(torch.zeros_like(parameter, requires_grad=False), torch.zeros_like(parameter, requires_grad=False))


class Rasterizer(Protocol):
    """A backend: what of a training step depends on the processor it runs on."""

    name: str
    device: torch.device
    rules: PictureRules  # by which all renderings are made
    blend_space: str  # what colors are blended in, for all renderings: see blend_space.py

    def prepare(self, announce: Callable[[str], None]) -> None:
        """Compile or load what is needed. `announce` is told what is being done when that takes more than a moment.

        Raises SetupError, with the remedy, when something is missing.
        """
        ...

    def render(
        self,
        gaussians: Gaussians,
        camera: Camera,
        background: Tensor,
        *,
        sh_degree: int,
        screen_offsets_px: Tensor | None = None,
        with_depth: bool = False,
    ) -> Rendering:
        """Render one view through a pinhole camera, differentiable in all tensors given.

        `camera` has no distortion. `background` is (3,), display-encoded. `sh_degree` may be lower than what
        `gaussians.sh` holds.
        `screen_offsets_px` is (N, 2), zeros, added to the projected means: after `backward()` its `.grad` is
        the gradient of the loss with respect to each gaussian's place on the screen, which densification reads.
        Without `with_depth`, the rendering's depth is None where it would be extra work.
        """
        ...

    def over(self, colors: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
        """A photo over a background as gaussians are blended over one: (H, W, 3), display-encoded, no gradient.

        `colors` (H, W, 3) are straight, not multiplied by the coverage `alpha` (H, W), 0 … 1; `background` is (3,).
        """
        ...

    def photometric_loss(self, image: Tensor, target: Tensor, mask: Tensor | None, ssim_lambda: float) -> Tensor:
        """(1 - lambda) L1 + lambda (1 - SSIM) of (H, W, 3) images; `mask` (H, W) weighs the pixels. A scalar."""
        ...

    def value_of(self, loss: Tensor) -> float:
        """A scalar of the step that was just queued. Raises SplatError where its gaussians were not finite and `render`
        has not said so: on a card, every question makes it wait, and this is the only one of a step."""
        ...

    def adam_step(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        moments: Sequence[Moments],
        rates: Sequence[float | Tensor],
        step: int,
    ) -> None:
        """One step of Adam (Kingma and Ba 2015) in place; `step` counts from 1.

        A rate is one number, or a tensor (K, 3) that holds for every row of a parameter (N, K, 3).
        """
        ...
