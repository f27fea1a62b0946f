"""LPIPS (Zhang et al. 2018), where its library and weights are on the machine: nothing is downloaded for it."""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

WEIGHTS = "alexnet-owt-7be5be79.pth"  # torchvision's name of AlexNet's weights in torch's cache


@functools.cache
def load_lpips(device: torch.device) -> Callable[[Tensor, Tensor], float] | None:
    """A function of two images (H, W, 3), values 0..1, that gives their LPIPS (0 = alike); None where it cannot be had.

    It needs the package `lpips`, and AlexNet's weights in torch's cache (`torch.hub.get_dir()`/checkpoints).
    """
    if not (Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS).is_file():
        return None
    try:
        import lpips
    except (ImportError, RuntimeError, OSError):  # the latter: its torchvision does not fit this PyTorch
        return None
    network = lpips.LPIPS(net="alex", verbose=False).to(device).eval()

    @torch.no_grad()
    def distance(image: Tensor, target: Tensor) -> float:
        pair = (plane.permute(2, 0, 1)[None].to(device) * 2 - 1 for plane in (image, target))
        return float(network(*pair))

    return distance
