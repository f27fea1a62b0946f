"""How many gaussians there should be, over a run."""

from ...run.forecast import taught_count

GROWS_FROM, GROWS_UNTIL = 0.03, 0.57  # parts of the run between which a planned count rises


class CountCurve:
    """How many gaussians there should be: linearly from the first count to a target, over a part of the run.

    `photo_pixels`: of one training photo, in the mean. Unless a target was asked for, a short run aims at fewer.
    """

    def __init__(self, first: int, target: int, is_asked_for: bool, photo_pixels: float):
        self.first, self.target, self.is_asked_for, self.photo_pixels = first, target, is_asked_for, photo_pixels

    def at(self, step: int, fraction: float) -> int:
        """The count after `step` steps, when `fraction` of the run is done."""
        target = self.target
        if not self.is_asked_for and fraction > 0:
            target = taught_count(target, self.first, step / fraction, self.photo_pixels)
        part = (fraction - GROWS_FROM) / (GROWS_UNTIL - GROWS_FROM)
        return round(self.first + (target - self.first) * min(max(part, 0.0), 1.0))
