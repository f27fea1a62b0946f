"""Blending forward: step 5 of the backward process, γ = Σ T_i α'_i c_i + T_end background, for all pixels.

The image is cut into tiles 8 pixels wide and 64 high; the 8 pixels of one row of a tile are the lanes of a vector.
Every tile has a list of entries, near to far: which gaussian, and which rows of the tile its ellipse covers.

A gaussian's exponent is written with a completed square. With Σ' = (a, b, c), the offset (dx, dy) to its middle,

    ½ dᵀ Σ'⁻¹ d = ½ A (dx + k dy)² + ½ B dy²,   A = c/(ac - b²),  k = -b/c,  B = 1/c,

so each row has its own middle `s = 0`, and no large terms cancel, however thin the gaussian is. Opacity goes into the
exponent too: α' = 2^p, p = log2 α - ½ log2(e) (A s² + B dy²). What is below p = log2(1/255) is skipped.
"""

import numpy as np

from . import ALPHA_CAP, TRANSMITTANCE_STOP
from .kernel_cache import DOUBLES, FLOATS, INT, INTS, kernel
from .kernel_parts import inner
from .layout import (
    BLUE,
    DEPTH,
    FORWARD_ROW,
    GREEN,
    LOG2_CUTOFF,
    LOG2_OPACITY,
    NEGATIVE_B,
    PIXELS,
    RECORD,
    RED,
    ROOT_A,
    ROW_BUFFER,
    TILE_HEIGHT,
    TILE_WIDTH,
)
from .simd import load, peek, poke, prefetch, store, store_triples
from .simd_math import any_lane, exp2, lane_numbers, madd, magnitude, minimum, select, splat
from .srgb_kernels import encoded

TILES_PER_BLOCK = 8  # threads take turns at blocks of neighbouring tiles
ENTRIES_PER_LOOK = 16  # after so many, rows that are finished are found and left alone

# Working memory of one thread: in each row T and the sums of colour and depth; then for each row what set_up_rows says.
_T, _R, _G, _B, _D = range(0, FORWARD_ROW, 8)
_ROW_X = TILE_HEIGHT * FORWARD_ROW
_ROW_P, _EDGE = _ROW_X + ROW_BUFFER, _ROW_X + 2 * ROW_BUFFER


@inner
def set_up_rows(records, places, at, x0, y0, rows, scratch, row_x, row_p):
    """For `rows` rows of a tile from (x0, y0) on: sqrt(A) s of the first pixel, and p where s = 0.

    They go to `scratch[row_x]` and `scratch[row_p]`. Exact in the first row, whence single precision is enough.
    Returns s and dy of the first pixel and the slope k.
    """
    y = peek(places, (at >> 1) + 1) - y0
    slope = peek(places, (at >> 1) + 2)
    x = splat(np.float32(peek(places, at >> 1) - x0 + slope * y))
    y, slope = splat(np.float32(y)), splat(np.float32(slope))
    peak, b = splat(peek(records, at + LOG2_OPACITY)), splat(peek(records, at + NEGATIVE_B))
    root_a = splat(peek(records, at + ROOT_A))
    start, rise = root_a * x, -root_a * slope
    step = lane_numbers()
    store(scratch, row_x, madd(rise, step, start))
    store(scratch, row_p, madd((y - step) * (y - step), b, peak))
    step = step + 8.0
    store(scratch, row_x + 8, madd(rise, step, start))
    store(scratch, row_p + 8, madd((y - step) * (y - step), b, peak))
    for q in range(16, rows, 8):
        step = step + 8.0
        store(scratch, row_x + q, madd(rise, step, start))
        store(scratch, row_p + q, madd((y - step) * (y - step), b, peak))
    return x, y, slope


@inner
def open_rows(scratch, stride, begin, end):
    """Shrink a range of rows to those between which some pixel is not finished; T begins each, `stride` apart."""
    while begin < end and not any_lane(load(scratch, begin * stride) > 0.0):
        begin += 1
    while begin < end and not any_lane(load(scratch, (end - 1) * stride) > 0.0):
        end -= 1
    return begin, end


@inner
def _write_triples(array, pixel, columns, red, green, blue, scratch):
    """Write eight pixels of three channels, or only the first `columns` of them."""
    if columns == TILE_WIDTH:
        store_triples(array, pixel * 3, red, green, blue)
    else:
        store_triples(scratch, _EDGE, red, green, blue)
        for i in range(3 * columns):
            poke(array, pixel * 3 + i, peek(scratch, _EDGE + i))


