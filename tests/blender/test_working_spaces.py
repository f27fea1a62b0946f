"""Files whose working space is not Linear Rec.709 (Blender 5.0): splats, seeds and points keep their colors."""

import bpy
import numpy as np
import pytest

from support import ewa, pixels, splat_renders
from support.cube_scene import add_camera, prepare, select

pytestmark = pytest.mark.skipif(
    not hasattr(bpy.data, "colorspace"), reason="this Blender has one working space (5.0 brought others)"
)


def work_in(space: str) -> None:
    bpy.ops.wm.set_working_color_space(working_space=space)


@pytest.fixture(autouse=True)
def linear_rec709():
    """Every test begins and ends in the usual working space."""
    work_in("Linear Rec.709")
    yield
    work_in("Linear Rec.709")


@pytest.fixture
def stage(extension, tmp_path):
    scene = bpy.context.scene
    splat_renders.use_cycles()
    splat_renders.add_camera(scene, (0.4, -4.0, 1.0), size=(48, 36))
    return splat_renders.Stage(extension, scene, tmp_path)


def worst(stage, cloud, look: str) -> float:
    """The largest difference of any channel of an 8-bit picture from the float64 reference, in steps of 1/255."""
    stage.scene.splat.look = look
    assert bpy.ops.splat.set_up_render(is_exact=True) == {"FINISHED"}
    reference = ewa.render(cloud, stage.camera(), "blender" if look == "BLENDER" else "display")[..., :3]
    picture = splat_renders.render_png(stage.scene, stage.folder)[..., :3]
    assert reference.max() > 0.5
    return 255 * np.abs(picture - np.clip(reference, 0, 1)).max()


@pytest.mark.parametrize(
    ("space", "look"), [("Linear Rec.2020", "BLENDER"), ("ACEScg", "BLENDER"), ("ACEScg", "DISPLAY")]
)
def test_splats_render_as_trained_in_every_working_space(stage, space, look):
    cloud = stage.random_cloud(60)
    work_in(space)
    stage.add(cloud)
    assert worst(stage, cloud, look) < 2.0


def test_splats_follow_when_the_working_space_changes_under_them(extension, stage):
    advice = extension.module("splat_addon.scene.splats.advice")
    cloud = stage.random_cloud(60)
    if bpy.app.version < (5, 2):
        pytest.skip("Blender 5.0 and 5.1 convert the colors of splats as if they were light (Convert Colors)")
    item = stage.add(cloud)
    for space in ("ACEScg", "Linear Rec.709", "Linear Rec.2020"):
        work_in(space)
        assert worst(stage, cloud, "BLENDER") < 2.0
        assert "working space" not in " ".join(advice.scene_advice(stage.scene))
    group = item.modifiers[0].node_group
    assert group["splat_version"].endswith(" Linear Rec.2020")
    work_in("Linear Rec.709")
    assert isinstance(group["splat_version"], int), "as it is in files that have no other"


def test_a_file_that_was_saved_before_splats_followed_is_converted_when_opened(stage, tmp_path):
    cloud = stage.random_cloud(60)
    item = stage.add(cloud)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "usual.blend"))
    group = item.modifiers[0].node_group
    version = group["splat_version"]
    work_in("ACEScg")
    group = bpy.data.node_groups["Splat Quads"]
    group["splat_version"] = version  # as of code that knew one space
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "wide.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "wide.blend"))
    assert bpy.data.node_groups["Splat Quads"]["splat_version"] == f"{version} ACEScg"


def test_seeds_have_the_colors_of_the_images(extension, tmp_path):
    """A glowing cube, vertex colors of both kinds, and a texture."""
    work_in("ACEScg")
    prepare(tmp_path / "c", width=48, height=12, source="SELECTED", seed_count=400)
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    image = bpy.data.images.new("Skin", 2, 2)
    image.pixels.foreach_set([0.7, 0.3, 0.2, 1.0] * 4)
    image.update()
    squares = [_square(x, kind, image) for x, kind in zip((-1.5, -0.5, 0.5, 1.5), _KINDS, strict=True)]
    eye = add_camera("Eye", distance=4.0)
    eye.data.sensor_width, eye.data.lens = 36.0, 36.0
    select(*squares, eye)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    points = extension.module("splat_addon.gaussians.formats.splat_ply").read_points(tmp_path / "c" / "points3d.ply")
    picture = pixels.read(tmp_path / "c" / "images" / "Eye.png")
    for square, column in zip(squares, (6, 18, 30, 42), strict=True):
        here = np.abs(points[0][:, 0] - square.location.x) < 0.4
        seeds = points[1][here]
        assert len(seeds) > 20
        assert np.abs(255 * (seeds - picture[6, column, :3])).max() < 2, square.name
    bpy.data.images.remove(image)  # Blender changes no working space while an image is not saved


_KINDS = ("emission", "FLOAT_COLOR", "BYTE_COLOR", "texture")


def _square(x: float, kind: str, image) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(kind)
    mesh.from_pydata([(-0.5, 0, -0.5), (0.5, 0, -0.5), (0.5, 0, 0.5), (-0.5, 0, 0.5)], [], [(0, 1, 2, 3)])
    material = pixels.emissive(kind, (0.4, 0.2, 0.15))
    nodes = material.node_tree.nodes
    emission = next(node for node in nodes if node.type == "EMISSION")
    if kind.endswith("COLOR"):
        for item in mesh.attributes.new("Tint", kind, "POINT").data:
            item.color = (0.4, 0.2, 0.15, 1.0)
        source = nodes.new("ShaderNodeAttribute")
        source.attribute_name = "Tint"
    elif kind == "texture":
        mesh.uv_layers.new()
        source = nodes.new("ShaderNodeTexImage")
        source.image = image
    if kind != "emission":
        material.node_tree.links.new(source.outputs["Color"], emission.inputs["Color"])
    mesh.materials.append(material)
    item = bpy.data.objects.new(kind, mesh)
    item.location.x = x
    bpy.context.scene.collection.objects.link(item)
    return item


def test_sparse_points_show_their_colors(extension):
    work_in("ACEScg")
    module = extension.module("splat_addon.scene.photos.points")
    reading = extension.module("splat_addon.scene.seeds.point_clouds")
    points = extension.module("splat_addon.capture.capture").Points
    colors = np.array([[0.9, 0.15, 0.1], [0.2, 0.6, 0.4]])
    made = module.points_to_object(
        points(np.array([[0.0, 0, 0], [1, 0, 0]]), colors, None), "Points", 0.1, bpy.context.scene.collection
    )
    stored = np.array([item.color[:3] for item in made.data.attributes["Col"].data])
    assert stored[0, 1] > 0.05, "a red of Rec.709 holds green in ACEScg"
    bpy.context.view_layer.update()
    assert np.abs(reading.read_points([made]).colors - colors).max() < 1e-5
