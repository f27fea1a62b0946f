"""The densification of Kerbl et al. 2023, section 5.2: clone, split, prune by accumulated screen-space gradients."""

import math

import torch
from torch import Tensor

from ...capture.camera import Camera
from ...run.config import TrainConfig
from ..model import GaussianModel
from ..rasterize import Gaussians, Rendering, quaternion_matrices

DENSE_FRACTION = 0.01  # of the scene's extent: larger gaussians are split, smaller ones cloned
OVERSIZED_FRACTION = 0.5  # of the scene's extent: larger gaussians are removed
SPLIT_SHRINK = 1.6  # each of the two children is this much smaller


class DefaultDensifier:
    """Gathers gradients while training and changes the model on schedule."""

    def __init__(self, model: GaussianModel, config: TrainConfig, extent: float):
        self.model = model
        self.config = config
        self.extent = extent
        self._clear()

    def _clear(self) -> None:
        self._gradients = torch.zeros_like(self.model.gaussians.logit_opacities, requires_grad=False)
        self._seen = torch.zeros_like(self._gradients)

    @torch.no_grad()
    def observe(self, screen_gradients_px: Tensor, rendering: Rendering, camera: Camera) -> None:
        """After each backward pass: add the length of the gradients (N, 2), in half-image units, where seen."""
        half_image = screen_gradients_px.new_tensor([camera.width / 2, camera.height / 2])
        seen = rendering.radii_px > 0
        self._gradients += torch.linalg.norm(screen_gradients_px * half_image, dim=1) * seen
        self._seen += seen

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Clone, split and prune when `step` (1-based) of the run says so."""
        config = self.config
        fraction = step / config.iterations
        if step % config.densify_every or not config.densify_from <= fraction <= config.densify_until:
            return
        gradients = self._gradients / self._seen.clamp_min(1)
        wanted = gradients > config.grow_gradient
        room = config.max_gaussians - len(self.model)
        if int(wanted.sum()) > room:  # the cap holds: those that ask loudest come first
            chosen = torch.argsort(gradients * wanted, descending=True, stable=True)[: max(room, 0)]
            wanted = torch.zeros_like(wanted)
            wanted[chosen] = True
        largest = self.model.gaussians.log_scales.exp().amax(dim=1)
        is_split = wanted & (largest > DENSE_FRACTION * self.extent)
        clones = _rows(self.model.gaussians, wanted & ~is_split)
        halves = split(_rows(self.model.gaussians, is_split))
        self.model.keep(~is_split)
        self.model.append(clones)
        self.model.append(halves)
        self.prune()
        self._clear()

    @torch.no_grad()
    def prune(self) -> None:
        """Remove the faint, the oversized and the broken."""
        gaussians = self.model.gaussians
        keep = torch.sigmoid(gaussians.logit_opacities) >= self.config.prune_opacity
        keep &= gaussians.log_scales.amax(dim=1) <= math.log(OVERSIZED_FRACTION * self.extent)
        for parameter in gaussians:
            keep &= torch.isfinite(parameter).reshape(len(keep), -1).all(dim=1)
        if not bool(keep.all()):
            self.model.keep(keep)


def split(gaussians: Gaussians) -> Gaussians:
    """Two children (2M) for each of M gaussians: drawn from the parent's distribution, smaller, else alike."""
    twice = Gaussians(*(torch.cat([parameter, parameter]) for parameter in gaussians))
    offsets = torch.randn_like(twice.means) * twice.log_scales.exp()
    means = twice.means + (quaternion_matrices(twice.quaternions) @ offsets[..., None])[..., 0]
    return twice._replace(means=means, log_scales=twice.log_scales - math.log(SPLIT_SHRINK))


def _rows(gaussians: Gaussians, which: Tensor) -> Gaussians:
    return Gaussians(*(parameter.detach()[which] for parameter in gaussians))
