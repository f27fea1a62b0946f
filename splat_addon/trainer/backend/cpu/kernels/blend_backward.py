"""Blending backward: B.5 of the backward process, from ∂L/∂pixel to sums for each gaussian.

B.5 goes far to near with S, the color behind. Here the tiles are replayed near to far, as they were blended, with
what remains of the pixel, `rest` = T_{i+1} S_i (dotted with ∂L/∂γ, so one number), which falls by each gaussian's
share: nothing is divided away. With f_i = ∂L/∂γ · c_i and w_i = T_i α'_i, the derivative by α', times α', is

    α'_i ∂L/∂α'_i = α'_i T_i (∂L/∂γ · (c_i - S_i)) = w_i (f_i - rest_i/T_{i+1}) = G_i.

G is the derivative by ln α' = ln α - ½ A s² - ½ B dy² with s = dx + k dy (blend.py), so all that the projection needs
to go on are six moments of G: Σ G (1, s, s², s dy, dy, dy²). They are summed in rows around the middle of
the covered rows of the tile, so that no large terms cancel, and moved to the gaussian's middle after that.
"""

import numpy as np

from .blend import (
    ENTRIES_PER_LOOK,
    TILES_PER_TURN,
    block_count,
    covered_blocks,
    expect_pixels,
    open_blocks,
    set_up_rows,
)
from .declare import DOUBLES, FLOATS, INT, INTS, inner, kernel
from .lanes.blocks import BLOCK_ROWS, column_numbers, in_turns, splat_rows
from .lanes.simd import WIDE, load, load_third, load_wide, peek, poke, prefetch, store
from .lanes.simd_math import exp2, lane_sum, lane_sums, madd, magnitude, minimum, select, splat, splat_wide
from .layout import (
    ALPHA_CAP,
    BACKWARD_ROW,
    BLUE,
    DEPTH,
    GREEN,
    LOG2_CUTOFF,
    PIXELS,
    RECORD,
    RED,
    ROOT_A,
    ROW_BUFFER,
    SUM_BLUE,
    SUM_DEPTH,
    TILE_HEIGHT,
    TILE_WIDTH,
    TRANSMITTANCE_STOP,
)
from .srgb import encoding_slope

ROWS_AHEAD = 6  # rows of the image lie too far apart for the processor to see them coming

# Working memory of one thread: for each block T, rest, ∂L/∂ color and ∂L/∂ Σ w z; then as in blend.py, and alphas.
_BLOCK = BLOCK_ROWS * BACKWARD_ROW
_T, _REST, _R, _G, _B, _D = range(0, _BLOCK, WIDE)
_ROW_X = TILE_HEIGHT * BACKWARD_ROW
_ROW_P, _ALPHAS = _ROW_X + ROW_BUFFER, _ROW_X + 2 * ROW_BUFFER
_EDGE = _ALPHAS + PIXELS


@inner
def _single(array, at, columns, scratch):
    """Eight consecutive elements, of which only the first `columns` are there; the others are 0."""
    if columns < TILE_WIDTH:
        for i in range(TILE_WIDTH):
            poke(scratch, _EDGE + i, peek(array, at + i) if i < columns else np.float32(0.0))
        return load(scratch, _EDGE)
    return load(array, at)


@inner
def _triple(array, at, columns, scratch):
    """The same for eight pixels of three channels."""
    if columns < TILE_WIDTH:
        for i in range(3 * TILE_WIDTH):
            poke(scratch, _EDGE + i, peek(array, at + i) if i < 3 * columns else np.float32(0.0))
        return load_third(scratch, _EDGE, 0), load_third(scratch, _EDGE, 1), load_third(scratch, _EDGE, 2)
    return load_third(array, at, 0), load_third(array, at, 1), load_third(array, at, 2)


