"""Floaters in Blender: scores come to the right splats, follow them, and nothing is done by those of other splats."""

import json

import bpy
import numpy as np
import pytest

from support.floating_wall import COUNT, FLOATS, SWARM, WALL, inspect_in_place, photographed_run, wall_and_swarm
from support.recording_layout import drawn, texts
from support.splat_renders import delete_points


@pytest.fixture
def item(extension):
    """An object of these splats, active."""
    data = extension.module("splat_addon.scene.splats.data")
    made = data.splats_to_object(wall_and_swarm(extension), "Wall", bpy.context.scene.collection)
    bpy.context.view_layer.objects.active = made
    bpy.context.view_layer.update()
    return made


@pytest.fixture
def columns(extension):
    return extension.module("splat_addon.scene.inspection.columns")


@pytest.fixture
def choosing(extension):
    return extension.module("splat_addon.scene.inspection.choosing")


def panel_of(extension):
    return extension.module("panels.floaters").SPLAT_PT_floaters


@pytest.fixture
def trained_by(extension, trainer_python):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = str(trainer_python)
    yield
    chosen.trainer_python = ""


@pytest.fixture
def run_object(extension, trained_by, tmp_path):
    return photographed_run(extension, tmp_path)


def test_inspecting_a_run_finds_the_swarm_and_says_so_in_the_panel(extension, run_object, columns, choosing):
    assert bpy.ops.splat.inspect_splats(wait=True) == {"FINISHED"}
    data = run_object.data
    assert columns.is_current(data).all()
    assert (columns.score_of(data)[FLOATS] > 0.74).all() and (columns.score_of(data)[~FLOATS] > 0.74).mean() < 0.01
    evidence = columns.evidence_of(data)
    assert evidence.reach == pytest.approx(4.0, rel=0.05) and len(evidence.view_names) == 6
    assert evidence.distance[FLOATS].mean() == pytest.approx(2.0, rel=0.1)
    bpy.ops.splat.step_region()
    selected = choosing.read_flags(data, choosing._selection(data))
    assert selected[FLOATS].all()
    told = texts(drawn(panel_of(extension), bpy.context))
    assert "Region 1 of" in told and "of the light it shares lands behind it" in told


def test_what_the_timer_takes_in_waits_for_object_mode_and_is_one_undo_step(extension, item, columns, trained_by):
    inspecting = extension.module("splat_addon.scene.tasks.inspecting")
    bpy.ops.ed.undo_push(message="made")
    assert bpy.ops.splat.inspect_splats() == {"FINISHED"}
    bpy.ops.object.mode_set(mode="EDIT")
    while inspecting._inspecting().finished is None:
        assert inspecting.follow() is not None
        if inspecting._inspecting().child is not None:
            inspecting._inspecting().child.join(0.2)
    assert inspecting.follow() is not None and "Waits for Object Mode" in texts(drawn(panel_of(extension), bpy.context))
    bpy.ops.object.mode_set(mode="OBJECT")
    assert inspecting.follow() is None and columns.is_current(item.data).all()
    bpy.ops.ed.undo()
    assert not columns.is_inspected(bpy.data.objects["Wall"].data)
    bpy.ops.ed.redo()
    assert columns.is_current(bpy.data.objects["Wall"].data).all()


def test_splats_that_were_edited_meanwhile_get_no_scores(extension, run_object, columns):
    inspecting = extension.module("splat_addon.scene.tasks.inspecting")
    inspecting.start(bpy.context.scene, run_object)
    assert not bpy.ops.splat.inspect_splats.poll()
    run_object.data.attributes["position"].data[5].vector = (9, 9, 9)
    with pytest.raises(extension.module("splat_addon.errors").RunError, match="made of other splats than these"):
        inspecting.wait()
    assert not columns.is_inspected(run_object.data) and not inspecting.is_running()
    assert "made of other splats" in texts(drawn(panel_of(extension), bpy.context))


def test_without_a_run_or_a_capture_positions_are_judged_and_that_is_said(extension, item, columns, trained_by):
    item.data.attributes["position"].data[3].vector = (90, 90, 90)
    assert bpy.ops.splat.inspect_splats(wait=True) == {"FINISHED"}
    assert int(columns.score_of(item.data).argmax()) == 3 and columns.evidence_of(item.data) is None
    assert "positions alone" in texts(drawn(panel_of(extension), bpy.context))
    with pytest.raises(RuntimeError, match="Without photos, there are no regions"):
        bpy.ops.splat.step_region()


