"""Where renders of splats differ from what was trained: each condition is told with its remedy, and that works."""

import os
import subprocess
import sys
from dataclasses import replace

import bpy
import numpy as np
import pytest

from support import ewa, splat_renders
from support.cube_scene import add_cube, prepare, select
from support.extension import ROOT
from support.pixels import emissive
from support.recording_layout import drawn, texts
from support.scene_kinds import nodes_modifier
from support.splat_renders import Stage


@pytest.fixture
def stage(extension, tmp_path):
    splat_renders.use_cycles()
    return Stage(extension, bpy.context.scene, tmp_path)


@pytest.fixture
def as_captured(extension):
    """Makes the open scene what the process that renders captures makes of its copy; returns what it says."""
    plan = extension.module("splat_addon.run.render_folder").RenderPlan
    set_up = extension.module("splat_addon.scene.rendering.image_settings").set_up
    return lambda scene: set_up(scene, plan(scene.name, ()), [])


@pytest.fixture
def told(extension):
    """What the panel *Render* says of the open scene."""
    panel = extension.module("panels.splats").SPLAT_PT_render
    return lambda: texts(drawn(panel, bpy.context))


def instanced(item) -> bpy.types.Object:
    """An empty that instances a collection with `item`, which is not in the scene itself."""
    library = bpy.data.collections.new("Library")
    item.users_collection[0].objects.unlink(item)
    library.objects.link(item)
    empty = bpy.data.objects.new("Instance", None)
    empty.instance_type, empty.instance_collection = "COLLECTION", library
    bpy.context.scene.collection.objects.link(empty)
    return empty


def expose(scene):
    scene.cycles.film_exposure = 2.0


def override_output(scene):
    scene.render.image_settings.color_management = "OVERRIDE"


def show_through_agx(scene):
    scene.view_settings.view_transform = "AgX"


def set_cycles_back(scene):
    scene.cycles.transparent_max_bounces = 8


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (expose, "Film Exposure 2"), (override_output, "Output Color Management Override"),
        (show_through_agx, "View AgX"), (set_cycles_back, "Transparent Bounces 8"),
    ],
    ids=["exposure", "output", "view", "bounces"],
)  # fmt: skip
def test_settings_that_change_splats_are_told_set_and_given_back(stage, told, spoil, words):
    cloud, scene = stage.random_cloud(20), stage.scene
    stage.add(cloud)
    splat_renders.add_camera(scene, (3, -3, 2), size=(40, 30))
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    scene.cycles.samples, scene.cycles.filter_width, scene.cycles.pixel_filter_type = 1, 0.01, "BLACKMAN_HARRIS"
    assert "Not as splats need it" not in told()
    spoil(scene)
    assert f"Not as splats need it: {words}. Set Up Render for Splats sets it." in told()
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    assert "Not as splats need it" not in told()
    shown = splat_renders.render_png(scene, stage.folder)[..., :3]
    assert ewa.psnr_db(shown, ewa.render(cloud, stage.camera(), "blender")[..., :3]) > 48, "as near as 8 bits come"


def test_cameras_that_move_blur_splats_as_the_mean_of_what_they_see(stage, told):
    from mathutils import Vector

    cloud, scene = stage.random_cloud(60, degree=0), stage.scene
    item = stage.add(cloud)
    camera = splat_renders.add_camera(scene, (0, -4, 0), size=(60, 45))
    bpy.context.preferences.edit.keyframe_new_interpolation_type = "LINEAR"
    for frame, x in ((0, -0.5), (10, 0.5)):
        camera.location = (x, -4, 0)
        camera.rotation_euler = (-Vector(camera.location)).to_track_quat("-Z", "Y").to_euler()
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
    item.cycles.use_deform_motion = True  # as in files of earlier versions
    scene.render.engine, scene.render.use_motion_blur, scene.render.motion_blur_shutter = "CYCLES", True, 1.0
    assert "Motion blur smears the quads of Splats" in told()
    scene.frame_set(5)
    assert bpy.ops.splat.set_up_render(is_exact=True) == {"FINISHED"}
    assert "Motion blur" not in told() and not item.cycles.use_deform_motion
    scene.cycles.samples = 64
    blurred = ewa.encode(splat_renders.render(scene, stage.folder)[..., :3])
    seen = []
    for moment in np.linspace(4.5, 5.5, 9):
        scene.frame_set(int(moment), subframe=moment % 1)
        seen.append(ewa.decode(np.clip(ewa.render(cloud, stage.camera(), "blender")[..., :3], 0, None)))
    assert ewa.psnr_db(blurred, ewa.encode(np.mean(seen, axis=0))) > 38


