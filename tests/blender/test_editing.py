"""Editing that keeps gaussians whole: what is seen in the world before and after, to the rounding of 32 bits."""

import bpy
import numpy as np
import pytest

from support.editing import add_splats, assert_same_splats, colors, in_world, make_active
from support.recording_layout import drawn

EDITS = ["apply_transform", "mirror", "color", "set_sh_degree", "decimate", "separate"]
TURNED = {"location": (1, -2, 0.5), "rotation_euler": (0.4, -0.9, 2.0), "scale": (1.7, 1.7, 1.7)}


def place(item, **changes) -> None:
    for name, value in {**TURNED, **changes}.items():
        setattr(item, name, value)
    bpy.context.view_layer.update()


@pytest.fixture
def transforms(extension):
    return extension.module("splat_addon.scene.splats.transforms")


@pytest.fixture
def choosing(extension):
    return extension.module("splat_addon.scene.inspection.choosing")


def positions(item) -> np.ndarray:
    values = np.empty(3 * len(item.data.attributes["position"].data), np.float32)
    item.data.attributes["position"].data.foreach_get("vector", values)
    return values.reshape(-1, 3)


@pytest.mark.parametrize("degree", [0, 3])
@pytest.mark.parametrize("mirrors", [False, True])
def test_apply_leaves_splats_where_they_are(extension, transforms, degree, mirrors):
    item = add_splats(extension, degree=degree)
    place(item, scale=(-1.7, 1.7, 1.7) if mirrors else (1.7,) * 3)
    before = in_world(extension, item)
    assert bpy.ops.splat.apply_transform() == {"FINISHED"}
    assert_same_splats(extension, in_world(extension, item), before)
    assert item.matrix_basis == type(item.matrix_basis).Identity(4)
    assert transforms.transform_problems(item) == [] and transforms.shape_problem(item) == ""


@pytest.mark.parametrize("part", ["location", "rotation", "scale"])
def test_parts_of_a_transform_are_applied_alone(extension, part):
    item = add_splats(extension)
    place(item)
    before, kept = in_world(extension, item), {name: tuple(getattr(item, name)) for name in TURNED}
    bpy.ops.splat.apply_transform(**{name: name == part for name in ("location", "rotation", "scale")})
    assert_same_splats(extension, in_world(extension, item), before)
    for name in TURNED:
        applied = name.startswith(part)
        neutral = (1, 1, 1) if name == "scale" else (0, 0, 0)
        np.testing.assert_allclose(tuple(getattr(item, name)), neutral if applied else kept[name], atol=1e-6)


def test_apply_keeps_children_and_takes_all_selected(extension):
    one, other = add_splats(extension, "One"), add_splats(extension, "Other", seed=2)
    place(one), place(other, location=(4, 0, 0))
    child = bpy.data.objects.new("Child", None)
    bpy.context.scene.collection.objects.link(child)
    child.parent, child.location = one, (1, 2, 3)
    make_active(one, other)
    stood = np.array(child.matrix_world)
    before = [in_world(extension, item) for item in (one, other)]
    bpy.ops.splat.apply_transform()
    for item, expected in zip((one, other), before):
        assert_same_splats(extension, in_world(extension, item), expected)
    np.testing.assert_allclose(np.array(child.matrix_world), stood, atol=1e-5)


def test_uneven_scale_is_applied_to_shapes_and_said_of_colors(extension):
    item = add_splats(extension)
    place(item, scale=(2, 1, 0.5))
    before = in_world(extension, item)
    messages = reports(lambda: bpy.ops.splat.apply_transform())
    assert_same_splats(extension, in_world(extension, item), before, 1e-5)
    assert any("colors from the side are only turned" in message for message in messages)


def reports(action) -> list[str]:
    """What an operator reports, from its printed messages: bpy.ops prints none, so from the window manager's list."""
    import contextlib
    import io

    heard = io.StringIO()
    with contextlib.redirect_stdout(heard), contextlib.suppress(RuntimeError):
        action()
    return heard.getvalue().splitlines()


def test_an_edit_is_one_undo_step(extension):
    item = add_splats(extension)
    place(item)
    name, before = item.name, positions(item)
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.splat.apply_transform("EXEC_DEFAULT", True)
    assert not np.array_equal(positions(bpy.data.objects[name]), before)
    bpy.ops.ed.undo()
    np.testing.assert_array_equal(positions(bpy.data.objects[name]), before)
    assert bpy.data.objects[name].location.x == 1


