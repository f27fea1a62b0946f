"""What the viewport draws, pixel by pixel: needs a Blender that draws in background (5.2)."""

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from support import splat_pictures, viewport_pictures
from support.save_splats import save_in_oldest_blender

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT, FOCAL = 96, 72, 80.0
OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


@pytest.fixture(scope="module", autouse=True)
def graphics():
    """A graphics context, or a visible reason to skip."""
    import gpu

    if not hasattr(gpu, "init"):
        pytest.skip("this Blender draws only with a window: gpu.init() came with 5.2")
    try:
        gpu.init()
    except Exception as error:
        pytest.skip(f"this machine has no graphics driver that draws in background ({error})")


@pytest.fixture
def drawing(extension):
    module = extension.module("splat_addon.scene.viewport.picture")
    yield module
    module.forget_programs()


def make_cloud(extension, count, seed, log_scale=-2.0, degree=3):
    random = np.random.default_rng(seed)
    return extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=random.normal(0, 0.6, size=(count, 3)),
        log_scales=random.normal(log_scale, 0.6, size=(count, 3)),
        quaternions=random.normal(size=(count, 4)),
        logit_opacities=random.normal(1, 1.5, size=count),
        sh=random.normal(0, 0.3, size=(count, (degree + 1) ** 2, 3)),
    )


def add(extension, cloud, matrix=None):
    item = extension.module("splat_addon.scene.splats.data").splats_to_object(cloud, "S", bpy.context.scene.collection)
    if matrix is not None:
        item.matrix_world = matrix
    bpy.context.view_layer.update()
    return item


def looking(direction, distance=4.0) -> np.ndarray:
    """camera_from_world (4, 4), OpenCV axes, from `distance` away along `direction`, towards the origin."""
    backward = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
    right = np.cross([0, 0, 1] if abs(backward[2]) < 0.9 else [0, 1, 0], backward)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, np.cross(right, backward), -backward
    pose[:3, 3] = distance * backward
    return np.linalg.inv(pose)


def view_of(drawing, camera_from_world, *, is_perspective=True, focal=FOCAL, center=(WIDTH / 2, HEIGHT / 2), scale=1.0):
    """The Viewpoint of Blender matrices that looks through this camera; its clipping belongs to a scene of `scale`."""
    near, far = 0.01 * scale, 100.0 * scale
    clip = np.zeros((4, 4))
    clip[0, 0], clip[1, 1] = 2 * focal / WIDTH, 2 * focal / HEIGHT
    off = 1 - 2 * center[0] / WIDTH, 2 * center[1] / HEIGHT - 1
    if is_perspective:
        clip[:2, 2] = off
        clip[2, 2], clip[2, 3], clip[3, 2] = -(far + near) / (far - near), -2 * far * near / (far - near), -1
    else:
        clip[2, 2], clip[3, 3] = -2 / (far + far), 1
    return drawing.Viewpoint(WIDTH, HEIGHT, OPENGL @ camera_from_world, clip)


def draw(drawing, items, view, picture=None, depth=None, **look) -> np.ndarray:
    """(H, W, 4) first row on top."""
    return viewport_pictures.draw(drawing, items, view, drawing.Look(**look), picture, depth)


def expected(cloud, camera_from_object, **options) -> np.ndarray:
    focal = options.pop("focal", FOCAL)
    center = options.pop("center", (WIDTH / 2, HEIGHT / 2))
    return splat_pictures.picture(cloud, WIDTH, HEIGHT, (focal, focal), center, camera_from_object, **options)


