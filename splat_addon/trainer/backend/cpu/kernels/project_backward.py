"""Projection backward: from the sums of blend_backward.py to the stored parameters (Eq. 3 to 7), eight at once.

The moments of G = ∂L/∂ ln α' give, since ln α' = ln α - ½ A s² - ½ B dy² with s = dx + k dy,

    ∂L/∂u = (-A Σ G s, -A k Σ G s - B Σ G dy)    ∂L/∂A = -½ Σ G s²    ∂L/∂k = -A Σ G s dy    ∂L/∂B = -½ Σ G dy²

and A = 1/V, V = a - b²/c, k = -b/c, B = 1/c carry them to Σ' = (a, b, c): ∂L/∂V = ½ A² Σ G s² and

    ∂L/∂a = ∂L/∂V    ∂L/∂b = 2k ∂L/∂V - B ∂L/∂k    ∂L/∂c = k² ∂L/∂V - k B ∂L/∂k - B² ∂L/∂B.

This is ∂ω/∂(a, b, c) of B.5 for the completed square. From there on it is B.3, B.2 and B.1 as they are written.
"""

import numpy as np

from .declare import DOUBLES, FLOATS, INT, inner, kernel
from .harmonics import direction_gradient, expect_rows, gather_rows, scatter_rows, store_harmonics
from .lanes.simd import load, peek, store, store_transposed
from .lanes.simd_math import any_lane, narrow, select, splat, sqrt, widen
from .layout import (
    CENTRE,
    D_INPUTS_AT,
    D_Y_AT,
    DILATION,
    FX,
    FY,
    LARGEST_X,
    LARGEST_Y,
    LEAST_X,
    LEAST_Y,
    LOG_SCALE,
    LOGIT,
    OFFSET,
    QUATERNION,
    RECORD,
    SH_AT,
    SUM_DEPTH,
    SUM_RED,
    SUMS_AT,
    Y_AT,
)
from .project import (
    AHEAD,
    ANTIALIAS_FLOOR,
    LOG_SCALE_LIMIT,
    gather_gaussians,
    inverse_length,
    lane_input,
    point_in_camera,
    rotation_rows,
    scale_of,
    screen_maps,
    sigmoid,
    within,
)
from .srgb import decoded


@inner
def _gather_sums(gradient_rows, parts, rows_size, group, scratch):
    """The sums of eight gaussians over the threads that made them, as sixteen vectors of lanes."""
    for half in range(0, RECORD, 8):
        at = group * RECORD + half
        r0, r1 = load(gradient_rows, at), load(gradient_rows, at + 16)
        r2, r3 = load(gradient_rows, at + 32), load(gradient_rows, at + 48)
        r4, r5 = load(gradient_rows, at + 64), load(gradient_rows, at + 80)
        r6, r7 = load(gradient_rows, at + 96), load(gradient_rows, at + 112)
        for _ in range(1, parts):
            at += rows_size
            r0, r1 = r0 + load(gradient_rows, at), r1 + load(gradient_rows, at + 16)
            r2, r3 = r2 + load(gradient_rows, at + 32), r3 + load(gradient_rows, at + 48)
            r4, r5 = r4 + load(gradient_rows, at + 64), r5 + load(gradient_rows, at + 80)
            r6, r7 = r6 + load(gradient_rows, at + 96), r7 + load(gradient_rows, at + 112)
        store_transposed(scratch, SUMS_AT + half * 8, 8, r0, r1, r2, r3, r4, r5, r6, r7)


