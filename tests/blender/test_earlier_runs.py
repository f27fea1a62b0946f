"""A second run of the same capture: its splats take the place of the first one's, which are hidden and kept."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix


@pytest.fixture
def runs(extension, tmp_path):
    """Two runs of one capture, and one of another, each with three splats; returns their folders."""
    config = extension.module("splat_addon.run.config").TrainConfig
    folder = extension.module("splat_addon.run.folder").RunFolder
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        np.eye(3), np.full((3, 3), -3.0), np.ones((3, 4)), np.zeros(3), np.zeros((3, 1, 3))
    )
    made = []
    for capture, name in (("vase", "run_001"), ("vase", "run_002"), ("bowl", "run_003")):
        run = folder.create(tmp_path / f"{capture}_runs" / name, config(capture=str(tmp_path / capture)))
        extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(run.splats_file, cloud)
        made.append(run)
    return made


def bring_in(run):
    """Import a run's splats as the artist does; returns the object."""
    bpy.context.scene.splat.run_folder = str(run.path)
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    return bpy.context.view_layer.objects.active


def is_seen(item) -> bool:
    return item.visible_get() and not item.hide_render


def test_a_new_result_hides_the_earlier_one_and_changes_nothing_else_of_it(runs):
    first = bring_in(runs[0])
    data = first.data
    second = bring_in(runs[1])
    assert is_seen(second) and not first.visible_get() and first.hide_render
    assert first.data == data and first.name == "run_001" and len(data.attributes["position"].data) == 3


def test_the_report_says_what_was_hidden(extension, runs, monkeypatch):
    operator = extension.module("operators.splats.result").SPLAT_OT_import_result
    said = []
    bring_in(runs[0])
    bpy.context.scene.splat.run_folder = str(runs[1].path)
    members = {"report": lambda self, kinds, text: said.append(text), "bl_options": operator.bl_options}
    stand_in = type("StandIn", (), members)()
    operator.execute(stand_in, bpy.context)
    operator.execute(stand_in, bpy.context)
    assert said == ["Imported 3 splats from splats.ply; run_001 in the same place is hidden"] * 2
    first = bpy.data.objects["run_001"]
    first.hide_render = False
    first.hide_set(False)
    first.location.x = 3
    operator.execute(stand_in, bpy.context)
    assert said[2] == "Imported 3 splats from splats.ply"


def test_bringing_the_earlier_run_in_again_shows_it_in_the_place_of_the_later(runs):
    first, second = bring_in(runs[0]), bring_in(runs[1])
    assert bring_in(runs[0]) == first
    assert is_seen(first) and not second.visible_get() and second.hide_render


def test_what_the_artist_hid_stays_hidden(runs):
    first = bring_in(runs[0])
    first.hide_render = True
    bring_in(runs[0])
    assert first.hide_render and first.visible_get()


def test_splats_that_lie_elsewhere_or_are_of_another_capture_stay(runs):
    other = bring_in(runs[2])
    first = bring_in(runs[0])
    first.matrix_world = Matrix.Translation((3, 0, 0))
    bpy.context.view_layer.update()
    second = bring_in(runs[1])
    assert all(map(is_seen, (other, first, second)))


def test_splats_that_became_the_artists_own_stay(extension, runs):
    first = bring_in(runs[0])
    extension.module("splat_addon.scene.runs.run_object").give_away(first)
    bring_in(runs[1])
    assert is_seen(first)


def test_hiding_the_earlier_run_is_undone_with_the_import(runs):
    bring_in(runs[0])
    bpy.ops.ed.undo_push(message="first")
    bring_in(runs[1])
    bpy.ops.ed.undo_push(message="second")
    bpy.ops.ed.undo()
    first = bpy.data.objects["run_001"]
    assert is_seen(first) and "run_002" not in bpy.data.objects


def test_a_run_without_its_folder_hides_nothing_and_raises_nothing(runs, tmp_path):
    first = bring_in(runs[0])
    (tmp_path / "vase_runs" / "run_001").rename(tmp_path / "gone")
    second = bring_in(runs[1])
    assert is_seen(first) and is_seen(second), "nobody knows what it was trained on"
