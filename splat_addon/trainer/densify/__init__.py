"""Densification: changing the number of gaussians while they are optimised (architecture search).

Every strategy sees the same: gradients after each backward pass, and the part of the run that is done after each step.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ...capture.camera import Camera
from ...run.config import TrainConfig
from ...run.forecast import target_count, taught_count
from ..backend.protocol import Gaussians, Rendering
from ..model import GaussianModel

DENSIFY_EVERY = 100  # steps
GROWS_FROM, GROWS_UNTIL = 0.03, 0.57  # parts of the run between which a planned count rises


class Densifier(Protocol):
    """Decides which gaussians come and go."""

    def observe(self, screen_gradients_px: Tensor, rendering: Rendering, camera: Camera) -> None:
        """After each backward pass: the gradient of the loss by each projected mean (N, 2), in pixels."""
        ...

    def after_step(self, step: int, fraction: float, means_rate: float) -> None:
        """After each step (1-based): change the model if it is time. `fraction` of the run is done, 0..1; `means_rate`
        is the positions' learning rate."""
        ...

    def state(self) -> dict:
        """What a checkpoint needs beside the model."""
        ...

    def restore(self, state: dict) -> None:
        """Take up what `state` gave."""
        ...


class CountCurve:
    """How many gaussians there should be: linearly from the first count to a target, over a part of the run.

    `photo_pixels`: of one training photo, in the mean. Unless a target was asked for, a short run aims at fewer.
    """

    def __init__(self, first: int, target: int, is_asked_for: bool, photo_pixels: float):
        self.first, self.target, self.is_asked_for, self.photo_pixels = first, target, is_asked_for, photo_pixels

    def at(self, step: int, fraction: float) -> int:
        """The count after `step` steps, when `fraction` of the run is done."""
        target = self.target
        if not self.is_asked_for and fraction > 0:
            target = taught_count(target, self.first, step / fraction, self.photo_pixels)
        part = (fraction - GROWS_FROM) / (GROWS_UNTIL - GROWS_FROM)
        return round(self.first + (target - self.first) * min(max(part, 0.0), 1.0))


class ScreenGradients:
    """Mean length of the screen-space gradient of each gaussian over the views that saw it, in half-image units."""

    def __init__(self, model: GaussianModel):
        self.model = model
        self.clear()

    def clear(self) -> None:
        """Begin anew, for the gaussians that the model has now."""
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
        return {"sums": self._sums, "views": self._views}

    def restore(self, state: dict) -> None:
        self._sums, self._views = state["sums"], state["views"]


def rows(gaussians: Gaussians, which: Tensor) -> Gaussians:
    """The gaussians at a mask or at indices, detached."""
    return Gaussians(*(parameter.detach()[which] for parameter in gaussians))


def broken_or_faint(gaussians: Gaussians, faintest: float) -> Tensor:
    """(N,) whether a gaussian's opacity is below `faintest` or one of its numbers is not finite."""
    gone = torch.sigmoid(gaussians.logit_opacities.detach()) < faintest
    for parameter in gaussians:
        gone |= ~torch.isfinite(parameter.detach()).reshape(len(gone), -1).all(dim=1)
    return gone


def make_densifier(model: GaussianModel, config: TrainConfig, extent: float, photo_pixels: Sequence[int]) -> Densifier:
    """The strategy that `config` names. `extent`: the scene's, capture units; `photo_pixels`: of each training photo
    those that count."""
    from .budget import BudgetDensifier
    from .default import DefaultDensifier
    from .mcmc import McmcDensifier

    target = target_count(config, len(model), sum(photo_pixels))
    photo = sum(photo_pixels) / max(1, len(photo_pixels))
    curve = CountCurve(len(model), target, bool(config.target_gaussians), photo)
    if config.strategy == "budget":
        return BudgetDensifier(model, config, curve)
    if config.strategy == "mcmc":
        return McmcDensifier(model, config, curve)
    return DefaultDensifier(model, config, extent)