@inner
def _read_tile(
    tile, x0, y0, rows, width, blended, image, alpha, depth, transmittance, d_image, d_alpha, d_depth, with_depth,
    in_linear_light, scratch, background_sums,
):  # fmt: skip
    """Set up T, ∂L/∂pixel and `rest` for a tile, and sum its T_end ∂L/∂γ, the background's gradient."""
    columns = min(TILE_WIDTH, width - x0)
    begin = select(column_numbers() < float(columns), splat_wide(np.float32(1.0)), -1.0)
    zero = splat(np.float32(0.0))
    background_red, background_green, background_blue = zero, zero, zero
    for y in range(rows):
        row = y // BLOCK_ROWS * _BLOCK + y % BLOCK_ROWS * TILE_WIDTH
        pixel = (y0 + y) * width + x0
        expect_pixels(blended, pixel + ROWS_AHEAD * width)
        expect_pixels(d_image, pixel + ROWS_AHEAD * width)
        red, green, blue = _triple(blended, pixel * 3, columns, scratch)
        d_red, d_green, d_blue = _triple(d_image, pixel * 3, columns, scratch)
        if in_linear_light != 0:  # what follows is about what was blended, before it was encoded
            shown_red, shown_green, shown_blue = _triple(image, pixel * 3, columns, scratch)
            d_red = d_red * encoding_slope(red, shown_red)
            d_green = d_green * encoding_slope(green, shown_green)
            d_blue = d_blue * encoding_slope(blue, shown_blue)
        left = magnitude(load(transmittance, tile * PIXELS + y * TILE_WIDTH))
        rest = red * d_red + green * d_green + blue * d_blue
        if with_depth != 0:
            # depth = (Σ w z)/alpha; alpha = 1 - T_end is like a background of -∂L/∂alpha.
            opaque = _single(alpha, pixel, columns, scratch)
            expected = _single(depth, pixel, columns, scratch)
            d_sum = select(opaque > 0.0, _single(d_depth, pixel, columns, scratch) / opaque, 0.0)
            d_opaque = _single(d_alpha, pixel, columns, scratch) - d_sum * expected
            rest = rest + d_sum * expected * opaque - d_opaque * left
            store(scratch, _D + row, d_sum)
        store(scratch, _REST + row, rest)
        store(scratch, _R + row, d_red)
        store(scratch, _G + row, d_green)
        store(scratch, _B + row, d_blue)
        background_red = madd(left, d_red, background_red)
        background_green = madd(left, d_green, background_green)
        background_blue = madd(left, d_blue, background_blue)
    for y in range(rows, block_count(rows) * BLOCK_ROWS):  # below the image
        row = y // BLOCK_ROWS * _BLOCK + y % BLOCK_ROWS * TILE_WIDTH
        for at in range(row + _REST, row + _BLOCK, WIDE):
            store(scratch, at, zero)
    for block in range(0, block_count(rows) * _BLOCK, _BLOCK):
        store(scratch, _T + block, begin)
        for at in range(block + _REST, block + _BLOCK, WIDE):
            store(scratch, at, in_turns(load_wide(scratch, at)))
    store(background_sums, tile * 24, background_red)
    store(background_sums, tile * 24 + 8, background_green)
    store(background_sums, tile * 24 + 16, background_blue)


