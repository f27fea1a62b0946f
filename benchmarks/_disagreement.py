"""How much renderings with random splats left out disagree: what can be said of a view without any photo.

Splats that fit few photos have come to depend on each other there: leave some out, and a view off the path changes more
than one that many photos have fixed (co-adaptation; arXiv 2508.12720, section 3).
"""

import numpy as np
import torch

from splat_addon.capture.camera import Camera
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.inspection.gather import arrays_of

RENDERINGS = 8
LEFT_OUT = 0.2  # of the splats, at random, in each of them


@torch.no_grad()
def disagreement(
    rasterizer: CpuRasterizer,
    cloud: GaussianCloud,
    camera: Camera,
    left_out: float = LEFT_OUT,
    renderings: int = RENDERINGS,
    seed: int = 0,
) -> float:
    """The mean variance of a pixel's display-encoded values over `renderings` that each miss a random part `left_out`
    of `cloud`, which is in the frame of `camera`. The same seed leaves out the same splats."""
    rng = np.random.default_rng(seed)
    arrays = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)]
    total, squares = torch.zeros(camera.height, camera.width, 3), torch.zeros(camera.height, camera.width, 3)
    for _ in range(renderings):
        kept = torch.from_numpy(np.flatnonzero(rng.random(len(cloud)) >= left_out))
        gaussians = Gaussians(*(array[kept] for array in arrays))
        image = rasterizer.render(gaussians, camera, torch.zeros(3), sh_degree=cloud.sh_degree).image.clamp(0, 1)
        total += image
        squares += image * image
    variance = (squares - total * total / renderings) / (renderings - 1)
    return float(variance.clamp(min=0).mean())
