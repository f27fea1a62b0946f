"""Splats in the viewport: what is shown, where it is packed, in which order, and that nothing stays behind."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from support.recording_layout import drawn, texts


@pytest.fixture
def viewport(extension):
    return extension.module("splat_addon.scene.viewport.display")


@pytest.fixture
def texels(extension):
    return extension.module("splat_addon.scene.viewport.texels")


@pytest.fixture
def ordering(extension):
    return extension.module("splat_addon.scene.viewport.order")


def make_cloud(extension, count=40, seed=0, degree=3):
    random = np.random.default_rng(seed)
    return extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=random.normal(size=(count, 3)),
        log_scales=random.normal(-2, 0.5, size=(count, 3)),
        quaternions=random.normal(size=(count, 4)),
        logit_opacities=random.normal(size=count),
        sh=random.normal(0, 0.5, size=(count, (degree + 1) ** 2, 3)),
    )


def make_splats(extension, name="Splats", **options):
    cloud = make_cloud(extension, **options)
    module = extension.module("splat_addon.scene.splats.data")
    item = module.splats_to_object(cloud, name, bpy.context.scene.collection)
    extension.module("splat_addon.scene.splats.box_modifier").hand_over(bpy.context.scene)
    bpy.context.view_layer.update()
    return item, cloud


# --- Order -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_perspective", [True, False])
def test_few_splats_are_ordered_exactly_far_to_near(ordering, is_perspective):
    depths = np.random.default_rng(1).normal(5, 2, 1000).astype(np.float32)
    order = ordering.far_to_near(depths, is_perspective=is_perspective)
    assert (np.diff(depths[order]) <= 0).all() and len(set(order)) == 1000


@pytest.mark.parametrize("is_perspective", [True, False])
def test_many_splats_are_ordered_to_a_fraction_of_their_distance_even_among_outliers(ordering, is_perspective):
    random = np.random.default_rng(2)
    depths = random.uniform(2, 8, 200_000).astype(np.float32)
    depths[:50], depths[50:100] = random.uniform(500, 1000, 50), random.uniform(-300, 0, 50)
    order = ordering.far_to_near(depths, is_perspective=is_perspective)
    assert sorted(order) == list(range(len(depths)))
    sorted_depths = depths[order].astype(np.float64)
    too_far = np.maximum.accumulate(sorted_depths[::-1])[::-1] - sorted_depths  # how much farther a later one is
    inside = (sorted_depths > 2) & (sorted_depths < 8)
    assert too_far[inside].max() < 0.003, "in a scene six units deep"
    assert (too_far / np.maximum(np.abs(sorted_depths), 1)).max() < 0.002


def test_of_equal_depths_the_first_is_drawn_last(ordering):
    """So it lies on top, as the trainer has it."""
    assert list(ordering.far_to_near(np.zeros(5, np.float32), is_perspective=True)) == [4, 3, 2, 1, 0]
    assert (np.diff(ordering.far_to_near(np.full(60_000, 3, np.float32), is_perspective=True)) == -1).all()


def test_an_order_holds_while_the_view_moves_but_does_not_turn(ordering):
    rows = np.array([[0, 0, 1, 5.0], [0, 0.6, 0.8, 7.0]])
    done = ordering.SortedView(rows, True, "splats")
    assert done.holds_for(rows, True, "splats")
    assert done.holds_for(rows + [0, 0, 0, 0.1], True, "splats"), "a little nearer, all alike"
    assert not done.holds_for(rows + [0, 0, 0, 3.0], True, "splats"), "much nearer: rounded depths are taken anew"
    assert not done.holds_for(rows + [[0, 0, 0, 0.1], [0, 0, 0, 0]], True, "splats"), "one object moved"
    assert not done.holds_for(rows + [0.001, 0, 0, 0], True, "splats"), "turned"
    assert not done.holds_for(rows, False, "splats") and not done.holds_for(rows, True, "others")


def test_a_depth_row_gives_the_distance_along_the_view(ordering):
    frame = np.array(Matrix.Translation((0, 0, -4)) @ Matrix.Rotation(0.5, 4, "X") @ Matrix.Scale(2, 4))
    point = np.array([0.3, -0.2, 0.7, 1])
    assert np.isclose(ordering.depth_row(frame) @ point, -(frame @ point)[2])


# --- Packing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("degree", "width"), [(0, 4), (1, 7), (2, 10), (3, 15)])
def test_texels_hold_every_number_of_a_splat(extension, texels, degree, width):
    item, cloud = make_splats(extension, degree=degree)
    numbers = np.full((40, 4 * width), 99, dtype=np.float32)
    packed = texels.pack(item.data, numbers, degree)
    assert texels.TEXELS[degree] == width and packed.degree == degree and packed.is_shown is None
    assert np.array_equal(packed.positions, cloud.means) and np.array_equal(numbers[:, :3], cloud.means)
    assert np.allclose(numbers[:, 3], cloud.opacities, atol=1e-6)
    assert np.allclose(numbers[:, 4:8], cloud.rotations, atol=1e-6)
    assert np.allclose(numbers[:, 8:11], cloud.scales, rtol=1e-5)
    assert np.array_equal(numbers[:, 12:15], cloud.sh[:, 0])
    higher = np.concatenate([numbers[:, 16:], numbers[:, 11:12]], axis=1) if degree == 3 else numbers[:, 16:]
    count = 3 * (cloud.sh.shape[1] - 1)
    assert np.array_equal(higher[:, :count], cloud.sh[:, 1:].reshape(40, -1))


def test_harmonics_that_a_block_lacks_are_packed_as_zero(extension, texels):
    item, cloud = make_splats(extension, degree=1)
    numbers = np.full((40, 60), 99, dtype=np.float32)
    assert texels.pack(item.data, numbers, 3).degree == 1
    assert np.array_equal(numbers[:, 16:25], cloud.sh[:, 1:].reshape(40, 9))
    assert not numbers[:, 25:].any() and not numbers[:, 11].any()


def test_whole_splats_fit_in_each_row_of_the_texture(texels):
    for count in (0, 1, 1092, 1093, 1_000_000, 16_000_000):
        per_row, width, height = texels.texture_shape(count, 3, 16384)
        assert width == 15 * per_row <= 16384 and per_row * height >= count and height <= 16384


def test_fingerprints_tell_apart_what_looks_different(extension, texels):
    item, _ = make_splats(extension)
    before = texels.fingerprint(item.data)
    assert texels.fingerprint(item.data) == before
    item.data.attributes["radiance:base"].data.foreach_set(
        "vector" if item.data.attributes["radiance:base"].data_type == "FLOAT4" else "color",
        np.zeros(160, np.float32),
    )
    assert texels.fingerprint(item.data) != before


def test_splats_that_are_marked_as_hidden_are_not_drawn_and_a_change_of_that_is_noticed(extension, texels):
    item, _ = make_splats(extension)
    before = texels.fingerprint(item.data)
    hidden = item.data.attributes.new(
        extension.module("splat_addon.scene.splats.hidden_points").HIDDEN, "BOOLEAN", "POINT"
    )
    hidden.data.foreach_set("value", [index % 2 == 0 for index in range(40)])
    packed = texels.pack(item.data, np.empty((40, 60), dtype=np.float32), 3)
    assert packed.is_shown.tolist() == [False, True] * 20
    marked = texels.fingerprint(item.data)
    hidden.data.foreach_set("value", [False] * 40)
    assert len({before, marked, texels.fingerprint(item.data)}) == 3
    assert texels.pack(item.data, np.empty((40, 60), dtype=np.float32), 3).is_shown is None


def test_numbers_for_the_ramp_are_found_by_what_they_mean(extension, texels):
    item, cloud = make_splats(extension)
    score = np.linspace(-3, 3, 40).astype(np.float32)
    item.data.attributes.new("floater_score", "FLOAT", "POINT")
    item.data.attributes["floater_score"].data.foreach_set("value", score)
    assert texels.float_attributes(item.data) == ["floater_score"]
    assert np.array_equal(texels.numbers_for_ramp(item.data, "ATTRIBUTE", "floater_score"), score)
    assert np.allclose(texels.numbers_for_ramp(item.data, "OPACITY", ""), cloud.opacities, atol=1e-6)
    assert np.allclose(10 ** texels.numbers_for_ramp(item.data, "SIZE", ""), cloud.scales.max(axis=1), rtol=1e-4)
    assert np.isnan(texels.numbers_for_ramp(item.data, "ATTRIBUTE", "no such")).all()


def test_a_few_outliers_do_not_take_the_whole_ramp(texels):
    values = np.concatenate([np.linspace(0, 1, 10_000), [1e6, np.nan]]).astype(np.float32)
    low, high = texels.ramp_range(values, "ATTRIBUTE")
    assert abs(low - 0.01) < 0.01 and abs(high - 0.99) < 0.01
    places = texels.ramp_places(values, low, high)
    assert places[-1] == -1 and places[-2] == 1 and abs(places[5000] - 0.5) < 0.01
    assert texels.ramp_range(values, "OPACITY") == (0, 1)
    assert (
        texels.ramp_range(np.full(5, 7.0), "ATTRIBUTE") == (7, 7)
        and (texels.ramp_places(np.full(5, 7.0), 7, 7) == 0).all()
    )


def test_smaller_fractions_are_parts_of_larger_ones(extension):
    part = extension.module("splat_addon.scene.viewport.picture").random_part
    quarter, half = part(100_000, 0.25), part(100_000, 0.5)
    assert abs(quarter.mean() - 0.25) < 0.01 and abs(half.mean() - 0.5) < 0.01
    assert (half | ~quarter).all() and part(10, 1.0).all()
    assert abs(half[::2].mean() - 0.5) < 0.01 and abs(half[:1000].mean() - 0.5) < 0.1, "not by any stride"


# --- Which are shown -------------------------------------------------------------------------------------------------


def test_hidden_objects_and_collections_are_not_shown(extension, viewport):
    first, _ = make_splats(extension, "First")
    second, _ = make_splats(extension, "Second")
    collection = bpy.data.collections.new("Other")
    bpy.context.scene.collection.children.link(collection)
    third = second.copy()
    third.name = "Third"
    collection.objects.link(third)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube")))
    layer = bpy.context.view_layer
    layer.update()
    assert {item.name for item in viewport.visible_splats(layer, None)} == {"First", "Second", "Third"}
    first.hide_set(True)
    second.hide_viewport = True
    layer.layer_collection.children["Other"].hide_viewport = True
    layer.update()
    assert viewport.visible_splats(layer, None) == []
    layer.layer_collection.children["Other"].hide_viewport = False
    layer.update()
    assert viewport.visible_splats(layer, None) == [third]


def test_objects_that_come_and_go_are_noticed(extension, viewport):
    layer = bpy.context.view_layer
    assert viewport.visible_splats(layer, None) == []
    item, _ = make_splats(extension)
    assert viewport.visible_splats(layer, None) == [item]
    item.name = "Renamed"
    layer.update()
    assert viewport.visible_splats(layer, None) == [item]
    copy = item.copy()
    bpy.context.scene.collection.objects.link(copy)
    layer.update()
    assert len(viewport.visible_splats(layer, None)) == 2
    bpy.data.objects.remove(item)
    layer.update()
    assert viewport.visible_splats(layer, None) == [copy]


def test_changed_data_is_noticed_and_undo_doubts_all(extension, viewport):
    item, _ = make_splats(extension)
    viewport.state().changed.clear()
    item.location.x = 3
    bpy.context.view_layer.update()
    assert not viewport.state().changed, "moving an object changes no splat"
    item.data.attributes["scale"].data.foreach_set("vector", np.ones(120, np.float32))
    item.data.update_tag()
    bpy.context.view_layer.update()
    assert viewport.state().changed == {item.data.session_uid}
    viewport.state().is_all_changed = False
    bpy.ops.ed.undo_push()
    bpy.ops.ed.undo_push()
    bpy.ops.ed.undo()
    assert viewport.state().is_all_changed


@pytest.mark.parametrize(
    ("blending", "kept", "expected"),
    [
        ("TRAINED", [""], False),
        ("TRAINED", ["blender"], True),
        ("TRAINED", ["blender", "display"], False),
        ("DISPLAY", ["blender"], False),
        ("BLENDER", ["display"], True),
    ],
)
def test_splats_are_blended_as_they_were_trained_unless_told_otherwise(extension, viewport, blending, kept, expected):
    bpy.context.scene.splat.viewport.blending = blending
    assert viewport.look_of(bpy.context.scene, kept).is_linear is expected
    bpy.context.scene.splat.viewport.kind = "POINTS"
    assert not viewport.look_of(bpy.context.scene, kept).is_linear


# --- Life ------------------------------------------------------------------------------------------------------------


def test_the_display_runs_while_a_scene_shows_splats_and_leaves_nothing_behind(viewport):
    chosen = bpy.context.scene.splat.viewport
    chosen.show = True
    assert viewport.is_running()
    viewport.state().problem = "Broken."
    chosen.fraction = 0.5
    assert viewport.problem() == "", "another try after any change"
    chosen.show = False
    assert not viewport.is_running() and viewport.state().atlas is None and not viewport.state().pictures
    other = bpy.data.scenes.new("Other")
    other.splat.viewport.show = True
    assert viewport.is_running()
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert viewport.is_running() is bpy.context.scene.splat.viewport.show, "as the file that is loaded says"


def test_an_error_while_drawing_is_said_once_and_stops_the_display(viewport, monkeypatch, capsys):
    calls = []

    def broken(context):
        calls.append(context)
        raise RuntimeError("driver")

    monkeypatch.setattr(viewport, "_draw_region", broken)
    viewport._draw()
    viewport._draw()
    assert len(calls) == 1 and viewport.problem().startswith("The splats cannot be drawn here.")
    assert capsys.readouterr().err.count("RuntimeError: driver") == 1
    viewport.start_anew()
    assert viewport.problem() == ""


def test_while_splats_are_drawn_a_box_stands_for_their_object_in_the_viewport_alone(extension):
    item, cloud = make_splats(extension)
    extension.module("splat_addon.scene.splats.appearance").show_splats(item, bpy.context.scene)
    chosen = bpy.context.scene.splat.viewport
    chosen.show = False
    before = [(modifier.name, modifier.show_viewport) for modifier in item.modifiers]
    chosen.show = True
    bpy.context.view_layer.update()
    *look, box = item.modifiers
    assert not any(modifier.show_viewport for modifier in look) and all(modifier.show_render for modifier in look)
    assert box.name == "Splat Box" and not box.show_render
    corners = np.array(item.evaluated_get(bpy.context.evaluated_depsgraph_get()).bound_box)
    assert np.allclose(np.ptp(corners, axis=0), np.ptp(cloud.means, axis=0), rtol=0.05, atol=0.05)
    instances = [entry for entry in bpy.context.evaluated_depsgraph_get().object_instances if entry.is_instance]
    assert len(instances) <= 1, "the render look is not computed for the viewport"
    chosen.show = False
    assert [(modifier.name, modifier.show_viewport) for modifier in item.modifiers] == before
    assert "Splat Box" not in bpy.data.node_groups


def test_the_toggle_says_why_it_cannot_be_used_and_toggles(extension):
    with pytest.raises(RuntimeError, match="This scene has no splats: import some first"):
        bpy.ops.splat.toggle_viewport()
    make_splats(extension)
    chosen = bpy.context.scene.splat.viewport
    before = chosen.show
    assert bpy.ops.splat.toggle_viewport() == {"FINISHED"} and chosen.show is not before
    assert bpy.ops.splat.toggle_viewport() == {"FINISHED"} and chosen.show is before


def test_the_choice_is_kept_with_the_scene_as_soon_as_it_has_splats(extension):
    """So that a Blender or a version with another default opens the file as it was saved."""
    chosen = bpy.context.scene.splat.viewport
    assert chosen.show and not chosen.is_property_set("show")
    make_splats(extension)
    assert chosen.show and chosen.is_property_set("show")


def test_splats_without_a_box_are_left_to_blender_until_the_artist_asks_for_them(extension, viewport):
    """Such as those that Blender imported, or that were saved while their display was off by default."""
    item, _ = make_splats(extension)
    item.modifiers.clear()
    chosen, layer = bpy.context.scene.splat.viewport, bpy.context.view_layer
    assert chosen.show and not viewport.is_shown(bpy.context.scene) and viewport.visible_splats(layer, None) == []
    assert bpy.ops.splat.toggle_viewport() == {"FINISHED"}
    assert viewport.is_shown(bpy.context.scene) and viewport.visible_splats(layer, None) == [item]
    item.modifiers["Splat Box"].show_viewport = False
    assert not viewport.is_shown(bpy.context.scene) and viewport.visible_splats(layer, None) == []


def test_attribute_names_are_offered(extension):
    item, _ = make_splats(extension)
    item.data.attributes.new("floater_score", "FLOAT", "POINT")
    item.data.attributes.new("view_count", "INT", "POINT")
    names = extension.module("splat_addon.scene.viewport.display")._attribute_names
    assert names(bpy.context.scene, "") == ["floater_score", "view_count"]
    assert names(bpy.context.scene, "FLOAT") == ["floater_score"]


class Recorder:
    """Stands where a layout stands and keeps the names of what is drawn."""

    def __init__(self):
        self.names: list[str] = []

    def prop(self, owner, name, **options):
        assert name in owner.bl_rna.properties
        self.names.append(name)

    def operator(self, name, **options):
        self.names.append(name)
        return SimpleNamespace()

    def label(self, text, **options):
        self.names.append(text)

    def column(self, **options):
        return self

    row = column


def test_the_panel_offers_what_the_display_uses(extension, viewport, monkeypatch):
    def names() -> set[str]:
        recorder = Recorder()
        stand_in = type("StandIn", (), {"layout": recorder})()
        extension.module("panels.splats").SPLAT_PT_viewport.draw(stand_in, bpy.context)
        return set(recorder.names)

    chosen = bpy.context.scene.splat.viewport
    assert {"kind", "color_by", "sh_degree", "fraction", "blending", "is_hidden_by_meshes"} <= names()
    chosen.kind, chosen.color_by = "ELLIPSOIDS", "ATTRIBUTE"
    assert {"reach_sigma", "attribute"} <= names() and not {"sh_degree", "blending"} & names()
    monkeypatch.setattr(viewport.state(), "ramp_ends", (0.5, 12.0))
    assert "0.5 is purple, 12 yellow" in names()


def test_the_splats_panel_says_why_nothing_is_drawn(extension, viewport, monkeypatch):
    panel, chosen = extension.module("panels.splats").SPLAT_PT_splats, bpy.context.scene.splat.viewport
    chosen.show = True
    monkeypatch.setattr(viewport.state(), "problem", "It broke. Mend it.")
    assert "It broke. Mend it." in texts(drawn(panel, bpy.context))
    chosen.show = False
    monkeypatch.setattr(viewport.state(), "problem", "It broke. Mend it.")
    assert "It broke." not in texts(drawn(panel, bpy.context))
    assert ("operator", "splat.toggle_viewport", None) in drawn(panel, bpy.context)
