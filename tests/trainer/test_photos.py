"""The photos of a run: masks, 16 bits, and what does not fit into memory."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import View, open_capture
from splat_addon.capture.photos.orientation import decide_orientations
from splat_addon.capture.seeds.photo_colors import read_seed_photo
from splat_addon.errors import CaptureError
from splat_addon.run.config import TrainConfig
from splat_addon.trainer.photos.decoding import decode
from splat_addon.trainer.photos.photo import load_photo
from splat_addon.trainer.photos.store import load_photos
from splat_addon.trainer.seeds import first_cloud
from support.scenes import write_ball_capture

CAMERA = Camera(40, 30, 40, 40, 20, 15, np.eye(4))


def write_mask(folder, name: str, keep: np.ndarray) -> None:
    (folder / "masks").mkdir(exist_ok=True)
    Image.fromarray((keep * 255).astype(np.uint8)).save(folder / "masks" / name)


@pytest.fixture
def capture_folder(tmp_path):
    return write_ball_capture(tmp_path / "capture", alpha=False)


@pytest.mark.parametrize("name", ["view_03.png", "view_03.png.png", "view_03.jpg"])
def test_a_mask_is_found_by_its_photos_name(capture_folder, name):
    keep = np.zeros((30, 40), dtype=bool)
    keep[:, :16] = True
    write_mask(capture_folder, name, keep)
    views = open_capture(capture_folder).views
    assert [view.name for view in views if view.mask_path] == ["view_03"]
    photo = load_photo(views[3], 1000)
    assert np.array_equal(photo.mask.numpy()[:, [0, 14, 17, 39]], np.tile([True, True, False, False], (30, 1)))
    assert photo.covered_pixels == int(photo.mask.sum()) < 30 * 40


def test_masked_pixels_leave_the_loss(capture_folder):
    """What black covers may hold anything: the run comes out the same, bit for bit."""
    from splat_addon.trainer.backend import choose

    keep = np.ones((30, 40), dtype=bool)
    keep[10:20, 10:20] = False
    write_mask(capture_folder, "view_03.png", keep)
    photo = load_photo(open_capture(capture_folder).views[3], 1000)
    rasterizer = choose("cpu")
    gradients = []
    for spoiled in (0.0, 1.0):
        target = photo.over(torch.zeros(3))
        target[12:18, 12:18] = spoiled
        image = torch.full((30, 40, 3), 0.5, requires_grad=True)
        rasterizer.photometric_loss(image, target, photo.mask, 0.0).backward()
        gradients.append(image.grad)
    assert torch.equal(gradients[0], gradients[1]) and float(gradients[0][12:18, 12:18].abs().max()) == 0


def test_a_mask_of_another_shape_is_named(capture_folder):
    write_mask(capture_folder, "view_03.png", np.ones((40, 40), dtype=bool))
    with pytest.raises(CaptureError, match=r"view_03\.png is 40 x 40, its photo 40 x 30"):
        load_photo(open_capture(capture_folder).views[3], 1000)


def test_a_changed_mask_is_another_capture(capture_folder):
    before = open_capture(capture_folder).fingerprint()
    write_mask(capture_folder, "view_03.png", np.ones((30, 40), dtype=bool))
    assert open_capture(capture_folder).fingerprint() != before


def test_sixteen_bit_grey_keeps_its_tones(tmp_path):
    tones = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    Image.fromarray(tones).save(tmp_path / "p.png")
    photo = load_photo(View("p", tmp_path / "p.png", CAMERA, False), 1000)
    assert np.abs(photo.rgb.numpy()[..., 0] / 255 - tones / 65535).max() < 0.6 / 255


@pytest.mark.parametrize(("size", "shows_red_at"), [((40, 30), (0, 0)), ((30, 40), (0, -1))])
def test_a_photo_is_turned_as_its_camera_was_measured(tmp_path, size, shows_red_at):
    """Stored 40 x 30 with red at the upper left, and a record that says: turn it a quarter, clockwise."""
    pixels = np.zeros((30, 40, 3), dtype=np.uint8)
    pixels[:8, :8, 0] = 255
    record = Image.Exif()
    record[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "p.png", exif=record)
    camera = Camera(*size, 40, 40, size[0] / 2, size[1] / 2, np.eye(4))
    turns = decide_orientations({"p": tmp_path / "p.png"}, {"p": camera})
    view = View("p", tmp_path / "p.png", camera, False, orientation=turns.by_name.get("p", 1))
    photo = load_photo(view, 1000)
    assert tuple(photo.rgb.shape) == (size[1], size[0], 3)
    assert photo.rgb[shows_red_at].tolist() == [255, 0, 0]


def test_photos_beyond_the_memory_budget_lie_on_disk_and_are_the_same(tmp_path, capture_folder):
    capture = open_capture(capture_folder)
    overflow = tmp_path / "photos.cache"
    all_in_memory = load_photos(capture, TrainConfig(), overflow)
    assert not overflow.exists()
    on_disk = load_photos(capture, TrainConfig(photo_memory_mb=0), overflow)
    full, half = 10 * 30 * 40 * 3, 8 * 15 * 20 * 3
    assert overflow.stat().st_size == full + half, "every photo once, training photos also at half size"
    for kind in ("training", "coarse", "held_out"):
        ours, theirs = getattr(on_disk, kind), getattr(all_in_memory, kind)
        assert [photo.name for photo in ours] == [photo.name for photo in theirs]
        assert all(torch.equal(one.rgb, other.rgb) for one, other in zip(ours, theirs, strict=True))


def test_held_out_photos_are_never_among_those_trained_on(tmp_path, capture_folder):
    photos = load_photos(open_capture(capture_folder), TrainConfig(), tmp_path / "photos.cache")
    held_out = {photo.name for photo in photos.held_out}
    assert held_out == {"view_00", "view_08"}
    assert not held_out & {photo.name for photo in [*photos.training, *photos.coarse]}
    assert len(photos.training) == len(photos.coarse) == 8


def test_a_photo_too_large_to_decode_is_left_out_where_colors_are_wanted(tmp_path, capture_folder):
    """Pillow's largest, twice 89 megapixels: the head says so, and nothing is decoded."""
    write_png_head(capture_folder / "images" / "view_00.png", 15_000, 12_000)
    capture = open_capture(capture_folder)
    cloud, _ = first_cloud(capture, TrainConfig(seeds="random", seed_count=50))
    assert len(cloud) > 0
    with pytest.raises(CaptureError, match=r"The photo .*view_00\.png cannot be read"):
        load_photo(next(view for view in capture.views if view.name == "view_00"), 100)


