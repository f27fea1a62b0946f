"""No densification: the gaussians stay those that they are, for runs that go on from finished ones."""

import torch
from torch import Tensor

from ...capture.camera import Camera
from ..backend.protocol import Gaussians, Rendering
from ..model import GaussianModel
from ..stored import table
from .densifier import DENSIFY_EVERY
from .limits import NO_LIMITS, Limits
from .selection import broken_or_faint


class FixedDensifier:
    """The strategy "fixed"."""

    def __init__(self, model: GaussianModel, limits: Limits = NO_LIMITS):
        """What drifts where `limits` allow nothing, or is broken, is removed; nothing else comes or goes."""
        self.model = model
        self.limits = limits

    def observe(self, screen_gradients_px: Tensor, rendering: Rendering, camera: Camera) -> None:
        """See `Densifier.observe`."""

    @torch.no_grad()
    def after_step(self, step: int, fraction: float, means_rate: float) -> None:
        """See `Densifier.after_step`."""
        if step % DENSIFY_EVERY:
            return
        gaussians: Gaussians = self.model.gaussians
        gone = broken_or_faint(gaussians, 0.0) | self.limits.forbidden(gaussians.means)
        if bool(gone.any()):
            self.model.keep(~gone)

    def state(self) -> dict:
        """See `Densifier.state`."""
        return {"strategy": "fixed"}

    def restore(self, state: dict) -> None:
        """See `Densifier.restore`."""
        table(state, "densifier", ("strategy",))
