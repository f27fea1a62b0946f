"""Paths in a .blend: written so that every system reads them, and read as any system has written them."""

from pathlib import Path, PurePosixPath, PureWindowsPath

import bpy
import pytest

from support.extension import ROOT

WINDOWS = PureWindowsPath(r"C:\projects\vase")


@pytest.fixture
def paths(extension):
    return extension.module("splat_addon.scene.settings.paths")


@pytest.fixture
def blend_folder(tmp_path):
    """The folder of a saved .blend, beside another."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "mine.blend"))
    return folder


@pytest.mark.parametrize(
    ("path", "folder", "text"),
    [
        (WINDOWS / "runs" / "run_001", WINDOWS, "//runs/run_001"),
        (WINDOWS / "runs" / "run_001", WINDOWS / "scenes" / "new", "//../../runs/run_001"),
        (PureWindowsPath(r"c:\Projects\vase\runs"), WINDOWS, "//runs"),
        (PureWindowsPath(r"D:\runs\run_001"), WINDOWS, r"D:\runs\run_001"),
        (PureWindowsPath(r"\\server\share\runs"), WINDOWS, r"\\server\share\runs"),
        (PureWindowsPath(r"\\server\share\runs"), PureWindowsPath(r"\\server\share\scenes"), "//../runs"),
        (PurePosixPath("/projects/runs/run_001"), PurePosixPath("/projects/scenes"), "//../runs/run_001"),
        (PurePosixPath("/projects/a\\b"), PurePosixPath("/projects"), "/projects/a\\b"),
    ],
)
def test_what_is_stored_has_forward_slashes_on_every_system(paths, path, folder, text):
    assert paths.relative_text(path, folder) == text


@pytest.mark.parametrize(
    "stored", [r"//..\runs\run_001", "//../runs/run_001", r"//..\runs/run_001", "//..\\runs\\run_001\\"]
)
def test_a_relative_path_of_any_system_is_found_on_this_one(paths, blend_folder, stored):
    assert paths.absolute(stored) == blend_folder.parent / "runs" / "run_001"


def test_a_share_of_windows_is_not_taken_for_a_path_beside_the_file(paths, blend_folder):
    share = r"\\server\share\runs"
    assert paths.absolute(share, is_asked=True) == Path(share)
    assert not paths.absolute(share).is_relative_to(blend_folder)


def test_a_project_saved_on_windows_finds_its_run_and_its_capture(extension, paths, blend_folder):
    run = blend_folder.parent / "vase_runs" / "run_001"
    run.mkdir(parents=True)
    scene = bpy.context.scene
    scene.splat.run_folder, scene.splat.capture.folder = r"//..\vase_runs\run_001", "//..\\vase\\"
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    scene = bpy.context.scene
    assert paths.run_path(scene) == run
    config = extension.module("splat_addon.scene.settings.training").train_config(scene)
    assert config.capture == str(blend_folder.parent / "vase")
    paths.remember_run(scene, run)
    assert scene.splat.run_folder == "//../vase_runs/run_001"


def test_no_other_place_makes_paths_relative_to_the_file():
    users = [
        path.relative_to(ROOT).as_posix()
        for folder in ("operators", "panels", "splat_addon")
        for path in (ROOT / folder).rglob("*.py")
        if "bpy.path.relpath" in path.read_text(encoding="utf-8")
    ]
    assert users == []
