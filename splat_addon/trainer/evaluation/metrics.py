"""How close a render is to its photo."""

import math

import torch
from torch import Tensor

from ..losses import WINDOW_PX, ssim_map

BAND_PIXELS = 1 << 16  # convolutions of PyTorch take more than a kilobyte for each pixel at once


@torch.no_grad()
def psnr_db(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB of values 0..1, (H, W, 3). `mask` (H, W) weighs the pixels. 100 at
    most."""
    squares = ((image - target) ** 2).mean(dim=2).double()
    if mask is None:
        error = float(squares.mean())
    else:
        weights = mask.to(squares)
        error = float((squares * weights).sum() / weights.sum())
    return 100.0 if error < 1e-10 else -10.0 * math.log10(error)


@torch.no_grad()
def ssim(image: Tensor, target: Tensor, mask: Tensor | None = None) -> float:
    """Mean structural similarity of values 0..1, (H, W, 3). `mask` (H, W) weighs the pixels.

    It is measured in bands of rows, each with the rows around it that its windows reach.
    """
    height, width = image.shape[:2]
    rows, reach = max(1, BAND_PIXELS // width), WINDOW_PX // 2
    total, count = 0.0, 0.0
    for top in range(0, height, rows):
        bottom, start = min(top + rows, height), max(0, top - reach)
        seen = slice(start, bottom + reach)
        similarity = ssim_map(image[seen], target[seen])[top - start : bottom - start].mean(dim=2)
        weights = torch.ones_like(similarity) if mask is None else mask[top:bottom].to(similarity)
        total += float((similarity * weights).double().sum())
        count += float(weights.double().sum())
    return total / count if count else math.nan
