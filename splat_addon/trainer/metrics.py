"""How close a render is to its photo."""

import math

import torch
from torch import Tensor

from .losses import ssim_map


@torch.no_grad()
def psnr_db(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB of values 0..1, (H, W, 3), over the pixels of `mask` (H, W). 100 at most."""
    squares = ((image - target) ** 2).mean(dim=2)
    error = float((squares if mask is None else squares[mask]).double().mean())
    return 100.0 if error < 1e-10 else -10.0 * math.log10(error)


@torch.no_grad()
def ssim(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Mean structural similarity of values 0..1, (H, W, 3), over the pixels of `mask` (H, W)."""
    similarity = ssim_map(image, target).mean(dim=2)
    return float((similarity if mask is None else similarity[mask]).mean())
