"""What one view tells about each gaussian: where the light lands that it shares, and what the view is without it.

Every tile is looked through twice, near to far. First for the *median depth* D of each pixel, the depth of the gaussian
at which the transmittance falls below one half; gaussians that are set aside count as clear glass there. Then, as in
`blend_forward` to the last bit, for the sums over pixels j, with the weight w = T α':

    weight Σ w,   behind Σ w b,   gap Σ w (1 - z/D) [z < 0.97 D],   hang Σ w min(1, (D - z)⁺ / 2 δ),
    distance Σ w b (D - z),   where b = [D - z > δ]

(the length δ is handed over; what has no D adds nothing but its weight), and for what removing the gaussian does. γ is
affine in each α', so removal changes a pixel by exactly

    Δγ = -w c + α'/(1 - α') (γ - P),   P = Σ_{k ≤ i} w_k c_k   (near to far; γ with its background)

and, with r = photo - γ, the squared error by Σ |Δγ|² - 2 r·Δγ: the *gain* of having the gaussian. Σ |Δγ|² alone is its
importance. All are weighted by how much each pixel counts.
"""

import numpy as np

from .blend import ENTRIES_PER_LOOK, TILES_PER_TURN, block_count, covered_blocks, open_blocks, set_up_rows
from .declare import DOUBLES, FLOATS, INT, INTS, INTS32, REAL, inner, kernel
from .lanes.blocks import BLOCK_ROWS, column_numbers, splat_rows
from .lanes.simd import WIDE, load, load_wide, peek, poke, prefetch, store
from .lanes.simd_math import exp2, lane_max, lane_sums, madd, magnitude, maximum, minimum, select, splat_wide
from .layout import (
    ALPHA_CAP,
    BLUE,
    DEPTH,
    EVIDENCE,
    EVIDENCE_ROW,
    GAIN,
    GREEN,
    LOG2_CUTOFF,
    PEAK,
    RECORD,
    RED,
    ROOT_A,
    ROW_BUFFER,
    SET_ASIDE,
    TILE_HEIGHT,
    TILE_WIDTH,
    TRANSMITTANCE_STOP,
)

GAP_FROM = 0.03  # a gap is counted when the median depth is farther by this part of itself
NOWHERE = 1e30  # 1/D where there is no median depth: everything lies in front of the camera, nothing behind

# Working memory of one thread: for each block T, 1/D, how much the pixels count, γ - P and the residual; then as in
# blend.py.
_BLOCK = BLOCK_ROWS * EVIDENCE_ROW
_T, _INVERSE, _COUNTS, _REST_R, _REST_G, _REST_B, _OFF_R, _OFF_G, _OFF_B = range(0, _BLOCK, WIDE)
_ROW_X = TILE_HEIGHT * EVIDENCE_ROW
_ROW_P = _ROW_X + ROW_BUFFER


@inner
def _lane_of(row, column):
    """Where a pixel of a tile lies in the working memory, counted from where a quantity begins."""
    return row // BLOCK_ROWS * _BLOCK + column * BLOCK_ROWS + row % BLOCK_ROWS


@inner
def _find_median_depths(entries, first, end, x0, y0, rows, width, records, places, scratch):
    """1/D of a tile's pixels, NOWHERE where they stay clearer than one half. T becomes negative where D is known."""
    numbers = column_numbers()
    begin = select(numbers < float(width - x0), splat_wide(np.float32(1.0)), -1.0)
    blocks = block_count(rows)
    for block in range(0, blocks * _BLOCK, _BLOCK):
        store(scratch, _T + block, begin)
        store(scratch, _INVERSE + block, splat_wide(np.float32(NOWHERE)))
    open0, open1 = 0, blocks
    for i in range(first, end):
        if (i - first) & (ENTRIES_PER_LOOK - 1) == ENTRIES_PER_LOOK - 1:
            open0, open1 = open_blocks(scratch, _BLOCK, open0, open1)
            if open0 == open1:
                break
        prefetch(records, (peek(entries, min(i + 8, end - 1)) & 0xFFFFFFFF) * RECORD)
        entry = peek(entries, i)
        at = (entry & 0xFFFFFFFF) * RECORD
        block0, block1 = covered_blocks(entry, open0, open1)
        if block0 >= block1 or peek(records, at + SET_ASIDE) > 0.0:
            continue
        y, covered = y0 + block0 * BLOCK_ROWS, (block1 - block0) * BLOCK_ROWS
        set_up_rows(records, places, at, x0, y, covered, scratch, _ROW_X, _ROW_P)
        columns = splat_wide(peek(records, at + ROOT_A)) * numbers
        inverse = splat_wide(np.float32(1.0) / peek(records, at + DEPTH))
        for q in range(0, covered, BLOCK_ROWS):
            block = block0 * _BLOCK + q * EVIDENCE_ROW
            arriving = load_wide(scratch, _T + block)
            s = splat_rows(scratch, _ROW_X + q) - columns
            p = madd(-s, s, splat_rows(scratch, _ROW_P + q))
            alphas = select(p >= LOG2_CUTOFF, minimum(exp2(p), ALPHA_CAP), 0.0)
            leaving = madd(arriving, -alphas, arriving)
            is_passing = (arriving > 0.0) & (leaving < 0.5)
            store(scratch, _INVERSE + block, select(is_passing, inverse, load_wide(scratch, _INVERSE + block)))
            store(scratch, _T + block, select(is_passing, -magnitude(leaving), leaving))


