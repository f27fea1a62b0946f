"""Hiding what was captured where its splats lie, and putting exactly that back."""

import bpy
import numpy as np
import pytest

from support.recording_layout import drawn
from support.splat_objects import make_splats


def add(name: str, data=None, collection=None):
    item = bpy.data.objects.new(name, data)
    (collection or bpy.context.scene.collection).objects.link(item)
    return item


@pytest.fixture
def still(extension):
    """A scene with what renders, what does not, and splats; returns the names of what renders and is seen."""
    square = bpy.data.meshes.new("Square")
    square.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
    add("Mesh", square)
    add("Curve", bpy.data.curves.new("Curve", "CURVE"))
    add("Mine, hidden", square).hide_set(True)
    add("Not rendered", square).hide_render = True
    add("Camera", bpy.data.cameras.new("Camera"))
    add("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    add("Empty")
    prop = bpy.data.collections.new("Prop")
    add("Inside", square, prop)
    instance = add("Instance")
    instance.instance_type, instance.instance_collection = "COLLECTION", prop
    guides = bpy.data.collections.new("Guides")
    bpy.context.scene.collection.children.link(guides)
    guides.hide_render = True
    add("Guide", square, guides)
    make_splats(extension, np.zeros((3, 3)))
    bpy.context.view_layer.update()
    return {"Mesh", "Curve", "Instance"}


def seen() -> set[str]:
    return {item.name for item in bpy.context.view_layer.objects if item.visible_get()}


def test_exactly_what_renders_is_hidden_and_put_back(still):
    before = seen()
    assert bpy.ops.splat.hide_source() == {"FINISHED"}
    assert before - seen() == still
    assert not any(bpy.data.objects[name].hide_render for name in still), "renders and captures are not touched"
    assert bpy.ops.splat.show_source() == {"FINISHED"}
    assert seen() == before and "Mine, hidden" not in before
    assert len(bpy.context.scene.splat.hidden_source) == 0


def test_objects_that_were_renamed_deleted_or_shown_meanwhile_do_no_harm(still):
    before = seen()
    bpy.ops.splat.hide_source()
    bpy.data.objects["Mesh"].name = "Renamed"
    bpy.data.objects.remove(bpy.data.objects["Curve"])
    bpy.data.objects["Instance"].hide_set(False)
    bpy.context.view_layer.name = "Other Name"
    bpy.ops.splat.show_source()
    assert seen() == before - {"Mesh", "Curve"} | {"Renamed"}


def test_an_object_hidden_by_the_artist_after_it_was_put_back_stays_hidden(still):
    bpy.ops.splat.hide_source()
    bpy.ops.splat.show_source()
    bpy.data.objects["Mesh"].hide_set(True)
    with pytest.raises(RuntimeError, match="Nothing here was hidden with Hide Source"):
        bpy.ops.splat.show_source()


def test_other_view_layers_keep_what_they_show(still):
    other = bpy.context.scene.view_layers.new("Other")
    bpy.ops.splat.hide_source()
    mesh = bpy.data.objects["Mesh"]
    assert not mesh.visible_get() and mesh.visible_get(view_layer=other)
    mesh.hide_set(True, view_layer=other)
    bpy.ops.splat.show_source()
    assert mesh.visible_get() and not mesh.visible_get(view_layer=other)


def test_hiding_is_undone_and_redone(still):
    before = seen()
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.splat.hide_source()
    bpy.ops.ed.undo_push(message="hidden")
    bpy.ops.ed.undo()
    assert seen() == before and not bpy.context.scene.splat.hidden_source
    bpy.ops.ed.redo()
    assert before - seen() == still
    bpy.ops.splat.show_source()
    assert seen() == before


def test_it_is_remembered_in_the_file(still, tmp_path):
    before = seen()
    bpy.ops.splat.hide_source()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "still.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "still.blend"))
    assert before - seen() == still
    bpy.ops.splat.show_source()
    assert seen() == before


def test_the_panel_offers_the_one_that_can_be_done(extension, still):
    panel = extension.module("panels.splats").SPLAT_PT_splats
    offered = [entry[1] for entry in drawn(panel, bpy.context) if entry[0] == "operator"]
    assert "splat.hide_source" in offered and "splat.show_source" not in offered
    bpy.ops.splat.hide_source()
    offered = [entry[1] for entry in drawn(panel, bpy.context) if entry[0] == "operator"]
    assert "splat.show_source" in offered and "splat.hide_source" not in offered


def test_nothing_to_hide_is_said(extension):
    make_splats(extension, np.zeros((3, 3)))
    with pytest.raises(RuntimeError, match="Nothing that renders is visible here except splats"):
        bpy.ops.splat.hide_source()


def test_a_hidden_source_can_be_captured_again(extension, still):
    choosing = extension.module("splat_addon.scene.seeds.choosing")
    bpy.ops.object.select_all(action="DESELECT")
    before = {item.name for item in choosing.surfaces_to_capture(bpy.context)}
    bpy.ops.splat.hide_source()
    assert {item.name for item in choosing.surfaces_to_capture(bpy.context)} == before != set()
    bpy.context.scene.splat.capture.folder = "/tmp/never_written"
    with pytest.raises(RuntimeError, match="The source is hidden: Show Source in the Splats panel, and select it"):
        bpy.ops.splat.capture_scene()
