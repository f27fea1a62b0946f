"""Between display-encoded values and linear light, eight at once: the curves of `gaussians/srgb.py`."""

from ...gaussians.srgb import FOOT_ENCODED, FOOT_LINEAR, FOOT_SLOPE, POWER, SHIFT
from .kernel_parts import inner
from .simd_math import exp2, log2, maximum, minimum, select

LOG2_LIMIT = 100.0  # colours beyond some 2^40 that ran away stay finite numbers


@inner
def decoded(encoded):
    """Linear light of display-encoded values, and the slope of this curve there."""
    base = (maximum(encoded, FOOT_ENCODED) + SHIFT) * (1.0 / (1.0 + SHIFT))
    power = exp2(minimum(log2(base) * POWER, LOG2_LIMIT))
    is_curved = encoded > FOOT_ENCODED
    linear = select(is_curved, power, encoded * (1.0 / FOOT_SLOPE))
    return linear, select(is_curved, power / base * (POWER / (1.0 + SHIFT)), 1.0 / FOOT_SLOPE)


@inner
def encoded(linear):
    """Display-encoded values of linear light, and the slope of this curve there."""
    base = maximum(linear, FOOT_LINEAR)
    power = exp2(log2(base) * (1.0 / POWER)) * (1.0 + SHIFT)
    is_curved = linear > FOOT_LINEAR
    shown = select(is_curved, power - SHIFT, linear * FOOT_SLOPE)
    return shown, select(is_curved, power / base * (1.0 / POWER), FOOT_SLOPE)