def test_splats_far_from_the_origin_are_known_again(extension, columns, trained_by):
    data = extension.module("splat_addon.scene.splats.data")
    cloud, origin = wall_and_swarm(extension), (456_789.25, 5_432_100.5, 300.0)
    far = data.splats_to_object(cloud, "Far", bpy.context.scene.collection, origin)
    bpy.context.view_layer.objects.active = far
    assert bpy.ops.splat.inspect_splats(wait=True) == {"FINISHED"}
    assert columns.is_current(far.data).all()


def test_a_run_whose_capture_is_gone_is_not_inspected(run_object, tmp_path):
    (tmp_path / "capture").rename(tmp_path / "elsewhere")
    with pytest.raises(RuntimeError, match=r"is gone\. Put it back, or choose where it is now"):
        bpy.ops.splat.inspect_splats(wait=True)
    assert bpy.ops.splat.inspect_splats.poll()


def test_splats_that_no_photo_sees_are_not_scored_and_that_is_said(extension, run_object, columns):
    positions = np.empty(3 * COUNT, np.float32)
    run_object.data.attributes["position"].data.foreach_get("vector", positions)
    run_object.data.attributes["position"].data.foreach_set("vector", positions * np.float32(-1))
    with pytest.raises(RuntimeError, match=r"No photo of the capture sees these splats\. Choose the capture that they"):
        bpy.ops.splat.inspect_splats(wait=True)
    assert not columns.is_inspected(run_object.data)
    assert "No photo of the capture sees" in texts(drawn(panel_of(extension), bpy.context))


def test_what_is_doubtful_about_the_photos_is_said_in_the_panel(extension, run_object, columns, tmp_path):
    (tmp_path / "run" / "about.json").write_text('{"capture_fingerprint": "2:another"}')
    listed = tmp_path / "capture" / "transforms.json"
    document = json.loads(listed.read_text())
    listed.write_text(json.dumps(document | {"frames": document["frames"][:1]}))
    assert bpy.ops.splat.inspect_splats(wait=True) == {"FINISHED"}
    told = texts(drawn(panel_of(extension), bpy.context))
    assert "capture has changed since" in told and "One photo alone cannot tell how far away anything is" in told
    assert columns.is_current(run_object.data).all() and not (columns.score_of(run_object.data) > 0.74).any()


def test_what_was_cancelled_leaves_nothing_behind(extension, run_object, columns):
    inspecting = extension.module("splat_addon.scene.tasks.inspecting")
    inspecting.start(bpy.context.scene, run_object)
    folder = inspecting._inspecting().folder
    assert "Cancel" not in texts(drawn(panel_of(extension), bpy.context)) and folder.is_dir()
    assert ("operator", "splat.cancel_inspection", "") in drawn(panel_of(extension), bpy.context)
    assert bpy.ops.splat.cancel_inspection() == {"FINISHED"}
    assert not folder.exists() and not columns.is_inspected(run_object.data)
    assert inspecting.follow() is None


def test_evidence_comes_back_from_the_attributes_as_it_was(extension, item, columns):
    inspect_in_place(extension, item)
    evidence = columns.evidence_of(item.data)
    assert (evidence.used_by == np.uint64(1 << 63 | 1 << 31 | 2)).all()
    assert evidence.views_of(0) == ["P_1", "P_31", "P_63"] and (evidence.used == 3).all()
    assert np.array_equal(evidence.weight, np.arange(COUNT)) and evidence.distance[WALL] == 2
    floats = extension.module("splat_addon.scene.viewport.texels").float_attributes(item.data)
    assert [name for name in floats if name.startswith("floater")] == [
        *("floater_behind", "floater_distance", "floater_gap", "floater_gap_others"),
        *("floater_lonely", "floater_looked_through", "floater_reason", "floater_score", "floater_views"),
    ]


def test_scores_follow_their_splats_when_others_are_deleted(extension, item, columns):
    inspect_in_place(extension, item)
    before, doomed = columns.score_of(item.data), np.arange(COUNT) % 3 == 0
    delete_points(item, doomed)
    bpy.ops.object.mode_set(mode="OBJECT")
    assert np.array_equal(columns.score_of(item.data), before[~doomed])
    assert columns.is_current(item.data).all()


