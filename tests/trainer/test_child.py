"""The trainer as a process: what it tells, what it obeys, what it leaves behind."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.capture import open_capture
from splat_addon.gaussians.formats.splat_ply import read_splats, write_points
from splat_addon.run.children.trainer_process import TrainerProcess, trainer_command
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated, Failed, Finished, Progressed, SnapshotSaved, Started, Warned
from splat_addon.run.folder import RunFolder
from support.full_disk import put_full_file
from support.processes import is_alive
from support.scenes import write_ball_capture


def start(tmp_path: Path, capture: Path, **settings) -> TrainerProcess:
    config = TrainConfig(capture=str(capture), **{"device": "cpu", "eval_every": 0, "save_every": 0, **settings})
    folder = RunFolder.create(tmp_path / "run", config)
    return TrainerProcess(trainer_command(Path(sys.executable), folder), folder)


def until_over(process: TrainerProcess, limit_s: float = 120.0) -> list:
    deadline, events = time.monotonic() + limit_s, []
    while not process.is_over:
        assert time.monotonic() < deadline, f"the run did not end: {events[-3:]}"
        events += process.wait(limit_s=1.0)
    return events


def until(process: TrainerProcess, is_wanted, limit_s: float = 120.0) -> list:
    deadline, events = time.monotonic() + limit_s, []
    while not any(is_wanted(event) for event in events):
        assert time.monotonic() < deadline and not process.is_over, events[-3:]
        events += process.wait(limit_s=1.0)
    return events


def is_training(event) -> bool:
    return isinstance(event, Progressed) and event.state == "training" and event.step > 0


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    return write_ball_capture(tmp_path_factory.mktemp("ball") / "capture")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, capture):
    """A whole run: its folder and its events."""
    process = start(tmp_path_factory.mktemp("whole"), capture, iterations=120, save_every=50)
    return process.folder, until_over(process)


def test_a_run_begins_with_started_and_ends_with_finished(finished):
    _, events = finished
    assert isinstance(events[0], Started)
    assert (events[0].training_views, events[0].held_out_views, events[0].gaussian_count) == (8, 2, 300)
    assert isinstance(events[-1], Finished) and events[-1].step == 120 and not events[-1].stopped
    assert sum(isinstance(event, Started | Finished | Failed) for event in events) == 2


def test_training_beats_its_seeds_on_views_it_never_saw(finished):
    _, events = finished
    first, last = [event for event in events if isinstance(event, Evaluated)]
    assert (first.step, last.step) == (0, 120)
    assert last.psnr_db > first.psnr_db + 2.5
    assert last.ssim > first.ssim


def test_the_gap_to_the_training_views_is_told(finished):
    """The same views that training saw, measured as the held-out ones are: no lower than them here."""
    folder, events = finished
    first, last = [event for event in events if isinstance(event, Evaluated)]
    assert last.train_psnr_db > first.train_psnr_db + 2.5
    assert last.train_psnr_db > last.psnr_db - 1.0
    recorded = json.loads(folder.metrics_file.read_text())
    assert recorded[-1]["train_psnr_db"] == last.train_psnr_db


def test_every_event_is_recorded(finished):
    folder, events = finished
    assert folder.events() == events


def test_the_folder_holds_result_renders_checkpoint_and_record(finished):
    folder, events = finished
    cloud = read_splats(folder.splats_file)
    assert len(cloud) == events[-1].gaussian_count and cloud.finite().all()
    assert [event.path for event in events if isinstance(event, SnapshotSaved)] == [
        "snapshots/step_000050.ply",
        "snapshots/step_000100.ply",
    ]
    assert sorted(path.name for path in folder.renders_folder(120).iterdir()) == ["view_00.png", "view_08.png"]
    assert folder.checkpoint_file.is_file() and (folder.path / "held_out.png").is_file()
    summary = json.loads(folder.summary_file.read_text())
    assert summary["held_out_psnr_db"] == pytest.approx(
        [event.psnr_db for event in events if isinstance(event, Evaluated)][-1]
    )
    about = json.loads(folder.about_file.read_text())
    assert about["held_out_views"] == ["view_00", "view_08"] and "view_00" not in about["training_views"]
    assert not list(folder.path.rglob("*.partial"))


def test_renders_keep_the_transparency_of_their_photo(finished, capture):
    from PIL import Image

    folder, _ = finished
    render = np.array(Image.open(folder.renders_folder(120) / "view_00.png"))
    photo = np.array(Image.open(capture / "images" / "view_00.png"))
    assert render.shape == photo.shape == (30, 40, 4)
    both = ((render[..., 3] > 127) & (photo[..., 3] > 127)).sum() / (
        (render[..., 3] > 127) | (photo[..., 3] > 127)
    ).sum()
    assert both > 0.85


def test_the_same_seed_gives_the_same_run(tmp_path, capture):
    clouds = []
    for name in ("a", "b"):
        process = start(tmp_path / name, capture, iterations=15)
        assert isinstance(until_over(process)[-1], Finished)
        clouds.append(read_splats(process.folder.splats_file))
    assert np.array_equal(clouds[0].means, clouds[1].means)


def test_stop_saves_what_was_reached(tmp_path, capture):
    process = start(tmp_path, capture, iterations=1_000_000)
    until(process, is_training)
    process.send("stop")
    events = until_over(process)
    assert isinstance(events[-1], Finished) and events[-1].stopped and events[-1].step < 1_000_000
    assert len(read_splats(process.folder.splats_file)) == events[-1].gaussian_count
    assert process.folder.checkpoint_file.is_file()


def test_a_paused_run_rests_until_it_is_resumed(tmp_path, capture):
    process = start(tmp_path, capture, iterations=1_000_000)
    until(process, is_training)
    process.send("pause")
    paused = until(process, lambda event: getattr(event, "state", "") == "paused")[-1]
    used = cpu_seconds(process.pid)
    process.send("snapshot")
    saved = until(process, lambda event: isinstance(event, SnapshotSaved))[-1]
    assert saved.step == paused.step, "no step is done while paused"
    assert cpu_seconds(process.pid) - used < 1.0
    process.send("resume")
    until(process, lambda event: is_training(event) and event.step > paused.step)
    process.send("stop")
    assert isinstance(until_over(process)[-1], Finished)


def test_a_resumed_run_equals_an_unbroken_one(tmp_path, capture):
    """Bit for bit: 120 steps and 120 more after a new start, against 240 at once; splats are added meanwhile."""
    settings = {"iterations": 240, "target_gaussians": 500}
    whole = start(tmp_path / "whole", capture, **settings)
    assert isinstance(until_over(whole)[-1], Finished)
    parts = start(tmp_path / "parts", capture, save_every=120, **settings)
    until(parts, lambda event: isinstance(event, SnapshotSaved))
    os.kill(parts.pid, signal.SIGKILL)
    assert isinstance(until_over(parts)[-1], Failed)
    again = TrainerProcess(trainer_command(Path(sys.executable), parts.folder, resume=True), parts.folder)
    events = until_over(again)
    assert isinstance(events[-1], Finished) and events[-1].step == 240
    assert not any(isinstance(event, Evaluated) and event.step == 0 for event in events), "it goes on, not anew"
    one, two = read_splats(whole.folder.splats_file), read_splats(parts.folder.splats_file)
    assert len(one) == len(two) == 500
    for name in ("means", "log_scales", "quaternions", "logit_opacities", "sh"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_resuming_without_a_checkpoint_or_with_another_capture_is_said(tmp_path, capture):
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture=str(capture), device="cpu"))
    events = until_over(TrainerProcess(trainer_command(Path(sys.executable), folder, resume=True), folder))
    assert events[-1].message.startswith("The run in") and "no checkpoint" in events[-1].message
    other = write_ball_capture(tmp_path / "capture")
    process = start(tmp_path / "b", other, iterations=5)
    until_over(process)
    (other / "images" / "view_03.png").write_bytes((other / "images" / "view_04.png").read_bytes())
    again = TrainerProcess(trainer_command(Path(sys.executable), process.folder, resume=True), process.folder)
    assert "The capture has changed" in until_over(again)[-1].message


def test_a_run_can_be_given_a_time(tmp_path, capture):
    events = until_over(start(tmp_path, capture, seconds=2))
    assert isinstance(events[-1], Finished) and not events[-1].stopped
    told = [event for event in events if isinstance(event, Progressed) and event.state == "training"]
    assert events[-1].train_seconds >= 2.0 and events[-1].step > 1
    assert all(event.fraction < 1.0 for event in told[:-1]), "the first step that is over the time is the last"


def test_a_run_can_go_on_from_splats(tmp_path, finished, capture):
    folder, before = finished
    process = start(tmp_path, capture, iterations=1, init_splats=str(folder.splats_file))
    first = next(event for event in until_over(process) if isinstance(event, Evaluated))
    last = [event for event in before if isinstance(event, Evaluated)][-1]
    assert first.step == 0 and first.psnr_db == pytest.approx(last.psnr_db, abs=0.01)


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_every_strategy_trains(tmp_path, capture, strategy):
    events = until_over(start(tmp_path, capture, iterations=150, strategy=strategy))
    first, last = [event for event in events if isinstance(event, Evaluated)]
    assert last.psnr_db > first.psnr_db + 2


def cpu_seconds(pid: int) -> float:
    try:
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


def test_a_child_without_parent_saves_and_ends(tmp_path, capture):
    process = start(tmp_path, capture, iterations=1_000_000)
    until(process, is_training)
    process.let_go()
    assert isinstance(until_over(process)[-1], Finished)
    assert process.folder.splats_file.is_file()


def test_previews_replace_each_other_and_go_when_the_result_is_there(tmp_path, capture):
    process = start(tmp_path, capture, iterations=1_000_000)
    until(process, is_training)
    process.send("preview")
    first = until(process, lambda event: isinstance(event, SnapshotSaved))[-1]
    until(process, is_training)
    process.send("preview")
    second = until(process, lambda event: isinstance(event, SnapshotSaved))[-1]
    assert first.path == second.path == "preview.ply" and second.step > first.step
    assert len(read_splats(process.folder.preview_file)) == second.gaussian_count
    process.send("stop")
    assert isinstance(until_over(process)[-1], Finished)
    assert not process.folder.preview_file.exists() and process.folder.splats_file.is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_killed_child_leaves_its_last_snapshot(tmp_path, capture):
    process = start(tmp_path, capture, iterations=1_000_000)
    until(process, is_training)
    process.send("snapshot")
    saved = until(process, lambda event: isinstance(event, SnapshotSaved))[-1]
    os.kill(process.pid, signal.SIGKILL)
    assert isinstance(until_over(process)[-1], Failed)
    assert len(read_splats(process.folder.result_file())) == saved.gaussian_count
    assert process.join(10) and not is_alive(process.pid)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_and_the_last_snapshot_stays(tmp_path, capture):
    process = start(tmp_path, capture, iterations=1_000_000)
    until(process, is_training)
    process.send("snapshot")
    saved = until(process, lambda event: isinstance(event, SnapshotSaved))[-1]
    process.send("stop")
    assert isinstance(until_over(process)[-1], Finished)
    process.folder.splats_file.unlink()
    again = TrainerProcess(trainer_command(Path(sys.executable), process.folder, resume=True), process.folder)
    until(again, is_training)
    put_full_file(process.folder.path / "splats.ply.partial")
    again.send("stop")
    failed = until_over(again)[-1]
    assert isinstance(failed, Failed), failed
    assert failed.message == "The disk is full." or "cannot be written (No space left" in failed.message
    assert "Free some space. What it had saved is kept" in failed.remedy or "has space" in failed.remedy
    assert len(read_splats(process.folder.result_file())) == saved.gaussian_count


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_without_room_for_decoded_photos_is_said(capture):
    from splat_addon.trainer.photos.store import load_photos

    config = TrainConfig(capture=str(capture), photo_memory_mb=0)
    with pytest.raises(OSError, match="No space left"):
        load_photos(open_capture(capture), config, Path("/dev/full"))


def test_a_lost_run_folder_is_said(tmp_path, capture):
    process = start(tmp_path, capture, iterations=1_000_000)
    until(process, is_training)
    shutil.rmtree(process.folder.path)
    process.send("snapshot")
    failed = until_over(process)[-1]
    assert isinstance(failed, Failed) and failed.message == f"The run folder {process.folder.path} is gone."
    assert failed.remedy == "Put it back, or start a new run in a folder that stays."


@pytest.mark.parametrize("sentence", ["CUDA out of memory. Tried to allocate 2 GiB", "can't allocate memory: 12 bytes"])
def test_too_little_memory_is_said(tmp_path, capture, monkeypatch, sentence):
    from splat_addon.trainer import __main__, train

    def fail(*_):
        raise RuntimeError(sentence)

    monkeypatch.setattr(train, "train", fail)
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture=str(capture)))
    failed = __main__.run(folder, None, resume=False)
    assert failed.message == "There is not enough memory for this run."
    assert failed.remedy == "Lower Max Splats or Max Resolution. It had saved nothing yet."


def test_an_unreadable_photo_is_named_and_left_out(tmp_path):
    capture = write_ball_capture(tmp_path / "capture")
    (capture / "images" / "view_03.png").write_bytes(b"no image")
    (capture / "images" / "view_05.png").unlink()
    events = until_over(start(tmp_path, capture, iterations=3))
    told = " ".join(event.message for event in events if isinstance(event, Warned))
    assert "view_03.png cannot be read" in told and "1 of 10 photos are missing, for example images/view_05.png" in told
    assert isinstance(events[-1], Finished) and events[0].training_views == 6


def test_a_capture_without_points_is_trained_from_random_seeds_and_says_so(tmp_path):
    capture = write_ball_capture(tmp_path / "capture")
    (capture / "points3d.ply").unlink()
    process = start(tmp_path, capture, iterations=40, seed_count=600)
    events = until_over(process)
    warned = [event.message for event in events if isinstance(event, Warned)]
    assert any("no points: training starts from random places" in message for message in warned)
    first, last = (event for event in events if isinstance(event, Evaluated))
    assert events[0].gaussian_count == 600 and isinstance(events[-1], Finished)
    assert last.psnr_db > first.psnr_db
    assert json.loads((process.folder.path / "summary.json").read_text())["seeds"] == "random"


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda folder: (folder / "transforms.json").write_text("{}"), "no list of frames"),
        (lambda folder: [path.unlink() for path in (folder / "images").iterdir()], "No photo found for 10 of 10"),
        (
            lambda folder: [path.write_bytes(b"") for path in (folder / "images").iterdir()],
            "10 of 10 photos cannot be used",
        ),
    ],
)
def test_a_broken_capture_fails_with_one_sentence(tmp_path, break_it, sentence):
    capture = write_ball_capture(tmp_path / "capture")
    break_it(capture)
    events = until_over(start(tmp_path, capture, iterations=3))
    assert [type(event) for event in events] == [Failed]
    assert sentence in events[0].message and events[0].remedy.endswith(".")
    assert "Traceback" not in events[0].message


def test_points_that_are_not_numbers_count_as_none(tmp_path):
    capture = write_ball_capture(tmp_path / "capture")
    write_points(capture / "points3d.ply", np.full((1, 3), np.nan), np.zeros((1, 3)))
    events = until_over(start(tmp_path, capture, iterations=3))
    warned = [event.message for event in events if isinstance(event, Warned)]
    assert any("The capture has no points" in message for message in warned)
    assert isinstance(events[-1], Finished)


def test_a_python_without_torch_says_what_to_install(tmp_path, capture):
    """The same interpreter, with a module in the run folder's place of torch that fails as a missing one does."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "torch.py").write_text("raise ImportError('No module named torch')")
    config = TrainConfig(capture=str(capture))
    folder = RunFolder.create(tmp_path / "run", config)
    code = (
        f"import sys, runpy; sys.path.insert(0, {str(tmp_path / 'blocked')!r});"
        f"sys.argv = ['trainer', {str(folder.path)!r}];"
        "runpy.run_module('splat_addon.trainer', run_name='__main__')"
    )
    events = until_over(TrainerProcess([sys.executable, "-c", code], folder))
    assert [type(event) for event in events] == [Failed]
    assert "lacks torch" in events[0].message and "-m pip install torch" in events[0].remedy