@inner
def _read_tile(x0, y0, rows, width, blended, residual, counts, median_depths, scratch):
    """Set up T, what counts, γ and the residual; write the median depths that were found, 0 where there are none."""
    numbers = column_numbers()
    columns = min(TILE_WIDTH, width - x0)
    begin = select(numbers < float(columns), splat_wide(np.float32(1.0)), -1.0)
    zero = numbers * 0.0
    for block in range(0, block_count(rows) * _BLOCK, _BLOCK):
        store(scratch, _T + block, begin)
        for at in range(block + _COUNTS, block + _BLOCK, WIDE):
            store(scratch, at, zero)
    for y in range(rows):
        for x in range(columns):
            at, pixel = _lane_of(y, x), (y0 + y) * width + x0 + x
            inverse = peek(scratch, _INVERSE + at)
            poke(median_depths, pixel, np.float32(1.0) / inverse if inverse < NOWHERE else np.float32(0.0))
            poke(scratch, _COUNTS + at, peek(counts, pixel))
            poke(scratch, _REST_R + at, peek(blended, pixel * 3))
            poke(scratch, _REST_G + at, peek(blended, pixel * 3 + 1))
            poke(scratch, _REST_B + at, peek(blended, pixel * 3 + 2))
            poke(scratch, _OFF_R + at, peek(residual, pixel * 3))
            poke(scratch, _OFF_G + at, peek(residual, pixel * 3 + 1))
            poke(scratch, _OFF_B + at, peek(residual, pixel * 3 + 2))


@inner
def _mark_opened(x0, y0, rows, width, median_depths, scratch):
    """-1 in place of the median depth where a pixel is opaque by nothing but what is set aside."""
    for y in range(rows):
        for x in range(min(TILE_WIDTH, width - x0)):
            at, pixel = _lane_of(y, x), (y0 + y) * width + x0 + x
            if peek(scratch, _INVERSE + at) >= NOWHERE and abs(peek(scratch, _T + at)) < 0.5:
                poke(median_depths, pixel, np.float32(-1.0))


