"""Splats as Cycles and EEVEE render them, against the trainer's equations: every pixel."""

import math
import os
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from support import ewa, splat_renders
from support.save_splats import save_in_oldest_blender

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
DIRECTIONS = [(4, 0, 0), (-4, 0, 0.1), (0.1, 4, 0), (0, -4, -0.1), (0.1, 0.1, 4), (0.2, -0.1, -4)]


@pytest.fixture
def scene(extension):
    splat_renders.use_cycles()
    return bpy.context.scene


@pytest.fixture
def stage(extension, scene, tmp_path):
    return splat_renders.Stage(extension, scene, tmp_path)


@pytest.mark.parametrize("look", ["BLENDER", "DISPLAY"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_one_gaussian_looks_as_trained_from_every_side(stage, direction, look):
    cloud = stage.one()
    stage.add(cloud)
    splat_renders.add_camera(stage.scene, direction, size=(60, 45))
    assert stage.worst(cloud, look) < 0.1


@pytest.mark.parametrize("log_scale", [-16, -40, -200])
def test_gaussians_without_a_thickness_look_as_trained(stage, log_scale):
    """Their data keeps what the file says, in 32 bits 0 for the last; quads are at least as wide as the dilation."""
    cloud = stage.random_cloud(20)
    cloud.log_scales[:15, 2] = log_scale  # disks
    cloud.log_scales[10:, :2] = log_scale  # needles, and points
    stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    assert stage.worst(cloud) < 0.1


def test_the_nodes_follow_the_rules_they_are_handed(extension, stage, monkeypatch):
    """Every rule that nodes know, at once, each far from what is usual; the judge is told the same."""
    rules = {"dilation_px2": 2.0, "alpha_cap": 0.6, "alpha_cutoff": 0.05, "near_plane": 4.5, "image_margin": -0.35}
    handed = extension.module("splat_addon.gaussians.rules").PictureRules(**rules)
    monkeypatch.setattr(extension.module("splat_addon.scene.splats.quads"), "DEFAULT_RULES", handed)
    cloud = stage.random_cloud()
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    for name, value in rules.items():
        before = ewa.render(cloud, stage.camera(), "blender")
        monkeypatch.setattr(ewa, {"image_margin": "MARGIN"}.get(name, name.upper()), value)
        assert np.abs(ewa.render(cloud, stage.camera(), "blender") - before).max() > 0.02, f"{name} matters"
    stage.add(cloud)
    assert stage.worst(cloud) < 0.2


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_small_or_large_scene_looks_as_the_same_at_ordinary_size(stage, scale):
    cloud = stage.random_cloud()
    camera = splat_renders.add_camera(stage.scene, (3, -3, 2))
    true = ewa.render(cloud, stage.camera(), "blender")
    camera.location *= scale
    camera.data.clip_start, camera.data.clip_end = 1e-2 * scale, 1e2 * scale
    stage.add(replace(cloud, means=cloud.means * scale, log_scales=cloud.log_scales + math.log(scale)))
    assert true[..., 3].max() > 0.3
    assert 255 * np.abs(np.clip(stage.render(), 0, 1) - np.clip(true, 0, 1)).max() < 0.5


@pytest.mark.parametrize("look", ["BLENDER", "DISPLAY"])
def test_fifty_overlapping_gaussians_look_as_trained(stage, look):
    cloud = stage.random_cloud()
    stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    assert stage.worst(cloud, look) < 0.1


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_lower_degrees_look_as_trained(stage, degree):
    cloud = stage.random_cloud(degree=degree)
    stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    assert stage.worst(cloud) < 0.1


def test_a_turned_moved_and_resized_object_looks_as_if_the_camera_had_moved(stage):
    cloud = stage.random_cloud()
    item = stage.add(cloud)
    item.matrix_world = Matrix.LocRotScale((5, -2, 1), Euler((0.4, -1.1, 2.0)), (2.5, 2.5, 2.5))
    splat_renders.add_camera(stage.scene, (12, -9, 6), target=(5, -2, 1))
    camera = stage.camera()
    in_object = camera.camera_from_world @ np.array(item.matrix_world)
    in_object[:3] /= 2.5  # what the camera sees does not depend on the unit
    assert stage.worst(cloud, camera=replace(camera, camera_from_world=in_object)) < 0.2


@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("size", [(90, 60), (60, 90)])
def test_sensor_fit_shift_aspect_and_percentage_are_followed(stage, fit, size):
    cloud = stage.random_cloud()
    stage.add(cloud)
    camera = splat_renders.add_camera(stage.scene, (3, -3, 2), size=size)
    camera.data.sensor_fit, camera.data.shift_x, camera.data.shift_y = fit, 0.1, -0.05
    camera.scale = (2, 2, 2)
    stage.scene.render.resolution_percentage = 67
    stage.scene.render.pixel_aspect_y = 1.5
    assert stage.worst(cloud) < 0.2


@pytest.mark.parametrize("fit", ["HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("shift", [(0.5, 0.0), (-0.5, 0.2), (0.1, 0.5), (0.0, -0.5)])
def test_what_a_far_shifted_lens_shows_looks_as_trained(stage, shift, fit):
    """83 degrees, gaussians up to each edge of the image: what is held must lie beyond the image, not off the axis."""
    camera = splat_renders.add_camera(stage.scene, (0, -4, 0), lens=18 / math.tan(math.radians(83) / 2))
    camera.data.sensor_fit, camera.data.sensor_height = fit, 30
    camera.data.shift_x, camera.data.shift_y = shift
    stage.scene.render.pixel_aspect_x = 1.25
    view, random = stage.camera(), np.random.default_rng(6)
    pixels = random.uniform((-20, -20), (view.width + 20, view.height + 20), (120, 2))
    depths = random.uniform(2, 6, (120, 1))
    points = np.hstack([(pixels - (view.cx, view.cy)) / (view.fx, view.fy) * depths, depths])
    means = (points - view.camera_from_world[:3, 3]) @ view.camera_from_world[:3, :3]
    cloud = stage.random_cloud(120, means=means, log_scales=random.normal(-1.2, 0.4, (120, 3)))
    stage.add(cloud)
    assert stage.worst(cloud) < 0.3


def test_orthographic_cameras_show_splats_without_perspective(stage):
    cloud = stage.random_cloud()
    item = stage.add(cloud)
    item.matrix_world = Matrix.LocRotScale((1, 2, 3), Euler((0.3, 0.2, 0.1)), (2, 2, 2))
    camera = splat_renders.add_camera(stage.scene, (13, -10, 9), target=(1, 2, 3))
    camera.data.lens = 50
    view = stage.camera()
    camera.data.type, camera.data.ortho_scale = "ORTHO", 9.0
    in_object = view.camera_from_world @ np.array(item.matrix_world)
    in_object[:3] /= 2
    pixels_per_unit = 120 / 9.0 * 2
    view = replace(view, camera_from_world=in_object)
    assert stage.worst(cloud, camera=view, orthographic_span_px=pixels_per_unit) < 0.2


def test_animated_lenses_and_camera_markers_are_followed(stage):
    cloud = stage.random_cloud()
    stage.add(cloud)
    scene = stage.scene
    first = splat_renders.add_camera(scene, (3, -3, 2))
    first.data.keyframe_insert("lens", frame=1)
    first.data.lens = 90
    first.data.keyframe_insert("lens", frame=20)
    second = splat_renders.add_camera(scene, (-4, 1, 1), lens=30)
    for frame, camera in ((1, first), (15, second), (18, first)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    for frame in (1, 10, 16, 20):
        scene.frame_set(frame)
        assert stage.worst(cloud) < 0.1, frame
    assert scene.camera == first and first.data.lens == 90


def test_splats_follow_a_camera_that_came_after_them(stage):
    cloud = stage.random_cloud()
    stage.add(cloud)
    bpy.context.view_layer.update()
    first = splat_renders.add_camera(stage.scene, (3, -3, 2))
    assert stage.worst(cloud) < 0.1
    bpy.data.objects.remove(first)
    bpy.context.view_layer.update()
    splat_renders.add_camera(stage.scene, (-3, -2, 2), lens=70)
    assert stage.worst(cloud) < 0.1


def test_each_scene_has_its_own_camera(stage):
    cloud = stage.random_cloud()
    item = stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    assert stage.worst(cloud) < 0.1
    other = bpy.data.scenes.new("Other")
    other.collection.objects.link(item)
    bpy.context.window.scene = other
    stage.scene = other
    splat_renders.add_camera(other, (-3, -2, 2), lens=70, size=(70, 80))
    assert stage.worst(cloud) < 0.1


@pytest.mark.parametrize("lens", ["PERSP", "ORTHO"])
def test_splats_at_the_same_depth_are_all_rendered(stage, lens):
    """Cycles goes on behind a quad that a ray has met: without care, what lies at the same distance would be missed.
    The first of them is in front, as the trainer has it."""
    cloud = stage.random_cloud(12)
    cloud.means[:] = np.round(cloud.means, 2)
    cloud.means[:, 1] = np.repeat([-0.5, 0.125, 0.5], 4)
    stage.add(cloud)
    camera = splat_renders.add_camera(stage.scene, (0, -4, 0))
    view, options = stage.camera(), {}
    if lens == "ORTHO":
        camera.data.type, camera.data.ortho_scale = "ORTHO", 4.0
        options = {"orthographic_span_px": 120 / 4.0}
    assert stage.worst(cloud, camera=view, **options) < 0.2


def test_two_splat_objects_are_blended_in_their_right_order(stage):
    """Quads of different objects lie in the scene as any surfaces do."""
    far, near = stage.random_cloud(25, seed=4), stage.random_cloud(25, seed=5)
    stage.add(far, "Far")
    stage.add(near, "Near").location = (0.3, 0, 0)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    names = ("log_scales", "quaternions", "logit_opacities")
    both = {name: np.concatenate([getattr(far, name), getattr(near, name)]) for name in names}
    means = np.concatenate([far.means, near.means + [0.3, 0, 0]])
    # the view direction of the moved object's harmonics is that of its splats' true places
    cloud = stage.cloud_type(means=means, sh=np.concatenate([far.sh, near.sh]), **both)
    assert stage.worst(cloud) < 0.2


def test_an_8_bit_picture_agrees_within_48_db(stage, tmp_path):
    cloud = stage.random_cloud()
    stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    stage.render()
    reference = ewa.render(cloud, stage.camera(), "blender")
    assert ewa.psnr_db(splat_renders.render_png(stage.scene, tmp_path)[..., :3], reference[..., :3]) > 55


def test_many_samples_are_antialiased_and_stay_near_what_was_trained(stage):
    cloud = stage.random_cloud()
    stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    bpy.ops.splat.set_up_render()
    stage.scene.cycles.samples = 32
    picture = splat_renders.render(stage.scene, stage.folder)
    reference = ewa.render(cloud, stage.camera(), "blender")
    assert ewa.psnr_db(ewa.encode(picture[..., :3]), reference[..., :3]) > 35


def test_deleted_points_are_not_rendered(stage):
    cloud, deleted = stage.random_cloud(), np.arange(50) % 5 == 2
    item = stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    splat_renders.delete_points(item, deleted)
    assert evaluated_mesh(item)[1] == 40, "the display follows in edit mode"
    bpy.ops.object.mode_set(mode="OBJECT")
    assert stage.worst(cloud.select(~deleted)) < 0.1


def test_hidden_points_are_not_rendered(stage):
    cloud, hidden = stage.random_cloud(), np.arange(50) % 5 == 1
    item = stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    if not isinstance(item.data, bpy.types.Mesh):
        pytest.skip("this Blender carries splats as a point cloud, whose points cannot be hidden")
    bpy.context.view_layer.objects.active = item
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    bpy.ops.object.mode_set(mode="OBJECT")
    item.data.vertices.foreach_set("select", hidden)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.hide()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert evaluated_mesh(item)[1] == 40, "the display follows"
    assert stage.worst(cloud.select(~hidden)) < 0.1
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.reveal()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert stage.worst(cloud) < 0.1


def test_hidden_splats_leaves_an_artists_own_copy_of_the_nodes_in_its_place(extension, stage):
    appearance = extension.module("splat_addon.scene.splats.appearance")
    modifier = appearance.look_modifier(stage.add(stage.random_cloud()))
    modifier.node_group = modifier.node_group.copy()
    modifier.node_group.name = "Mine"
    stage.scene.splat.render_hidden = True
    identifier = modifier.node_group.interface.items_tree["Hidden Splats"].identifier
    has_inputs = hasattr(modifier, "properties")  # 5.2
    is_on = getattr(modifier.properties.inputs, identifier).value if has_inputs else modifier[identifier]
    assert (modifier.node_group.name, is_on) == ("Mine", True)


def test_renders_show_what_floaters_has_hidden_only_by_choice(extension, stage):
    cloud, hidden = stage.random_cloud(), np.arange(50) % 5 == 1
    item = stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    extension.module("splat_addon.scene.inspection.choosing").hide(item.data, hidden)
    assert stage.worst(cloud.select(~hidden)) < 0.1, "left out by default"
    left_out = stage.render()
    stage.scene.splat.render_hidden = True
    assert stage.worst(cloud) < 0.1
    assert np.abs(stage.render() - left_out).max() > 0.1, "the picture is another"
    later = stage.add(cloud.select(hidden))
    extension.module("splat_addon.scene.inspection.choosing").hide(later.data, np.arange(10) > 0)
    assert evaluated_mesh(later)[1] == 10, "what comes later follows the choice"
    stage.scene.splat.render_hidden = False
    assert evaluated_mesh(later)[1] == 1


def evaluated_mesh(item) -> tuple[int, int, set[str]]:
    """Vertices, quads and named attributes of what an object shows, whatever carries it."""
    bpy.context.view_layer.update()
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    geometry = None if isinstance(evaluated.data, bpy.types.Mesh) else evaluated.evaluated_geometry()
    mesh = evaluated.data if geometry is None else geometry.mesh
    return len(mesh.vertices), len(mesh.polygons), set(mesh.attributes.keys())


def test_quads_carry_only_what_the_material_reads(stage):
    """Each named attribute would be kept four times for every splat."""
    item = stage.add(stage.random_cloud())
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    own = {name for name in evaluated_mesh(item)[2] if not name.startswith(".")}
    assert own - {"position", "sharp_face", "material_index", "id"} == {"splat_color", "splat_place"}


def test_splats_cast_no_shadow_and_light_nothing_twice(extension, stage):
    item = stage.add(stage.random_cloud())
    material = bpy.data.materials[extension.module("splat_addon.scene.splats.material").MATERIAL_NAME]
    assert not item.visible_shadow and material.cycles.emission_sampling == "NONE"


@pytest.mark.skipif(bpy.app.version < (5, 2, 0), reason="this Blender cannot use a GPU without a window")
def test_eevee_shows_splats_as_trained(stage):
    import gpu

    try:
        gpu.init()
    except Exception as error:
        pytest.skip(f"no GPU, not even in software: {error}")
    cloud = stage.random_cloud(30)
    stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2), size=(48, 36))
    picture = stage.render(engine="BLENDER_EEVEE")
    reference = ewa.render(cloud, stage.camera(), "blender")
    assert ewa.psnr_db(picture[..., :3], reference[..., :3]) > 50


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared splat files are not on this machine")
def test_a_trained_scene_looks_as_trained(extension, stage):
    ply = DATA / "splats" / "opensplat_banana" / "banana_opensplat.ply"
    assert bpy.ops.splat.import_ply(filepath=str(ply)) == {"FINISHED"}
    cloud = extension.module("splat_addon.gaussians.formats.splat_ply").read_splats(ply)
    splat_renders.add_camera(stage.scene, np.median(cloud.means, axis=0) + [0.3, -0.2, -1.5],
                             target=np.median(cloud.means, axis=0), lens=35, size=(200, 133))  # fmt: skip
    for look, space in (("BLENDER", "blender"), ("DISPLAY", "display")):
        reference = ewa.render(cloud, stage.camera(), space)
        assert ewa.psnr_db(stage.render(look)[..., :3], reference[..., :3]) > 60, look


def test_non_uniform_scale_and_apply_are_warned_about(extension, stage):
    problems = extension.module("splat_addon.scene.splats.advice").object_advice
    item = stage.add(stage.random_cloud())
    item.matrix_world = Matrix.LocRotScale((5, -2, 1), Euler((0.4, -1.1, 2.0)), (2.5, 2.5, 2.5))
    bpy.context.view_layer.update()
    assert problems(item) == []
    item.scale.x = 3
    bpy.context.view_layer.update()
    assert "Scale differs by axis" in problems(item)[0]
    item.scale = (-2.5, 2.5, 2.5)
    bpy.context.view_layer.update()
    assert "differs" in problems(item)[0] or "Mirrored" in problems(item)[0]
    item.scale = (2.5, 2.5, 2.5)
    bpy.context.view_layer.update()
    item.select_set(True)
    bpy.context.view_layer.objects.active = item
    assert bpy.ops.object.transform_apply(location=True, rotation=False, scale=False) == {"FINISHED"}
    assert problems(item) == [], "moving all points is harmless"
    assert bpy.ops.object.transform_apply(location=False, rotation=True, scale=True) == {"FINISHED"}
    assert "turned or resized without their splats" in problems(item)[0]


def test_render_settings_are_set_told_and_given_back(extension, scene):
    setup = extension.module("splat_addon.scene.splats.render_setup")
    scene.view_settings.view_transform, scene.view_settings.exposure = "AgX", 0.5
    scene.cycles.samples, scene.render.dither_intensity = 77, 1.0
    scene.cycles.transparent_max_bounces = 8
    paths = ["cycles.transparent_max_bounces", "cycles.min_transparent_bounces", "cycles.samples",
             "cycles.use_denoising", "cycles.filter_width", "render.dither_intensity", "render.filter_size",
             "view_settings.view_transform", "view_settings.exposure", "eevee.taa_render_samples"]  # fmt: skip
    before = {path: eval(f"scene.{path}", {"scene": scene}) for path in paths}
    changes = setup.set_up(scene, False)
    assert "Transparent Bounces 8 → 1024" in changes and "Dither 1 → 0" in changes
    assert scene.view_settings.view_transform == "Standard" and scene.cycles.samples == 64
    scene.splat.look = "DISPLAY"
    changes = setup.set_up(scene, True)
    assert "Cycles Samples 64 → 1 (1/64 of the time)" in changes and "View Standard → Raw" in changes
    assert setup.set_up(scene, True) == []
    assert bpy.ops.splat.put_back_render() == {"FINISHED"}
    assert {path: eval(f"scene.{path}", {"scene": scene}) for path in paths} == before
    with pytest.raises(RuntimeError, match="Nothing was set up for splats"):
        bpy.ops.splat.put_back_render()


def test_set_up_without_a_camera_says_so(stage, capfd):
    stage.add(stage.random_cloud())
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    assert "The scene has no camera" in "".join(capfd.readouterr())


def test_drivers_need_no_permission_and_survive_saving(stage, tmp_path):
    cloud = stage.random_cloud()
    stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    before = stage.render()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"), use_scripts=False)
    stage.scene = bpy.context.scene
    drivers = bpy.data.node_groups["Splat Quads"].animation_data.drivers
    assert len(drivers) == 8 and all(entry.driver.is_simple_expression for entry in drivers)
    bpy.context.scene.camera.data.lens = 60
    assert stage.worst(cloud) < 0.1
    bpy.context.scene.camera.data.lens = 45
    assert np.array_equal(stage.render(), before)


def test_copies_links_appends_and_undo_keep_data_and_display(extension, stage, tmp_path):
    cloud = stage.random_cloud()
    item = stage.add(cloud)
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    copy = item.copy()
    copy.data = item.data.copy()
    stage.scene.collection.objects.link(copy)
    bpy.data.objects.remove(item)
    assert stage.worst(cloud) < 0.1
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    stage.scene = bpy.context.scene
    bpy.ops.wm.append(directory=str(tmp_path / "a.blend" / "Object"), filename=copy_name())
    splat_renders.add_camera(stage.scene, (3, -3, 2))
    assert stage.worst(cloud) < 0.1
    appended = next(entry for entry in stage.scene.objects if entry.type != "CAMERA")
    again = extension.module("splat_addon.scene.splats.data").splats_from_object(appended)
    assert np.array_equal(again.sh, cloud.sh)

    bpy.ops.ed.undo_push(message="before")
    bpy.context.view_layer.objects.active = appended
    appended.select_set(True)
    bpy.ops.object.delete()
    bpy.ops.ed.undo_push(message="deleted")
    bpy.ops.ed.undo()
    stage.scene = bpy.context.scene
    assert stage.worst(cloud) < 0.1


def copy_name() -> str:
    return "Splats.001"


def test_a_file_of_the_oldest_blender_looks_the_same_here(stage, tmp_path):
    """Blender 4.2 saves, this Blender opens: the environments of both lie side by side in a checkout."""
    cloud = stage.random_cloud()
    path = save_in_oldest_blender(cloud, tmp_path) if bpy.app.version >= (5, 0, 0) else None
    if path is None:
        pytest.skip("needs a newer Blender and the environment of Blender 4.2 beside it")
    bpy.ops.wm.open_mainfile(filepath=str(path))
    stage.scene = bpy.context.scene
    assert isinstance(bpy.data.objects["Splats"].data, bpy.types.Mesh)
    assert stage.worst(cloud) < 0.1
    old_position = math.dist(bpy.data.objects["Splats"].data.vertices[0].co, cloud.means[0])
    assert old_position == 0
