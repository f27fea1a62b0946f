"""Choosing splats by value, by neighbors and by volume; merging captures at a seam."""

import bpy  # first: it makes bmesh importable

import bmesh  # isort: skip
import numpy as np
import pytest

from support.editing import add_splats, assert_same_splats, in_world, make_active
from support.recording_layout import drawn, texts


@pytest.fixture
def choosing(extension):
    return extension.module("splat_addon.scene.inspection.choosing")


def selected(choosing) -> np.ndarray:
    return choosing.selected(bpy.context.active_object.data)


def add_volume(kind: str, size: float = 1.0, name: str = "Volume"):
    """A closed mesh, or an empty that stands for one, which crops."""
    if kind in ("CUBE_EMPTY", "SPHERE_EMPTY"):
        volume = bpy.data.objects.new(name, None)
        volume.empty_display_type, volume.empty_display_size = kind.removesuffix("_EMPTY"), size
    else:
        mesh = bmesh.new()
        if kind == "CUBE":
            bmesh.ops.create_cube(mesh, size=2 * size)
        else:
            bmesh.ops.create_icosphere(mesh, subdivisions=4, radius=size)
        volume = bpy.data.objects.new(name, bpy.data.meshes.new(name))
        mesh.to_mesh(volume.data)
        mesh.free()
    bpy.context.scene.collection.objects.link(volume)
    bpy.context.scene.splat.editing.volume = volume
    bpy.context.view_layer.update()
    return volume


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"quantity": "OPACITY", "low": 0.9}, lambda cloud: cloud.opacities >= 0.9),
        ({"quantity": "SIZE", "high": 0.05}, lambda cloud: cloud.scales.max(axis=1) <= 0.05),
        (
            {"quantity": "STRETCH", "low": 2},
            lambda cloud: np.sort(cloud.scales, axis=1)[:, 2] >= 2 * np.sort(cloud.scales, axis=1)[:, 1],
        ),
        ({"quantity": "DISTANCE", "high": 1.5}, lambda cloud: np.linalg.norm(cloud.means - [1, 0, 0], axis=1) <= 1.5),
        (
            {"quantity": "COLOR", "color": (0.6, 0.5, 0.4), "high": 0.1},
            lambda cloud: np.linalg.norm(cloud.sh[:, 0] * 0.2820948 + 0.5 - [0.6, 0.5, 0.4], axis=1) <= 0.1,
        ),
        ({"quantity": "ATTRIBUTE", "attribute": "mine", "low": 150}, lambda cloud: np.arange(200) >= 150),
    ],
    ids=lambda one: one["quantity"] if isinstance(one, dict) else "",
)
def test_splats_are_selected_by_value(extension, choosing, options, expected):
    item = add_splats(extension)
    item.data.attributes.new("mine", "INT", "POINT").data.foreach_set("value", np.arange(200))
    bpy.context.scene.cursor.location = (1, 0, 0)
    assert bpy.ops.splat.select_by_value(**options) == {"FINISHED"}
    wanted = expected(in_world(extension, item))
    assert 5 < wanted.sum() < 195
    np.testing.assert_array_equal(selected(choosing), wanted)


def test_modes_combine_selections(extension, choosing):
    item = add_splats(extension)
    opacities = in_world(extension, item).opacities
    bpy.ops.splat.select_by_value(quantity="OPACITY", low=0.8)
    bpy.ops.splat.select_by_value(quantity="OPACITY", high=0.2, mode="EXTEND")
    np.testing.assert_array_equal(selected(choosing), (opacities >= 0.8) | (opacities <= 0.2))
    bpy.ops.splat.select_by_value(quantity="OPACITY", high=0.1, mode="SUBTRACT")
    bpy.ops.splat.select_by_value(quantity="OPACITY", high=0.9, mode="INTERSECT")
    kept = ((opacities >= 0.8) & (opacities <= 0.9)) | ((opacities <= 0.2) & (opacities > 0.1))
    np.testing.assert_array_equal(selected(choosing), kept)
    bpy.ops.splat.invert_selection()
    np.testing.assert_array_equal(selected(choosing), ~kept)
    bpy.ops.splat.delete_selected()
    assert len(in_world(extension, item)) == kept.sum()