DIRECTIONS = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0.2, 0.1, 1), (0.1, 0.3, -1)]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("is_perspective", [True, False])
def test_one_gaussian_looks_right_from_six_directions(extension, drawing, direction, is_perspective):
    cloud = make_cloud(extension, 1, seed=3, log_scale=-1.2)
    cloud.logit_opacities[:] = 3
    camera = looking(direction)
    focal = FOCAL if is_perspective else FOCAL / 4
    view = view_of(drawing, camera, is_perspective=is_perspective, focal=focal)
    seen = draw(drawing, [add(extension, cloud)], view)
    true = expected(cloud, camera, is_perspective=is_perspective, focal=focal)
    assert true[..., 3].max() > 0.9, "it is in view"
    assert np.abs(seen - true).max() < 1 / 255


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("is_linear", [False, True])
def test_fifty_overlapping_gaussians_are_blended_in_order(extension, drawing, direction, is_linear):
    cloud = make_cloud(extension, 50, seed=5)
    camera = looking(direction)
    seen = draw(drawing, [add(extension, cloud)], view_of(drawing, camera), is_linear=is_linear)
    assert np.abs(seen - expected(cloud, camera, is_linear=is_linear)).max() < 1 / 255


def test_the_shader_follows_the_rules_it_is_handed(extension, drawing, monkeypatch):
    """Every rule that the shader knows, at once; the near plane is in the units of the object, which is resized."""
    rules = {"dilation_px2": 2.0, "alpha_cap": 0.6, "alpha_cutoff": 0.05, "near_plane": 2.2, "image_margin": -0.35}
    handed = extension.module("splat_addon.gaussians.rules").PictureRules(**rules)
    cloud, camera, matrix = make_cloud(extension, 50, seed=5), looking((1, 2, 1)), Matrix.Scale(1.7, 4)
    frame = camera @ np.array(matrix)
    for name, value in rules.items():
        before = expected(cloud, frame)
        monkeypatch.setattr(splat_pictures, {"image_margin": "MARGIN"}.get(name, name.upper()), value)
        assert np.abs(expected(cloud, frame) - before).max() > 0.02, f"{name} matters"
    seen = draw(drawing, [add(extension, cloud, matrix)], view_of(drawing, camera), rules=handed)
    assert np.abs(seen - expected(cloud, frame)).max() < 1 / 255


@pytest.mark.parametrize("is_perspective", [True, False])
def test_antialiased_splats_are_as_faint_as_trained(extension, drawing, is_perspective):
    """Most are smaller than a pixel; what another object holds is drawn as it was trained."""
    cloud, camera = make_cloud(extension, 200, seed=5, log_scale=-4.5), looking((1, 2, 1))
    cloud = replace(cloud, antialiased=True)
    other = replace(make_cloud(extension, 1, seed=6), means=[[0, 0, 30]])
    focal = FOCAL if is_perspective else FOCAL / 4
    view = view_of(drawing, camera, is_perspective=is_perspective, focal=focal)
    seen = draw(drawing, [add(extension, cloud, Matrix.Scale(1.5, 4)), add(extension, other)], view)
    frame = camera @ np.diag([1.5, 1.5, 1.5, 1])
    options = {"is_perspective": is_perspective, "focal": focal}
    assert np.abs(seen - expected(cloud, frame, **options)).max() < 1 / 255
    assert np.abs(seen - expected(replace(cloud, antialiased=False), frame, **options)).max() > 0.1, "it matters here"


def test_of_splats_at_one_depth_the_first_lies_on_top(extension, drawing):
    cloud, camera = make_cloud(extension, 50, seed=5), looking((0, 0, 1))
    cloud.means[:, 2] = np.round(cloud.means[:, 2])
    seen = draw(drawing, [add(extension, cloud)], view_of(drawing, camera))
    assert np.abs(seen - expected(cloud, camera)).max() < 1 / 255
    assert np.abs(seen - expected(cloud.select(np.arange(50)[::-1]), camera)).max() > 0.1, "the order matters"


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_small_or_large_scene_looks_as_the_same_at_ordinary_size(extension, drawing, scale):
    cloud, camera = make_cloud(extension, 50, seed=5), looking((1, 2, 1))
    true = draw(drawing, [add(extension, cloud)], view_of(drawing, camera))
    scaled = replace(cloud, means=cloud.means * scale, log_scales=cloud.log_scales + np.log(scale))
    nearer = camera.copy()
    nearer[:3, 3] *= scale
    seen = draw(drawing, [add(extension, scaled)], view_of(drawing, nearer, scale=scale))
    assert true[..., 3].max() > 0.9
    assert np.abs(seen - true).max() < 1 / 255


