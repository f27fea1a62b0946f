"""How strongly the loss wants each gaussian to move on the screen, which is where detail is missing."""

import torch
from torch import Tensor

from ...capture.camera import Camera
from ..backend.protocol import Rendering
from ..model import GaussianModel
from ..stored import table, tensors


class ScreenGradients:
    """Mean length of the screen-space gradient of each gaussian over the views that saw it, in half-image units."""

    def __init__(self, model: GaussianModel):
        self.model = model
        self.clear()

    def clear(self) -> None:
        """Start over, for the gaussians that the model has now."""
        self._sums = torch.zeros_like(self.model.gaussians.logit_opacities, requires_grad=False)
        self._views = torch.zeros_like(self._sums)

    @torch.no_grad()
    def observe(self, screen_gradients_px: Tensor, rendering: Rendering, camera: Camera) -> None:
        across, down = screen_gradients_px[:, 0] * (camera.width / 2), screen_gradients_px[:, 1] * (camera.height / 2)
        self._sums += torch.hypot(across, down)  # 0 for what was not seen
        self._views += rendering.radii_px > 0

    def means(self) -> Tensor:
        """(N,) 0 for what no view saw."""
        return self._sums / self._views.clamp_min(1)

    def state(self) -> dict:
        return {"sums": self._sums.cpu(), "views": self._views.cpu()}

    def restore(self, state: dict) -> None:
        """Take up what `state` gave, for the gaussians that the model has now. Raises Misfit."""
        state = table(state, "gradients", ("sums", "views"))
        like, count = [self.model.gaussians.logit_opacities] * 2, len(self.model)
        self._sums, self._views = tensors([state["sums"], state["views"]], like, count, "gradients", lowest=0.0)
