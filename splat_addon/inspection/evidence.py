"""What photos tell about every splat, one column each."""

from dataclasses import dataclass, fields

import numpy as np

HANGS_FROM = 0.06  # of the reach, δ: what has nothing but light this far behind it hangs in the air
USED_FROM = 0.02  # a view uses a splat whose largest blending weight there is at least this
MOST_VIEWS = 64  # that are looked through: one bit of `used_by` each
NO_VIEW = 255  # in place of the number of one
LOWER, ABOVE_LOWER = 0.2, 3.0  # before the reach is known: sky is what is so many times as far as that part of depths


@dataclass(frozen=True)
class Evidence:
    """Columns (N,) in the order of the splats, and what they were measured on. Lengths are capture units.

    Sums run over the pixels of all views that were looked through; w is the blending weight T α' of a splat in a
    pixel, D the pixel's median depth: where its transmittance first falls below one half. δ is `HANGS_FROM` times the
    reach.
    """

    weight: np.ndarray  # Σ w
    peak: np.ndarray  # the largest w
    behind: np.ndarray  # 0..1 the part of w that shares its pixel with light from behind, D - z > δ
    distance: np.ndarray  # mean D - z, over that part of w
    hang: np.ndarray  # 0..1 mean over w of (D - z)/2δ, between 0 and 1
    gap: np.ndarray  # 0..1 mean over w of 1 - z/D, where z < 0.97 D
    gain: np.ndarray  # how much the squared error of all views grows when the splat alone is removed, exactly
    importance: np.ndarray  # Σ |change|² of all views when the splat alone is removed
    seen: np.ndarray  # number of views whose image holds its center, with nothing opaque before it
    looked_through: np.ndarray  # number of those whose median depth there lies more than δ behind it
    view_open: np.ndarray  # 0..1 mean over its mass of the part of the views that look there and find nothing there
    view_gap: np.ndarray  # mean over those views of max(0, 1 - z/D) at its center
    nearness: np.ndarray  # smallest depth in a view that holds its center, in median depths of that view
    nearest: np.ndarray  # the same depth in capture units; infinite where no view holds it
    used_by: np.ndarray  # uint64, bit v: view v uses it
    needed_most: np.ndarray  # uint8, the view whose squared error grows most, in parts, when the splat alone is removed
    needed_next: np.ndarray  # the next one, if that grows by half as much at least; `NO_VIEW` where there is none
    growth: np.ndarray  # how much the squared error of these views grows, in parts: 0.04 is by 4 %
    mesh_distance: np.ndarray  # from the center to the source mesh, where most of the mass is off it; else 0
    mesh_sigmas: np.ndarray  # the same in standard deviations of the splat in that direction
    reach: float  # median depth of what all views see
    view_names: tuple[str, ...]
    view_positions: np.ndarray  # (C, 3)

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def used(self) -> np.ndarray:
        """(N,) how many views use each splat."""
        return np.bitwise_count(self.used_by) if hasattr(np, "bitwise_count") else _bit_counts(self.used_by)

    def views_of(self, splat: int) -> list[str]:
        """The names of the views that use a splat."""
        bits = int(self.used_by[splat])
        return [name for view, name in enumerate(self.view_names) if bits >> view & 1]

    def needed_by(self, splat: int) -> list[str]:
        """The names of the views that need a splat most: none, one or two."""
        numbers = int(self.needed_most[splat]), int(self.needed_next[splat])
        return [self.view_names[number] for number in numbers if number < len(self.view_names)]

    def select(self, which: np.ndarray) -> "Evidence":
        """The evidence about some splats, at a mask or at indices, order kept."""
        columns = {name: getattr(self, name)[which] for name in COLUMNS}
        return Evidence(**columns, reach=self.reach, view_names=self.view_names, view_positions=self.view_positions)


COLUMNS = tuple(spec.name for spec in fields(Evidence) if spec.name not in ("reach", "view_names", "view_positions"))


def reach_of_depths(depths: np.ndarray) -> float:
    """What lengths are measured by: the median of the depths (P,) that views see, but for the sky, which lies on a far
    shell when it was trained, and may be most of what photos of open scenes see. 1 without any."""
    if len(depths) == 0:
        return 1.0
    return float(np.median(depths[depths <= ABOVE_LOWER * np.quantile(depths, LOWER)]))


def _bit_counts(numbers: np.ndarray) -> np.ndarray:
    """(N,) how many bits of each 64-bit number are set, for NumPy before 2."""
    return np.unpackbits(numbers.view(np.uint8).reshape(len(numbers), 8), axis=1).sum(axis=1).astype(np.uint8)