@pytest.mark.parametrize("space", ["LOCAL", "WORLD", "CURSOR"])
def test_mirror_twice_is_nothing_and_once_is_a_mirror_image(extension, space):
    item = add_splats(extension)
    place(item)
    bpy.context.scene.cursor.location, bpy.context.scene.cursor.rotation_euler = (1, 2, 3), (0.2, 0.5, 1)
    before = in_world(extension, item)
    bpy.ops.splat.mirror(axis="Y", space=space)
    frame = {"LOCAL": item.matrix_world, "WORLD": None, "CURSOR": bpy.context.scene.cursor.matrix}[space]
    frame = np.eye(4) if frame is None else np.array(frame, float)
    world = frame @ np.diag([1.0, -1, 1, 1]) @ np.linalg.inv(frame)
    expected = extension.module("splat_addon.gaussians.transform").transformed(before, world)
    assert_same_splats(extension, in_world(extension, item), expected)
    bpy.ops.splat.mirror(axis="Y", space=space)
    assert_same_splats(extension, in_world(extension, item), before)


def test_join_takes_gaussians_along_and_levels_degrees(extension, transforms):
    target, low, high = (add_splats(extension, n, degree=d, seed=d) for n, d in (("A", 1), ("B", 0), ("C", 3)))
    (
        place(target, location=(0, 0, 1)),
        place(low, rotation_euler=(1, 1, 0), scale=(0.5,) * 3),
        place(high, scale=(-1,) * 3),
    )
    target.data.attributes.new("mine", "INT", "POINT").data.foreach_set("value", np.arange(200))
    high.data.attributes.new("yours", "FLOAT", "POINT").data.foreach_set("value", np.full(200, 0.5))
    separate = [in_world(extension, item) for item in (target, low, high)]
    make_active(target, low, high)
    names = [low.data.name, high.data.name]
    assert bpy.ops.splat.join() == {"FINISHED"}
    expected = extension.module("splat_addon.gaussians.transform").joined(separate)
    found = in_world(extension, target)
    assert len(found) == 600 and found.sh_degree == 3
    order = [target, *sorted((item for item in bpy.data.objects if item != target), key=lambda item: item.name)]
    assert order == [target] and all(name not in target.data.name for name in names)
    assert_sorted_same(extension, found, expected)
    mine = [entry.value for entry in target.data.attributes["mine"].data]
    assert mine[:200] == list(range(200)) and not any(mine[200:])
    assert sum(entry.value for entry in target.data.attributes["yours"].data) == 100
    assert transforms.transform_problems(target) == []


def assert_sorted_same(extension, found, expected) -> None:
    """The others come in no promised order."""
    found, expected = (
        cloud.select(np.argsort(cloud.means[:, 0].astype(np.float64).round(4))) for cloud in (found, expected)
    )
    assert_same_splats(extension, found, expected)


def test_join_says_when_looks_differ(extension):
    target, other = add_splats(extension, "A"), add_splats(extension, "B", seed=2, blend_space="blender")
    make_active(target, other)
    joining = extension.module("splat_addon.scene.editing.joining")
    assert joining.join(target, [other]) == ["They were trained for different looks; all have that of 'A' now."]


def test_separate_splits_at_the_selection(extension, choosing):
    item = add_splats(extension)
    place(item)
    which = np.arange(200) % 4 == 0
    choosing.select(item.data, which)
    before = in_world(extension, item)
    bpy.ops.splat.separate()
    (other,) = [one for one in bpy.data.objects if one != item]
    assert_same_splats(extension, in_world(extension, item), before.select(~which))
    assert_same_splats(extension, in_world(extension, other), before.select(which))
    assert other["splat_blend_space"] == item["splat_blend_space"]


@pytest.mark.parametrize("only_selected", [False, True])
def test_color_is_exact_from_every_side(extension, choosing, only_selected):
    item = add_splats(extension)
    which = np.arange(200) < 50
    choosing.select(item.data, which)
    before = in_world(extension, item)
    options = {"exposure": 0.5, "temperature": 0.4, "tint": -0.1, "contrast": 1.2, "saturation": 0.3}
    assert bpy.ops.splat.color(**options, only_selected=only_selected) == {"FINISHED"}
    after = in_world(extension, item)
    grading = extension.module("splat_addon.scene.editing.looks").Grading(**options).change()
    expected = colors(extension, before)
    rows = which if only_selected else slice(None)
    expected[rows] = expected[rows] @ grading.matrix.T + grading.offset
    np.testing.assert_allclose(colors(extension, after), expected, atol=2e-6)
    np.testing.assert_array_equal(after.log_scales, before.log_scales)
    np.testing.assert_array_equal(after.logit_opacities, before.logit_opacities)


