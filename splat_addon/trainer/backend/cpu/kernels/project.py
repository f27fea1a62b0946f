"""Projection: steps 1 to 4 of the backward process, eight gaussians at once.

Geometry is in double precision: a place on the screen is a small difference of large terms, and so is a thin
gaussian's determinant. The arithmetic costs less than reading the gaussians. Colors are in single precision.
`project_backward.py` computes the same again rather than storing it.
"""

import numpy as np

from .declare import DOUBLES, FLOATS, INT, INTS, inner, kernel
from .harmonics import expect_rows, gather_rows, store_harmonics
from .lanes.simd import load, peek, poke, store, store_transposed
from .lanes.simd_math import (
    any_lane,
    exp2,
    first_words,
    floor,
    last_words,
    log2,
    magnitude,
    maximum,
    minimum,
    narrow,
    select,
    splat,
    sqrt,
    widen,
)
from .layout import (
    BOUNDS,
    CENTRE,
    CX,
    CY,
    DILATION,
    EXPONENT_SCALE,
    FX,
    FY,
    HEIGHT,
    LARGEST_X,
    LARGEST_Y,
    LEAST_X,
    LEAST_Y,
    LOG2_CUTOFF,
    LOG_SCALE,
    LOGIT,
    MEAN,
    NEAR,
    OFFSET,
    QUATERNION,
    RECORD,
    SH_AT,
    WIDTH,
    Y_AT,
)
from .srgb import decoded

LOG2_E = 1.4426950408889634
LOG_SCALE_LIMIT = 25.0  # a gaussian of sigma e^25 is flat as far as anyone can see; squares of more could overflow
LOGIT_LIMIT = 80.0  # beyond, the sigmoid is 0 or 1 to the last bit
ANTIALIAS_FLOOR = 0.000025  # as in equations.py
AHEAD = 16  # gaussians that are asked for from memory while others are worked on
SLACK_PX, SLACK_SHARE = 0.01, 1e-6  # bounds are this much too large, for the rounding of single precision


@inner
def gather_gaussians(means, log_scales, quaternions, logits, offsets, begin, count, scratch):
    """The parameters of eight gaussians as lanes: thirteen vectors at the beginning of `scratch`."""
    gather_rows(means, 3, begin, count, scratch, MEAN * 8)
    gather_rows(log_scales, 3, begin, count, scratch, LOG_SCALE * 8)
    gather_rows(quaternions, 4, begin, count, scratch, QUATERNION * 8)
    gather_rows(logits, 1, begin, count, scratch, LOGIT * 8)
    gather_rows(offsets, 2, begin, count, scratch, OFFSET * 8)


@inner
def lane_input(scratch, which):
    """One of the gathered parameters, in double precision."""
    return widen(load(scratch, which * 8))


@inner
def point_in_camera(camera, x, y, z):
    """B.1.1: p_c = R_cw p_w + t_cw."""
    return (
        x * peek(camera, 0) + y * peek(camera, 1) + z * peek(camera, 2) + peek(camera, 9),
        x * peek(camera, 3) + y * peek(camera, 4) + z * peek(camera, 5) + peek(camera, 10),
        x * peek(camera, 6) + y * peek(camera, 7) + z * peek(camera, 8) + peek(camera, 11),
    )


@inner
def rotation_rows(w, x, y, z):
    """B.2: the nine entries of R(q̂), row by row, for a unit quaternion."""
    return (
        1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y),
        2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x),
        2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y),
    )  # fmt: skip


@inner
def screen_maps(camera, tx, ty, inverse_z):
    """The rows of M = J R_cw, with J at (tx, ty) = (x/z, y/z), held near the image: six entries."""
    jx, jy = inverse_z * peek(camera, FX), inverse_z * peek(camera, FY)
    jxz, jyz = -jx * tx, -jy * ty
    return (
        jx * peek(camera, 0) + jxz * peek(camera, 6),
        jx * peek(camera, 1) + jxz * peek(camera, 7),
        jx * peek(camera, 2) + jxz * peek(camera, 8),
        jy * peek(camera, 3) + jyz * peek(camera, 6),
        jy * peek(camera, 4) + jyz * peek(camera, 7),
        jy * peek(camera, 5) + jyz * peek(camera, 8),
    )


@inner
def within(x, least, largest):
    return minimum(maximum(x, least), largest)


@inner
def inverse_length(x, y, z):
    """1/|v|, 0 for no length."""
    square = x * x + y * y + z * z
    return select(square > 0.0, 1.0 / sqrt(square), 0.0)


