"""Splats that Blender 5.3 draws itself: as wide as trained, by choice, and with the settings that they need."""

from dataclasses import replace

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from support import ewa, splat_renders


@pytest.fixture
def native(extension, tmp_path):
    """A stage in a Blender that has splats of its own."""
    if not extension.module("splat_addon.scene.settings.capabilities").has_native_splats():
        pytest.skip("this Blender has no splats of its own")
    splat_renders.use_cycles()
    return splat_renders.Stage(extension, bpy.context.scene, tmp_path)


def evaluated(item) -> dict[str, np.ndarray]:
    """Position and scale as renders of the object get them."""
    for modifier in item.modifiers:
        modifier.show_viewport = modifier.name == "Splat Dilation"
    bpy.context.view_layer.update()
    data = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    found = {}
    for name in ("position", "scale"):
        values = np.empty(3 * len(data.points), np.float32)
        data.attributes[name].data.foreach_get("vector", values)
        found[name] = values.reshape(-1, 3).astype(np.float64)
    return found | {"type": data.type}


def own_scales(item) -> np.ndarray:
    values = np.empty(3 * len(item.data.points), np.float32)
    item.data.attributes["scale"].data.foreach_get("vector", values)
    return values.reshape(-1, 3).astype(np.float64)


def looking_camera(stage, **changes):
    camera = splat_renders.add_camera(stage.scene, (4.0, -5.0, 2.0), lens=40.0, size=(200, 150))
    for name, value in changes.items():
        setattr(camera.data, name, value)
    bpy.context.view_layer.update()
    return camera


@pytest.mark.parametrize("size", [1.0, 2.5])
def test_a_perspective_camera_widens_each_splat_by_what_trainers_add(native, size):
    item = native.add(native.random_cloud())
    item.matrix_world = Matrix.LocRotScale((0.2, 0.1, 0.3), Euler((0.4, -1.1, 2.0)), (size,) * 3)
    camera = looking_camera(native, lens=15.0)  # all are in view
    native.scene.render.engine = "CYCLES"
    item.splat.drawn_by = "BLENDER"
    drawn = evaluated(item)
    in_world = drawn["position"] @ np.array(item.matrix_world.to_3x3()).T + np.array(item.matrix_world.translation)
    depth = -((in_world - np.array(camera.location)) @ np.array(camera.matrix_world)[:3, 2])
    pixel = 36.0 / 15.0 / 200  # width of a pixel at depth 1
    wanted = np.sqrt(own_scales(item) ** 2 + 0.3 * (pixel * depth / size)[:, None] ** 2)
    np.testing.assert_allclose(drawn["scale"], wanted, rtol=2e-6)
    assert drawn["type"] == "GAUSSIAN_SPLAT"


def test_what_no_pixel_looks_at_is_widened_by_its_distance_for_mirrors(native):
    item = native.add(native.random_cloud())
    camera = looking_camera(native)
    camera.rotation_euler.rotate_axis("Y", 1.6)  # the splats are beside the view
    bpy.context.view_layer.update()
    native.scene.render.engine = "CYCLES"
    item.splat.drawn_by = "BLENDER"
    drawn = evaluated(item)
    distance = np.linalg.norm(drawn["position"] - np.array(camera.location), axis=1)
    wanted = np.sqrt(own_scales(item) ** 2 + 0.3 * (36.0 / 40.0 / 200 * distance)[:, None] ** 2)
    np.testing.assert_allclose(drawn["scale"], wanted, rtol=2e-6)


def test_an_orthographic_camera_widens_all_splats_alike(native):
    item = native.add(native.random_cloud())
    looking_camera(native, type="ORTHO", ortho_scale=6.0)
    native.scene.render.engine = "CYCLES"
    item.splat.drawn_by = "BLENDER"
    wanted = np.sqrt(own_scales(item) ** 2 + 0.3 * (6.0 / 200) ** 2)
    np.testing.assert_allclose(evaluated(item)["scale"], wanted, rtol=2e-6)


def test_a_panorama_widens_by_the_angle_of_its_pixels(native):
    item = native.add(native.random_cloud())
    camera = looking_camera(native, type="PANO", panorama_type="EQUIRECTANGULAR")
    native.scene.render.engine = "CYCLES"
    item.splat.drawn_by = "BLENDER"
    drawn = evaluated(item)
    distance = np.linalg.norm(drawn["position"] - np.array(camera.location), axis=1)
    wanted = np.sqrt(own_scales(item) ** 2 + 0.3 * (2 * np.pi / 200 * distance)[:, None] ** 2)
    np.testing.assert_allclose(drawn["scale"], wanted, rtol=2e-6)