@kernel
def blend_backward(
    part: INT, parts: INT, entries: INTS, starts: INTS, entries_used: INTS, records: FLOATS, places: DOUBLES,
    width: INT, height: INT, row_numbers: FLOATS, blended: FLOATS, image: FLOATS, alpha: FLOATS, depth: FLOATS,
    transmittance: FLOATS, d_image: FLOATS, d_alpha: FLOATS, d_depth: FLOATS, with_depth: INT, in_linear_light: INT,
    scratch: FLOATS, gradient_rows: FLOATS, background_sums: FLOATS,
):  # fmt: skip
    """Add the tiles of thread `part` of `parts` to that thread's `gradient_rows` (N * 16).

    Every tile has its own 24 `background_sums`, eight lanes for each channel, so that no order of threads shows.
    What `blend_forward` was given and gave, and `d_image` (H * W * 3), `d_alpha`, `d_depth` (H * W; anything where
    `with_depth` is 0). `row_numbers` (256): -64 … 63, then their squares.
    """
    tiles_down = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    tile_count = ((width + TILE_WIDTH - 1) // TILE_WIDTH) * tiles_down
    numbers = column_numbers()
    zero = numbers * 0.0
    for turn in range(part * TILES_PER_TURN, tile_count, parts * TILES_PER_TURN):
        for tile in range(turn, min(turn + TILES_PER_TURN, tile_count)):
            x0 = (tile // tiles_down) * TILE_WIDTH
            y0 = (tile % tiles_down) * TILE_HEIGHT
            rows = min(TILE_HEIGHT, height - y0)
            _read_tile(
                tile, x0, y0, rows, width, blended, image, alpha, depth, transmittance, d_image, d_alpha, d_depth,
                with_depth, in_linear_light, scratch, background_sums,
            )  # fmt: skip
            first = peek(starts, tile)
            end = first + peek(entries_used, tile)
            open0, open1 = 0, block_count(rows)
            next_x, next_y = (tile + 1) // tiles_down * TILE_WIDTH, (tile + 1) % tiles_down * TILE_HEIGHT
            next_pixel = next_y * width + next_x
            for i in range(first, end):
                if (i - first) & (ENTRIES_PER_LOOK - 1) == ENTRIES_PER_LOOK - 1:
                    open0, open1 = open_blocks(scratch, _BLOCK, open0, open1)
                ahead = (peek(entries, min(i + 8, end - 1)) & 0xFFFFFFFF) * RECORD
                prefetch(records, ahead)
                prefetch(gradient_rows, ahead)
                if i - first < TILE_HEIGHT:  # a row of the next tile
                    expect_pixels(blended, next_pixel + (i - first) * width)
                    expect_pixels(d_image, next_pixel + (i - first) * width)
                entry = peek(entries, i)
                at = (entry & 0xFFFFFFFF) * RECORD
                block0, block1 = covered_blocks(entry, open0, open1)
                if block0 >= block1:
                    continue
                row0, covered = block0 * BLOCK_ROWS, (block1 - block0) * BLOCK_ROWS
                half = covered >> 1
                x, y, slope = set_up_rows(records, places, at, x0, y0 + row0, covered, scratch, _ROW_X, _ROW_P)
                columns = splat_wide(peek(records, at + ROOT_A)) * numbers
                red, green = splat_wide(peek(records, at + RED)), splat_wide(peek(records, at + GREEN))
                blue, z = splat_wide(peek(records, at + BLUE)), splat_wide(peek(records, at + DEPTH))
                sum_1, sum_row, sum_row2 = zero, zero, zero  # Σ G (1, r, r²), lane by lane, r = row - (row0 + half)
                sum_red, sum_green, sum_blue, sum_depth = zero, zero, zero, zero
                # Alphas, and what follows from T, are as in blend_forward, to the last bit. In one loop, this chain of
                # operations would be longer than what a processor has under way.
                for q in range(0, covered, BLOCK_ROWS):
                    s = splat_rows(scratch, _ROW_X + q) - columns
                    p = madd(-s, s, splat_rows(scratch, _ROW_P + q))
                    alphas = select(p >= LOG2_CUTOFF, minimum(exp2(p), ALPHA_CAP), 0.0)
                    store(scratch, _ALPHAS + q * TILE_WIDTH, alphas)
                for q in range(0, covered, BLOCK_ROWS):
                    block = (row0 + q) * BACKWARD_ROW
                    alphas = load_wide(scratch, _ALPHAS + q * TILE_WIDTH)
                    arriving = load_wide(scratch, _T + block)
                    leaving = madd(arriving, -alphas, arriving)
                    is_added = leaving >= TRANSMITTANCE_STOP
                    weight = select(is_added, arriving * alphas, 0.0)
                    store(scratch, _T + block, select(is_added, leaving, -magnitude(arriving)))

                    d_red, d_green = load_wide(scratch, _R + block), load_wide(scratch, _G + block)
                    d_blue = load_wide(scratch, _B + block)
                    f = d_red * red + d_green * green + d_blue * blue
                    sum_red = madd(weight, d_red, sum_red)
                    sum_green = madd(weight, d_green, sum_green)
                    sum_blue = madd(weight, d_blue, sum_blue)
                    if with_depth != 0:
                        d_sum = load_wide(scratch, _D + block)
                        f = madd(d_sum, z, f)
                        sum_depth = madd(weight, d_sum, sum_depth)
                    rest = load_wide(scratch, _REST + block) - weight * f
                    store(scratch, _REST + block, rest)
                    # α'/(1 - α') = w_i/T_{i+1}. No derivative where the cap decides.
                    g = select(alphas < ALPHA_CAP, weight * (f - rest / leaving), 0.0)
                    sum_1 = sum_1 + g
                    sum_row = madd(g, splat_rows(row_numbers, 64 + q - half), sum_row)
                    sum_row2 = madd(g, splat_rows(row_numbers, 192 + q - half), sum_row2)

                # Within a lane: s = x - slope r and dy = y - r.
                x = x - slope * float(half) - numbers
                y = y - float(half)
                sum_s = x * sum_1 - slope * sum_row
                sum_sr = x * sum_row - slope * sum_row2
                sum_ss = x * sum_s - slope * sum_sr
                sum_sy = y * sum_s - sum_sr
                sum_y = y * sum_1 - sum_row
                sum_yy = y * sum_y - (y * sum_row - sum_row2)
                sums = lane_sums(sum_1, sum_s, sum_ss, sum_sy, sum_y, sum_yy, sum_red, sum_green)
                store(gradient_rows, at, load(gradient_rows, at) + sums)
                poke(gradient_rows, at + SUM_BLUE, peek(gradient_rows, at + SUM_BLUE) + lane_sum(sum_blue))
                if with_depth != 0:
                    poke(gradient_rows, at + SUM_DEPTH, peek(gradient_rows, at + SUM_DEPTH) + lane_sum(sum_depth))
