"""Where a run may not have gaussians, and where alone it may change them."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...errors import RunError
from ...gaussians.closed_mesh import ClosedMesh
from ..backend.protocol import Gaussians
from ..model import GaussianModel


class Space(Protocol):
    """A part of the space of training."""

    def holds(self, means: Tensor) -> Tensor:
        """(N,) whether places (N, 3) are in it."""
        ...


class Volume:
    """The inside of a closed mesh."""

    def __init__(self, mesh: ClosedMesh):
        """In the frame of training."""
        self._mesh = mesh

    def holds(self, means: Tensor) -> Tensor:
        """See `Space.holds`."""
        return torch.from_numpy(self._mesh.holds(means.detach().cpu().numpy())).to(means.device)


@dataclass(frozen=True)
class Limits:
    """`empty`: nothing is added there, and what drifts there is removed. `trained`: the gaussians elsewhere stay as
    they are; None: all train."""

    empty: tuple[Space, ...] = ()
    trained: Space | None = None

    def __bool__(self) -> bool:
        return bool(self.empty) or self.trained is not None

    def forbidden(self, means: Tensor) -> Tensor:
        """(N,) which gaussians at `means` (N, 3) are where nothing may be."""
        found = torch.zeros(len(means), dtype=torch.bool, device=means.device)
        for space in self.empty:
            found |= space.holds(means)
        return found

    def frozen(self, means: Tensor) -> Tensor | None:
        """(N,) which gaussians at `means` (N, 3) stay as they are; None: none."""
        return None if self.trained is None else ~self.trained.holds(means)


NO_LIMITS = Limits()


class FrozenGaussians:
    """Those of a run that stay as they are: asked for again whenever their number has changed."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._frozen: Tensor | None = None

    def hold(self, gaussians: Gaussians) -> None:
        """Take away their gradients: without one, and without a memory of one, Adam leaves a gaussian alone."""
        if self._limits.trained is None or gaussians.means.grad is None:
            return
        if self._frozen is None or len(self._frozen) != len(gaussians.means):
            self._frozen = self._limits.frozen(gaussians.means)
        assert self._frozen is not None
        for parameter in gaussians:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(self._frozen.reshape(-1, *(1,) * (parameter.dim() - 1)), 0.0)


@torch.no_grad()
def keep_allowed(model: GaussianModel, limits: Limits) -> None:
    """Remove the gaussians that are where nothing may be. Raises RunError when none would be left."""
    forbidden = limits.forbidden(model.gaussians.means)
    if bool(forbidden.all()):
        raise RunError("All splats are where none may be.", "Choose a smaller Empty Volume, or none.")
    if bool(forbidden.any()):
        model.keep(~forbidden)
