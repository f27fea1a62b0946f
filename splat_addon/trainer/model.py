"""The gaussians under optimisation: parameters and Adam's memory, growing and shrinking as one thing."""

import torch
from torch import Tensor

from ..gaussians.cloud import GaussianCloud
from .rasterize import Gaussians

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-15


class GaussianModel:
    """Parameters of N gaussians with their first and second moments (Adam, Kingma and Ba 2015)."""

    def __init__(self, cloud: GaussianCloud, device: torch.device):
        arrays = (cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh)
        self.gaussians = Gaussians(
            *(torch.tensor(array, dtype=torch.float32, device=device).requires_grad_() for array in arrays)
        )
        self._first = [torch.zeros_like(parameter) for parameter in self.gaussians]
        self._second = [torch.zeros_like(parameter) for parameter in self.gaussians]
        self._steps = 0

    def __len__(self) -> int:
        return len(self.gaussians.means)

    @torch.no_grad()
    def step(self, rates: "Gaussians") -> None:
        """One step of Adam along the parameters' gradients, which are cleared. `rates`: one learning rate per field,
        a number or a tensor that broadcasts over the parameter."""
        self._steps += 1
        correction1 = 1 - BETA1**self._steps
        correction2 = 1 - BETA2**self._steps
        for parameter, first, second, rate in zip(self.gaussians, self._first, self._second, rates, strict=True):
            gradient = parameter.grad
            if gradient is None:
                continue
            first.lerp_(gradient, 1 - BETA1)
            second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            length = (second / correction2).sqrt_().add_(EPSILON)
            parameter.sub_(rate / correction1 * first / length)
            parameter.grad = None

    @torch.no_grad()
    def keep(self, which: Tensor) -> None:
        """Keep the gaussians at a boolean mask (N,), order kept, each with its moments."""
        self._set([parameter[which] for parameter in self.gaussians])
        self._first = [moment[which] for moment in self._first]
        self._second = [moment[which] for moment in self._second]

    @torch.no_grad()
    def append(self, added: Gaussians) -> None:
        """Add gaussians at the end; their moments start at zero."""
        self._set([torch.cat(pair) for pair in zip(self.gaussians, added, strict=True)])
        self._first = [torch.cat([m, torch.zeros_like(a)]) for m, a in zip(self._first, added, strict=True)]
        self._second = [torch.cat([m, torch.zeros_like(a)]) for m, a in zip(self._second, added, strict=True)]

    def _set(self, parameters: list[Tensor]) -> None:
        self.gaussians = Gaussians(*(parameter.detach().requires_grad_() for parameter in parameters))

    def cloud(self) -> GaussianCloud:
        """The gaussians as NumPy arrays."""
        return GaussianCloud(*(parameter.detach().cpu().numpy() for parameter in self.gaussians))

    def state(self) -> dict:
        """Everything that a checkpoint needs."""
        return {
            "gaussians": [parameter.detach() for parameter in self.gaussians],
            "first": self._first,
            "second": self._second,
            "steps": self._steps,
        }