def test_degrees_go_down_and_up(extension):
    item = add_splats(extension)
    before = in_world(extension, item)
    looks = extension.module("splat_addon.scene.editing.looks")
    former, error = looks.set_degree(item, 1)
    assert former == 3 and 0.1 < error < 1
    lower = in_world(extension, item)
    np.testing.assert_array_equal(lower.sh, before.sh[:, :4])
    assert not [name for name in ("radiance:sh_3", "radiance:sh_14") if name in item.data.attributes]
    assert looks.set_degree(item, 2) == (1, 0.0)
    higher = in_world(extension, item)
    np.testing.assert_array_equal(higher.sh[:, :4], lower.sh)
    assert higher.sh_degree == 2 and not higher.sh[:, 4:].any()


def test_decimate_deletes_what_shows_least(extension):
    sizes, opacities = np.full((200, 3), -3.0), np.zeros(200)
    sizes[:40], opacities[160:] = -6, -9
    item = add_splats(extension, log_scales=sizes, logit_opacities=opacities)
    before = in_world(extension, item)
    deleted, share = extension.module("splat_addon.scene.editing.looks").decimate(item, 120)
    assert deleted == 80 and 0 < share < 1e-3
    assert_same_splats(extension, in_world(extension, item), before.select(np.arange(40, 160)))


@pytest.mark.parametrize("operator", EDITS)
def test_splats_that_others_use_are_refused_with_the_remedy(extension, operator):
    item = add_splats(extension)
    place(item)
    twin = item.copy()
    bpy.context.scene.collection.objects.link(twin)
    before = positions(item)
    with pytest.raises(RuntimeError, match="Make Single User"):
        getattr(bpy.ops.splat, operator)()
    np.testing.assert_array_equal(positions(item), before)
    assert item.location.x == 1


@pytest.mark.parametrize(
    "operator", ["apply_transform", "mirror", "color", "set_sh_degree", "decimate", "separate", "repair"]
)
def test_in_edit_mode_and_without_splats_buttons_say_why_they_are_gray(extension, operator):
    add_splats(extension)
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Switch to Object Mode first"):
        getattr(bpy.ops.splat, operator)()
    bpy.ops.object.mode_set(mode="OBJECT")
    empty = bpy.data.objects.new("Empty", None)
    bpy.context.scene.collection.objects.link(empty)
    make_active(empty)
    with pytest.raises(RuntimeError, match="splat object"):
        getattr(bpy.ops.splat, operator)()


def test_linked_splats_are_refused(extension, tmp_path):
    item = add_splats(extension)
    bpy.data.libraries.write(str(tmp_path / "library.blend"), {item})
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, there):
        there.objects = ["Splats"]
    bpy.context.scene.collection.objects.link(there.objects[0])
    make_active(there.objects[0])
    with pytest.raises(RuntimeError, match="Make Local"):
        bpy.ops.splat.apply_transform()


def test_zero_selected_is_one_sentence_and_changes_nothing(extension, choosing):
    item = add_splats(extension)
    choosing.select(item.data, np.zeros(200, bool))
    before = in_world(extension, item)
    for action in (bpy.ops.splat.separate, lambda: bpy.ops.splat.color(exposure=1, only_selected=True)):
        with pytest.raises(RuntimeError, match="No splat is selected"):
            action()
    assert_same_splats(extension, in_world(extension, item), before, 1e-7)
    assert len(bpy.data.objects) == 1


def test_what_only_a_file_says_stays(extension):
    """Extras, the exact logits and the lengths of quaternions survive editing in place."""
    item = add_splats(extension, logit_opacities=np.linspace(-30, 30, 200))
    item.data.attributes.new("ply:number", "INT", "POINT").data.foreach_set("value", np.arange(200))
    place(item)
    before = in_world(extension, item)
    bpy.ops.splat.apply_transform()
    after = in_world(extension, item)
    np.testing.assert_array_equal(after.logit_opacities, before.logit_opacities)
    np.testing.assert_allclose(after.quaternion_lengths, before.quaternion_lengths, rtol=1e-6)
    assert [entry.value for entry in item.data.attributes["ply:number"].data] == list(range(200))


def test_the_panel_offers_them(extension):
    add_splats(extension)
    shown = [entry[1] for entry in drawn(extension.module("panels.editing.tools").SPLAT_PT_editing, bpy.context)]
    assert set(shown) >= {f"splat.{name}" for name in EDITS}
