"""What stands out in the viewport, the cameras drawn with a region, reflections, colors and the histogram."""

import bpy
import numpy as np
import pytest

from support.floating_wall import COUNT, FLOATS, SWARM, WALL, inspect_in_place, wall_and_swarm
from support.recording_layout import drawn, texts


@pytest.fixture
def item(extension):
    data = extension.module("splat_addon.scene.splats.data")
    made = data.splats_to_object(wall_and_swarm(extension), "Wall", bpy.context.scene.collection)
    bpy.context.view_layer.objects.active = made
    bpy.context.view_layer.update()
    inspect_in_place(extension, made)
    yield made
    extension.module("splat_addon.scene.viewport.standing_out").show(None)


@pytest.fixture
def shown(extension):
    """What the viewport is told."""
    return extension.module("splat_addon.scene.viewport.standing_out").state()


@pytest.fixture
def choosing(extension):
    return extension.module("splat_addon.scene.inspection.choosing")


def bright(shown, item):
    return shown.ghost.bright[item.data.session_uid]


def test_ghost_lets_stand_out_what_is_above_the_score_and_follows_the_slider(item, shown):
    chosen = bpy.context.scene.splat.inspection
    assert shown.ghost is None
    chosen.ghost = True
    assert np.array_equal(bright(shown, item), FLOATS)
    first = shown.ghost.token
    chosen.threshold = 1 + (WALL + 4.5) / 1000
    assert np.flatnonzero(bright(shown, item)).tolist() == list(range(WALL + 5, COUNT)) and shown.ghost.token != first
    chosen.ghost = False
    assert shown.ghost is None


def test_a_region_stands_out_and_its_cameras_look_at_it(extension, item, shown):
    chosen = bpy.context.scene.splat.inspection
    item.data["splat_inspection"]["view_positions"] = [float(number) for number in range(3 * 64)]
    chosen.ghost = True
    bpy.ops.splat.step_region()
    assert np.array_equal(bright(shown, item), FLOATS)
    rays = shown.rays[item.data.session_uid]
    # three cameras use every splat: 1, 31 and 63; a line to the center, and the eight edges of a pyramid each
    assert rays.shape == (3 * 2 * 9, 3)
    assert np.array_equal(rays[::18], [[3, 4, 5], [93, 94, 95], [189, 190, 191]])
    center = item.data.attributes["position"].data[WALL].vector
    assert np.allclose(rays[1::18], rays[1]) and np.linalg.norm(rays[1] - np.array(center)) < 0.5
    chosen.threshold = 0.9
    assert not shown.rays, "another score, other regions"


def test_cameras_that_an_earlier_inspection_does_not_know_are_not_drawn(extension, item, shown):
    del item.data["splat_inspection"]["view_positions"]
    bpy.context.scene.splat.inspection.ghost = True
    bpy.ops.splat.step_region()
    assert len(shown.rays[item.data.session_uid]) == 0 and bright(shown, item).sum() == SWARM


def test_kept_splats_and_reflections_do_not_stand_out_and_are_not_offered(extension, item, shown, choosing):
    bpy.context.scene.splat.inspection.ghost = True
    choosing.select(item.data, np.arange(COUNT) >= WALL + 15)
    bpy.ops.splat.keep_splats()
    choosing.select(item.data, np.arange(COUNT) // 5 == (WALL + 10) // 5)
    assert bpy.ops.splat.mark_reflections() == {"FINISHED"}
    assert np.flatnonzero(bright(shown, item)).tolist() == list(range(WALL, WALL + 10))
    panel = extension.module("panels.floaters").SPLAT_PT_floaters
    told = texts(drawn(panel, bpy.context))
    assert "5 splats are taken for reflections, and not offered for removal" in told and "10 splats are above" in told
    bpy.ops.splat.select_floaters()
    assert np.flatnonzero(choosing.selected(item.data)).tolist() == list(range(WALL, WALL + 10))
    bpy.ops.splat.delete_floaters()
    assert len(item.data.attributes["position"].data) == COUNT - 10
    choosing.select(item.data, np.ones(COUNT - 10, bool))
    bpy.ops.splat.mark_reflections(mark=False)
    assert "reflections, and not offered" not in texts(drawn(panel, bpy.context))


def test_detected_reflections_are_not_offered_either(extension, item, choosing):
    kinds = np.where(np.arange(COUNT) >= WALL + 10, 4, 0).astype(np.float32)
    item.data.attributes[".floater_kind"].data.foreach_set("value", kinds)
    assert choosing.floaters(item.data, 0.8).sum() == 10


def test_reflections_are_kept_in_the_file(item, choosing, tmp_path):
    choosing.select(item.data, FLOATS)
    bpy.ops.splat.mark_reflections()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "marked.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "marked.blend"))
    assert not choosing.floaters(bpy.data.objects["Wall"].data, 0.8).any()


def test_colors_are_chosen_where_the_floaters_are(extension, item):
    scene = bpy.context.scene.splat
    assert scene.inspection.color == "NONE"
    for name in ("floater_score", "floater_reason", "floater_gap", "floater_views"):
        scene.inspection.color = name
        assert (scene.viewport.color_by, scene.viewport.attribute) == ("ATTRIBUTE", name)
        assert scene.inspection.color == name
    scene.inspection.color = "NONE"
    assert scene.viewport.color_by == "RADIANCE"
    reason = np.zeros(COUNT, np.float32)
    item.data.attributes["floater_reason"].data.foreach_get("value", reason)
    assert (reason[FLOATS] == 1).all() and (reason[~FLOATS] == 0).all(), "light lands behind them"


def test_a_histogram_counts_scores_and_marks_those_above(extension, item):
    module = extension.module("splat_addon.scene.inspection.histogram")
    scores = extension.module("splat_addon.scene.inspection.found").scores(item.data)
    counts = module.counts_of(scores)
    assert counts.sum() == COUNT and counts[int(0.1 / module.HIGHEST * module.BARS)] == WALL
    assert counts[-1] == SWARM, "what is higher is in the last bar"
    pixels = module.paint(counts, 0.8, 240)
    assert pixels.shape == (120, 240, 3)
    bottom = pixels[-1]
    assert tuple(bottom[18]) == module._BELOW and tuple(bottom[238]) == module._ABOVE
    assert tuple(bottom[127]) == module._LINE
    item.data.attributes["position"].data[0].vector = (9, 9, 9)
    item.data.update_tag()
    bpy.context.view_layer.update()
    scores = extension.module("splat_addon.scene.inspection.found").scores(item.data)
    assert module.counts_of(scores).sum() == COUNT - 1, "stale scores are not counted"


def test_undo_brings_what_stands_out_up_to_date(item, shown, choosing):
    bpy.context.scene.splat.inspection.ghost = True
    bpy.ops.ed.undo_push(message="ghost")
    choosing.select(item.data, FLOATS)
    bpy.ops.splat.keep_splats()
    bpy.ops.ed.undo_push(message="kept")
    assert not bright(shown, item).any()
    bpy.ops.ed.undo()
    data = bpy.data.objects["Wall"].data
    assert np.array_equal(shown.ghost.bright[data.session_uid], FLOATS)
