"""Between display-encoded values and linear light, many at once: the curves of `gaussians/srgb.py`."""

from .....gaussians.srgb import FOOT_ENCODED, FOOT_LINEAR, FOOT_SLOPE, POWER, SHIFT
from .declare import inner
from .lanes.simd_math import exp2, log2, maximum, minimum, select

LOG2_LIMIT = 100.0  # colors beyond some 2^40 that ran away stay finite numbers


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
    """Display-encoded values of linear light."""
    base = maximum(linear, FOOT_LINEAR)
    power = exp2(log2(base) * (1.0 / POWER)) * (1.0 + SHIFT)
    is_curved = linear > FOOT_LINEAR
    return select(is_curved, power - SHIFT, linear * FOOT_SLOPE)


@inner
def encoding_slope(linear, encoded):
    """The slope of the curve from linear light to its display-encoded values, which are known."""
    slope = (encoded + SHIFT) / maximum(linear, FOOT_LINEAR) * (1.0 / POWER)
    return select(linear > FOOT_LINEAR, slope, FOOT_SLOPE)
