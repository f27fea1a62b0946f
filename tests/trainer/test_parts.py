"""The trainer's parts, each against something known."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import View
from splat_addon.errors import CaptureError
from splat_addon.run.config import TrainConfig
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians, Rendering
from splat_addon.trainer.backend.quaternions import quaternion_matrices
from splat_addon.trainer.backend.reference.torch_tiles import TorchTilesRasterizer
from splat_addon.trainer.densify.default import DefaultDensifier, split
from splat_addon.trainer.evaluation import metrics
from splat_addon.trainer.evaluation.metrics import psnr_db, ssim
from splat_addon.trainer.losses import photometric_loss, ssim_map
from splat_addon.trainer.model import GaussianModel
from splat_addon.trainer.photos.photo import load_photo
from support.scenes import looking_at, random_cloud

CPU = torch.device("cpu")


def ssim_by_hand(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """One channel, window by window, in float64 (Wang et al. 2004)."""
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    x, y = (np.pad(channel.astype(float), 5) for channel in (x, y))
    result = np.empty((x.shape[0] - 10, x.shape[1] - 10))
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            a, b = x[row : row + 11, column : column + 11], y[row : row + 11, column : column + 11]
            mean_a, mean_b = (window * a).sum(), (window * b).sum()
            var_a, var_b = (window * a * a).sum() - mean_a**2, (window * b * b).sum() - mean_b**2
            covariance = (window * a * b).sum() - mean_a * mean_b
            result[row, column] = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
            result[row, column] /= (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
    return result


def test_ssim_is_what_its_definition_says():
    random = np.random.default_rng(0)
    x, y = random.random((14, 17, 3)), random.random((14, 17, 3))
    found = ssim_map(torch.from_numpy(x), torch.from_numpy(y)).numpy()
    expected = np.stack([ssim_by_hand(x[..., channel], y[..., channel]) for channel in range(3)], axis=-1)
    assert np.abs(found - expected).max() < 1e-10


def test_the_gradient_of_the_loss_agrees_with_finite_differences():
    torch.manual_seed(0)
    image = torch.rand(9, 8, 3, dtype=torch.float64, requires_grad=True)
    target, mask = torch.rand(9, 8, 3, dtype=torch.float64), torch.rand(9, 8) > 0.3
    assert torch.autograd.gradcheck(lambda x: photometric_loss(x, target, mask, 0.2), (image,), eps=1e-7, atol=1e-6)


def test_pixels_outside_the_mask_do_not_count_in_the_plain_difference():
    image, target = torch.zeros(4, 4, 3), torch.zeros(4, 4, 3)
    mask = torch.ones(4, 4, dtype=torch.bool)
    target[0, 0], mask[0, 0] = 1.0, False
    assert photometric_loss(image, target, mask, 0.0) == 0
    assert psnr_db(image, target, mask) == 100.0
    assert psnr_db(image, target) == pytest.approx(10 * math.log10(16))


def test_identical_images_have_ssim_one():
    image = torch.rand(20, 20, 3)
    assert ssim(image, image) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("is_masked", [False, True])
def test_ssim_in_bands_of_rows_is_that_of_the_whole_image(monkeypatch, is_masked):
    torch.manual_seed(0)
    image, target = torch.rand(61, 40, 3), torch.rand(61, 40, 3)
    mask = torch.rand(61, 40) > 0.3 if is_masked else torch.ones(61, 40, dtype=torch.bool)
    whole, heights = ssim_map(image, target), []
    monkeypatch.setattr(metrics, "BAND_PIXELS", 40 * 8)
    monkeypatch.setattr(metrics, "ssim_map", lambda x, y: heights.append(len(x)) or ssim_map(x, y))
    found = ssim(image, target, mask if is_masked else None)
    assert found == pytest.approx(float(whole.mean(dim=2)[mask].double().mean()), abs=1e-7)
    assert heights == [13, 18, 18, 18, 18, 18, 18, 10], "eight rows and five on either side"


def rates(value: float) -> Gaussians:
    return Gaussians(*([value] * 4), torch.full((16, 3), value))


BACKENDS = [CpuRasterizer(), TorchTilesRasterizer(CPU)]


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_the_optimiser_steps_as_torch_adam_does(backend):
    model = GaussianModel(random_cloud(9), CPU)
    twins = [parameter.detach().clone().requires_grad_() for parameter in model.gaussians]
    adam = torch.optim.Adam(twins, lr=0.01, eps=1e-15)
    torch.manual_seed(1)
    for _ in range(5):
        for parameter, twin in zip(model.gaussians, twins, strict=True):
            parameter.grad = torch.randn_like(parameter)
            twin.grad = parameter.grad.clone()
        model.step(rates(0.01), backend)
        adam.step()
    for name, parameter, twin in zip(Gaussians._fields, model.gaussians, twins, strict=True):
        assert torch.allclose(parameter, twin, atol=1e-6), name


def test_survivors_keep_their_order_and_their_moments():
    model = GaussianModel(random_cloud(5), CPU)
    for parameter in model.gaussians:
        parameter.grad = torch.randn_like(parameter)
    model.step(rates(0.01), BACKENDS[0])
    before = model.state()
    means, moments = before["gaussians"][0].clone(), before["means_of_gradients"][0].clone()
    kept = torch.tensor([True, False, True, True, False])
    model.keep(kept)
    assert torch.equal(model.gaussians.means, means[kept])
    assert torch.equal(model.state()["means_of_gradients"][0], moments[kept])
    model.append(Gaussians(*(parameter.detach()[:2] for parameter in model.gaussians)))
    assert len(model) == 5 and torch.equal(model.gaussians.means[3:], means[kept][:2])
    assert model.state()["means_of_gradients"][0][3:].abs().max() == 0


def densify(cloud, gradients_half_image, **settings):
    """Run one densification with the given mean gradients; returns the model."""
    model = GaussianModel(cloud, CPU)
    densifier = DefaultDensifier(model, TrainConfig(**settings), extent=1.0)
    camera = looking_at((0, -4, 0), width=40, height=40)
    gradients = torch.zeros(len(cloud), 2)
    gradients[:, 0] = torch.tensor(gradients_half_image) / 20  # pixels: half the image is 20 wide
    seen = torch.ones(len(cloud))
    densifier.observe(gradients, Rendering(None, None, None, seen), camera)
    densifier.after_step(100, 0.3, 0.0)
    return model


def test_small_asking_gaussians_are_cloned_and_large_ones_split():
    cloud = random_cloud(4)
    cloud.log_scales[:] = math.log(0.005)
    cloud.log_scales[2:] = math.log(0.1)
    model = densify(cloud, [1e-3, 1e-5, 1e-3, 1e-5])
    means = model.gaussians.means.detach().numpy()
    scales = model.gaussians.log_scales.detach().exp().amax(dim=1).numpy()
    assert len(model) == 6, "one clone more, and two children for one parent"
    assert np.array_equal(means[:3], cloud.means[[0, 1, 3]]), "survivors first, in order"
    assert np.array_equal(means[3], cloud.means[0]), "the clone is where its original is"
    assert np.allclose(scales[4:], 0.1 / 1.6, rtol=1e-5)
    assert np.linalg.norm(means[4:] - cloud.means[2], axis=1).max() < 0.6


def test_children_are_spread_as_their_parent_was():
    torch.manual_seed(0)
    cloud = random_cloud(1)
    cloud.log_scales[:] = np.log([[0.3, 0.1, 0.02]])
    many = GaussianModel(cloud.select(np.zeros(4000, dtype=int)), CPU).gaussians
    children = split(Gaussians(*(parameter.detach() for parameter in many)))
    turn = quaternion_matrices(children.quaternions[:1])[0]
    own_axes = (children.means - torch.from_numpy(cloud.means[0])) @ turn
    assert np.allclose(own_axes.std(dim=0).numpy(), [0.3, 0.1, 0.02], rtol=0.05)


def test_faint_and_broken_gaussians_are_removed():
    cloud = random_cloud(4)
    cloud.log_scales[:] = math.log(0.005)
    cloud.logit_opacities[1] = -10
    cloud.log_scales[2] = math.log(3.0)
    cloud.means[3] = np.nan
    model = densify(cloud, [0.0] * 4)
    assert model.gaussians.means.detach().numpy().tolist() == cloud.means[:1].tolist()


def test_the_cap_holds_and_the_loudest_come_first():
    cloud = random_cloud(4)
    cloud.log_scales[:] = math.log(0.005)
    model = densify(cloud, [1e-3, 3e-3, 2e-3, 4e-3], max_gaussians=6)
    added = model.gaussians.means.detach().numpy()[4:]
    assert sorted(added.tolist()) == sorted(cloud.means[[1, 3]].tolist())


def view_of(path, camera) -> View:
    return View("v", path, camera, False)


def test_an_undistorted_photo_shows_straight_what_the_lens_bent(tmp_path):
    """A photo made by sampling a smooth pattern through the lens comes back as the pattern itself."""
    camera = Camera(80, 60, 70.0, 70.0, 41.0, 29.0, np.eye(4), (-0.2, 0.05, 0.001, -0.002))
    ideal = camera.without_distortion()

    def pattern(x, y):
        return 0.5 + 0.3 * np.sin(x / 9) * np.cos(y / 7)

    across, down = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    slopes = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy], axis=-1).reshape(-1, 2)
    straight = slopes.copy()
    for _ in range(30):  # invert the lens by fixed-point iteration
        straight += slopes - camera.distort(straight)
    seen = straight * (ideal.fx, ideal.fy) + (ideal.cx, ideal.cy)
    photo = pattern(seen[:, 0], seen[:, 1]).reshape(60, 80)
    Image.fromarray(np.round(photo * 255).astype(np.uint8)).convert("RGB").save(tmp_path / "p.png")
    loaded = load_photo(view_of(tmp_path / "p.png", camera), 1000)
    mask = np.ones((60, 80), dtype=bool) if loaded.mask is None else loaded.mask.numpy()
    expected = pattern(across, down)
    assert loaded.camera.distortion == () and mask.mean() > 0.8
    assert np.abs(loaded.rgb.numpy()[..., 0] / 255 - expected)[mask].max() < 0.02


def test_photos_are_reduced_to_the_longest_side_with_their_camera(tmp_path):
    Image.new("RGB", (400, 200)).save(tmp_path / "p.png")
    photo = load_photo(view_of(tmp_path / "p.png", Camera(400, 200, 300, 300, 200, 100, np.eye(4))), 100)
    assert tuple(photo.rgb.shape) == (50, 100, 3)
    assert (photo.camera.width, photo.camera.fx, photo.camera.cy) == (100, 75, 25)


def test_alpha_is_straight_and_composited_over_the_background(tmp_path):
    Image.new("RGBA", (2, 2), (255, 0, 0, 51)).save(tmp_path / "p.png")
    photo = load_photo(view_of(tmp_path / "p.png", Camera(2, 2, 2, 2, 1, 1, np.eye(4))), 100)
    over = photo.over(torch.tensor([0.0, 1.0, 0.0]))
    assert torch.allclose(over[0, 0], torch.tensor([0.2, 0.8, 0.0]))


def test_a_photo_that_does_not_fit_its_camera_is_named(tmp_path):
    Image.new("RGB", (200, 400)).save(tmp_path / "turned.png")
    with pytest.raises(CaptureError, match=r"turned\.png is 200 x 400, its camera 400 x 200"):
        load_photo(view_of(tmp_path / "turned.png", Camera(400, 200, 300, 300, 200, 100, np.eye(4))), 1000)


def test_an_unreadable_photo_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(CaptureError, match=r"broken\.png cannot be read"):
        load_photo(view_of(tmp_path / "broken.png", Camera(4, 2, 3, 3, 2, 1, np.eye(4))), 1000)


def test_the_average_is_that_of_what_was_taken_in_and_begins_anew_with_another_count():
    model = GaussianModel(random_cloud(4), CPU)
    start = model.gaussians.means.detach().clone()
    for offset in (0.0, 3.0, 6.0):
        with torch.no_grad():
            model.gaussians.means.copy_(start + offset)
        model.average()
    again = GaussianModel(random_cloud(4), CPU)
    again.restore(model.state())
    again.take_average()
    assert torch.allclose(again.gaussians.means, start + 3.0)
    model.keep(torch.tensor([True, True, False, True]))
    model.take_average()
    assert torch.equal(model.gaussians.means, start[[0, 1, 3]] + 6.0), "a mean over other gaussians is no mean of these"
