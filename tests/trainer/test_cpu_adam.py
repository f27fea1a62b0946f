"""The compiled Adam step against torch.optim.Adam."""

import pytest
import torch

from splat_addon.trainer.backend.cpu.adam import adam_step
from splat_addon.trainer.backend.cpu.threads import Crew
from splat_addon.trainer.backend.protocol import Moments


def steps_of_torch(start, gradients, rates, betas=(0.9, 0.999)):
    """torch.optim.Adam in float64, a parameter for each rate: `rates` maps slices of dimension 1 to rates."""
    parts = [start[:, where].double().clone().requires_grad_() for where, _ in rates]
    groups = [{"params": [part], "lr": rate} for part, (_, rate) in zip(parts, rates, strict=True)]
    adam = torch.optim.Adam(groups, betas=betas, eps=1e-15)
    for gradient in gradients:
        for part, (where, _) in zip(parts, rates, strict=True):
            part.grad = gradient[:, where].double()
        adam.step()
    return torch.cat([part.detach() for part in parts], dim=1)


# Each step rounds in float32: the moments at 1e-7 of themselves, a parameter of 1e-2 at 1e-9, against moves of 1e-3.
@pytest.mark.parametrize("count", [1, 3, 8, 101])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_steps_are_those_of_torch(count, threads):
    torch.manual_seed(0)
    start, gradients = 0.01 * torch.randn(count, 16, 3), [torch.randn(count, 16, 3) for _ in range(12)]
    gradients[3][:, 2] = 0.0
    parameter = start.clone()
    moments = Moments.like(parameter)
    rates = torch.full((16, 3), 2e-4)
    rates[0] = 3e-3
    for step, gradient in enumerate(gradients, start=1):
        adam_step([parameter], [gradient], [moments], [rates], step, crew=Crew(threads))
    expected = steps_of_torch(start, gradients, [(slice(0, 1), 3e-3), (slice(1, 16), 2e-4)])
    moved, expected_move = parameter.double() - start.double(), expected - start.double()
    assert torch.linalg.norm(moved - expected_move) <= 3e-6 * torch.linalg.norm(expected_move)


@pytest.mark.parametrize("shape", [(7,), (5, 3), (9, 4), (0, 3)])
def test_one_rate_serves_any_shape(shape):
    torch.manual_seed(1)
    parameter, gradient = torch.randn(shape), torch.randn(shape)
    start, moments = parameter.clone(), Moments.like(parameter)
    adam_step([parameter], [gradient], [moments], [0.01], 1, crew=Crew(2))
    # The first step is the rate against the gradient's sign, whatever its size.
    torch.testing.assert_close(parameter, start - 0.01 * gradient.sign(), rtol=0, atol=1e-6)
    torch.testing.assert_close(moments.mean, 0.1 * gradient)
    torch.testing.assert_close(moments.square, 0.001 * gradient**2)


def test_no_gradient_ever_means_no_step():
    parameter = torch.ones(20)
    adam_step([parameter], [torch.zeros(20)], [Moments.like(parameter)], [0.1], 1, crew=Crew(1))
    assert torch.equal(parameter, torch.ones(20))


def test_several_parameters_step_together():
    parameters = [torch.zeros(11), torch.zeros(4, 3)]
    moments = [Moments.like(parameter) for parameter in parameters]
    adam_step(parameters, [torch.ones(11), -torch.ones(4, 3)], moments, [0.1, 0.2], 1, crew=Crew(2))
    torch.testing.assert_close(parameters[0], torch.full((11,), -0.1))
    torch.testing.assert_close(parameters[1], torch.full((4, 3), 0.2))


def test_a_parameter_that_cannot_be_updated_in_place_is_refused():
    parameter = torch.zeros(4, 6).t()
    with pytest.raises(ValueError, match="in place on contiguous float32 tensors"):
        adam_step([parameter], [parameter], [Moments.like(parameter)], [0.1], 1)
