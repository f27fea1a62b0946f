"""Two loops that a card is timed on, over the same gaussians, cameras and photo: ours, and a plain one with gsplat.

`step` is a whole step of training but for growth. Ours also goes phase by phase, waiting for the card in between.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from splat_addon.capture.camera import Camera
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.trainer.backend.protocol import Gaussians, Rasterizer
from splat_addon.trainer.densify.screen_gradients import ScreenGradients
from splat_addon.trainer.losses import photometric_loss
from splat_addon.trainer.model import GaussianModel
from splat_addon.trainer.photos.near import NearPhotos, room_for_photos
from splat_addon.trainer.photos.photo import Photo

STILL = 1e-12  # times each learning rate, so that all steps have the same work
RATES = Gaussians(1.6e-4, 5e-3, 1e-3, 5e-2, 2.5e-3)  # of gsplat's example; harmonics beyond the first learn at 1/20
SSIM_LAMBDA = 0.2


def wait_for(device: torch.device) -> None:
    """Until the card has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def photo_of(camera: Camera) -> Photo:
    """A seeded photo of noise: for time, its content is the same to all."""
    pixels = np.random.default_rng(1).integers(0, 255, (camera.height, camera.width, 3), dtype=np.uint8)
    return Photo("noise", camera, torch.from_numpy(pixels), None, None)


class Ours:
    """The trainer's own step: see `Run.train_step`."""

    def __init__(self, gaussians: Gaussians, camera: Camera, rasterizer: Rasterizer):
        self.device, self.rasterizer = rasterizer.device, rasterizer
        arrays = {name: values.numpy() for name, values in gaussians._asdict().items()}
        self.model = GaussianModel(GaussianCloud(**arrays, blend_space=rasterizer.blend_space), self.device)
        self.gradients = ScreenGradients(self.model)
        self.near, self.photo = NearPhotos(self.device, room_for_photos(self.device)), photo_of(camera)
        sh = torch.full((gaussians.sh.shape[1], 3), RATES.sh / 20 * STILL)
        sh[0] = RATES.sh * STILL
        self.rates = Gaussians(*(rate * STILL for rate in RATES[:4]), sh)

    def step(self) -> float:
        """A whole step; returns its loss."""
        return self._step(lambda phase: None)

    def phases(self) -> dict[str, float]:
        """Milliseconds of each phase of one step."""
        told: dict[str, float] = {}
        wait_for(self.device)
        began = time.perf_counter()

        def lap(phase: str) -> None:
            nonlocal began
            wait_for(self.device)
            now = time.perf_counter()
            told[phase], began = 1e3 * (now - began), now

        self._step(lap)
        return told

    def _step(self, lap: Callable[[str], None]) -> float:
        photo, background = self.near.photo(self.photo), torch.zeros(3, device=self.device)
        target = photo.over(background, self.rasterizer.over)
        lap("photo")
        offsets = torch.zeros(len(self.model), 2, device=self.device, requires_grad=True)
        rendering = self.rasterizer.render(
            self.model.gaussians, photo.camera, background, sh_degree=3, screen_offsets_px=offsets
        )
        lap("forward")
        loss = self.rasterizer.photometric_loss(rendering.image, target, None, SSIM_LAMBDA)
        lap("loss")
        loss.backward()
        lap("backward")
        if offsets.grad is not None:
            self.gradients.observe(offsets.grad, rendering, photo.camera)
        lap("screen gradients")
        self.model.step(self.rates, self.rasterizer)
        lap("Adam")
        return self.rasterizer.value_of(loss)


class Plain:
    """The loop of gsplat's example trainer at its default settings, with its own `rasterization`, `DefaultStrategy` and
    PyTorch's fused Adam.

    Two things differ, both alike for us: SSIM is ours, since the example's is a package of CUDA code, and the photo is
    uploaded from pinned memory, as the example's loader does, but without the processes that read it.
    """

    def __init__(self, gaussians: Gaussians, camera: Camera, device: torch.device):
        from gsplat import DefaultStrategy

        self.device, self.camera = device, camera
        parts = {
            "means": (gaussians.means, RATES.means),
            "scales": (gaussians.log_scales, RATES.log_scales),
            "quats": (gaussians.quaternions, RATES.quaternions),
            "opacities": (gaussians.logit_opacities, RATES.logit_opacities),
            "sh0": (gaussians.sh[:, :1], RATES.sh),
            "shN": (gaussians.sh[:, 1:], RATES.sh / 20),
        }
        self.splats = {name: _leaf(values, device) for name, (values, _) in parts.items()}
        self.optimizers = {
            name: torch.optim.Adam([{"params": self.splats[name], "lr": rate * STILL}], eps=1e-15, fused=True)
            for name, (_, rate) in parts.items()
        }
        self.strategy = DefaultStrategy()
        self.state = self.strategy.initialize_state(scene_scale=1.0)
        self.world_from_camera = torch.tensor(np.linalg.inv(camera.camera_from_world), dtype=torch.float32)[None]
        self.intrinsics = torch.tensor([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])[None]
        self.pixels = photo_of(camera).rgb[None].float()
        if device.type == "cuda":
            self.pixels = self.pixels.pin_memory()

    def step(self) -> float:
        """A whole step, the first of a run: nothing grows there."""
        from gsplat import rasterization

        target = self.pixels.to(self.device, non_blocking=True) / 255.0
        splats = self.splats
        image, _, info = rasterization(
            splats["means"],
            splats["quats"],
            torch.exp(splats["scales"]),
            torch.sigmoid(splats["opacities"]),
            torch.cat([splats["sh0"], splats["shN"]], dim=1),
            torch.linalg.inv(self.world_from_camera.to(self.device)),
            self.intrinsics.to(self.device),
            self.camera.width,
            self.camera.height,
            sh_degree=3,
            packed=False,
        )
        self.strategy.step_pre_backward(splats, self.optimizers, self.state, 1, info)
        loss = photometric_loss(image[0], target[0], None, SSIM_LAMBDA)
        loss.backward()
        for optimizer in self.optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.strategy.step_post_backward(splats, self.optimizers, self.state, 1, info, packed=False)
        return float(loss.detach())


def _leaf(values: Tensor, device: torch.device) -> Tensor:
    return values.contiguous().to(device).requires_grad_()
