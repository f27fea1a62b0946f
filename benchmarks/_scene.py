"""The scene for timing: half the gaussians on a sphere, half on a wall behind it."""

import numpy as np
import torch

from splat_addon.capture.camera import Camera
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.photos.photo import Photo

COVERAGE = 5.15  # chosen so that about 45 gaussians are blended in a pixel


def make_gaussians(count: int, seed: int = 0) -> Gaussians:
    """Anisotropic gaussians with harmonics of degree 3; sizes shrink with their number, so that coverage stays."""
    rng = np.random.default_rng(seed)
    on_sphere = count // 2
    directions = rng.normal(size=(on_sphere, 3))
    sphere = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    wall = np.column_stack([rng.uniform(-3.2, 3.2, (count - on_sphere, 2)), rng.normal(2.5, 0.05, count - on_sphere)])
    sigma = COVERAGE / np.sqrt(count)
    values = (
        np.concatenate([sphere, wall * [1.0, 0.75, 1.0]]),
        np.log(sigma) + rng.normal(0.0, 0.4, (count, 3)),
        rng.normal(size=(count, 4)),
        rng.normal(-2.3, 1.0, count),
        rng.normal(0.0, 0.1, (count, 16, 3)) + np.eye(16)[0][:, None] * rng.normal(0.0, 1.0, (count, 1, 3)),
    )
    return Gaussians(*(torch.tensor(value, dtype=torch.float32) for value in values))


def make_camera(width: int, height: int) -> Camera:
    """Looks at the sphere from four units away."""
    camera_from_world = np.eye(4)
    camera_from_world[2, 3] = 4.0
    focal = 1.1 * width
    return Camera(width, height, focal, focal, width / 2, height / 2, camera_from_world)


def noisy_photos(count: int, views: int, threads: int = 2) -> tuple[GaussianCloud, list[Photo], CpuRasterizer]:
    """Such splats, photos of them with noise, 200 x 150, and what draws them."""
    gaussians = make_gaussians(count)
    cloud = GaussianCloud(*(values.numpy() for values in gaussians))
    rasterizer = CpuRasterizer(threads=threads)
    rasterizer.prepare(lambda what: None)
    photos = []
    for angle in np.linspace(-0.4, 0.4, views):
        pose = np.eye(4)
        pose[:3, :3] = [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
        pose[2, 3] = 4.0
        camera = Camera(200, 150, 220, 220, 100, 75, pose)
        image = rasterizer.render(gaussians, camera, torch.zeros(3), sh_degree=3).image
        noisy = (image + 0.05 * torch.randn_like(image)).clamp(0, 1)
        photos.append(Photo(f"{angle:.2f}", camera, (noisy * 255).round().to(torch.uint8), None, None))
    return cloud, photos, rasterizer