def test_eevee_gets_narrower_splats_since_it_draws_them_wider(native):
    item = native.add(native.random_cloud())
    looking_camera(native)
    item.splat.drawn_by = "BLENDER"
    native.scene.render.engine = "CYCLES"
    in_cycles = evaluated(item)["scale"]
    native.scene.render.engine = "BLENDER_EEVEE"
    np.testing.assert_allclose(evaluated(item)["scale"], in_cycles / 1.0607, rtol=2e-6)


@pytest.mark.parametrize("kind", ["PERSP", "ORTHO", "PANO"])
def test_antialiased_splats_are_as_faint_as_trainers_draw_them(native, kind):
    cloud = replace(native.random_cloud(300), antialiased=True)
    cloud.means *= 0.5  # all are in view, where the projection is as it is
    cloud.log_scales[:] = np.random.default_rng(2).normal(-4.5, 1.5, cloud.log_scales.shape)
    item = native.add(cloud)
    item.matrix_world = Matrix.LocRotScale((0.2, 0.1, 0.3), Euler((0.4, -1.1, 2.0)), (2.5,) * 3)
    camera = looking_camera(native, lens=10.0)
    view = native.camera()
    camera.data.type = kind
    if kind == "ORTHO":
        camera.data.ortho_scale = 6.0
    elif kind == "PANO":
        camera.data.panorama_type = "EQUIRECTANGULAR"
    native.scene.render.engine = "CYCLES"
    item.splat.drawn_by = "BLENDER"
    for modifier in item.modifiers:
        modifier.show_viewport = modifier.name == "Splat Dilation"
    bpy.context.view_layer.update()
    data = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    base = np.empty(4 * len(cloud), np.float32)
    attribute = data.attributes["radiance:base"]
    attribute.data.foreach_get("color" if attribute.data_type == "FLOAT_COLOR" else "vector", base)
    base = base.reshape(-1, 4)
    np.testing.assert_allclose(base[:, :3], cloud.sh[:, 0], atol=1e-6)

    camera_from_object = view.camera_from_world @ np.array(item.matrix_world, dtype=np.float64)
    spreads = camera_from_object[:3, :3] @ (ewa._matrices(cloud.rotations) * cloud.scales[:, None, :].astype(float))
    points = cloud.means @ camera_from_object[:3, :3].T + camera_from_object[:3, 3]
    pixel = {"PERSP": 36.0 / 10.0 / 200, "ORTHO": 6.0 / 200, "PANO": 2 * np.pi / 200}[kind]
    jacobians = np.zeros((len(cloud), 2, 3))
    if kind == "PANO":
        rays = points / np.linalg.norm(points, axis=1, keepdims=True)
        jacobians = np.linalg.svd(rays[:, None, :])[2][:, 1:] / np.linalg.norm(points, axis=1)[:, None, None]
    else:
        jacobians[:, [0, 1], [0, 1]] = 1
        if kind == "PERSP":
            jacobians[:, :, 2] = -points[:, :2] / points[:, 2:]
            jacobians /= points[:, 2, None, None]
    rows = jacobians @ spreads / pixel
    undilated = rows @ rows.transpose(0, 2, 1)
    factors = np.sqrt(np.linalg.det(undilated) / np.linalg.det(undilated + 0.3 * np.eye(2)))
    np.testing.assert_allclose(base[:, 3], cloud.opacities * np.maximum(factors, 0.005), rtol=2e-3)
    assert factors.min() < 0.2 and factors.max() > 0.8


def test_the_data_and_exports_stay_as_they_are(native, tmp_path):
    item = native.add(native.random_cloud())
    bpy.context.view_layer.objects.active = item
    looking_camera(native)
    assert bpy.ops.splat.export_ply(filepath=str(tmp_path / "before.ply")) == {"FINISHED"}
    item.splat.drawn_by = "BLENDER"
    assert bpy.ops.splat.export_ply(filepath=str(tmp_path / "after.ply")) == {"FINISHED"}
    assert (tmp_path / "after.ply").read_bytes() == (tmp_path / "before.ply").read_bytes()


def test_the_choice_exchanges_what_draws_and_keeps_the_rest(extension, native):
    appearance = extension.module("splat_addon.scene.splats.appearance")
    item = native.add(native.random_cloud())
    item.modifiers.new("Mine", "NODES")
    item.splat.drawn_by = "BLENDER"
    assert [modifier.name for modifier in item.modifiers] == ["Splat Dilation", "Mine", "Splat Box"]
    assert appearance.look_modifier(item).node_group.name == "Splat Dilation"
    assert appearance.look_modifier(item).show_render and not item.visible_shadow
    item.splat.drawn_by = "QUADS"
    assert [modifier.name for modifier in item.modifiers] == ["Splat Quads", "Mine", "Splat Box"]
    assert appearance.look_modifier(item).node_group.name == "Splat Quads"


