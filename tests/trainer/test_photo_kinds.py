"""Photos and masks as people have them, from their files to what training compares with."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import View, open_capture
from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.capture.photos.orientation import turned
from splat_addon.capture.photos.reading import read_photo
from splat_addon.capture.photos.records import is_float_color_tiff
from splat_addon.errors import CaptureError
from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder
from splat_addon.trainer.evaluation.metrics import psnr_db, ssim
from splat_addon.trainer.losses import photometric_loss
from splat_addon.trainer.photos.decoding import decode
from splat_addon.trainer.photos.photo import NothingLeft, load_photo
from splat_addon.trainer.photos.run_card import open_with_card
from splat_addon.trainer.photos.store import load_photos
from splat_addon.trainer.seeds import first_cloud
from support.photo_files import DISPLAY_P3, exif, matrix_profile, png_chunk, with_exif, write_float_tiff, write_png
from support.photo_kinds import HEIGHT, WIDTH, write_photo_kinds
from support.scenes import write_ball_capture
from support.textured_ball import write_ball

CAMERA = Camera(WIDTH, HEIGHT, 40, 40, WIDTH / 2, HEIGHT / 2, np.eye(4))
LOSSY = {"color.jpg": 4, "color_progressive.jpg": 4, "cmyk.jpg": 8, "several.jpg": 4}


def view_of(path, **changes) -> View:
    return replace(View("a", path, CAMERA, False), **changes)


def test_every_kind_of_photo_gives_the_values_that_are_in_it(tmp_path):
    wrong = {}
    for name, expected in write_photo_kinds(tmp_path).items():
        photo = load_photo(view_of(tmp_path / name), 1000)
        found = photo.rgb.numpy().astype(np.float64)
        shown = np.ones(found.shape[:2], bool)
        if expected.shape[2] == 4:
            alpha = np.full(found.shape[:2], 255) if photo.alpha is None else photo.alpha.numpy()
            shown = expected[..., 3] > 0
            wrong[name + " alpha"] = np.abs(alpha - expected[..., 3]).max() > 1
        elif photo.alpha is not None:
            wrong[name + " alpha"] = True
        wrong[name] = np.abs(found - expected[..., :3])[shown].max() > LOSSY.get(name, 2 if ".jpg" in name else 1)
    assert [name for name, is_wrong in wrong.items() if is_wrong] == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_stored_pixels_are_turned_only_if_the_camera_was_measured_so(tmp_path, orientation):
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", pixels, before=png_chunk(b"eXIf", exif(orientation)))
    stored = load_photo(view_of(tmp_path / "a.png"), 1000)
    assert np.array_equal(stored.rgb.numpy(), pixels)
    expected = turned(pixels, orientation)
    height, width = expected.shape[:2]
    camera = Camera(width, height, 40, 40, width / 2, height / 2, np.eye(4))
    shown = load_photo(view_of(tmp_path / "a.png", camera=camera, orientation=orientation), 1000)
    assert np.array_equal(shown.rgb.numpy(), expected)
    with Image.open(tmp_path / "a.png") as file:
        assert np.array_equal(np.array(ImageOps.exif_transpose(file)), expected)


def test_a_tiff_of_floating_point_colors_is_told_what_to_save_instead(tmp_path):
    write_float_tiff(tmp_path / "a.tif", np.full((HEIGHT, WIDTH, 3), 0.5))
    with pytest.raises(CaptureError, match=r"a\.tif is a TIFF of floating-point colors.*Save it as PNG with 16 bits"):
        load_photo(view_of(tmp_path / "a.tif"), 1000)
    Image.fromarray(np.full((HEIGHT, WIDTH), 0.5, np.float32)).save(tmp_path / "b.tif")
    assert (
        not is_float_color_tiff(tmp_path / "b.tif")
        and load_photo(view_of(tmp_path / "b.tif"), 1000).rgb[0, 0, 0] == 128
    )


def test_profiles_agree_with_littlecms(tmp_path):
    profile = matrix_profile(DISPLAY_P3, 2.2)
    colors = np.random.default_rng(0).integers(50, 206, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    chunk = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))
    write_png(tmp_path / "a.png", colors, before=chunk)
    Image.fromarray(colors).save(tmp_path / "a.tif", icc_profile=profile)
    Image.fromarray(colors).save(tmp_path / "a.webp", icc_profile=profile, lossless=True)
    Image.fromarray(colors).save(tmp_path / "a.jpg", icc_profile=profile, quality=100, subsampling=0)
    (tmp_path / "p.icc").write_bytes(profile)
    judge = ImageCms.profileToProfile(
        Image.fromarray(colors), str(tmp_path / "p.icc"), ImageCms.createProfile("sRGB"), renderingIntent=1
    )
    for suffix in ("png", "tif", "webp", "jpg"):
        read = read_photo(view_of(tmp_path / f"a.{suffix}"), decode)
        error = np.abs(read.pixels.astype(int) - np.array(judge))
        assert error.mean() < 1 if suffix == "jpg" else error.max() <= 1, suffix
        assert len(read.notes) == 1


def test_profiles_that_say_srgb_change_nothing(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(colors).save(tmp_path / "a.png", icc_profile=profile)
    read = read_photo(view_of(tmp_path / "a.png"), decode)
    assert np.array_equal(read.pixels, colors) and read.notes == ()


def test_a_lens_leaves_no_dark_fringe_around_what_is_opaque(tmp_path):
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    pixels[8:20, 10:30] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    photo = load_photo(view_of(tmp_path / "a.png", camera=replace(CAMERA, distortion=(-0.2, 0.05, 0, 0))), 1000)
    assert (photo.rgb[photo.alpha > 0] == 255).all() and ((photo.alpha > 0) & (photo.alpha < 255)).sum() > 0


# --- Masks -----------------------------------------------------------------------------------------------------------


def masked(tmp_path, mask: np.ndarray, **changes) -> View:
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "m.png")
    return view_of(tmp_path / "a.png", mask_path=tmp_path / "m.png", **changes)


def test_grades_of_a_mask_weigh_the_loss_and_the_quality(tmp_path):
    mask = np.tile((np.arange(WIDTH) * 6).astype(np.uint8), (HEIGHT, 1))
    photo = load_photo(masked(tmp_path, mask), 1000)
    weights = photo.mask_on(torch.device("cpu"))
    assert photo.mask.dtype == torch.uint8 and np.allclose(weights.numpy(), mask / 255)
    image, target = torch.rand(HEIGHT, WIDTH, 3), photo.over(torch.zeros(3))
    difference = (image - target).numpy()
    expected = np.average(np.abs(difference).mean(axis=2), weights=mask)
    assert float(photometric_loss(image, target, weights, 0.0)) == pytest.approx(expected, rel=1e-5)
    error = np.average((difference**2).mean(axis=2), weights=mask)
    assert psnr_db(image, target, weights) == pytest.approx(-10 * np.log10(error), abs=1e-4)
    assert psnr_db(image, target, weights > 0.5) == pytest.approx(psnr_db(image, target, (weights > 0.5).float()))
    assert ssim(image, target, weights > 0.5) == pytest.approx(ssim(image, target, (weights > 0.5).float()))
    half = photo.halved().mask
    assert half.dtype == torch.uint8 and np.abs(half.numpy()[0] - (np.arange(0, WIDTH, 2) * 6 + 3)).max() <= 1


def test_label_palettes_and_16_bits_keep_what_is_not_zero(tmp_path):
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:, :8], labels[:, 8:20] = 1, 2
    palette = Image.fromarray(labels).convert("P")
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(tmp_path / "a.png")
    palette.save(tmp_path / "palette.png")
    write_png(tmp_path / "deep.png", (labels > 0) * 255, 16)
    Image.fromarray(labels > 0).save(tmp_path / "bit.png")
    for name in ("palette", "deep", "bit"):
        photo = load_photo(view_of(tmp_path / "a.png", mask_path=tmp_path / f"{name}.png"), 1000)
        assert np.array_equal(photo.mask.numpy(), labels > 0), name
        inverted = view_of(tmp_path / "a.png", mask_path=tmp_path / f"{name}.png", mask_is_inverted=True)
        assert np.array_equal(load_photo(inverted, 1000).mask.numpy(), labels == 0), name


def test_a_mask_that_leaves_nothing_takes_its_view_out_and_little_is_a_warning(tmp_path):
    folder = write_ball_capture(tmp_path / "capture", alpha=False)
    (folder / "masks").mkdir()
    little = np.zeros((30, 40), np.uint8)
    little[3:5, 3:6] = 255
    for name, mask in (("view_00", 0 * little), ("view_03", 0 * little), ("view_04", little)):
        Image.fromarray(mask).save(folder / f"masks/{name}.png")
    photos = load_photos(open_capture(folder), TrainConfig(), tmp_path / "cache")
    assert [photo.name for photo in photos.held_out] == ["view_08"] and len(photos.training) == 7
    told = " ".join(warning.message for warning in photos.warnings)
    assert "The mask of view_03.png leaves nothing of it. The view is left out." in told and "view_00.png" in told
    assert "less than 1 % of their pixels left by their masks: 1 (view_04)" in told
    assert int(photos.coarse[[photo.name for photo in photos.training].index("view_04")].mask.sum()) > 0
    for index in range(10):
        Image.fromarray(0 * little).save(folder / f"masks/view_{index:02d}.png")
    with pytest.raises(CaptureError, match="Masks leave nothing of 10 of 10 photos"):
        load_photos(open_capture(folder), TrainConfig(), tmp_path / "cache")
    with pytest.raises(NothingLeft, match=r"view_00\.png leaves nothing"):
        load_photo(open_capture(folder).views[0], 1000)


# --- Seeds -----------------------------------------------------------------------------------------------------------


def test_seeds_take_their_colors_from_photos_that_are_loaded_already(tmp_path, monkeypatch):
    folder = write_ball_capture(tmp_path / "capture", alpha=False)
    capture, config = open_capture(folder), TrainConfig(seeds="random", seed_count=200, coarse_until=0)
    photos = load_photos(capture, config, tmp_path / "cache")
    alone, _ = first_cloud(capture, config)
    for file in (folder / "images").iterdir():
        file.write_bytes(b"gone")
    cloud, _ = first_cloud(capture, config, photos=photos)
    assert np.array_equal(cloud.means, alone.means) and np.abs(cloud.sh - alone.sh).max() < 1e-6


def test_what_a_mask_leaves_out_gives_no_color_to_seeds(tmp_path):
    folder = write_ball_capture(tmp_path / "capture", alpha=False)
    config = TrainConfig(seeds="random", seed_count=200)
    (folder / "masks").mkdir()
    keep = np.zeros((30, 40), np.uint8)
    keep[:, :20] = 255
    for file in sorted((folder / "images").iterdir()):
        Image.fromarray(keep).save(folder / f"masks/{file.name}")
    capture = open_capture(folder)
    before, _ = first_cloud(capture, config)
    for file in sorted((folder / "images").iterdir()):
        pixels = np.array(Image.open(file).convert("RGB"))
        pixels[:, 20:] = (255, 0, 255)
        Image.fromarray(pixels).save(file)
    after, _ = first_cloud(capture, config)
    assert np.array_equal(before.sh, after.sh) and np.ptp(before.sh) > 0.1


@pytest.mark.parametrize("kind", ["turned by its record", "of 16 bits"])
def test_seeds_see_what_training_sees(tmp_path, kind):
    """Colors of seeds do not depend on how the same pixels are stored."""
    folder = write_ball_capture(tmp_path / "capture", alpha=False)
    config = TrainConfig(seeds="random", seed_count=200)
    expected, _ = first_cloud(open_capture(folder), config)
    for file in sorted((folder / "images").iterdir()):
        pixels = np.array(Image.open(file).convert("RGB"))
        if kind == "of 16 bits":
            write_png(file, pixels.astype(np.uint16) * 257, 16)
        else:
            write_png(file, np.ascontiguousarray(turned(pixels, 8)), before=png_chunk(b"eXIf", exif(6)))
    capture = open_capture(folder)
    assert {view.orientation for view in capture.views} == {1 if kind == "of 16 bits" else 6}
    found, _ = first_cloud(capture, config)
    assert np.array_equal(found.sh, expected.sh)


def test_a_jpeg_of_a_phone_is_turned_or_not_like_any_other(tmp_path):
    colors = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colors[:, 20:] = 200
    Image.fromarray(colors).save(tmp_path / "a.jpg", quality=98)
    (tmp_path / "a.jpg").write_bytes(with_exif((tmp_path / "a.jpg").read_bytes(), exif(3)))
    as_stored = load_photo(view_of(tmp_path / "a.jpg"), 1000).rgb.numpy()
    assert np.abs(as_stored.astype(int) - colors).max() <= 4
    upside_down = load_photo(view_of(tmp_path / "a.jpg", orientation=3), 1000).rgb.numpy()
    assert np.array_equal(upside_down, as_stored[::-1, ::-1])


def test_training_settles_orientations_by_the_points_and_decodes_no_photo_twice(tmp_path, monkeypatch):
    write_ball(tmp_path / "c", 3, True)
    asked = []
    monkeypatch.setattr("splat_addon.trainer.photos.run_card.decode", lambda path: asked.append(path) or decode(path))
    config = TrainConfig(capture=str(tmp_path / "c"))
    capture, once, _ = open_with_card(RunFolder.create(tmp_path / "run", config), config)
    assert {view.orientation for view in capture.views} == {3} and 0 < len(asked) < len(capture.views)
    photos = load_photos(capture, config, tmp_path / "overflow", once)
    assert sorted(asked) == sorted(view.image_path for view in capture.views)
    for photo in photos.training:
        stored = decode(tmp_path / f"c/images/{photo.name}.png").pixels
        assert np.array_equal(photo.rgb.numpy(), stored[::-1, ::-1])


_KEEP = np.zeros((HEIGHT, WIDTH), np.uint8)
_KEEP[:, : WIDTH // 2] = 1
_LABELS = _KEEP * (1 + np.arange(WIDTH, dtype=np.uint8) // 4 % 5)
MASK_SCHEMES = [
    "masks/{}.png", "masks/{}.png.png", "masks/{}.png.mask.png", "mask/{}.png", "masks/{}_mask.png",
    "images/{}_mask.png", "images/{}.png.mask.png", "images/{}.mask.png", "Masks/{}.PNG", "images/dynamic_mask_{}.png",
]  # fmt: skip


def write_mask_kinds(name_of) -> list[str]:
    """The left half kept, in twelve kinds of values, as files that `name_of(kind)` names; the kinds."""
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    palette = Image.fromarray(_LABELS, "P")
    palette.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, 128, 0, 128])
    kinds = {
        "01": _KEEP, "0255": _KEEP * 255, "bit": _KEEP > 0, "deep01": _KEEP.astype(np.uint16),
        "deep255": _KEEP.astype(np.uint16) * 255, "deep": _KEEP.astype(np.uint16) * 65535, "gray": _KEEP * 128,
        "labels": _LABELS, "palette": palette, "color": white * _KEEP[..., None],
        "alpha": np.dstack([white, _KEEP * 255]), "opaque": np.dstack([white * _KEEP[..., None], white[..., 0]]),
    }  # fmt: skip
    for kind, values in kinds.items():
        name_of(kind).parent.mkdir(parents=True, exist_ok=True)
        (values if isinstance(values, Image.Image) else Image.fromarray(values)).save(name_of(kind), "PNG")
    return list(kinds)


@pytest.mark.parametrize("scheme", MASK_SCHEMES)
def test_masks_of_every_kind_keep_the_same_under_every_name(tmp_path, scheme):
    kinds = write_mask_kinds(lambda kind: tmp_path / scheme.format(kind))
    assert len(kinds) == 12
    (tmp_path / "images").mkdir(exist_ok=True)
    cameras = {}
    for place, kind in enumerate(kinds):
        Image.new("RGB", (WIDTH, HEIGHT), (place, 0, 0)).save(tmp_path / f"images/{kind}.png")
        pose = np.eye(4)
        pose[0, 3] = place
        cameras[f"images/{kind}.png"] = replace(CAMERA, camera_from_world=pose)
    write_transforms(tmp_path / "transforms.json", cameras, set(), None, {})
    capture = open_capture(tmp_path)
    assert {view.name for view in capture.views} == set(kinds)
    kept = (_KEEP == 0) if "dynamic" in scheme else (_KEEP > 0)
    for view in capture.views:
        mask = load_photo(view, 1000).mask
        assert mask is not None and mask.dtype == torch.bool and np.array_equal(mask.numpy(), kept), view.name
