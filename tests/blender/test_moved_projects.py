"""Projects that are saved late, saved elsewhere, copied or moved keep their runs; finished runs replace snapshots."""

import shutil
from pathlib import Path

import bpy
import numpy as np
import pytest


@pytest.fixture
def run_object(extension):
    return extension.module("splat_addon.scene.runs.run_object")


@pytest.fixture
def make_run(extension):
    """A run in `<project>/capture_runs/<name>` that has left `files`, each of so many splats."""

    def make_run(project, name="run_001", **files):
        (project / "capture").mkdir(parents=True, exist_ok=True)
        config = extension.module("splat_addon.run.config").TrainConfig(capture=str(project / "capture"))
        folder = extension.module("splat_addon.run.folder").RunFolder.create(project / "capture_runs" / name, config)
        for file, count in files.items():
            write(extension, folder, file, count)
        return folder

    return make_run


def write(extension, folder, file, count):
    random = np.random.default_rng(count)
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=random.normal(size=(count, 3)),
        log_scales=np.full((count, 3), -3.0),
        quaternions=np.tile((1.0, 0, 0, 0), (count, 1)),
        logit_opacities=np.zeros(count),
        sh=np.zeros((count, 1, 3)),
    )
    path = folder.splats_file if file == "result" else folder.snapshot_file(int(file.removeprefix("step_")))
    path.parent.mkdir(exist_ok=True)
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(path, cloud)


def import_of(folder):
    bpy.context.scene.splat.run_folder = str(folder.path)
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def splats() -> dict[str, int]:
    """How many splats each object of the scene has."""
    return {
        item.name: len(item.data.attributes["position"].data)
        for item in bpy.context.scene.objects
        if getattr(item.data, "attributes", None) and "radiance:base" in item.data.attributes
    }


def save(path, **options):
    bpy.ops.wm.save_as_mainfile(filepath=str(path), **options)


def test_paths_below_the_file_become_relative_at_its_first_save(make_run, tmp_path):
    folder = make_run(tmp_path, result=50)
    bpy.context.scene.splat.capture.folder = str(tmp_path / "capture")
    item = import_of(folder)
    assert item["splat_run"] == str(folder.path)
    save(tmp_path / "project.blend")
    scene = bpy.context.scene.splat
    assert (scene.run_folder, scene.capture.folder) == ("//capture_runs/run_001", "//capture")
    assert item["splat_run"] == "//capture_runs/run_001"
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "project.blend"))
    assert bpy.context.scene.splat.run_folder == "//capture_runs/run_001", "the file has them so, too"


def test_saving_elsewhere_leads_to_the_same_place_and_a_copy_changes_nothing(extension, make_run, tmp_path):
    folder = make_run(tmp_path / "project", result=50)
    import_of(folder)
    save(tmp_path / "project" / "project.blend")
    (tmp_path / "backup").mkdir()
    save(tmp_path / "backup" / "copy.blend", copy=True)
    scene = bpy.context.scene.splat
    assert scene.run_folder == "//capture_runs/run_001", "the open file stays where it is"
    save(tmp_path / "backup" / "other.blend")
    assert scene.run_folder == "//../project/capture_runs/run_001"
    paths = extension.module("splat_addon.scene.settings.paths")
    assert paths.run_path(bpy.context.scene) == folder.path
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "backup" / "copy.blend"))
    assert paths.run_path(bpy.context.scene) == folder.path


@pytest.mark.parametrize("is_saved_before", [True, False], ids=["saved first", "saved after training"])
def test_a_moved_project_imports_over_its_own_object(extension, make_run, tmp_path, is_saved_before):
    project = tmp_path / "project"
    folder = make_run(project, result=50)
    if is_saved_before:
        save(project / "project.blend")
    import_of(folder)
    save(project / "project.blend")
    shutil.move(project, tmp_path / "moved")
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "moved" / "project.blend"))
    moved = type(folder)(tmp_path / "moved" / "capture_runs" / "run_001")
    write(extension, moved, "result", 60)
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    assert splats() == {"run_001": 60}


def test_a_run_is_known_by_its_id_wherever_it_was_put(make_run, run_object, tmp_path):
    folder = make_run(tmp_path, result=50)
    item = import_of(folder)
    shutil.move(folder.path, tmp_path / "kept")
    kept = type(folder)(tmp_path / "kept")
    assert run_object.find(bpy.context.scene, kept) == item
    import_of(kept)
    assert splats() == {"run_001": 50} and item["splat_run"] == str(kept.path)
    other = make_run(tmp_path, result=40)
    assert other.id() != kept.id() and run_object.find(bpy.context.scene, other) is None


def test_an_object_of_an_earlier_version_finds_its_moved_run(make_run, run_object, tmp_path):
    folder = make_run(tmp_path / "project", result=50)
    item = import_of(folder)
    del item["splat_run_id"]
    folder.id_file.unlink()
    shutil.move(tmp_path / "project", tmp_path / "moved")
    moved = type(folder)(tmp_path / "moved" / "capture_runs" / "run_001")
    assert run_object.find(bpy.context.scene, moved) == item
    import_of(moved)
    assert item["splat_run_id"] == moved.id() != ""


def test_a_result_that_came_while_another_file_was_open_replaces_the_snapshot(extension, make_run, tmp_path):
    folder = make_run(tmp_path, step_200=50)
    item = import_of(folder)
    save(tmp_path / "project.blend")
    watching = extension.module("splat_addon.scene.tasks.watching")
    assert watching.catch_up() == [] and splats() == {"run_001": 50}
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    write(extension, folder, "result", 120)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "project.blend"))
    assert watching.catch_up() == ["run_001"] and splats() == {"run_001": 120}
    assert watching.catch_up() == []
    item = bpy.context.scene.objects["run_001"]
    assert not extension.module("splat_addon.scene.runs.run_object").shows_snapshot(item)


def test_an_edited_snapshot_is_left_alone(extension, make_run, tmp_path):
    folder = make_run(tmp_path, step_200=50)
    item = import_of(folder)
    item.data.attributes["position"].data[0].vector = (9, 9, 9)
    write(extension, folder, "result", 120)
    assert extension.module("splat_addon.scene.tasks.watching").catch_up() == []
    assert splats() == {"run_001": 50}


def test_a_snapshot_does_not_take_a_finished_result_out_of_renders(extension, make_run, tmp_path):
    earlier = import_of(make_run(tmp_path, result=50))
    folder = make_run(tmp_path, "run_002", step_200=60)
    item = import_of(folder)
    assert not earlier.hide_render and earlier.hide_get(), "the viewport shows the snapshot, renders the result"
    assert item.hide_render and not item.hide_get()
    write(extension, folder, "result", 120)
    assert import_of(folder) == item
    assert earlier.hide_render and earlier.hide_get() and not item.hide_render
    assert Path(item["splat_run"]) == folder.path
