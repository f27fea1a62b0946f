"""What is fitted: N gaussians in the plane of an image, as they are stored and optimized."""

from dataclasses import dataclass, fields

import numpy as np

FAINTEST = 0.005  # peaks below this are transparent: pruned, or dead to MCMC (Kerbl et al. 2023 prune there, too)


@dataclass
class Gaussians:
    """Each parameter by its gaussian. Isotropic ones have two equal sigmas; only transmittance asks for opacities."""

    means: np.ndarray  # (N, 2) px
    log_sigmas: np.ndarray  # (N, 2) natural logarithm of sigma in px, along the gaussian's own axes
    angles: np.ndarray  # (N,) rad, from x to y
    colors: np.ndarray  # (N, 3) free numbers: additive ones may be negative, which darkens
    logit_opacities: np.ndarray  # (N,)

    def __len__(self) -> int:
        return len(self.means)

    def arrays(self) -> dict[str, np.ndarray]:
        """All parameters by name."""
        return {spec.name: getattr(self, spec.name) for spec in fields(self)}

    def select(self, which: np.ndarray) -> "Gaussians":
        """Copies of those at a mask or at indices, in their order."""
        return Gaussians(**{name: array[which].copy() for name, array in self.arrays().items()})

    def joined(self, other: "Gaussians") -> "Gaussians":
        """These, then the others."""
        others = other.arrays()
        return Gaussians(**{name: np.concatenate([array, others[name]]) for name, array in self.arrays().items()})

    @property
    def sigmas(self) -> np.ndarray:
        """(N, 2) px."""
        return np.exp(self.log_sigmas)

    @property
    def opacities(self) -> np.ndarray:
        """(N,) 0..1."""
        return 0.5 * (1.0 + np.tanh(0.5 * self.logit_opacities))

    def peaks(self, is_additive: bool) -> np.ndarray:
        """(N,) how much a gaussian shows where it shows most: its strongest color, or its opacity."""
        return np.abs(self.colors).max(axis=1) if is_additive else self.opacities

    def axes(self) -> np.ndarray:
        """(N, 2, 2) the gaussian's own axes as columns."""
        cosine, sine = np.cos(self.angles), np.sin(self.angles)
        return np.stack([np.stack([cosine, -sine], axis=1), np.stack([sine, cosine], axis=1)], axis=1)

    def covariances(self) -> np.ndarray:
        """(N, 2, 2) px²: R diag(sigma²) R^T (Kerbl et al. 2023, equation 6, in the plane)."""
        scaled = self.axes() * self.sigmas[:, None, :]
        return scaled @ scaled.transpose(0, 2, 1)


def zeros_like(gaussians: Gaussians) -> Gaussians:
    """As many, all numbers zero: for sums of gradients."""
    return Gaussians(**{name: np.zeros_like(array) for name, array in gaussians.arrays().items()})


def random_gaussians(
    count: int, size: tuple[int, int], is_additive: bool, random: np.random.Generator, dtype: type = np.float32
) -> Gaussians:
    """Where a fit starts, almost at random: places anywhere in an image of `size` (H, W), sigmas about half the
    distance to the neighbors, faint gray colors or, under transmittance, opacities of 0.3."""
    height, width = size
    spacing = np.sqrt(height * width / max(count, 1))
    sigmas = np.maximum(0.5 * spacing * random.uniform(0.7, 1.3, count), 0.5)
    color = random.uniform(0.1, 0.4, (count, 3)) if is_additive else random.uniform(0.3, 0.7, (count, 3))
    return Gaussians(
        means=(random.random((count, 2)) * (width, height)).astype(dtype),
        log_sigmas=np.repeat(np.log(sigmas)[:, None], 2, axis=1).astype(dtype),
        angles=np.zeros(count, dtype),
        colors=color.astype(dtype),
        logit_opacities=np.full(count, np.log(0.3 / 0.7), dtype),
    )
