"""The photometric loss (1 - lambda) L1 + lambda (1 - SSIM) of Kerbl et al. 2023, equation 7."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d

WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5
C1 = 0.01**2
C2 = 0.03**2


def photometric_loss(image: Tensor, target: Tensor, mask: Tensor | None, ssim_lambda: float) -> Tensor:
    """The loss of `image` (H, W, 3) against `target` (H, W, 3); pixels where `mask` (H, W) is False do not count."""
    difference = (image - target).abs().mean(dim=2)
    structure = 1 - ssim_map(image, target).mean(dim=2)
    per_pixel = (1 - ssim_lambda) * difference + ssim_lambda * structure
    if mask is None:
        return per_pixel.mean()
    weights = mask.to(per_pixel.dtype)
    return (per_pixel * weights).sum() / weights.sum().clamp_min(1.0)


def ssim_map(image: Tensor, target: Tensor) -> Tensor:
    """Structural similarity (H, W, 3) with an 11-pixel gaussian window, zero padding (Wang et al. 2004)."""
    pair = torch.stack([image, target]).permute(0, 3, 1, 2)
    x, y = pair[0], pair[1]
    blurred = _Blur.apply(torch.cat([x, y, x * x, y * y, x * y]))
    mean_x, mean_y, square_x, square_y, product = blurred.split(3)
    variance_x = square_x - mean_x * mean_x
    variance_y = square_y - mean_y * mean_y
    covariance = product - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
    contrast = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return (luminance * contrast).permute(1, 2, 0)


class _Blur(torch.autograd.Function):
    """The gaussian window over (C, H, W) with zero padding. It is symmetric, so it is its own adjoint."""

    @staticmethod
    def forward(ctx, channels: Tensor) -> Tensor:
        return _convolve(channels)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _convolve(gradient.contiguous())


def _convolve(channels: Tensor) -> Tensor:
    """First down, then across."""
    offsets = torch.arange(WINDOW_PX, dtype=channels.dtype, device=channels.device) - WINDOW_PX // 2
    window = torch.exp(-(offsets**2) / (2 * WINDOW_SIGMA_PX**2))
    window = window / window.sum()
    half = WINDOW_PX // 2
    down = conv2d(channels[:, None], window.view(1, 1, -1, 1), padding=(half, 0))
    return conv2d(down, window.view(1, 1, 1, -1), padding=(0, half))[:, 0]