def test_captures_have_the_scenes_brightness_whatever_film_exposure_is(stage, as_captured, tmp_path):
    scene = prepare(tmp_path / "capture")
    bpy.data.objects["Cube"].data.materials.append(emissive("Glow", (0.1, 0.2, 0.05)))
    splat_renders.add_camera(scene, (0, -3, 0), size=(16, 12))
    scene.cycles.film_exposure, scene.render.engine = 2.0, "CYCLES"
    notes = as_captured(scene)
    pixel = splat_renders.render_png(scene, tmp_path)[6, 8, :3]
    assert np.allclose(pixel, ewa.encode(np.array([0.1, 0.2, 0.05])), atol=1.5 / 255)
    assert any("Film Exposure was switched off" in note for note in notes)


def test_instances_are_told_and_left_out_of_captures(stage, told, as_captured, tmp_path):
    scene, cloud = stage.scene, stage.random_cloud(40, degree=0, means=np.random.default_rng(2).normal(0, 0.3, (40, 3)))
    empty = instanced(stage.add(cloud))
    empty.location, empty.rotation_euler = (1.5, 0, 0), (0, 0, 1.2)
    splat_renders.add_camera(scene, (0, -5, 1), (0.7, 0, 0), size=(24, 18))
    scene.cycles.samples = 1
    assert "'Instance' instances splats" in told() and "Make Instances Real" in told()
    before = splat_renders.render(scene, tmp_path)[..., 3]
    as_captured(scene)
    assert before.max() > 0.9 and splat_renders.render(scene, tmp_path)[..., 3].max() == 0


@pytest.mark.parametrize("way", ["Object Info", "Collection Info", "modifier input"])
def test_splats_that_geometry_nodes_show_are_told_and_left_out_of_captures(stage, told, as_captured, tmp_path, way):
    scene, cloud = stage.scene, stage.random_cloud(40, degree=0, means=np.random.default_rng(2).normal(0, 0.3, (40, 3)))
    splats = stage.add(cloud)
    kept = bpy.data.collections.new("Kept")
    kept.objects.link(splats)
    cube = add_cube()
    cube.name = "Shower"
    (join,) = nodes_modifier(cube, "GeometryNodeSetPosition")
    tree, name = join.id_data, "Collection" if way == "Collection Info" else "Object"
    info = tree.nodes.new(f"GeometryNode{name}Info")
    tree.links.new(info.outputs["Instances" if name == "Collection" else "Geometry"], join.inputs[0])
    if way == "modifier input":
        socket = tree.interface.new_socket("Shown", in_out="INPUT", socket_type="NodeSocketObject")
        tree.links.new(tree.nodes["Group Input"].outputs["Shown"], info.inputs["Object"])
        modifier = cube.modifiers[0]
        if hasattr(modifier, "properties"):
            getattr(modifier.properties.inputs, socket.identifier).value = splats
        else:
            modifier[socket.identifier] = splats
    else:
        info.inputs[name].default_value = kept if name == "Collection" else splats
    splats.hide_render = name == "Object"  # of itself; Object Info shows it all the same
    splat_renders.add_camera(scene, (0, -5, 1), size=(24, 18))
    scene.cycles.samples = 1
    cube.update_tag()
    bpy.context.view_layer.update()
    assert "'Shower' instances splats" in told()
    before = splat_renders.render(scene, tmp_path)[..., 3]
    as_captured(scene)
    assert before.max() > 0.5 and splat_renders.render(scene, tmp_path)[..., 3].max() == 0


def test_instances_made_real_look_as_trained(stage, told):
    scene, cloud = stage.scene, stage.random_cloud(40, degree=0)
    empty = instanced(stage.add(cloud))
    empty.location, empty.rotation_euler = (0.5, 0, 0), (0, 0, 1.2)
    splat_renders.add_camera(scene, (0, -5, 1), (0.4, 0, 0), size=(60, 45))
    view = stage.camera()
    world_from_splats = np.array(empty.matrix_world)
    select(empty)
    bpy.context.view_layer.objects.active = empty
    assert bpy.ops.object.duplicates_make_real() == {"FINISHED"}
    assert "instances splats" not in told()
    moved = replace(view, camera_from_world=view.camera_from_world @ world_from_splats)
    reference = ewa.render(cloud, moved, "blender")
    assert ewa.psnr_db(stage.render()[..., :3], reference[..., :3]) > 60


def overlap(stage):
    stage.add(stage.random_cloud(), "Other")
    stage.scene.render.engine = "BLENDER_EEVEE" if bpy.app.version >= (5, 0) else "BLENDER_EEVEE_NEXT"


def take_overlap_back(stage):
    bpy.data.objects["Other"].location.x = 20


def add_mirror(stage):
    add_cube().name = "Mirror"
    stage.scene.render.engine, stage.scene.cycles.max_bounces = "CYCLES", 4


def remove_mirror(stage):
    bpy.data.objects["Mirror"].hide_render = True


def set_stereo(stage):
    stage.scene.render.use_multiview = True


def set_mono(stage):
    stage.scene.render.use_multiview = False


def override_materials(stage):
    stage.scene.view_layers[0].material_override = emissive("Clay", (0.1, 0.2, 0.05))


