"""Blender's decoding of photos against the trainer's, and what is shown and written of turned photos."""

import os
import struct
import subprocess
from pathlib import Path

import bpy
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SIZE = (40, 30)


@pytest.fixture
def core(extension):
    class Core:
        camera = extension.module("splat_addon.capture.camera")
        capture = extension.module("splat_addon.capture.capture")
        transforms = extension.module("splat_addon.capture.formats.transforms")
        orientation = extension.module("splat_addon.capture.photos.orientation")
        export = extension.module("splat_addon.capture.export")
        reading = extension.module("splat_addon.capture.photos.reading")
        profiles = extension.module("splat_addon.capture.photos.profiles")
        values = extension.module("splat_addon.capture.photos.values")
        photos = extension.module("splat_addon.scene.photos.photo_capture")
        pixels = extension.module("splat_addon.scene.photos.pixels")

    return Core


def test_blender_and_the_trainer_decode_every_kind_of_photo_to_the_same_values(core, tmp_path, trainer_python):
    """Within 1/255 of what is visible. (A transparent pixel may hold anything.)"""
    places = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    environment = {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    command = [str(trainer_python), "-m", "support.photo_kinds", str(tmp_path)]
    subprocess.run(command, check=True, env=environment, cwd=ROOT, timeout=100)
    wrong = []
    for judge in sorted(tmp_path.glob("*.npy")):
        theirs = np.load(judge).astype(int)
        found = core.values.to_bytes(core.pixels.decode(judge.with_suffix("")).pixels)[0]
        ours = core.values.to_color(found).astype(int)
        if ours.shape != theirs.shape:
            wrong.append((judge.stem, ours.shape))
            continue
        shown = theirs[..., 3:] > 0 if theirs.shape[2] == 4 else np.ones_like(theirs[..., :1], bool)
        if np.abs(np.where(shown, ours - theirs, 0)).max() > 1:
            wrong.append((judge.stem, int(np.abs(np.where(shown, ours - theirs, 0)).max())))
    assert wrong == [] and len(list(tmp_path.glob("*.npy"))) > 35
    assert not bpy.data.images


def test_color_profiles_are_taken_out_once_whatever_blender_makes_of_them(core, tmp_path):
    import zlib

    from support.photo_files import DISPLAY_P3, matrix_profile, png_chunk, write_png

    profile = matrix_profile(DISPLAY_P3, 2.2)
    colors = np.random.default_rng(0).integers(50, 206, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    for depth, scale in ((8, 1), (16, 257)):
        chunk = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))
        write_png(tmp_path / "a.png", colors.astype(np.uint16) * scale, depth, chunk)
        camera = core.camera.Camera(*SIZE, 40, 40, 20, 15, np.eye(4))
        view = core.capture.View("a", tmp_path / "a.png", camera, False)
        found = core.reading.read_photo(view, core.pixels.decode).pixels
        assert np.array_equal(found, core.profiles.read_profile(profile).to_srgb(colors)), depth


def test_what_blender_cannot_decode_is_said(core, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    view = core.capture.View("a", tmp_path / "a.png", core.camera.Camera(40, 30, 40, 40, 20, 15, np.eye(4)), False)
    with pytest.raises(core.reading.CaptureError, match=r"The photo .*a\.png cannot be read"):
        core.reading.read_photo(view, core.pixels.decode)
    assert core.pixels.seed_photo(view) is None and not bpy.data.images


def test_a_mask_of_one_bit_is_read_right_or_refused(core, tmp_path):
    """Blender 4.2 misreads uncompressed ones."""
    rows = np.packbits(np.tile([0, 0, 1, 1, 1], (30, 8)).astype(np.uint8), axis=1).tobytes()
    short, long = 3, 4
    tags = [(256, short, 1, 40), (257, short, 1, 30), (258, short, 1, 1), (262, short, 1, 1)]
    tags += [(273, long, 1, 8 + 2 + 12 * 8 + 4), (277, short, 1, 1), (278, short, 1, 30), (279, long, 1, len(rows))]
    table = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    content = b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4) + rows
    (tmp_path / "a.tif").write_bytes(content)
    if bpy.app.version < (4, 5):
        with pytest.raises(core.reading.CaptureError, match="misread by this Blender"):
            core.pixels.decode(tmp_path / "a.tif")
        return
    expected = np.tile([0, 0, 1, 1, 1], (30, 8)) * 255
    assert np.array_equal(core.pixels.decode(tmp_path / "a.tif").pixels[..., 0], expected)


