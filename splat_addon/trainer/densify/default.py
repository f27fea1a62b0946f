"""The densification of Kerbl et al. 2023, section 5.2: clone, split, prune, reset opacities."""

import math

import torch
from torch import Tensor

from ...capture.camera import Camera
from ...run.config import TrainConfig
from ..backend.protocol import Gaussians, Rendering
from ..backend.quaternions import quaternion_matrices
from ..model import GaussianModel
from ..stored import table, whole_number
from .densifier import DENSIFY_EVERY
from .screen_gradients import ScreenGradients
from .selection import broken_or_faint, rows

DENSE_FRACTION = 0.01  # of the scene's extent: larger gaussians are split, smaller ones cloned
OVERSIZED_FRACTION = 0.5  # of the scene's extent: larger gaussians are removed
SPLIT_SHRINK = 1.6  # each of the two children is this much smaller
DENSIFY_FROM, DENSIFY_UNTIL = 0.05, 0.5  # parts of the run
RESET_EVERY = 0.1  # of the run
RESET_OPACITY = 0.05


class DefaultDensifier:
    """The strategy "default"."""

    def __init__(self, model: GaussianModel, config: TrainConfig, extent: float):
        self.model = model
        self.config = config
        self.extent = extent
        self.gradients = ScreenGradients(model)
        self.resets = 0

    def observe(self, screen_gradients_px: Tensor, rendering: Rendering, camera: Camera) -> None:
        """See `Densifier.observe`."""
        self.gradients.observe(screen_gradients_px, rendering, camera)

    @torch.no_grad()
    def after_step(self, step: int, fraction: float, means_rate: float) -> None:
        """See `Densifier.after_step`."""
        if not DENSIFY_FROM <= fraction <= DENSIFY_UNTIL:
            return
        if step % DENSIFY_EVERY == 0:
            self.grow()
            self.prune()
            self.gradients.clear()
        if self.config.reset_opacities and int(fraction / RESET_EVERY) > self.resets:
            self.resets = int(fraction / RESET_EVERY)
            self.model.limit_opacities(RESET_OPACITY)

    def grow(self) -> None:
        """Clone the small and split the large of those whose gradient asks for more."""
        asking = self.gradients.means()
        wanted = asking > self.config.grow_gradient
        room = self.config.max_gaussians - len(self.model)
        if int(wanted.sum()) > room:  # the cap holds: those that ask loudest come first
            chosen = torch.argsort(asking * wanted, descending=True, stable=True)[: max(room, 0)]
            wanted = torch.zeros_like(wanted)
            wanted[chosen] = True
        largest = self.model.gaussians.log_scales.exp().amax(dim=1)
        is_split = wanted & (largest > DENSE_FRACTION * self.extent)
        clones = rows(self.model.gaussians, wanted & ~is_split)
        halves = split(rows(self.model.gaussians, is_split))
        self.model.keep(~is_split)
        self.model.append(clones)
        self.model.append(halves)

    def prune(self) -> None:
        """Remove the faint, the oversized and the broken."""
        gaussians = self.model.gaussians
        gone = broken_or_faint(gaussians, self.config.prune_opacity)
        gone |= gaussians.log_scales.amax(dim=1) > math.log(OVERSIZED_FRACTION * self.extent)
        if bool(gone.any()):
            self.model.keep(~gone)

    def state(self) -> dict:
        """See `Densifier.state`."""
        return {"resets": self.resets, "gradients": self.gradients.state()}

    def restore(self, state: dict) -> None:
        """See `Densifier.restore`."""
        state = table(state, "densifier", ("resets", "gradients"))
        self.resets = whole_number(state["resets"], "resets")
        self.gradients.restore(state["gradients"])


def split(gaussians: Gaussians) -> Gaussians:
    """Two children (2M) for each of M gaussians: drawn from the parent's distribution, smaller, else alike."""
    twice = Gaussians(*(torch.cat([parameter, parameter]) for parameter in gaussians))
    offsets = torch.randn_like(twice.means) * twice.log_scales.exp()
    means = twice.means + (quaternion_matrices(twice.quaternions) @ offsets[..., None])[..., 0]
    return twice._replace(means=means, log_scales=twice.log_scales - math.log(SPLIT_SHRINK))
