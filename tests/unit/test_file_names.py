"""Names that become files: what Windows takes for a device, what it refuses, and what it cannot tell apart."""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from splat_addon.capture.capture import _view_names, open_capture
from splat_addon.capture.export import COLMAP_BINARY, TRANSFORMS, ExportOptions, export_capture
from splat_addon.capture.file_names import (
    distinct_files,
    file_name,
    inner_path,
    is_on_network,
    renders_of,
    share_of,
    stays_inside,
)
from splat_addon.capture.finding.files import Files
from splat_addon.capture.formats.transforms import write_transforms
from support.scenes import ring_of_cameras


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Aux", "Aux_"),
        ("CON", "CON_"),
        ("nul.tar.gz", "nul_.tar.gz"),
        ("prn .txt", "prn_.txt"),
        ("Com1", "Com1_"),
        ("LPT9", "LPT9_"),
        ("com¹", "com¹_"),
        ("lpt³.png", "lpt³_.png"),
        ("conout$", "conout$_"),
        ("Com10", "Com10"),
        ("Auxiliary", "Auxiliary"),
        ("my.aux", "my.aux"),
        ('a<b>c:d"e|f?g*h', "a_b_c_d_e_f_g_h"),
        ("left\\right/up", "left_right_up"),
        ("tab\there", "tab_here"),
        ("end. ", "end__"),
        ("...", "___"),
        ("", "_"),
        ("Überblick 01", "Überblick 01"),
    ],
)
def test_a_name_becomes_one_that_every_system_takes(name, file):
    assert file_name(name) == file and file_name(file) == file


def test_names_that_become_the_same_file_are_told_apart_and_the_first_keeps_its_own():
    names = ["left/what?", "left/what_", "left/What_", "aux/1", "aux_/1"]
    assert distinct_files(names) == ["left/what_", "left/what__2", "left/What__3", "aux_/1", "aux_/1_2"]


def test_renders_of_earlier_versions_are_found_under_the_names_they_had(tmp_path):
    (tmp_path / "Nul.png").touch()
    (tmp_path / "aux.png").touch()
    (tmp_path / "aux_.png").touch()
    found = renders_of(tmp_path, ["aux", "Nul", "con", "plain"])
    assert {name: path.name for name, path in found.items()} == {
        "aux": "aux_.png",
        "Nul": "Nul.png",
        "con": "con_.png",
        "plain": "plain.png",
    }


def test_exported_photos_can_lie_on_every_system(tmp_path):
    (tmp_path / "images").mkdir()
    cameras = ring_of_cameras(3)
    for name in cameras:
        (tmp_path / name).write_bytes(f"photo {name}".encode())
    write_transforms(tmp_path / "transforms.json", cameras, set(), None, {})
    capture = open_capture(tmp_path)
    first, second, *others = capture.views
    capture = replace(capture, views=(replace(first, name="Aux"), replace(second, name="AUX_"), *others))
    options = ExportOptions(formats=frozenset({TRANSFORMS, COLMAP_BINARY}))
    export_capture(capture, tmp_path / "out", options)
    written = sorted(path.name for path in (tmp_path / "out" / "images").iterdir())
    assert written[:2] == ["AUX__2.png", "Aux_.png"] and len(written) == len(capture.views)
    read = open_capture(tmp_path / "out")
    poses = {view.image_path.name: view.camera.camera_from_world for view in read.views}
    assert np.allclose(poses["Aux_.png"], first.camera.camera_from_world)
    assert np.allclose(poses["AUX__2.png"], second.camera.camera_from_world)


LEAVING = [
    "//x.png", "\\\\x.png", "///etc/x.png", "/etc/x.png", "../x.png", "a/../../x.png", "a\\..\\..\\x.png", "C:\\x.png",
    "c:x.png", "\\\\server\\share\\x.png", "//server/share/x.png", "\\x.png", "x\0.png", "/", "//", "..", "",
]  # fmt: skip


@pytest.mark.parametrize("name", LEAVING)
def test_a_name_that_would_leave_its_folder_becomes_one_that_stays(name, tmp_path):
    assert not stays_inside(name)
    inner = inner_path(name)
    assert stays_inside(inner)
    assert (tmp_path / inner).resolve().is_relative_to(tmp_path.resolve()) and (tmp_path / inner) != tmp_path


@pytest.mark.parametrize("name", ["a.png", "left/001.png", "left\\001.png", "./a.png", "a..b.png", "über 1.png"])
def test_a_name_that_stays_is_left_as_it_is(name):
    assert stays_inside(name) and inner_path(name) == name


@pytest.mark.parametrize("name", LEAVING)
def test_the_name_of_a_view_never_leaves_its_folder(name):
    (view,) = _view_names([name]).values()
    assert stays_inside(view) and "/" not in (view[0], view[-1])


def test_no_other_machine_is_asked_for_a_photo(monkeypatch):
    asked = []
    monkeypatch.setattr("os.path.isfile", lambda path: asked.append(str(path)))
    monkeypatch.setattr("os.scandir", lambda path: asked.append(str(path)) or contextlib.nullcontext([]))
    for name in ("\\\\server\\share\\x.png", "//server/share/x.png"):
        Files().find_named(Path("capture"), name)
    assert asked and all(place.startswith("capture") for place in asked)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        (r"\\nas\photos\a", "//nas/photos"),
        ("//NAS/Photos/a", "//nas/photos"),
        (r"\/nas\photos", "//nas/photos"),
        (r"\\?\UNC\nas\photos\a\b", "//nas/photos"),
        (r"\\.\UNC\nas\photos\a", "//nas/photos"),
        (r"\??\UNC\nas\photos\a", "//nas/photos"),
        ("//?/unc/nas/photos", "//nas/photos"),
        (r"\\unc\photos\a", "//unc/photos"),  # a machine of that name
        (r"\\nas\photos\..\..\other\b", "//nas/photos/../../other/b"),
        (r"\\.\UNC\nas\photos\..\evil", "//./unc/nas/photos/../evil"),
        (r"\\?\C:\photos\a", "//?/c:"),
        (r"\\?\Volume{0a}\a", "//?/volume{0a}"),
        (r"\\?\GLOBALROOT\Device\Mup\nas\photos", "//?/globalroot/device/mup/nas/photos"),
        (r"\\", "//"),
        (r"C:\photos", ""),
        ("/home/photos", ""),
        (r"\photos", ""),
        ("photos", ""),
        ("", ""),
    ],
)
def test_a_share_has_one_name_however_windows_lets_it_be_spelled(name, share):
    assert share_of(name) == share and is_on_network(name) is bool(share)
