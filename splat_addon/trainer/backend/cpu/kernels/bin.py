"""Sorting and binning: which gaussians each tile has to blend, near to far, and in which rows.

Gaussians are sorted once by depth; then each, in that order, appends itself to the lists of the tiles it touches, so
that every list is sorted. An entry is one integer: gaussian | first row << 32 | end row << 40, rows within the tile.

In a strip of 8 pixels the rows are those of the ellipse α g ≥ 1/255, exactly. With reach Q = 2 ln(255 α), at the
offset x from the middle the ellipse spans y = (b/a) x ± sqrt(E - F x²), E = Q det/a, F = det/a², and it is highest at
x = b sqrt(Q/c). So its top within the strip is at that x, moved into the strip; its bottom, mirrored.
"""

import numpy as np

from .declare import BITS32, FLOATS, INT, INTS, INTS32, kernel
from .lanes.simd import peek, poke, prefetch, store
from .lanes.simd_math import lane_numbers, maximum, minimum, splat, sqrt
from .layout import (
    BOUNDS,
    DIGIT_BITS,
    DIGIT_COUNTS,
    PLACE_X,
    PLACE_Y,
    REACH_X,
    SLACK,
    SPAN_E,
    SPAN_F,
    TILE_HEIGHT,
    TILE_WIDTH,
    TILT,
    TOP_X,
)


@kernel
def sort_by_depth(
    count: INT, depth_bits: BITS32, order: INTS32, keys: BITS32, other_order: INTS32, other_keys: BITS32,
    digit_counts: INTS32, drawn_count: INTS,
):  # fmt: skip
    """Put the drawn gaussians, near to far, equal depths by index, into `order`, and how many there are.

    `depth_bits` (count): depths as they lie in memory, negative for what is not drawn. The others are working memory:
    as long, and 3 * 2048 counts. A radix sort: the bits of positive floats are ordered like the floats.
    """
    size = 1 << DIGIT_BITS
    for i in range(DIGIT_COUNTS):
        poke(digit_counts, i, 0)
    drawn = 0
    for i in range(count):
        key = peek(depth_bits, i)
        if key < 0x80000000:
            poke(other_keys, drawn, key)
            poke(other_order, drawn, i)
            drawn += 1
            for digit in range(3):
                at = digit * size + ((key >> (digit * DIGIT_BITS)) & (size - 1))
                poke(digit_counts, at, peek(digit_counts, at) + 1)
    for digit in range(3):
        total = 0
        for i in range(digit * size, (digit + 1) * size):
            here = peek(digit_counts, i)
            poke(digit_counts, i, total)
            total += here
        for i in range(drawn):
            key = peek(other_keys, i)
            at = digit * size + ((key >> (digit * DIGIT_BITS)) & (size - 1))
            place = peek(digit_counts, at)
            poke(digit_counts, at, place + 1)
            poke(keys, place, key)
            poke(order, place, peek(other_order, i))
        keys, other_keys = other_keys, keys
        order, other_order = other_order, order  # after the third pass the sorted ones lie where `order` was
    poke(drawn_count, 0, drawn)


@kernel
def find_tiles(
    order: INTS32, begin: INT, end: INT, bounds: FLOATS, width: INT, height: INT, rows: FLOATS, room: INT,
    found: INTS, found_tiles: INTS32, tile_counts: INTS32, found_count: INTS,
):  # fmt: skip
    """List the entries of the gaussians `order[begin:end]`, and how many there are.

    `bounds`: layout.py. Entries go to `found` and their tiles to `found_tiles`, as far as there is `room`; if there
    are more, the caller tries again with enough. `tile_counts` is how many fell on each tile, `rows` working memory.
    """
    tiles_down = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    for i in range(((width + TILE_WIDTH - 1) // TILE_WIDTH) * tiles_down):
        poke(tile_counts, i, 0)
    count = 0
    for i in range(begin, end):
        prefetch(bounds, np.int64(peek(order, min(i + 8, end - 1))) * BOUNDS)
        gaussian = np.int64(peek(order, i))
        at = gaussian * BOUNDS
        place_x, reach = peek(bounds, at + PLACE_X), peek(bounds, at + REACH_X)
        x, y = splat(place_x), splat(peek(bounds, at + PLACE_Y))
        top, tilt = splat(peek(bounds, at + TOP_X)), splat(peek(bounds, at + TILT))
        span_e, span_f = splat(peek(bounds, at + SPAN_E)), splat(peek(bounds, at + SPAN_F))
        slack = peek(bounds, at + SLACK)  # bounds may be too large by this: the cutoff itself is exact in each pixel
        first = np.int64(max(place_x - reach + (1.0 - slack), 0.0)) // TILE_WIDTH
        last = np.int64(min(place_x + reach + slack, width - 1.0)) // TILE_WIDTH
        for strip in range(first, last + 1, 8):
            # Eight strips at once: offsets of their first and last pixel from the middle.
            left = (lane_numbers() + strip) * np.float32(TILE_WIDTH) - x
            right = left + np.float32(TILE_WIDTH - 1)
            x_top = minimum(maximum(left, top), right)
            x_bottom = minimum(maximum(left, -top), right)
            y_top = y + tilt * x_top + sqrt(maximum(span_e - span_f * x_top * x_top, 0.0))
            y_bottom = y + tilt * x_bottom - sqrt(maximum(span_e - span_f * x_bottom * x_bottom, 0.0))
            store(rows, 0, minimum(maximum(y_bottom + (1.0 - slack), 0.0), float(height)))
            store(rows, 8, minimum(maximum(y_top + (1.0 + slack), 0.0), float(height)))
            for j in range(min(8, last + 1 - strip)):
                # floor(y + 1 - slack) is the first row at or below y, floor(y + 1 + slack) the first beyond it.
                row0, row1 = np.int64(peek(rows, j)), np.int64(peek(rows, 8 + j))
                while row0 < row1:
                    down = row0 // TILE_HEIGHT
                    y0 = down * TILE_HEIGHT
                    tile = (strip + j) * tiles_down + down
                    if count < room:
                        end_row = min(row1 - y0, TILE_HEIGHT)
                        poke(found, count, gaussian | ((row0 - y0) << 32) | (end_row << 40))
                        poke(found_tiles, count, tile)
                    poke(tile_counts, tile, peek(tile_counts, tile) + 1)
                    count += 1
                    row0 = y0 + TILE_HEIGHT
    poke(found_count, 0, count)


@kernel
def place_lists(parts: INT, tile_count: INT, tile_counts: INTS32, starts: INTS):
    """Turn `tile_counts` (parts, tiles) into where each thread begins to write in each tile's list.

    `starts` (tiles + 1) becomes where the lists begin, and last the number of entries.
    """
    total = 0
    for tile in range(tile_count):
        poke(starts, tile, total)
        for part in range(parts):
            count = peek(tile_counts, part * tile_count + tile)
            poke(tile_counts, part * tile_count + tile, total)
            total += count
    poke(starts, tile_count, total)


@kernel
def fill_lists(found: INTS, found_tiles: INTS32, count: INT, positions: INTS32, entries: INTS):
    """Copy one thread's entries into the tiles' lists, each tile's in the order found."""
    for i in range(count):
        tile = peek(found_tiles, i)
        position = peek(positions, tile)
        poke(positions, tile, position + 1)
        poke(entries, position, peek(found, i))
