"""Small line charts as pixels: what a panel shows as an icon. NumPy only, a millisecond or two each.

Text is drawn with a bitmap font of 5 x 7 dots, which stays crisp at whole multiples.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

GROUND, GRID, WORDS, MARKED = (29, 29, 29), (52, 52, 52), (170, 170, 170), (70, 110, 70)
_ROWS, _COLUMNS = 7, 5
_GLYPHS = {  # seven rows of five dots, the highest bit on the left
    "0": (14, 17, 19, 21, 25, 17, 14), "1": (4, 12, 4, 4, 4, 4, 14), "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14), "4": (2, 6, 10, 18, 31, 2, 2), "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14), "7": (31, 1, 2, 4, 8, 8, 8), "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12), ".": (0, 0, 0, 0, 0, 12, 12), "-": (0, 0, 0, 14, 0, 0, 0),
    "k": (16, 16, 18, 20, 24, 20, 18), "M": (17, 27, 21, 21, 17, 17, 17), "e": (0, 0, 14, 17, 31, 16, 14),
    "d": (1, 1, 13, 19, 17, 17, 15), "B": (30, 17, 17, 30, 17, 17, 30), "s": (0, 0, 14, 16, 14, 1, 30),
    "t": (8, 8, 28, 8, 8, 9, 6), "p": (0, 0, 30, 17, 30, 16, 16), "L": (16, 16, 16, 16, 16, 16, 31),
    "o": (0, 0, 14, 17, 17, 17, 14), "P": (30, 17, 17, 30, 16, 16, 16), "S": (15, 16, 16, 14, 1, 1, 30),
    "N": (17, 17, 25, 21, 19, 17, 17), "R": (30, 17, 17, 30, 20, 18, 17), " ": (0,) * 7,
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One curve: steps rising, values, its color (bytes), and whether each point is marked."""

    steps: Sequence[float]
    values: Sequence[float]
    color: tuple[int, int, int]
    has_marks: bool = False


