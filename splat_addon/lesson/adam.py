"""Adam (Kingma and Ba 2015) with one rate per kind of parameter, as Gaussian Splatting trains."""

import numpy as np

from .gaussians import Gaussians, zeros_like

RATES = {"means": 0.4, "log_sigmas": 0.04, "angles": 0.04, "colors": 0.02, "logit_opacities": 0.05}
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-15


class Adam:
    """The moments of N gaussians. Each gaussian counts its own steps: one that is new begins anew."""

    def __init__(self, gaussians: Gaussians):
        self.first, self.second = zeros_like(gaussians), zeros_like(gaussians)
        self.steps = np.zeros(len(gaussians), np.int64)

    def step(self, gaussians: Gaussians, gradients: Gaussians) -> None:
        """Move all parameters against their gradients, in place."""
        self.steps += 1
        correct_1, correct_2 = 1 - BETA_1**self.steps, 1 - BETA_2**self.steps
        for name, values in gaussians.arrays().items():
            gradient, dtype = getattr(gradients, name), values.dtype
            first, second = getattr(self.first, name), getattr(self.second, name)
            first += dtype.type(1 - BETA_1) * (gradient - first)
            second += dtype.type(1 - BETA_2) * (gradient * gradient - second)
            by_gaussian = (-1, *[1] * (values.ndim - 1))
            size = np.sqrt(second / correct_2.reshape(by_gaussian)) + EPSILON
            values -= (RATES[name] * (first / correct_1.reshape(by_gaussian)) / size).astype(dtype)

    def keep(self, which: np.ndarray) -> None:
        """Forget all gaussians but those at a mask or at indices."""
        self.first, self.second, self.steps = self.first.select(which), self.second.select(which), self.steps[which]

    def append(self, gaussians: Gaussians) -> None:
        """As many new ones."""
        new = Adam(gaussians)
        self.first, self.second = self.first.joined(new.first), self.second.joined(new.second)
        self.steps = np.concatenate([self.steps, new.steps])

    def forget(self, which: np.ndarray) -> None:
        """Let those at indices begin anew."""
        for moments in (self.first, self.second):
            for array in moments.arrays().values():
                array[which] = 0
        self.steps[which] = 0
