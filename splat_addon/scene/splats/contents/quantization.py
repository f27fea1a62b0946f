"""How exactly EEVEE and Workbench draw Blender's own splats (5.3), and cutting off what spoils that.

They keep colors in 8 bits, over the range that the values of one object have: one range for the base, one for all
higher harmonics together, for red, green and blue each. So one outlier makes the steps of all splats coarse. Sizes have
9 bits over the range of their logarithms, which one thin splat widens, and splats with a scale of 0 are not drawn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....errors import SplatError
from ....gaussians.harmonics import degree_of, harmonics
from ....gaussians.rules import DEFAULT_RULES
from . import attributes
from .attributes import BASE, HARMONICS, HIGHER

STEPS = 255  # of a color's range
KEPT = 0.9999  # of the values of each coefficient: the rest, at both ends, may be outliers
MARGIN = 0.1  # of the range that these have: nearer to its ends nothing is an outlier
_KEY = "splat_before_tidying"  # of the data: the number of points; for each attribute where values were, and which
_FEW = 50  # values, among which none is called an outlier
_SAMPLED = 50_000  # splats at most, whose colors are compared: rounding treats all alike
_AROUND = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z], float)


def sentence(error: float) -> str:
    """What is said about a color error of 0..1."""
    return f"EEVEE: colors off by up to {error * 255:.2g}/255 when Blender draws these splats."


def largest_color_error(base: np.ndarray, higher: Sequence[np.ndarray]) -> float:
    """The largest difference that EEVEE's 8 bits make to any visible splat seen from any of 26 directions.

    0..1 of a display color. `base` is (N, 4) with the opacity, `higher` up to 15 times (N, 3).
    """
    drawn = np.flatnonzero(base[:, 3] > DEFAULT_RULES.alpha_cutoff)
    if not len(drawn):
        return 0.0
    drawn = drawn[:: -(-len(drawn) // _SAMPLED)]
    higher = [*higher, *[np.zeros_like(base[:, :3])] * (_full(len(higher)) - len(higher))]
    exact = np.stack([base[drawn, :3], *(values[drawn] for values in higher)])
    steps = exact.copy()
    steps[0] = _in_steps(exact[0], _range_of([base[:, :3]]))
    if higher:
        steps[1:] = _in_steps(exact[1:], _range_of(higher))
    directions = _AROUND / np.linalg.norm(_AROUND, axis=1, keepdims=True)
    largest = 0.0
    for values_at in harmonics(directions, degree_of(len(exact))).astype(np.float32):
        wanted, shown = (np.tensordot(values_at, values, 1) for values in (exact, steps))
        difference = np.maximum(shown, -0.5) - np.maximum(wanted, -0.5)  # 0.5 is added, and what is below 0 is black
        largest = max(largest, float(np.abs(difference).max()))
    return largest


def _full(count: int) -> int:
    """How many higher harmonics the lowest degree has that holds `count`."""
    return next(size for size in (0, 3, 8, 15) if size >= count)


def _range_of(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest value of each channel."""
    low = np.min([values.min(axis=0) for values in parts], axis=0)
    return low, np.max([values.max(axis=0) for values in parts], axis=0)


def _in_steps(values: np.ndarray, ends: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    low, high = ends
    step = np.where(high > low, (high - low) / STEPS, 1)
    return np.rint((values - low) / step) * step + low


@dataclass(frozen=True)
class Tidied:
    """How many numbers were changed."""

    colors: int
    scales: int


def is_tidied(data: Any) -> bool:
    """Whether values of before are kept with the data."""
    return _KEY in data


def tidy(data: Any) -> Tidied:
    """Clip what is far outside the middle 99.99 % of each coefficient of the colors, and raise the smallest scales.

    Coefficients: to the range of that middle and a tenth of it more at each end. Scales of 0, and the smallest 0.005 %:
    to the smallest that stays. What they were is kept with the data, for `put_back`.
    """
    attributes.repair(data)
    before: dict[str, Any] = {"count": attributes.points_in(data)}
    harmonics_read = min(attributes.harmonics_in(data), HARMONICS)
    names = [BASE, *(f"{HIGHER}{k}" for k in range(harmonics_read))]
    colors = sum(_replace(data, name, _clipped, before) for name in names)
    scales = _replace(data, "scale", _without_zeros, before)
    data[_KEY] = before
    data.update_tag()
    return Tidied(colors, scales)


def put_back(data: Any) -> tuple[int, int]:
    """Give back what `tidy` changed, to the last bit. Returns how many numbers, and how many others were left alone
    because they were edited since. Raises SplatError when points were added or deleted since."""
    kept = data[_KEY]
    attributes.repair(data)
    if kept["count"] != attributes.points_in(data):
        raise SplatError(
            "Points were added or deleted since the outliers were tidied: their places are not known any more.",
            "Undo that, or import the splats again.",
        )
    done = edited = 0
    for name in [name for name in kept if name != "count"]:
        if name not in data.attributes:
            edited += len(kept[name]["index"])
            continue
        index, before, after = (np.array(kept[name][key]) for key in ("index", "before", "after"))
        values = attributes.read(data, name).ravel()
        is_same = values[index] == after.astype(np.float32)
        values[index[is_same]] = before[is_same]
        attributes.write(data, name, values)
        done, edited = done + int(is_same.sum()), edited + int((~is_same).sum())
    del data[_KEY]
    data.update_tag()
    return done, edited


def _replace(data: Any, name: str, change: Callable[[np.ndarray], np.ndarray], before: dict[str, Any]) -> int:
    """Change an attribute's values, and note what they were. Returns how many numbers are others now."""
    values = attributes.read(data, name)
    wanted = change(values)
    index = np.flatnonzero(values.ravel() != wanted.ravel()).astype(np.int32)
    if len(index):
        former, new = values.ravel()[index], wanted.ravel()[index]
        before[name] = {"index": index, "before": former.astype(np.float64), "after": new.astype(np.float64)}
        attributes.write(data, name, wanted)
    return len(index)


def _outside(count: int) -> int:
    """How many of `count` values are outliers at each end: one at least, but among a few none."""
    return min(max(1, round(count * (1 - KEPT) / 2)), count // _FEW)


def _clipped(values: np.ndarray) -> np.ndarray:
    """(N, 3) or (N, 4) coefficients without outliers; an opacity is left alone."""
    count, clipped = len(values), values.copy()
    outside = _outside(count)
    for channel in range(3):
        low, high = np.partition(values[:, channel], (outside, count - 1 - outside))[[outside, count - 1 - outside]]
        more = MARGIN * (high - low)
        np.clip(values[:, channel], low - more, high + more, out=clipped[:, channel])
    return clipped


def _without_zeros(scales: np.ndarray) -> np.ndarray:
    """(N, 3) scales, none below the smallest that is no outlier."""
    sizes = np.abs(scales)
    positive = sizes[sizes > 0]
    if not len(positive):
        return scales
    outside = _outside(len(positive))
    smallest = np.partition(positive, outside)[outside]
    return np.where(sizes < smallest, smallest, scales)
