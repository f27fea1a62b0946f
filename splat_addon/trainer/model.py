"""The gaussians under optimisation: parameters and Adam's memory, growing and shrinking as one thing."""

import torch
from torch import Tensor

from ..gaussians.cloud import GaussianCloud
from .rasterize import Gaussians, Moments, Rasterizer


class GaussianModel:
    """Parameters of N gaussians with their first and second moments (Adam, Kingma and Ba 2015)."""

    def __init__(self, cloud: GaussianCloud, device: torch.device):
        arrays = (cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh)
        self.gaussians = Gaussians(
            *(torch.tensor(array, dtype=torch.float32, device=device).requires_grad_() for array in arrays)
        )
        self._moments = [Moments.like(parameter) for parameter in self.gaussians]
        self._steps = 0

    def __len__(self) -> int:
        return len(self.gaussians.means)

    def step(self, rates: Gaussians, rasterizer: Rasterizer) -> None:
        """One step of Adam along the parameters' gradients, which are cleared. `rates`: one learning rate per field,
        see `Rasterizer.adam_step`."""
        if any(parameter.grad is None for parameter in self.gaussians):
            return  # nothing was seen
        self._steps += 1
        gradients = [parameter.grad for parameter in self.gaussians]
        rasterizer.adam_step([p.detach() for p in self.gaussians], gradients, self._moments, rates, self._steps)
        for parameter in self.gaussians:
            parameter.grad = None

    @torch.no_grad()
    def keep(self, which: Tensor) -> None:
        """Keep the gaussians at a boolean mask (N,), order kept, each with its moments."""
        self._set([parameter[which] for parameter in self.gaussians])
        self._moments = [Moments(moment.mean[which], moment.square[which]) for moment in self._moments]

    @torch.no_grad()
    def append(self, added: Gaussians) -> None:
        """Add gaussians at the end; their moments start at zero."""
        self._set([torch.cat(pair) for pair in zip(self.gaussians, added, strict=True)])
        new = [Moments.like(parameter) for parameter in added]
        self._moments = [
            Moments(torch.cat([old.mean, more.mean]), torch.cat([old.square, more.square]))
            for old, more in zip(self._moments, new, strict=True)
        ]

    def _set(self, parameters: list[Tensor]) -> None:
        self.gaussians = Gaussians(*(parameter.detach().requires_grad_() for parameter in parameters))

    def cloud(self) -> GaussianCloud:
        """The gaussians as NumPy arrays."""
        return GaussianCloud(*(parameter.detach().cpu().numpy() for parameter in self.gaussians))

    def state(self) -> dict:
        """Everything that a checkpoint needs."""
        return {
            "gaussians": [parameter.detach() for parameter in self.gaussians],
            "means_of_gradients": [moment.mean for moment in self._moments],
            "means_of_squares": [moment.square for moment in self._moments],
            "steps": self._steps,
        }