def test_a_shifted_lens_and_lower_degrees_are_followed(extension, drawing):
    cloud, center = make_cloud(extension, 50, seed=6), (30.5, 50.25)
    camera = looking((1, 2, 1), 2.5)
    view = view_of(drawing, camera, center=center)
    item = add(extension, cloud)
    for degree in range(4):
        seen = draw(drawing, [item], view, sh_degree=degree)
        assert np.abs(seen - expected(cloud, camera, center=center, sh_degree=degree)).max() < 1 / 255


@pytest.mark.parametrize("center", [(-20.0, 30.0), (110.0, 40.0), (40.0, -10.0), (50.0, 90.0)])
def test_what_a_far_shifted_lens_shows_is_held_beyond_the_image_alone(extension, drawing, center):
    """A wide lens, gaussians up to each edge of the image and beyond."""
    focal, random = 50.0, np.random.default_rng(6)
    cloud, camera = make_cloud(extension, 120, seed=6, log_scale=-1.2), looking((1, 2, 1))
    pixels = random.uniform((-20, -20), (WIDTH + 20, HEIGHT + 20), (120, 2))
    depths = random.uniform(2, 6, (120, 1))
    points = np.hstack([(pixels - center) / focal * depths, depths])
    cloud.means[:] = (points - camera[:3, 3]) @ camera[:3, :3]
    view = view_of(drawing, camera, focal=focal, center=center)
    seen = draw(drawing, [add(extension, cloud)], view)
    assert np.abs(seen - expected(cloud, camera, focal=focal, center=center)).max() < 1 / 255


@pytest.mark.parametrize("is_perspective", [True, False])
def test_a_turned_moved_and_scaled_object_stays_right(extension, drawing, is_perspective):
    cloud = make_cloud(extension, 50, seed=7)
    turn = Euler((0.4, -1.1, 2.0)).to_matrix().to_4x4()
    matrix = Matrix.Translation((0.3, -0.2, 0.5)) @ turn @ Matrix.Scale(1.7, 4)
    camera = looking((1, -1, 0.5), 5)
    focal = FOCAL if is_perspective else FOCAL / 5
    view = view_of(drawing, camera, is_perspective=is_perspective, focal=focal)
    seen = draw(drawing, [add(extension, cloud, matrix)], view)
    true = expected(cloud, camera @ np.array(matrix), is_perspective=is_perspective, focal=focal)
    assert np.abs(seen - true).max() < 1 / 255


def test_splats_of_several_objects_are_blended_in_one_order(extension, drawing):
    clouds = [make_cloud(extension, 30, seed=seed, degree=degree) for seed, degree in ((8, 3), (9, 1))]
    matrices = [Matrix.Translation((0.2, 0, 0)), Matrix.Rotation(1.0, 4, "Z")]
    items = [add(extension, cloud, matrix) for cloud, matrix in zip(clouds, matrices, strict=True)]
    camera = looking((0.3, -1, 0.4))
    seen = draw(drawing, items, view_of(drawing, camera), sh_degree=0)
    splats = extension.module("splat_addon.gaussians.cloud").GaussianCloud
    turn = np.array(matrices[1])[:3, :3]
    spreads = [splat_pictures.rotation_matrices(c.quaternions.astype(float)) for c in clouds]
    quaternions = [clouds[0].quaternions, np.array([_quaternion(turn @ r) for r in spreads[1]])]
    means = [clouds[0].means + [0.2, 0, 0], clouds[1].means @ turn.T]
    joined = splats(
        np.concatenate(means),
        *(np.concatenate([getattr(c, name) for c in clouds]) for name in ("log_scales",)),
        np.concatenate(quaternions),
        np.concatenate([c.logit_opacities for c in clouds]),
        np.concatenate([c.sh[:, :1] for c in clouds]),
    )
    assert np.abs(seen - expected(joined, camera)).max() < 1 / 255


def _quaternion(rotation: np.ndarray):
    return Matrix(rotation.tolist()).to_quaternion()