def exif_png(path: Path, pixels: np.ndarray, orientation: int) -> None:
    from support.photo_files import exif, png_chunk, write_png

    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.ascontiguousarray(pixels), before=png_chunk(b"eXIf", exif(orientation)))


def stored_pixels(orientation: int, core) -> tuple[np.ndarray, np.ndarray]:
    """A picture as its camera measured it (40 x 30), and as the file stores it."""
    down, across = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    shown = np.stack([across * 6, down * 8, 0 * down], axis=-1).astype(np.uint8)
    return shown, core.orientation.turned(shown, core.orientation.inverse_orientation(orientation))


def write_turned(core, folder: Path, orientation: int, mask: bool = False) -> np.ndarray:
    """A capture whose cameras were measured upright; its photos are stored turned. Returns what they show."""
    shown, stored = stored_pixels(orientation, core)
    cameras, masks = {}, {}
    for index in range(3):
        pose = np.eye(4)
        pose[:3, 3] = (index, 0, 3)
        cameras[f"images/{index}.png"] = core.camera.Camera(*SIZE, 40, 40, 20, 15, pose)
        exif_png(folder / f"images/{index}.png", stored, orientation)
    core.transforms.write_transforms(folder / "transforms.json", cameras, set(), None, {}, masks)
    return shown


def background_places(entry, image_size, frame_aspect: float, places: np.ndarray) -> np.ndarray:
    """Where in the frame (x right, y up, a half at the right and left edge) Blender draws `places` (P, 2), 0..1 with y
    up, of an image: `image_camera_background_matrix_get` in its overlay engine."""
    aspect = image_size[0] * entry.image.display_aspect[0] / (image_size[1] * entry.image.display_aspect[1])
    is_wide = aspect > frame_aspect
    width, height = 1.0, 1 / frame_aspect
    fits_width = is_wide if entry.frame_method == "FIT" else not is_wide
    size = (width, width / aspect) if fits_width else (height * aspect, height)
    flips = (-1 if entry.use_flip_x else 1, -1 if entry.use_flip_y else 1)
    scaled = (places - 0.5) * size * np.array(flips) * entry.scale
    cosine, sine = np.cos(-entry.rotation), np.sin(-entry.rotation)
    return scaled @ np.array([[cosine, -sine], [sine, cosine]]).T


