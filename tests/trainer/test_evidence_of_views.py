"""What many views tell together is what each of them tells, taken together."""

import numpy as np
import pytest
import torch

from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.inspection.evidence import USED_FROM
from splat_addon.trainer.backend.cpu.evidence import EvidenceOfViews, evidence_of_view
from splat_addon.trainer.backend.cpu.kernels.layout import (
    FOUND_AT,
    LOOKED_THROUGH,
    MASS_PLACES,
    NEAREST,
    NEARNESS,
    OPEN_AT,
    PEAK,
    SEEN,
    VIEW_GAPS,
)
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.inspection.gather import axes_of
from support.splat_scenes import camera, cloud, turned_camera

COUNT = 50
DELTA, MARGIN, USUAL = 0.2, 0.1, 3.0


@pytest.fixture
def splats() -> GaussianCloud:
    return GaussianCloud(*(np.asarray(array, np.float32) for array in cloud(4, COUNT)))


def gaussians_of(splats: GaussianCloud) -> Gaussians:
    arrays = splats.means, splats.log_scales, splats.quaternions, splats.logit_opacities, splats.sh
    return Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


def views_of(splats: GaussianCloud, threads: int = 2) -> EvidenceOfViews:
    axes = torch.from_numpy(axes_of(splats))
    return EvidenceOfViews(CpuRasterizer(threads), gaussians_of(splats), axes, DELTA, MARGIN, USED_FROM)


@pytest.mark.parametrize("threads", [1, 3])
def test_sums_add_up_the_largest_weight_is_kept_and_all_64_views_are_told_apart(splats, threads):
    generator, views = torch.manual_seed(2), views_of(splats, threads)
    totals, used, black = torch.zeros(COUNT, 8), np.zeros(COUNT, np.uint64), torch.zeros(3)
    for number in range(64):
        view = (camera(), turned_camera())[number % 2]
        photo = torch.rand(view.height, view.width, 3, generator=generator)
        seen = evidence_of_view(CpuRasterizer(threads), gaussians_of(splats), view, black, photo, DELTA)
        peak = torch.maximum(totals[:, PEAK], seen.sums[:, PEAK])
        totals += seen.sums
        totals[:, PEAK] = peak
        used[seen.sums[:, PEAK].numpy() >= USED_FROM] |= np.uint64(1 << number)
        torch.testing.assert_close(views.look(view, black, photo, None), seen.median_depth)
    torch.testing.assert_close(views.totals, totals, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(views.used_by.numpy().view(np.uint64), used)
    assert (used >> np.uint64(63)).any()


def test_what_is_found_at_places_is_what_their_pixels_say_and_masked_pixels_say_nothing(splats):
    view, views = turned_camera(), views_of(splats)
    generator = torch.manual_seed(3)
    depths = 6 * torch.rand(view.height, view.width, generator=generator) - 0.5
    depths[depths < 0] = -1  # opaque by nothing but what is set aside
    depths[::5] = 0  # clear
    counts = (torch.rand(view.height, view.width, generator=generator) > 0.2).float()
    views.look_at_places(view, depths, USUAL, counts)
    found = views.places.numpy()

    def looked_up(points):
        pixels, z = view.project(points)
        inside = (z > 0) & (pixels >= 0).all(axis=1) & (pixels < (view.width, view.height)).all(axis=1)
        at = np.where(inside[:, None], pixels, 0).astype(int)
        inside &= counts.numpy()[at[:, 1], at[:, 0]] > 0
        return inside, z, depths.numpy()[at[:, 1], at[:, 0]]

    axes = axes_of(splats).astype(float)
    for place in range(MASS_PLACES):
        way = 3**0.5 if place % 2 else -(3**0.5)
        inside, z, depth = looked_up(splats.means + way * axes[:, place // 2])
        is_open = inside & ((depth < 0) | (z < depth - MARGIN))
        np.testing.assert_array_equal(found[:, OPEN_AT + place], is_open)
        is_told = is_open | (inside & (depth > 0) & (z < depth + MARGIN))
        np.testing.assert_array_equal(found[:, FOUND_AT + place], is_told)
        assert 0 < is_open.sum() <= is_told.sum() < COUNT
    inside, z, depth = looked_up(splats.means.astype(float))
    is_seen = inside & (depth > 0) & (z < 1.03 * depth)
    np.testing.assert_array_equal(found[:, SEEN], is_seen)
    np.testing.assert_array_equal(found[:, LOOKED_THROUGH], is_seen & (depth - z > DELTA))
    gaps = np.where(is_seen, np.maximum(0, 1 - z / np.where(depth > 0, depth, 1)), 0)
    np.testing.assert_allclose(found[:, VIEW_GAPS], gaps, atol=1e-5)
    np.testing.assert_allclose(found[:, NEAREST], np.where(inside, z, np.inf), rtol=1e-5)
    np.testing.assert_allclose(found[:, NEARNESS], np.where(inside, z / USUAL, np.inf), rtol=1e-5)


def test_the_axes_of_splats_make_their_covariance(splats):
    axes = axes_of(splats).astype(float)
    w, x, y, z = splats.rotations.T.astype(float)
    turns = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]).transpose(2, 0, 1)  # fmt: skip
    expected = turns @ (splats.scales.astype(float)[:, :, None] ** 2 * turns.transpose(0, 2, 1))
    np.testing.assert_allclose(axes.transpose(0, 2, 1) @ axes, expected, rtol=1e-4, atol=1e-6)
