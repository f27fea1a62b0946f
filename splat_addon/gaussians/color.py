"""Color changes that are exact from every direction.

The color shown is affine in the harmonics, so every affine change of RGB, c -> G c + b, is exact on all bands: the base
takes G and b, the others G alone. Colors are display-encoded, as they were trained; curves, gamma and shifts of hue are
not affine and have no place here.
"""

from dataclasses import dataclass, replace

import numpy as np

from .cloud import GaussianCloud
from .harmonics import color_to_sh, sh_to_color

LUMA = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709, of display-encoded values


@dataclass(frozen=True)
class AffineColor:
    """c -> matrix c + offset, of display-encoded rgb."""

    matrix: np.ndarray  # (3, 3)
    offset: np.ndarray  # (3,)

    def then(self, other: "AffineColor") -> "AffineColor":
        """This change first, and the `other` after it."""
        return AffineColor(other.matrix @ self.matrix, other.matrix @ self.offset + other.offset)


UNCHANGED = AffineColor(np.eye(3), np.zeros(3))


def gain(red: float, green: float, blue: float) -> AffineColor:
    """Each channel multiplied: white balance and tint; all three alike, exposure of the values that are displayed."""
    return AffineColor(np.diag([red, green, blue]).astype(np.float64), np.zeros(3))


def exposure(stops: float) -> AffineColor:
    """All channels multiplied by two to the power of `stops`."""
    return gain(*[2.0**stops] * 3)


def white_balance(temperature: float, tint: float) -> AffineColor:
    """Warmer (above 0) or cooler by `temperature`, more magenta (above 0) or greener by `tint`, both in stops between
    the ends of their axis; the luma of gray stays."""
    gains = 2.0 ** (np.array([temperature + tint, -tint, tint - temperature]) / 2)
    red, green, blue = (gains / (LUMA @ gains)).tolist() if temperature or tint else (1.0, 1.0, 1.0)
    return gain(red, green, blue)


def contrast(amount: float, pivot: float = 0.5) -> AffineColor:
    """Distances from the gray `pivot` (0..1) multiplied; 1 changes nothing."""
    return AffineColor(amount * np.eye(3), np.full(3, (1 - amount) * pivot))


def saturation(amount: float) -> AffineColor:
    """Distances from gray of the same luma multiplied: 0 is black and white, 1 changes nothing."""
    return AffineColor(amount * np.eye(3) + (1 - amount) * np.tile(LUMA, (3, 1)), np.zeros(3))


def channel_mix(matrix: np.ndarray) -> AffineColor:
    """Each channel as a mixture of the three: rows of a matrix (3, 3)."""
    return AffineColor(np.asarray(matrix, dtype=np.float64).reshape(3, 3), np.zeros(3))


def recolored(cloud: GaussianCloud, change: AffineColor) -> GaussianCloud:
    """The gaussians with that change seen from every direction."""
    sh = cloud.sh.astype(np.float64) @ change.matrix.T
    base = sh_to_color(cloud.sh[:, 0].astype(np.float64)) @ change.matrix.T + change.offset
    sh[:, 0] = color_to_sh(base)
    return replace(cloud, sh=sh.astype(np.float32))