@pytest.mark.parametrize("resolution", [(1920, 1080), (40, 30), (500, 1000)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_backgrounds_show_what_the_camera_measured(core, tmp_path, orientation, resolution):
    write_turned(core, tmp_path / "c", orientation)
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y = resolution
    capture = core.capture.open_capture(tmp_path / "c", choices=_turned(core))
    root = core.photos.open_in_scene(bpy.context.scene, capture, "c").root
    entry = core.photos.photo_cameras(root)[0].data.background_images[0]
    columns, rows = np.array([0, 39, 0, 39, 7]), np.array([0, 0, 29, 29, 3])
    _, stored = stored_pixels(orientation, core)
    for column, row in zip(columns, rows, strict=True):
        color = (column * 6, row * 8)
        y, x = np.argwhere((stored[..., :2] == color).all(axis=2))[0]
        place = np.array([[(x + 0.5) / stored.shape[1], 1 - (y + 0.5) / stored.shape[0]]])
        found = background_places(entry, stored.shape[1::-1], resolution[0] / resolution[1], place)[0]
        expected = ((column + 0.5) / 40 - 0.5, (0.5 - (row + 0.5) / 30) * 30 / 40)
        assert np.allclose(found, expected, atol=1e-5)


def _turned(core):
    return core.capture.CaptureChoices(orientation="turned")


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
@pytest.mark.parametrize("undistort", [False, True])
def test_exports_hold_the_pixels_that_the_camera_measured(core, tmp_path, orientation, undistort):
    shown = write_turned(core, tmp_path / "c", orientation)
    (tmp_path / "c/masks").mkdir()
    keep = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    keep[:, :20] = 1
    from support.photo_files import write_png

    for index in range(3):
        turned_back = core.orientation.turned(keep, core.orientation.inverse_orientation(orientation))
        write_png(tmp_path / f"c/masks/{index}.png", np.ascontiguousarray(turned_back))
    capture = core.capture.open_capture(tmp_path / "c", choices=_turned(core))
    export = core.export
    options = export.ExportOptions(undistort=undistort, write_photo=core.pixels.write_photo)
    export.export_capture(capture, tmp_path / "out", options)
    for view in core.capture.open_capture(tmp_path / "out").views:
        assert view.orientation == 1
        read = core.reading.read_photo(view, core.pixels.decode)
        assert np.array_equal(read.pixels, shown)
    assert not bpy.data.images


@pytest.mark.parametrize(("record", "is_measured_turned"), [(3, True), (3, False), (4, True)])
def test_opening_settles_as_the_trainer_does(core, tmp_path, trainer_python, record, is_measured_turned):
    """Blender's decoder and Pillow come to the same orientations; backgrounds and exports follow."""
    from support.textured_ball import write_ball

    write_ball(tmp_path / "c", record, is_measured_turned)
    code = (
        "import sys; from splat_addon.run.config import TrainConfig\n"
        "from pathlib import Path; from splat_addon.run.folder import RunFolder\n"
        "from splat_addon.trainer.photos.run_card import open_with_card\n"
        "config = TrainConfig(capture=sys.argv[1]); run = RunFolder.create(Path(sys.argv[2]), config)\n"
        "print(*(view.orientation for view in open_with_card(run, config)[0].views))"
    )
    command = [str(trainer_python), "-c", code, str(tmp_path / "c"), str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    trained = subprocess.run(
        command, check=True, env=environment, cwd=ROOT, timeout=100, capture_output=True, text=True
    )
    expected = record if is_measured_turned else 1
    assert trained.stdout.split() == [str(expected)] * 12
    capture = core.pixels.open_settled(tmp_path / "c")
    assert {view.orientation for view in capture.views} == {expected}
    bpy.ops.splat.open_photo_capture(directory=str(tmp_path / "c"))
    entry = next(item for item in bpy.data.cameras if item.background_images).background_images[0]
    assert (entry.rotation != 0 or entry.use_flip_y) == is_measured_turned


def test_standing_upright_goes_by_how_photos_were_held(core, tmp_path):
    """A quarter orbit whose photos are stored lying, as their records say; cameras measured on the stored pixels."""
    cameras = {}
    for index, angle in enumerate(np.linspace(0, np.pi / 2, 12)):
        place = np.array([3 * np.cos(angle), 3 * np.sin(angle), 0.0])
        forward = -place / 3
        level = np.cross(forward, (0, 0, 1.0))
        pose = np.eye(4)
        pose[:3, :3] = np.stack([np.cross(forward, level), -level, forward])  # stored x points down
        pose[:3, 3] = -pose[:3, :3] @ place
        cameras[f"images/{index:02d}.png"] = core.camera.Camera(*SIZE, 40, 40, 20, 15, pose)
        exif_png(tmp_path / f"c/images/{index:02d}.png", np.zeros((30, 40, 3), np.uint8), 6)
    core.transforms.write_transforms(tmp_path / "c/transforms.json", cameras, set(), None, {})
    root = core.photos.open_in_scene(bpy.context.scene, core.capture.open_capture(tmp_path / "c"), "c").root
    core.photos.stand_upright(root, 4.0)
    assert np.allclose(np.array(root.matrix_basis.to_3x3().normalized()) @ (0, 0, 1), (0, 0, 1), atol=1e-4)
