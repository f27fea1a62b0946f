"""Many trials, one kind after the other, until a time or a number of kills is reached."""

import itertools
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from splat_addon.files import remove_folder

from . import blenders, disks, trainers
from .place import LeftOut, Place, small_capture
from .promises import Broken

KINDS: dict[str, Callable[[Place], None]] = {
    kind.__name__.replace("_", "-"): kind
    for kind in (
        trainers.killed_trainer,
        trainers.lost_parent,
        trainers.killed_trainer_that_outlives,
        disks.full_disk,
        trainers.halted_and_told,
        blenders.killed_blender,
        trainers.killed_parent,
        disks.lost_capture,
        disks.lost_run,
    )
}
"""Name -> what happens."""


@dataclass
class Outcome:
    """What came of a campaign: trials and kills by kind, what was broken, and kinds that this machine cannot have."""

    trials: Counter = field(default_factory=Counter)
    killed: Counter = field(default_factory=Counter)
    broken: list[tuple[str, int, str]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        return sum(self.killed.values())


def run(
    names: Sequence[str],
    seed: int,
    seconds: float,
    kills: int | None = None,
    jobs: int = 1,
    blender: Path | None = None,
    number: int | None = None,
    tell: Callable[[str, int, int, str], None] = lambda name, seed, number, what: None,
    count: Callable[[str, int, int], None] = lambda name, number, kills: None,
    kinds: dict[str, Callable[[Place], None]] = KINDS,
) -> Outcome:
    """Try the kinds in turn; `number` is that of a single trial of the first. `tell` hears of each broken promise at
    once, `count` of each trial that is over and of all kills so far."""
    outcome, deadline = Outcome(), time.monotonic() + seconds

    def is_enough() -> bool:
        if len(outcome.left_out) == len(names):
            return True
        return time.monotonic() > deadline if kills is None else outcome.kills >= kills

    with tempfile.TemporaryDirectory(prefix="torture_", ignore_cleanup_errors=True) as root:
        capture = small_capture(Path(root) / "capture")

        def trial(name: str, number: int) -> None:
            if name in outcome.left_out:
                return
            random = Random(f"{name}/{seed}/{number}")
            with Place(Path(root) / f"{name}_{number}", capture, random, blender) as place:
                try:
                    kinds[name](place)
                except LeftOut as reason:
                    outcome.left_out[name] = str(reason)
                    return
                except Exception as error:
                    what = str(error) if isinstance(error, Broken) else "".join(traceback.format_exception(error)[-4:])
                    outcome.broken.append((name, number, what))
                    tell(name, seed, number, what)
            outcome.trials[name] += 1
            outcome.killed[name] += place.kills
            remove_folder(place.folder)
            count(name, number, outcome.kills)

        def lane(trials: Iterator[tuple[str, int]]) -> None:
            while not is_enough():
                trial(*next(trials))

        if number is not None:
            trial(names[0], number)
            return outcome
        trials = _Shared((name, number) for number in itertools.count() for name in names)
        with ThreadPoolExecutor(jobs) as pool:
            for done in [pool.submit(lane, trials) for _ in range(jobs)]:
                done.result()
    return outcome


class _Shared:
    """An iterator that several threads may ask."""

    def __init__(self, items: Iterator):
        self._items, self._lock = items, threading.Lock()

    def __next__(self):
        with self._lock:
            return next(self._items)

    def __iter__(self):
        return self
