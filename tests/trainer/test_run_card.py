"""A run keeps the card of its capture, and reads the capture as was decided on it."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splat_addon.capture.card import Card, read_card
from splat_addon.capture.check.check import Agreement, Check
from splat_addon.capture.inspection import Inspection
from splat_addon.capture.remarks import Remark
from splat_addon.run.children.trainer_process import TrainerProcess, trainer_command
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Decided, Finished, Warned
from splat_addon.run.folder import RunFolder, write_json
from splat_addon.trainer.cli import Screen
from splat_addon.trainer.inspection import inspect_splats
from splat_addon.trainer.photos import inspect_capture
from splat_addon.trainer.report import write
from support.scenes import write_ball_capture


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Path:
    """Photos that are stored upside down with a record that says so, in another folder than the cameras name."""
    folder = write_ball_capture(tmp_path_factory.mktemp("turned") / "ball", width=96, height=72, focal_px=96)
    (folder / "photos").mkdir()
    for path in sorted((folder / "images").iterdir()):
        record = Image.Exif()
        record[274] = 3
        Image.fromarray(np.array(Image.open(path))[::-1, ::-1]).save(folder / "photos" / path.name, exif=record)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, capture) -> tuple[RunFolder, list]:
    """A short run with decisions, for which the parent has left what it measured."""
    config = TrainConfig(
        str(capture), iterations=5, device="cpu", eval_every=0, save_every=0, orientation="turned",
        photos_folder=str(capture / "photos"),
    )  # fmt: skip
    folder = RunFolder.create(tmp_path_factory.mktemp("whole") / "run", config)
    known = Inspection(Check(Agreement(0.5, 0.1, 9, True), (Remark("Two are swapped.", "Swap them.", True),)))
    write_json(folder.capture_file, Card((), (), known).as_json())
    process = TrainerProcess(trainer_command(Path(sys.executable), folder), folder)
    events = []
    while not process.is_over:
        events += process.wait(limit_s=60.0)
    return folder, events


def test_the_run_keeps_the_card_with_what_its_parent_has_measured(run):
    folder, events = run
    assert isinstance(events[-1], Finished)
    rows = dict(read_card(folder.capture_file).rows)
    assert rows["Photos"] == "10, 96 × 72 px" and rows["Agreement"] == "0.50 (0.10 by chance) in 9 photos"
    assert Warned("Two are swapped.", "Swap them.") in events
    assert not folder.capture_file.with_name("capture.json.partial").exists()


def test_the_run_says_whether_it_has_added_a_sky_and_keeps_why(run, capsys):
    folder, events = run
    decided = [event for event in events if isinstance(event, Decided)]
    why = "No Sky Seeds are added: the photos are transparent where nothing stands."
    assert decided == [Decided(why, "Set Sky Seeds to On to add them.")]
    assert json.loads(folder.about_file.read_text(encoding="utf-8"))["decided"] == [why]
    Screen(is_terminal=False).show(decided[0])
    assert capsys.readouterr().out == f"Note: {why} Set Sky Seeds to On to add them.\n"


def test_photos_are_trained_as_was_decided(run, capture):
    """The seeds, which are no mirror image of themselves, fit the photos only when these are turned."""
    folder, _ = run
    rendered = np.array(Image.open(folder.renders_folder(5) / "view_00.png"), dtype=float)
    upright = np.array(Image.open(capture / "images/view_00.png"), dtype=float)
    is_shown = (rendered[..., 3] > 127) & (upright[..., 3] > 127) & (upright[::-1, ::-1, 3] > 127)
    right, wrong = (np.abs(rendered - photo)[is_shown, :3].mean() for photo in (upright, upright[::-1, ::-1]))
    assert is_shown.sum() > 500 and right < wrong - 10


def test_what_inspects_the_splats_reads_the_photos_as_the_run_did(run):
    """Else it would compare them with others: the fingerprint, which counts orientations, would be another."""
    folder, _ = run
    told = []
    inspect_splats.inspect(inspect_splats.task_of(folder.path, None), told.append, lambda: False)
    assert not [event for event in told if isinstance(event, Warned) and "has changed" in event.message]


def test_the_report_shows_the_card_and_the_photos_as_they_were_trained(run):
    folder, _ = run
    page = write.save_report(folder).read_text(encoding="utf-8")
    assert "<details open><summary>Capture</summary>" in page, "something is wrong with it"
    assert "0.50 (0.10 by chance) in 9 photos" in page and "Two are swapped. Swap them." in page
    assert "The photos are left out" not in page


def test_a_run_without_a_card_is_reported_without_it(run):
    folder, _ = run
    kept = folder.capture_file.read_bytes()
    folder.capture_file.write_text("{")
    assert "<summary>Capture</summary>" not in write.save_report(folder).read_text(encoding="utf-8")
    folder.capture_file.write_bytes(kept)


def test_for_programs_progress_and_result_are_lines_of_json(capture, capsys):
    assert inspect_capture.main([str(capture), "--progress"]) == 0
    *progress, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [said["fraction"] for said in progress] == sorted(said["fraction"] for said in progress)
    assert last["finished"]["agreement"]["agrees"] and last["finished"]["remarks"] == []
    photos = f"--photos-folder={capture / 'photos'}"
    assert inspect_capture.main([str(capture), "--progress", photos, "--orientation=stored"]) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "with the photos turned by 180 degrees" in last["finished"]["remarks"][0]["text"]
    assert inspect_capture.main([str(capture), "--progress", photos, "--orientation=turned"]) == 0
    capsys.readouterr()
    assert inspect_capture.main([str(capture / "nowhere"), "--progress"]) == 2
    assert "does not exist" in json.loads(capsys.readouterr().out)["failed"]
