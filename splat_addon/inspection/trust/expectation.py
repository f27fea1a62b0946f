"""What quality to expect of a view, in dB, from how far it lies outside of what was trained.

The squared error of a picture is the mean over its cells of

    1 / (1 / (s f (1 + (angle / a)^p)) + 1 / M),    f = 2^(k closer) (1 + beside)^-v

where a training camera saw the place, H holes light for the background that shows, but where most held-out views show
it, it belongs there; and U unseen², since what little no camera saw is mostly a part of something that one did. s, the
error within the envelope, belongs to the run: it is what its held-out views call for. The other numbers are the same
for all; they were fitted on the scenes with the number 0 of `bench envelope`, and are judged on others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .coverage import NEVER_DEG, Envelope

ANGLE_DEG, POWER = 11.0, 1.2  # a, p: from about this angle on, 3 dB are lost for every time it grows by 1.8
MOST_ERROR = 0.052  # M, of what was seen: nothing else than the mean color
UNSEEN_ERROR = 0.09  # U
HOLE_ERROR, HOLES_FROM = 1.06, 0.008  # H, and what few anchors show where there are none
OBJECT_FROM = 0.05  # holes of half of the held-out views: then what was captured stands free
CLOSER_POWER, BESIDE_POWER = 1.0, 1.3  # k, v
LEAST_DB, MOST_DB = 0.0, 60.0
OUTSIDE_DEG = 90.0  # and the trusted angle is never said to be more


@dataclass(frozen=True)
class Expectation:
    """A run's own error within the envelope, as its held-out views tell it."""

    level: float  # s, squared display-encoded values
    stands_free: bool  # nothing is amiss where the background shows
    miss_db: float  # median of how far the held-out views are from what is expected of them

    def db(self, envelope: Envelope) -> float | None:
        """The PSNR to expect of a view, which may be wrong by 2 to 3 dB; None where nothing is seen."""
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

    stands_free = float(np.median([envelope.holes for envelope, _ in known])) > OBJECT_FROM

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
    angles = np.minimum(envelope.angles_deg, OUTSIDE_DEG)
    return float(angles.mean()) if len(angles) else 0.0


def _error(envelope: Envelope, level: float, stands_free: bool) -> float:
    """The mean squared error of a picture."""
    angles = envelope.angles_deg
    angles = angles[angles < NEVER_DEG]
    factor = 2 ** (CLOSER_POWER * envelope.closer) * (1 + envelope.beside) ** -BESIDE_POWER
    seen = level * factor * (1 + (angles / ANGLE_DEG) ** POWER)
    total = (1 / (1 / seen + 1 / MOST_ERROR)).sum() / envelope.cell_count
    holes = 0.0 if stands_free else HOLE_ERROR * max(envelope.holes - HOLES_FROM, 0.0) * envelope.light
    unseen = envelope.unseen * len(envelope.angles_deg) / envelope.cell_count  # part of the picture
    return float(total + holes + UNSEEN_ERROR * unseen**2 + 1e-9)