def test_choosing_adopts_splats_that_blender_has_imported(extension, native, tmp_path):
    item = native.add(native.random_cloud())
    bpy.context.view_layer.objects.active = item
    assert bpy.ops.splat.export_ply(filepath=str(tmp_path / "theirs.ply")) == {"FINISHED"}
    assert bpy.ops.wm.ply_import(filepath=str(tmp_path / "theirs.ply")) == {"FINISHED"}
    theirs = bpy.context.view_layer.objects.active
    assert theirs is not item and not theirs.modifiers
    theirs.splat.drawn_by = "BLENDER"
    assert [modifier.name for modifier in theirs.modifiers] == ["Splat Dilation", "Splat Box"]
    assert extension.module("splat_addon.scene.splats.adoption").is_adopted(theirs)


def test_points_of_another_type_are_drawn_by_quads_whatever_is_chosen(extension, native):
    appearance = extension.module("splat_addon.scene.splats.appearance")
    item = native.add(native.random_cloud())
    item.data.type = "POINTS"
    item.splat.drawn_by = "BLENDER"
    assert appearance.look_modifier(item).node_group.name == "Splat Quads"


@pytest.mark.parametrize("look", ["BLENDER", "DISPLAY"])
def test_blenders_splats_come_near_what_was_trained(native, look, tmp_path):
    cloud = native.random_cloud()
    item = native.add(cloud)
    splat_renders.add_camera(native.scene, (0.0, -6.0, 0.0))
    native.scene.splat.look = look
    item.splat.drawn_by = "BLENDER"
    assert bpy.ops.splat.set_up_render(is_exact=True) == {"FINISHED"}
    native.scene.cycles.samples = 1024
    picture = splat_renders.display_encoded(native.scene, splat_renders.render(native.scene, tmp_path))
    reference = ewa.render(cloud, native.camera(), {"BLENDER": "blender", "DISPLAY": "display"}[look])
    assert ewa.psnr_db(picture[..., :3], reference[..., :3]) > 30


def test_blenders_splats_leave_out_what_is_hidden_unless_chosen(extension, native, tmp_path):
    cloud, hidden = native.random_cloud(), np.arange(50) % 5 == 1
    item = native.add(cloud)
    splat_renders.add_camera(native.scene, (0.0, -6.0, 0.0))
    item.splat.drawn_by = "BLENDER"
    extension.module("splat_addon.scene.inspection.choosing").hide(item.data, hidden)
    assert bpy.ops.splat.set_up_render(is_exact=True) == {"FINISHED"}
    native.scene.cycles.samples = 256
    for is_chosen, shown, other in ((False, cloud.select(~hidden), cloud), (True, cloud, cloud.select(~hidden))):
        native.scene.splat.render_hidden = is_chosen
        picture = splat_renders.display_encoded(native.scene, splat_renders.render(native.scene, tmp_path))
        wanted, unwanted = (ewa.render(each, native.camera(), "blender") for each in (shown, other))
        assert ewa.psnr_db(picture[..., :3], wanted[..., :3]) > 30 > ewa.psnr_db(picture[..., :3], unwanted[..., :3])
    assert len(evaluated(item)["position"]) == 50
    native.scene.splat.render_hidden = False
    drawn = evaluated(item)
    assert len(drawn["position"]) == 40 and drawn["type"] == "GAUSSIAN_SPLAT"


def test_set_up_render_sets_the_samples_that_blenders_splats_need_and_says_so(native, capfd):
    item = native.add(native.random_cloud())
    looking_camera(native)
    cycles = native.scene.cycles
    cycles.samples = 8
    item.splat.drawn_by = "BLENDER"
    assert bpy.ops.splat.set_up_render(is_exact=True) == {"FINISHED"}
    assert cycles.samples == 64 and cycles.filter_width == pytest.approx(0.01)
    assert "at least 64 samples are set" in "".join(capfd.readouterr())
    assert bpy.ops.splat.put_back_render() == {"FINISHED"}
    assert cycles.samples == 8
    cycles.samples = 200
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    assert cycles.samples == 200
    item.splat.drawn_by = "QUADS"
    assert bpy.ops.splat.set_up_render(is_exact=True) == {"FINISHED"}
    assert cycles.samples == 1


def test_panoramas_and_mirrors_are_warned_about_only_where_quads_draw(extension, native):
    advice = extension.module("splat_addon.scene.splats.advice")
    item = native.add(native.random_cloud())
    looking_camera(native, type="PANO")
    assert "draw the splats by Blender's Splats" in advice.scene_advice(native.scene, False)[0]
    item.scale.x = -1
    bpy.context.view_layer.update()
    assert advice.object_advice(item)[0].endswith("Make it positive or choose Blender's Splats.")
    item.splat.drawn_by = "BLENDER"
    assert not any("Panoramic" in sentence for sentence in advice.scene_advice(native.scene, False))
    assert "renders do not" in advice.object_advice(item)[0]
