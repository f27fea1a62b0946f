"""Blending forward: step 5 of the backward process, γ = Σ T_i α'_i c_i + T_end background, for all pixels.

The image is cut into tiles 8 pixels wide and 64 high; the lanes of a vector are a block of a tile, one row of it or
two (blocks.py). Every tile has a list of entries, near to far: which gaussian, and which rows its ellipse covers.

A gaussian's exponent is written with a completed square. With Σ' = (a, b, c), the offset (dx, dy) to its middle,

    ½ dᵀ Σ'⁻¹ d = ½ A (dx + k dy)² + ½ B dy²,   A = c/(ac - b²),  k = -b/c,  B = 1/c,

so each row has its own middle `s = 0`, and no large terms cancel, however thin the gaussian is. Opacity goes into the
exponent too: α' = 2^p, p = log2 α - ½ log2(e) (A s² + B dy²). What is below p = log2(1/255) is skipped.
"""

import numpy as np

from .declare import DOUBLES, FLOATS, INT, INTS, inner, kernel
from .lanes.blocks import BLOCK_ROWS, column_numbers, row_by_row, splat_rows
from .lanes.simd import WIDE, load, load_wide, peek, poke, prefetch, store, store_triples
from .lanes.simd_math import any_lane, exp2, madd, magnitude, minimum, select, splat_wide, wide_lane_numbers
from .layout import (
    ALPHA_CAP,
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
    TRANSMITTANCE_STOP,
)
from .srgb import encoded

TILES_PER_TURN = 8  # threads take turns at so many neighboring tiles
ENTRIES_PER_LOOK = 16  # after so many, rows that are finished are found and left alone

# Working memory of one thread: for each block T and the sums of color and depth; then for each row what set_up_rows
# says.
_BLOCK = BLOCK_ROWS * FORWARD_ROW
_T, _R, _G, _B, _D = range(0, _BLOCK, WIDE)
_ROW_X = TILE_HEIGHT * FORWARD_ROW
_ROW_P, _EDGE = _ROW_X + ROW_BUFFER, _ROW_X + 2 * ROW_BUFFER


@inner
def set_up_rows(records, places, at, x0, y0, rows, scratch, row_x, row_p):
    """For `rows` rows of a tile from (x0, y0) on: sqrt(A) s of the first pixel, and p where s = 0.

    They go to `scratch[row_x]` and `scratch[row_p]`. Exact in the first row, whence single precision is enough.
    Returns s and dy of the first pixel and the slope k, in all lanes.
    """
    y = peek(places, (at >> 1) + 1) - y0
    slope = peek(places, (at >> 1) + 2)
    x = splat_wide(np.float32(peek(places, at >> 1) - x0 + slope * y))
    y, slope = splat_wide(np.float32(y)), splat_wide(np.float32(slope))
    peak, b = splat_wide(peek(records, at + LOG2_OPACITY)), splat_wide(peek(records, at + NEGATIVE_B))
    root_a = splat_wide(peek(records, at + ROOT_A))
    start, rise = root_a * x, -root_a * slope
    step = wide_lane_numbers()
    store(scratch, row_x, madd(rise, step, start))
    store(scratch, row_p, madd((y - step) * (y - step), b, peak))
    for q in range(WIDE, rows, WIDE):
        step = step + float(WIDE)
        store(scratch, row_x + q, madd(rise, step, start))
        store(scratch, row_p + q, madd((y - step) * (y - step), b, peak))
    return x, y, slope


@inner
def block_count(rows):
    """How many blocks it takes for so many rows; the last one may reach below the image."""
    return (rows + BLOCK_ROWS - 1) // BLOCK_ROWS


@inner
def expect_pixels(array, pixel):
    """Ask for eight pixels of three channels, 24 floats: of an image's rows, memory cannot guess the next."""
    prefetch(array, pixel * 3)
    prefetch(array, pixel * 3 + 23)


