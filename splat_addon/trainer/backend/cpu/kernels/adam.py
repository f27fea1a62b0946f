"""Adam, one pass over the memory: Kingma & Ba 2015, algorithm 1, in the order of arithmetic of torch.optim.Adam."""

from .declare import FLOAT, FLOATS, INT, inner, kernel
from .lanes.simd import load, peek, poke, prefetch, store
from .lanes.simd_math import first_lane, madd, splat, sqrt

AHEAD = 1024  # elements that are asked for from memory before their turn


@inner
def _updated(parameter, gradient, mean, square, rate, beta1, rest1, beta2, rest2, root_correction, epsilon):
    """The parameter and both moments after a step."""
    mean = madd(splat(beta1), mean, rest1 * gradient)
    square = madd(splat(beta2), square, rest2 * gradient * gradient)
    return parameter - rate * mean / (sqrt(square) * root_correction + epsilon), mean, square


@kernel
def adam_elements(
    begin: INT, end: INT, parameters: FLOATS, gradients: FLOATS, means: FLOATS, squares: FLOATS, rates: FLOATS,
    period: INT, beta1: FLOAT, rest1: FLOAT, beta2: FLOAT, rest2: FLOAT, root_correction: FLOAT, epsilon: FLOAT,
):  # fmt: skip
    """Update elements `begin` … `end - 1` of flat arrays in place: parameters and both moments.

    `rates` (period) is repeated along the array from its beginning; `begin` and `period` are multiples of 8. It holds
    learning rate/(1 - beta1^t); `root_correction` is 1/sqrt(1 - beta2^t), `rest1` and `rest2` are 1 - beta.
    """
    whole = begin + (end - begin) // 8 * 8
    rate_at = begin % period
    for i in range(begin, whole, 8):
        for array in (parameters, gradients, means, squares):
            prefetch(array, i + AHEAD)
        parameter, mean, square = _updated(
            load(parameters, i), load(gradients, i), load(means, i), load(squares, i), load(rates, rate_at),
            beta1, rest1, beta2, rest2, root_correction, epsilon,
        )  # fmt: skip
        store(parameters, i, parameter)
        store(means, i, mean)
        store(squares, i, square)
        rate_at = rate_at + 8 if rate_at + 8 < period else 0
    for i in range(whole, end):
        parameter, mean, square = _updated(
            splat(peek(parameters, i)), splat(peek(gradients, i)), splat(peek(means, i)), splat(peek(squares, i)),
            splat(peek(rates, i % period)), beta1, rest1, beta2, rest2, root_correction, epsilon,
        )  # fmt: skip
        poke(parameters, i, first_lane(parameter))
        poke(means, i, first_lane(mean))
        poke(squares, i, first_lane(square))
