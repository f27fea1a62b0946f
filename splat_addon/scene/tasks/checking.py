"""Whether photos, cameras and points of a capture belong together, measured while the artist goes on.

When a capture is opened, a handful of its photos is looked at here, one at a tick, so that Blender is never held for
long. Many more are looked at by a child in the trainer's Python, which gives way to training. What it measured is kept
for the next start, by the capture's fingerprint. Captures of a scene need no check: their cameras are the scene's.
"""

import contextlib
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ...capture.capture import Capture, View
from ...capture.check.check import Check, check_capture
from ...capture.check.geometry import check_geometry
from ...capture.check.measuring import FEWEST_VIEWS, LONGEST_SIDE_PX
from ...capture.inspection import Inspection, key_of, read_inspection
from ...capture.photos.image_size import read_image_size
from ...environment.child import JsonChild
from ...errors import CaptureError, RunError, SetupError
from ...run.config import TrainConfig
from ..photos.pixels import small_photo
from ..session import part, timer
from ..session.redraw import redraw
from ..settings import preferences
from ..settings.training import READING_FIELDS
from . import live_run

TICK_S = 0.25
FIRST_VIEWS = 8
FIRST_S = 0.6  # for decoding them; comparing takes a thread some tenths more
_MOST_PIXELS = {".jpg": 4e6, ".jpeg": 4e6}  # of a photo that is decoded in an eighth of a second
_MOST_OTHER_PIXELS = 2e6
_KEPT = "checks.json"
_REMEMBERED = 50  # captures


@dataclass(frozen=True)
class Wanted:
    """A capture that is to be inspected, as a run would read it."""

    key: str
    config: TrainConfig


@dataclass
class FirstLook:
    """A handful of photos of a capture that was just opened: those that are still to be decoded, and those that are.
    `opened` is the capture as its files say, `capture` as photos have settled what these leave open."""

    opened: Capture
    capture: Capture
    waiting: list[View]
    photos: dict[str, np.ndarray | None] = field(default_factory=dict)
    seconds: float = 0.0
    thread: threading.Thread | None = None


class Checks:
    """What was measured, by key, and what is being measured. `known` is replaced as a whole: threads write it."""

    def __init__(self) -> None:
        self.known: dict[str, Inspection] = {}
        self.whole: dict[str, Inspection] | None = None  # of them, what a child measured; None until the file was read
        self.failures: dict[tuple[str, str], str] = {}  # why the child of a Python could not inspect a capture
        self.first: FirstLook | None = None
        self.wanted: Wanted | None = None
        self.child: JsonChild | None = None
        self.inspected: Wanted | None = None  # what the child is at
        self.fraction = 0.0

    def close(self) -> None:
        """An inspection is not finished for nobody."""
        if self.child is not None:
            self.child.close()


def known(key: str) -> Inspection | None:
    """What was measured of the capture with this key, by as many photos as were looked at so far."""
    checks = _checks()
    whole = _read_whole(checks).get(key)
    return whole or checks.known.get(key)


def fraction(key: str) -> float | None:
    """How far the child is with this capture; None where it is not at it."""
    checks = _checks()
    is_at_it = checks.child is not None and checks.inspected is not None and checks.inspected.key == key
    return checks.fraction if is_at_it else None


def why_not(key: str) -> str:
    """Why the child could not inspect this capture; empty where it could, or has not tried."""
    return _checks().failures.get((key, _python()), "")


def want(key: str, config: TrainConfig) -> None:
    """Let a child inspect a capture as soon as it can, unless that is done. Costs microseconds."""
    checks = _checks()
    if key not in _read_whole(checks) and (key, _python()) not in checks.failures:
        checks.wanted = Wanted(key, config)
        timer.start(follow, TICK_S)


def follow() -> float | None:
    """Start the child, hear what it says, and end it when training wants the processor. A job of the timer."""
    checks = _checks()
    if live_run.is_training():
        _end(checks)
        return None  # who draws the card afterwards, wants it again
    if checks.wanted is not None:
        if checks.inspected is None or checks.inspected.key != checks.wanted.key:
            _end(checks)
            _begin(checks, checks.wanted)
        checks.wanted = None
    if checks.child is None:
        return None
    messages = checks.child.poll()
    for said in messages:
        _take_in(checks, said)
    if messages:
        redraw()
    return TICK_S if checks.child is not None else None


def wait() -> None:
    """Until nothing is being measured any more. For scripts and tests."""
    checks = _checks()
    while _look(checks):
        pass
    thread = checks.first.thread if checks.first is not None else None
    if thread is not None:
        thread.join()
    while follow() is not None:
        if checks.child is not None:
            checks.child.join(0.2)


def look_first(opened: Capture, capture: Capture) -> None:
    """Begin to look at a handful of photos, if they are small enough for Blender to decode them in passing. `capture`
    is what became of the one that was `opened`."""
    views = [capture.views[index] for index in _spread(len(capture.views), FIRST_VIEWS)]
    views = [view for view in views if _is_small(view)]
    checks = _checks()
    checks.first = None
    if len(views) >= FEWEST_VIEWS and capture.points is not None and len(capture.points.positions):
        checks.first = FirstLook(opened, capture, views)
        timer.start(look_on)
    elif opened.doubts:
        _know(checks, opened, capture, Check(None, ()))


