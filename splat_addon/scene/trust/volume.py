"""Places around the photos, colored by the quality that a camera there would see, looking where the photos look.

A lattice around the training cameras is asked place by place, in an order that fills it evenly, a little at each turn
of the timer.
"""

import time

import numpy as np

from ...capture.camera import Camera
from ...inspection.trust.outside import aimed
from ..session import part, timer
from ..session.redraw import redraw
from . import measured

PLACES = 700  # about
BEYOND = 0.6  # of the cameras' own extent, on each side
LEAST_BEYOND = 0.3  # of what they see, where they stand close together
LEAST_SIZE, MOST_SIZE = 0.04, 0.16  # of a place, in spacings
TURN_S, EVERY_S = 0.03, 0.05


class Volume:
    """The lattice of what was measured last. M places."""

    def __init__(self) -> None:
        self.trust: measured.Trust | None = None
        self.places = np.empty((0, 3))  # (M, 3) in the object's frame
        self.answers: list[measured.Answer] = []  # for the first of them
        self.spacing = 0.0

    @property
    def is_done(self) -> bool:
        return len(self.answers) == len(self.places)


def volume() -> Volume:
    """The session's own."""
    return part(Volume)


def begin(found: measured.Trust) -> None:
    """Ask about the places around the photos, from the next turn of the timer on."""
    lattice = volume()
    lattice.trust, lattice.answers = found, []
    lattice.places, lattice.spacing = places_around(found)
    timer.start(follow)


def places_around(found: measured.Trust) -> tuple[np.ndarray, float]:
    """(M, 3) places in an order that fills the box evenly, and how far apart they are."""
    positions = found.coverage.positions
    low, high = np.quantile(positions, 0.02, axis=0), np.quantile(positions, 0.98, axis=0)
    beyond = np.maximum(BEYOND * (high - low).max(), LEAST_BEYOND * float(np.median(found.reaches)))
    low, high = low - beyond, high + beyond
    spacing = float(np.cbrt(np.prod(high - low) / PLACES))
    axes = [np.arange(start + spacing / 2, end, spacing) for start, end in zip(low, high, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return places[np.random.default_rng(0).permutation(len(places))], spacing


def camera_at(found: measured.Trust, place: np.ndarray) -> Camera:
    """The nearest training camera, moved to `place` (3,) and turned to what it looks at."""
    nearest = int(np.argmin(np.linalg.norm(found.coverage.positions - place, axis=1)))
    camera = found.cameras[nearest]
    pose, reach = camera.world_from_camera, found.reaches[nearest]
    return aimed(camera, place, pose[:3, 3] + pose[:3, 2] * reach)


def follow() -> float | None:
    """Ask about some more places. A job of the timer."""
    lattice, found = volume(), measured.trust()
    if found is None or lattice.trust is not found:
        lattice.__init__()
        return None
    until = time.perf_counter() + TURN_S
    while not lattice.is_done and time.perf_counter() < until:
        lattice.answers.append(measured.ask(found, camera_at(found, lattice.places[len(lattice.answers)])))
    redraw("VIEW_3D")
    return None if lattice.is_done else EVERY_S


def finish() -> None:
    """Ask about all places that are left; for scripts."""
    while follow() is not None:
        pass


def fall_of(found: measured.Trust, answer: measured.Answer) -> float | None:
    """How bad a view is, 0..1: as good as the training views, to 10 dB less; by angle where no quality is known. None
    where nothing is."""
    if answer.db is not None and np.isfinite(found.inside_db):
        fall = (found.inside_db - answer.db) / 10
    elif answer.why == measured.NO_HELD_OUT:
        fall = answer.angle_deg / 50
    else:
        return None
    return min(max(fall, 0.0), 1.0)


def color_of(found: measured.Trust, answer: measured.Answer) -> tuple[float, float, float]:
    """Green as good as the training views, yellow in the middle, red as bad as is told apart; gray where nothing is."""
    fall = fall_of(found, answer)
    if fall is None:
        return 0.35, 0.35, 0.35
    return min(1.0, 2 * fall), min(1.0, 2 * (1 - fall)) * 0.85, 0.12


def size_of(found: measured.Trust, answer: measured.Answer) -> float:
    """Of a place, in spacings: bad ones are small, so that those around do not hide the good ones in the middle."""
    fall = fall_of(found, answer)
    return LEAST_SIZE if fall is None else MOST_SIZE + (LEAST_SIZE - MOST_SIZE) * fall
