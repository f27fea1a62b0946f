"""What is drawn over the camera's frame, pixel by pixel, and where the frame lies."""

from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from mathutils import Matrix

SIZE = (48, 32)  # width and height of the test images


@pytest.fixture
def modules(extension):
    """The modules that draw."""
    return SimpleNamespace(
        pictures=extension.module("splat_addon.scene.review.pictures"),
        review_frame=extension.module("splat_addon.scene.review.frame"),
        shader=extension.module("splat_addon.scene.review.shader"),
        camera=extension.module("splat_addon.capture.camera"),
    )


def bytes_of(seed: int, size=SIZE) -> np.ndarray:
    """(H, W, 3) random bytes, top row first."""
    return np.random.default_rng(seed).integers(0, 256, size=(size[1], size[0], 3)).astype(np.uint8)


def save(path, pixels: np.ndarray):
    """Write (H, W, 3 or 4) bytes, top row first, as PNG without any color management."""
    height, width, channels = pixels.shape
    image = bpy.data.images.new(path.stem, width, height, alpha=channels == 4)
    image.colorspace_settings.is_data = True
    image.alpha_mode = "CHANNEL_PACKED"
    full = np.ones((height, width, 4), dtype=np.float32)
    full[..., :channels] = pixels / np.float32(255)
    image.pixels.foreach_set(full[::-1].ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


@pytest.fixture
def pair(modules, tmp_path):
    """A photo and a trained image of it, as bytes and as read from their files."""
    numbers = bytes_of(1), bytes_of(2)
    paths = [save(tmp_path / f"{index}.png", pixels) for index, pixels in enumerate(numbers)]
    return numbers, [modules.pictures.read_picture(path) for path in paths]


def drawn(graphics, modules, pictures, look, frame=None, target=SIZE, camera=None, exponent=1.0) -> np.ndarray:
    """(H, W, 4) what `draw_images` leaves in an offscreen target that was transparent red, top row first, 0..1."""
    frame = frame or modules.review_frame.Frame(0, 0, *target)
    camera = camera or modules.camera.Camera(*SIZE, 50, 50, SIZE[0] / 2, SIZE[1] / 2, np.eye(4))
    offscreen = graphics.types.GPUOffScreen(*target, format="RGBA32F")
    with offscreen.bind():
        framebuffer = graphics.state.active_framebuffer_get()
        framebuffer.clear(color=(1, 0, 0, 0))
        modules.shader.draw_images(frame, target, *pictures, camera, look, exponent)
        pixels = framebuffer.read_color(0, 0, *target, 4, 0, "FLOAT")
    offscreen.free()
    return np.array(pixels.to_list()).reshape(target[1], target[0], 4)[::-1]


def test_a_picture_holds_the_numbers_of_its_file_and_leaves_nothing_in_the_file(modules, pair):
    for pixels, picture in zip(*pair, strict=True):
        assert np.array_equal(np.round(picture.pixels[::-1, :, :3] * 255), pixels)
        assert (picture.pixels[..., 3] == 1).all() and not picture.has_alpha
    assert len(bpy.data.images) == 0


def test_transparent_parts_lie_over_white_as_training_compares_them(modules, tmp_path):
    pixels = np.concatenate([bytes_of(3), np.random.default_rng(4).integers(0, 256, (SIZE[1], SIZE[0], 1))], axis=2)
    picture = modules.pictures.read_picture(save(tmp_path / "clear.png", pixels.astype(np.uint8)))
    alpha = pixels[..., 3:] / 255
    assert picture.has_alpha
    assert np.abs(picture.pixels[::-1, :, :3] - (pixels[..., :3] / 255 * alpha + 1 - alpha)).max() < 1e-5


def test_a_large_picture_is_reduced_by_whole_numbers(modules, tmp_path):
    pixels = bytes_of(5)
    picture = modules.pictures.read_picture(save(tmp_path / "large.png", pixels), size_limit=20)
    assert (picture.width, picture.height) == (16, 10)  # by 3, the last rows and columns cut off
    mean = pixels[::-1][:30].reshape(10, 3, 16, 3, 3).mean(axis=(1, 3)) / 255
    assert np.abs(picture.pixels[..., :3] - mean).max() < 1e-5


def test_an_unreadable_picture_is_named(modules, extension, tmp_path):
    errors = extension.module("splat_addon.errors")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name in ("broken.png", "missing.png"):
        with pytest.raises(errors.CaptureError, match=f"{name}.* read"):
            modules.pictures.read_picture(tmp_path / name)
    assert len(bpy.data.images) == 0


@pytest.mark.parametrize("mode", ["PHOTO", "RENDER"])
def test_an_image_at_one_to_one_shows_the_files_own_numbers(graphics, modules, pair, mode):
    numbers, pictures = pair
    seen = drawn(graphics, modules, pictures, modules.shader.Look(mode))
    assert np.abs(seen[..., :3] - numbers[mode == "RENDER"] / 255).max() < 1e-6
    assert (seen[..., 3] == 1).all(), "the viewport does not shine through"


@pytest.mark.parametrize("wipe", [0.0, 0.25, 0.5, 1.0])
def test_the_wipe_has_the_photo_on_its_left_and_the_trained_image_on_its_right(graphics, modules, pair, wipe):
    (photo, trained), pictures = pair
    seen = drawn(graphics, modules, pictures, modules.shader.Look("WIPE", wipe=wipe))
    line = round(wipe * SIZE[0])
    expected = np.concatenate([photo[:, :line], trained[:, line:]], axis=1) / 255
    assert np.abs(seen[..., :3] - expected).max() < 1e-6


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_the_difference_is_that_of_display_values_times_the_gain(graphics, modules, pair, gain):
    (photo, trained), pictures = pair
    seen = drawn(graphics, modules, pictures, modules.shader.Look("DIFFERENCE", gain=gain))
    expected = np.clip(gain * np.abs(photo / 255 - trained / 255), 0, 1)
    assert np.abs(seen[..., :3] - expected).max() < 1e-5


def test_heat_colors_grow_brighter_with_the_mean_difference(graphics, modules, tmp_path):
    trained = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)
    photo = np.repeat(np.linspace(0, 240, SIZE[0]).astype(np.uint8)[None, :, None], SIZE[1], axis=0).repeat(3, axis=2)
    photo[..., 2] = 0  # the mean over the channels is two thirds
    pictures = [
        modules.pictures.read_picture(save(tmp_path / f"{name}.png", pixels))
        for name, pixels in (("photo", photo), ("trained", trained))
    ]
    seen = drawn(graphics, modules, pictures, modules.shader.Look("DIFFERENCE", gain=1.5, use_ramp=True))[0, :, :3]
    brightness = seen @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(brightness) > 0).all() and brightness[0] < 0.01 and brightness[-1] > 0.8
    inferno_middle = (0.735683, 0.215906, 0.330245)  # matplotlib's inferno at 0.5
    middle = np.interp(0.5, photo[0, :, 0] / 255, np.arange(SIZE[0]))
    assert np.abs(seen[round(middle)] - inferno_middle).max() < 0.03


