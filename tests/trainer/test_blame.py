"""Blame: what a pixel is made of adds up to what the rasterizer draws."""

import dataclasses

import numpy as np
import pytest
import torch

from splat_addon.capture.camera import Camera
from splat_addon.errors import CameraError
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.rules import DEFAULT_RULES
from splat_addon.gaussians.srgb import decode_srgb, encode_srgb
from splat_addon.inspection.blame.attribution import attribute
from splat_addon.inspection.blame.footprints import footprints_at, outlines
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.cpu.weights import ViewWeights
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.inspection.blame.solve import solve, sums_of
from splat_addon.trainer.inspection.gather import arrays_of


def scene(count=400, seed=0) -> GaussianCloud:
    rng = np.random.default_rng(seed)
    return GaussianCloud(
        np.stack([rng.uniform(-2, 2, count), rng.uniform(-1.5, 1.5, count), rng.uniform(2, 6, count)], axis=1),
        np.log(rng.uniform(0.02, 0.5, (count, 3))),
        rng.normal(size=(count, 4)),
        rng.uniform(-3, 5, count),
        rng.normal(0, 0.4, (count, 16, 3)),
    )


def camera() -> Camera:
    return Camera(64, 48, 55, 50, 30, 25, np.eye(4))


def drawn(cloud: GaussianCloud, background) -> np.ndarray:
    rasterizer = CpuRasterizer(threads=1, antialiased=cloud.antialiased, blend_space=cloud.blend_space)
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))
    background = torch.tensor(background, dtype=torch.float32)
    return rasterizer.render(gaussians, camera(), background, sh_degree=cloud.sh_degree).image.numpy()


@pytest.mark.parametrize("blend_space", ["display", "blender"])
@pytest.mark.parametrize("antialiased", [False, True])
def test_the_shares_of_a_pixel_add_up_to_its_color(blend_space, antialiased):
    cloud = dataclasses.replace(scene(), blend_space=blend_space, antialiased=antialiased)
    background = np.array([0.2, 0.5, 0.7])
    image = drawn(cloud, background)
    is_linear = blend_space == "blender"
    for x, y in np.random.default_rng(1).integers(0, (64, 48), (60, 2)):
        found = attribute(cloud, camera(), (x, y, x + 1, y + 1))
        shown = found.shown(decode_srgb(background) if is_linear else background)
        assert np.abs((encode_srgb(shown) if is_linear else shown) - image[y, x]).max() < 1e-4
        assert found.shares.sum() + found.background == pytest.approx(1, abs=1e-9)
        assert (np.diff(found.shares) <= 0).all()


def test_an_outline_lies_where_a_footprint_is_half_as_strong_as_in_its_middle():
    reached = footprints_at(scene(), camera(), (0, 0, 64, 48), DEFAULT_RULES)
    places = outlines(reached.centers, reached.conics)
    for splat in range(0, len(reached.splats), 20):
        d = places[splat] - reached.centers[splat]
        a, b, c = reached.conics[splat]
        power = 0.5 * (a * d[:, 0] ** 2 + c * d[:, 1] ** 2) + b * d[:, 0] * d[:, 1]
        assert np.exp(-power) == pytest.approx(np.full(24, 0.5), abs=1e-6)


def test_a_box_is_the_mean_of_its_pixels():
    cloud = scene()
    found = attribute(cloud, camera(), (20, 10, 32, 22))
    assert np.abs(found.shown(np.zeros(3)) - drawn(cloud, [0, 0, 0])[10:22, 20:32].mean(axis=(0, 1))).max() < 1e-4


def test_a_recolored_splat_that_covers_a_pixel_has_the_largest_share():
    cloud = scene()
    cloud.means[7], cloud.log_scales[7], cloud.logit_opacities[7] = (0, 0, 1.5), np.log(0.2), 6.0
    x, y = camera().project(cloud.means[7:8])[0][0].astype(int)
    found = attribute(cloud, camera(), (x, y, x + 1, y + 1))
    assert found.splats[0] == 7 and found.shares[0] > 0.95 and found.depths[0] == pytest.approx(1.5)


