"""What every strategy of densification does, whichever it is."""

from typing import Protocol

from torch import Tensor

from ...capture.camera import Camera
from ..backend.protocol import Rendering

DENSIFY_EVERY = 100  # steps


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
        """What a checkpoint needs in addition to the model."""
        ...

    def restore(self, state: dict) -> None:
        """Take up what `state` gave, when the model has its gaussians. Raises Misfit when it is of something else."""
        ...
