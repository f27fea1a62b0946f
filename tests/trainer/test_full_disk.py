"""The disk is full: what the artist reads, whichever file has filled it, and what is left when there is room again."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from splat_addon.errors import SplatFileError
from splat_addon.gaussians.formats.splat_ply import read_splats
from splat_addon.run.children.detached import DetachedTrainer
from splat_addon.run.children.trainer_process import TrainerProcess, trainer_command
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Failed, Finished, Warned
from splat_addon.run.folder import RunFolder
from splat_addon.trainer.__main__ import explained, run
from support.scenes import write_ball_capture
from support.small_disk import a_disk_of

SPLATS = 20_000


@pytest.fixture
def disk(tmp_path):
    """A disk on which the run's log, record and splats fit, and no checkpoint."""
    with a_disk_of("6m", tmp_path / "disk") as folder:
        yield folder


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    return write_ball_capture(tmp_path_factory.mktemp("ball") / "capture", points=SPLATS)


def fill(disk: Path) -> None:
    with open(disk / "others", "wb", buffering=0) as others, pytest.raises(OSError, match="No space left"):
        while True:
            others.write(bytes(1000))


def train_to_the_end(folder: RunFolder, resume: bool = False) -> list:
    return until_over(TrainerProcess(trainer_command(Path(sys.executable), folder, resume), folder))


def until_over(process: TrainerProcess | DetachedTrainer, limit_s: float = 120.0) -> list:
    deadline, events = time.monotonic() + limit_s, []
    while not process.is_over:
        assert time.monotonic() < deadline, events[-3:]
        events += process.wait(limit_s=1.0)
    return events


def new_folder(path: Path, capture: Path, **settings) -> RunFolder:
    defaults = {"device": "cpu", "iterations": 6, "eval_every": 0, "save_every": 3, "strategy": "default"}
    return RunFolder.create(path, TrainConfig(capture=str(capture), **{**defaults, **settings}))


def test_a_checkpoint_that_fills_the_disk_is_told_as_that_and_is_gone(disk, capture):
    folder = new_folder(disk / "run", capture)
    events = train_to_the_end(folder)
    told = [event.message for event in events if isinstance(event, Warned)]
    assert f"The disk is full: {folder.checkpoint_file} cannot be written. The run goes on without it." in told
    assert not list(folder.path.rglob("*.partial"))


def test_a_result_that_fills_the_disk_is_told_as_that_and_is_written_once_there_is_room(disk, capture):
    folder = new_folder(disk / "run", capture, save_every=0)
    (disk / "others").write_bytes(bytes(5_400_000))
    last = train_to_the_end(folder)[-1]
    assert isinstance(last, Failed) and last.message == "The disk is full." and "Free some space" in last.remedy
    assert not list(folder.path.rglob("*.partial"))
    (disk / "others").unlink()
    subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
    resumes = folder.checkpoint_file.is_file()
    assert isinstance(train_to_the_end(folder, resume=resumes)[-1], Finished)
    assert len(read_splats(folder.splats_file)) > 0.99 * SPLATS


def test_a_disk_without_any_room_for_the_log_is_told_too(disk, capture):
    folder = new_folder(disk / "run", capture, photo_memory_mb=0)
    folder.log_file.touch()
    fill(disk)
    last = train_to_the_end(folder)[-1]
    assert isinstance(last, Failed) and last.message == "The disk is full."


def test_a_trainer_that_outlives_blender_cannot_say_so_and_it_is_seen(disk, capture):
    folder = new_folder(disk / "run", capture)
    folder.commands_folder.mkdir()
    folder.log_file.touch()
    fill(disk)
    last = until_over(DetachedTrainer.start(trainer_command(Path(sys.executable), folder), folder))[-1]
    assert isinstance(last, Failed) and last.message == "The disk is full."


def test_an_error_is_told_as_a_full_disk_when_that_is_behind_it(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())

    def failing():
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 768 vs 662") from None

    with pytest.raises(RuntimeError) as caught:
        failing()
    assert explained(caught.value, folder).message == "The disk is full."


def test_too_many_threads_are_told_as_too_little_memory(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    told = explained(RuntimeError("can't start new thread"), folder)
    assert told.message == "There is not enough memory for this run."


def test_a_full_disk_is_told_when_the_log_cannot_take_the_traceback(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("splat_addon.trainer.__main__.check_modules", full)
    monkeypatch.setattr(sys, "stderr", type("FullLog", (), {"write": full, "flush": full})())
    told = run(folder, wire=None, resume=False)
    monkeypatch.undo()
    assert told.message == "The disk is full."


def test_a_splat_file_that_fills_the_disk_is_told_as_that(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())

    def full(*_):
        raise SplatFileError("splats.ply cannot be written.", "Choose another folder.") from OSError(28, "No space")

    monkeypatch.setattr("splat_addon.trainer.__main__.check_modules", full)
    assert run(folder, wire=None, resume=False).message == "The disk is full."
