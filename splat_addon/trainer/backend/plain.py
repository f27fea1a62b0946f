"""The parts of a training step that plain PyTorch does well enough on a GPU."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..losses import photometric_loss
from .blend_space import over
from .protocol import Moments

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-15


class PlainSteps:
    """`Rasterizer.over`, `photometric_loss`, `value_of` and `adam_step` on any device."""

    blend_space: str

    def prepare(self, announce: Callable[[str], None]) -> None:
        """Nothing to compile."""

    @torch.no_grad()
    def over(self, colors: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
        """See `Rasterizer.over`."""
        return over(colors, alpha, background, self.blend_space)

    def photometric_loss(self, image: Tensor, target: Tensor, mask: Tensor | None, ssim_lambda: float) -> Tensor:
        """See `Rasterizer.photometric_loss`."""
        return photometric_loss(image, target, mask, ssim_lambda)

    def value_of(self, loss: Tensor) -> float:
        """See `Rasterizer.value_of`."""
        return float(loss.detach())

    @torch.no_grad()
    def adam_step(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        moments: Sequence[Moments],
        rates: Sequence[float | Tensor],
        step: int,
    ) -> None:
        """See `Rasterizer.adam_step`."""
        correction1, correction2 = 1 - BETA1**step, 1 - BETA2**step
        for parameter, gradient, moment, rate in zip(parameters, gradients, moments, rates, strict=True):
            moment.mean.lerp_(gradient, 1 - BETA1)
            moment.square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            length = (moment.square / correction2).sqrt_().add_(EPSILON)
            if isinstance(rate, Tensor):
                parameter.sub_(rate.to(parameter.device) / correction1 * moment.mean / length)
            else:
                parameter.addcdiv_(moment.mean, length, value=-rate / correction1)
