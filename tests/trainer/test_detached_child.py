"""The trainer without its parent, for real: killed parents, killed trainers, and commands through the folder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from splat_addon.gaussians.formats.splat_ply import read_splats
from splat_addon.run.children.detached import DetachedTrainer
from splat_addon.run.children.trainer_process import TrainerProcess, trainer_command
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated, Failed, Finished, Progressed, SnapshotSaved, Started
from splat_addon.run.folder import RunFolder
from splat_addon.run.inbox import Inbox
from splat_addon.run.lock import holder_pid, is_held
from support.processes import code_of_parent
from support.scenes import write_ball_capture

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    return write_ball_capture(tmp_path_factory.mktemp("ball") / "capture")


@pytest.fixture
def folder(tmp_path, capture):
    config = TrainConfig(capture=str(capture), iterations=1_000_000, device="cpu", eval_every=0, save_every=0)
    return RunFolder.create(tmp_path / "run", config)


def until(trainer, is_wanted, limit_s: float = 120.0) -> list:
    deadline, events = time.monotonic() + limit_s, []
    while not any(is_wanted(event) for event in events):
        assert time.monotonic() < deadline and not trainer.is_over, events[-3:]
        events += trainer.wait(limit_s=1.0)
    return events


def until_over(trainer, limit_s: float = 120.0) -> list:
    deadline, events = time.monotonic() + limit_s, []
    while not trainer.is_over:
        assert time.monotonic() < deadline, events[-3:]
        events += trainer.wait(limit_s=1.0)
    return events


def is_training(event) -> bool:
    return isinstance(event, Progressed) and event.state == "training" and event.step > 0


def killed_parent(folder: RunFolder, outlives: bool) -> None:
    """Another process starts the run, sees it train, and is killed outright with its whole group."""
    is_training = "any(isinstance(event, Progressed) and event.step > 0 for event in events)"
    script = code_of_parent(folder.path, outlives, is_training)
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline().strip() == b"ready"
        parent.kill()


@needs_signals
def test_a_run_that_outlives_goes_on_without_its_parent_and_obeys_its_folder(folder):
    killed_parent(folder, outlives=True)
    trainer = DetachedTrainer.watch(folder)
    pid = trainer.pid
    before = until(trainer, is_training)
    assert isinstance(before[0], Started) and before[0].pid == pid
    trainer.send("pause")
    paused = until(trainer, lambda event: getattr(event, "state", "") == "paused")[-1]
    trainer.send("snapshot")
    saved = until(trainer, lambda event: isinstance(event, SnapshotSaved))[-1]
    assert saved.step == paused.step > 0
    trainer.send("resume")
    until(trainer, lambda event: is_training(event) and event.step > paused.step)
    trainer.send("stop")
    events = until_over(trainer)
    assert isinstance(events[-1], Finished) and events[-1].stopped
    assert len(read_splats(folder.splats_file)) == events[-1].gaussian_count
    assert folder.checkpoint_file.is_file() and not is_held(folder.lock_file)


@needs_signals
def test_a_run_that_follows_its_parent_stops_and_keeps_its_result(folder):
    killed_parent(folder, outlives=False)
    deadline = time.monotonic() + 60
    while is_held(folder.lock_file):
        assert time.monotonic() < deadline, "the child is an orphan"
    last = folder.events()[-1]
    assert isinstance(last, Finished) and last.stopped and len(read_splats(folder.splats_file)) == last.gaussian_count
    assert isinstance([event for event in folder.events() if isinstance(event, Evaluated)][-1], Evaluated)


@needs_signals
def test_parent_and_trainer_both_killed_leave_a_run_that_can_be_resumed(folder):
    killed_parent(folder, outlives=True)
    trainer = DetachedTrainer.watch(folder)
    until(trainer, is_training)
    trainer.send("stop")
    until_over(trainer)
    resumed = DetachedTrainer.start(trainer_command(Path(sys.executable), folder, resume=True), folder)
    reached = until(resumed, is_training)[-1].step
    os.kill(resumed.pid, signal.SIGKILL)
    assert isinstance(until_over(resumed)[-1], Failed)
    with open(folder.events_file, "a") as file:
        file.write('{"event": "Progr')  # killed in the middle of a line
    again = DetachedTrainer.start(trainer_command(Path(sys.executable), folder, resume=True), folder)
    events = until(again, is_training)
    assert isinstance(events[0], Started), "the first event is not glued to the half line"
    assert events[-1].step > 0 and reached > 0
    again.send("stop")
    assert isinstance(until_over(again)[-1], Finished)


def test_a_run_can_be_told_to_outlive_its_parent_while_it_trains(folder):
    parent = TrainerProcess(trainer_command(Path(sys.executable), folder), folder)
    until(parent, is_training)
    parent.send("outlive")
    parent.let_go()
    step = until(parent, is_training)[-1].step
    watcher = DetachedTrainer.watch(folder)
    until(watcher, lambda event: is_training(event) and event.step > step)
    watcher.send("stop")
    assert isinstance(until_over(watcher)[-1], Finished)
    until_over(parent)


def test_anybody_can_command_an_attached_run_through_its_folder(folder):
    Inbox(folder.commands_folder).put("stop")  # meant for an earlier trainer: forgotten
    parent = TrainerProcess(trainer_command(Path(sys.executable), folder), folder)
    until(parent, is_training)
    Inbox(folder.commands_folder).put("stop")
    assert isinstance(until_over(parent)[-1], Finished)


def test_two_trainers_do_not_share_a_run_folder(folder):
    first = TrainerProcess(trainer_command(Path(sys.executable), folder), folder)
    until(first, is_training)
    second = TrainerProcess(trainer_command(Path(sys.executable), folder), folder)
    (failed,) = until_over(second)
    assert failed.message == "Another trainer is running in this run folder."
    first.send("stop")
    assert isinstance(until_over(first)[-1], Finished)
    assert not any(isinstance(event, Failed) for event in folder.events()), "its record is the first one's"


@needs_signals
def test_a_terminal_that_closes_stops_a_run_only_if_it_follows(folder):
    trainer = TrainerProcess(trainer_command(Path(sys.executable), folder), folder)
    until(trainer, is_training)
    trainer.send("outlive")
    trainer.send("pause")
    paused = until(trainer, lambda event: getattr(event, "state", "") == "paused")[-1]
    os.kill(holder_pid(folder.lock_file), signal.SIGHUP)
    trainer.send("resume")
    until(trainer, lambda event: is_training(event) and event.step > paused.step)
    trainer.send("follow")
    trainer.send("snapshot")
    until(trainer, lambda event: isinstance(event, SnapshotSaved))
    os.kill(holder_pid(folder.lock_file), signal.SIGHUP)
    assert isinstance(until_over(trainer)[-1], Finished)