@inner
def _write_tile(
    tile, x0, y0, rows, width, background, scratch, blended, in_linear_light, image, alpha, depth, transmittance
):
    """Composite one finished tile over the background and write its pixels."""
    background_red, background_green = splat(peek(background, 0)), splat(peek(background, 1))
    background_blue = splat(peek(background, 2))
    columns = min(TILE_WIDTH, width - x0)
    for y in range(rows):
        row = y * FORWARD_ROW
        left = load(scratch, _T + row)
        store(transmittance, tile * PIXELS + y * 8, left)
        left = magnitude(left)
        opaque = 1.0 - left
        red = madd(left, background_red, load(scratch, _R + row))
        green = madd(left, background_green, load(scratch, _G + row))
        blue = madd(left, background_blue, load(scratch, _B + row))
        expected = select(opaque > 0.0, load(scratch, _D + row) / opaque, 0.0)
        pixel = (y0 + y) * width + x0
        _write_triples(blended, pixel, columns, red, green, blue, scratch)
        if in_linear_light != 0:
            _write_triples(image, pixel, columns, encoded(red)[0], encoded(green)[0], encoded(blue)[0], scratch)
        if columns == TILE_WIDTH:
            store(alpha, pixel, opaque)
            store(depth, pixel, expected)
        else:
            store(scratch, _T + row, opaque)
            store(scratch, _D + row, expected)
            for column in range(columns):
                poke(alpha, pixel + column, peek(scratch, _T + row + column))
                poke(depth, pixel + column, peek(scratch, _D + row + column))


@kernel
def blend_forward(
    part: INT, parts: INT, entries: INTS, starts: INTS, records: FLOATS, places: DOUBLES, width: INT, height: INT,
    background: FLOATS, scratch: FLOATS, blended: FLOATS, in_linear_light: INT, image: FLOATS, alpha: FLOATS,
    depth: FLOATS, transmittance: FLOATS, entries_used: INTS,
):  # fmt: skip
    """Composite the tiles of thread `part` of `parts`.

    `entries`, `starts`: see bin.py. `records` (N * 16), `places`: the same memory as doubles. `blended` (H * W * 3) is
    in the space of colours and background; `alpha`, `depth` (H * W). If that is linear light, `image` becomes
    the same display-encoded; otherwise it is left alone. For the backward pass: `transmittance` (tiles * 512) is T_end,
    negative where a pixel was finished; `entries_used` (tiles) is how many entries were looked at before all were.
    """
    tiles_down = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    tile_count = ((width + TILE_WIDTH - 1) // TILE_WIDTH) * tiles_down
    lanes = lane_numbers()
    for block in range(part * TILES_PER_BLOCK, tile_count, parts * TILES_PER_BLOCK):
        for tile in range(block, min(block + TILES_PER_BLOCK, tile_count)):
            x0 = (tile // tiles_down) * TILE_WIDTH
            y0 = (tile % tiles_down) * TILE_HEIGHT
            rows = min(TILE_HEIGHT, height - y0)
            # Pixels right of the image are finished before they begin.
            begin = select(lanes < float(width - x0), splat(np.float32(1.0)), -1.0)
            for at in range(0, rows * FORWARD_ROW, 8):
                store(scratch, at, lanes * 0.0)
            for row in range(0, rows * FORWARD_ROW, FORWARD_ROW):
                store(scratch, _T + row, begin)

            first, end = peek(starts, tile), peek(starts, tile + 1)
            used = end - first
            open0, open1 = 0, rows  # rows outside these are finished
            for i in range(first, end):
                if (i - first) & (ENTRIES_PER_LOOK - 1) == ENTRIES_PER_LOOK - 1:
                    open0, open1 = open_rows(scratch, FORWARD_ROW, open0, open1)
                    if open0 == open1:
                        used = i - first
                        break
                prefetch(records, (peek(entries, min(i + 8, end - 1)) & 0xFFFFFFFF) * RECORD)
                entry = peek(entries, i)
                at = (entry & 0xFFFFFFFF) * RECORD
                row0, row1 = max((entry >> 32) & 0xFF, open0), min(entry >> 40, open1)
                set_up_rows(records, places, at, x0, y0 + row0, row1 - row0, scratch, _ROW_X, _ROW_P)
                columns = splat(peek(records, at + ROOT_A)) * lanes
                red, green = splat(peek(records, at + RED)), splat(peek(records, at + GREEN))
                blue, z = splat(peek(records, at + BLUE)), splat(peek(records, at + DEPTH))
                for q in range(0, row1 - row0):
                    row = (row0 + q) * FORWARD_ROW
                    arriving = load(scratch, _T + row)
                    s = splat(peek(scratch, _ROW_X + q)) - columns  # sqrt(A) s
                    p = madd(-s, s, splat(peek(scratch, _ROW_P + q)))
                    alphas = select(p >= LOG2_CUTOFF, minimum(exp2(p), ALPHA_CAP), 0.0)
                    # The gaussian that would take T below the stop is not added, and finishes the pixel.
                    leaving = madd(arriving, -alphas, arriving)
                    is_added = leaving >= TRANSMITTANCE_STOP
                    weight = select(is_added, arriving * alphas, 0.0)
                    store(scratch, _T + row, select(is_added, leaving, -magnitude(arriving)))
                    store(scratch, _R + row, madd(weight, red, load(scratch, _R + row)))
                    store(scratch, _G + row, madd(weight, green, load(scratch, _G + row)))
                    store(scratch, _B + row, madd(weight, blue, load(scratch, _B + row)))
                    store(scratch, _D + row, madd(weight, z, load(scratch, _D + row)))

            poke(entries_used, tile, used)
            _write_tile(
                tile, x0, y0, rows, width, background, scratch, blended, in_linear_light, image, alpha, depth,
                transmittance,
            )  # fmt: skip
