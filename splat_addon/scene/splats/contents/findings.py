"""What was found in the values of splat objects: kept for this session, since looking takes time with many splats."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ....run.wording import counted
from ...session import part
from ...session.changes import forgetting
from . import attributes, quantization
from .attributes import BASE


@dataclass(frozen=True)
class Sizes:
    """Points that cannot be seen as splats."""

    empty: int  # without any size, color and opacity: plain points that were joined to splats
    flat: int  # with a scale of 0, but something to show


class Findings:
    """By `session_uid` of the data; what changed is forgotten."""

    def __init__(self) -> None:
        self.sizes: dict[int, Sizes] = {}
        self.color_errors: dict[int, float] = {}

    def forget(self, uid: int) -> None:
        """Of one data-block."""
        self.sizes.pop(uid, None)
        self.color_errors.pop(uid, None)

    def forget_all(self) -> None:
        """Of the whole file."""
        self.sizes.clear()
        self.color_errors.clear()


def problems(data: Any) -> list[str]:
    """Sentences about what is wrong with attributes and values of splats. Values are read again when they change."""
    return [*attributes.problems(data), *_size_problems(_sizes_of(data))]


def color_error(data: Any) -> float | None:
    """What `measure` found, 0..1; None when it was not called since the splats changed."""
    return part(Findings).color_errors.get(data.session_uid)


def measure(data: Any) -> float:
    """The largest color error of the splats in EEVEE, 0..1, when Blender draws them itself; about a second for a
    million."""
    higher = [
        attributes.read(data, f"{attributes.HIGHER}{k}")
        for k in range(min(attributes.harmonics_in(data), attributes.HARMONICS))
    ]
    found = quantization.largest_color_error(attributes.read(data, BASE), higher)
    part(Findings).color_errors[data.session_uid] = found
    return found


def _size_problems(sizes: Sizes) -> list[str]:
    found = []
    if sizes.empty:
        what = "1 point is not a splat" if sizes.empty == 1 else f"{counted(sizes.empty)} points are not splats"
        found.append(f"{what} (joined?): without size and color, nothing is drawn.")
    if sizes.flat:
        what = "1 splat has" if sizes.flat == 1 else f"{counted(sizes.flat)} splats have"
        found.append(f"{what} a scale of 0, which EEVEE leaves out when Blender draws: see Tidy Outliers.")
    return found


def _sizes_of(data: Any) -> Sizes:
    if getattr(data, "is_editmode", False):
        return Sizes(0, 0)
    kept = part(Findings).sizes
    if data.session_uid not in kept:
        scales = attributes.read(data, "scale")
        is_zero = scales == 0
        rows = np.flatnonzero(is_zero.any(axis=1))
        nothing = 0
        if len(rows):
            nothing = int((is_zero[rows].all(axis=1) & ~attributes.read(data, BASE)[rows].any(axis=1)).sum())
        kept[data.session_uid] = Sizes(nothing, len(rows) - nothing)
    return kept[data.session_uid]


HANDLERS = forgetting(lambda data: part(Findings).forget(data.session_uid), lambda: part(Findings).forget_all())
