"""Splats that come into a scene, and what renders need then: bounces, Look and view, a layer beside other things."""

import bpy
import numpy as np
import pytest

from support import pixels, splat_renders


@pytest.fixture
def bring(extension, tmp_path):
    """Import a file of 300 random splats, trained in `blend_space`; the reports of that are lost, effects are not."""

    def bring(blend_space="display", name="splats"):
        random = np.random.default_rng(0)
        cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
            means=random.normal(size=(300, 3)) * 1.2 + (0, -1, 0.5),
            log_scales=np.full((300, 3), -1.6),
            quaternions=np.tile((1.0, 0, 0, 0), (300, 1)),
            logit_opacities=np.full(300, -0.5),
            sh=random.normal(0, 0.6, (300, 1, 3)),
            blend_space=blend_space,
        )
        path = tmp_path / f"{name}.ply"
        extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(path, cloud)
        assert bpy.ops.splat.import_ply(filepath=str(path)) == {"FINISHED"}
        return bpy.context.view_layer.objects.active

    return bring


@pytest.fixture
def setup(extension):
    return extension.module("splat_addon.scene.splats.render_setup")


def view() -> str:
    return bpy.context.scene.view_settings.view_transform


def add_cube():
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.active_object
    cube.name = "Block"  # the cube of Blender's default scene would be hidden
    cube.data.materials.append(pixels.emissive("Shining", (0.2, 0.5, 0.05)))
    return cube


def test_the_first_splats_set_the_bounces_and_the_artists_are_given_back(bring):
    splat_renders.use_cycles()
    cycles = bpy.context.scene.cycles
    assert (cycles.transparent_max_bounces, cycles.min_transparent_bounces) == (8, 0)
    bring()
    assert (cycles.transparent_max_bounces, cycles.min_transparent_bounces) == (1024, 256)
    assert bpy.ops.splat.put_back_render() == {"FINISHED"}
    assert (cycles.transparent_max_bounces, cycles.min_transparent_bounces) == (8, 0)
    bring(name="more")
    assert cycles.transparent_max_bounces == 8, "what the artist put back stays, with the second splats"


def test_what_was_set_is_said(extension, bring, setup):
    splat_renders.use_cycles()
    item = bring()
    bpy.ops.splat.put_back_render()
    said = setup.prepare(bpy.context.scene, [item])
    assert said[0].startswith("Set for splats: Transparent Bounces 8 → 1024, Min Transparent Bounces 0 → 256.")
    assert setup.prepare(bpy.context.scene, [item]) == []


@pytest.mark.parametrize(
    "blend_space, look, shown", [("display", "DISPLAY", "Raw"), ("blender", "BLENDER", "Standard")]
)
def test_look_and_view_start_from_what_the_splats_were_trained_for(bring, blend_space, look, shown):
    assert view() == "AgX"
    bring(blend_space)
    assert bpy.context.scene.splat.look == look and view() == shown


def test_a_look_that_the_artist_chose_stays(bring):
    bpy.context.scene.splat.look = "BLENDER"
    bring("display")
    assert bpy.context.scene.splat.look == "BLENDER" and view() == "AgX"


def test_the_view_follows_the_look_and_raw_is_never_left_behind(bring):
    bring("display")
    bpy.context.scene.splat.look = "BLENDER"
    assert view() == "Standard"
    bpy.context.scene.splat.look = "DISPLAY"
    assert view() == "Raw"
    add_cube()
    bpy.context.scene.splat.look = "BLENDER"
    assert view() == "Standard"
    bpy.context.scene.splat.look = "DISPLAY"
    assert view() == "Standard", "the cube would render black"


