"""Splats that a step leaves out at random, so that few views are not learned by heart."""

import torch

from .backend.protocol import Gaussians


def some_left_out(gaussians: Gaussians, part: float) -> Gaussians:
    """The gaussians with about `part` of them invisible, chosen at random, and the others denser by as much.

    What few views have overfitted with one gaussian each becomes the work of several (Park et al. 2025, DropGaussian).
    """
    if part <= 0:
        return gaussians
    logits = gaussians.logit_opacities
    denser = torch.logit((torch.sigmoid(logits) / (1 - part)).clamp(1e-6, 0.999))
    return gaussians._replace(logit_opacities=torch.where(torch.rand_like(logits) < part, -30.0, denser))