def test_an_attribute_that_is_no_number_is_one_sentence(extension):
    add_splats(extension)
    for name, sentence in (("scale", "'scale' is not an attribute with one number"), ("", "No attribute is chosen")):
        with pytest.raises(RuntimeError, match=sentence):
            bpy.ops.splat.select_by_value(quantity="ATTRIBUTE", attribute=name)


def test_growing_and_shrinking_follow_distances(extension, choosing):
    item = add_splats(extension)
    means = in_world(extension, item).means.astype(float)
    which = np.linalg.norm(means, axis=1) < 0.7
    choosing.select(item.data, which)
    bpy.ops.splat.grow_selection(distance=0.4)
    apart = np.linalg.norm(means[:, None] - means[which][None], axis=2).min(axis=1)
    grown = apart <= 0.4
    np.testing.assert_array_equal(selected(choosing), grown)
    bpy.ops.splat.grow_selection(distance=0.4, shrinks=True)
    apart = np.linalg.norm(means[:, None] - means[~grown][None], axis=2).min(axis=1)
    np.testing.assert_array_equal(selected(choosing), grown & (apart > 0.4))
    choosing.select(item.data, which)
    bpy.ops.splat.grow_selection()
    assert selected(choosing).sum() > which.sum(), "by twice the usual spacing"


def test_growing_nothing_is_one_sentence(extension, choosing):
    item = add_splats(extension)
    choosing.select(item.data, np.zeros(200, bool))
    for operator in (bpy.ops.splat.grow_selection, bpy.ops.splat.delete_selected):
        with pytest.raises(RuntimeError, match="No splat is selected"):
            operator()


@pytest.mark.parametrize("kind", ["CUBE", "SPHERE", "CUBE_EMPTY", "SPHERE_EMPTY"])
@pytest.mark.parametrize("side", ["INSIDE", "OUTSIDE"])
def test_a_volume_crops_what_lies_on_one_side(extension, choosing, kind, side):
    item = add_splats(extension)
    item.location, item.rotation_euler, item.scale = (1, 0, 0), (0.3, 0.2, 1), (1.3,) * 3
    volume = add_volume(kind, 1.1)
    volume.location, volume.rotation_euler, volume.scale = (1.2, 0.3, 0), (0, 0.7, 0.3), (1, 0.8, 1.2)
    bpy.context.view_layer.update()
    world = np.concatenate([in_world(extension, item).means, np.ones((200, 1))], axis=1)
    local = (world @ np.linalg.inv(np.array(volume.matrix_world)).T)[:, :3]
    if "CUBE" in kind:
        inside = (np.abs(local) <= 1.1).all(axis=1)
    else:
        inside = np.linalg.norm(local, axis=1) <= (1.1 if kind == "SPHERE_EMPTY" else 1.097)
    wanted = inside if side == "INSIDE" else ~inside
    assert bpy.ops.splat.crop(side=side, action="SELECT") == {"FINISHED"}
    np.testing.assert_array_equal(selected(choosing), wanted)
    bpy.ops.splat.crop(side=side, action="HIDE")
    np.testing.assert_array_equal(choosing.hidden(item.data), wanted)
    before = in_world(extension, item)
    bpy.ops.splat.crop(side=side, action="DELETE")
    assert_same_splats(extension, in_world(extension, item), before.select(~wanted))


def test_modifiers_of_the_volume_count(extension, choosing):
    add_splats(extension)
    volume = add_volume("CUBE", 0.2)
    array = volume.modifiers.new("Array", "ARRAY")
    array.count, array.relative_offset_displace = 3, (2.5, 0, 0)
    bpy.context.view_layer.update()
    bpy.ops.splat.crop(side="INSIDE", action="SELECT")
    means = in_world(extension, bpy.context.active_object).means
    shifts = [np.array([distance, 0, 0]) for distance in (0, 1, 2)]
    wanted = np.any([(np.abs(means - shift) <= 0.2).all(axis=1) for shift in shifts], axis=0)
    np.testing.assert_array_equal(selected(choosing), wanted)