def test_scores_of_edited_splats_are_not_used(extension, item, columns):
    inspect_in_place(extension, item)
    item.data.attributes["position"].data[WALL].vector = (0, 0, 1)
    item.data.attributes["scale"].data[WALL + 1].vector = (1, 1, 1)
    item.data.update_tag()
    bpy.context.view_layer.update()
    assert np.flatnonzero(~columns.is_current(item.data)).tolist() == [WALL, WALL + 1]
    told = texts(drawn(panel_of(extension), bpy.context))
    assert "2 splats are not what was inspected: their scores are not used." in told and "18 splats are above" in told
    assert bpy.ops.splat.delete_floaters() == {"FINISHED"}
    assert len(columns.score_of(item.data)) == COUNT - 18
    assert np.allclose(item.data.attributes["position"].data[WALL].vector, (0, 0, 1)), "it was not deleted"


def test_splats_that_are_joined_to_others_have_no_scores_of_theirs(extension, item, columns):
    data = extension.module("splat_addon.scene.splats.data")
    inspect_in_place(extension, item)
    other = data.splats_to_object(wall_and_swarm(extension), "Other", bpy.context.scene.collection)
    for one in (item, other):
        one.select_set(True)
    bpy.context.view_layer.objects.active = item
    assert bpy.ops.object.join() == {"FINISHED"}
    assert len(columns.score_of(item.data)) == 2 * COUNT and columns.is_current(item.data).sum() == COUNT


@pytest.mark.parametrize("about", [7, "text", {"salt": "x", "reach": 1.0}, {"salt": 3.5, "views": "[", "reach": "y"}])
def test_what_others_wrote_under_our_name_is_not_believed(extension, item, columns, about):
    inspect_in_place(extension, item)
    item.data[columns.KEY] = about
    item.data.update_tag()
    bpy.context.view_layer.update()
    assert not columns.is_current(item.data).any() and columns.evidence_of(item.data) is None
    told = texts(drawn(panel_of(extension), bpy.context))
    assert "620 splats are not what was inspected" in told or "Another version of the add-on has inspected" in told


@pytest.mark.parametrize("version", [None, 1, "text"])
def test_scores_of_another_version_are_not_used(extension, item, columns, trained_by, version):
    inspect_in_place(extension, item)
    about = item.data[columns.KEY].to_dict()
    del about["version"]
    item.data[columns.KEY] = about if version is None else about | {"version": version}
    item.data.update_tag()
    bpy.context.view_layer.update()
    assert "Another version of the add-on has inspected" in texts(drawn(panel_of(extension), bpy.context))
    for operator in (bpy.ops.splat.delete_floaters, bpy.ops.splat.hide_floaters, bpy.ops.splat.step_region):
        assert not operator.poll()
    with pytest.raises(RuntimeError, match="Another version of the add-on has inspected these splats"):
        bpy.ops.splat.train_further(without_floaters=True, wait=True)
    inspect_in_place(extension, item)
    assert bpy.ops.splat.delete_floaters() == {"FINISHED"} and len(columns.score_of(item.data)) == WALL


def test_nothing_and_everything_are_said_with_a_remedy(extension, item, choosing):
    inspect_in_place(extension, item)
    chosen, operators = bpy.context.scene.splat.inspection, bpy.ops.splat
    choosing.select(item.data, np.zeros(COUNT, bool))
    for operator in (operators.keep_splats, operators.mark_reflections):
        with pytest.raises(RuntimeError, match=r"No splat is selected\. Select some in Edit Mode"):
            operator()
    chosen.threshold = 9.0
    for operator in (operators.select_floaters, operators.hide_floaters, operators.delete_floaters):
        with pytest.raises(RuntimeError, match=r"No splat has a score above 9\. Choose a lower score"):
            operator()
    chosen.threshold = 0.0
    assert operators.hide_floaters() == {"FINISHED"} and choosing.hidden(item.data).all()
    with pytest.raises(RuntimeError, match=r"No splat that is shown has a score above 0\. Choose a lower score"):
        operators.step_region()
    with pytest.raises(RuntimeError, match="Every splat would be deleted"):
        operators.delete_floaters()
    assert operators.show_hidden() == {"FINISHED"} and not choosing.hidden(item.data).any()
    choosing.select(item.data, np.ones(COUNT, bool))
    assert operators.keep_splats() == {"FINISHED"}
    with pytest.raises(RuntimeError, match="No splat has a score above 0"):
        operators.delete_floaters()


def test_where_all_splats_are_others_nothing_can_be_done(extension, item, columns):
    inspect_in_place(extension, item)
    positions = np.zeros(3 * COUNT, np.float32)
    item.data.attributes["position"].data.foreach_get("vector", positions)
    item.data.attributes["position"].data.foreach_set("vector", positions + np.float32(0.5))
    item.data.update_tag()
    bpy.context.view_layer.update()
    assert not columns.is_current(item.data).any()
    assert not bpy.ops.splat.delete_floaters.poll() and not bpy.ops.splat.select_floaters.poll()


