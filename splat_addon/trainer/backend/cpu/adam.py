"""The Adam optimizer as one compiled pass over all parameters."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..protocol import Moments
from .kernel_cache import kernels
from .passes import flat
from .threads import Crew, shared_crew


def adam_step(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    moments: Sequence[Moments],
    learning_rates: Sequence[float | Tensor],
    step: int,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-15,
    crew: Crew | None = None,
) -> None:
    """One step of torch.optim.Adam for several parameters, in place; `step` counts from 1.

    Parameters are contiguous float32. A learning rate is one number, or a pattern of any shape that repeats along the
    flat parameter, such as (K, 3) for `sh`. `crew`: the threads to use, all cores if None.
    """
    update_elements = kernels().adam_elements
    crew = crew or shared_crew()
    mean_correction, square_correction = 1.0 - betas[0] ** step, 1.0 - betas[1] ** step
    root_correction = 1.0 / math.sqrt(square_correction)
    weights = betas[0], 1.0 - betas[0], betas[1], 1.0 - betas[1]
    jobs, place = [], 0  # the arrays lie one after the other, as it were, at multiples of 8
    for parameter, gradient, moment, rates in zip(parameters, gradients, moments, learning_rates, strict=True):
        in_place = [_own_memory(values) for values in (parameter, moment.mean, moment.square)]
        jobs.append((place, (in_place[0], flat(gradient), *in_place[1:], _whole_vectors(rates, mean_correction))))
        place += -(-len(in_place[0]) // 8) * 8
    ranges = crew.ranges(place, 8)

    def update(part):
        first, last = ranges[part]
        for place, arrays in jobs:
            begin, end = max(first - place, 0), min(last - place, len(arrays[0]))
            if begin < end:
                update_elements(begin, end, *arrays, len(arrays[-1]), *weights, root_correction, epsilon)

    crew.run(update)


def _own_memory(tensor: Tensor) -> Tensor:
    if tensor.dtype != torch.float32 or not tensor.is_contiguous():
        raise ValueError(f"Adam works in place on contiguous float32 tensors, not on {tensor.dtype}")
    return tensor.detach().view(-1)


def _whole_vectors(rates: float | Tensor, correction: float) -> Tensor:
    """The pattern of step sizes, repeated to a multiple of 8."""
    if not isinstance(rates, Tensor):
        return torch.full((8,), rates / correction)
    pattern = rates.to(torch.float64).reshape(-1) / correction
    return pattern.repeat(8 // math.gcd(8, len(pattern))).to(torch.float32)
