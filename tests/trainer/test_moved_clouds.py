"""A cloud that was moved, seen by a camera that was moved with it, is the picture from before; and so is one that went
through a file."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from splat_addon.gaussians.formats.registry import read_splats, write_splats
from splat_addon.gaussians.transform import joined, transformed
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.backend.reference.torch_tiles import TorchTilesRasterizer
from support.scenes import looking_at, random_cloud

CAMERA = looking_at((0.0, -4.0, 0.5), width=97, height=61, focal_px=90.0)
BACKENDS = [CpuRasterizer, partial(TorchTilesRasterizer, torch.device("cpu"))]


def picture(backend, cloud, camera=CAMERA) -> np.ndarray:
    arrays = (cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh)
    gaussians = Gaussians(*(torch.tensor(array) for array in arrays))
    with torch.no_grad():
        return backend.render(gaussians, camera, torch.tensor([0.1, 0.4, 0.8]), sh_degree=cloud.sh_degree).image.numpy()


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((one - other) ** 2, dtype=np.float64) + 1e-30))


def similarity(seed: int, scale: float) -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    matrix = np.eye(4)
    matrix[:3, :3] = scale * turn * np.sign(np.linalg.det(turn))
    matrix[:3, 3] = np.random.default_rng(seed).normal(size=3)
    return matrix


@pytest.mark.parametrize("make", BACKENDS, ids=("compiled", "PyTorch"))
@pytest.mark.parametrize("seed", range(3))
def test_a_moved_cloud_looks_the_same_to_a_camera_that_moved_with_it(make, seed):
    backend = make()
    cloud, matrix = random_cloud(300, seed), similarity(seed, 1.0)
    moved_camera = replace(CAMERA, camera_from_world=CAMERA.camera_from_world @ np.linalg.inv(matrix))
    found = picture(backend, transformed(cloud, matrix), moved_camera)
    assert psnr_db(found, picture(backend, cloud)) >= 90


@pytest.mark.parametrize("make", BACKENDS, ids=("compiled", "PyTorch"))
def test_a_mirrored_cloud_is_the_mirrored_picture(make):
    backend = make()
    cloud = random_cloud(300, 4)
    camera = looking_at((0.0, -4.0, 0.0), width=96, height=60, focal_px=90.0)
    found = picture(backend, transformed(cloud, np.diag([-1.0, 1, 1, 1])), camera)
    assert psnr_db(found[:, ::-1], picture(backend, cloud, camera)) >= 70, "pixels on a cut-off fall on either side"


def test_joined_clouds_are_the_picture_of_both():
    backend, cloud = CpuRasterizer(), random_cloud(300)
    cloud.sh[150:, 4:] = 0
    second = replace(cloud.select(slice(150, None)), sh=cloud.sh[150:, :4])
    again = joined([cloud.select(slice(150)), second])
    assert psnr_db(picture(backend, again), picture(backend, cloud)) >= 120


@pytest.mark.parametrize(("ending", "least_db"), [("ply", 120), ("glb", 90), ("usda", 90), ("spz", 44)])
def test_a_cloud_that_went_through_a_file_looks_as_before(tmp_path, ending, least_db):
    backend, cloud = CpuRasterizer(), random_cloud(300)
    np.clip(cloud.sh, -0.99, 0.99, out=cloud.sh)
    write_splats(tmp_path / f"a.{ending}", cloud)
    assert psnr_db(picture(backend, read_splats(tmp_path / f"a.{ending}")), picture(backend, cloud)) >= least_db
