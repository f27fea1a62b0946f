"""The photometric loss and its gradient in one sweep over the rows: (1 - λ) |x - y| + λ (1 - SSIM), by hand.

SSIM (Wang et al. 2004) with a gaussian window of 11 taps, sigma 1.5, for each channel, zeros beyond the edges. With
blurred μx, μy, e = blur(x² + y²), f = blur(x y):

    S = A1 A2/(B1 B2),  A1 = 2 μx μy + C1,  A2 = 2 (f - μx μy) + C2,  B1 = μx² + μy² + C1,  B2 = e - μx² - μy² + C2
    ∂S/∂μx = 2 μy (A2 - A1)/(B1 B2) + 2 μx S (1/B2 - 1/B1),  ∂S/∂e = -S/B2,  ∂S/∂f = 2 A1/(B1 B2)
    ∂L/∂x = blur(g ∂S/∂μx) + 2 x blur(g ∂S/∂e) + y blur(g ∂S/∂f),  g = ∂L/∂S: the window is its own adjoint.

Rows are W * 3 floats with the channels interleaved, so that a tap to the side is three floats away. Four rows, a band,
are done at once: the window goes down the columns first, so that a row is loaded once for a band and not once for each
tap, and soon after sideways, along lines that have zeros on both sides. Rows of before that a band needs are in rings.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .declare import DOUBLES, FLOAT, FLOATS, INT, inner, kernel
from .lanes.simd import WIDE, element_address, llvm_type, load_wide, peek, poke, store, wide_floats
from .lanes.simd_math import call, lane_sum, magnitude, select, splat_wide
from .layout import BAND, BLURRED, CHUNK, D_BLURRED, PAD, RING_ROWS

RADIUS = 5
C1, C2 = 0.01**2, 0.03**2
_raw = [math.exp(-(i**2) / (2 * 1.5**2)) for i in range(-RADIUS, RADIUS + 1)]
_WINDOW = [value / sum(_raw) for value in _raw]
W0, W1, W2, W3, W4, W5 = map(np.float32, _WINDOW[RADIUS:])
LINE = CHUNK + 2 * PAD
MAP = BAND * LINE


def _window_down(maps_of):
    """Code for an intrinsic (array, slots, at, ring_size, lines): the window over rows, BAND lines for each map.

    `maps_of(builder, load, i)` makes the maps' vectors in row i of BAND + 10; `load(ring)` is the ring's vector there,
    the one at `slots[i] + ring * ring_size + at`. Line r of map m begins at `lines + (m * BAND + r) * LINE`.
    """

    def build(context, builder, sig, args):
        (kind, slot_kind, *_), vector = sig.args, llvm_type(wide_floats)
        array, slots, at, ring_size, lines = args

        def address(place):
            place = element_address(context, builder, kind, array, slot_kind.dtype, place)
            return builder.bitcast(place, vector.as_pointer())

        sums: dict[int, list] = {}
        for i in range(BAND + 2 * RADIUS):
            start = builder.add(builder.extract_value(slots, i), at)

            def load(ring, start=start):
                place = builder.add(start, builder.mul(ring_size, ring_size.type(ring)))
                return builder.load(address(place), align=4)

            for which, values in enumerate(maps_of(builder, load)):
                band = sums.setdefault(which, [ir.Constant(vector, [0.0] * WIDE)] * BAND)
                for row in range(max(i - 2 * RADIUS, 0), min(i + 1, BAND)):
                    tap = ir.Constant(vector, [_WINDOW[i - row]] * WIDE)
                    band[row] = call(builder, "fmuladd", values, tap, band[row])
        for which, band in sums.items():
            for row, values in enumerate(band):
                line = builder.add(lines, lines.type((which * BAND + row) * LINE))
                builder.store(values, address(line), align=4)
        return context.get_dummy_value()

    return build


@intrinsic
def _blur_pair_down(typing_context, array, slots, at, ring_size, lines):
    """Blurred x, y, x² + y² and x y of two rings, see `_window_down`."""

    def maps_of(builder, load):
        x, y = load(0), load(1)
        return x, y, call(builder, "fmuladd", y, y, builder.fmul(x, x)), builder.fmul(x, y)

    return types.void(array, slots, at, ring_size, lines), _window_down(maps_of)


@intrinsic
def _blur_three_down(typing_context, array, slots, at, ring_size, lines):
    """Three blurred rings, see `_window_down`."""

    def maps_of(builder, load):
        return [load(ring) for ring in range(D_BLURRED)]

    return types.void(array, slots, at, ring_size, lines), _window_down(maps_of)


@inner
def _sideways(scratch, at):
    """The window over a line."""
    return (
        W0 * load_wide(scratch, at)
        + W1 * (load_wide(scratch, at - 3) + load_wide(scratch, at + 3))
        + W2 * (load_wide(scratch, at - 6) + load_wide(scratch, at + 6))
        + W3 * (load_wide(scratch, at - 9) + load_wide(scratch, at + 9))
        + W4 * (load_wide(scratch, at - 12) + load_wide(scratch, at + 12))
        + W5 * (load_wide(scratch, at - 15) + load_wide(scratch, at + 15))
    )


@inner
def _slot(y, height, row):
    """Where row y lies in a ring; rows beyond the picture are the last one, which is zero."""
    return (y % RING_ROWS if 0 <= y < height else RING_ROWS) * row


@inner
def _slots(y, height, row):
    """Where the rows lie that a band at y needs: y - 5 … y + 8."""
    return (
        _slot(y - 5, height, row), _slot(y - 4, height, row), _slot(y - 3, height, row), _slot(y - 2, height, row),
        _slot(y - 1, height, row), _slot(y, height, row), _slot(y + 1, height, row), _slot(y + 2, height, row),
        _slot(y + 3, height, row), _slot(y + 4, height, row), _slot(y + 5, height, row), _slot(y + 6, height, row),
        _slot(y + 7, height, row), _slot(y + 8, height, row),
    )  # fmt: skip


@inner
def _copy_row(source, start, floats, scratch, at):
    """A row of an image; what is left of the last vector becomes 0."""
    whole = floats - floats % WIDE
    for i in range(0, whole, WIDE):
        store(scratch, at + i, load_wide(source, start + i))
    if whole < floats:
        for i in range(whole, whole + WIDE):
            poke(scratch, at + i, peek(source, start + i) if i < floats else np.float32(0.0))


@inner
def _give_row(scratch, at, floats, target, start):
    """The inverse, for the floats that are there."""
    whole = floats - floats % WIDE
    for i in range(0, whole, WIDE):
        store(target, start + i, load_wide(scratch, at + i))
    for i in range(whole, floats):
        poke(target, start + i, peek(scratch, at + i))


@inner
def _weigh(y, height, width, begin, end, weights, is_weighted, scratch, none, row):
    """Where the weights of the floats `begin` … `end` of row y are: no weight at `none`, ones a row later, then room.

    `begin` and `end` are multiples of 3, or `end` is beyond the row.
    """
    if y < 0 or y >= height:
        return none + begin
    at = none + row
    if is_weighted != 0:
        at += row + y % BAND * row
        for column in range(begin // 3, min(end // 3, width)):
            weight = peek(weights, y * width + column)
            poke(scratch, at + column * 3, weight)
            poke(scratch, at + column * 3 + 1, weight)
            poke(scratch, at + column * 3 + 2, weight)
    return at + begin


@inner
def _ssim(scratch, size, line, weights, factor, ring, ring_size):
    """`size` floats of a row from four blurred lines: the weighted sum of 1 - S, lane by lane, and g ∂S/∂ μx, e, f."""
    total = splat_wide(np.float32(0.0))
    for at in range(0, size, WIDE):
        mx, my = _sideways(scratch, line + at), _sideways(scratch, line + MAP + at)
        e, f = _sideways(scratch, line + 2 * MAP + at), _sideways(scratch, line + 3 * MAP + at)
        product, squares = mx * my, mx * mx + my * my
        a1, a2 = 2.0 * product + C1, 2.0 * (f - product) + C2
        b1, b2 = squares + C1, e - squares + C2
        inverse = 1.0 / (b1 * b2)
        ssim = a1 * a2 * inverse
        weight = load_wide(scratch, weights + at)
        total = total + weight * (1.0 - ssim)
        g = weight * factor
        store(scratch, ring + at, 2.0 * g * inverse * (my * (a2 - a1) + mx * ssim * (b1 - b2)))
        store(scratch, ring + ring_size + at, -g * ssim * b1 * inverse)
        store(scratch, ring + 2 * ring_size + at, 2.0 * g * a1 * inverse)
    return total


@inner
def _gradient(scratch, size, line, x_row, y_row, weights, factor):
    """`size` floats of a row from three blurred lines: the weighted sum of |x - y|, lane by lane; ∂L/∂x for x."""
    total = splat_wide(np.float32(0.0))
    for at in range(0, size, WIDE):
        x, y, weight = load_wide(scratch, x_row + at), load_wide(scratch, y_row + at), load_wide(scratch, weights + at)
        difference = x - y
        total = total + weight * magnitude(difference)
        l1 = weight * factor
        l1 = select(difference > 0.0, l1, select(difference < 0.0, -l1, 0.0))
        by_mean, by_squares = _sideways(scratch, line + at), _sideways(scratch, line + MAP + at)
        by_product = _sideways(scratch, line + 2 * MAP + at)
        store(scratch, x_row + at, l1 + by_mean + 2.0 * x * by_squares + y * by_product)
    return total


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
    row = (floats + WIDE - 1) // WIDE * WIDE
    stride = row + 2 * PAD
    ring_size = (RING_ROWS + 1) * stride
    ring, d_ring = PAD, PAD + 2 * ring_size  # of x and y; of the derivatives by μx, e, f
    lines = (2 + D_BLURRED) * ring_size
    no_weights = lines + BLURRED * MAP
    for at in range(no_weights + row, no_weights + row + floats):
        poke(scratch, at, 1.0)
    ssim_factor, l1_factor = -scale * ssim_lambda, scale * (np.float32(1.0) - ssim_lambda)

    incoming = max(begin - 2 * RADIUS - 2, 0)
    for middle in range(begin - RADIUS - 2, end + RADIUS, BAND):  # bands of which SSIM becomes known
        while incoming < min(middle + BAND + RADIUS, height):
            slot = ring + incoming % RING_ROWS * stride
            _copy_row(image, incoming * floats, floats, scratch, slot)
            _copy_row(target, incoming * floats, floats, scratch, slot + ring_size)
            incoming += 1
        if middle + BAND > 0 and middle < height:
            slots = _slots(middle, height, stride)
            for chunk in range(0, row, CHUNK):
                size = min(CHUNK, row - chunk)
                for at in range(-PAD, size + PAD, WIDE):
                    _blur_pair_down(scratch, slots, ring + chunk + at, ring_size, lines + PAD + at)
                for y in range(middle, middle + BAND):
                    weights_at = _weigh(
                        y, height, width, chunk, chunk + CHUNK, weights, is_weighted, scratch, no_weights, row
                    )
                    total = _ssim(
                        scratch, size, lines + PAD + (y - middle) * LINE, weights_at, ssim_factor,
                        d_ring + y % RING_ROWS * stride + chunk, ring_size,
                    )  # fmt: skip
                    if begin <= y < end:
                        before = peek(row_sums, y * 2 + 1) if chunk > 0 else 0.0
                        poke(row_sums, y * 2 + 1, before + lane_sum(total))

        done = middle - RADIUS  # bands of which the gradient becomes known
        if done >= begin:
            slots = _slots(done, height, stride)
            for chunk in range(0, row, CHUNK):
                size = min(CHUNK, row - chunk)
                for at in range(-PAD, size + PAD, WIDE):
                    _blur_three_down(scratch, slots, d_ring + chunk + at, ring_size, lines + PAD + at)
                for y in range(done, min(done + BAND, end)):
                    weights_at = _weigh(
                        y, height, width, chunk, chunk + CHUNK, weights, is_weighted, scratch, no_weights, row
                    )
                    x_row = ring + y % RING_ROWS * stride + chunk
                    total = _gradient(
                        scratch, size, lines + PAD + (y - done) * LINE, x_row, x_row + ring_size, weights_at,
                        l1_factor,
                    )  # fmt: skip
                    before = peek(row_sums, y * 2) if chunk > 0 else 0.0
                    poke(row_sums, y * 2, before + lane_sum(total))
            for y in range(done, min(done + BAND, end)):
                _give_row(scratch, ring + y % RING_ROWS * stride, floats, d_image, y * floats)
