"""Train Further in Blender: a run goes on from the splats as they are, wherever they stand, and what was deleted stays
away."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from support.floating_wall import COUNT, FLOATS, WALL, inspect_in_place, photographed_run, wall_and_swarm
from support.recording_layout import drawn
from support.splat_renders import delete_points


@pytest.fixture
def trained_by(extension, trainer_python):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = str(trainer_python)
    yield
    extension.drop(extension.module("splat_addon.scene.tasks.live_run").Watched)
    chosen.trainer_python = ""


@pytest.fixture
def item(extension, trained_by, tmp_path):
    made = photographed_run(extension, tmp_path, hold_out_every=3)
    bpy.context.scene.splat.training_further.steps = 12
    return made


@pytest.fixture
def read(extension):
    return extension.module("splat_addon.gaussians.formats.splat_ply").read_splats


def run_of(extension):
    """The run that was started, and its settings."""
    folder = extension.module("splat_addon.scene.tasks.live_run").current().folder
    return folder, extension.module("splat_addon.run.config").TrainConfig.read(folder.config_file)


def result_of(extension, folder):
    """What came of a run, brought into the scene."""
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    item = bpy.context.active_object
    assert item["splat_run"] == str(folder.path)
    return item


def box(name, center, half):
    mesh = bpy.data.meshes.new(name)
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    mesh.from_pydata(corners, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    made = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(made)
    made.matrix_world = Matrix.Translation(center) @ Matrix.Diagonal((*half, 1))
    bpy.context.view_layer.update()
    return made


def test_untouched_splats_go_on_as_they_are_and_stand_where_they_stood(extension, item, read):
    place = Matrix.Translation((5, 6, 7)) @ Matrix.Rotation(1.0, 4, "X") @ Matrix.Scale(2.0, 4)
    item.matrix_world = place
    bpy.context.view_layer.update()
    before = wall_and_swarm(extension)
    assert bpy.ops.splat.train_further(wait=True) == {"FINISHED"}
    folder, config = run_of(extension)
    start = read(folder.path / "start.ply")
    assert np.array_equal(start.means, before.means) and np.allclose(start.quaternions, before.quaternions, atol=1e-6)
    assert (config.strategy, config.iterations, config.cleared_splats) == ("fixed", 12, "")
    result = result_of(extension, folder)
    assert result != item and item.hide_render and not item.visible_get()
    assert np.allclose(result.matrix_world, place, atol=1e-6)
    assert len(result.data.attributes["position"].data) == COUNT


def test_deleted_and_hidden_splats_stay_away(extension, item, read):
    hiding = extension.module("splat_addon.scene.inspection.choosing")
    delete_points(item, np.arange(COUNT) >= WALL + 10)
    bpy.ops.object.mode_set(mode="OBJECT")
    hiding.hide(item.data, np.arange(WALL + 10) >= WALL)
    assert bpy.ops.splat.train_further(wait=True) == {"FINISHED"}
    folder, config = run_of(extension)
    before = wall_and_swarm(extension)
    assert np.array_equal(read(folder.path / "start.ply").means, before.means[:WALL])
    cleared = read(folder.path / "cleared.ply").means
    assert sorted(map(tuple, cleared)) == sorted(map(tuple, before.means[WALL:]))
    assert (config.strategy, config.target_gaussians) == ("budget", COUNT)


def test_hidden_splats_may_train_on_and_what_was_deleted_may_return(extension, item, read):
    extension.module("splat_addon.scene.inspection.choosing").hide(item.data, FLOATS)
    chosen = bpy.context.scene.splat.training_further
    chosen.without_hidden = chosen.keep_empty = False
    assert bpy.ops.splat.train_further(wait=True) == {"FINISHED"}
    folder, config = run_of(extension)
    assert len(read(folder.path / "start.ply")) == COUNT and config.cleared_splats == ""


def test_delete_and_train_on_leaves_the_object_as_it_is_and_the_floaters_out(extension, item, read):
    inspect_in_place(extension, item)
    assert bpy.ops.splat.train_further(without_floaters=True, wait=True) == {"FINISHED"}
    folder, _ = run_of(extension)
    assert np.array_equal(read(folder.path / "start.ply").means, wall_and_swarm(extension).means[:WALL])
    assert len(item.data.attributes["position"].data) == COUNT
    means = read(folder.splats_file).means
    beside_sky = means[np.linalg.norm(means, axis=1) < 30.0]  # a far shell stands for the sky
    assert len(beside_sky) >= WALL and (beside_sky[:, 2] > 3.0).all(), "nothing hangs where the swarm was"


def test_without_floaters_nothing_is_started(extension, item):
    with pytest.raises(RuntimeError, match="Inspect these splats first"):
        bpy.ops.splat.train_further(without_floaters=True, wait=True)
    inspect_in_place(extension, item)
    bpy.context.scene.splat.inspection.threshold = 9.0
    with pytest.raises(RuntimeError, match=r"No splat has a score above 9"):
        bpy.ops.splat.train_further(without_floaters=True, wait=True)
    bpy.context.scene.splat.inspection.threshold = 0.01
    with pytest.raises(RuntimeError, match="No splats are left to go on from"):
        bpy.ops.splat.train_further(without_floaters=True, wait=True)
    assert extension.module("splat_addon.scene.tasks.live_run").current() is None


def test_a_volume_is_kept_empty_where_it_is_seen(extension, item, read):
    item.matrix_world = Matrix.Translation((0, 0, 10)) @ Matrix.Rotation(0.5, 4, "Y")
    bpy.context.view_layer.update()
    chosen = bpy.context.scene.splat.training_further
    chosen.empty = box("Empty", (0, 0, 0), (1, 1, 1))
    chosen.empty.matrix_world = item.matrix_world @ Matrix.Translation((0.2, 0, 2))
    bpy.context.view_layer.update()
    assert bpy.ops.splat.train_further(wait=True) == {"FINISHED"}
    folder, _ = run_of(extension)
    assert np.array_equal(read(folder.path / "start.ply").means, wall_and_swarm(extension).means[:WALL])
    volume = extension.module("splat_addon.gaussians.closed_mesh").read_volume(folder.path / "empty.obj")
    assert not volume.holds(read(folder.splats_file).means).any()


def test_outside_of_the_trained_volume_every_bit_stays(extension, item, read):
    bpy.context.scene.splat.training_further.trained = box("Trained", (2, 0, 4), (2, 2, 1))
    assert bpy.ops.splat.train_further(wait=True) == {"FINISHED"}
    folder, _ = run_of(extension)
    start, end = read(folder.path / "start.ply"), read(folder.splats_file)
    outside = start.means[:, 0] < 0
    for name in ("means", "log_scales", "quaternions", "logit_opacities"):
        assert np.array_equal(getattr(start, name)[outside], getattr(end, name)[outside]), name
    assert np.array_equal(start.sh[outside, 0], end.sh[outside, 0]) and not end.sh[outside, 1:].any()
    assert not np.array_equal(start.sh[~outside, 0], end.sh[~outside, 0])


def test_a_volume_that_is_open_is_refused(extension, item):
    chosen = bpy.context.scene.splat.training_further
    chosen.empty = bpy.data.objects.new("Plane", bpy.data.meshes.new("Plane"))
    chosen.empty.data.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    bpy.context.scene.collection.objects.link(chosen.empty)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match=r"'Plane' has no inside: its surface is open: 3 edges .*Close it"):
        bpy.ops.splat.train_further(wait=True)


def test_a_run_or_capture_that_is_gone_is_said_in_one_sentence(extension, item, tmp_path):
    (tmp_path / "capture").rename(tmp_path / "elsewhere")
    with pytest.raises(RuntimeError, match=r"trained on, is gone\. Put it back, or choose where it is now"):
        bpy.ops.splat.train_further(wait=True)
    bpy.context.scene.splat.capture.folder = str(tmp_path / "elsewhere")
    assert bpy.ops.splat.train_further(wait=True) == {"FINISHED"}, "it trains where the capture is now"
    (tmp_path / "run").rename(tmp_path / "gone")
    with pytest.raises(RuntimeError, match="which these splats come from, cannot be read"):
        bpy.ops.splat.train_further(wait=True)


def test_a_capture_that_has_changed_since_is_told_where_the_artist_looks(extension, item, tmp_path):
    write_json = extension.module("splat_addon.run.folder").write_json
    write_json(tmp_path / "run" / "about.json", {"capture_fingerprint": "2:another"})
    assert bpy.ops.splat.train_further(wait=True) == {"FINISHED"}
    folder, _ = run_of(extension)
    sentence = "The capture has changed since the splats were trained"
    assert sentence in folder.events_file.read_text(encoding="utf-8")
    write_json(tmp_path / "run" / "about.json", {"capture_fingerprint": folder.capture_fingerprint()})
    assert bpy.ops.splat.train_further(wait=True) == {"FINISHED"}
    again, _ = run_of(extension)
    assert again.path != folder.path and sentence not in again.events_file.read_text(encoding="utf-8")


def test_imported_splats_go_on_with_the_capture_of_the_scene(extension, item, tmp_path, read):
    write = extension.module("splat_addon.gaussians.formats.splat_ply").write_splats
    write(tmp_path / "foreign.ply", wall_and_swarm(extension))
    item.hide_set(True)
    assert bpy.ops.splat.import_ply(filepath=str(tmp_path / "foreign.ply"), axes="Y_UP") == {"FINISHED"}
    foreign = bpy.context.active_object
    with pytest.raises(RuntimeError, match="There are no photos to train these splats on"):
        bpy.ops.splat.train_further(wait=True)
    bpy.context.scene.splat.capture.folder = str(tmp_path / "capture")
    assert bpy.ops.splat.train_further(wait=True) == {"FINISHED"}
    folder, config = run_of(extension)
    assert np.array_equal(read(folder.path / "start.ply").means, wall_and_swarm(extension).means)
    assert config.capture == str(tmp_path / "capture")
    result = result_of(extension, folder)
    assert foreign.hide_render and np.allclose(result.matrix_world, foreign.matrix_world)


def test_one_run_at_a_time_and_only_of_splats_in_object_mode(extension, item):
    bpy.ops.object.mode_set(mode="EDIT")
    assert not bpy.ops.splat.train_further.poll()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bpy.ops.splat.train_further() == {"FINISHED"}
    assert not bpy.ops.splat.train_further.poll()
    extension.module("splat_addon.scene.tasks.live_run").wait()
    assert bpy.ops.splat.train_further.poll()


def test_the_panel_shows_the_choices_and_the_button(extension, item):
    record = drawn(extension.module("panels.train_further").SPLAT_PT_train_further, bpy.context)
    for name in ("steps", "keep_empty", "without_hidden", "empty", "trained"):
        assert ("prop", name) in record
    assert ("operator", "splat.train_further", None) in record
    inspect_in_place(extension, item)
    record = drawn(extension.module("panels.floaters").SPLAT_PT_floaters, bpy.context)
    assert ("operator", "splat.train_further", "Delete and Train On") in record