def test_selecting_leaves_out_what_is_kept_and_what_scores_lower(extension, item, choosing):
    inspect_in_place(extension, item)
    bpy.context.scene.splat.inspection.threshold = 1 + (WALL + 4.5) / 1000
    bpy.ops.splat.select_floaters()
    name = choosing._selection(item.data)
    assert np.flatnonzero(choosing.read_flags(item.data, name)).tolist() == list(range(WALL + 5, COUNT))
    bpy.ops.splat.keep_splats()
    bpy.context.scene.splat.inspection.threshold = 0.8
    bpy.ops.splat.select_floaters()
    assert np.flatnonzero(choosing.read_flags(item.data, name)).tolist() == list(range(WALL, WALL + 5))
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.object.mode_set(mode="OBJECT")
    assert choosing.read_flags(item.data, name).sum() == 5, "edit mode takes the selection over"
    choosing.select(item.data, FLOATS)
    bpy.ops.splat.keep_splats(keep=False)
    assert choosing.floaters(item.data, 0.8).sum() == SWARM


def test_hiding_is_what_the_viewport_leaves_out_and_comes_back(extension, item):
    inspect_in_place(extension, item)
    texels = extension.module("splat_addon.scene.viewport.texels")
    bpy.ops.splat.hide_floaters()
    bpy.context.view_layer.update()
    assert np.array_equal(texels._shown(item.data, COUNT), ~FLOATS)
    assert item.data.attributes["splat_hidden"].data[WALL].value, "renders by quads leave it out"
    bpy.ops.splat.show_hidden()
    assert texels._shown(item.data, COUNT) is None and not item.data.attributes["splat_hidden"].data[WALL].value


def test_deleting_takes_the_floaters_and_leaves_the_others_as_they_were(extension, item):
    inspect_in_place(extension, item)
    read = extension.module("splat_addon.scene.splats.data").splats_from_object
    before = read(item)
    bpy.ops.splat.delete_floaters()
    after = read(item)
    for name in ("means", "log_scales", "quaternions", "logit_opacities", "sh"):
        assert np.array_equal(getattr(after, name), getattr(before, name)[~FLOATS]), name
    with pytest.raises(RuntimeError, match=r"No splat has a score above 0\.74"):
        bpy.ops.splat.delete_floaters()
    bpy.context.scene.splat.inspection.threshold = 0.05
    with pytest.raises(RuntimeError, match="Every splat would be deleted"):
        bpy.ops.splat.delete_floaters()


def test_undo_brings_deleted_splats_and_their_scores_back(extension, item, columns):
    inspect_in_place(extension, item)
    bpy.ops.ed.undo_push(message="inspected")
    bpy.ops.splat.delete_floaters()
    bpy.ops.ed.undo_push(message="deleted")
    bpy.ops.ed.undo()
    data = bpy.data.objects["Wall"].data
    assert len(columns.score_of(data)) == COUNT and columns.is_current(data).all()


def test_scores_are_kept_in_the_file(extension, item, columns, tmp_path):
    inspect_in_place(extension, item)
    before = columns.score_of(item.data)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "inspected.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "inspected.blend"))
    data = bpy.data.objects["Wall"].data
    assert np.array_equal(columns.score_of(data), before) and columns.is_current(data).all()
    assert columns.evidence_of(data).views_of(0) == ["P_1", "P_31", "P_63"]


def test_showing_the_score_colors_the_viewport_by_it_and_back(extension, item):
    inspect_in_place(extension, item)
    chosen = bpy.context.scene.splat.viewport
    bpy.ops.splat.show_floater_score()
    assert (chosen.color_by, chosen.attribute) == ("ATTRIBUTE", "floater_score")
    bpy.ops.splat.show_floater_score()
    assert chosen.color_by == "RADIANCE"


def test_the_panel_says_what_can_be_done_and_what_deleting_costs(extension, item):
    panel = panel_of(extension)
    assert ("operator", "splat.delete_floaters", None) not in drawn(panel, bpy.context)
    inspect_in_place(extension, item)
    record = drawn(panel, bpy.context)
    assert ("operator", "splat.delete_floaters", None) in record and ("prop", "threshold") in record
    assert "Deleting alone leaves holes" in texts(record) and "Training on closes them" in texts(record)
    assert "mirrors and glass" in texts(record) and "plain walls" in texts(record)


