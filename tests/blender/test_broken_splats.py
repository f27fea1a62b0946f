"""What Blender's own tools do to points alone is noticed, told and repaired; never where nothing is broken."""

import bpy
import numpy as np
import pytest

from support.broken_splats import Sequence
from support.editing import add_splats, assert_same_splats, in_world, make_active
from support.recording_layout import drawn, texts

SEQUENCES = 25  # `dev.py bench editing` judges 500


@pytest.fixture
def transforms(extension):
    return extension.module("splat_addon.scene.splats.transforms")


def place(item) -> None:
    item.location, item.rotation_euler, item.scale = (1, 2, 3), (0.3, -0.8, 1.9), (1.4,) * 3
    bpy.context.view_layer.update()


def broken_by_apply(extension, degree: int = 3):
    """Splats whose points alone were moved, and how they looked in the world before."""
    item = add_splats(extension, degree=degree)
    place(item)
    before = in_world(extension, item)
    bpy.ops.object.transform_apply()
    return item, before


def panel(extension) -> str:
    return texts(drawn(extension.module("panels.splats").SPLAT_PT_splats, bpy.context))


@pytest.mark.parametrize("degree", [0, 3])
def test_apply_is_noticed_told_and_repaired(extension, transforms, degree):
    item, before = broken_by_apply(extension, degree)
    assert transforms.is_broken(item.data)
    assert "All points were turned or resized without their splats" in panel(extension)
    assert bpy.ops.splat.repair() == {"FINISHED"}
    assert_same_splats(extension, in_world(extension, item), before, 1e-5)
    assert not transforms.is_broken(item.data) and "without their splats" not in panel(extension)


def test_join_is_noticed_for_those_that_were_turned(extension, transforms):
    target, other = add_splats(extension, "A"), add_splats(extension, "B", seed=2, count=100)
    place(other)
    before = [in_world(extension, item) for item in (target, other)]
    make_active(target, other)
    bpy.ops.object.join()
    bpy.context.view_layer.update()
    assert "100 points were turned or resized" in transforms.transform_problems(target)[0]
    bpy.ops.splat.repair()
    found = in_world(extension, target)
    assert_same_splats(extension, found.select(slice(0, 200)), before[0], 1e-5)
    assert_same_splats(extension, found.select(slice(200, 300)), before[1], 1e-5)


def test_a_join_of_what_was_only_moved_breaks_nothing(extension, transforms):
    target, other = add_splats(extension, "A"), add_splats(extension, "B", seed=2)
    other.location = (1, 2, 3)
    make_active(target, other)
    bpy.ops.object.join()
    bpy.context.view_layer.update()
    assert transforms.transform_problems(target) == []
    with pytest.raises(RuntimeError, match="No points were turned"):
        bpy.ops.splat.repair()


def test_deleting_after_apply_does_not_hide_it(extension, transforms):
    item, before = broken_by_apply(extension)
    which = np.arange(200) % 3 == 0
    extension.module("splat_addon.scene.inspection.choosing").delete(item.data, which)
    bpy.context.view_layer.update()
    assert transforms.is_broken(item.data)
    bpy.ops.splat.repair()
    assert_same_splats(extension, in_world(extension, item), before.select(~which), 1e-5)


def test_undo_makes_whole_again(extension, transforms):
    item = add_splats(extension)
    place(item)
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.object.transform_apply()
    bpy.ops.ed.undo_push(message="Apply")
    assert transforms.is_broken(bpy.data.objects["Splats"].data)
    bpy.ops.ed.undo()
    assert not transforms.is_broken(bpy.data.objects["Splats"].data)
    bpy.ops.ed.redo()
    assert transforms.is_broken(bpy.data.objects["Splats"].data)


def test_what_was_broken_stays_known_under_exact_edits(extension, transforms):
    item, before = broken_by_apply(extension)
    item.rotation_euler = (1, 0, 0.5)
    bpy.context.view_layer.update()
    moved = extension.module("splat_addon.gaussians.transform").transformed(before, np.array(item.matrix_world, float))
    bpy.ops.splat.apply_transform()
    assert transforms.is_broken(item.data)
    bpy.ops.splat.repair()
    assert_same_splats(extension, in_world(extension, item), moved, 1e-5)


def test_transform_geometry_and_mirroring_by_nodes_are_noticed(extension, transforms):
    item = add_splats(extension)
    before = in_world(extension, item)
    group = bpy.data.node_groups.new("Mirror", "GeometryNodeTree")
    for in_out in ("INPUT", "OUTPUT"):
        group.interface.new_socket("Geometry", in_out=in_out, socket_type="NodeSocketGeometry")
    first, last = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    move = group.nodes.new("GeometryNodeTransform")
    move.inputs["Scale"].default_value = (-2, 2, 2)
    group.links.new(first.outputs[0], move.inputs["Geometry"])
    group.links.new(move.outputs[0], last.inputs[0])
    item.modifiers.new("Mirror", "NODES").node_group = group
    bpy.ops.object.modifier_apply(modifier="Mirror")
    bpy.context.view_layer.update()
    assert transforms.is_broken(item.data)
    bpy.ops.splat.repair()
    matrix = np.diag([-2.0, 2, 2, 1])
    expected = extension.module("splat_addon.gaussians.transform").transformed(before, matrix)
    assert_same_splats(extension, in_world(extension, item), expected, 1e-5)


def test_shear_is_repaired_in_shape_and_said(extension):
    item = add_splats(extension)
    item.scale = (2, 1, 1)
    before = in_world(extension, item)
    bpy.ops.object.transform_apply()
    bpy.context.view_layer.update()
    assert "colors as far as they can" in panel(extension)
    bpy.ops.splat.repair()
    assert_same_splats(extension, in_world(extension, item), before, 1e-5)


def test_splats_of_a_former_version_are_told_as_they_were(extension, transforms):
    """Files that marked some points alone: broken ones say so, whole ones get places when they are met."""
    adoption = extension.module("splat_addon.scene.splats.adoption")
    for is_broken in (False, True):
        item = add_splats(extension)
        data = item.data
        places = [entry.vector.copy() for entry in data.attributes["position"].data]
        data.attributes.remove(data.attributes[transforms.PLACE])
        data["splat_marks"] = [200.0, *(value for index in (0, 50, 199) for value in (float(index), *places[index]))]
        assert transforms.has_places(data) and transforms.transform_problems(item) == []
        if is_broken:
            place(item)
            bpy.ops.object.transform_apply()
            assert "undo, or import again" in transforms.transform_problems(item)[0]
        adoption.meet(item)
        assert (transforms.PLACE in data.attributes) != is_broken


def test_random_sequences_are_judged_as_they_were_done(extension):
    wrong = []
    for seed in range(SEQUENCES):
        sequence = Sequence(extension, np.random.default_rng(seed))
        sequence.begin()
        for _ in range(8):
            sequence.step()
        wrong += [
            (seed, sequence.done, *one) for one in sequence.judge() if one[0] != one[1] or (one[0] and one[2] > 1e-5)
        ]
    assert wrong == []