def test_outside_of_the_image_and_inside_of_a_splat_are_sentences():
    cloud = scene()
    with pytest.raises(CameraError, match="outside of the image"):
        attribute(cloud, camera(), (70, 3, 71, 4))
    cloud.means[3], cloud.log_scales[3], cloud.logit_opacities[3] = (0, 0, 0.05), np.log(0.5), 8.0
    with pytest.raises(CameraError, match="inside a splat"):
        attribute(cloud, camera(), (30, 20, 31, 21))


def looking(angle: float, height: float) -> Camera:
    position = np.array([4 * np.cos(angle), 4 * np.sin(angle), height])
    forward = (np.array([0, 0, -0.3]) - position) / np.linalg.norm(np.array([0, 0, -0.3]) - position)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = -matrix[:3, :3] @ position
    return Camera(48, 36, 42, 42, 24, 18, matrix)


def weights_of(cloud: GaussianCloud, cameras) -> list:
    rasterizer = CpuRasterizer(threads=1)
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))
    return [lambda camera=camera: ViewWeights(rasterizer, gaussians, camera, torch.zeros(3)) for camera in cameras]


def total_of(makes, residuals) -> torch.Tensor:
    return sum(sums_of(make(), residual, None) for make, residual in zip(makes, residuals, strict=True))


def test_weights_are_those_of_single_pixels_and_their_transpose_is_one():
    cloud = scene(count=60)
    view = weights_of(cloud, [camera()])[0]()
    rows = [view.times(torch.eye(60)[splat]).numpy() for splat in range(60)]
    found = attribute(cloud, camera(), (30, 20, 31, 21))
    assert np.array([rows[splat][20, 30] for splat in found.splats]) == pytest.approx(found.shares, abs=1e-5)
    u, y = torch.randn(60), torch.randn(48, 64)
    assert float((view.times(u) * y).sum()) == pytest.approx(float(u @ view.transposed_times(y)), rel=1e-3, abs=1e-3)


def test_least_squares_weights_are_those_of_a_dense_solution():
    cloud = scene(count=60)
    makes = weights_of(cloud, [camera(), looking(0.3, 1.0)])
    residuals = [torch.rand(48, 64), torch.rand(36, 48)]
    found = solve(makes, total_of(makes, residuals), [None, None], steps=60)
    dense = np.concatenate(
        [np.stack([make().times(torch.eye(60)[i]).numpy().ravel() for i in range(60)], axis=1) for make in makes]
    ).astype(np.float64)
    wanted = np.concatenate([residual.numpy().ravel() for residual in residuals])
    right = np.linalg.solve(dense.T @ dense + found.ridge * np.eye(60), dense.T @ wanted)
    assert np.linalg.norm(found.wrong - right) / np.linalg.norm(right) < 1e-3
    assert found.weight == pytest.approx(dense.sum(axis=0), abs=1e-2)


def test_a_recolored_splat_is_named_first_and_stopping_stops():
    named, by_mean, trials = 0, 0, 12
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        ball = rng.normal(size=(150, 3))
        cloud = GaussianCloud(
            ball / np.linalg.norm(ball, axis=1, keepdims=True), np.log(rng.uniform(0.08, 0.3, (150, 3))),
            rng.normal(size=(150, 4)), rng.uniform(-1, 3, 150), rng.uniform(-1.4, 1.4, (150, 1, 3)),
        )  # fmt: skip
        cameras = [looking(angle, 1.5) for angle in np.linspace(0, 6.28, 6, endpoint=False)]
        makes = weights_of(cloud, cameras)
        truth = [make().image.clone() for make in makes]
        seen = sum(make().transposed_times(torch.ones(36, 48)) for make in makes).numpy()
        splat = int(rng.choice(np.flatnonzero(seen > 20)))
        cloud.sh[splat] += np.where(cloud.sh[splat] > 0, -1.5, 1.5)
        makes = weights_of(cloud, cameras)
        residuals = [(make().image - image).abs().mean(dim=2) for make, image in zip(makes, truth, strict=True)]
        found = solve(makes, total_of(makes, residuals), [None] * 6)
        named += int(found.wrong.argmax() == splat)
        by_mean += int(found.mean.argmax() == splat)
    assert named >= 0.9 * trials and named >= by_mean

    def stop(done, whole):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve(makes, total_of(makes, residuals), [None] * 6, tell=stop)