@kernel
def gather_evidence(
    part: INT, parts: INT, entries: INTS, starts: INTS, entries_used: INTS, records: FLOATS, places: DOUBLES,
    width: INT, height: INT, blended: FLOATS, residual: FLOATS, counts: FLOATS, delta: REAL, scratch: FLOATS,
    sums: FLOATS, median_depths: FLOATS,
):  # fmt: skip
    """Add the tiles of thread `part` of `parts` to that thread's `sums` (N * 8), see layout.py.

    What `blend_forward` was given and gave; `residual` (H * W * 3) is the photo minus `blended`, in the same light;
    `counts` (H * W) is how much each pixel counts; `delta` is a length. `median_depths` (H * W) is filled, 0 where
    there is none, and -1 where there would be one but for what is set aside.
    """
    tiles_down = (height + TILE_HEIGHT - 1) // TILE_HEIGHT
    tile_count = ((width + TILE_WIDTH - 1) // TILE_WIDTH) * tiles_down
    numbers = column_numbers()
    zero = numbers * 0.0
    margin, per_two_deltas = splat_wide(np.float32(delta)), splat_wide(np.float32(0.5 / delta))
    for turn in range(part * TILES_PER_TURN, tile_count, parts * TILES_PER_TURN):
        for tile in range(turn, min(turn + TILES_PER_TURN, tile_count)):
            x0 = (tile // tiles_down) * TILE_WIDTH
            y0 = (tile % tiles_down) * TILE_HEIGHT
            rows = min(TILE_HEIGHT, height - y0)
            first, end = peek(starts, tile), peek(starts, tile + 1)
            _find_median_depths(entries, first, end, x0, y0, rows, width, records, places, scratch)
            _read_tile(x0, y0, rows, width, blended, residual, counts, median_depths, scratch)
            end = first + peek(entries_used, tile)
            open0, open1 = 0, block_count(rows)
            for i in range(first, end):
                if (i - first) & (ENTRIES_PER_LOOK - 1) == ENTRIES_PER_LOOK - 1:
                    open0, open1 = open_blocks(scratch, _BLOCK, open0, open1)
                ahead = peek(entries, min(i + 8, end - 1)) & 0xFFFFFFFF
                prefetch(records, ahead * RECORD)
                prefetch(sums, ahead * EVIDENCE)
                entry = peek(entries, i)
                gaussian = entry & 0xFFFFFFFF
                at = gaussian * RECORD
                block0, block1 = covered_blocks(entry, open0, open1)
                if block0 >= block1:
                    continue
                y, covered = y0 + block0 * BLOCK_ROWS, (block1 - block0) * BLOCK_ROWS
                set_up_rows(records, places, at, x0, y, covered, scratch, _ROW_X, _ROW_P)
                columns = splat_wide(peek(records, at + ROOT_A)) * numbers
                red, green = splat_wide(peek(records, at + RED)), splat_wide(peek(records, at + GREEN))
                blue, z = splat_wide(peek(records, at + BLUE)), splat_wide(peek(records, at + DEPTH))
                weights, behind, gaps, hanging, distances = zero, zero, zero, zero, zero
                importance, gain, peak = zero, zero, zero
                for q in range(0, covered, BLOCK_ROWS):
                    block = block0 * _BLOCK + q * EVIDENCE_ROW
                    arriving = load_wide(scratch, _T + block)
                    s = splat_rows(scratch, _ROW_X + q) - columns
                    p = madd(-s, s, splat_rows(scratch, _ROW_P + q))
                    alphas = select(p >= LOG2_CUTOFF, minimum(exp2(p), ALPHA_CAP), 0.0)
                    leaving = madd(arriving, -alphas, arriving)
                    is_added = leaving >= TRANSMITTANCE_STOP
                    weight = select(is_added, arriving * alphas, 0.0)
                    store(scratch, _T + block, select(is_added, leaving, -magnitude(arriving)))

                    rest_red = load_wide(scratch, _REST_R + block) - weight * red
                    rest_green = load_wide(scratch, _REST_G + block) - weight * green
                    rest_blue = load_wide(scratch, _REST_B + block) - weight * blue
                    store(scratch, _REST_R + block, rest_red)
                    store(scratch, _REST_G + block, rest_green)
                    store(scratch, _REST_B + block, rest_blue)
                    share = select(is_added, weight / leaving, 0.0)  # α'/(1 - α')
                    d_red = share * rest_red - weight * red
                    d_green = share * rest_green - weight * green
                    d_blue = share * rest_blue - weight * blue
                    square = d_red * d_red + d_green * d_green + d_blue * d_blue
                    along = d_red * load_wide(scratch, _OFF_R + block) + d_green * load_wide(scratch, _OFF_G + block)
                    along = along + d_blue * load_wide(scratch, _OFF_B + block)
                    count = load_wide(scratch, _COUNTS + block)
                    importance = madd(count, square, importance)
                    gain = madd(count, square - 2.0 * along, gain)

                    weight = weight * count
                    weights = weights + weight
                    peak = maximum(weight, peak)
                    inverse = load_wide(scratch, _INVERSE + block)
                    gap = 1.0 - z * inverse
                    gaps = gaps + select(gap > GAP_FROM, weight * gap, 0.0)
                    farther = gap / inverse  # D - z
                    hanging = madd(weight, maximum(minimum(farther * per_two_deltas, 1.0), 0.0), hanging)
                    landing = select(farther > margin, weight, 0.0)
                    behind = behind + landing
                    distances = madd(landing, farther, distances)
                row = gaussian * EVIDENCE
                added = lane_sums(weights, behind, gaps, hanging, distances, importance, gain, zero)
                store(sums, row, load(sums, row) + added)
                poke(sums, row + PEAK, max(peek(sums, row + PEAK), lane_max(peak)))
            _mark_opened(x0, y0, rows, width, median_depths, scratch)


@kernel
def add_evidence(
    begin: INT, end: INT, count: INT, parts: INT, view: INT, bit: INT, used_from: REAL, error: REAL,
    rows: FLOATS, totals: FLOATS, used_by: INTS, grown: FLOATS, views: INTS32,
):  # fmt: skip
    """Add what the threads have gathered in a view about gaussians `begin` … `end - 1` to `totals` (N * 8), and clear
    their `rows` (parts * N * 8) for the next.

    `bit` is set in `used_by` (N) where the view's largest weight is `used_from` or more. `grown` (N * 2) holds by how
    many parts of its squared error, `error`, the two views grow that miss the gaussian most, the larger first, and
    `views` (N * 2) their numbers.
    """
    for gaussian in range(begin, end):
        row = gaussian * EVIDENCE
        added, peak = load(rows, row), peek(rows, row + PEAK)
        for part in range(1, parts):
            other = part * count * EVIDENCE + row
            added = added + load(rows, other)
            peak = max(peak, peek(rows, other + PEAK))
            store(rows, other, added * 0.0)
        store(rows, row, added)
        growth = peek(rows, row + GAIN) / error
        store(rows, row, added * 0.0)
        most = max(peak, peek(totals, row + PEAK))
        store(totals, row, load(totals, row) + added)
        poke(totals, row + PEAK, most)
        if peak >= used_from:
            poke(used_by, gaussian, peek(used_by, gaussian) | bit)
        if growth > peek(grown, 2 * gaussian):
            poke(grown, 2 * gaussian + 1, peek(grown, 2 * gaussian))
            poke(views, 2 * gaussian + 1, peek(views, 2 * gaussian))
            poke(grown, 2 * gaussian, np.float32(growth))
            poke(views, 2 * gaussian, np.int32(view))
        elif growth > peek(grown, 2 * gaussian + 1):
            poke(grown, 2 * gaussian + 1, np.float32(growth))
            poke(views, 2 * gaussian + 1, np.int32(view))
