"""What of a run cannot be written, because others hold it open or the disk is full: what is lost, and what goes on."""

import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from splat_addon import files
from splat_addon.errors import SplatFileError
from splat_addon.gaussians.formats.splat_ply import read_splats
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated, Finished, SnapshotSaved, Warned, encode_command
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer.photos.photo import save_png
from splat_addon.trainer.train import train
from support.full_disk import put_full_file
from support.held_files import HeldFiles
from support.scenes import write_ball_capture


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    return write_ball_capture(tmp_path_factory.mktemp("ball") / "capture")


@pytest.fixture
def held(monkeypatch) -> HeldFiles:
    monkeypatch.setattr(files, "PATIENCE_S", 0.5)
    return HeldFiles(monkeypatch)


def new_folder(path: Path, capture: Path, **settings) -> RunFolder:
    config = TrainConfig(capture=str(capture), device="cpu", iterations=4, eval_every=2, save_every=0)
    return RunFolder.create(path, TrainConfig(**{**vars(config), **settings}))


def train_in(folder: RunFolder, commands: tuple[str, ...] = ()) -> Finished:
    """Train in this process. All `commands` have been given before the first step; the parent stays."""
    parent_is_gone = threading.Event()

    def said() -> Iterator[str]:
        yield from map(encode_command, commands)
        parent_is_gone.wait()

    config = TrainConfig.read(folder.config_file)
    wire = Wire(folder, io.StringIO(), said())
    try:
        return train(folder, config, wire)
    finally:
        parent_is_gone.set()


def warnings_of(folder: RunFolder) -> list[str]:
    return [event.message for event in folder.events() if isinstance(event, Warned) and "written" in event.message]


@pytest.mark.parametrize(("command", "name"), [("preview", "preview.ply"), ("snapshot", "snapshots/step_000000.ply")])
def test_a_preview_or_snapshot_that_cannot_be_replaced_is_one_warning(tmp_path, capture, held, command, name):
    folder = new_folder(tmp_path / "run", capture)
    held.hold(folder.path / name)
    train_in(folder, (command, command))
    shown = folder.path / name.partition("/step")[0]
    reason = "cannot be written (The process cannot access the file). The run goes on without it."
    assert warnings_of(folder) == [f"{shown} {reason}"]
    assert not any(isinstance(event, SnapshotSaved) for event in folder.events())
    assert folder.splats_file.is_file()


def test_a_preview_that_somebody_reads_for_an_instant_is_replaced_without_a_word(tmp_path, capture, held):
    folder = new_folder(tmp_path / "run", capture)
    folder.preview_file.write_bytes(b"an earlier one")
    held.hold(folder.preview_file, refusals=5)
    train_in(folder, ("preview",))
    assert held.refused == ["preview.ply"] * 5 and not warnings_of(folder)
    assert sum(isinstance(event, SnapshotSaved) for event in folder.events()) == 1


@pytest.mark.parametrize("name", ["metrics.json", "checkpoint.pt", "summary.json"])
def test_what_is_not_the_result_is_a_warning_and_the_result_is_there(tmp_path, capture, held, name):
    folder = new_folder(tmp_path / "run", capture)
    held.hold(folder.path / name)
    finished = train_in(folder)
    assert (finished.step, finished.stopped) == (4, False)
    (message,) = warnings_of(folder)
    assert message.startswith(f"{folder.path / name} cannot be written (The process cannot access the file)")
    assert len(read_splats(folder.splats_file)) == finished.gaussian_count
    assert [event.step for event in folder.events() if isinstance(event, Evaluated)] == [0, 2, 4]


def test_held_out_renders_that_cannot_be_written_are_a_warning_and_are_measured(tmp_path, capture):
    folder = new_folder(tmp_path / "run", capture)
    folder.held_out_folder.write_text("a file in the place of the folder")
    assert train_in(folder).step == 4
    assert any(message.startswith(f"{folder.held_out_folder} cannot be written") for message in warnings_of(folder))
    assert len(json.loads(folder.metrics_file.read_text())) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_checkpoint_on_a_full_disk_is_a_warning(tmp_path, capture):
    folder = new_folder(tmp_path / "run", capture)
    aside = files.partial_of(folder.checkpoint_file)

    class Wires(Wire):
        def send(self, event, at_once=False):
            if isinstance(event, Evaluated) and event.step == 2:
                put_full_file(aside)
            super().send(event, at_once)

    wire = Wires(folder, io.StringIO(), (), obey=lambda command: None)
    assert train(folder, TrainConfig.read(folder.config_file), wire).step == 4
    (message,) = warnings_of(folder)
    assert message == f"The disk is full: {folder.checkpoint_file} cannot be written. The run goes on without it."
    assert folder.splats_file.is_file() and not folder.checkpoint_file.exists()


def test_a_result_that_cannot_be_written_fails_the_run_when_all_else_is_safe(tmp_path, capture, held):
    folder = new_folder(tmp_path / "run", capture)
    held.hold(folder.splats_file)
    with pytest.raises(SplatFileError, match=r"splats.ply cannot be written .* Choose a folder that can be written"):
        train_in(folder)
    assert [event.step for event in folder.events() if isinstance(event, Evaluated)] == [0, 2, 4]
    assert folder.checkpoint_file.is_file() and json.loads(folder.summary_file.read_text())["iterations"] == 4
    held.let_go(folder.splats_file)
    wire = Wire(folder, io.StringIO(), (), obey=lambda command: None)
    assert train(folder, TrainConfig.read(folder.config_file), wire, resume=True).step == 4
    assert folder.splats_file.is_file(), "resumed, it has only its result to write"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is mapped")
@pytest.mark.parametrize("is_failing", [False, True], ids=["finished", "failed"])
def test_decoded_photos_are_mapped_by_nobody_when_they_are_deleted(tmp_path, capture, held, monkeypatch, is_failing):
    """Windows would refuse to. After an error, the functions that it went through still refer to the photos."""
    folder = new_folder(tmp_path / "run", capture, photo_memory_mb=0)
    mapped, unlink = [], os.unlink

    def look_and_unlink(path, **options):
        if Path(path) == folder.photos_file and folder.photos_file.exists():
            mapped.append(folder.photos_file.name in Path("/proc/self/maps").read_text())
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", look_and_unlink)
    if is_failing:
        held.hold(folder.splats_file)
        with pytest.raises(SplatFileError):
            train_in(folder)
    else:
        train_in(folder)
    assert mapped == [False] and not folder.photos_file.exists()


def test_decoded_photos_that_a_killed_trainer_has_left_go_when_the_next_begins(tmp_path, capture):
    folder = new_folder(tmp_path / "run", capture)
    folder.photos_file.write_bytes(b"gigabytes")

    class Wires(Wire):
        def send(self, event, at_once=False):
            assert not folder.photos_file.exists()
            super().send(event, at_once)

    wire = Wires(folder, io.StringIO(), (), obey=lambda command: None)
    assert train(folder, TrainConfig.read(folder.config_file), wire).step == 4


def test_an_image_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "view.png"
    save_png(path, torch.ones(4, 4, 3))
    before = path.read_bytes()

    def killed(image, file, **options):
        Path(file).write_bytes(before[:20])
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        save_png(path, torch.zeros(4, 4, 3))
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["view.png"]
