"""Python in a .blend runs in the Blender that renders a capture if, and only if, it runs in the artist's session."""

from pathlib import Path

import bpy
import pytest

from support.cube_scene import prepare, select


@pytest.fixture(autouse=True)
def scripts_forbidden(tmp_path):
    """Blender's default, before and after: what a file was opened with holds for all that follows."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "empty.blend"))
    open_file(tmp_path / "empty.blend", use_scripts=False)
    yield
    open_file(tmp_path / "empty.blend", use_scripts=False)


def open_file(path: Path, use_scripts: bool) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(path), use_scripts=use_scripts)


def strangers_file(tmp_path: Path, path: Path) -> Path:
    """A scene to capture with a driver that writes a file, on an object that is seen in renders alone. Returns it."""
    marker = tmp_path / "marker"
    scene = prepare(tmp_path / "c")
    hidden = bpy.data.objects.new("Hidden", bpy.data.meshes.new("Hidden"))
    hidden.hide_viewport = True
    scene.collection.objects.link(hidden)
    driver = hidden.driver_add("location", 0).driver
    driver.expression = f"__import__('pathlib').Path({str(marker)!r}).write_text('ran') * 0"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return marker


def capture() -> None:
    select(bpy.data.objects["Cube"])
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}


def test_a_driver_that_the_session_forbids_does_not_run_in_the_second_blender(tmp_path):
    marker = strangers_file(tmp_path, tmp_path / "a.blend")
    open_file(tmp_path / "a.blend", use_scripts=False)
    assert not bpy.app.autoexec_fail, "so far, Blender has tried nothing"
    capture()
    assert not marker.exists()


def test_a_file_that_was_opened_untrusted_stays_so_though_the_preferences_allow_scripts(tmp_path):
    marker = strangers_file(tmp_path, tmp_path / "a.blend")
    bpy.context.preferences.filepaths.use_scripts_auto_execute = True
    try:
        open_file(tmp_path / "a.blend", use_scripts=False)
        capture()
    finally:
        bpy.context.preferences.filepaths.use_scripts_auto_execute = False
    assert not marker.exists()


def test_an_artist_who_allows_scripts_gets_them_rendered(tmp_path):
    marker = strangers_file(tmp_path, tmp_path / "a.blend")
    open_file(tmp_path / "a.blend", use_scripts=True)
    assert not marker.exists()
    capture()
    assert marker.read_text() == "ran"


def test_asking_leaves_nothing_in_the_file(extension, tmp_path):
    strangers_file(tmp_path, tmp_path / "a.blend")
    open_file(tmp_path / "a.blend", use_scripts=True)
    before = sorted(item.name_full for item in bpy.data.user_map())
    assert extension.module("splat_addon.scene.rendering.scripts").session_runs_scripts()
    assert sorted(item.name_full for item in bpy.data.user_map()) == before
    assert not [name for name in bpy.app.driver_namespace if "capture" in name]


def test_a_file_without_python_needs_no_permission(extension, tmp_path):
    """A simple expression runs everywhere; nothing is tried, so Blender has nothing to warn about."""
    prepare(tmp_path / "c")
    bpy.data.objects["Cube"].driver_add("location", 0).driver.expression = "frame * 0"
    assert not extension.module("splat_addon.scene.rendering.scripts").session_runs_scripts()
    assert not bpy.app.autoexec_fail


def test_a_capture_without_the_python_of_its_scene_says_so(extension, tmp_path):
    strangers_file(tmp_path, tmp_path / "a.blend")
    open_file(tmp_path / "a.blend", use_scripts=False)
    capture()
    *_, warning = extension.module("splat_addon.scene.tasks.live_render").current().warnings
    assert warning.startswith("Python in the scene did not run (Driver '__import__('pathlib')")
    assert warning.endswith("If you trust the file, allow execution of its scripts, and capture again.")
