"""The gaussians under optimization: parameters and Adam's memory, growing and shrinking as one thing."""

import math

import torch
from torch import Tensor

from ..gaussians.cloud import GaussianCloud
from .backend.protocol import Gaussians, Moments, Rasterizer
from .stored import Misfit, rows, table, tensors, whole_number


class GaussianModel:
    """Parameters of N gaussians with their first and second moments (Adam, Kingma and Ba 2015)."""

    def __init__(self, cloud: GaussianCloud, device: torch.device):
        arrays = (cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh)
        self.gaussians = Gaussians(
            *(torch.tensor(array, dtype=torch.float32, device=device).requires_grad_() for array in arrays)
        )
        self.blend_space, self.antialiased = cloud.blend_space, cloud.antialiased
        self._moments = [Moments.like(parameter) for parameter in self.gaussians]
        self._steps = 0
        self._averages: list[Tensor] = []  # of the parameters since `average` was first called
        self._averaged = 0

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

    @torch.no_grad()
    def overwrite(self, which: Tensor, values: Gaussians) -> None:
        """Replace the gaussians at indices (M,) and forget their moments."""
        for parameter, moment, value in zip(self.gaussians, self._moments, values, strict=True):
            parameter[which] = value
            moment.mean[which] = 0
            moment.square[which] = 0

    @torch.no_grad()
    def limit_opacities(self, highest: float) -> None:
        """Lower every opacity to at most `highest` and forget the moments of opacities."""
        logits, moment = self.gaussians.logit_opacities, self._moments[Gaussians._fields.index("logit_opacities")]
        logits.clamp_(max=math.log(highest / (1 - highest)))
        moment.mean.zero_()
        moment.square.zero_()

    @torch.no_grad()
    def average(self) -> None:
        """Take the parameters as they are now into a running mean; a changed count begins a new one.

        Late in a run the parameters circle around a minimum, each view pulling its way; the mean of such iterates lies
        nearer to it than any (Polyak and Juditsky 1992; Izmailov et al. 2018).
        """
        if not self._averages or len(self._averages[0]) != len(self):
            self._averages, self._averaged = [parameter.detach().clone() for parameter in self.gaussians], 1
            return
        self._averaged += 1
        for mean, parameter in zip(self._averages, self.gaussians, strict=True):
            mean.lerp_(parameter, 1 / self._averaged)

    def take_average(self) -> None:
        """The parameters become their running mean, if there is one for these gaussians."""
        if self._averages and len(self._averages[0]) == len(self):
            self._set(self._averages)
        self._averages, self._averaged = [], 0

    def _set(self, parameters: list[Tensor]) -> None:
        self.gaussians = Gaussians(*(parameter.detach().requires_grad_() for parameter in parameters))

    def cloud(self) -> GaussianCloud:
        """The gaussians as NumPy arrays."""
        arrays = {name: parameter.detach().cpu().numpy() for name, parameter in self.gaussians._asdict().items()}
        return GaussianCloud(**arrays, blend_space=self.blend_space, antialiased=self.antialiased)

    def state(self) -> dict:
        """Everything that a checkpoint needs, on the CPU: it can be gone on from on any device."""
        return {
            "gaussians": [parameter.detach().cpu() for parameter in self.gaussians],
            "means_of_gradients": [moment.mean.cpu() for moment in self._moments],
            "means_of_squares": [moment.square.cpu() for moment in self._moments],
            "steps": self._steps,
            "averages": [mean.cpu() for mean in self._averages],
            "averaged": self._averaged,
        }

    def restore(self, state: dict) -> None:
        """Take up what `state` gave, on whatever device that was. Raises Misfit, with nothing changed, when it is not
        of such gaussians."""
        keys = ("gaussians", "means_of_gradients", "means_of_squares", "steps", "averages", "averaged")
        state = table(state, "model", keys)
        parameters = tensors(state["gaussians"], self.gaussians, None, "gaussians")
        count = len(parameters[0])
        if count == 0:
            raise Misfit("gaussians is empty")
        means = tensors(state["means_of_gradients"], self.gaussians, count, "means_of_gradients")
        squares = tensors(state["means_of_squares"], self.gaussians, count, "means_of_squares", lowest=0.0)
        averages = rows(state["averages"], "averages")
        if averages:  # of these gaussians or, when their number has just changed, of those before
            averages = tensors(averages, self.gaussians, None, "averages")
        steps = whole_number(state["steps"], "steps")
        averaged = whole_number(state["averaged"], "averaged", lowest=1 if averages else 0)
        self._set(parameters)
        self._moments = [Moments(mean, square) for mean, square in zip(means, squares, strict=True)]
        self._steps, self._averages, self._averaged = steps, averages, averaged
