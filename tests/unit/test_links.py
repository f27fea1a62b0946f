"""Links in folders that travel between people: nothing is written, emptied or removed where they lead."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.capture import open_capture
from splat_addon.capture.export import ExportOptions, export_capture
from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.errors import CaptureError, RunError
from splat_addon.files import is_link, open_own, own_folder, remove_folder, written_aside
from splat_addon.run.children.detached import DetachedTrainer
from splat_addon.run.children.trainer_process import trainer_command
from splat_addon.run.config import TrainConfig
from splat_addon.run.find import delete_run
from splat_addon.run.folder import RunFolder
from splat_addon.run.inbox import Inbox
from splat_addon.run.lock import RunLock, is_held
from support.scenes import ring_of_cameras

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="making links needs a permission there")

IN_A_RUN = [
    "trainer.lock", "events.jsonl", "log.txt", "about.json", "config.json.partial", "checkpoint.pt.partial",
    "photos.cache", "splats.ply", "held_out.png", "metrics.json.partial", "commands", "held_out", "snapshots",
    "held_out/step_000000", "held_out/step_000000/view_00.png", "commands/a.json",
]  # fmt: skip


@pytest.fixture
def home(tmp_path) -> Path:
    """Somebody's own files."""
    (tmp_path / "home" / "letters").mkdir(parents=True)
    (tmp_path / "home" / "thesis.docx").write_text("precious")
    (tmp_path / "home" / "letters" / "a.json").write_text("precious")
    return tmp_path / "home"


def as_it_was(home: Path) -> bool:
    found = {path.relative_to(home).as_posix(): path.read_text() for path in home.rglob("*") if path.is_file()}
    return found == {"thesis.docx": "precious", "letters/a.json": "precious"}


def targets(home: Path) -> dict[str, Path]:
    return {"file": home / "thesis.docx", "folder": home / "letters", "nothing": home / "new", "itself": Path("x")}


def link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(place.name if target == Path("x") else target)


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", TrainConfig(capture="/captures/vase"))


@pytest.mark.parametrize("kind", ["file", "folder", "nothing", "itself"])
@pytest.mark.parametrize("name", IN_A_RUN)
def test_no_trainer_starts_in_a_run_that_leads_elsewhere(folder, home, name, kind):
    link(folder.path / name, targets(home)[kind])
    with pytest.raises(RunError, match="is a link to somewhere else") as failure:
        trainer_command(Path(sys.executable), folder, resume=True)
    assert failure.value.message.startswith(str(folder.path / name))
    assert as_it_was(home)


def test_links_that_a_trainer_never_writes_to_are_the_artists_business(folder, home):
    link(folder.path / "notes", home / "letters")
    assert trainer_command(Path(sys.executable), folder)[0] == sys.executable


def test_commands_are_neither_left_nor_taken_nor_cleared_through_a_link(folder, home):
    link(folder.commands_folder, home / "letters")
    inbox = Inbox(folder.commands_folder)
    inbox.clear()
    assert inbox.take() == []
    with pytest.raises(RunError, match="cannot be told to stop"):
        inbox.put("stop")
    assert as_it_was(home)


def test_a_lock_is_not_taken_through_a_link(folder, home):
    link(folder.lock_file, home / "thesis.docx")
    with pytest.raises(OSError, match="link"):
        RunLock.take(folder.lock_file)
    assert not is_held(folder.lock_file) and as_it_was(home)


def test_a_lock_with_another_name_is_taken_without_writing_into_it(folder, home):
    os.link(home / "thesis.docx", folder.lock_file)
    lock = RunLock.take(folder.lock_file)
    assert is_held(folder.lock_file)
    lock.release()
    assert as_it_was(home)


def test_a_log_that_leads_elsewhere_is_not_appended_to(folder, home):
    link(folder.log_file, home / "thesis.docx")
    with pytest.raises(Exception, match="could not be started"):
        DetachedTrainer.start([sys.executable, "-c", "raise SystemExit('no')"], folder)
    assert as_it_was(home)


def test_what_is_appended_to_gets_a_file_of_its_own(folder, home):
    os.link(home / "thesis.docx", folder.events_file)
    with open_own(folder.events_file, "a") as file:
        file.write(" and more")
    assert folder.events_file.read_text() == "precious and more" and as_it_was(home)


@pytest.mark.parametrize("kind", ["file", "folder", "nothing", "itself"])
def test_a_link_where_a_file_is_written_aside_goes(tmp_path, home, kind):
    link(tmp_path / "a.json.partial", targets(home)[kind])
    with written_aside(tmp_path / "a.json") as aside:
        aside.write_text("new")
    assert (tmp_path / "a.json").read_text() == "new" and not is_link(tmp_path / "a.json") and as_it_was(home)


def test_settings_replace_a_link_instead_of_following_it(tmp_path, home):
    link(tmp_path / "run" / "config.json", home / "new")
    RunFolder.create(tmp_path / "run", TrainConfig(capture="x"))
    assert not is_link(tmp_path / "run" / "config.json") and as_it_was(home)


def test_removing_a_folder_removes_a_link_to_one_and_nothing_behind_it(tmp_path, home):
    link(tmp_path / "old", home)
    remove_folder(tmp_path / "old")
    assert not is_link(tmp_path / "old") and as_it_was(home)


def test_a_work_folder_is_ones_own_whatever_was_in_its_place(tmp_path, home):
    link(tmp_path / "a", home)
    assert list(own_folder(tmp_path / "a").iterdir()) == [] and not is_link(tmp_path / "a")
    (tmp_path / "b" / "kept").mkdir(parents=True)
    (tmp_path / "b" / "kept" / "x.png").touch()
    for name, target in targets(home).items():
        link(tmp_path / "b" / name, target)
        link(tmp_path / "b" / "kept" / name, target)
    own_folder(tmp_path / "b")
    assert [path.relative_to(tmp_path).as_posix() for path in (tmp_path / "b").rglob("*")] == ["b/kept", "b/kept/x.png"]
    assert as_it_was(home)


def test_deleting_a_run_removes_links_and_nothing_behind_them(folder, home):
    for name in ("commands", "snapshots", "log.txt", "held_out/step_000000"):
        link(folder.path / name, home / "letters")
    assert delete_run(folder.path) == []
    assert not folder.path.exists() and as_it_was(home)


@pytest.mark.parametrize("name", ["sparse", "sparse/0", "images", ".export.partial", "transforms.json"])
def test_an_export_writes_nothing_where_a_link_leads(tmp_path, home, name):
    source = tmp_path / "capture"
    cameras = ring_of_cameras(3)
    for photo in cameras:
        (source / photo).parent.mkdir(parents=True, exist_ok=True)
        (source / photo).write_bytes(b"\x89PNG")
    write_transforms(source / "transforms.json", cameras, set(), None, {})
    link(tmp_path / "out" / name, home / "letters")
    options = ExportOptions(replace_earlier=True, world_from_capture=np.eye(4))
    if name == "sparse":
        with pytest.raises(CaptureError, match="sparse is a link"):
            export_capture(open_capture(source), tmp_path / "out", options)
    else:
        export_capture(open_capture(source), tmp_path / "out", options)
        assert not is_link(tmp_path / "out" / name)
    assert as_it_was(home)