@inner
def sigmoid(x):
    """1/(1 + e^-x), and 1 minus that, without cancellation."""
    small = exp2(minimum(magnitude(x), LOGIT_LIMIT) * -LOG2_E)
    near, far = 1.0 / (1.0 + small), small / (1.0 + small)
    return select(x > 0.0, near, far), select(x > 0.0, far, near)


@inner
def _is_finite(scratch, begin, end):
    """Whether all floats of `scratch[begin:end]` are numbers: 0 times anything else is none."""
    total = load(scratch, begin) * 0.0
    for at in range(begin + 8, end, 8):
        total = total + load(scratch, at) * 0.0
    return not any_lane(select(total >= 0.0, total, 1.0) > 0.0)


@kernel
def project_forward(
    begin: INT, end: INT, count: INT, camera: DOUBLES, means: FLOATS, log_scales: FLOATS, quaternions: FLOATS,
    logits: FLOATS, offsets: FLOATS, sh: FLOATS, coefficients: INT, harmonic_count: INT, antialiased: INT,
    in_linear_light: INT, scratch: FLOATS, records: FLOATS, bounds: FLOATS, depths: FLOATS, radii: FLOATS,
    invalid: INTS,
):  # fmt: skip
    """Project gaussians `begin` … `end - 1` (multiples of 8) of `count`.

    Parameters are flat; `sh` has `coefficients` harmonics a gaussian, of which the first `harmonic_count` count.
    `in_linear_light`: whether colors are decoded for blending.
    Fills `records` and `bounds` (blend.py, bin.py; room for a multiple of 8), `depths` (below 0: not drawn) and
    `radii`, three sigma of the longer screen axis. `invalid` (1) becomes 1 if parameters are not finite or a quaternion
    has no length, else 0.
    """
    is_valid = True
    zero = splat(np.float32(0.0))
    for group in range(begin, end, 8):
        gather_gaussians(means, log_scales, quaternions, logits, offsets, group, count, scratch)
        gather_rows(sh, coefficients * 3, group, count, scratch, SH_AT)
        expect_rows(sh, coefficients * 3, group + AHEAD)
        is_valid &= _is_finite(scratch, 0, SH_AT + coefficients * 24)

        # 1. Transform and projection: B.1.1, B.1.2.
        mean_x, mean_y, mean_z = lane_input(scratch, 0), lane_input(scratch, 1), lane_input(scratch, 2)
        x, y, z = point_in_camera(camera, mean_x, mean_y, mean_z)
        is_beyond = z >= peek(camera, NEAR)
        inverse_z = 1.0 / select(is_beyond, z, 1.0)
        ratio_x, ratio_y = x * inverse_z, y * inverse_z
        place_x = ratio_x * peek(camera, FX) + (lane_input(scratch, OFFSET) + (peek(camera, CX) - 0.5))
        place_y = ratio_y * peek(camera, FY) + (lane_input(scratch, OFFSET + 1) + (peek(camera, CY) - 0.5))

        # 2. The columns of R(q̂) diag(s).
        qw, qx = lane_input(scratch, QUATERNION), lane_input(scratch, QUATERNION + 1)
        qy, qz = lane_input(scratch, QUATERNION + 2), lane_input(scratch, QUATERNION + 3)
        square = qw * qw + qx * qx + qy * qy + qz * qz
        is_valid &= not any_lane(select(square > 0.0, qw * 0.0, 1.0) > 0.0)
        normal = 1.0 / sqrt(square)
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation_rows(qw * normal, qx * normal, qy * normal, qz * normal)
        s0, s1 = scale_of(lane_input(scratch, LOG_SCALE)), scale_of(lane_input(scratch, LOG_SCALE + 1))
        s2 = scale_of(lane_input(scratch, LOG_SCALE + 2))

        # 3. Σ' = T Tᵀ with the two rows of T = M R diag(s). The determinant is |T_0 × T_1|², which cannot cancel.
        tx = within(ratio_x, peek(camera, LEAST_X), peek(camera, LARGEST_X))
        ty = within(ratio_y, peek(camera, LEAST_Y), peek(camera, LARGEST_Y))
        m00, m01, m02, m10, m11, m12 = screen_maps(camera, tx, ty, inverse_z)
        t00, t10 = (m00 * r00 + m01 * r10 + m02 * r20) * s0, (m10 * r00 + m11 * r10 + m12 * r20) * s0
        t01, t11 = (m00 * r01 + m01 * r11 + m02 * r21) * s1, (m10 * r01 + m11 * r11 + m12 * r21) * s1
        t02, t12 = (m00 * r02 + m01 * r12 + m02 * r22) * s2, (m10 * r02 + m11 * r12 + m12 * r22) * s2
        a, b = t00 * t00 + t01 * t01 + t02 * t02, t00 * t10 + t01 * t11 + t02 * t12
        c = t10 * t10 + t11 * t11 + t12 * t12
        u0, u1, u2 = t01 * t12 - t02 * t11, t02 * t10 - t00 * t12, t00 * t11 - t01 * t10
        undilated = u0 * u0 + u1 * u1 + u2 * u2
        dilation = peek(camera, DILATION)
        determinant = undilated + dilation * (a + c + dilation)
        a, c = a + dilation, c + dilation
        has_area = determinant > 0.0
        determinant = select(has_area, determinant, 1.0)
        a, c = select(has_area, a, 1.0), select(has_area, c, 1.0)

        opacity, _ = sigmoid(lane_input(scratch, LOGIT))
        if antialiased != 0:
            opacity = opacity * sqrt(maximum(undilated / determinant, ANTIALIAS_FLOOR))
        peak = log2(opacity)

        # What α g ≥ 1/255 covers; see bin.py.
        reach = maximum(peak - LOG2_CUTOFF, 0.0) * (1.0 / EXPONENT_SCALE)
        reach_x, reach_y = sqrt(reach * a), sqrt(reach * c)
        first_x, last_x = -floor(reach_x - place_x), floor(place_x + reach_x)
        first_y, last_y = -floor(reach_y - place_y), floor(place_y + reach_y)
        is_drawn = is_beyond & has_area & (peak >= LOG2_CUTOFF)
        is_drawn = is_drawn & (minimum(last_x, peek(camera, WIDTH) - 1.0) >= maximum(first_x, 0.0))
        is_drawn = is_drawn & (minimum(last_y, peek(camera, HEIGHT) - 1.0) >= maximum(first_y, 0.0))
        store(depths, group, narrow(select(is_drawn, z, -1.0)))
        half_trace, half_difference = 0.5 * (a + c), 0.5 * (a - c)
        three_sigma = 3.0 * sqrt(half_trace + sqrt(half_difference * half_difference + b * b))
        store(radii, group, narrow(select(is_drawn, -floor(-three_sigma), 0.0)))
        if not any_lane(is_drawn):
            continue
        inverse_a = 1.0 / a
        store_transposed(
            bounds, group * BOUNDS, BOUNDS,
            narrow(place_x), narrow(place_y), narrow(select(is_drawn, reach_x, -1.0)), narrow(b * sqrt(reach / c)),
            narrow(b * inverse_a), narrow(reach * determinant * inverse_a * (1.0 + SLACK_SHARE)),
            narrow(determinant * inverse_a * inverse_a), narrow((reach_x + reach_y) * SLACK_SHARE + SLACK_PX),
        )  # fmt: skip

        # 4. Color: c = max(0, Σ_k Y_k(r) h_k + ½), B.4.
        x, y = narrow(mean_x - peek(camera, CENTRE)), narrow(mean_y - peek(camera, CENTRE + 1))
        towards_z = narrow(mean_z - peek(camera, CENTRE + 2))
        normal_f = inverse_length(x, y, towards_z)
        store_harmonics(x * normal_f, y * normal_f, towards_z * normal_f, harmonic_count, scratch, Y_AT)
        red, green, blue = zero + 0.5, zero + 0.5, zero + 0.5
        for k in range(harmonic_count):
            value, at = load(scratch, Y_AT + k * 8), SH_AT + k * 24
            red += value * load(scratch, at)
            green += value * load(scratch, at + 8)
            blue += value * load(scratch, at + 16)
        red, green, blue = maximum(red, 0.0), maximum(green, 0.0), maximum(blue, 0.0)
        if in_linear_light != 0:
            red, green, blue = decoded(red)[0], decoded(green)[0], decoded(blue)[0]

        inverse_c = 1.0 / c
        slope = -b * inverse_c
        store_transposed(
            records, group * RECORD, RECORD,
            first_words(place_x), last_words(place_x), first_words(place_y), last_words(place_y),
            first_words(slope), last_words(slope), narrow(peak), narrow(sqrt(c / determinant * EXPONENT_SCALE)),
        )  # fmt: skip
        store_transposed(
            records, group * RECORD + 8, RECORD,
            narrow(inverse_c * -EXPONENT_SCALE), red, green, blue, narrow(z), zero, zero, zero,
        )  # fmt: skip
    poke(invalid, 0, 0 if is_valid else 1)


@inner
def scale_of(log_scale):
    """s = e^log_scale, within what squares can hold."""
    return exp2(within_range(log_scale) * LOG2_E)


@inner
def within_range(log_scale):
    return maximum(minimum(log_scale, LOG_SCALE_LIMIT), -300.0)
