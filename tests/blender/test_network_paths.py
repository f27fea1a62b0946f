"""A .blend may name folders of another machine. Windows tells that one who looks at them: so nobody does unasked."""

import os
import sys
from pathlib import Path

import bpy
import pytest

from support.recording_layout import drawn, texts

SHARE = r"\\evil\share"


@pytest.fixture
def paths(extension):
    return extension.module("splat_addon.scene.settings.paths")


@pytest.fixture
def looked_at(monkeypatch):
    """What of that machine is opened, listed or asked for."""
    seen: list[str] = []

    def note(path) -> None:
        if isinstance(path, str | bytes | os.PathLike) and "evil" in os.fsdecode(path):
            seen.append(os.fsdecode(path))

    def noting(real):
        def call(path=".", *arguments, **options):
            note(path)
            return real(path, *arguments, **options)

        return call

    is_on = [True]

    def heard(event: str, arguments: tuple) -> None:
        if is_on and event != "import":
            for argument in arguments:
                note(argument)

    sys.addaudithook(heard)
    for name in ("stat", "lstat", "scandir", "listdir", "readlink"):
        monkeypatch.setattr(os, name, noting(getattr(os, name)))
    yield seen
    is_on.clear()


def saved_with_shares(extension, paths, tmp_path) -> None:
    """A .blend in which every path leads to that machine, opened as if it came from somebody else."""
    scene = bpy.context.scene
    scene.splat.capture.folder = rf"{SHARE}\capture"
    scene.splat.run_folder = rf"{SHARE}\run_001"
    scene.splat.training.init_splats = rf"{SHARE}\splats.ply"
    scene.splat.training.photos_folder = rf"{SHARE}\photos"
    view = scene.splat.held_out_views.add()
    view.name = "view"
    root = bpy.data.objects.new("Capture", None)
    scene.collection.objects.link(root)
    root[extension.module("splat_addon.scene.photos.photo_capture").ROOT_KEY] = rf"{SHARE}\capture"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "strange.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    extension.drop(paths.Asked)


def draw_all(extension) -> str:
    """Every panel that would be drawn; all that can be read."""
    said = []
    for module in extension.module("panels").modules():
        for panel in module.CLASSES:
            if issubclass(panel, bpy.types.Panel) and (not hasattr(panel, "poll") or panel.poll(bpy.context)):
                said.append(texts(drawn(panel, bpy.context)))
    return " ".join(said)


def test_opening_a_file_and_drawing_its_panels_asks_no_other_machine(extension, paths, tmp_path, looked_at):
    saved_with_shares(extension, paths, tmp_path)
    looked_at.clear()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "strange.blend"))
    bpy.context.view_layer.objects.active = bpy.data.objects["Capture"]
    said = draw_all(extension)
    extension.module("splat_addon.scene.tasks.preflight").wait()
    extension.module("splat_addon.scene.runs.found_runs").search(wait=True)
    said += draw_all(extension)
    assert looked_at == []
    assert rf"{SHARE}\run_001 lies on another machine" in said and "Choose it again to use it." in said


def test_what_the_artist_has_chosen_is_looked_at(extension, paths, tmp_path, looked_at):
    saved_with_shares(extension, paths, tmp_path)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "strange.blend"))
    scene = bpy.context.scene
    assert paths.run_path(scene) is None
    scene.splat.run_folder = rf"{SHARE}\run_002"
    assert str(paths.run_path(scene)) == rf"{SHARE}\run_002" and looked_at
    assert str(paths.absolute(scene.splat.capture.folder)) == rf"{SHARE}\capture", "the same share"
    with pytest.raises(extension.module("splat_addon.errors").RunError, match="lies on another machine"):
        paths.absolute(r"\\evil\other\capture")


@pytest.mark.parametrize("path", ["////evil/share/run", r"//\\\\evil\share\run", "///evil/share/run"])
def test_a_path_beside_the_file_never_becomes_a_share(paths, tmp_path, path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "mine.blend"))
    assert paths.absolute(path) == tmp_path / "evil" / "share" / "run"


