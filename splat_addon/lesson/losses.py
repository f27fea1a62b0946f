"""How far an image is from its target, with the gradient by the image. Only pixels of the mask count.

The trainer's own loss is in `trainer/losses.py`; this one differs where pixels are held out: its windows average over
the pixels that count, so that what is held out is never seen.
"""

from collections.abc import Iterator

import numpy as np

WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5
C1, C2 = 0.01**2, 0.03**2


def squared_error(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean squared error over the pixels of `mask` (H, W) and its gradient (H, W, 3)."""
    difference = (image - target) * mask[..., None]
    count = max(3 * int(mask.sum()), 1)
    return float(np.square(difference, dtype=np.float64).sum()) / count, difference * image.dtype.type(2 / count)


class PhotometricLoss:
    """(1 - lambda) L1 + lambda D-SSIM, D-SSIM = 1 - SSIM (Kerbl et al. 2023, equation 7; Wang et al. 2004)."""

    def __init__(self, target: np.ndarray, mask: np.ndarray):
        self.target = target
        self.mask = mask[..., None].astype(target.dtype)
        self.count = max(3 * int(mask.sum()), 1)
        self._shares = 1 / np.maximum(_blurred(self.mask), 1e-6)  # what a window holds of pixels that count
        self._mean_y = self._mean(target)
        self._variance_y = self._mean(target * target) - self._mean_y**2

    def parts(self, image: np.ndarray, ssim_lambda: float) -> Iterator[tuple[float, np.ndarray] | None]:
        """None after each part of the work, at last the loss and its gradient (H, W, 3)."""
        difference = (image - self.target) * self.mask
        loss = (1 - ssim_lambda) * float(np.abs(difference, dtype=np.float64).sum()) / self.count
        gradient = np.sign(difference) * image.dtype.type((1 - ssim_lambda) / self.count)
        mean_x = self._mean(image)
        yield None
        variance_x = self._mean(image * image) - mean_x**2
        yield None
        covariance = self._mean(image * self.target) - mean_x * self._mean_y
        yield None
        light, light_sum = 2 * mean_x * self._mean_y + C1, mean_x**2 + self._mean_y**2 + C1
        contrast, contrast_sum = 2 * covariance + C2, variance_x + self._variance_y + C2
        ssim = light * contrast / (light_sum * contrast_sum)
        loss += ssim_lambda * float(((1 - ssim) * self.mask).sum(dtype=np.float64)) / self.count
        # By the mean, the variance and the covariance in each window, and from there by its pixels.
        weight = self.mask * image.dtype.type(-ssim_lambda / self.count)
        by_covariance = weight * 2 * light / (light_sum * contrast_sum)
        by_variance = -weight * ssim / contrast_sum
        by_mean = weight * 2 * (self._mean_y * contrast / contrast_sum - mean_x * ssim) / light_sum
        by_mean -= 2 * mean_x * by_variance + self._mean_y * by_covariance
        gradient += self._spread(by_mean)
        yield None
        gradient += 2 * image * self._spread(by_variance)
        yield None
        gradient += self.target * self._spread(by_covariance)
        yield loss, gradient

    def _mean(self, values: np.ndarray) -> np.ndarray:
        """In the window around each pixel, over the pixels that count."""
        return _blurred(values * self.mask) * self._shares

    def _spread(self, gradient: np.ndarray) -> np.ndarray:
        """The adjoint of `_mean`."""
        return _blurred(gradient * self._shares) * self.mask


def _blurred(values: np.ndarray) -> np.ndarray:
    """The gaussian window over (H, W, channels) with zeros around; it is symmetric, so it is its own adjoint."""
    half = WINDOW_PX // 2
    window = np.exp(-((np.arange(WINDOW_PX) - half) ** 2) / (2 * WINDOW_SIGMA_PX**2))
    window = (window / window.sum()).astype(values.dtype)
    for axis in (0, 1):
        length = values.shape[axis]
        padded = np.pad(values, [(half, half) if other == axis else (0, 0) for other in range(3)])
        parts = (padded[start : start + length] if axis == 0 else padded[:, start : start + length]
                 for start in range(WINDOW_PX))  # fmt: skip
        values = sum(weight * part for weight, part in zip(window, parts))
    return values