def test_splats_behind_the_scenes_depth_are_hidden(extension, drawing):
    cloud = make_cloud(extension, 50, seed=10)
    camera = looking((0, -1, 0))
    view = view_of(drawing, camera)
    item = add(extension, cloud)
    near_half = cloud.select(cloud.means @ camera[2, :3] + camera[2, 3] < 4.0)
    clip = view.clip_from_view @ [0, 0, -4.0, 1]
    wall = np.full((HEIGHT, WIDTH), clip[2] / clip[3] * 0.5 + 0.5, dtype=np.float32)
    wall[:, : WIDTH // 2] = 1.0  # nothing on the left
    seen = draw(drawing, [item], view, depth=wall)
    everything, nearer = expected(cloud, camera), expected(near_half, camera)
    assert np.abs(seen - everything)[:, : WIDTH // 2].max() < 1 / 255
    assert np.abs(seen - nearer)[:, WIDTH // 2 :].max() < 1 / 255
    unknown = draw(drawing, [item], view, depth=np.zeros_like(wall))
    assert np.abs(unknown - everything).max() < 1 / 255, "a viewport without depth hides nothing"


@pytest.mark.parametrize("is_perspective", [True, False])
def test_an_ellipsoid_covers_exactly_the_pixels_whose_rays_meet_it(extension, drawing, is_perspective):
    cloud = make_cloud(extension, 3, seed=11, log_scale=-1.0)
    cloud.means[1:] = [[0, 0, 60], [0, 0, -60]]  # far out of view
    camera = looking((0.5, -1, 0.3), 3)
    focal = FOCAL if is_perspective else FOCAL / 3
    view = view_of(drawing, camera, is_perspective=is_perspective, focal=focal)
    seen = draw(drawing, [add(extension, cloud)], view, kind="ELLIPSOIDS", reach_sigma=1.5)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    slopes = np.stack([(x - WIDTH / 2) / focal, (y - HEIGHT / 2) / focal, np.zeros_like(x)], axis=-1)
    rays = slopes + [0, 0, 1] if is_perspective else np.broadcast_to([0.0, 0, 1], slopes.shape)
    starts = np.zeros_like(slopes) if is_perspective else slopes
    axes = camera[:3, :3] @ splat_pictures.rotation_matrices(cloud.quaternions[:1].astype(float))[0]
    inward = (axes / (1.5 * np.exp(cloud.log_scales[0].astype(float)))).T
    mean = camera[:3, :3] @ cloud.means[0] + camera[:3, 3]
    along, start = rays @ inward.T, (starts - mean) @ inward.T
    closest = start - along * ((along * start).sum(-1) / (along**2).sum(-1))[..., None]
    is_met = (closest**2).sum(-1) < 1
    assert is_met.sum() > 200 and ((seen[..., 3] > 0.5) != is_met).mean() < 0.002
    assert set(np.unique(seen[..., 3])) <= {0.0, 1.0}, "solid"


def test_nearer_ellipsoids_and_points_cover_farther_ones(extension, drawing):
    cloud = make_cloud(extension, 2, seed=12, log_scale=-1.5)
    cloud.means[:] = [[0, -1, 0], [0, 1, 0]]
    cloud.sh[:] = 0
    cloud.sh[0, 0], cloud.sh[1, 0] = (1.7, -1.7, -1.7), (-1.7, 1.7, -1.7)  # the first is red, the second green
    for kind in ("ELLIPSOIDS", "POINTS"):
        for turned, color in ((False, 0), (True, 1)):
            view = view_of(drawing, looking((0, 1 if turned else -1, 0)))
            seen = draw(drawing, [add(extension, cloud)], view, kind=kind, point_px=8.0)
            center = seen[HEIGHT // 2, WIDTH // 2]
            assert center[color] > 0.5 and center[1 - color] < 0.1, (kind, turned)


def test_points_are_discs_of_the_chosen_width(extension, drawing):
    cloud = make_cloud(extension, 1, seed=13)
    cloud.means[:] = 0
    seen = draw(drawing, [add(extension, cloud)], view_of(drawing, looking((0, -1, 0))), kind="POINTS", point_px=20.0)
    assert abs((seen[..., 3] > 0).sum() - np.pi * 100) < 20


def test_colors_by_attribute_run_from_purple_to_yellow(extension, drawing):
    cloud = make_cloud(extension, 3, seed=14)
    cloud.means[:] = [[-1, 0, 0], [0, 0, 0], [1, 0, 0]]
    item = add(extension, cloud)
    item.data.attributes.new("score", "FLOAT", "POINT")
    item.data.attributes["score"].data.foreach_set("value", np.array([5.0, np.nan, 9.0], np.float32))
    view = view_of(drawing, looking((0, -1, 0)))
    seen = draw(drawing, [item], view, kind="POINTS", point_px=6.0, color_by="ATTRIBUTE", attribute="score")
    places = [(HEIGHT // 2, WIDTH // 2 + step) for step in (-20, 0, 20)]
    low, none, high = (seen[place][:3] for place in places)
    ramp = extension.module("splat_addon.scene.viewport.shader").RAMP
    assert np.allclose(low, ramp[0], atol=0.02) and np.allclose(high, ramp[-1], atol=0.02)
    assert np.allclose(none, 0.35, atol=0.01), "grey where there is no number"
    seen = draw(drawing, [item], view, kind="POINTS", point_px=6.0, color_by="OPACITY")
    opacity = cloud.opacities[0] * 4
    cell = int(opacity)
    true = np.array(ramp[cell]) + (opacity - cell) * (np.array(ramp[cell + 1]) - ramp[cell])
    assert np.allclose(seen[places[0]][:3], true, atol=0.01)


def test_a_fraction_and_hidden_splats_are_left_out(extension, drawing):
    cloud = make_cloud(extension, 400, seed=15, log_scale=-4)
    item = add(extension, cloud)
    name = ".hide_vert"
    item.data.attributes.new(name, "BOOLEAN", "POINT")
    hidden = np.arange(400) % 2 == 0
    item.data.attributes[name].data.foreach_set("value", hidden)
    camera = looking((0, -1, 0))
    view = view_of(drawing, camera)
    seen = draw(drawing, [item], view)
    assert np.abs(seen - expected(cloud.select(~hidden), camera)).max() < 1 / 255
    part = drawing.random_part(400, 0.3) & ~hidden
    seen = draw(drawing, [item], view, fraction=0.3)
    assert np.abs(seen - expected(cloud.select(part), camera)).max() < 1 / 255


def test_a_picture_sorts_only_when_the_view_turns(extension, drawing):
    item = add(extension, make_cloud(extension, 20, seed=16))
    blocks = {item.data.session_uid: item.data}
    atlas, picture = drawing.Atlas(blocks), drawing.Picture()
    placed = [drawing.Placed(item.data.session_uid, np.eye(4))]
    camera = looking((0, -1, 0))
    counts = []
    for sideways, turned in ((0, False), (0, False), (0.5, False), (0.5, True)):
        moved = np.array(Matrix.Translation((sideways, 0, 0))) @ (looking((0.3, -1, 0)) if turned else camera)
        picture.paint(atlas, blocks, placed, view_of(drawing, moved), drawing.Look())
        counts.append(picture.sort_count)
    assert counts == [1, 1, 1, 2]


def test_the_picture_reaches_the_screen_in_the_colors_it_has(extension, drawing):
    """Blender encodes what lies over a viewport with the power 1/2.2, blended before that."""
    import gpu

    cloud = make_cloud(extension, 50, seed=17)
    camera = looking((0, -1, 0))
    view = view_of(drawing, camera)
    item = add(extension, cloud)
    blocks = {item.data.session_uid: item.data}
    for is_linear in (False, True):
        picture = drawing.Picture()
        placed = [drawing.Placed(item.data.session_uid, np.eye(4))]
        picture.paint(drawing.Atlas(blocks), blocks, placed, view, drawing.Look(is_linear=is_linear))
        screen = gpu.types.GPUTexture((WIDTH, HEIGHT), format="RGBA32F")
        frame = gpu.types.GPUFrameBuffer(color_slots=screen)
        with frame.bind():
            frame.clear(color=(0, 0, 0, 0))
            gpu.state.viewport_set(0, 0, WIDTH, HEIGHT)
            picture.lay_over(is_linear)
        overlay = viewport_pictures.pixels(screen)
        true = expected(cloud, camera, is_linear=is_linear)
        is_solid = true[..., 3] > 0.05
        shown = (overlay[..., :3] / np.maximum(overlay[..., 3:], 1e-6)) ** (1 / 2.2)
        wanted = true[..., :3] / np.maximum(true[..., 3:], 1e-6)
        if is_linear:
            wanted = np.where(wanted <= 0.0031308, wanted * 12.92, 1.055 * np.maximum(wanted, 0) ** (1 / 2.4) - 0.055)
        assert np.abs(overlay[..., 3] - true[..., 3]).max() < 1 / 255
        assert np.abs(shown - np.clip(wanted, 0, 1))[is_solid].max() < 3 / 255


def test_a_trained_scene_looks_as_the_textbook_draws_it(extension, drawing):
    path = ROOT.parent / "shared" / "data" / "splats" / "opensplat_banana"
    files = sorted(path.glob("*.ply"))
    if not files:
        pytest.skip(f"the splats of others are not at {path}")
    cloud = extension.module("splat_addon.gaussians.formats.splat_ply").read_splats(files[0])
    target = np.median(cloud.means, axis=0)
    camera = looking((0.2, -0.3, -1), 3) @ np.array(Matrix.Translation(-target))
    seen = draw(drawing, [add(extension, cloud)], view_of(drawing, camera))
    true = expected(cloud, camera)
    psnr_db = -10 * np.log10(np.mean((np.clip(seen, 0, 1) - np.clip(true, 0, 1))[..., :3] ** 2))
    assert true[..., 3].mean() > 0.2 and psnr_db > 60


def test_splats_of_a_file_of_the_oldest_blender_look_the_same_here(extension, drawing, tmp_path):
    cloud = make_cloud(extension, 50, seed=18)
    path = save_in_oldest_blender(cloud, tmp_path)
    if path is None:
        pytest.skip("needs the environment of Blender 4.2 beside this one")
    bpy.ops.wm.open_mainfile(filepath=str(path))
    viewport = extension.module("splat_addon.scene.viewport.display")
    (item,) = viewport.visible_splats(bpy.context.view_layer, None)
    assert isinstance(item.data, bpy.types.Mesh) and viewport.is_running()
    camera = looking((0.3, -1, 0.4))
    assert np.abs(draw(drawing, [item], view_of(drawing, camera)) - expected(cloud, camera)).max() < 1 / 255


def test_splats_that_are_all_hidden_give_an_empty_picture(extension, drawing):
    item = add(extension, make_cloud(extension, 5, seed=0))
    item.data.attributes.new(".hide_vert", "BOOLEAN", "POINT")
    item.data.attributes[".hide_vert"].data.foreach_set("value", np.ones(5, dtype=bool))
    view = view_of(drawing, looking((0, -1, 0)))
    assert not draw(drawing, [item], view).any()
    assert not draw(drawing, [], view).any()


def test_splats_are_read_again_only_when_they_have_changed(extension, drawing):
    viewport = extension.module("splat_addon.scene.viewport.display")
    first, second = (add(extension, make_cloud(extension, 20, seed=seed)) for seed in (1, 2))
    atlas, blocks = viewport.current_atlas([first, second])
    assert set(atlas.first) == {first.data.session_uid, second.data.session_uid} and blocks[first.data.session_uid]
    first.location.x = 2
    first.data.update_tag()
    bpy.context.view_layer.update()
    assert viewport.current_atlas([first])[0] is atlas, "an update that changes no number, and one of them hidden"
    viewport.state().is_all_changed = True
    assert viewport.current_atlas([first])[0] is atlas, "undo of something else"
    first.data.attributes["scale"].data.foreach_set("vector", np.full(60, 0.1, np.float32))
    first.data.update_tag()
    bpy.context.view_layer.update()
    changed = viewport.current_atlas([first])[0]
    assert changed is not atlas and changed.fingerprints != atlas.fingerprints
    bpy.data.objects.remove(second)
    bpy.context.view_layer.update()
    assert set(viewport.current_atlas([first])[0].first) == {first.data.session_uid}, "freed with its object"
    viewport.end()
    assert viewport.state().atlas is None


def test_an_attribute_is_read_again_when_its_numbers_change_and_splats_are_not(extension, drawing):
    viewport = extension.module("splat_addon.scene.viewport.display")
    item = add(extension, make_cloud(extension, 20, seed=1))
    atlas, _ = viewport.current_atlas([item])
    first, second = np.arange(20, dtype=np.float32), np.arange(20, dtype=np.float32)[::-1]
    item.data.attributes.new("own", "FLOAT", "POINT")
    for values in (first, second):
        item.data.attributes["own"].data.foreach_set("value", np.ascontiguousarray(values))
        item.data.update_tag()
        bpy.context.view_layer.update()
        again, blocks = viewport.current_atlas([item])
        assert again is atlas, "splats are what they were"
        places = atlas.ramp(blocks, "ATTRIBUTE", "own")[0].read()
        places = np.array(places.to_list()).ravel()[:20]
        low, high = np.percentile(values, (1, 99))
        assert places == pytest.approx(np.clip((values - low) / (high - low), 0, 1), abs=1e-6)


def test_more_splats_than_a_texture_holds_are_refused_in_a_sentence(extension, drawing, monkeypatch):
    item = add(extension, make_cloud(extension, 20, seed=1))
    monkeypatch.setattr(drawing, "LARGEST_PLACE", 10)
    error = extension.module("splat_addon.errors").SplatError
    with pytest.raises(error, match=r"20 splats are too many for the viewport, which takes 10 here\. Hide some"):
        drawing.Atlas({item.data.session_uid: item.data})


def test_an_object_without_points_draws_nothing_and_disturbs_no_other(extension, drawing):
    view = view_of(drawing, looking((0, -1, 0.3)))
    some, none = (add(extension, make_cloud(extension, count, 3)) for count in (40, 0))
    alone = viewport_pictures.draw(drawing, [some], view, drawing.Look())
    assert alone[..., 3].max() > 0.3
    assert np.array_equal(viewport_pictures.draw(drawing, [none, some], view, drawing.Look()), alone)
    assert not viewport_pictures.draw(drawing, [none], view, drawing.Look()).any()


@pytest.mark.parametrize("color_by", ["RADIANCE", "OPACITY"])
def test_what_does_not_stand_out_is_faint_and_gray(extension, drawing, color_by):
    cloud = make_cloud(extension, 40, 12)
    item = add(extension, cloud)
    uid, some = item.data.session_uid, np.arange(40) % 2 == 0
    view = view_of(drawing, looking((0, 1, 0)))
    half = draw(drawing, [item], view, color_by=color_by, ghost=drawing.Ghost((1,), {uid: some}))
    everything = draw(drawing, [item], view, color_by=color_by, ghost=drawing.Ghost((2,), {uid: some | True}))
    nothing = draw(drawing, [item], view, color_by=color_by, ghost=drawing.Ghost((3,), {}))
    np.testing.assert_allclose(everything, draw(drawing, [item], view, color_by=color_by), atol=1e-5)
    alone = add(extension, cloud.select(some))
    shown = draw(drawing, [alone], view)
    assert nothing[..., 3].max() < 0.5 * everything[..., 3].max() and nothing[..., 3].max() > 0.02
    assert np.abs(nothing[..., 0] - nothing[..., 1]).max() < 1e-6, "dimmed splats are gray"
    covered = shown[..., 3] > 0.5
    assert np.abs(half[..., 3] - shown[..., 3])[covered].mean() < 0.1 < np.abs(everything - shown)[..., 3].max()