def test_what_a_run_and_its_object_name_on_a_share_is_not_looked_at(extension, paths, looked_at):
    extension.drop(paths.Asked)
    run_object = extension.module("splat_addon.scene.runs.run_object")
    folder = extension.module("splat_addon.run.folder").RunFolder
    looked_at.clear()
    assert run_object.capture_of(folder(Path(rf"{SHARE}\run_001"))) is None and looked_at == []


OTHER_SPELLINGS = [r"\\?\UNC\evil\share\run_001", r"\\.\UNC\evil\share\run_001", r"\??\UNC\evil\share\run_001",
                   "//evil/share/run_001"]  # fmt: skip


@pytest.mark.parametrize("path", OTHER_SPELLINGS)
def test_a_share_is_recognized_however_a_run_spells_it(extension, paths, looked_at, path):
    extension.drop(paths.Asked)
    find_root = extension.module("splat_addon.scene.photos.photo_capture").find_root
    root = bpy.data.objects.new("Capture", None)
    bpy.context.scene.collection.objects.link(root)
    root[extension.module("splat_addon.scene.photos.photo_capture").ROOT_KEY] = path
    looked_at.clear()
    with pytest.raises(extension.module("splat_addon.errors").RunError, match="lies on another machine"):
        paths.local_or_asked(path)
    assert find_root(bpy.context.scene, Path(path)) is None and looked_at == []
    paths.ask_for(rf"{SHARE}\captures")
    assert paths.local_or_asked(path) == Path(path), "the artist has chosen something else there"


@pytest.mark.parametrize("named", ["capture", "init_splats"])
def test_resuming_a_run_asks_no_machine_that_only_its_settings_name(extension, paths, looked_at, tmp_path, named):
    extension.drop(paths.Asked)
    config = extension.module("splat_addon.run.config").TrainConfig
    folder = extension.module("splat_addon.run.folder").RunFolder.create(
        tmp_path / "run", config(**{"capture": str(tmp_path), named: rf"{SHARE}\thing"})
    )
    live_run = extension.module("splat_addon.scene.tasks.live_run")
    looked_at.clear()
    with pytest.raises(extension.module("splat_addon.errors").RunError, match="thing lies on another machine"):
        live_run.resume(bpy.context.scene, folder.path, Path(sys.executable))
    assert looked_at == [] and not live_run.is_training()
    (tmp_path / "capture").mkdir()
    bpy.context.scene.splat.capture.folder = str(tmp_path / "capture")
    if named == "capture":  # the scene has it on this machine
        assert paths.capture_now(bpy.context.scene, rf"{SHARE}\thing") == tmp_path / "capture" and looked_at == []


def test_paths_that_no_system_takes_break_neither_a_panel_nor_the_search_for_runs(extension, paths, tmp_path):
    scene, run = bpy.context.scene, tmp_path / "run"
    config = extension.module("splat_addon.run.config").TrainConfig
    extension.module("splat_addon.run.folder").RunFolder.create(run, config(capture="x" * 5000))
    scene.splat.capture.folder = str(tmp_path / "capture")
    scene.splat.run_folder = "/" + "x" * 900
    root = bpy.data.objects.new("Capture", None)
    scene.collection.objects.link(root)
    root[extension.module("splat_addon.scene.photos.photo_capture").ROOT_KEY] = "/" + "x" * 900
    said = draw_all(extension)
    assert "Checking the capture" in said or "capture holds no capture yet" in said, "the panels are drawn to the end"
    found_runs = extension.module("splat_addon.scene.runs.found_runs")
    found_runs.found().runs = []
    found_runs.search(wait=True)
    assert found_runs.is_missing(paths.run_path(scene))
    scene.splat.run_folder = str(run)
    with pytest.raises(extension.module("splat_addon.errors").SplatError):
        extension.module("splat_addon.scene.review.held_out").show(bpy.context, scene)
    assert paths.capture_now(scene, "/" + "x" * 900) == Path("/" + "x" * 900), "said to be missing by who reads it"


def test_a_file_on_a_share_finds_what_lies_there(extension, paths, monkeypatch):
    extension.drop(paths.Asked)
    monkeypatch.setattr(paths, "share_of", lambda path, _real=paths.share_of: _real(path or rf"{SHARE}\mine.blend"))
    assert str(paths.absolute(rf"{SHARE}\capture")) == rf"{SHARE}\capture"
