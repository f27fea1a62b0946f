"""The photometric loss on the CPU: (1 - λ) L1 + λ (1 - SSIM), value and gradient from one compiled sweep."""

import torch
from torch import Tensor

from .kernel_cache import kernels
from .kernels.layout import photometric_scratch
from .passes import flat
from .threads import Crew, shared_crew


def photometric_loss(
    image: Tensor, target: Tensor, weight_mask: Tensor | None, ssim_lambda: float, crew: Crew | None = None
) -> Tensor:
    """The mean over pixels and channels of (1 - λ) |image - target| + λ (1 - SSIM), a scalar.

    `image` and `target` are (H, W, 3); only `image` gets a gradient. `weight_mask` (H, W), 0 or more: the mean is
    weighted by it; SSIM still sees the surroundings of what is weighted. SSIM as in photometric_kernel.py. `crew`:
    the threads to use, all cores if None.
    """
    if image.ndim != 3 or image.shape[2] != 3 or target.shape != image.shape:
        raise ValueError(f"image is {tuple(image.shape)} and target {tuple(target.shape)}, not both (H, W, 3)")
    if weight_mask is not None and weight_mask.shape != image.shape[:2]:
        raise ValueError(f"weight_mask is {tuple(weight_mask.shape)}, not {tuple(image.shape[:2])}")
    return _PhotometricLoss.apply(image, target, weight_mask, float(ssim_lambda), crew or shared_crew())


class _PhotometricLoss(torch.autograd.Function):
    @staticmethod
    def forward(context, image, target, weight_mask, ssim_lambda, crew):
        sweep_rows = kernels().photometric_rows
        height, width = image.shape[:2]
        image, target = flat(image), flat(target)
        is_weighted = weight_mask is not None
        weights = flat(weight_mask) if is_weighted else torch.zeros(0)
        total_weight = float(weights.sum(dtype=torch.float64)) if is_weighted else height * width
        scale = 1.0 / (3.0 * total_weight) if total_weight > 0.0 else 0.0
        d_image = torch.empty(height, width, 3)
        row_sums = torch.empty(height, 2, dtype=torch.float64)
        ranges = crew.ranges(height)

        def sweep(part):
            begin, end = ranges[part]
            if begin < end:
                scratch = torch.zeros(photometric_scratch(width))
                sweep_rows(
                    begin, end, width, height, image, target, weights, is_weighted, scale, ssim_lambda, scratch,
                    d_image, row_sums,
                )  # fmt: skip

        crew.run(sweep)
        context.save_for_backward(d_image)
        l1, dissimilarity = row_sums.sum(dim=0).tolist()
        return torch.tensor(scale * ((1.0 - ssim_lambda) * l1 + ssim_lambda * dissimilarity))

    @staticmethod
    def backward(context, d_loss):
        (d_image,) = context.saved_tensors
        return (d_image if float(d_loss) == 1.0 else d_image * d_loss), None, None, None, None
