"""What quality to expect of a view, in dB, from how far it lies outside of what was trained.

The squared error of a picture is the mean, over what it shows, of

    1 / (1 / (s c 4^closer (1 + angle / a) / (1 + beside)) + 1 / M),    c = contrast + C

where a training camera saw the place: what is plain looks right from everywhere, edges and leaves from nowhere else.
Where none did it is U, of the sky S, times the part of the picture that none saw, since a little of that is mostly a
part of something that one did see. Holes miss light for the background that shows, H h² / (h + h₀); but where most
held-out views show it, it belongs there. s, how wrong contrasts are within the envelope, belongs to the run: it is what
its held-out views call for. The other numbers are the same for all; they were fitted on the scenes with the number 0 of
`bench envelope`, and are judged on others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .coverage import NEVER_DEG, Envelope

ANGLE_DEG = 7.5  # a: from about this angle on, 3 dB are lost for every time it doubles
PLAIN = 0.001  # C
MOST_ERROR = 0.019  # M, of what was seen
UNSEEN_ERROR, UNSEEN_SKY_ERROR = 0.045, 0.022  # U, S
HOLE_ERROR, FEW_HOLES = 2.2, 0.0105  # H, h₀: few anchors leave a little open where there are none
OBJECT_FROM = 0.05  # holes of half of the held-out views: then what was captured stands free
CLOSER_POWER = 2.0
LEAST_DB, MOST_DB = 0.0, 60.0
OUTSIDE_DEG = 90.0  # and the trusted angle is never said to be more


@dataclass(frozen=True)
class Expectation:
    """A run's own error within the envelope, as its held-out views tell it."""

    level: float  # s, squared error in parts of the contrast
    stands_free: bool  # nothing is amiss where the background shows
    miss_db: float  # median of how far the held-out views are from what is expected of them

    def db(self, envelope: Envelope) -> float | None:
        """The PSNR to expect of a view, which is wrong by about 2 dB in the mean; None where nothing is seen."""
        if len(envelope.angles_deg) == 0:
            return None
        return float(np.clip(-10 * np.log10(_error(envelope, self.level, self.stands_free)), LEAST_DB, MOST_DB))


def calibrate(held_out: Sequence[Envelope], psnr_db: Sequence[float]) -> Expectation | None:
    """The level at which the held-out views are as good as was measured, in the median. None without such views."""
    known = [
        (envelope, db)
        for envelope, db in zip(held_out, psnr_db, strict=True)
        if np.isfinite(db) and len(envelope.angles_deg)
    ]
    if not known:
        return None

    stands_free = float(np.median([envelope.seen.holes for envelope, _ in known])) > OBJECT_FROM

    def misses(level: float) -> np.ndarray:
        return np.array([-10 * np.log10(_error(envelope, level, stands_free)) - db for envelope, db in known])

    low, high = -7.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if np.median(misses(10**middle)) > 0 else (low, middle)
    level = 10 ** ((low + high) / 2)
    return Expectation(level, stands_free, float(np.median(np.abs(misses(level)))))


def trusted_angle(envelope: Envelope) -> float:
    """The mean angle in degrees that a person is told: `OUTSIDE_DEG` at most for each place, 0 without any."""
    if len(envelope.shares) == 0:
        return 0.0
    return float(np.average(np.minimum(envelope.angles_deg, OUTSIDE_DEG), weights=envelope.shares))


def _error(envelope: Envelope, level: float, stands_free: bool) -> float:
    """The mean squared error of a picture."""
    is_seen = envelope.angles_deg < NEVER_DEG
    within = level * (envelope.contrast + PLAIN) * 2 ** (CLOSER_POWER * envelope.closer) / (1 + envelope.beside)
    errors = 1 / (1 / (within * (1 + envelope.angles_deg / ANGLE_DEG)) + 1 / MOST_ERROR)
    guessed = np.where(envelope.is_sky, UNSEEN_SKY_ERROR, UNSEEN_ERROR) * envelope.unseen
    total = (envelope.shares * np.where(is_seen, errors, guessed)).sum()
    holes = envelope.seen.holes
    missing = 0.0 if stands_free else HOLE_ERROR * envelope.light * holes**2 / (holes + FEW_HOLES)
    return float(total + missing + 1e-9)