def clear_override(stage):
    stage.scene.view_layers[0].material_override = None


def remove_camera(stage):
    stage.scene.camera = None


def give_camera(stage):
    stage.scene.camera = bpy.data.objects["Camera"]


@pytest.mark.parametrize(
    ("spoil", "mend", "words"),
    [
        (overlap, take_overlap_back, "'Splats' and 'Other' reach into each other: render with Cycles"),
        (add_mirror, remove_mirror, "Mirrors and bounced light meet Splat Quads from the side"),
        (set_stereo, set_mono, "Stereoscopy: both eyes see Splat Quads as the scene's camera does"),
        (override_materials, clear_override, "overrides materials, also that of splats"),
        (remove_camera, give_camera, "The scene has no camera"),
    ],
    ids=["overlap in EEVEE", "mirrors", "stereo", "material override", "no camera"],
)
def test_what_only_the_artist_can_mend_is_told_until_it_is_mended(stage, told, capfd, spoil, mend, words):
    stage.add(stage.random_cloud())
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    assert words not in told()
    spoil(stage)
    bpy.context.view_layer.update()
    assert words in told()
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    assert words in "".join(capfd.readouterr()), "Set Up Render says it, too"
    mend(stage)
    bpy.context.view_layer.update()
    assert words not in told()


STUDIO = """ocio_profile_version: 2
strictparsing: false
roles: {scene_linear: L, default: S, default_byte: S, default_float: L, default_sequencer: S, data: Raw,
  color_picking: S, texture_paint: S, matte_paint: S, compositing_log: S, XYZ: X, aces_interchange: L}
file_rules: [!<Rule> {name: Default, colorspace: default}]
displays:
  DISPLAY:
    - !<View> {name: ACES 1.0 - SDR Video, colorspace: S}
    - !<View> {name: VIEW, colorspace: S}
    - !<View> {name: Raw, colorspace: Raw}
colorspaces:
  - !<ColorSpace> {name: L, isdata: false}
  - !<ColorSpace>
    name: S
    isdata: false
    from_scene_reference: !<ExponentWithLinearTransform> {gamma: 2.4, offset: 0.055, direction: inverse}
  - !<ColorSpace> {name: Raw, isdata: true}
  - !<ColorSpace>
    name: X
    isdata: false
    from_scene_reference: !<MatrixTransform> {matrix: [0.4124, 0.3576, 0.1805, 0, 0.2126, 0.7152, 0.0722, 0, 0.0193,
      0.1192, 0.9505, 0, 0, 0, 0, 1]}
"""
IN_A_STUDIO = """
import pathlib
import sys
sys.path.insert(0, "tests")
from support import extension as support
support.use_temporary_resources()
import bpy
extension = support.Extension(support.enable_extension())
from support import splat_objects, splat_renders
bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
splat_renders.use_cycles()
scene = bpy.context.scene
plan = extension.module("splat_addon.run.render_folder").RenderPlan(scene.name, ())
try:
    extension.module("splat_addon.scene.rendering.image_settings").set_up(scene, plan, [])
    print("captured through", scene.display_settings.display_device, "/", scene.view_settings.view_transform)
except extension.module("splat_addon.errors").CaptureError as error:
    print(error)
picture = bpy.data.images.new("Picture", 2, 2)
picture.pixels[:] = [0.2, 0.4, 0.8, 1.0] * 4
picture.filepath_raw, picture.file_format = sys.argv[1], "PNG"
picture.save()
read = extension.module("splat_addon.scene.photos.pixels").decode(pathlib.Path(sys.argv[1]))
print("read as", read.pixels[0, 0].tolist())
scene.view_settings.view_transform = "ACES 1.0 - SDR Video"
splat_objects.make_splats(extension, [(0, 0, 0)])
print(bpy.ops.splat.set_up_render(), scene.view_settings.view_transform)
print(extension.module("splat_addon.scene.splats.advice").scene_advice(scene))
"""


@pytest.mark.parametrize("view", ["Un-tone-mapped", "Film Look"])
def test_a_studios_color_configuration_is_used_or_told(tmp_path, view):
    config = tmp_path / "config.ocio"
    display = "sRGB - Display" if view == "Un-tone-mapped" else "P3"
    config.write_text(STUDIO.replace("VIEW", view).replace("DISPLAY", display), encoding="utf-8")
    script = tmp_path / "studio.py"
    script.write_text(IN_A_STUDIO, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "picture.png")],
        cwd=ROOT, env={**os.environ, "OCIO": str(config), "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    assert "read as [51, 102, 204, 255]" in done.stdout, "photos are decoded as they are stored"
    if view == "Un-tone-mapped":
        assert "captured through sRGB - Display / Un-tone-mapped" in done.stdout
        assert "{'FINISHED'} Un-tone-mapped" in done.stdout and "has no view" not in done.stdout
    else:
        assert "The color configuration has no display 'sRGB'" in done.stdout
        assert "The color configuration has no view 'Standard'" in done.stdout