def test_volumes_without_an_inside_are_one_sentence_and_nothing_changes(extension):
    item = add_splats(extension)
    with pytest.raises(RuntimeError, match="No volume is chosen"):
        bpy.ops.splat.crop()
    volume = add_volume("CUBE")
    mesh = bmesh.new()
    mesh.from_mesh(volume.data)
    mesh.faces.ensure_lookup_table()
    bmesh.ops.delete(mesh, geom=[mesh.faces[0]], context="FACES_ONLY")
    mesh.to_mesh(volume.data)
    mesh.free()
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="'Volume' has no inside: its surface is open: 4 edges"):
        bpy.ops.splat.crop(action="DELETE")
    arrows = bpy.data.objects.new("Arrows", None)
    arrows.empty_display_type = "ARROWS"
    bpy.context.scene.collection.objects.link(arrows)
    bpy.context.scene.splat.editing.volume = arrows
    with pytest.raises(RuntimeError, match="'Arrows' has no volume"):
        bpy.ops.splat.crop(action="DELETE")
    far = add_volume("CUBE", 0.1, "Far")
    far.location = (50, 0, 0)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="No splat is inside of 'Far'"):
        bpy.ops.splat.crop(side="INSIDE", action="DELETE")
    assert len(in_world(extension, item)) == 200


def test_captures_are_merged_at_the_volume(extension):
    one, other = add_splats(extension, "One"), add_splats(extension, "Other", seed=5)
    other.rotation_euler, other.location = (0.2, 1, 0), (0.5, 0, 0)
    add_volume("SPHERE_EMPTY", 1.2)
    make_active(one, other)
    first, second = in_world(extension, one), in_world(extension, other)
    near = [np.linalg.norm(cloud.means, axis=1) <= 1.2 for cloud in (first, second)]
    assert bpy.ops.splat.merge_captures() == {"FINISHED"}
    found = in_world(extension, one)
    count = int(near[0].sum())
    assert_same_splats(extension, found.select(slice(0, count)), first.select(near[0]))
    assert_same_splats(extension, found.select(slice(count, len(found))), second.select(~near[1]))
    assert [item.name for item in bpy.data.objects if item.data is not None] == ["One"]


def test_a_preview_leaves_out_what_the_crop_would_take(extension):
    preview = extension.module("splat_addon.scene.editing.crop_preview")
    display = extension.module("splat_addon.scene.viewport.display")
    item = add_splats(extension)
    volume = add_volume("SPHERE_EMPTY", 1.0)
    bpy.context.scene.splat.editing.preview = True
    means = in_world(extension, item).means
    (mask,) = display.state().left_out.values()
    np.testing.assert_array_equal(mask, np.linalg.norm(means, axis=1) > 1)
    volume.location = (1, 0, 0)
    bpy.context.view_layer.update()
    assert extension.module("splat_addon.scene.session.timer").is_running(preview.refresh)
    preview.refresh()
    (mask,) = display.state().left_out.values()
    np.testing.assert_array_equal(mask, np.linalg.norm(means - [1, 0, 0], axis=1) > 1)
    volume.empty_display_type = "ARROWS"
    preview.refresh()
    assert display.state().left_out == {} and "has no volume" in preview.problem()
    bpy.context.scene.splat.editing.preview = False
    assert display.state().left_out == {} and preview.problem() == ""
    assert "splat_hidden" not in item.data.attributes


def test_the_panel_shows_how_many_lie_in_the_range(extension):
    item = add_splats(extension)
    histograms = extension.module("splat_addon.scene.editing.histograms")
    panel = extension.module("panels.editing.choosing").SPLAT_PT_select
    chosen = bpy.context.scene.splat.editing
    chosen.quantity, chosen.low, chosen.high = "OPACITY", 0.25, 0.75
    drawn(panel, bpy.context)
    histograms.repaint()
    opacities = in_world(extension, item).opacities
    count = int(((opacities >= 0.25) & (opacities <= 0.75)).sum())
    assert f"{count} splats" in texts(drawn(panel, bpy.context))
    chosen.quantity, chosen.attribute = "ATTRIBUTE", "missing"
    drawn(panel, bpy.context)
    histograms.repaint()
    assert "'missing' is not an attribute" in texts(drawn(panel, bpy.context))


def test_bars_in_the_range_stand_out(extension):
    histograms = extension.module("splat_addon.scene.editing.histograms")
    counts = np.arange(histograms.BINS)
    shown = histograms.Shown(counts, np.linspace(1, 2, histograms.BINS + 1), 0)
    pixels = histograms.paint(shown, 1.5, 2.0, (128, 64))
    assert (pixels[-1, -1] == histograms.CHOSEN).all() and (pixels[0, 0] == histograms.GROUND).all()
    assert (pixels[-1, 40] == histograms.BAR).all()
