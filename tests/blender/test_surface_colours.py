"""Colours of seeds: what Cycles shows of the same material, within 2/255."""

import addon_utils
import bpy
import numpy as np
import pytest

LIMIT = 2 / 255


@pytest.fixture
def sample(extension):
    meshes = extension.module("splat_addon.scene.seeds.surfaces")
    return lambda item, count=200: meshes.sample_surfaces([item], count, seed=0)


def square(material=None) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("Square")
    mesh.from_pydata([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], [], [(0, 1, 2, 3)])
    for name, factor in (("UVMap", 1.0), ("Half", 0.5)):
        layer = mesh.uv_layers.new(name=name)
        for entry, uv in zip(layer.uv, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
            entry.vector = (factor * uv[0], factor * uv[1])
    if material is not None:
        mesh.materials.append(material)
    item = bpy.data.objects.new("Square", mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


class Shining:
    """A material that emits a colour, so that a render shows the very colour."""

    def __init__(self):
        self.material = bpy.data.materials.new("Shining")
        if self.material.node_tree is None:
            self.material.use_nodes = True
        self.nodes, self.links = self.material.node_tree.nodes, self.material.node_tree.links
        self.nodes.clear()
        self.shader, output = self.nodes.new("ShaderNodeEmission"), self.nodes.new("ShaderNodeOutputMaterial")
        self.links.new(self.shader.outputs[0], output.inputs["Surface"])

    def add(self, kind: str, **properties) -> bpy.types.Node:
        node = self.nodes.new(kind)
        for name, value in properties.items():
            setattr(node, name, value)
        return node

    def from_node(self, node: bpy.types.Node, output="Color") -> "Shining":
        self.links.new(node.outputs[output], self.shader.inputs["Color"])
        return self

    def image(self, image, **properties) -> bpy.types.Node:
        node = self.add("ShaderNodeTexImage", image=image, interpolation="Closest", **properties)
        self.from_node(node)
        return node


def make_image(tmp_path, values, file_format="PNG", depth="8", space="sRGB") -> bpy.types.Image:
    """An image file of 4 x 4 equal blocks of the `values` (16, 3), as it comes from a disk."""
    blocks = np.repeat(np.repeat(np.reshape(values, (4, 4, 3)), 8, axis=0), 8, axis=1)
    made = bpy.data.images.new("made", 32, 32, float_buffer=depth != "8")
    made.pixels.foreach_set(np.concatenate([blocks, np.ones((32, 32, 1))], axis=2).astype(np.float32).ravel())
    path = tmp_path / f"image.{'exr' if file_format == 'OPEN_EXR' else 'png'}"
    settings = bpy.context.scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = file_format, "RGB", depth
    bpy.context.scene.view_settings.view_transform = "Standard"
    if depth == "8":
        made.filepath_raw, made.file_format = str(path), "PNG"
        made.save()
    else:
        made.save_render(str(path), scene=bpy.context.scene)
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = space
    return image


COLORS = np.random.default_rng(5).uniform(0.02, 0.98, size=(16, 3))


def rendered(tmp_path, size: int = 64) -> np.ndarray:
    """(size, size, 3) what Cycles shows of the square from above under the Standard view, first row at the bottom."""
    addon_utils.enable("cycles")
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.data.type, camera.data.ortho_scale, camera.location = "ORTHO", 2.0, (0, 0, 5)
    scene.camera, scene.render.engine = camera, "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.render.dither_intensity = 1, False, 0
    scene.cycles.pixel_filter_type = "BOX"
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.view_settings.view_transform = "Standard"
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
    scene.render.filepath = str(tmp_path / "render.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(tmp_path / "render.png"))
    pixels = np.empty(size * size * image.channels, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(size, size, -1)[..., :3]


def require_as_rendered(points, tmp_path) -> None:
    """Compare with the render, leaving out points within a pixel of where colours change."""
    size = 64
    image = rendered(tmp_path, size)
    cells = np.clip(((points.positions[:, :2] + 1) / 2 * size).astype(int), 1, size - 2)
    offsets = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    around = np.stack([image[cells[:, 1] + y, cells[:, 0] + x] for x, y in offsets])
    is_flat = np.ptp(around, axis=0).max(axis=1) < 0.004
    assert is_flat.mean() > 0.25
    assert np.abs(points.colors - image[cells[:, 1], cells[:, 0]])[is_flat].max() <= LIMIT


@pytest.mark.parametrize(
    ("file_format", "depth", "space"),
    [
        ("PNG", "8", "sRGB"),
        ("PNG", "8", "Non-Color"),
        ("PNG", "8", "Linear Rec.709"),
        ("PNG", "16", "sRGB"),
        ("OPEN_EXR", "16", "Linear Rec.709"),
        ("OPEN_EXR", "32", "Non-Color"),
    ],
)
def test_images_of_every_kind_have_the_colour_that_is_rendered(sample, tmp_path, file_format, depth, space):
    shining = Shining()
    shining.image(make_image(tmp_path, COLORS, file_format, depth, space))
    points = sample(square(shining.material))
    assert np.ptp(points.colors, axis=0).min() > 0.4
    require_as_rendered(points, tmp_path)


def test_the_uv_map_and_mapping_that_the_nodes_name_are_followed(sample, tmp_path):
    shining = Shining()
    node = shining.image(make_image(tmp_path, COLORS), extension="EXTEND")
    mapping, uv = shining.add("ShaderNodeMapping"), shining.add("ShaderNodeUVMap", uv_map="Half")
    mapping.inputs["Location"].default_value = (0.25, 0.1, 0)
    mapping.inputs["Rotation"].default_value = (0, 0, 0.3)
    mapping.inputs["Scale"].default_value = (1.5, 0.8, 1)
    reroute = shining.add("NodeReroute")
    shining.links.new(uv.outputs[0], mapping.inputs["Vector"])
    shining.links.new(mapping.outputs[0], reroute.inputs[0])
    shining.links.new(reroute.outputs[0], node.inputs["Vector"])
    require_as_rendered(sample(square(shining.material)), tmp_path)


@pytest.mark.parametrize("extension_mode", ["REPEAT", "MIRROR", "CLIP", "EXTEND"])
def test_beyond_the_image_it_goes_on_as_in_a_render(sample, tmp_path, extension_mode):
    shining = Shining()
    node = shining.image(make_image(tmp_path, COLORS), extension=extension_mode)
    mapping, uv = shining.add("ShaderNodeMapping"), shining.add("ShaderNodeTexCoord")
    mapping.inputs["Location"].default_value, mapping.inputs["Scale"].default_value = (-0.9, -0.6, 0), (2.5, 2.2, 1)
    shining.links.new(uv.outputs["UV"], mapping.inputs["Vector"])
    shining.links.new(mapping.outputs[0], node.inputs["Vector"])
    require_as_rendered(sample(square(shining.material)), tmp_path)


@pytest.mark.parametrize("kind", ["FLOAT_COLOR", "BYTE_COLOR"])
@pytest.mark.parametrize("domain", ["POINT", "CORNER"])
@pytest.mark.parametrize("node", ["named", "render", "attribute"])
def test_colour_attributes_are_scene_linear(sample, tmp_path, kind, domain, node):
    shining = Shining()
    item = square(shining.material)
    attribute = item.data.color_attributes.new("Paint", kind, domain)
    attribute.data.foreach_set("color", np.tile([0.18, 0.6, 0.03, 1], 4).astype(np.float32))
    shining.from_node(
        shining.add("ShaderNodeAttribute", attribute_name="Paint")
        if node == "attribute"
        else shining.add("ShaderNodeVertexColor", layer_name="Paint" if node == "named" else "")
    )
    require_as_rendered(sample(item, 50), tmp_path)


def test_the_strength_of_emission_counts(sample, tmp_path):
    shining = Shining()
    shining.shader.inputs["Color"].default_value = (0.2, 0.05, 0.4, 1)
    shining.shader.inputs["Strength"].default_value = 2.0
    require_as_rendered(sample(square(shining.material), 50), tmp_path)


def test_each_face_has_the_colour_of_its_material_and_slots_of_the_object_come_first(sample):
    red, green, blue = (Shining() for _ in range(3))
    for shining, color in ((red, (1, 0, 0, 1)), (green, (0, 1, 0, 1)), (blue, (0, 0, 1, 1))):
        shining.shader.inputs["Color"].default_value = color
    mesh = bpy.data.meshes.new("Two")
    mesh.from_pydata(
        [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0, 0), (2, 1, 0)], [], [(0, 1, 2, 3), (1, 4, 5, 2)]
    )
    mesh.materials.append(red.material)
    mesh.materials.append(green.material)
    mesh.polygons[1].material_index = 1
    item = bpy.data.objects.new("Two", mesh)
    bpy.context.scene.collection.objects.link(item)
    item.material_slots[1].link, item.material_slots[1].material = "OBJECT", blue.material
    points = sample(item)
    right = points.positions[:, 0] > 1
    assert np.allclose(points.colors[~right], (1, 0, 0)) and np.allclose(points.colors[right], (0, 0, 1))


@pytest.mark.parametrize("kind", ["noise", "no image", "a muted node", "a foreign colour space", "no UV map"])
def test_what_the_nodes_do_not_tell_is_left_to_the_photos(sample, tmp_path, kind):
    shining = Shining()
    if kind == "noise":
        shining.from_node(shining.add("ShaderNodeTexNoise"))
    else:
        node = shining.image(None if kind == "no image" else make_image(tmp_path, COLORS))
        node.mute = kind == "a muted node"
        if kind == "a foreign colour space":
            spaces = node.image.colorspace_settings.bl_rna.properties["name"].enum_items.keys()
            node.image.colorspace_settings.name = next(name for name in spaces if "2020" in name or "ACES" in name)
    item = square(shining.material)
    while kind == "no UV map" and item.data.uv_layers:
        item.data.uv_layers.remove(item.data.uv_layers[0])
    assert np.isnan(sample(item, 20).colors).all()