def look_on() -> float | None:
    """Decode one photo more; when all are, compare them in a thread. A job of the timer."""
    checks = _checks()
    if _look(checks):
        return 0.0
    if checks.first is not None:
        return TICK_S  # it is being compared
    redraw()
    return None


def _look(checks: Checks) -> bool:
    """Decode one photo, or start the thread; whether there is more to decode."""
    look = checks.first
    if look is None or look.thread is not None:
        return False
    if look.waiting and look.seconds < FIRST_S:
        view, began = look.waiting.pop(), time.perf_counter()
        look.photos[view.name] = small_photo(view, LONGEST_SIDE_PX)
        look.seconds += time.perf_counter() - began
        return True
    look.thread = threading.Thread(target=_compare, args=(checks, look), name="splat first look", daemon=True)
    look.thread.start()
    return False


def _compare(checks: Checks, look: FirstLook) -> None:
    """The thread. It touches nothing but what was decoded, and the answer."""
    try:
        _know(checks, look.opened, look.capture, _checked(look))
    finally:
        if checks.first is look:
            checks.first = None


def _know(checks: Checks, opened: Capture, capture: Capture, check: Check) -> None:
    with contextlib.suppress(OSError):  # a photo is gone meanwhile: the preflight will say so
        inspection = Inspection(check).with_settled(opened, capture)
        checks.known = {**checks.known, key_of(opened): inspection}


def _checked(look: FirstLook) -> Check:
    """What the photos that could be decoded tell, if they are enough."""
    views = tuple(view for view in look.capture.views if look.photos.get(view.name) is not None)
    if len(views) < FEWEST_VIEWS:
        return Check(None, ())
    sample = replace(look.capture, views=views, views_without_photo=())
    check = check_capture(sample, lambda view, _longest_px: look.photos[view.name])
    of_photos = [remark for remark in check.remarks if remark not in check_geometry(sample)]
    return Check(check.agreement, (*check_geometry(look.capture), *of_photos))


def _begin(checks: Checks, wanted: Wanted) -> None:
    config = wanted.config
    try:
        python = preferences.trainer_python()
        if not python or not Path(python).is_file():
            return  # the panel leads to the set-up
        command = [python, "-u", "-m", "splat_addon.trainer.photos.inspect_capture", config.capture, "--progress"]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in _options(config).items()]
        checks.child = JsonChild(command, "The capture could not be checked", "Check the trainer Python.")
    except (RunError, SetupError) as error:
        checks.failures[wanted.key, _python()] = f"{error.message} {error.remedy}"
        return
    checks.inspected, checks.fraction = wanted, 0.0


def _options(config: TrainConfig) -> dict[str, object]:
    decided = {spec.name: getattr(config, spec.name) for spec in READING_FIELDS}
    return {"hold_out_every": config.hold_out_every, **decided}


def _take_in(checks: Checks, said: dict) -> None:
    wanted = checks.inspected
    assert wanted is not None  # a child is at it
    if isinstance(said.get("fraction"), float):
        checks.fraction = said["fraction"]
    elif "finished" in said or "failed" in said:
        inspection = read_inspection(said.get("finished"))
        if inspection is None:
            message, remedy = said.get("failed", "The check ended without a result."), said.get("remedy", "")
            checks.failures[wanted.key, _python()] = f"{message} {remedy}".strip()
        else:
            _keep(checks, wanted.key, inspection)
        checks.child = checks.inspected = None


def _end(checks: Checks) -> None:
    if checks.child is not None:
        checks.child.kill()
    checks.child = checks.inspected = None


def _read_whole(checks: Checks) -> dict[str, Inspection]:
    if checks.whole is None:
        kept = preferences.read_own(_KEPT)
        read = {key: read_inspection(values) for key, values in kept.items()} if isinstance(kept, dict) else {}
        checks.whole = {key: inspection for key, inspection in read.items() if inspection is not None}
    return checks.whole


def _keep(checks: Checks, key: str, inspection: Inspection) -> None:
    whole = {key: inspection, **{other: of for other, of in _read_whole(checks).items() if other != key}}
    checks.whole = dict(list(whole.items())[:_REMEMBERED])
    preferences.write_own(_KEPT, {key: of.as_json() for key, of in checks.whole.items()})


def _spread(count: int, most: int) -> list[int]:
    return sorted({round(index) for index in np.linspace(0, count - 1, most)}) if count else []


def _is_small(view: View) -> bool:
    try:
        width, height = read_image_size(view.image_path)
    except CaptureError:
        return False
    return width * height <= _MOST_PIXELS.get(view.image_path.suffix.lower(), _MOST_OTHER_PIXELS)


def _python() -> str:
    """The Python that trains, as it was chosen."""
    chosen = preferences.of_addon()
    return chosen.trainer_python if chosen is not None else ""


def _checks() -> Checks:
    return part(Checks)
