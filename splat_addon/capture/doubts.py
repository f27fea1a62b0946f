"""What a capture's files leave open: a second reading of them, which only the photos' pixels tell from the first."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .points import Points
from .remarks import Remark


@dataclass(frozen=True)
class Doubt:
    """The second reading: `orientations` of photos, by what the capture calls them, or `points` at another place.

    `remark` says how the capture is read until the pixels have been compared (`check/settling.py`), None where that
    needs no word; `confirmed` and `corrected` take its place where they have decided for the first or the second.
    """

    remark: Remark | None
    confirmed: Remark
    corrected: Remark
    orientations: Mapping[str, int] = field(default_factory=dict)
    points: Points | None = None

    def moved(self, similarity: np.ndarray) -> "Doubt":
        """The same in a world that a (4, 4) similarity has turned, scaled and shifted."""
        return self if self.points is None else replace(self, points=self.points.moved(similarity))