def draw_chart(
    size: tuple[int, int],
    lines: Sequence[Line],
    x_end: float,
    title: str,
    dot: int = 1,
    is_log: bool = False,
    marks: Sequence[float] = (),
) -> np.ndarray:
    """(H, W, 3) uint8, top row first: curves from step 0 to `x_end`, with ticks at round numbers and a title.

    `dot` is how many pixels a dot of the font has: 1 usually, 2 on a screen with twice the pixels. With `is_log`, the
    values, all above 0, stand on a logarithmic axis. `marks` are steps at which something happened.
    """
    if is_log:
        lines = [replace(line, values=np.log10(line.values).tolist()) for line in lines]
    width, height = size
    pixels = np.empty((height, width, 3), dtype=np.float32)
    pixels[:] = GROUND
    row, glyph = _ROWS * dot, (_COLUMNS + 1) * dot
    low, high = _range(lines)
    wanted = max(3, height // (5 * row))
    ticks = _log_ticks(low, high, wanted) if is_log else _value_ticks(low, high, wanted)
    words = [_power(tick) if is_log else _number(tick, ticks) for tick in ticks]
    left = max(map(len, words), default=1) * glyph + 3 * dot
    right, top, bottom = width - 3 * dot, 2 * row, height - row - 4 * dot
    if right - left < 8 or bottom - top < 8:
        return pixels.astype(np.uint8)
    x_end = max(x_end, 1.0)

    def x_of(steps) -> np.ndarray:
        return left + np.asarray(steps, dtype=np.float64) / x_end * (right - 1 - left)

    def y_of(values) -> np.ndarray:
        return bottom - 1 - (np.asarray(values, dtype=np.float64) - low) / (high - low) * (bottom - 1 - top)

    for tick, word in zip(ticks, words, strict=True):
        level = round(float(y_of(tick)))
        pixels[level : level + dot, left:right] = GRID
        _write(pixels, word, left - len(word) * glyph - 2 * dot, level - row // 2, WORDS, dot)
    for tick in round_ticks(0.0, x_end, max(2, (right - left) // (8 * glyph))):
        column, word = round(float(x_of(tick))), _number(tick, [])
        pixels[top:bottom, column : column + dot] = GRID
        begin = min(column - len(word) * glyph // 2, width - len(word) * glyph)
        _write(pixels, word, begin, bottom + 3 * dot, WORDS, dot)
    _write(pixels, title, left, dot, WORDS, dot)
    for mark in marks:
        column = round(float(x_of(mark)))
        pixels[top:bottom, column : column + dot] = MARKED
    for line in lines:
        if len(line.steps):
            x, y = x_of(line.steps), y_of(line.values)
            _stroke(pixels[:, left:right], x - left, y, line.color, 0.7 * dot)
            if line.has_marks:
                for place_x, place_y in zip(x, y, strict=True):
                    _mark(pixels, place_x, place_y, line.color, dot)
    return np.round(pixels).astype(np.uint8)


def _value_ticks(low: float, high: float, count: int) -> list[float]:
    """At least two: one alone says nothing about the scale."""
    found = [round_ticks(low, high, wanted) for wanted in range(count, 4 * count)]
    return next((ticks for ticks in found if len(ticks) > 1), found[-1])


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    """Logarithms of 1, 2 and 5 times powers of ten, or of the powers alone where these are many; or what is between."""
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [power + float(np.log10(factor)) for power in powers for factor in factors]
        found = [tick for tick in found if low <= tick <= high]
        if len(found) > 1:
            return found[:: -(-len(found) // (2 * count))]
    return _value_ticks(low, high, count)


def round_ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`."""
    step = (high - low) / count
    power = 10.0 ** np.floor(np.log10(step))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step * 0.999)
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(round(number * step, 12)) for number in range(first, last + 1)]


def _range(lines: Sequence[Line]) -> tuple[float, float]:
    values = np.concatenate([np.asarray(line.values, dtype=np.float64) for line in lines] or [np.zeros(0)])
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = max((high - low) * 0.06, abs(high) * 0.01, 1e-6)
    return low - margin, high + margin


def _number(value: float, ticks: Sequence[float]) -> str:
    """As short as it can be and still tell the ticks apart."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e3:
        return f"{value / 1e3:g}k"
    gap = min((after - before for before, after in pairwise(ticks)), default=1.0)
    return f"{value:.{max(0, int(np.ceil(-np.log10(gap) - 1e-9)))}f}"


def _power(logarithm: float) -> str:
    """A number by its logarithm, as short as it can be: "0.02", "5e-4"."""
    value = float(f"{10**logarithm:.2g}")
    if 1e-3 <= value < 1e4:
        return f"{value:g}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _stroke(field: np.ndarray, x: np.ndarray, y: np.ndarray, color: tuple[int, int, int], half_width: float) -> None:
    """Blend a polyline into `field` (H, W, 3): per column, from the lowest to the highest place it passes there."""
    height, width = field.shape[:2]
    columns = np.arange(width, dtype=np.float64)
    inside = (columns >= x[0] - 0.5) & (columns <= x[-1] + 0.5)
    edges = np.interp(np.stack([columns - 0.5, columns, columns + 0.5]), x, y)
    lowest, highest = edges.min(axis=0), edges.max(axis=0)
    place = np.clip(np.round(x).astype(int), 0, width - 1)  # peaks between two columns count, too
    np.minimum.at(lowest, place, y)
    np.maximum.at(highest, place, y)
    rows = np.arange(height, dtype=np.float64)[:, None]
    distance = np.maximum(np.maximum(lowest - rows, rows - highest), 0)
    cover = np.clip(half_width + 0.5 - distance, 0, 1) * inside
    field += cover[..., None].astype(np.float32) * (np.array(color, dtype=np.float32) - field)


def _mark(pixels: np.ndarray, x: float, y: float, color: tuple[int, int, int], dot: int) -> None:
    reach = 2 * dot
    top, left = max(0, round(float(y)) - reach + 1), max(0, round(float(x)) - reach + 1)
    pixels[top : top + 2 * reach - 1, left : left + 2 * reach - 1] = color


@functools.cache
def _dots(letter: str, dot: int) -> np.ndarray:
    """Which pixels of a letter are drawn; letters that the font lacks are blank."""
    bits = np.array(_GLYPHS.get(letter, _GLYPHS[" "]))[:, None] >> np.arange(_COLUMNS - 1, -1, -1) & 1
    return np.kron(bits, np.ones((dot, dot))).astype(bool)


def _write(pixels: np.ndarray, text: str, left: int, top: int, color: tuple[int, int, int], dot: int) -> None:
    """Write `text`, cut off at the borders."""
    for letter in text:
        dots = _dots(letter, dot)
        place = pixels[max(0, top) : top + dots.shape[0], max(0, left) : left + dots.shape[1]]
        shown = dots[max(0, -top) :, max(0, -left) :][: place.shape[0], : place.shape[1]]
        if place.shape[:2] == shown.shape:
            place[shown] = color
        left += (_COLUMNS + 1) * dot