def test_beside_other_things_the_view_stays_and_a_layer_is_offered(extension, bring):
    add_cube()
    bring("display")
    assert bpy.context.scene.splat.look == "BLENDER" and view() == "AgX"
    advice = extension.module("splat_addon.scene.splats.advice").scene_advice
    assert any("Composite Splats" in sentence for sentence in advice(bpy.context.scene))
    bpy.context.scene.splat.look = "DISPLAY"
    assert any("'Block' will look wrong" in sentence for sentence in advice(bpy.context.scene))
    assert bpy.ops.splat.composite_splats() == {"FINISHED"}
    assert not any("Composite Splats" in sentence for sentence in advice(bpy.context.scene))
    assert view() == "Standard"


@pytest.mark.parametrize("has_sky", [True, False])
def test_composited_splats_are_what_display_blending_gives(bring, has_sky, tmp_path):
    """Against both parts rendered apart and blended by hand, in display colors."""
    scene = bpy.context.scene
    splat_renders.use_cycles()
    splat_renders.add_camera(scene, (0, -9, 1), size=(60, 45))
    scene.render.engine, scene.cycles.use_denoising, scene.render.dither_intensity = "CYCLES", False, 0.0
    scene.world = bpy.data.worlds.new("Sky")
    scene.render.film_transparent = not has_sky
    cube, item = add_cube(), bring("display")
    assert bpy.ops.splat.composite_splats() == {"FINISHED"}
    scene.cycles.samples = 16
    assert [layer.name for layer in scene.view_layers if layer.use] == ["Without Splats", "Splats Alone"]
    assert item.visible_get(view_layer=bpy.context.view_layer), "the artist's own layer shows them still"
    both = rendered(scene, tmp_path / "both.png")
    scene.splat.look = "BLENDER"
    assert cube.name in scene.collection.objects and len(scene.collection.children) == 1
    assert [layer.use for layer in scene.view_layers] == [True] and scene.render.film_transparent != has_sky
    item.hide_render = True
    behind = rendered(scene, tmp_path / "behind.png")
    item.hide_render, cube.is_holdout, scene.splat.look = False, True, "DISPLAY"
    scene.render.film_transparent, scene.view_settings.view_transform = True, "Raw"
    front = rendered(scene, tmp_path / "front.png")
    through = 1 - front[..., 3:]
    wanted = front[..., :3] * front[..., 3:] + behind[..., :3] * behind[..., 3:] * through
    seen = both[..., :3] * both[..., 3:]
    assert -10 * np.log10(np.mean((seen - wanted) ** 2)) > 40
    alpha = front[..., 3:] + behind[..., 3:] * through
    assert np.abs(both[..., 3:] - alpha).max() < 0.02
    assert front[..., 3].max() > 0.9 and (behind[..., 3].min() == 1) == has_sky


def rendered(scene, path) -> np.ndarray:
    scene.render.image_settings.file_format, scene.render.image_settings.color_mode = "PNG", "RGBA"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return pixels.read(path)


def test_compositing_that_is_there_already_is_kept_and_given_back(extension, bring):
    scene = bpy.context.scene
    nodes = extension.module("splat_addon.scene.splats.compositing.nodes")
    tree = nodes.tree_of(scene, is_wanted=True)
    output = nodes._output(scene, tree)
    blur = tree.nodes.new("CompositorNodeBlur")
    layers = next(iter(nodes.render_layers(scene)), None) or tree.nodes.new("CompositorNodeRLayers")
    layers.scene, layers.layer = scene, bpy.context.view_layer.name
    image = next(socket for socket in blur.inputs if socket.type == "RGBA")
    tree.links.new(layers.outputs["Image"], image)
    tree.links.new(blur.outputs[0], output.inputs[0])
    links = lambda: sorted((link.from_node.name, link.to_node.name) for link in tree.links)  # noqa: E731
    before, count = links(), len(tree.nodes)
    add_cube()
    bring("display")
    assert bpy.ops.splat.composite_splats() == {"FINISHED"}
    assert layers.layer == "Without Splats" and output.inputs[0].links[0].from_node != blur
    scene.splat.look = "BLENDER"
    assert links() == before and len(tree.nodes) == count and layers.layer == bpy.context.view_layer.name
