"""Splats that Blender itself has imported: adopted by an action, never by themselves, and given back exactly."""

import bpy
import numpy as np
import pytest

from support.blenders_splats import columns_of_splats, import_by_blender, make_points, needs_native_splats
from support.blenders_splats import write_foreign_ply as write
from support.recording_layout import drawn, texts
from support.splat_objects import make_splats


@pytest.fixture
def attributes(extension):
    return extension.module("splat_addon.scene.splats.contents.attributes")


@pytest.fixture
def adoption(extension):
    return extension.module("splat_addon.scene.splats.adoption")


@pytest.fixture
def foreign(tmp_path):
    """200 splats of a file by another trainer, as Blender imports them."""
    write(tmp_path / "foreign.ply", columns_of_splats())
    item = import_by_blender(tmp_path / "foreign.ply")
    bpy.context.view_layer.objects.active = item
    return item


def custom_properties(item) -> set[str]:
    return {*item.keys(), *item.data.keys()}


def panel_of(extension) -> list:
    return drawn(extension.module("panels.splats").SPLAT_PT_splats, bpy.context)


def exported(tmp_path) -> dict[str, np.ndarray]:
    """What our export of the active object holds, as Blender's own import reads it."""
    assert bpy.ops.splat.export_ply(filepath=str(tmp_path / "ours.ply")) == {"FINISHED"}
    return values_of(import_by_blender(tmp_path / "ours.ply"))


def values_of(item) -> dict[str, np.ndarray]:
    """All attributes of splats, read without any code of ours."""
    keys = {"QUATERNION": ("value", 4), "FLOAT4": ("vector", 4), "FLOAT_COLOR": ("color", 4)}
    found = {}
    for attribute in item.data.attributes:
        if attribute.name in ("position", "scale", "rotation") or attribute.name.startswith("radiance:"):
            key, width = keys.get(attribute.data_type, ("vector", 3))
            values = np.empty(len(attribute.data) * width, np.float32)
            attribute.data.foreach_get(key, values)
            found[attribute.name] = values.reshape(-1, width)
    return found


@needs_native_splats
def test_what_blender_has_imported_is_listed_and_nothing_is_written_to_it(extension, adoption, foreign):
    before = custom_properties(foreign)
    bpy.context.view_layer.update()
    record = panel_of(extension)
    assert "200 splats" in texts(record) and ("operator", "splat.adopt", None) in record
    assert adoption.waiting(bpy.context.scene) == [foreign]
    assert custom_properties(foreign) == before and len(foreign.modifiers) == 0


@needs_native_splats
def test_adopting_gives_quads_a_box_marks_and_a_blend_space_as_one_step(extension, adoption, foreign):
    assert bpy.ops.splat.adopt() == {"FINISHED"}
    assert [modifier.name for modifier in foreign.modifiers] == ["Splat Quads", "Splat Box"]
    assert foreign["splat_blend_space"] == "display" and ".splat_place" in foreign.data.attributes
    assert adoption.waiting(bpy.context.scene) == [] and not bpy.ops.splat.adopt.poll()
    assert extension.module("splat_addon.scene.viewport.display").is_shown(bpy.context.scene)
    assert "not as trained" not in texts(panel_of(extension))


@needs_native_splats
def test_undo_takes_adoption_back(adoption, foreign):
    before = custom_properties(foreign)
    bpy.ops.ed.undo_push(message="imported")
    bpy.ops.splat.adopt()
    bpy.ops.ed.undo_push(message="adopted")
    bpy.ops.ed.undo()
    item = bpy.data.objects["foreign"]
    assert custom_properties(item) == before and len(item.modifiers) == 0
    assert adoption.waiting(bpy.context.scene) == [item]


@needs_native_splats
@pytest.mark.parametrize("action", ["splat.toggle_viewport", "splat.set_up_render"])
def test_the_first_action_on_them_adopts_them(adoption, foreign, action):
    group, name = action.split(".")
    assert getattr(getattr(bpy.ops, group), name)() == {"FINISHED"}
    assert adoption.waiting(bpy.context.scene) == [] and foreign.modifiers["Splat Box"].show_viewport
    assert not foreign.modifiers["Splat Quads"].show_viewport and foreign.modifiers["Splat Quads"].show_render


@needs_native_splats
def test_saying_what_they_were_trained_for_adopts_them(adoption, foreign):
    foreign.splat.trained_for = "BLENDER"
    assert foreign["splat_blend_space"] == "blender" and "Splat Quads" in foreign.modifiers
    assert adoption.waiting(bpy.context.scene) == []


@needs_native_splats
def test_splats_that_come_later_leave_them_to_blender(extension, adoption, foreign):
    """A result that a timer brings in is no action on other objects."""
    make_splats(extension, np.zeros((3, 3)))
    extension.module("splat_addon.scene.splats.box_modifier").hand_over(bpy.context.scene)
    assert len(foreign.modifiers) == 0 and adoption.waiting(bpy.context.scene) == [foreign]


@needs_native_splats
def test_apply_is_noticed_after_adoption(extension, foreign):
    bpy.ops.splat.adopt()
    foreign.rotation_euler.z = 1.0
    bpy.ops.object.select_all(action="DESELECT")
    foreign.select_set(True)
    bpy.ops.object.transform_apply()
    assert "turned or resized without their splats" in texts(panel_of(extension))


