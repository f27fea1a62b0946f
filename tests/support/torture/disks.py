"""Accidents of disks: one is full, the capture is gone, the run is gone."""

import pytest

from splat_addon.errors import SetupError
from splat_addon.files import move_into_place, remove_folder
from splat_addon.run.events import Failed, Finished, Progressed, Started, Warned

from ..small_disk import a_disk_of
from .place import IS_POSIX, LeftOut, Place, fill
from .promises import Broken, require_no_traceback, require_sentence, require_whole

FULL = "The disk is full"


def full_disk(place: Place) -> None:
    """The disk of the run fills up, by the run itself or by others meanwhile, and later there is room again."""
    try:
        with a_disk_of("64m", place.folder / "disk") as disk:
            folder = place.new_run(at=disk / "run")
            leaves = int(2 ** place.random.uniform(12, 22))
            is_full_at_once = place.random.random() < 0.6
            if is_full_at_once:
                fill(disk, leaves)
            try:
                trainer = place.start(folder)
            except SetupError as error:  # not even its log could be made
                if "No space left" not in error.message:
                    raise Broken(f"a full disk is told as {error.message!r}") from error
                events = []
            else:
                events = []
                if not is_full_at_once:
                    events = place.random_moment(trainer)
                    fill(disk, leaves if place.random.random() < 0.5 else 0)
                events += place.until_over(trainer) if not trainer.is_over else []
            _require_told(events)
            half = [path.name for path in folder.path.rglob("*.partial")]
            if half:
                raise Broken(f"left on the full disk: {half}")
            (disk / "others").unlink()
            require_whole(folder, cut_lines=2)
            place.require_goes_on(folder, cut_lines=2)
    except pytest.skip.Exception as reason:
        raise LeftOut(str(reason)) from reason


def _require_told(events: list) -> None:
    for event in events:
        if isinstance(event, Warned) and "cannot be written" in event.message and FULL not in event.message:
            raise Broken(f"a full disk is told as {event.message!r}")
    if not events or isinstance(events[-1], Finished):
        return
    last = events[-1]
    if not isinstance(last, Failed) or not last.message.startswith(FULL):
        raise Broken(f"a full disk is told as {last}")
    require_sentence(last)


def lost_capture(place: Place) -> None:
    """The capture, or its photos, are removed while a run trains on it: training goes on. Its next start says so."""
    capture = place.capture()
    folder = place.new_run(capture=capture, iterations=1_000_000)
    trainer = place.start(folder)
    if place.random.random() < 0.2:
        events = place.random_moment(trainer)
    else:
        events = place.random_moment(trainer, after=lambda event: isinstance(event, Started))
    remove_folder(capture if place.random.random() < 0.5 else capture / "images")
    if not any(isinstance(event, Started) for event in events):
        events += place.until(trainer, lambda event: isinstance(event, Started))
    if trainer.is_over:
        place.require_failed(events)
    else:
        step = max([event.step for event in events if isinstance(event, Progressed)], default=0)
        events += place.until(trainer, lambda event: isinstance(event, Progressed) and event.step > step + 20)
        trainer.send("stop")
        events += place.until_over(trainer)
        if not isinstance(events[-1], Finished):
            raise Broken(f"without its capture, the run ended with {events[-1]}")
        require_whole(folder, is_finished=True)
    require_no_traceback(folder)
    place.require_failed(place.until_over(place.start(folder)))
    require_no_traceback(folder)


def lost_run(place: Place) -> None:
    """The run's folder is moved away, or removed, while it trains: one sentence, and at most pieces where it was."""
    if not IS_POSIX:
        raise LeftOut("this system does not let a folder go that is in use")
    folder = place.new_run(iterations=1_000_000)
    trainer = place.start(folder, outlives=place.random.random() < 0.3)
    events = place.random_moment(trainer, after=lambda event: isinstance(event, Started))
    moved = place.folder / "moved"
    move_into_place(folder.path, moved)
    if place.random.random() < 0.5:
        remove_folder(moved)
    events += place.until_over(trainer) if not trainer.is_over else []
    place.require_failed(events, "is gone")
    if folder.config_file.exists() or folder.splats_file.exists():
        raise Broken("the run has come back to where it was")