@inner
def covered_blocks(entry, open0, open1):
    """The blocks that an entry's rows touch, as far as they are open. What lies beside its rows has no alpha."""
    first, end = (entry >> 32) & 0xFF, entry >> 40
    return max(first // BLOCK_ROWS, open0), min(block_count(end), open1)


@inner
def open_blocks(scratch, stride, begin, end):
    """Shrink a range of blocks to those between which some pixel is not finished; T begins each, `stride` apart."""
    while begin < end and not any_lane(load_wide(scratch, begin * stride) > 0.0):
        begin += 1
    while begin < end and not any_lane(load_wide(scratch, (end - 1) * stride) > 0.0):
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
    background_red, background_green = splat_wide(peek(background, 0)), splat_wide(peek(background, 1))
    background_blue = splat_wide(peek(background, 2))
    for block in range(0, block_count(rows) * _BLOCK, _BLOCK):
        left = load_wide(scratch, _T + block)
        behind = magnitude(left)
        opaque = 1.0 - behind
        expected = select(opaque > 0.0, load_wide(scratch, _D + block) / opaque, 0.0)
        store(scratch, _T + block, row_by_row(left))
        store(scratch, _R + block, row_by_row(madd(behind, background_red, load_wide(scratch, _R + block))))
        store(scratch, _G + block, row_by_row(madd(behind, background_green, load_wide(scratch, _G + block))))
        store(scratch, _B + block, row_by_row(madd(behind, background_blue, load_wide(scratch, _B + block))))
        store(scratch, _D + block, row_by_row(expected))
    columns = min(TILE_WIDTH, width - x0)
    for y in range(rows):
        row = y // BLOCK_ROWS * _BLOCK + y % BLOCK_ROWS * TILE_WIDTH
        left = load(scratch, _T + row)
        store(transmittance, tile * PIXELS + y * TILE_WIDTH, left)
        opaque = 1.0 - magnitude(left)
        red, green, blue = load(scratch, _R + row), load(scratch, _G + row), load(scratch, _B + row)
        pixel = (y0 + y) * width + x0
        _write_triples(blended, pixel, columns, red, green, blue, scratch)
        if columns == TILE_WIDTH:
            store(alpha, pixel, opaque)
            store(depth, pixel, load(scratch, _D + row))
        else:
            store(scratch, _T + row, opaque)
            for column in range(columns):
                poke(alpha, pixel + column, peek(scratch, _T + row + column))
                poke(depth, pixel + column, peek(scratch, _D + row + column))
    if in_linear_light != 0:
        for block in range(0, block_count(rows) * _BLOCK, _BLOCK):
            for at in (block + _R, block + _G, block + _B):
                store(scratch, at, encoded(load_wide(scratch, at)))
        for y in range(rows):
            row = y // BLOCK_ROWS * _BLOCK + y % BLOCK_ROWS * TILE_WIDTH
            red, green, blue = load(scratch, _R + row), load(scratch, _G + row), load(scratch, _B + row)
            _write_triples(image, (y0 + y) * width + x0, columns, red, green, blue, scratch)


@kernel
def blend_forward(
    part: INT, parts: INT, entries: INTS, starts: INTS, records: FLOATS, places: DOUBLES, width: INT, height: INT,
    background: FLOATS, scratch: FLOATS, blended: FLOATS, in_linear_light: INT, image: FLOATS, alpha: FLOATS,
    depth: FLOATS, transmittance: FLOATS, entries_used: INTS,
):  # fmt: skip
    """Composite the tiles of thread `part` of `parts`.

    `entries`, `starts`: see bin.py. `records` (N * 16), `places`: the same memory as doubles. `blended` (H * W * 3) is
    in the space of colors and background; `alpha`, `depth` (H * W). If that is linear light, `image` becomes
    the same display-encoded; otherwise it is left alone. For the backward pass: `transmittance` (tiles * 512) is T_end,
    negative where a pixel was finished; `entries_used` (tiles) is how many entries were looked at before all were.
    """
    tiles_down = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    tile_count = ((width + TILE_WIDTH - 1) // TILE_WIDTH) * tiles_down
    numbers = column_numbers()
    for turn in range(part * TILES_PER_TURN, tile_count, parts * TILES_PER_TURN):
        for tile in range(turn, min(turn + TILES_PER_TURN, tile_count)):
            x0 = (tile // tiles_down) * TILE_WIDTH
            y0 = (tile % tiles_down) * TILE_HEIGHT
            rows = min(TILE_HEIGHT, height - y0)
            blocks = block_count(rows)
            # Pixels right of the image are finished before they begin.
            begin = select(numbers < float(width - x0), splat_wide(np.float32(1.0)), -1.0)
            for at in range(0, blocks * _BLOCK, WIDE):
                store(scratch, at, numbers * 0.0)
            for block in range(0, blocks * _BLOCK, _BLOCK):
                store(scratch, _T + block, begin)

            first, end = peek(starts, tile), peek(starts, tile + 1)
            used = end - first
            open0, open1 = 0, blocks  # blocks outside these are finished
            for i in range(first, end):
                if (i - first) & (ENTRIES_PER_LOOK - 1) == ENTRIES_PER_LOOK - 1:
                    open0, open1 = open_blocks(scratch, _BLOCK, open0, open1)
                    if open0 == open1:
                        used = i - first
                        break
                prefetch(records, (peek(entries, min(i + 8, end - 1)) & 0xFFFFFFFF) * RECORD)
                if i - first < rows:  # a row that will be written
                    pixel = (y0 + i - first) * width + x0
                    expect_pixels(blended, pixel)
                    prefetch(alpha, pixel)
                    prefetch(depth, pixel)
                entry = peek(entries, i)
                at = (entry & 0xFFFFFFFF) * RECORD
                block0, block1 = covered_blocks(entry, open0, open1)
                y, covered = y0 + block0 * BLOCK_ROWS, (block1 - block0) * BLOCK_ROWS
                set_up_rows(records, places, at, x0, y, covered, scratch, _ROW_X, _ROW_P)
                columns = splat_wide(peek(records, at + ROOT_A)) * numbers
                red, green = splat_wide(peek(records, at + RED)), splat_wide(peek(records, at + GREEN))
                blue, z = splat_wide(peek(records, at + BLUE)), splat_wide(peek(records, at + DEPTH))
                for q in range(0, covered, BLOCK_ROWS):
                    block = block0 * _BLOCK + q * FORWARD_ROW
                    arriving = load_wide(scratch, _T + block)
                    s = splat_rows(scratch, _ROW_X + q) - columns  # sqrt(A) s
                    p = madd(-s, s, splat_rows(scratch, _ROW_P + q))
                    alphas = select(p >= LOG2_CUTOFF, minimum(exp2(p), ALPHA_CAP), 0.0)
                    # The gaussian that would take T below the stop is not added, and finishes the pixel.
                    leaving = madd(arriving, -alphas, arriving)
                    is_added = leaving >= TRANSMITTANCE_STOP
                    weight = select(is_added, arriving * alphas, 0.0)
                    store(scratch, _T + block, select(is_added, leaving, -magnitude(arriving)))
                    store(scratch, _R + block, madd(weight, red, load_wide(scratch, _R + block)))
                    store(scratch, _G + block, madd(weight, green, load_wide(scratch, _G + block)))
                    store(scratch, _B + block, madd(weight, blue, load_wide(scratch, _B + block)))
                    store(scratch, _D + block, madd(weight, z, load_wide(scratch, _D + block)))

            poke(entries_used, tile, used)
            _write_tile(
                tile, x0, y0, rows, width, background, scratch, blended, in_linear_light, image, alpha, depth,
                transmittance,
            )  # fmt: skip
