"""What a viewport shows, splats included, as an image and as a playblast: pixels, files, and what stays as it was."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from mathutils import Euler

from support.cube_scene import add_cube
from support.recording_layout import drawn, texts

WIDTH, HEIGHT = 96, 64


@pytest.fixture
def still(extension):
    return extension.module("splat_addon.scene.viewport.still")


@pytest.fixture
def playblast(extension):
    return extension.module("splat_addon.scene.rendering.playblast")


@pytest.fixture
def scene(extension):
    """A small output, a camera that looks along -z from 5 above, and a Solid viewport as large as Blender made it."""
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    scene = bpy.context.scene
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    bpy.data.objects.remove(bpy.data.objects["Light"])
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.camera.location, scene.camera.rotation_euler = (0, 0, 5), (0, 0, 0)
    bpy.context.view_layer.update()
    return scene


def add_ball(extension, place=(0, 0, 0), color=(0.8, 0.2, 0.1), sigma=0.3, blend_space="display"):
    """An object of one nearly opaque gaussian."""
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=np.array([place], dtype=float),
        log_scales=np.full((1, 3), np.log(sigma)),
        quaternions=np.array([[1.0, 0, 0, 0]]),
        logit_opacities=np.array([12.0]),
        sh=((np.array(color) - 0.5) / 0.28209479177387814).reshape(1, 1, 3),
        blend_space=blend_space,
    )
    item = extension.module("splat_addon.scene.splats.data").splats_to_object(
        cloud, "Ball", bpy.context.scene.collection
    )
    extension.module("splat_addon.scene.splats.box_modifier").hand_over(bpy.context.scene)
    bpy.context.view_layer.update()
    return item


def viewport(still, **options):
    area = next(area for area in bpy.context.screen.areas if area.type == "VIEW_3D")
    region = next(region for region in area.regions if region.type == "WINDOW")
    return still.Viewport(bpy.context.scene, bpy.context.view_layer, area.spaces.active, region, **options)


def image_of(extension, still, **options):
    return still.draw(viewport(still, **options), extension.module("splat_addon.scene.viewport.picture").Picture())


def centroid(weights):
    """(2,) x and y in pixels."""
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


# --- Blending, which needs no graphics -------------------------------------------------------------------------------


@pytest.mark.parametrize("is_linear", [False, True])
def test_splats_are_laid_over_as_blender_lays_overlays_over_a_viewport(still, is_linear):
    below = np.array([[[0.2, 0.5, 0.9, 1.0], [0.2, 0.5, 0.9, 1.0], [0.0, 0.0, 0.0, 0.0]]])
    linear = 0.21404114  # 0.5 decoded
    shown = linear if is_linear else 0.5
    splats = np.array([[[0, 0, 0, 0], [0.5 * shown] * 3 + [0.5], [0.25 * shown] * 3 + [0.25]]])
    seen = still.blend(below, splats, is_linear)
    assert np.array_equal(seen[0, 0], below[0, 0])
    expected = (0.5 * below[0, 1, :3] ** 2.2 + 0.5 * 0.5**2.2) ** (1 / 2.2)
    np.testing.assert_allclose(seen[0, 1], [*expected, 1], atol=1e-6)
    np.testing.assert_allclose(seen[0, 2], [0.5, 0.5, 0.5, 0.25], atol=1e-6)


def test_frames_and_paths_are_the_scenes(scene, playblast, tmp_path):
    scene.frame_start, scene.frame_end, scene.frame_step = 3, 10, 3
    scene.render.filepath = str(tmp_path / "shot_")
    assert playblast.frames_of(scene) == [3, 6, 9]
    assert playblast.path_of(scene, 6) == tmp_path / "shot_0006.png"
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 4, 7
    assert playblast.frames_of(scene) == [4, 7]


def test_the_panel_says_that_blenders_own_show_none_and_offers_ours(extension, scene):
    panel = extension.module("panels.splats").SPLAT_PT_viewport
    told = texts(drawn(panel, bpy.context))
    assert "Blender's own viewport renders show no splats. These do:" in told


def test_without_graphics_it_says_so(extension, scene, still):
    if still.has_graphics():
        pytest.skip("this Blender draws in background by now")
    add_ball(extension)
    with pytest.raises(RuntimeError, match="Blender draws no viewports in background: open the file in a window"):
        bpy.ops.splat.render_viewport()


# --- Pixels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blend_space", ["display", "blender"])
def test_a_still_shows_splats_in_their_colors_before_and_behind_meshes(extension, graphics, scene, still, blend_space):
    empty = image_of(extension, still, is_through_camera=True)
    assert empty.shape == (HEIGHT, WIDTH, 4) and (empty[..., 3] == 1).all()
    add_ball(extension, blend_space=blend_space)
    scene.splat.viewport.blending = "TRAINED"
    seen = image_of(extension, still, is_through_camera=True)
    np.testing.assert_allclose(seen[HEIGHT // 2, WIDTH // 2], [0.8, 0.2, 0.1, 1], atol=0.01)
    np.testing.assert_allclose(seen[0, 0], empty[0, 0], atol=1e-3)
    cube = add_cube(2)
    cube.location = (0.35, 0, 2)  # before the right half: its left side stands over the image's middle
    cube.scale = (0.35, 1, 0.1)
    bpy.context.view_layer.update()
    half = image_of(extension, still, is_through_camera=True)
    scene.splat.viewport.is_hidden_by_meshes = False
    through = image_of(extension, still, is_through_camera=True)
    middle = HEIGHT // 2
    np.testing.assert_allclose(half[middle, : WIDTH // 2 - 4], seen[middle, : WIDTH // 2 - 4], atol=0.01)
    assert np.abs(np.ptp(half[middle, WIDTH // 2 + 3, :3])) < 0.05, "the gray of the cube"
    assert np.ptp(through[middle, WIDTH // 2 + 3, :3]) > 0.5, "the splat"


@pytest.mark.parametrize("source", ["view", "orthographic view", "camera", "shifted camera"])
def test_splats_stand_where_blender_draws_meshes(extension, graphics, scene, still, source):
    """The judge is Blender: a small mesh in the same place."""
    place = (0.7, -0.4, 0.3)
    shown = viewport(still, is_through_camera="camera" in source)
    if source == "orthographic view":
        shown.space.region_3d.view_perspective = "ORTHO"
    if source == "shifted camera":
        scene.render.pixel_aspect_x = 1.5
        camera = scene.camera
        camera.data.shift_x, camera.data.shift_y, camera.data.lens, camera.data.sensor_fit = 0.1, -0.05, 40, "VERTICAL"
        camera.rotation_euler, camera.scale = Euler((0.1, 0.2, 0.3)), (2, 2, 2)
    shown.space.region_3d.update()
    bpy.context.view_layer.update()
    picture = extension.module("splat_addon.scene.viewport.picture").Picture()
    empty = still.draw(shown, picture)
    cube = add_cube()
    cube.location, cube.scale = place, (0.2, 0.2, 0.2)
    bpy.context.view_layer.update()
    mesh = np.abs(still.draw(shown, picture) - empty).sum(axis=2)
    bpy.data.objects.remove(cube)
    add_ball(extension, place, sigma=0.05)
    splat = np.abs(still.draw(shown, picture) - empty).sum(axis=2)
    assert mesh.max() > 0.02 and splat.max() > 0.1
    assert np.abs(centroid(mesh > 0.3 * mesh.max()) - centroid(splat)).max() < 0.7


def test_a_transparent_film_keeps_nothing_but_what_is_there(extension, graphics, scene, still):
    scene.render.film_transparent = True
    add_ball(extension)
    seen = image_of(extension, still, is_through_camera=True)
    assert seen[0, 0, 3] == 0 and seen[HEIGHT // 2, WIDTH // 2, 3] > 0.99
    edge = seen[HEIGHT // 2][(seen[HEIGHT // 2, :, 3] > 0.2) & (seen[HEIGHT // 2, :, 3] < 0.8)]
    assert len(edge) >= 2
    np.testing.assert_allclose(edge[:, :3], np.tile([0.8, 0.2, 0.1], (len(edge), 1)), atol=0.02)


def test_what_the_viewport_is_set_to_stays(extension, graphics, scene, still):
    add_ball(extension)
    space = viewport(still).space
    space.overlay.show_overlays, space.shading.type = True, "SOLID"
    plain = image_of(extension, still)
    assert space.overlay.show_overlays and space.shading.type == "SOLID"
    assert np.abs(image_of(extension, still, has_overlays=True) - plain).max() > 0.1, "the grid"


def test_the_still_is_an_image_that_is_filled_anew_until_it_is_saved(extension, graphics, scene, tmp_path):
    add_ball(extension)
    assert bpy.ops.splat.render_viewport(source="CAMERA") == {"FINISHED"}
    image = bpy.data.images["Viewport Render"]
    pixels = np.array(image.pixels).reshape(HEIGHT, WIDTH, 4)
    np.testing.assert_allclose(pixels[HEIGHT // 2, WIDTH // 2], [0.8, 0.2, 0.1, 1], atol=0.01)
    scene.render.resolution_x = 80
    bpy.ops.splat.render_viewport(source="CAMERA")
    assert tuple(image.size) == (80, HEIGHT) and "Viewport Render.001" not in bpy.data.images
    image.filepath_raw, image.file_format = str(tmp_path / "kept.png"), "PNG"
    image.save()
    bpy.ops.splat.render_viewport(source="CAMERA")
    assert "Viewport Render.001" in bpy.data.images


# --- Playblasts ------------------------------------------------------------------------------------------------------


@pytest.fixture
def moving(extension, scene, tmp_path):
    """Three frames in which a ball moves to the right, written as PNG; the view is one that files must not show."""
    item = add_ball(extension)
    for frame, x in ((1, -1.0), (3, 1.0)):
        item.location.x = x
        item.keyframe_insert("location", frame=frame)
    scene.frame_start, scene.frame_end = 1, 3
    scene.frame_set(2)
    scene.render.filepath = str(tmp_path / "out" / "shot_")
    scene.view_settings.exposure = 1.0
    return tmp_path / "out"


def test_a_playblast_writes_what_the_viewport_shows(extension, graphics, scene, still, moving):
    view = scene.view_settings.view_transform
    assert bpy.ops.splat.render_viewport(animation=True, source="CAMERA") == {"FINISHED"}
    assert sorted(path.name for path in moving.iterdir()) == [f"shot_000{frame}.png" for frame in (1, 2, 3)]
    assert scene.frame_current == 2 and scene.view_settings.exposure == 1.0
    assert scene.view_settings.view_transform == view and "Viewport Render" not in bpy.data.images
    places = []
    for frame in (1, 2, 3):
        scene.frame_set(frame)
        expected = image_of(extension, still, is_through_camera=True)
        image = bpy.data.images.load(str(moving / f"shot_000{frame}.png"))
        seen = np.array(image.pixels).reshape(HEIGHT, WIDTH, -1)
        np.testing.assert_allclose(seen[..., :3], expected[..., :3], atol=1.01 / 255)
        places.append(centroid(np.abs(seen[..., 0] - seen[..., 2])))
    steps = np.diff(places, axis=0)
    assert (steps[:, 0] > 10).all() and np.abs(steps[:, 1]).max() < 0.5


def test_frames_that_are_there_stay_without_overwrite(extension, graphics, scene, moving):
    moving.mkdir()
    (moving / "shot_0002.png").write_bytes(b"mine")
    scene.render.use_overwrite = False
    bpy.ops.splat.render_viewport(animation=True, source="CAMERA")
    assert (moving / "shot_0002.png").read_bytes() == b"mine" and len(list(moving.iterdir())) == 3
    scene.render.use_overwrite = True
    bpy.ops.splat.render_viewport(animation=True, source="CAMERA")
    assert (moving / "shot_0002.png").read_bytes() != b"mine"


def test_a_place_that_cannot_be_written_is_said_and_nothing_is_changed(extension, graphics, scene, moving):
    moving.write_bytes(b"a file")
    with pytest.raises(RuntimeError, match=r"cannot be written .* Choose another Output folder"):
        bpy.ops.splat.render_viewport(animation=True, source="CAMERA")
    assert scene.frame_current == 2 and scene.view_settings.exposure == 1.0 and moving.read_bytes() == b"a file"


def as_movie(scene):
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"


def test_a_movie_has_all_frames_and_nothing_stays_beside_it(extension, graphics, scene, moving, playblast):
    as_movie(scene)
    bpy.ops.splat.render_viewport(animation=True, source="CAMERA")
    (movie,) = moving.iterdir()
    assert movie == playblast.path_of(scene, 1) and movie.suffix == ".mp4"
    clip = bpy.data.movieclips.load(str(movie))
    assert clip.frame_duration == 3 and tuple(clip.size) == (WIDTH, HEIGHT)


def test_a_movie_that_cannot_be_made_is_said_and_leaves_what_was_there(extension, graphics, scene, moving, playblast):
    as_movie(scene)
    scene.render.resolution_x = WIDTH - 1  # which this codec does not take
    path = playblast.path_of(scene, 1)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"the last one")
    with pytest.raises(RuntimeError, match=r"The movie could not be made \(.+\). Make width and height even"):
        bpy.ops.splat.render_viewport(animation=True, source="CAMERA")
    assert path.read_bytes() == b"the last one" and list(moving.iterdir()) == [path] and scene.frame_current == 2


def test_a_movie_that_is_stopped_leaves_what_was_there(extension, graphics, scene, still, moving, playblast):
    as_movie(scene)
    path = playblast.path_of(scene, 1)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"the last one")
    run = playblast.Playblast(viewport(still, is_through_camera=True))
    assert run.step() and run.step() and run.text == "frame 3 of 3"
    run.close()
    assert path.read_bytes() == b"the last one" and list(moving.iterdir()) == [path] and scene.frame_current == 2


def test_esc_stops_and_everything_is_put_back(extension, graphics, scene, still, moving, monkeypatch):
    """The modal operator, with the events that Blender would send."""
    cls = extension.module("operators.splats.viewport_render").SPLAT_OT_render_viewport
    said, status = [], []
    manager = SimpleNamespace(
        event_timer_add=lambda _, window: "timer",
        event_timer_remove=lambda timer: said.append(timer),
        progress_begin=lambda *_: None,
        progress_update=lambda done: said.append(done),
        progress_end=lambda: said.append("end"),
        modal_handler_add=lambda _: None,
    )
    workspace = SimpleNamespace(status_text_set=status.append)
    context = SimpleNamespace(window_manager=manager, workspace=workspace, window=None)
    operator = SimpleNamespace(
        _viewport=lambda _: viewport(still, is_through_camera=True),
        report=lambda _, text: said.append(text),
        bl_options=cls.bl_options,
    )
    for name in ("_begin", "_advance", "_tell", "_end"):
        setattr(operator, name, getattr(cls, name).__get__(operator))
    assert operator._begin(context) == {"RUNNING_MODAL"}
    event = SimpleNamespace(type="MOUSEMOVE")
    assert cls.modal(operator, context, event) == {"RUNNING_MODAL"} and not status
    event.type = "TIMER"
    assert cls.modal(operator, context, event) == {"RUNNING_MODAL"}
    assert status == ["Render Viewport with Splats: frame 1 of 3 · Esc stops"]
    assert [path.name for path in moving.iterdir()] == ["shot_0001.png"]
    event.type = "ESC"
    assert cls.modal(operator, context, event) == {"CANCELLED"}
    assert scene.frame_current == 2 and status[-1] is None and said[-2:] == ["timer", "end"]
    assert any(str(text).startswith("Stopped: frame 2 of 3. Written: ") for text in said)
