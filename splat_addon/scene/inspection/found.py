"""Scores as panels need them: kept for this session, since reading them takes time with many splats."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..session import part
from ..session.changes import forgetting
from . import columns


@dataclass(frozen=True)
class Scores:
    """Of the splats of one data-block, (N,) each."""

    score: np.ndarray
    is_current: np.ndarray
    is_protected: np.ndarray  # kept, or a reflection, whatever they score
    reflections: int = 0  # how many are marked or detected

    @property
    def changed(self) -> int:
        """How many splats were edited since, or came from elsewhere."""
        return int((~self.is_current).sum())

    def above(self, threshold: float) -> int:
        """How many current scores are higher."""
        return int((self.is_current & (self.score > threshold) & ~self.is_protected).sum())


class Known:
    """By `session_uid` of the data; what changed is forgotten."""

    def __init__(self) -> None:
        self.scores: dict[int, Scores] = {}


def scores(data: Any) -> Scores | None:
    """The scores of splats that are not being edited; None where they were never inspected."""
    if not columns.is_inspected(data) or getattr(data, "is_editmode", False):
        return None
    known = part(Known).scores
    if data.session_uid not in known:
        is_reflection = columns.is_reflection(data)
        protected = columns.flags(data, columns.KEPT) | is_reflection
        known[data.session_uid] = Scores(
            columns.score_of(data), columns.is_current(data), protected, int(is_reflection.sum())
        )
    return known[data.session_uid]


def forget(data: Any) -> None:
    """What was changed is to be read again."""
    part(Known).scores.pop(data.session_uid, None)


HANDLERS = forgetting(forget, lambda: part(Known).scores.clear())