def test_only_the_frame_is_painted(graphics, modules, pair):
    (photo, _), pictures = pair
    frame = modules.review_frame.Frame(10, 5, 10 + SIZE[0], 5 + SIZE[1])
    seen = drawn(graphics, modules, pictures, modules.shader.Look("PHOTO"), frame, (80, 60))
    inside = seen[60 - 5 - SIZE[1] : 60 - 5, 10 : 10 + SIZE[0]]
    assert np.abs(inside[..., :3] - photo / 255).max() < 1e-6
    assert (seen[..., 3].sum(), seen[0, 0].tolist()) == (SIZE[0] * SIZE[1], [1, 0, 0, 0])


def test_an_enlarged_image_has_square_pixels(graphics, modules, pair):
    (photo, _), pictures = pair
    target = (SIZE[0] * 4, SIZE[1] * 4)
    seen = drawn(graphics, modules, pictures, modules.shader.Look("PHOTO"), target=target)
    assert np.abs(seen[..., :3] - photo.repeat(4, axis=0).repeat(4, axis=1) / 255).max() < 1e-6


def test_a_reduced_image_shows_the_mean_of_what_a_pixel_covers(graphics, modules, pair):
    (photo, _), pictures = pair
    target = (SIZE[0] // 4, SIZE[1] // 4)
    seen = drawn(graphics, modules, pictures, modules.shader.Look("PHOTO"), target=target)
    mean = photo.reshape(target[1], 4, target[0], 4, 3).mean(axis=(1, 3)) / 255
    assert np.abs(seen[..., :3] - mean).max() < 1e-5


def test_a_photo_finer_than_its_render_is_compared_at_the_renders_resolution(graphics, modules, tmp_path):
    photo, trained = bytes_of(6), bytes_of(7, (SIZE[0] // 2, SIZE[1] // 2))
    pictures = [
        modules.pictures.read_picture(save(tmp_path / f"{name}.png", pixels))
        for name, pixels in (("photo", photo), ("trained", trained))
    ]
    target = (SIZE[0] // 2, SIZE[1] // 2)
    seen = drawn(graphics, modules, pictures, modules.shader.Look("DIFFERENCE", gain=1.0), target=target)
    mean = photo.reshape(target[1], 2, target[0], 2, 3).mean(axis=(1, 3))
    assert np.abs(seen[..., :3] - np.abs(mean - trained) / 255).max() < 1e-5


def test_a_lens_is_taken_out_of_the_photo_as_training_takes_it_out(graphics, modules, tmp_path):
    camera = modules.camera.Camera(*SIZE, 40, 44, 23, 17, np.eye(4), (-0.3, 0.08, 0.004, -0.003, 0.01, 0.02, 0.03, 0.0))
    down, across = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    photo = np.stack([across * 5, down * 7, across + down], axis=2).astype(np.uint8)  # linear: what is between is known
    trained = np.zeros_like(photo)
    pictures = [
        modules.pictures.read_picture(save(tmp_path / f"{name}.png", pixels))
        for name, pixels in (("photo", photo), ("trained", trained))
    ]
    seen = drawn(graphics, modules, pictures, modules.shader.Look("PHOTO"), camera=camera)
    slopes = np.stack([(across + 0.5 - camera.cx) / camera.fx, (down + 0.5 - camera.cy) / camera.fy], axis=2)
    source = camera.distort(slopes.reshape(-1, 2)) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    x, y = source.T.reshape(2, SIZE[1], SIZE[0])
    inside = (x > 1) & (x < SIZE[0] - 1) & (y > 1) & (y < SIZE[1] - 1)
    expected = np.stack([(x - 0.5) * 5, (y - 0.5) * 7, x + y - 1], axis=2) / 255
    assert inside.mean() > 0.5
    assert np.abs(seen[..., :3] - expected)[inside].max() < 2 / 255


def test_what_the_viewport_shows_in_the_end_are_the_photos_display_colors(graphics, modules, tmp_path):
    """The target as a region has it: sRGB storage, which the display transform reads linear and raises to 1 / 2.2."""
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(4, axis=0).repeat(3, axis=2)
    picture = modules.pictures.read_picture(save(tmp_path / "ramp.png", ramp))
    texture = graphics.types.GPUTexture((256, 4), format="SRGB8_A8")
    framebuffer = graphics.types.GPUFrameBuffer(color_slots=texture)
    camera = modules.camera.Camera(256, 4, 50, 50, 128, 2, np.eye(4))
    frame = modules.review_frame.Frame(0, 0, 256, 4)
    with framebuffer.bind():
        modules.shader.draw_images(frame, (256, 4), picture, picture, camera, modules.shader.Look("PHOTO"))
    stored = np.array(texture.read().to_list(), dtype=np.float64).reshape(4, 256, 4)[0, :, 0]
    stored = stored / 255 if stored.max() > 1 else stored
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    shown = linear ** (1 / 2.2) * 255
    error = np.abs(shown - np.arange(256))
    assert error[16:].max() < 1.01 and error.max() <= 4, "8 bits of storage leave steps in the blackest tones"


ZOOMS = [(0.0, (0.0, 0.0)), (12.0, (0.2, -0.1)), (-20.0, (-0.3, 0.05))]


@pytest.mark.parametrize(("zoom", "offset"), ZOOMS)
@pytest.mark.parametrize("region_size", [(900, 500), (400, 800)])
def test_the_frame_lies_where_blender_has_it_for_every_zoom_and_offset(modules, zoom, offset, region_size):
    """Against Blender's own formulas: `BKE_camera_params_from_view3d` and `view3d_camera_border` of its sources."""
    from mathutils import Matrix

    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 640, 360
    lens = bpy.data.cameras.new("Lens")
    lens.lens, lens.shift_x, lens.shift_y, lens.sensor_fit = 35, 0.1, -0.05, "HORIZONTAL"
    camera = bpy.data.objects.new("Lens", lens)
    camera.matrix_world = Matrix.Translation((3, -2, 1)) @ Matrix.Rotation(0.7, 4, "X")
    scene.collection.objects.link(camera)
    width, height = region_size
    longer = max(width, height)
    zoomed = (2**0.5 + zoom / 50) ** 2 / 4  # BKE_screen_view3d_zoom_to_fac
    view_px = longer * zoomed  # the sensor's width on the screen
    center_x = width / 2 - lens.shift_x * view_px - 2 * offset[0] * width * zoomed
    center_y = height / 2 - lens.shift_y * view_px - 2 * offset[1] * height * zoomed
    near, slope = 0.1, lens.sensor_width / lens.lens / view_px  # slope per pixel
    sides = [(-center_x) * slope, (width - center_x) * slope, (-center_y) * slope, (height - center_y) * slope]
    left, right, bottom, top = (near * side for side in sides)
    projection = Matrix(
        (
            (2 * near / (right - left), 0, (right + left) / (right - left), 0),
            (0, 2 * near / (top - bottom), (top + bottom) / (top - bottom), 0),
            (0, 0, -1.002, -0.2),
            (0, 0, -1, 0),
        )
    )
    region_3d = SimpleNamespace(perspective_matrix=projection @ camera.matrix_world.inverted())
    region = SimpleNamespace(width=width, height=height)
    frame = modules.review_frame.frame_of(camera, scene, region, region_3d)
    middle_x, middle_y = center_x + lens.shift_x * view_px, center_y + lens.shift_y * view_px
    expected = (middle_x - view_px / 2, middle_y - view_px * 360 / 640 / 2)
    expected += (middle_x + view_px / 2, middle_y + view_px * 360 / 640 / 2)
    assert np.allclose(frame, expected, atol=0.01)
    from bpy_extras.object_utils import world_to_camera_view
    from bpy_extras.view3d_utils import location_3d_to_region_2d
    from mathutils import Vector

    point = camera.matrix_world @ Vector((0.4, -0.3, -5))
    part = world_to_camera_view(scene, camera, point)
    seen = location_3d_to_region_2d(region, region_3d, point)
    assert abs(frame.left + part.x * frame.width - seen.x) < 0.01
    assert abs(frame.bottom + part.y * frame.height - seen.y) < 0.01


def test_the_wipe_line_is_taken_near_it_and_stays_inside_the_frame(modules):
    frame = modules.review_frame.Frame(100, 50, 300, 150)
    assert frame.line_x(0.25) == 150
    assert [frame.wipe_at(x) for x in (0, 100, 200, 300, 999)] == [0, 0, 0.5, 1, 1]
    assert frame.is_on_line(0.25, 158, 60, 10) and not frame.is_on_line(0.25, 161, 60, 10)
    assert not frame.is_on_line(0.25, 150, 49, 10), "above and below the frame the mouse is free"


def test_outlines_are_drawn_inside_the_frame_and_nowhere_else(extension, graphics, modules):
    outlines = extension.module("splat_addon.scene.review.outlines")
    places = np.array([[[0.25, 0.25], [0.75, 0.25], [0.75, 2.0], [0.25, 2.0]]])  # reaches below the image
    found = outlines.Outlines(places, np.ones(1), lambda scene: True)
    size, frame = (80, 60), modules.review_frame.Frame(10, 10, 70, 50)
    offscreen = graphics.types.GPUOffScreen(*size, format="RGBA32F")
    with offscreen.bind(), graphics.matrix.push_pop(), graphics.matrix.push_pop_projection():
        framebuffer = graphics.state.active_framebuffer_get()
        framebuffer.clear(color=(0, 0, 1, 1))
        graphics.matrix.load_matrix(Matrix.Identity(4))
        pixels = Matrix.Translation((-1, -1, 0)) @ Matrix.Diagonal((2 / size[0], 2 / size[1], 1, 1))
        graphics.matrix.load_projection_matrix(pixels)
        outlines.draw_outlines(frame, size, found, 1.0)
        stored = framebuffer.read_color(0, 0, *size, 4, 0, "FLOAT")
    image = np.array(stored.to_list()).reshape(size[1], size[0], 4)[::-1]
    offscreen.free()
    is_line = image[..., 2] < 0.9
    rows, columns = np.flatnonzero(is_line.any(axis=1)), np.flatnonzero(is_line.any(axis=0))
    assert abs(rows[0] - 20) <= 3 and abs(rows[-1] - 50) <= 3  # of 80 x 60, from the top; the frame ends at 50
    assert abs(columns[0] - 25) <= 3 and abs(columns[-1] - 55) <= 3
    assert not is_line[25:45, 30:50].any() and image[35, 24:27, 0].max() > 0.7  # bright on dark


def test_the_badge_says_which_view_and_what_is_seen(extension, modules):
    overlay = extension.module("splat_addon.scene.review.overlay")
    shown = overlay.Shown("left/v1", 0, None, None, None, 400, 26.059, 0.63651, "2 of 9, worst first")
    lines = overlay.badge_lines(shown, modules.shader.Look("DIFFERENCE", gain=4.0))
    assert lines == ("left/v1    PSNR 26.06 dB    SSIM 0.637", "Difference × 4, step 400    2 of 9, worst first")
    assert overlay.badge_lines(shown, modules.shader.Look("WIPE"))[1].startswith("Photo | Trained, step 400")


def test_the_badge_is_readable_on_a_white_photo(extension, graphics, modules):
    """White letters on a dark plate, as the viewport shows what is blended in its sRGB storage."""
    overlay = extension.module("splat_addon.scene.review.overlay")
    size = (220, 60)
    texture = graphics.types.GPUTexture(size, format="SRGB8_A8")
    framebuffer = graphics.types.GPUFrameBuffer(color_slots=texture)
    with framebuffer.bind(), graphics.matrix.push_pop(), graphics.matrix.push_pop_projection():
        framebuffer.clear(color=(1, 1, 1, 1))
        graphics.matrix.load_matrix(Matrix.Identity(4))
        pixels = Matrix.Translation((-1, -1, 0)) @ Matrix.Diagonal((2 / size[0], 2 / size[1], 1, 1))
        graphics.matrix.load_projection_matrix(pixels)
        overlay._draw_badge(modules.review_frame.Frame(0, 0, *size), ("PSNR 26.70 dB", "Trained"), 1.0)
    stored = np.array(texture.read().to_list(), dtype=np.float64).reshape(*size[::-1], 4)[..., 0]
    stored = stored / 255 if stored.max() > 1 else stored
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    shown = linear ** (1 / 2.2)  # what the display gets
    assert (shown == 1).sum() > 1000, "around the plate the photo is as it was"
    inside = shown[shown < 0.999]
    plate = np.median(inside)
    assert len(inside) > 2000 and plate < 0.35, "dark"
    luminances = plate**2.2, 0.8**2.2  # of the plate, and of the fainter letters
    assert (luminances[1] + 0.05) / (luminances[0] + 0.05) > 5, "the contrast that readers need"
    letters = shown[20:50, 10:100]
    assert (letters > 0.75).sum() > 50, "letters are on it"


def test_an_error_while_drawing_is_printed_once(extension, monkeypatch, capsys):
    overlay = extension.module("splat_addon.scene.review.overlay")

    def fail(*_):
        raise ZeroDivisionError("drawn wrongly")

    monkeypatch.setattr(overlay, "_draw_view", fail)
    overlay.show(overlay.Shown("v", 0, None, None, None, 1, 1.0, 1.0))
    for _ in range(3):
        overlay._draw()
    assert capsys.readouterr().err.count("ZeroDivisionError: drawn wrongly") == 1
    overlay.show(None)


def test_images_cover_what_is_behind_them_as_far_as_was_chosen(graphics, modules, pair):
    (photo, _), pictures = pair
    seen = drawn(graphics, modules, pictures, modules.shader.Look("PHOTO", opacity=0.25))[..., :3]
    behind = np.array((1.0, 0, 0))
    assert np.abs(seen - (0.25 * photo / 255 + 0.75 * behind)).max() < 2 / 255
