"""The PyTorch rasteriser against a closed form and against the rules written out pixel by pixel in float64."""

import math

import numpy as np
import pytest
import torch

from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.harmonics import harmonics
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.backend.reference.torch_tiles import TorchTilesRasterizer
from support.scenes import looking_at, random_cloud

DILATION_PX2, ALPHA_CAP, ALPHA_CUTOFF, TRANSMITTANCE_STOP = 0.3, 0.999, 1 / 255, 1e-4
CAMERA = looking_at((0.0, -4.0, 0.5), width=37, height=29, focal_px=45.0)
RASTERIZER = TorchTilesRasterizer(torch.device("cpu"))
BACKGROUND = torch.tensor([0.2, 0.5, 0.7])


def gaussians_of(cloud: GaussianCloud, dtype=torch.float32) -> Gaussians:
    arrays = (cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh)
    return Gaussians(*(torch.tensor(array, dtype=dtype).requires_grad_() for array in arrays))


def render(cloud: GaussianCloud, camera=CAMERA, **options):
    return RASTERIZER.render(gaussians_of(cloud), camera, BACKGROUND, sh_degree=cloud.sh_degree, **options)


def reference(cloud: GaussianCloud, camera, background) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, alpha and depth by the rules of Kerbl et al. 2023, one pixel and one gaussian at a time."""
    rotation, translation = camera.camera_from_world[:3, :3], camera.camera_from_world[:3, 3]
    projected = []
    for index in range(len(cloud)):
        x, y, z = rotation @ cloud.means[index].astype(float) + translation
        if z <= 0.01:
            continue
        w, i, j, k = cloud.rotations[index].astype(float)
        turn = np.array(
            [
                [1 - 2 * (j * j + k * k), 2 * (i * j - w * k), 2 * (i * k + w * j)],
                [2 * (i * j + w * k), 1 - 2 * (i * i + k * k), 2 * (j * k - w * i)],
                [2 * (i * k - w * j), 2 * (j * k + w * i), 1 - 2 * (i * i + j * j)],
            ]
        )
        spread = turn @ np.diag(np.exp(2 * cloud.log_scales[index].astype(float))) @ turn.T
        limit_x, limit_y = 1.3 * camera.width / (2 * camera.fx), 1.3 * camera.height / (2 * camera.fy)
        slope_x, slope_y = np.clip(x / z, -limit_x, limit_x), np.clip(y / z, -limit_y, limit_y)
        jacobian = np.array(
            [[camera.fx / z, 0, -camera.fx * slope_x / z], [0, camera.fy / z, -camera.fy * slope_y / z]]
        )
        covariance = jacobian @ rotation @ spread @ rotation.T @ jacobian.T + DILATION_PX2 * np.eye(2)
        direction = cloud.means[index] - camera.position
        direction = direction / np.linalg.norm(direction)
        color = np.maximum(harmonics(direction[None], cloud.sh_degree)[0] @ cloud.sh[index] + 0.5, 0)
        mean = np.array([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy])
        projected.append((z, mean, np.linalg.inv(covariance), float(cloud.opacities[index]), color))
    projected.sort(key=lambda entry: entry[0])
    image = np.zeros((camera.height, camera.width, 3))
    alpha, depth = np.zeros((camera.height, camera.width)), np.zeros((camera.height, camera.width))
    for row in range(camera.height):
        for column in range(camera.width):
            through = 1.0
            for z, mean, conic, opacity, color in projected:
                offset = mean - (column + 0.5, row + 0.5)
                part = min(ALPHA_CAP, opacity * math.exp(-0.5 * offset @ conic @ offset))
                if part < ALPHA_CUTOFF:
                    continue
                if through * (1 - part) < TRANSMITTANCE_STOP:
                    break
                image[row, column] += through * part * color
                depth[row, column] += through * part * z
                through *= 1 - part
            image[row, column] += through * background
            alpha[row, column] = 1 - through
    return image, alpha, np.where(alpha > 0, depth / np.maximum(alpha, 1e-12), 0)


@pytest.mark.parametrize("seed", range(4))
def test_the_image_is_what_the_rules_say(seed):
    """float32 against float64; a pixel on a cut-off may fall on the other side: 1/255 of a colour at most, rarely."""
    cloud = random_cloud(60, seed, scale=0.25)
    rendering = render(cloud)
    image, alpha, depth = reference(cloud, CAMERA, BACKGROUND.numpy())
    differences = np.abs(rendering.image.detach().numpy() - image).max(axis=2)
    assert np.quantile(differences, 0.995) < 2e-5 and differences.max() < 2 / 255
    assert np.quantile(np.abs(rendering.alpha.detach().numpy() - alpha), 0.995) < 2e-5
    assert np.quantile(np.abs(rendering.depth.detach().numpy() - depth), 0.995) < 2e-3


def test_one_gaussian_on_the_axis_has_its_closed_form():
    """An isotropic gaussian of sigma s at depth z has 2D variance (f s / z)^2 + 0.3 at the image centre."""
    camera = looking_at((0.0, -4.0, 0.0), width=33, height=33, focal_px=60.0)
    cloud = GaussianCloud(
        means=np.zeros((1, 3)),
        log_scales=np.full((1, 3), math.log(0.1)),
        quaternions=np.array([[1.0, 0, 0, 0]]),
        logit_opacities=np.array([math.log(0.6 / 0.4)]),
        sh=np.full((1, 1, 3), 0.4 / 0.28209479177387814),
    )
    rendering = RASTERIZER.render(gaussians_of(cloud), camera, torch.zeros(3), sh_degree=0)
    offsets = np.arange(33) + 0.5 - 16.5
    variance = (60 * 0.1 / 4) ** 2 + DILATION_PX2
    expected = 0.6 * np.exp(-0.5 * (offsets[:, None] ** 2 + offsets[None] ** 2) / variance)
    expected[expected < ALPHA_CUTOFF] = 0
    assert np.abs(rendering.alpha.detach().numpy() - expected).max() < 1e-6
    assert np.abs(rendering.image.detach().numpy()[..., 1] - 0.9 * expected).max() < 1e-6


def test_no_gaussians_give_the_background():
    rendering = render(random_cloud(0))
    assert torch.equal(rendering.image, BACKGROUND.expand(29, 37, 3))
    assert rendering.alpha.abs().max() == 0 and rendering.radii_px.shape == (0,)


def test_gaussians_behind_the_camera_are_not_drawn():
    cloud = random_cloud(20)
    cloud.means[:, 1] -= 20
    rendering = render(cloud)
    assert rendering.alpha.max() == 0 and rendering.radii_px.max() == 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 40), (16, 16), (17, 31)])
def test_images_that_no_tile_divides_are_whole(width, height):
    camera = looking_at((0.0, -4.0, 0.5), width=width, height=height, focal_px=30.0)
    cloud = random_cloud(30, scale=0.3)
    image, _, _ = reference(cloud, camera, BACKGROUND.numpy())
    rendering = render(cloud, camera)
    assert rendering.image.shape == (height, width, 3)
    assert np.abs(rendering.image.detach().numpy() - image).max() < 2 / 255


def test_gradients_agree_with_finite_differences():
    """In float64, so that a central difference of step 1e-6 has about nine digits; cap and stop are not reached."""
    cloud = random_cloud(6, seed=5, scale=0.4)
    rasterizer = RASTERIZER
    parameters = gaussians_of(cloud, torch.float64)
    weights = torch.from_numpy(np.random.default_rng(0).random((29, 37, 3)))
    background = BACKGROUND.double()

    def loss(values) -> torch.Tensor:
        rendering = rasterizer.render(Gaussians(*values), CAMERA, background, sh_degree=3)
        return (rendering.image * weights).sum() + rendering.depth.sum() * 0.01

    loss(parameters).backward()
    for which, parameter in enumerate(parameters):
        flat = parameter.detach().reshape(-1)
        for index in range(0, len(flat), max(1, len(flat) // 7)):
            sides = []
            for sign in (1, -1):
                moved = flat.clone()
                moved[index] += sign * 1e-6
                values = [p.detach() for p in parameters]
                values[which] = moved.view_as(parameter)
                sides.append(float(loss(values)))
            expected = (sides[0] - sides[1]) / 2e-6
            found = float(parameter.grad.reshape(-1)[index])
            assert abs(found - expected) <= 1e-4 * max(1.0, abs(expected)), (Gaussians._fields[which], index)


def test_screen_offsets_receive_the_gradient_of_the_projected_means():
    cloud = random_cloud(5, scale=0.3)
    parameters = gaussians_of(cloud, torch.float64)
    offsets = torch.zeros(5, 2, dtype=torch.float64, requires_grad=True)
    rasterizer = RASTERIZER

    def loss(moved) -> torch.Tensor:
        rendering = rasterizer.render(parameters, CAMERA, BACKGROUND.double(), sh_degree=3, screen_offsets_px=moved)
        return (rendering.image[..., 0] ** 2).sum()

    loss(offsets).backward()
    step = torch.zeros(5, 2, dtype=torch.float64)
    step[2, 0] = 1e-5
    expected = (loss(step) - loss(-step)).item() / 2e-5
    assert offsets.grad[2, 0].item() == pytest.approx(expected, rel=1e-4)
    assert offsets.grad.abs().min() > 0
