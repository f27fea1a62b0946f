"""The photometric loss and its gradient in one sweep over the rows: (1 - λ) |x - y| + λ (1 - SSIM), by hand.

SSIM (Wang et al. 2004) with a gaussian window of 11 taps, sigma 1.5, for each channel, zeros beyond the edges. With
blurred μx, μy, e = blur(x² + y²), f = blur(x y):

    S = A1 A2/(B1 B2),  A1 = 2 μx μy + C1,  A2 = 2 (f - μx μy) + C2,  B1 = μx² + μy² + C1,  B2 = e - μx² - μy² + C2
    ∂S/∂μx = 2 μy (A2 - A1)/(B1 B2) + 2 μx S (1/B2 - 1/B1),  ∂S/∂e = -S/B2,  ∂S/∂f = 2 A1/(B1 B2)
    ∂L/∂x = blur(g ∂S/∂μx) + 2 x blur(g ∂S/∂e) + y blur(g ∂S/∂f),  g = ∂L/∂S: the window is its own adjoint.

Rows are W * 3 floats with the channels interleaved, so that a tap to the side is three floats away. Each row is blurred
sideways as it comes, and kept in a ring of eleven rows for the blur downwards; everything stays in the cache.
"""

import math

import numpy as np

from .kernel_cache import DOUBLES, FLOAT, FLOATS, INT, kernel
from .kernel_parts import inner
from .layout import BLURRED, D_BLURRED, PAD, RING_ROWS
from .simd import load, peek, poke, store
from .simd_math import lane_sum, magnitude, select, splat

RADIUS = 5
C1, C2 = 0.01**2, 0.03**2
_raw = [math.exp(-(i**2) / (2 * 1.5**2)) for i in range(-RADIUS, RADIUS + 1)]
W0, W1, W2, W3, W4, W5 = (np.float32(_raw[RADIUS + i] / sum(_raw)) for i in range(RADIUS + 1))


@inner
def _sideways(scratch, at):
    """The window over a padded row."""
    return (
        W0 * load(scratch, at)
        + W1 * (load(scratch, at - 3) + load(scratch, at + 3))
        + W2 * (load(scratch, at - 6) + load(scratch, at + 6))
        + W3 * (load(scratch, at - 9) + load(scratch, at + 9))
        + W4 * (load(scratch, at - 12) + load(scratch, at + 12))
        + W5 * (load(scratch, at - 15) + load(scratch, at + 15))
    )


@inner
def _downwards(scratch, slots, at):
    """The window over eleven rows of a ring."""
    return (
        W0 * load(scratch, slots[5] + at)
        + W1 * (load(scratch, slots[4] + at) + load(scratch, slots[6] + at))
        + W2 * (load(scratch, slots[3] + at) + load(scratch, slots[7] + at))
        + W3 * (load(scratch, slots[2] + at) + load(scratch, slots[8] + at))
        + W4 * (load(scratch, slots[1] + at) + load(scratch, slots[9] + at))
        + W5 * (load(scratch, slots[0] + at) + load(scratch, slots[10] + at))
    )


@inner
def _slot(y, height, row):
    return (y % 11 if 0 <= y < height else 11) * row


@inner
def _slots(y, height, row):
    """Where the rows y - 5 … y + 5 lie in a ring."""
    return (
        _slot(y - 5, height, row), _slot(y - 4, height, row), _slot(y - 3, height, row), _slot(y - 2, height, row),
        _slot(y - 1, height, row), _slot(y, height, row), _slot(y + 1, height, row), _slot(y + 2, height, row),
        _slot(y + 3, height, row), _slot(y + 4, height, row), _slot(y + 5, height, row),
    )  # fmt: skip


@inner
def _copy_row(source, start, floats, scratch, at):
    """A row of an image; what is left of the last vector becomes 0."""
    whole = floats - floats % 8
    for i in range(0, whole, 8):
        store(scratch, at + i, load(source, start + i))
    if whole < floats:
        for i in range(whole, whole + 8):
            poke(scratch, at + i, peek(source, start + i) if i < floats else np.float32(0.0))


