"""The space in which colors are blended, and the way into and out of linear light in PyTorch.

`DISPLAY`: display-encoded colors are blended as they are, as other trainers and their viewers do. `BLENDER`: each
gaussian's color, and the background, is decoded to linear light before, and the image is encoded after, as Cycles,
EEVEE and Blender's own splats blend: they show exactly what was trained. Images are display-encoded in both.
"""

import torch
from torch import Tensor

from ...gaussians.cloud import BLEND_SPACES, BLENDER, DISPLAY
from ...gaussians.srgb import FOOT_ENCODED, FOOT_LINEAR, FOOT_SLOPE, POWER, SHIFT
from .protocol import Rendering


def is_linear(blend_space: str) -> bool:
    """Whether colors are blended in linear light. ValueError for what is not a blend space."""
    if blend_space not in BLEND_SPACES:
        raise ValueError(f"{blend_space!r} is not a blend space: {DISPLAY!r} or {BLENDER!r}")
    return blend_space == BLENDER


def over(colors: Tensor, alpha: Tensor, background: Tensor, blend_space: str) -> Tensor:
    """(H, W, 3) straight display-encoded `colors` with coverage `alpha` (H, W) over `background` (3,), encoded too."""
    part = alpha[..., None]
    if is_linear(blend_space):
        return encode_srgb(decode_srgb(colors) * part + decode_srgb(background) * (1 - part))
    return colors * part + background * (1 - part)


def straight_color(rendering: Rendering, backdrop: float, blend_space: str) -> Tensor:
    """(H, W, 3) display-encoded: the rendering's color without the gray `backdrop` that it was composited over."""
    alpha = rendering.alpha[..., None]
    behind = torch.tensor(backdrop, device=alpha.device)
    if is_linear(blend_space):
        front = decode_srgb(rendering.image) - decode_srgb(behind) * (1 - alpha)
        return encode_srgb(front / alpha.clamp_min(1e-6))
    return (rendering.image - behind * (1 - alpha)) / alpha.clamp_min(1e-6)


def decode_srgb(encoded: Tensor) -> Tensor:
    """Linear light of display-encoded values of any size, differentiable: see `gaussians/srgb.py`."""
    power = ((encoded.clamp_min(FOOT_ENCODED) + SHIFT) / (1 + SHIFT)) ** POWER
    return torch.where(encoded <= FOOT_ENCODED, encoded / FOOT_SLOPE, power)


def encode_srgb(linear: Tensor) -> Tensor:
    """Display-encoded values of linear light of any size, differentiable, with a slope of 12.92 at 0 and below."""
    power = (1 + SHIFT) * linear.clamp_min(FOOT_LINEAR) ** (1 / POWER) - SHIFT
    return torch.where(linear <= FOOT_LINEAR, linear * FOOT_SLOPE, power)
