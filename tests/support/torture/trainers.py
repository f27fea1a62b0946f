"""Accidents of processes: the trainer is killed or halted, its parent is gone."""

import os
import signal
import subprocess
import sys
import time

from splat_addon.run.children.detached import DetachedTrainer
from splat_addon.run.events import Finished, Progressed, SnapshotSaved, Started

from ..processes import code_of_parent
from .place import IS_POSIX, Place
from .promises import Broken, require_no_traceback, require_whole

MOST_KILLS = 12  # of one run, each time after it was started again
COMMANDS = ("pause", "resume", "snapshot", "preview", "halt", "go on")


def killed_trainer(place: Place) -> None:
    """A trainer is killed at any moment, started again, killed again, and then left to finish."""
    _kill_and_go_on(place, outlives=False)


def killed_trainer_that_outlives(place: Place) -> None:
    """The same with one that nobody listens to."""
    _kill_and_go_on(place, outlives=True)


def _kill_and_go_on(place: Place, outlives: bool) -> None:
    wanted, kills = place.random.randint(1, MOST_KILLS), 0
    folder = place.new_run()
    for _ in range(wanted):
        trainer = place.start(folder, outlives=outlives)
        place.random_moment(trainer)
        if trainer.is_over:
            break
        kills += place.kill(trainer)
        place.require_free(folder)
        require_whole(folder, cut_lines=kills)
    place.require_goes_on(folder, cut_lines=kills)
    require_no_traceback(folder)


def lost_parent(place: Place) -> None:
    """The parent closes the trainer's input, which then saves and ends as if it were told to stop."""
    folder = place.new_run(iterations=place.random.choice((60, 1_000_000)))
    trainer = place.start(folder)
    events = place.random_moment(trainer)
    trainer.let_go()
    last = (events + (place.until_over(trainer) if not trainer.is_over else []))[-1]
    if not isinstance(last, Finished):
        raise Broken(f"without a parent, the run ended with {last}")
    place.require_free(folder)
    require_whole(folder, is_finished=True)
    require_no_traceback(folder)
    if last.stopped:
        resumed = place.start(folder, resume=True)
        if place.random.random() < 0.5:
            place.until(resumed, lambda event: isinstance(event, Started))
        resumed.send("stop")
        ended = place.until_over(resumed)[-1]
        if not isinstance(ended, Finished) or ended.step < last.step:
            raise Broken(f"a run that was stopped at step {last.step} goes on to {ended}")
        require_whole(folder, is_finished=True)


def killed_parent(place: Place) -> None:
    """Another process has started the run and is killed outright; the trainer follows it, or outlives it."""
    outlives = place.random.random() < 0.5
    folder = place.new_run(iterations=1_000_000)
    script = code_of_parent(folder.path, outlives, "events")
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        said = parent.stdout.readline().strip()
        time.sleep(place.random.uniform(0.0, 0.5))
        parent.kill()
    place.kills += 1
    if said != b"ready":
        raise Broken("the parent did not start the run")
    if outlives:
        trainer = DetachedTrainer.watch(folder)
        place.until(trainer, lambda event: isinstance(event, Progressed) and event.step > 0)
        trainer.send("stop")
        place.until_over(trainer)
    deadline = time.monotonic() + 60.0
    while not any(isinstance(event, Finished) for event in folder.events()[-1:]):
        if time.monotonic() > deadline:
            raise Broken("the trainer of a parent that was killed does not end")
        time.sleep(0.1)
    place.require_free(folder)
    require_whole(folder, is_finished=True)
    require_no_traceback(folder)


def halted_and_told(place: Place) -> None:
    """The trainer is told all it can be told in any order, and halted by the system in between; or killed so."""
    folder = place.new_run(iterations=1_000_000, save_every=0)
    trainer = place.start(folder, outlives=place.random.random() < 0.3)
    events = place.until(trainer, lambda event: isinstance(event, Started))
    pid, wanted, is_halted = events[0].pid, 0, False
    for _ in range(place.random.randint(4, 9)):
        command = place.random.choice(COMMANDS)
        if command in ("halt", "go on"):
            if IS_POSIX:
                is_halted = command == "halt"
                os.kill(pid, signal.SIGSTOP if is_halted else signal.SIGCONT)
        else:
            trainer.send(command)
            wanted += command in ("snapshot", "preview")
        events += trainer.wait(place.random.uniform(0.0, 0.4))
    if place.random.random() < 0.3:
        place.kill(trainer)
        place.require_free(folder)
        require_whole(folder, cut_lines=1)
        return
    if is_halted:
        os.kill(pid, signal.SIGCONT)
    trainer.send("resume")
    trainer.send("stop")
    events += place.until_over(trainer)
    saved = sum(isinstance(event, SnapshotSaved) for event in events)
    if not isinstance(events[-1], Finished) or saved != wanted:
        raise Broken(f"{saved} of {wanted} snapshots, then {events[-1]}")
    place.require_free(folder)
    require_whole(folder, is_finished=True)
    require_no_traceback(folder)