def test_a_view_is_framed_on_the_region(extension, item):
    stepping = extension.module("splat_addon.scene.inspection.stepping")
    inspect_in_place(extension, item)
    item.matrix_world = np.diag((2.0, 2.0, 2.0, 1.0))
    bpy.context.view_layer.update()
    region = stepping.step(item, 0.8, 1)
    assert sorted(region.splats.tolist()) == list(range(WALL, COUNT))
    view = type("View", (), {"view_perspective": "CAMERA"})()
    stepping.frame(view, item, region)
    assert np.allclose(view.view_location, 2 * region.center) and view.view_perspective == "PERSP"
    assert view.view_distance == pytest.approx(12 * region.radius)


@pytest.fixture
def previewing(extension, trained_by):
    yield extension.module("splat_addon.scene.tasks.previewing_removal")
    extension.drop(extension.module("splat_addon.scene.tasks.previewing_removal").Previewing)


def test_a_removal_is_measured_on_held_out_views_before_it_is_done(extension, previewing, tmp_path):
    item = photographed_run(extension, tmp_path, hold_out_every=3)
    inspect_in_place(extension, item)
    assert bpy.ops.splat.preview_removal(wait=True) == {"FINISHED"}
    measured = previewing.measured_of(item)
    assert measured.count == SWARM and measured.removal.views == 2 and measured.removal.holes == 0
    assert measured.removal.psnr_db[0] != measured.removal.psnr_db[1]
    assert len(item.data.attributes["position"].data) == COUNT and not previewing.is_running()
    told = texts(drawn(panel_of(extension), bpy.context))
    before, after = measured.removal.psnr_db
    assert "Without these 20 splats:" in told and f"{before:.2f} to {after:.2f} dB" in told
    assert "0.00% of the pixels" in told
    picture = bpy.data.images[previewing.PICTURE]
    assert tuple(picture.size) == (3 * 64, 2 * 48), "two views: photo, before and after"
    bpy.context.scene.splat.inspection.threshold = 1 + (WALL + 4.5) / 1000
    assert "Without 20 splats, others than now:" in texts(drawn(panel_of(extension), bpy.context))


def test_removing_the_selected_wall_leaves_holes(extension, previewing, choosing, tmp_path):
    item = photographed_run(extension, tmp_path, hold_out_every=3)
    choosing.select(item.data, np.zeros(COUNT, bool))
    with pytest.raises(RuntimeError, match="No splat is selected"):
        bpy.ops.splat.preview_removal(selected=True, wait=True)
    choosing.select(item.data, ~FLOATS)
    assert bpy.ops.splat.preview_removal(selected=True, wait=True) == {"FINISHED"}
    removal = previewing.measured_of(item).removal
    assert removal.holes > 0.8 and removal.worst_view in ("0", "3")
    choosing.select(item.data, np.ones(COUNT, bool))
    with pytest.raises(RuntimeError, match="Every splat that is shown would be removed"):
        bpy.ops.splat.preview_removal(selected=True, wait=True)


def test_a_preview_that_cannot_be_made_says_why_and_leaves_nothing(extension, previewing, choosing, tmp_path):
    item = photographed_run(extension, tmp_path, hold_out_every=0)
    choosing.select(item.data, FLOATS)
    with pytest.raises(RuntimeError, match="No view is held out to measure on"):
        bpy.ops.splat.preview_removal(selected=True, wait=True)
    assert "No view is held out" in " ".join(previewing.said_of(item)) and previewing._previewing().folder is None
    (tmp_path / "capture").rename(tmp_path / "elsewhere")
    with pytest.raises(RuntimeError, match=r"trained on, is gone\. Put it back"):
        bpy.ops.splat.preview_removal(selected=True, wait=True)


def test_a_preview_is_followed_by_the_timer_and_can_be_cancelled(extension, previewing, choosing, tmp_path):
    item = photographed_run(extension, tmp_path, hold_out_every=3)
    choosing.select(item.data, FLOATS)
    assert bpy.ops.splat.preview_removal(selected=True) == {"FINISHED"}
    folder = previewing._previewing().folder
    assert not bpy.ops.splat.preview_removal.poll() and bpy.ops.splat.cancel_removal_preview() == {"FINISHED"}
    assert not folder.exists() and previewing.follow() is None and previewing.measured_of(item) is None
    assert bpy.ops.splat.preview_removal(selected=True) == {"FINISHED"}
    while previewing.follow() is not None:
        previewing._previewing().child.join(0.2)
    assert previewing.measured_of(item).count == SWARM
