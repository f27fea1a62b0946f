"""Replacing and removing what others hold open: tried again while the system refuses for that reason, and no other."""

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from splat_addon import files
from splat_addon.errors import SplatFileError
from splat_addon.files import move_all_into_place, move_into_place, remove_file, remove_folder, written_aside
from splat_addon.gaussians.formats.splat_ply import write_points
from splat_addon.run.folder import write_json
from support.held_files import HeldFiles

INSTANT = 3  # refusals, for as long as a virus scanner holds a new file


@pytest.fixture
def held(monkeypatch) -> HeldFiles:
    return HeldFiles(monkeypatch)


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(files, "PATIENCE_S", 0.1)


def folder_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    return path


def contents(path: Path) -> dict[str, str]:
    return {file.relative_to(path).as_posix(): file.read_text() for file in path.rglob("*") if file.is_file()}


def write_points_file(path: Path) -> None:
    write_points(path, np.zeros((1, 3)), np.zeros((1, 3)))


@pytest.mark.parametrize("write", [lambda path: write_json(path, [2]), write_points_file], ids=["JSON", "PLY"])
def test_a_file_that_somebody_reads_for_an_instant_is_replaced(tmp_path, held, write):
    path = tmp_path / "file"
    path.write_text("before")
    held.hold(path, INSTANT)
    write(path)
    assert held.refused and b"before" not in path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_file_that_a_scanner_opens_as_soon_as_it_is_written_is_moved(tmp_path, held):
    with written_aside(tmp_path / "file") as aside:
        aside.write_text("new")
        held.hold(aside, INSTANT)
    assert held.refused and contents(tmp_path) == {"file": "new"}


def test_a_file_that_is_held_for_good_stays_as_it_was_and_nothing_is_left_aside(tmp_path, held, impatient):
    path = folder_of(tmp_path, "file") / "file"
    held.hold(path)
    with pytest.raises(PermissionError):
        write_json(path, [2])
    with pytest.raises(SplatFileError, match=r"file cannot be written \(The process cannot access the file\)"):
        write_points_file(path)
    assert contents(tmp_path) == {"file": "file"} and len(held.refused) > 2


def test_a_missing_permission_is_said_at_once(tmp_path, monkeypatch):
    tries = []

    def refuse(*paths):
        tries.append(paths)
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        move_into_place(tmp_path / "a", tmp_path / "b")
    assert len(tries) == 1


@pytest.mark.parametrize("name", ["file", "folder/deep/file"])
def test_what_is_held_for_an_instant_is_removed(tmp_path, held, name):
    held.hold(folder_of(tmp_path, name) / name, INSTANT)
    (remove_folder if "/" in name else remove_file)(tmp_path / name.partition("/")[0])
    assert held.refused and not list(tmp_path.iterdir())


def test_of_a_folder_only_what_is_held_for_good_stays(tmp_path, held, impatient):
    folder = folder_of(tmp_path / "folder", "a", "b/c", "d")
    held.hold(folder / "b" / "c")
    with pytest.raises(PermissionError):
        remove_folder(folder)
    assert contents(folder) == {"b/c": "b/c"}


def test_what_is_gone_already_need_not_be_removed(tmp_path):
    folder_of(tmp_path, "other")
    remove_file(tmp_path / "nothing")
    remove_folder(tmp_path / "nothing")
    assert contents(tmp_path) == {"other": "other"}


def test_a_folder_that_somebody_looks_into_for_an_instant_is_moved(tmp_path, held):
    held.hold(folder_of(tmp_path, "images/a.png") / "images" / "a.png", INSTANT)
    move_into_place(tmp_path / "images", tmp_path / "old")
    assert held.refused and contents(tmp_path) == {"old/a.png": "images/a.png"}


def test_when_one_of_many_moves_is_refused_those_before_go_back(tmp_path, held, impatient):
    before = contents(folder_of(tmp_path, "images/a.png", "new/a.png", "list.json", "new/list.json"))
    held.hold(tmp_path / "list.json")
    (tmp_path / "old").mkdir()
    names = [("images", "old/images"), ("new/a.png", "images"), ("list.json", "old/list.json")]
    with pytest.raises(PermissionError):
        move_all_into_place((tmp_path / start, tmp_path / end) for start, end in names)
    assert contents(tmp_path) == before


def test_what_is_busy_on_a_network_drive_is_tried_again(tmp_path, monkeypatch):
    folder_of(tmp_path, "a")
    real, is_busy = os.replace, threading.Event()

    def busy_once(*paths):
        if not is_busy.is_set():
            is_busy.set()
            raise OSError(errno.EBUSY, "Device or resource busy")
        real(*paths)

    monkeypatch.setattr(os, "replace", busy_once)
    move_into_place(tmp_path / "a", tmp_path / "b")
    assert contents(tmp_path) == {"b": "a"}
