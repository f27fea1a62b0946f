"""The display encoding of sRGB and scene-linear light: IEC 61966-2-1, each value on its own.

Beyond 1 the power goes on, below 0 the straight foot, so that both directions are defined for all numbers.
"""

import numpy as np

FOOT_ENCODED = 0.04045  # up to here the curve is straight
FOOT_LINEAR = 0.0031308
FOOT_SLOPE = 12.92
POWER = 2.4
SHIFT = 0.055


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """Scene-linear Rec.709 values of display-encoded ones."""
    power = ((np.maximum(encoded, FOOT_ENCODED) + SHIFT) / (1 + SHIFT)) ** POWER
    return np.where(encoded <= FOOT_ENCODED, encoded / FOOT_SLOPE, power)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Display-encoded values of scene-linear Rec.709 ones."""
    power = (1 + SHIFT) * np.maximum(linear, FOOT_LINEAR) ** (1 / POWER) - SHIFT
    return np.where(linear <= FOOT_LINEAR, linear * FOOT_SLOPE, power)
