"""Splats with something wrong: read and drawn as far as possible, with a sentence that says what it is."""

import bpy
import numpy as np
import pytest

from support.blenders_splats import make_points, needs_native_splats
from support.recording_layout import drawn, texts
from support.splat_objects import make_splats

COUNT = 6
RANDOM = np.random.default_rng(2)
GOOD = {
    "scale": ("FLOAT_VECTOR", RANDOM.uniform(0.1, 0.2, (COUNT, 3))),
    "rotation": ("QUATERNION", np.tile((0.5, 0.5, -0.5, 0.5), (COUNT, 1))),
    "radiance:base": ("FLOAT_COLOR", RANDOM.uniform(0, 1, (COUNT, 4))),
    **{f"radiance:sh_{k}": ("FLOAT_VECTOR", RANDOM.normal(0, 0.2, (COUNT, 3))) for k in range(8)},
}
PLACES = RANDOM.normal(size=(COUNT, 3))
ONE_SIZE, FLAT = np.full(COUNT, 0.25), RANDOM.uniform(0, 1, (COUNT, 3))
CASES = {  # what is changed (None: left out), the sentence, and what is drawn for it
    "no scale": ({"scale": None}, "'scale' is missing: splats are drawn as balls of 0.01.", np.full((COUNT, 3), 0.01)),
    "no rotation": (
        {"rotation": None},
        "'rotation' is missing: splats are drawn without rotation.",
        np.tile((1.0, 0, 0, 0), (COUNT, 1)),
    ),
    "one size": (
        {"scale": ("FLOAT", ONE_SIZE)},
        "'scale' is of the type Float: Adopt Splats converts it.",
        np.repeat(ONE_SIZE[:, None], 3, 1),
    ),
    "flat size": (
        {"scale": ("FLOAT2", FLAT[:, :2])},
        "'scale' is of the type 2D Vector: splats are drawn as balls of 0.01.",
        np.full((COUNT, 3), 0.01),
    ),
    "color as rotation": (
        {"rotation": ("FLOAT_COLOR", GOOD["rotation"][1])},
        "'rotation' is of the type Color: Adopt Splats converts it.",
        GOOD["rotation"][1],
    ),
    "no opacity": (
        {"radiance:base": ("FLOAT_VECTOR", FLAT)},
        "'radiance:base' is of the type Vector: Adopt Splats converts it.",
        np.concatenate([FLAT, np.ones((COUNT, 1))], 1),
    ),
    "a gap": ({"radiance:sh_3": None}, "'radiance:sh_3' is missing: it counts as 0.", np.zeros((COUNT, 3))),
}


@pytest.fixture
def attributes(extension):
    return extension.module("splat_addon.scene.splats.contents.attributes")


@pytest.fixture
def findings(extension):
    return extension.module("splat_addon.scene.splats.contents.findings")


def make(changes):
    return make_points({name: value for name, value in {**GOOD, **changes}.items() if value is not None}, PLACES)


def cloud_of(extension, item):
    return extension.module("splat_addon.scene.splats.data").splats_from_object(item)


@pytest.mark.parametrize("case", CASES)
def test_attributes_that_are_missing_or_of_another_type_are_read_and_told(extension, attributes, case):
    changes, sentence, wanted = CASES[case]
    (name,) = changes
    item = make(changes)
    assert attributes.problems(item.data) == [sentence]
    assert np.allclose(attributes.read(item.data, name), wanted, atol=1e-7)
    assert sentence in texts(drawn(extension.module("panels.splats").SPLAT_PT_splats, bpy.context))


@pytest.mark.parametrize("case", CASES)
def test_viewport_and_export_read_the_same(extension, attributes, case):
    item = make(CASES[case][0])
    texels, cloud = extension.module("splat_addon.scene.viewport.texels"), cloud_of(extension, item)
    numbers = np.empty((COUNT, 4 * texels.TEXELS[2]), np.float32)
    assert texels.pack(item.data, numbers, 2).degree == cloud.sh_degree == 2
    assert np.array_equal(numbers[:, 4:8], attributes.read(item.data, "rotation"))
    assert np.allclose(numbers[:, 8:11], np.exp(cloud.log_scales), rtol=1e-6)
    assert np.allclose(numbers[:, 4:8], cloud.rotations, atol=1e-6)
    assert np.array_equal(numbers[:, 12:15], cloud.sh[:, 0])
    assert np.array_equal(numbers[:, 16 : 16 + 24], cloud.sh[:, 1:].reshape(COUNT, -1))


@pytest.mark.parametrize("case", CASES)
def test_adopting_makes_them_what_they_must_be_with_the_same_values(extension, attributes, case):
    changes, _, wanted = CASES[case]
    (name,) = changes
    item = make(changes)
    before = cloud_of(extension, item)
    assert bpy.ops.splat.adopt() == {"FINISHED"}
    assert attributes.problems(item.data) == []
    assert item.data.attributes[name].data_type in attributes.expected(name).kinds
    assert np.allclose(attributes.read(item.data, name), wanted, atol=1e-7)
    after = cloud_of(extension, item)
    for part in ("means", "log_scales", "quaternions", "logit_opacities", "sh"):
        assert np.array_equal(getattr(before, part), getattr(after, part)), part