@kernel
def project_backward(
    begin: INT, end: INT, count: INT, camera: DOUBLES, means: FLOATS, log_scales: FLOATS, quaternions: FLOATS,
    logits: FLOATS, offsets: FLOATS, sh: FLOATS, coefficients: INT, harmonic_count: INT, antialiased: INT,
    in_linear_light: INT, scratch: FLOATS, depths: FLOATS, gradient_rows: FLOATS, parts: INT, rows_size: INT,
    d_means: FLOATS, d_log_scales: FLOATS, d_quaternions: FLOATS, d_logits: FLOATS, d_offsets: FLOATS, d_sh: FLOATS,
):  # fmt: skip
    """The gradients of gaussians `begin` … `end - 1` (multiples of 8) of `count`.

    As `project_forward`, and `gradient_rows` from `parts` threads, `rows_size` apart. Outputs have room for a
    multiple of 8 gaussians; what is not drawn gets 0.
    """
    zero = splat(np.float32(0.0))
    for group in range(begin, end, 8):
        is_drawn = load(depths, group) > 0.0
        if not any_lane(is_drawn):
            for at in range(D_INPUTS_AT, SUMS_AT, 8):
                store(scratch, at, zero)
            for at in range(SH_AT, Y_AT, 8):
                store(scratch, at, zero)
            _scatter(scratch, group, d_means, d_log_scales, d_quaternions, d_logits, d_offsets, d_sh, coefficients)
            continue
        gather_gaussians(means, log_scales, quaternions, logits, offsets, group, count, scratch)
        gather_rows(sh, coefficients * 3, group, count, scratch, SH_AT)
        expect_rows(sh, coefficients * 3, group + AHEAD)
        expect_rows(d_sh, coefficients * 3, group + AHEAD)
        expect_rows(gradient_rows, RECORD, group + AHEAD)
        _gather_sums(gradient_rows, parts, rows_size, group, scratch)

        # Forward again, as in project.py.
        mean_x, mean_y, mean_z = lane_input(scratch, 0), lane_input(scratch, 1), lane_input(scratch, 2)
        x, y, z = point_in_camera(camera, mean_x, mean_y, mean_z)
        inverse_z = 1.0 / select(is_drawn, z, 1.0)
        ratio_x, ratio_y = x * inverse_z, y * inverse_z
        qw, qx = lane_input(scratch, QUATERNION), lane_input(scratch, QUATERNION + 1)
        qy, qz = lane_input(scratch, QUATERNION + 2), lane_input(scratch, QUATERNION + 3)
        normal = 1.0 / sqrt(qw * qw + qx * qx + qy * qy + qz * qz)
        qw, qx, qy, qz = qw * normal, qx * normal, qy * normal, qz * normal
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation_rows(qw, qx, qy, qz)
        s0, s1 = scale_of(lane_input(scratch, LOG_SCALE)), scale_of(lane_input(scratch, LOG_SCALE + 1))
        s2 = scale_of(lane_input(scratch, LOG_SCALE + 2))
        least_x, largest_x = peek(camera, LEAST_X), peek(camera, LARGEST_X)
        least_y, largest_y = peek(camera, LEAST_Y), peek(camera, LARGEST_Y)
        tx, ty = within(ratio_x, least_x, largest_x), within(ratio_y, least_y, largest_y)
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
        precision_a = (c + dilation) / determinant  # A
        precision_b = 1.0 / (c + dilation)  # B
        slope = -b * precision_b  # k

        # From the moments to the place on the screen and to Σ'.
        sum_1, sum_s = widen(load(scratch, SUMS_AT)), widen(load(scratch, SUMS_AT + 8))
        sum_ss, sum_sy = widen(load(scratch, SUMS_AT + 16)), widen(load(scratch, SUMS_AT + 24))
        sum_y, sum_yy = widen(load(scratch, SUMS_AT + 32)), widen(load(scratch, SUMS_AT + 40))
        d_place_x = -precision_a * sum_s
        d_place_y = slope * d_place_x - precision_b * sum_y
        d_variance = 0.5 * precision_a * precision_a * sum_ss
        d_slope = -precision_a * sum_sy
        d_a = d_variance
        d_b = 2.0 * slope * d_variance - precision_b * d_slope
        d_c = slope * slope * d_variance - precision_b * (slope * d_slope - 0.5 * precision_b * sum_yy)
        _, one_minus_opacity = sigmoid(lane_input(scratch, LOGIT))
        if antialiased != 0:
            # ln α has ½ ln(undilated/determinant), unless the floor holds.
            is_free = undilated > ANTIALIAS_FLOOR * determinant
            inverse_undilated = 1.0 / select(is_free, undilated, 1.0)
            inverse = 1.0 / determinant
            half = select(is_free, 0.5 * sum_1, 0.0)
            d_a += half * (c * inverse_undilated - (c + dilation) * inverse)
            d_b -= 2.0 * half * b * (inverse_undilated - inverse)
            d_c += half * (a * inverse_undilated - (a + dilation) * inverse)

        # B.3: Σ' = T Tᵀ, T = P diag(s), P = M R.
        d_t00, d_t10 = 2.0 * d_a * t00 + d_b * t10, 2.0 * d_c * t10 + d_b * t00
        d_t01, d_t11 = 2.0 * d_a * t01 + d_b * t11, 2.0 * d_c * t11 + d_b * t01
        d_t02, d_t12 = 2.0 * d_a * t02 + d_b * t12, 2.0 * d_c * t12 + d_b * t02
        _store_scale_gradient(scratch, 0, is_drawn, d_t00 * t00 + d_t10 * t10)
        _store_scale_gradient(scratch, 1, is_drawn, d_t01 * t01 + d_t11 * t11)
        _store_scale_gradient(scratch, 2, is_drawn, d_t02 * t02 + d_t12 * t12)
        p00, p10, p01, p11, p02, p12 = d_t00 * s0, d_t10 * s0, d_t01 * s1, d_t11 * s1, d_t02 * s2, d_t12 * s2

        # B.2: R, then the quaternion, then its normalization (I - q̂ q̂ᵀ)/|q|.
        g00, g01, g02 = p00 * m00 + p10 * m10, p01 * m00 + p11 * m10, p02 * m00 + p12 * m10
        g10, g11, g12 = p00 * m01 + p10 * m11, p01 * m01 + p11 * m11, p02 * m01 + p12 * m11
        g20, g21, g22 = p00 * m02 + p10 * m12, p01 * m02 + p11 * m12, p02 * m02 + p12 * m12
        d_w = 2.0 * (qx * (g21 - g12) + qy * (g02 - g20) + qz * (g10 - g01))
        d_x = 2.0 * (qy * (g01 + g10) + qz * (g02 + g20) + qw * (g21 - g12)) - 4.0 * qx * (g11 + g22)
        d_y = 2.0 * (qx * (g01 + g10) + qz * (g12 + g21) + qw * (g02 - g20)) - 4.0 * qy * (g00 + g22)
        d_z = 2.0 * (qx * (g02 + g20) + qy * (g12 + g21) + qw * (g10 - g01)) - 4.0 * qz * (g00 + g11)
        along = qw * d_w + qx * d_x + qy * d_y + qz * d_z
        _store_gradient(scratch, QUATERNION, is_drawn, (d_w - qw * along) * normal)
        _store_gradient(scratch, QUATERNION + 1, is_drawn, (d_x - qx * along) * normal)
        _store_gradient(scratch, QUATERNION + 2, is_drawn, (d_y - qy * along) * normal)
        _store_gradient(scratch, QUATERNION + 3, is_drawn, (d_z - qz * along) * normal)
        _store_gradient(scratch, LOGIT, is_drawn, sum_1 * one_minus_opacity)
        _store_gradient(scratch, OFFSET, is_drawn, d_place_x)
        _store_gradient(scratch, OFFSET + 1, is_drawn, d_place_y)

        # B.3b: M = J R_cw, J = [[jx, 0, -jx tx], [0, jy, -jy ty]].
        d_m00, d_m10 = p00 * r00 + p01 * r01 + p02 * r02, p10 * r00 + p11 * r01 + p12 * r02
        d_m01, d_m11 = p00 * r10 + p01 * r11 + p02 * r12, p10 * r10 + p11 * r11 + p12 * r12
        d_m02, d_m12 = p00 * r20 + p01 * r21 + p02 * r22, p10 * r20 + p11 * r21 + p12 * r22
        jx, jy = inverse_z * peek(camera, FX), inverse_z * peek(camera, FY)
        d_jx = d_m00 * peek(camera, 0) + d_m01 * peek(camera, 1) + d_m02 * peek(camera, 2)
        d_jy = d_m10 * peek(camera, 3) + d_m11 * peek(camera, 4) + d_m12 * peek(camera, 5)
        d_jxz = d_m00 * peek(camera, 6) + d_m01 * peek(camera, 7) + d_m02 * peek(camera, 8)
        d_jyz = d_m10 * peek(camera, 6) + d_m11 * peek(camera, 7) + d_m12 * peek(camera, 8)

        # Eq. 7, location: by the place on the screen and depth, by Σ' (nothing where x/z is clamped), by the color.
        is_free_x = (ratio_x >= least_x) & (ratio_x < largest_x)
        is_free_y = (ratio_y >= least_y) & (ratio_y < largest_y)
        d_ratio_x = d_place_x * peek(camera, FX) - select(is_free_x, jx * d_jxz, 0.0)
        d_ratio_y = d_place_y * peek(camera, FY) - select(is_free_y, jy * d_jyz, 0.0)
        d_pz = widen(load(scratch, SUMS_AT + SUM_DEPTH * 8)) - inverse_z * (
            ratio_x * d_ratio_x + ratio_y * d_ratio_y + jx * (d_jx - tx * d_jxz) + jy * (d_jy - ty * d_jyz)
        )
        d_px, d_py = d_ratio_x * inverse_z, d_ratio_y * inverse_z
        d_x = d_px * peek(camera, 0) + d_py * peek(camera, 3) + d_pz * peek(camera, 6)
        d_y = d_px * peek(camera, 1) + d_py * peek(camera, 4) + d_pz * peek(camera, 7)
        d_z = d_px * peek(camera, 2) + d_py * peek(camera, 5) + d_pz * peek(camera, 8)

        view_x, view_y = narrow(mean_x - peek(camera, CENTRE)), narrow(mean_y - peek(camera, CENTRE + 1))
        view_z = narrow(mean_z - peek(camera, CENTRE + 2))
        nearness = inverse_length(view_x, view_y, view_z)
        view_x, view_y, view_z = view_x * nearness, view_y * nearness, view_z * nearness
        _color_backward(scratch, view_x, view_y, view_z, is_drawn, harmonic_count, coefficients, in_linear_light)
        g_x, g_y, g_z = direction_gradient(view_x, view_y, view_z, harmonic_count, scratch, D_Y_AT)
        along_view = view_x * g_x + view_y * g_y + view_z * g_z
        _store_gradient(scratch, 0, is_drawn, d_x + widen((g_x - view_x * along_view) * nearness))
        _store_gradient(scratch, 1, is_drawn, d_y + widen((g_y - view_y * along_view) * nearness))
        _store_gradient(scratch, 2, is_drawn, d_z + widen((g_z - view_z * along_view) * nearness))
        _scatter(scratch, group, d_means, d_log_scales, d_quaternions, d_logits, d_offsets, d_sh, coefficients)


