"""What happens to splat objects in an artist's hands: duplicating, deleting, undo, saving, appending, linking."""

import bpy
import numpy as np
import pytest

from support import splat_renders


@pytest.fixture
def splats(extension):
    return extension.module("splat_addon.scene.splats.data")


@pytest.fixture
def viewport(extension):
    return extension.module("splat_addon.scene.viewport.display")


@pytest.fixture
def item(extension, tmp_path):
    """Splats trained as Blender blends, imported in Trainer Look with the viewport's display on."""
    random = np.random.default_rng(0)
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=random.normal(size=(40, 3)),
        log_scales=random.normal(-3, 1, size=(40, 3)),
        quaternions=random.normal(size=(40, 4)),
        logit_opacities=random.normal(size=40),
        sh=random.normal(size=(40, 16, 3)),
        blend_space="blender",
    )
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(tmp_path / "vase.ply", cloud)
    bpy.context.scene.splat.look = "DISPLAY"
    bpy.context.scene.splat.viewport.show = True
    assert bpy.ops.splat.import_ply(filepath=str(tmp_path / "vase.ply")) == {"FINISHED"}
    found = bpy.data.objects["vase"]
    bpy.ops.ed.undo_push(message="imported")
    return found


def stored(item) -> dict[str, list]:
    """Every number that its data-block holds."""
    values = {}
    for attribute in item.data.attributes:
        if attribute.name.startswith((".", "sharp")):
            continue
        key = {"FLOAT_COLOR": "color", "FLOAT_VECTOR": "vector"}.get(attribute.data_type)
        key = key or ("vector" if attribute.data_type == "FLOAT4" else "value")
        size = len(np.ravel(getattr(attribute.data[0], key)))
        numbers = np.empty(size * len(attribute.data), dtype=np.float32)
        attribute.data.foreach_get(key, numbers)
        values[attribute.name] = numbers.tolist()
    assert {"position", "scale", "rotation", "radiance:base", "radiance:sh_14"} <= set(values)
    return values


def display(item) -> list:
    """All that decides how it is shown."""
    quads = next(modifier for modifier in item.modifiers if "Quads" in modifier.name)
    (look,) = (entry for entry in quads.node_group.interface.items_tree if entry.name == "Trainer Look")
    is_new = hasattr(quads, "properties")
    chosen = getattr(quads.properties.inputs, look.identifier).value if is_new else quads[look.identifier]
    shown = [
        (entry.type, entry.node_group.name.split(".")[0], entry.show_viewport, entry.show_render)
        for entry in item.modifiers
    ]
    return [shown, bool(chosen), item["splat_blend_space"], item.visible_shadow]


def select_only(item) -> None:
    for other in bpy.context.view_layer.objects:
        other.select_set(other == item)
    bpy.context.view_layer.objects.active = item


@pytest.mark.parametrize("linked", [False, True])
def test_duplicates_keep_data_and_display_and_outlive_their_original(item, viewport, linked):
    data, shown = stored(item), display(item)
    select_only(item)
    assert bpy.ops.object.duplicate(linked=linked) == {"FINISHED"}
    copy = bpy.context.view_layer.objects.active
    assert copy != item and (copy.data == item.data) is linked
    assert stored(copy) == data and display(copy) == shown
    assert set(viewport.visible_splats(bpy.context.view_layer, None)) == {item, copy}
    select_only(item)
    assert bpy.ops.object.delete() == {"FINISHED"}
    assert stored(copy) == data and display(copy) == shown
    assert viewport.visible_splats(bpy.context.view_layer, None) == [copy]


def test_undo_brings_a_deleted_object_back_with_data_and_display(item, viewport):
    data, shown = stored(item), display(item)
    select_only(item)
    bpy.ops.object.delete()
    bpy.ops.ed.undo_push(message="deleted")
    assert viewport.visible_splats(bpy.context.view_layer, None) == []
    bpy.ops.ed.undo()
    item = bpy.data.objects["vase"]
    assert stored(item) == data and display(item) == shown
    assert viewport.visible_splats(bpy.context.view_layer, None) == [item]
    bpy.ops.ed.redo()
    assert "vase" not in bpy.context.scene.objects
    assert viewport.visible_splats(bpy.context.view_layer, None) == []


def test_undo_brings_deleted_points_back(item, splats):
    data = stored(item)
    splat_renders.delete_points(item, np.arange(40) % 4 == 0)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.ed.undo_push(message="points deleted")
    assert splats.splat_count(item) == 30
    bpy.ops.ed.undo()
    while splats.splat_count(bpy.data.objects["vase"]) == 30:  # Blender keeps steps of edit mode of its own
        assert bpy.ops.ed.undo() == {"FINISHED"}
    bpy.ops.object.mode_set(mode="OBJECT")
    assert stored(bpy.data.objects["vase"]) == data


def test_saving_and_reloading_keep_data_display_and_choices(item, viewport, tmp_path):
    data, shown = stored(item), display(item)
    chosen = bpy.context.scene.splat.viewport
    chosen.kind, chosen.color_by, chosen.fraction, chosen.sh_degree = "ELLIPSOIDS", "OPACITY", 0.5, 1
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    item, chosen = bpy.data.objects["vase"], bpy.context.scene.splat.viewport
    assert stored(item) == data and display(item) == shown
    assert (chosen.kind, chosen.color_by, chosen.fraction, chosen.sh_degree) == ("ELLIPSOIDS", "OPACITY", 0.5, 1)
    assert bpy.context.scene.splat.look == "DISPLAY"
    assert viewport.is_running() and viewport.visible_splats(bpy.context.view_layer, None) == [item]


def test_deleted_splats_are_not_in_the_saved_file(item, viewport, tmp_path):
    select_only(item)
    bpy.ops.object.delete()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert not bpy.data.meshes and not bpy.data.pointclouds and not bpy.data.objects
    assert viewport.visible_splats(bpy.context.view_layer, None) == []


@pytest.mark.parametrize("is_shown_here", [True, False])
@pytest.mark.parametrize("is_linked", [False, True])
def test_appending_and_linking_bring_data_and_display(item, splats, viewport, tmp_path, is_linked, is_shown_here):
    data, shown = stored(item), display(item)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.context.scene.splat.viewport.show = is_shown_here
    bring = bpy.ops.wm.link if is_linked else bpy.ops.wm.append
    assert bring(directory=str(tmp_path / "a.blend" / "Object"), filename="vase") == {"FINISHED"}
    (found,) = bpy.context.scene.objects
    bpy.context.view_layer.update()
    assert (found.library is not None) is is_linked
    assert stored(found) == data and display(found) == shown
    assert len(splats.splats_from_object(found)) == 40
    assert viewport.visible_splats(bpy.context.view_layer, None) == [found]
    assert viewport.is_running() and viewport.is_shown(bpy.context.scene)


def test_linked_splats_stay_shown_as_they_are_and_that_is_said(item, viewport, tmp_path, capfd):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.wm.link(directory=str(tmp_path / "a.blend" / "Object"), filename="vase")
    (found,) = bpy.context.scene.objects
    shown = display(found)
    assert bpy.ops.splat.toggle_viewport() == {"FINISHED"}
    assert "Linked splats are shown as in the file they come from" in "".join(capfd.readouterr())
    assert display(found) == shown and viewport.is_shown(bpy.context.scene) and viewport.is_running()