@needs_native_splats
def test_points_of_the_native_type_without_any_attribute_are_gray_and_half_transparent(extension, attributes):
    item = make_points({}, PLACES)
    item.data.type = "GAUSSIAN_SPLAT"
    assert [sentence.split(":")[0] for sentence in attributes.problems(item.data)] == [
        "'scale' is missing",
        "'rotation' is missing",
        "'radiance",
    ]
    cloud = cloud_of(extension, item)
    assert np.allclose(cloud.opacities, 0.5) and not cloud.sh.any()


def test_attributes_on_another_domain_count_as_missing(attributes):
    if not isinstance(make({}).data, bpy.types.Mesh):
        pytest.skip("points of point clouds are the only domain")
    item = make({"scale": None})
    item.data.edges.add(COUNT)
    item.data.attributes.new("scale", "FLOAT_VECTOR", "EDGE")
    assert attributes.problems(item.data) == ["'scale' is not stored on points: splats are drawn as balls of 0.01."]
    assert np.allclose(attributes.read(item.data, "scale"), 0.01)


def test_splats_without_points_say_so_and_can_be_adopted(extension, attributes):
    empty = {name: (kind, values[:0]) for name, (kind, values) in GOOD.items()}
    item = make_points(empty, np.zeros((0, 3)))
    assert attributes.problems(item.data) == ["There are no points: nothing to draw."]
    assert bpy.ops.splat.adopt() == {"FINISHED"} and "Splat Quads" in item.modifiers
    assert len(cloud_of(extension, item)) == 0
    assert extension.module("splat_addon.scene.viewport.texels").count_of(item.data) == 0


@pytest.mark.parametrize("case", ["one size", "color as rotation", "no opacity", "a gap"])
def test_renders_show_repaired_splats_as_if_they_had_always_been_right(extension, case):
    changes, _, wanted = CASES[case]
    (name,) = changes
    bad, good = make(changes), make({name: (GOOD[name][0], wanted)})
    bpy.context.scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    bpy.context.scene.collection.objects.link(bpy.context.scene.camera)
    bpy.context.scene.camera.location.z = 8
    bpy.context.scene.splat.viewport.show = False
    bpy.ops.splat.adopt()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    quads = []
    for item in (bad, good):
        assert item.modifiers["Splat Quads"].show_viewport
        evaluated = item.evaluated_get(depsgraph)
        geometry = None if item.type == "MESH" else evaluated.evaluated_geometry()  # must outlive its mesh
        mesh = evaluated.data if geometry is None else geometry.mesh
        colors = np.empty(len(mesh.vertices) * 4, np.float32)
        places = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.attributes["splat_color"].data.foreach_get("color", colors)
        mesh.vertices.foreach_get("co", places)
        quads.append((colors, places))
    assert len(quads[0][0]) == 4 * 4 * COUNT
    assert np.allclose(quads[0][0], quads[1][0], atol=1e-6) and np.allclose(quads[0][1], quads[1][1], atol=1e-6)


def test_points_joined_to_splats_are_told_from_flat_splats(extension, findings):
    scales, base = np.full((COUNT, 3), 0.1), np.full((COUNT, 4), 0.5)
    scales[:2], base[:2], scales[4, 1] = 0, 0, 0
    item = make({"scale": ("FLOAT_VECTOR", scales), "radiance:base": ("FLOAT_COLOR", base)})
    assert findings.problems(item.data) == [
        "2 points are not splats (joined?): without size and color, nothing is drawn.",
        "1 splat has a scale of 0, which EEVEE leaves out when Blender draws: see Tidy Outliers.",
    ]


@needs_native_splats
def test_a_join_with_plain_points_is_noticed(extension, findings):
    splats = make_splats(extension, RANDOM.normal(size=(5, 3)))
    assert findings.problems(splats.data) == []
    make_points({}, PLACES).select_set(True)
    splats.select_set(True)
    bpy.context.view_layer.objects.active = splats
    bpy.ops.object.join()
    bpy.context.view_layer.update()
    assert findings.problems(splats.data) == [
        "6 points are not splats (joined?): without size and color, nothing is drawn."
    ]


def test_nothing_is_written_to_linked_splats(extension, tmp_path):
    make({"scale": ("FLOAT", ONE_SIZE)})
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, into):
        into.objects = ["Foreign"]
    (linked,) = into.objects
    local = bpy.data.objects.new("Local", linked.data)
    for item in (linked, local):
        bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.objects.active = local
    for action in (bpy.ops.splat.adopt, bpy.ops.splat.set_up_render):
        assert action() == {"FINISHED"}
    bpy.ops.splat.export_ply(filepath=str(tmp_path / "out.ply"))
    bpy.context.scene.splat.look = "DISPLAY"
    assert not linked.data.keys() and linked.data.attributes["scale"].data_type == "FLOAT"
    assert not linked.keys() and len(linked.modifiers) == 0
    assert local["splat_blend_space"] == "display" and "Splat Quads" in local.modifiers
    assert not bpy.ops.splat.tidy_outliers.poll()