def test_training_from_the_terminal_prints_the_held_out_quality(tmp_path, capture, capsys):
    from splat_addon.trainer.cli import main

    code = main([str(capture), "--run", str(tmp_path / "run"), "--iterations", "5", "--device", "cpu"])
    said = capsys.readouterr().out
    assert code == 0
    assert "held-out PSNR" in said and "init only" in said and str(tmp_path / "run" / "splats.ply") in said


def test_a_relative_run_folder_works(tmp_path, capture, monkeypatch):
    from splat_addon.trainer.cli import main

    monkeypatch.chdir(tmp_path)
    assert main([str(capture), "--run", "runs/first", "--iterations", "2", "--device", "cpu"]) == 0
    assert (tmp_path / "runs" / "first" / "splats.ply").is_file()


def test_a_wrong_capture_leaves_no_run_folder(tmp_path, capsys):
    from splat_addon.trainer.cli import main

    assert main([str(tmp_path / "nowhere"), "--run", str(tmp_path / "run")]) == 2
    assert "does not exist" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_the_terminal_refuses_bad_settings_in_one_sentence(tmp_path, capture, capsys):
    from splat_addon.trainer.cli import main

    assert main([str(capture), "--run", str(tmp_path / "run"), "--iterations", "0"]) == 2
    assert capsys.readouterr().err == "Iterations is 0. Choose a value from 1 to 10000000.\n"
