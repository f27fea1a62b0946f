"""Whether two renders show one scene: noise does not count, whatever its kind, and one small thing does."""

import numpy as np
import pytest

from splat_addon.capture.photos.alike import differing_blocks, place_of
from splat_addon.gaussians.srgb import encode_srgb


def picture(light: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    colors = np.rint(255 * np.clip(encode_srgb(light), 0, 1)).astype(np.uint8)
    return np.dstack([colors, np.full(light.shape[:2], round(255 * alpha), np.uint8)])


def wall(width: int = 320, height: int = 240) -> np.ndarray:
    """A wall that becomes brighter to the right, with a box on it, in scene-linear light."""
    light = np.repeat(np.linspace(0.1, 0.6, width)[None, :, None], height, axis=0) * (0.9, 1.0, 0.8)
    light[100:180, 120:200] = (0.6, 0.2, 0.1)
    return light


def few_rays(light: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Each ray brings nothing in half the cases, else twice the light."""
    hits = np.random.default_rng(seed).binomial(samples, 0.5, light.shape[:2])
    return light * (2 * hits / samples)[..., None]


@pytest.mark.parametrize("samples", [1, 2, 4])
def test_noise_is_no_difference_also_beside_what_has_none(samples):
    noisy = picture(few_rays(wall(), samples, seed=0))
    assert abs(noisy.astype(int) - picture(wall())).mean() > 20
    assert not differing_blocks(picture(few_rays(wall(), samples, seed=1)), noisy).any()
    assert not differing_blocks(picture(wall() * 0.8), picture(few_rays(wall() * 0.8, samples, seed=2))).any()


@pytest.mark.parametrize("samples", [8, 64])
def test_what_is_a_fiftieth_of_the_picture_is_seen_through_noise(samples):
    changed = wall()
    changed[12:44, 30:78] = (0.05, 0.3, 0.05)
    before, now = (picture(few_rays(light, samples, seed)) for seed, light in enumerate((wall(), changed)))
    found = differing_blocks(before, now)
    assert found.shape == (30, 40) and found[2:5, 4:9].all() and found.sum() <= 28
    assert place_of(found) == "at the top left"
    assert np.array_equal(differing_blocks(now, before), found)


def test_what_is_seen_through_differs_in_alpha_alone():
    black = np.zeros((48, 64, 3))
    found = differing_blocks(picture(black), picture(black, alpha=0.8))
    assert found.all() and place_of(found) == "in the middle"
    assert differing_blocks(picture(black)[..., :3], picture(black, alpha=0.0)).all(), "without alpha is opaque"


def test_transparent_pixels_have_no_color():
    one = picture(np.full((48, 64, 3), 0.9), alpha=0.0)
    assert not differing_blocks(one, picture(np.zeros((48, 64, 3)), alpha=0.0)).any()


def test_one_small_block_is_noise():
    changed = wall(64, 48)
    changed[4:8, 4:8] = 0.9
    assert not differing_blocks(picture(wall(64, 48)), picture(changed)).any()
    changed[4:8, 4:12] = 0.9
    found = differing_blocks(picture(wall(64, 48)), picture(changed))
    assert found.shape == (12, 16) and found.sum() == 2


@pytest.mark.parametrize("height, width", [(1, 1), (3, 500), (7, 5)])
def test_pictures_of_any_size_are_compared(height, width):
    gray = np.full((height, width, 3), 0.2)
    assert not differing_blocks(picture(gray), picture(gray)).any()