@inner
def _store_gradient(scratch, which, is_drawn, gradient):
    store(scratch, D_INPUTS_AT + which * 8, narrow(select(is_drawn, gradient, 0.0)))


@inner
def _store_scale_gradient(scratch, axis, is_drawn, gradient):
    """∂L/∂ log s = s ∂L/∂s, nothing where the scale is held."""
    is_free = lane_input(scratch, LOG_SCALE + axis) < LOG_SCALE_LIMIT
    _store_gradient(scratch, LOG_SCALE + axis, is_drawn & is_free, gradient)


@inner
def _color_backward(scratch, x, y, z, is_drawn, harmonic_count, coefficients, in_linear_light):
    """B.4: replace h_k by ∂L/∂h_k = Y_k ∂L/∂c and fill in ∂L/∂Y_k = h_k · ∂L/∂c; nothing where c is clamped at 0."""
    store_harmonics(x, y, z, harmonic_count, scratch, Y_AT)
    red, green, blue = x * 0.0 + 0.5, x * 0.0 + 0.5, x * 0.0 + 0.5
    for k in range(harmonic_count):
        value, at = load(scratch, Y_AT + k * 8), SH_AT + k * 24
        red += value * load(scratch, at)
        green += value * load(scratch, at + 8)
        blue += value * load(scratch, at + 16)
    at = SUMS_AT + SUM_RED * 8
    d_red = select(is_drawn & (red > 0.0), load(scratch, at), 0.0)
    d_green = select(is_drawn & (green > 0.0), load(scratch, at + 8), 0.0)
    d_blue = select(is_drawn & (blue > 0.0), load(scratch, at + 16), 0.0)
    if in_linear_light != 0:  # the sums are those of the decoded color
        d_red, d_green, d_blue = d_red * decoded(red)[1], d_green * decoded(green)[1], d_blue * decoded(blue)[1]
    for k in range(harmonic_count):
        value, at = load(scratch, Y_AT + k * 8), SH_AT + k * 24
        d_value = d_red * load(scratch, at) + d_green * load(scratch, at + 8) + d_blue * load(scratch, at + 16)
        store(scratch, D_Y_AT + k * 8, d_value)
        store(scratch, at, value * d_red)
        store(scratch, at + 8, value * d_green)
        store(scratch, at + 16, value * d_blue)
    for at in range(SH_AT + harmonic_count * 24, SH_AT + coefficients * 24, 8):
        store(scratch, at, x * 0.0)


@inner
def _scatter(scratch, group, d_means, d_log_scales, d_quaternions, d_logits, d_offsets, d_sh, coefficients):
    """From lanes back to rows."""
    scatter_rows(scratch, D_INPUTS_AT, d_means, 3, group)
    scatter_rows(scratch, D_INPUTS_AT + LOG_SCALE * 8, d_log_scales, 3, group)
    scatter_rows(scratch, D_INPUTS_AT + QUATERNION * 8, d_quaternions, 4, group)
    scatter_rows(scratch, D_INPUTS_AT + LOGIT * 8, d_logits, 1, group)
    scatter_rows(scratch, D_INPUTS_AT + OFFSET * 8, d_offsets, 2, group)
    scatter_rows(scratch, SH_AT, d_sh, coefficients * 3, group)