@kernel
def photometric_rows(
    begin: INT, end: INT, width: INT, height: INT, image: FLOATS, target: FLOATS, weights: FLOATS, is_weighted: INT,
    scale: FLOAT, ssim_lambda: FLOAT, scratch: FLOATS, d_image: FLOATS, row_sums: DOUBLES,
):  # fmt: skip
    """Rows `begin` … `end - 1`: their sums of weighted |x - y| and weighted 1 - SSIM, and ∂L/∂x.

    `image`, `target`, `d_image` (H * W * 3); `weights` (H * W) unless `is_weighted` is 0; `row_sums` (H, 2).
    L = scale * ((1 - λ) first sum + λ second sum). `scratch` must be zero before the first call.
    """
    floats = width * 3
    row = (floats + 7) // 8 * 8
    padded = row + 2 * PAD + 8
    ring, d_ring = 0, BLURRED * RING_ROWS * row
    lines = d_ring + D_BLURRED * RING_ROWS * row + PAD
    d_lines = lines + BLURRED * padded
    x_row = d_lines + D_BLURRED * padded - PAD
    y_row, weight_row = x_row + row, x_row + 2 * row
    map_size = RING_ROWS * row
    for at in range(0, row, 8):
        store(scratch, weight_row + at, splat(np.float32(0.0)))
    for at in range(floats):
        poke(scratch, weight_row + at, 1.0)

    for incoming in range(max(begin - 2 * RADIUS, 0), end + 2 * RADIUS):
        if incoming < height:
            _copy_row(image, incoming * floats, floats, scratch, lines)
            _copy_row(target, incoming * floats, floats, scratch, lines + padded)
            for at in range(lines, lines + row, 8):
                x, y = load(scratch, at), load(scratch, at + padded)
                store(scratch, at + 2 * padded, x * x + y * y)
                store(scratch, at + 3 * padded, x * y)
            slot = ring + incoming % 11 * row
            for at in range(0, row, 8):
                for which in range(BLURRED):
                    store(scratch, slot + which * map_size + at, _sideways(scratch, lines + which * padded + at))

        middle = incoming - RADIUS
        if max(begin - RADIUS, 0) <= middle < min(end + RADIUS, height):
            if is_weighted != 0:
                for column in range(width):
                    weight = peek(weights, middle * width + column)
                    poke(scratch, weight_row + column * 3, weight)
                    poke(scratch, weight_row + column * 3 + 1, weight)
                    poke(scratch, weight_row + column * 3 + 2, weight)
            slots = _slots(middle, height, row)
            total = splat(np.float32(0.0))
            for at in range(0, row, 8):
                mx, my = _downwards(scratch, slots, at), _downwards(scratch, slots, at + map_size)
                e, f = _downwards(scratch, slots, at + 2 * map_size), _downwards(scratch, slots, at + 3 * map_size)
                product, squares = mx * my, mx * mx + my * my
                a1, a2 = 2.0 * product + C1, 2.0 * (f - product) + C2
                b1, b2 = squares + C1, e - squares + C2
                inverse = 1.0 / (b1 * b2)
                ssim = a1 * a2 * inverse
                weight = load(scratch, weight_row + at)
                total = total + weight * (1.0 - ssim)
                g = weight * (-scale * ssim_lambda)
                line = d_lines + at
                store(scratch, line, 2.0 * g * inverse * (my * (a2 - a1) + mx * ssim * (b1 - b2)))
                store(scratch, line + padded, -g * ssim * b1 * inverse)
                store(scratch, line + 2 * padded, 2.0 * g * a1 * inverse)
            if begin <= middle < end:
                poke(row_sums, middle * 2 + 1, lane_sum(total))
            slot = d_ring + middle % 11 * row
            for at in range(0, row, 8):
                for which in range(D_BLURRED):
                    store(scratch, slot + which * map_size + at, _sideways(scratch, d_lines + which * padded + at))

        done = middle - RADIUS
        if begin <= done < end:
            if is_weighted != 0:
                for column in range(width):
                    weight = peek(weights, done * width + column)
                    poke(scratch, weight_row + column * 3, weight)
                    poke(scratch, weight_row + column * 3 + 1, weight)
                    poke(scratch, weight_row + column * 3 + 2, weight)
            _copy_row(image, done * floats, floats, scratch, x_row)
            _copy_row(target, done * floats, floats, scratch, y_row)
            slots = _slots(done, height, row)
            total = splat(np.float32(0.0))
            for at in range(0, row, 8):
                x, y, weight = load(scratch, x_row + at), load(scratch, y_row + at), load(scratch, weight_row + at)
                difference = x - y
                total = total + weight * magnitude(difference)
                l1 = weight * (scale * (np.float32(1.0) - ssim_lambda))
                l1 = select(difference > 0.0, l1, select(difference < 0.0, -l1, 0.0))
                by_mean = _downwards(scratch, slots, d_ring + at)
                by_squares = _downwards(scratch, slots, d_ring + at + map_size)
                by_product = _downwards(scratch, slots, d_ring + at + 2 * map_size)
                gradient = l1 + by_mean + 2.0 * x * by_squares + y * by_product
                if at + 8 <= floats:
                    store(d_image, done * floats + at, gradient)
                else:
                    store(scratch, x_row + at, gradient)
                    for i in range(at, floats):
                        poke(d_image, done * floats + i, peek(scratch, x_row + i))
            poke(row_sums, done * 2, lane_sum(total))
