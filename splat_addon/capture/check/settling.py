"""What sizes and cameras leave open is settled by pixels: the reading under which points and photos agree.

The one place that decides it. Whoever uses a capture's pixels lets it settle first, with a decoder of its own; the same
few photos are compared in Blender and in the trainer, and what is not clear stays as it was read, so both decide alike.
Where nothing is open, no photo is decoded.
"""

import itertools
from dataclasses import replace

import numpy as np

from ...errors import CaptureError
from ..capture import Capture, View
from ..doubts import Doubt
from ..photos.orientation import AS_STORED
from ..photos.reading import Decode, read_small_photo
from .measuring import CLEAR_GAIN, FEWEST_POINTS, LONGEST_SIDE_PX, WITHOUT_COLORS, Measured, own_scores, ranked

SAMPLE = 10  # photos
_LEAST_SCORE = 0.3


def settled(capture: Capture, decode: Decode) -> Capture:
    """The capture without doubts: of those that the points can settle, read as they say, and told so."""
    if not capture.doubts:
        return capture
    decisions = _decisions(capture, decode) if capture.points is not None else [None] * len(capture.doubts)
    for doubt, is_second in zip(capture.doubts, decisions, strict=True):
        if is_second is not None:
            capture = _decided(capture, doubt, is_second)
    return replace(capture, doubts=())


def _decided(capture: Capture, doubt: Doubt, is_second: bool) -> Capture:
    remark = doubt.corrected if is_second else doubt.confirmed
    remarks = (*(other for other in capture.remarks if other != doubt.remark), remark)
    if not is_second:
        return replace(capture, remarks=remarks)
    views = tuple(
        replace(view, orientation=doubt.orientations.get(view.listed_as, view.orientation)) for view in capture.views
    )
    return replace(capture, remarks=remarks, views=views, points=doubt.points or capture.points)


def _decisions(capture: Capture, decode: Decode) -> list[bool | None]:
    """For each doubt whether the second reading is right; None where that is not clear."""
    views, photos = _sample(capture, decode)
    readings = list(itertools.product((False, True), repeat=len(capture.doubts)))
    unclear: list[bool | None] = [None] * len(capture.doubts)
    if len(views) < 2:
        return unclear
    for by_photos in (False, True):
        scores = {reading: _scores(capture, reading, views, photos, by_photos) for reading in readings}
        decisions = [
            _clearer(
                [scores[reading] for reading in readings if not reading[place]],
                [scores[reading] for reading in readings if reading[place]],
                WITHOUT_COLORS if by_photos else _LEAST_SCORE,
            )
            for place in range(len(capture.doubts))
        ]
        if any(decision is not None for decision in decisions):
            return decisions
    return unclear


def _sample(capture: Capture, decode: Decode) -> tuple[list[View], list[np.ndarray]]:
    """Views spread over those whose orientation is open, else over all, with their photos."""
    asked = set().union(*(doubt.orientations for doubt in capture.doubts))
    candidates = [view for view in capture.views if not asked or view.listed_as in asked]
    places = np.unique(np.linspace(0, len(candidates) - 1, min(SAMPLE, len(candidates))).round().astype(int))
    views, photos = [], []
    for view in (candidates[place] for place in places):
        try:
            photos.append(ranked(read_small_photo(view, LONGEST_SIDE_PX, decode)))
        except CaptureError:
            continue
        views.append(view)
    return views, photos


def _scores(
    capture: Capture, reading: tuple[bool, ...], views: list[View], photos: list[np.ndarray], by_photos: bool
) -> np.ndarray:
    points, orientations = capture.points, dict[str, int]()
    for doubt, is_second in zip(capture.doubts, reading, strict=True):
        if is_second:
            points, orientations = doubt.points or points, {**orientations, **doubt.orientations}
    assert points is not None  # the caller has looked
    measured = Measured.of(points, views, photos)
    if len(measured.positions) < FEWEST_POINTS or not (by_photos or measured.is_colored):
        return np.zeros(len(views))
    return own_scores(measured, by_photos, orientations=[orientations.get(view.listed_as, AS_STORED) for view in views])


def _clearer(first: list[np.ndarray], second: list[np.ndarray], least: float) -> bool | None:
    """Whether the best of the second scores (each (C,)) is clearly better than the best of the first (True), or the
    other way round (False)."""
    best = [max(scores, key=lambda score: float(score.mean())) for scores in (first, second)]
    gain = best[1] - best[0]
    needed = max(CLEAR_GAIN, 2 * float(gain.std()) / len(gain) ** 0.5)
    if abs(gain.mean()) < needed or max(float(scores.mean()) for scores in best) < least:
        return None
    return bool(gain.mean() > 0)
