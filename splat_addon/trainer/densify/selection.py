"""Parts of a model's gaussians."""

import torch
from torch import Tensor

from ..backend.protocol import Gaussians


def rows(gaussians: Gaussians, which: Tensor) -> Gaussians:
    """The gaussians at a mask or at indices, detached."""
    return Gaussians(*(parameter.detach()[which] for parameter in gaussians))


def broken_or_faint(gaussians: Gaussians, faintest: float) -> Tensor:
    """(N,) whether a gaussian's opacity is below `faintest` or one of its numbers is not finite."""
    gone = torch.sigmoid(gaussians.logit_opacities.detach()) < faintest
    for parameter in gaussians:
        gone |= ~torch.isfinite(parameter.detach()).reshape(len(gone), -1).all(dim=1)
    return gone
