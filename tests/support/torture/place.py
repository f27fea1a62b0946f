"""Where a trial works: a folder with a small capture, runs of it, and moments that are chosen at random."""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from splat_addon.run.children.detached import DetachedTrainer
from splat_addon.run.children.trainer_process import TrainerProcess, trainer_command
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Event, Failed, Finished
from splat_addon.run.folder import RunFolder
from splat_addon.run.lock import is_held

from ..scenes import write_ball_capture
from .promises import Broken, require_sentence, require_whole

LIMIT_S = 180.0  # for anything to happen, on a machine that is busy
END_S = 90.0  # for a process to be gone after its last words
START_S = 4.0  # about as long as a trainer takes to start here: kills before that fall into its start
STRATEGIES = ("default", "budget", "mcmc")
Trainer = TrainerProcess | DetachedTrainer


class LeftOut(Exception):
    """A kind that this machine cannot have, with the reason."""


def small_capture(folder: Path) -> Path:
    """A ball in seven small photos, with a cloud that takes some writing."""
    return write_ball_capture(folder, views=7, points=1500, width=56, height=48, focal_px=56.0)


class Place:
    """A folder of one trial; whatever was started there is ended with it."""

    def __init__(self, folder: Path, capture: Path, random: Random, blender: Path | None):
        self.folder, self.random, self.blender = folder, random, blender
        self._source, self._started, self.kills = capture, [], 0

    def __enter__(self) -> "Place":
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, *_) -> None:
        for trainer in self._started:
            trainer.close()

    def capture(self) -> Path:
        """A copy of the capture that belongs to the trial alone."""
        return Path(shutil.copytree(self._source, self.folder / "capture"))

    def new_run(self, at: Path | None = None, capture: Path | None = None, **settings) -> RunFolder:
        """A run with many saves and measurements, which takes a second or two."""
        chosen = {
            "iterations": self.random.randint(30, 90),
            "save_every": self.random.randint(2, 9),
            "eval_every": self.random.randint(3, 12),
            "strategy": self.random.choice(STRATEGIES),
            "photo_memory_mb": self.random.choice((0, 100)),
        }
        config = TrainConfig(capture=str(capture or self._source), device="cpu", **{**chosen, **settings})
        return RunFolder.create(at or self.folder / "run", config)

    def start(self, folder: RunFolder, resume: bool | None = None, outlives: bool = False) -> Trainer:
        """The trainer as Blender starts it; without `resume`, it goes on from a checkpoint where there is one."""
        resumes = folder.checkpoint_file.is_file() if resume is None else resume
        command = trainer_command(Path(sys.executable), folder, resumes)
        trainer = DetachedTrainer.start(command, folder) if outlives else TrainerProcess(command, folder)
        self._started.append(trainer)
        return trainer

    def random_moment(self, trainer: Trainer, after: Callable[[Event], bool] | None = None) -> list[Event]:
        """Wait until a moment of the trainer's life: of its start, after any event, or after one of those wanted."""
        if after is None and self.random.random() < 0.25:
            return self._for_seconds(trainer, self.random.uniform(0.0, START_S))
        events = self.until(trainer, after or (lambda event: True))
        if after is None:
            for _ in range(self.random.randrange(12)):
                if trainer.is_over:
                    return events
                events += trainer.wait(0.3)
        return events + self._for_seconds(trainer, self.random.uniform(0.0, 0.06))

    def until(self, trainer: Trainer, is_wanted: Callable[[Event], bool]) -> list[Event]:
        """The events up to the one wanted, or to the last."""
        deadline, events = time.monotonic() + LIMIT_S, []
        while not trainer.is_over and not any(map(is_wanted, events)):
            if time.monotonic() > deadline:
                raise Broken(f"nothing was heard for {LIMIT_S:.0f} s, after {events[-2:]}")
            events += trainer.wait(1.0)
        return events

    def until_over(self, trainer: Trainer) -> list[Event]:
        """The remaining events, of which the last is the trainer's last; it is gone then."""
        events = self.until(trainer, lambda event: False)
        if not trainer.join(END_S):
            raise Broken("the trainer is still there after its last event")
        return events

    def _for_seconds(self, trainer: Trainer, seconds: float) -> list[Event]:
        deadline, events = time.monotonic() + seconds, []
        while not trainer.is_over and time.monotonic() < deadline:
            events += trainer.wait(max(0.0, deadline - time.monotonic()))
        return events

    def kill(self, trainer: Trainer) -> bool:
        """End it at once (SIGKILL, TerminateProcess); whether it was still at work."""
        trainer.kill()
        last = self.until_over(trainer)[-1:] if not trainer.is_over else []
        trainer.join(END_S)
        was_at_work = not any(isinstance(event, Finished) for event in last)
        self.kills += was_at_work
        return was_at_work

    def require_free(self, folder: RunFolder) -> None:
        """Raise Broken when the run is still locked: the system lets go when a process is gone."""
        deadline = time.monotonic() + 5.0
        while is_held(folder.lock_file):
            if time.monotonic() > deadline:
                raise Broken("the run is still locked")
            time.sleep(0.02)

    def require_goes_on(self, folder: RunFolder, cut_lines: int = 0) -> None:
        """Raise Broken unless the run can be started again, ends as it should, and leaves all whole and nothing
        half."""
        self.require_free(folder)
        require_whole(folder, cut_lines)
        asked = TrainConfig.read(folder.config_file).iterations
        last = self.until_over(self.start(folder))[-1]
        if not isinstance(last, Finished) or last.step != asked or last.stopped:
            raise Broken(f"started again, the run ended with {last}")
        self.require_free(folder)
        require_whole(folder, cut_lines, is_finished=True)

    def require_failed(self, events: list[Event], *said: str) -> Failed:
        """Raise Broken unless the last event is a failure in one clear sentence that has one of the words of `said`."""
        last = events[-1] if events else None
        if not isinstance(last, Failed):
            raise Broken(f"it did not fail but ended with {last}")
        require_sentence(last)
        if said and not any(words in last.message for words in said):
            raise Broken(f"it failed with {last.message!r} instead of {said[0]!r}")
        return last


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill the disk of a folder but for some bytes, with one file, whose path is returned."""
    others = folder / "others"
    with contextlib.suppress(OSError), open(others, "ab", buffering=0) as file:
        while shutil.disk_usage(folder).free > leave:
            file.write(bytes(max(1, min(1 << 16, shutil.disk_usage(folder).free - leave))))
    return others


IS_POSIX = os.name == "posix"
"""Whether the system has signals, and lets folders go that are in use."""
