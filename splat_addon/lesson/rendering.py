"""From gaussians to an image, and from the loss's gradient by the image back to that by every parameter.

*Additive*, as the lesson's figure has it: R(p) = sum_i c_i w_i(p), with w_i(p) = exp(-|p - mu_i|² / (2 sigma_i²)) or,
anisotropic, exp(-(p - mu_i)^T S_i^-1 (p - mu_i) / 2).
*Transmittance*, as Kerbl et al. 2023, equation 3, blends: R(p) = sum_i c_i alpha_i T_i, with alpha_i = o_i w_i(p) of at
most 0.99 and T_i = prod_{k<i} (1 - alpha_k). A plane has no depth: the first gaussian is the nearest.

All gradients of the shape come from sums over a gaussian's pixels of h = (dL/dw) w and its products with p - mu, since
dw/dmu = w S^-1 (p - mu): the equation of the lesson.
"""

import numpy as np

from .gaussians import Gaussians
from .pairs import Pairs

LARGEST_ALPHA = 0.99  # as everywhere in the project, and elsewhere (Kerbl et al. 2023, appendix C)


def blending_of(pairs: Pairs, gaussians: Gaussians, is_additive: bool) -> "Sum | Blend":
    """How much of each gaussian is seen at each of its pixels."""
    return Sum(pairs) if is_additive else Blend(pairs, gaussians)


def draw(pairs: Pairs, blending: "Sum | Blend", gaussians: Gaussians, pixel_count: int) -> np.ndarray:
    """(pixel_count, 3) the image of a band of rows."""
    image = np.empty((pixel_count, 3), gaussians.colors.dtype)
    for channel in range(3):
        shown = blending.seen * pairs.spread(gaussians.colors[:, channel])
        image[:, channel] = np.bincount(pairs.pixels, shown, pixel_count)
    return image


def add_gradients(
    pairs: Pairs,
    blending: "Sum | Blend",
    gaussians: Gaussians,
    residual: np.ndarray,
    is_anisotropic: bool,
    gradients: Gaussians,
) -> None:
    """Add to `gradients` what a band of rows contributes, given dL/dR of its pixels, `residual` (pixels, 3)."""
    reaching = pairs.reaching
    residuals = [np.take(residual[:, channel], pairs.pixels) for channel in range(3)]
    pulls = sum(values * pairs.spread(gaussians.colors[:, channel]) for channel, values in enumerate(residuals))
    h = blending.by_weight(pulls)
    if isinstance(blending, Blend):
        gradients.logit_opacities[reaching] += pairs.sums(h) * (1 - gaussians.opacities[reaching])
    for channel, values in enumerate(residuals):
        gradients.colors[reaching, channel] += pairs.sums(blending.seen * values)
    along_x, along_y = h * pairs.x, h * pairs.y
    first = np.stack([pairs.sums(along_x), pairs.sums(along_y)], axis=1)
    xx, xy, yy = pairs.sums(along_x * pairs.x), pairs.sums(along_x * pairs.y), pairs.sums(along_y * pairs.y)
    second = np.stack([np.stack([xx, xy], axis=1), np.stack([xy, yy], axis=1)], axis=1)
    _add_shape_gradients(gaussians, reaching, first, second, is_anisotropic, gradients)


def _add_shape_gradients(
    gaussians: Gaussians,
    reaching: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    is_anisotropic: bool,
    gradients: Gaussians,
) -> None:
    """From the moments sum h (p - mu) (M, 2) and sum h (p - mu)(p - mu)^T (M, 2, 2) to positions, sigmas and angles.

    In the gaussian's own axes u = R^T (p - mu): dw/dlog sigma_k = w u_k² / sigma_k², and dw/dangle =
    -w u_0 u_1 (1 / sigma_0² - 1 / sigma_1²).
    """
    axes = gaussians.axes()[reaching]
    squares = gaussians.sigmas[reaching] ** 2
    own_first = np.einsum("nji,nj->ni", axes, first) / squares
    gradients.means[reaching] += np.einsum("nij,nj->ni", axes, own_first)
    own = np.einsum("nji,njk,nkl->nil", axes, second, axes)
    by_sigmas = np.stack([own[:, 0, 0], own[:, 1, 1]], axis=1) / squares
    if is_anisotropic:
        gradients.angles[reaching] -= own[:, 0, 1] * (1 / squares[:, 0] - 1 / squares[:, 1])
    else:
        by_sigmas[:] = by_sigmas.sum(axis=1, keepdims=True)  # there is one sigma, and both numbers are it
    gradients.log_sigmas[reaching] += by_sigmas


class Sum:
    """Additive: each gaussian is seen as if it were alone."""

    def __init__(self, pairs: Pairs):
        self.seen = pairs.weights

    def by_weight(self, pulls: np.ndarray) -> np.ndarray:
        """(P,) dL/dw w, given dL/dR . c."""
        return pulls * self.seen


class Blend:
    """The transmittance in front of every pair. Sums run over pixels from the nearest gaussian to the farthest."""

    def __init__(self, pairs: Pairs, gaussians: Gaussians):
        raw = pairs.weights * pairs.spread(gaussians.opacities)
        self.is_capped = raw > LARGEST_ALPHA
        self.alphas = np.minimum(raw, LARGEST_ALPHA)
        # Stable: pairs of one pixel stay in the order of the gaussians. Two bytes are sorted by counting, ten times
        # as fast.
        small = pairs.pixels.astype(np.uint16) if len(raw) and pairs.pixels.max() < 1 << 16 else pairs.pixels
        self._order = np.argsort(small, kind="stable")
        sorted_pixels = pairs.pixels[self._order]
        is_first = np.ones(len(raw), dtype=bool)
        is_first[1:] = sorted_pixels[1:] != sorted_pixels[:-1]
        self._firsts = np.flatnonzero(is_first)
        self._counts = np.diff(np.append(self._firsts, len(raw)))
        passed = np.exp(self._sum_before(np.log1p(-self.alphas[self._order].astype(np.float64))))
        self.transmittances = self._back(passed.astype(raw.dtype))
        self.seen = self.alphas * self.transmittances

    def by_weight(self, pulls: np.ndarray) -> np.ndarray:
        """(P,) dL/dw w, given dL/dR . c; nothing where alpha is capped."""
        return np.where(self.is_capped, 0, self.by_alpha(pulls) * self.alphas)

    def by_alpha(self, pulls: np.ndarray) -> np.ndarray:
        """(P,) dL/dalpha_i = T_i dL/dR . (c_i - behind_i), where behind_i is the color of all that is farther; `pulls`
        (P,) is dL/dR . c_i. (Kerbl et al. 2023, appendix C, with what is behind summed up instead of blended anew.)"""
        shown = (pulls * self.seen)[self._order].astype(np.float64)
        totals = np.repeat(np.add.reduceat(shown, self._firsts), self._counts) if len(shown) else shown
        behind = self._back((totals - self._sum_before(shown) - shown).astype(pulls.dtype))
        return self.transmittances * pulls - behind / (1 - self.alphas)

    def _sum_before(self, values: np.ndarray) -> np.ndarray:
        """For each sorted pair, the sum of those before it in its pixel."""
        before = np.cumsum(values) - values
        return before - np.repeat(before[self._firsts], self._counts)

    def _back(self, values: np.ndarray) -> np.ndarray:
        """From the order of pixels to that of the pairs."""
        placed = np.empty_like(values)
        placed[self._order] = values
        return placed
