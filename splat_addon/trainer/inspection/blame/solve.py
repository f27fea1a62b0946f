"""How wrong each splat is, by regularized least squares: min ‖W u - |r|‖² + λ ‖u‖² (arXiv 2603.22786).

W are the blending weights of all pixels of all views, |r| how much each pixel differs from its photo. A splat's own
mean over its pixels, Σ w |r| / Σ w, is as large for those beside, before and behind a wrong one; u is not, since what
the wrong one explains needs nobody else. Conjugate gradients on the normal equations: W is only ever applied.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

STEPS = 8
RIDGE = 1e-2  # λ, in mean Σ w of the splats that are seen


class Weights(Protocol):
    """W of one view."""

    def times(self, values: Tensor) -> Tensor:
        """W u (H, W)."""

    def transposed_times(self, values: Tensor) -> Tensor:
        """Wᵀ y (N,) for y (H, W); (N, K) for y (H, W, K) with K up to 3."""


class Solution:
    """What was found about N splats."""

    def __init__(self, wrong: np.ndarray, mean: np.ndarray, weight: np.ndarray, ridge: float):
        self.wrong = wrong  # (N,) u
        self.mean = mean  # (N,) Σ w |r| / Σ w
        self.weight = weight  # (N,) Σ w
        self.ridge = ridge  # λ


@torch.no_grad()
def sums_of(view: Weights, residual: Tensor, count: Tensor | None) -> Tensor:
    """(N, 2) Σ w and Σ w |r| of a view with |r| (H, W), and how much its pixels count (H, W)."""
    ones = torch.ones_like(residual) if count is None else count
    return view.transposed_times(torch.stack([ones, ones * residual], dim=2))


@torch.no_grad()
def solve(
    views: Sequence[Callable[[], Weights]],
    sums: Tensor,
    counts: Sequence[Tensor | None],
    steps: int = STEPS,
    ridge: float = RIDGE,
    tell: Callable[[int, int], None] = lambda done, whole: None,
) -> Solution:
    """u for views whose weights `views` make when they are needed; `sums` (N, 2) are `sums_of` all of them, and
    `counts` (H, W) say how much pixels count.

    `tell` hears how many passes over a view are done, of how many, and may raise to stop. Fewer `steps` are taken where
    the equations hold already. Every splat gets a number, 0 where nothing sees it.
    """
    whole, done = steps * len(views), 0

    def told() -> None:
        nonlocal done
        tell(done, whole)
        done += 1

    weight, blamed = sums.T.contiguous()
    is_seen = weight > 0
    level = ridge * float(weight[is_seen].mean()) if bool(is_seen.any()) else 1.0

    def normal(values: Tensor) -> Tensor:
        total = level * values
        for make, count in zip(views, counts, strict=True):
            told()
            matrix = make()
            image = matrix.times(values)
            total += matrix.transposed_times(image if count is None else image * count)
        return total

    found, rest = torch.zeros_like(blamed), blamed.clone()
    direction, square = rest.clone(), float(rest @ rest)
    first = square
    for _ in range(steps):
        if square <= 1e-12 * first or square == 0:
            break
        image = normal(direction)
        step = square / float(direction @ image)
        found += step * direction
        rest -= step * image
        before, square = square, float(rest @ rest)
        direction = rest + square / before * direction
    tell(whole, whole)
    mean = blamed / torch.where(is_seen, weight, torch.ones_like(weight))
    return Solution(found.numpy(), mean.numpy(), weight.numpy(), level)