def test_trained_for_and_the_property_of_earlier_versions_are_one(extension):
    item = make_splats(extension, np.zeros((3, 3)))
    assert item.splat.trained_for == "DISPLAY"
    item["splat_blend_space"] = "blender"
    assert item.splat.trained_for == "BLENDER"
    item.splat.trained_for = "DISPLAY"
    assert item["splat_blend_space"] == "display"
    del item["splat_blend_space"]
    assert item.splat.trained_for == "DISPLAY"


def test_an_export_says_what_its_splats_were_trained_for(extension, tmp_path):
    item = make_splats(extension, np.random.default_rng(0).normal(size=(5, 3)))
    bpy.context.view_layer.objects.active = item
    item.splat.trained_for = "BLENDER"
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply"))
    read_splats = extension.module("splat_addon.gaussians.formats.splat_ply").read_splats
    assert read_splats(tmp_path / "out.ply").blend_space == "blender"


@needs_native_splats
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_blenders_splats_exported_and_imported_by_blender_again_are_the_same(tmp_path, degree):
    """Means and harmonics to the last bit; sizes pass through a logarithm in 32 bits, opacities through a logit."""
    write(tmp_path / "foreign.ply", columns_of_splats(degree=degree))
    item = import_by_blender(tmp_path / "foreign.ply")
    bpy.context.view_layer.objects.active = item
    before, after = values_of(item), exported(tmp_path)
    assert before.keys() == after.keys() and len(before) == 4 + (degree + 1) ** 2 - 1
    for name in before.keys() - {"scale", "rotation", "radiance:base"}:
        assert np.array_equal(before[name], after[name]), name
    assert np.array_equal(before["radiance:base"][:, :3], after["radiance:base"][:, :3])
    assert np.abs(after["scale"] / before["scale"] - 1).max() < 1e-6
    turns = [v["rotation"] / np.linalg.norm(v["rotation"].astype(float), axis=1)[:, None] for v in (before, after)]
    assert np.abs(turns[1] - turns[0]).max() < 1e-7  # their length is 1 but for rounding, which Blender does anew
    logits = [np.log(o / (1 - o)) for o in (v["radiance:base"][:, 3].astype(float) for v in (before, after))]
    is_inside = np.abs(logits[0]) < 7  # nearer to 1, a step of the opacity itself is more than 5e-5
    assert is_inside.sum() > 100 and np.abs(logits[1] - logits[0])[is_inside].max() < 5e-5


@needs_native_splats
def test_sizes_of_a_file_imported_here_come_back_to_the_last_bit(tmp_path):
    columns = columns_of_splats()
    write(tmp_path / "foreign.ply", columns)
    bpy.ops.splat.import_ply(filepath=str(tmp_path / "foreign.ply"))
    assert bpy.ops.splat.export_ply(filepath=str(tmp_path / "ours.ply")) == {"FINISHED"}
    header, _, body = (tmp_path / "ours.ply").read_bytes().partition(b"end_header\n")
    names = [line.split()[-1].decode() for line in header.splitlines() if line.startswith(b"property")]
    rows = np.frombuffer(body, "<f4").reshape(200, len(names))
    for k in range(3):
        assert np.array_equal(rows[:, names.index(f"scale_{k}")], columns[f"scale_{k}"].astype(np.float32))


@needs_native_splats
def test_harmonics_of_degree_4_are_left_out_of_an_export_which_says_so(attributes, tmp_path):
    write(tmp_path / "foreign.ply", columns_of_splats(degree=4))
    item = import_by_blender(tmp_path / "foreign.ply")
    bpy.context.view_layer.objects.active = item
    before, after = values_of(item), exported(tmp_path)
    assert "radiance:sh_23" in before and "radiance:sh_15" not in after
    assert all(np.array_equal(before[f"radiance:sh_{k}"], after[f"radiance:sh_{k}"]) for k in range(15))
    assert attributes.problems(item.data) == ["Harmonics above degree 3 are neither drawn nor exported."]


@needs_native_splats
def test_what_blender_keeps_of_its_splats_in_a_ply_is_nothing(foreign, tmp_path):
    """The reason for the sentence in the panel: when this fails, Blender has learned it."""
    bpy.ops.wm.ply_export(filepath=str(tmp_path / "blenders.ply"))
    assert b"element vertex 0" in (tmp_path / "blenders.ply").read_bytes()


@needs_native_splats
def test_splats_whose_type_was_lost_get_it_back_only_by_the_artist(extension, adoption, foreign):
    assert not adoption.has_lost_type(foreign) and not bpy.ops.splat.show_as_blenders.poll()
    foreign.data.type = "POINTS"  # as an older Blender leaves it
    assert ("operator", "splat.show_as_blenders", None) in panel_of(extension)
    assert foreign.data.type == "POINTS" and bpy.ops.splat.show_as_blenders() == {"FINISHED"}
    assert foreign.data.type == "GAUSSIAN_SPLAT" and not adoption.has_lost_type(foreign)


def test_points_that_hold_no_splats_do_not_wait_for_adoption(adoption):
    make_points({}, np.zeros((4, 3)))
    assert adoption.waiting(bpy.context.scene) == []
