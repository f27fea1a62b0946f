"""The photos of a run: masks, 16 bits, and what does not fit into memory."""

import numpy as np
import pytest
import torch
from PIL import Image

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import View, open_capture
from splat_addon.errors import CaptureError
from splat_addon.run.config import TrainConfig
from splat_addon.trainer.photos.photo import load_photo
from splat_addon.trainer.photos.store import load_photos
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
    photo = load_photo(View("p", tmp_path / "p.png", camera, False), 1000)
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