def write_png_head(path, width: int, height: int) -> None:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", 0))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.linspace(0, 1e6, 64, dtype=np.float32).reshape(8, 8), "holds floating-point values"),
        (np.arange(64, dtype=np.int32).reshape(8, 8) * 10_000, "holds values of 32 bits"),
    ],
)
def test_a_photo_whose_white_is_not_known_is_refused_instead_of_trained_black_or_white(tmp_path, values, told):
    Image.fromarray(values).save(tmp_path / "a.tif")
    view = View("a", tmp_path / "a.tif", Camera(8, 8, 8, 8, 4, 4, np.eye(4)), False)
    with pytest.raises(CaptureError, match=rf"The photo .*a\.tif {told}.*Save it with 8 or 16 bits per channel"):
        load_photo(view, 100)


def test_sixteen_bit_gray_has_the_same_tones_where_seeds_take_their_colors(tmp_path):
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    view = View("a", tmp_path / "a.png", Camera(8, 8, 8, 8, 4, 4, np.eye(4)), False)
    pixels = read_seed_photo(view, decode).pixels
    assert np.abs(pixels[..., :3] - (values / 257)[..., None]).max() <= 0.5 and (pixels[..., 3] == 255).all()


@pytest.mark.parametrize("cut", [9, 30, 60, 100, 150])
def test_a_photo_that_is_cut_short_or_damaged_is_refused(tmp_path, cut):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:cut] + bytes(20))
    with pytest.raises(CaptureError, match=r"The photo .*a\.png cannot be read"):
        load_photo(View("a", tmp_path / "a.png", Camera(8, 8, 8, 8, 4, 4, np.eye(4)), False), 100)
