"""Each strategy on cases known by hand: who is split, who goes, who is copied, and what the image keeps."""

import math

import numpy as np
import pytest
import torch

from splat_addon.run.config import TrainConfig
from splat_addon.run.forecast import target_count
from splat_addon.trainer import schedules
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians, Rendering
from splat_addon.trainer.backend.quaternions import quaternion_matrices
from splat_addon.trainer.densify import make_densifier
from splat_addon.trainer.densify.budget import BudgetDensifier, split_along_longest_axis
from splat_addon.trainer.densify.count_curve import CountCurve
from splat_addon.trainer.densify.default import DefaultDensifier
from splat_addon.trainer.densify.mcmc import MOST_COPIES, McmcDensifier, add_noise, share
from splat_addon.trainer.densify.screen_gradients import ScreenGradients
from splat_addon.trainer.model import GaussianModel
from support.scenes import looking_at, random_cloud

CPU = torch.device("cpu")
CAMERA = looking_at((0, -4, 0), width=40, height=40)


def model_of(cloud) -> GaussianModel:
    return GaussianModel(cloud, CPU)


def ask(densifier, gradients_half_image) -> None:
    """Give each gaussian a gradient as if one view had seen it."""
    gradients = torch.zeros(len(gradients_half_image), 2)
    gradients[:, 0] = torch.tensor(gradients_half_image) / 20  # half the image is 20 pixels wide
    densifier.observe(gradients, Rendering(None, None, None, torch.ones(len(gradients))), CAMERA)


def test_gradients_are_means_over_the_views_that_saw_a_gaussian():
    gradients = ScreenGradients(model_of(random_cloud(2)))
    for seen in ([1.0, 1.0], [1.0, 0.0]):
        pixels = torch.tensor([[0.3, 0.4], [0.6, 0.8]]) * torch.tensor(seen)[:, None]  # 0 for what was not drawn
        gradients.observe(pixels, Rendering(None, None, None, torch.tensor(seen)), CAMERA)
    assert gradients.means().tolist() == pytest.approx([10.0, 20.0])


@pytest.mark.parametrize(
    ("name", "kind"), [("budget", BudgetDensifier), ("default", DefaultDensifier), ("mcmc", McmcDensifier)]
)
def test_the_strategy_is_the_one_that_was_asked_for(name, kind):
    assert isinstance(make_densifier(model_of(random_cloud(3)), TrainConfig(strategy=name), 1.0, [1000]), kind)


def test_the_count_follows_its_plan_and_the_cap():
    config = TrainConfig(target_gaussians=1100, max_gaussians=900)
    assert target_count(config, 100, 10**6) == 900
    assert target_count(TrainConfig(), 100, 25_000) == 1000
    curve = CountCurve(100, 900, is_asked_for=True, photo_pixels=100.0)
    assert curve.at(0, 0.0) == 100
    assert curve.at(300, 0.30) == 500, "half way between 3 and 57 %"
    assert curve.at(900, 0.9) == 900


def test_a_short_run_gets_no_more_than_its_steps_can_teach():
    """1000 steps on photos of 500 pixels are half a million looks, enough for 500; one asked for them to be 900."""
    assert CountCurve(100, 900, False, 500.0).at(700, 0.7) == 500
    assert CountCurve(100, 900, False, 500.0).at(7, 0.7) == 100, "never below the seeds"
    assert CountCurve(100, 900, True, 500.0).at(700, 0.7) == 900


def test_budget_splits_those_that_ask_loudest_and_keeps_the_order_of_the_others():
    cloud = random_cloud(10)
    model = model_of(cloud)
    densifier = BudgetDensifier(model, TrainConfig(), CountCurve(10, 12, True, 1e6))
    ask(densifier, [1, 9, 2, 8, 0, 0, 0, 0, 0, 0])
    densifier.after_step(100, 0.57, 0.0)
    assert len(model) == 12
    others = [0, 2, 4, 5, 6, 7, 8, 9]
    assert np.array_equal(model.gaussians.means.detach().numpy()[:8], cloud.means[others])
    children = model.gaussians.means.detach().numpy()[8:]
    assert np.allclose((children[:2] + children[2:]) / 2, cloud.means[[1, 3]], atol=1e-6)


def test_budget_removes_the_faint_and_fills_their_places():
    cloud = random_cloud(10)
    cloud.logit_opacities[4] = -9
    model = model_of(cloud)
    densifier = BudgetDensifier(model, TrainConfig(), CountCurve(10, 10, True, 1e6))
    ask(densifier, [1.0] * 9 + [5.0])
    densifier.after_step(100, 0.5, 0.0)
    assert len(model) == 10
    assert not (model.gaussians.means.detach().numpy() == cloud.means[4]).all(axis=1).any()


def test_children_lie_on_the_longest_axis_of_their_parent():
    cloud = random_cloud(1)
    cloud.log_scales[:] = np.log([[0.1, 0.4, 0.2]])
    parent = Gaussians(*(p.detach() for p in model_of(cloud).gaussians))
    children = split_along_longest_axis(parent)
    axes = quaternion_matrices(parent.quaternions)[0].numpy()
    offsets = (children.means.numpy() - cloud.means) @ axes
    assert np.allclose(offsets, [[0, 0.3, 0], [0, -0.3, 0]], atol=1e-6)
    assert np.allclose(np.exp(children.log_scales.numpy()), [[0.09, 0.26, 0.18]] * 2, atol=1e-6)
    assert np.allclose(children.logit_opacities.numpy(), cloud.logit_opacities - 0.25)


def test_default_lowers_opacities_when_asked_to():
    cloud = random_cloud(5)
    cloud.logit_opacities[:] = [3, 2, -4, 1, 0]
    model = model_of(cloud)
    densifier = DefaultDensifier(model, TrainConfig(reset_opacities=True), extent=1.0)
    densifier.after_step(7, 0.1, 0.0)
    opacities = torch.sigmoid(model.gaussians.logit_opacities.detach()).numpy()
    assert np.allclose(opacities, [0.05, 0.05, 1 / (1 + math.exp(4)), 0.05, 0.05])


@pytest.mark.parametrize("copies", [2, 3, 6])
def test_shared_gaussians_have_the_opacity_of_the_one_before(copies):
    """Where they lie over each other, n of opacity o' let through (1 - o')^n = 1 - o."""
    cloud = random_cloud(3)
    shared = share(Gaussians(*(p.detach() for p in model_of(cloud).gaussians)), torch.tensor([1] * (copies - 1)))
    opacities = torch.sigmoid(shared.logit_opacities).numpy()
    assert 1 - (1 - opacities[1]) ** copies == pytest.approx(cloud.opacities[1], rel=1e-5)
    assert opacities[0] == pytest.approx(cloud.opacities[0]) and opacities[2] == pytest.approx(cloud.opacities[2])


def share_all(gaussians: Gaussians, sources: torch.Tensor) -> Gaussians:
    """`share` as equation 9 reads: every gaussian has a row of the table, those that nobody names with one copy."""
    copies = (torch.bincount(sources, minlength=len(gaussians.means)) + 1).clamp_max(MOST_COPIES)
    opacities = torch.sigmoid(gaussians.logit_opacities).double().clamp(max=1 - 1e-7)
    shared = 1 - (1 - opacities) ** (1 / copies)
    k, n = torch.arange(1, MOST_COPIES + 1, dtype=torch.float64), copies.double()[:, None]
    binomials = torch.exp(torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma((n - k).clamp_min(0) + 1))
    terms = torch.where(k <= n, binomials * (-1) ** (k - 1) * shared[:, None] ** k / k.sqrt(), 0.0)
    log_scales = gaussians.log_scales + torch.log(opacities / terms.sum(dim=1))[:, None].float()
    logits, is_shared = torch.logit(shared.clamp_min(1e-7)).float(), copies > 1
    return gaussians._replace(
        log_scales=torch.where(is_shared[:, None], log_scales, gaussians.log_scales),
        logit_opacities=torch.where(is_shared, logits, gaussians.logit_opacities),
    )


@pytest.mark.parametrize("named", [0, 1, 40, 900])
def test_sharing_costs_what_is_named_and_gives_the_same_bits_as_the_whole_table(named, monkeypatch):
    torch.manual_seed(named)
    gaussians = Gaussians(*(p.detach() for p in model_of(random_cloud(1000)).gaussians))
    sources = torch.cat([torch.randint(1000, (named,)), torch.full((60 if named else 0,), 7)])  # beyond the table, too
    expected, sizes, lgamma = share_all(gaussians, sources), [], torch.lgamma
    monkeypatch.setattr(torch, "lgamma", lambda values: sizes.append(values.numel()) or lgamma(values))
    found = share(gaussians, sources)
    assert max(sizes) <= MOST_COPIES * max(1, len(sources.unique()))
    for name, one, other in zip(Gaussians._fields, found, expected, strict=True):
        assert torch.equal(one, other), name


def test_relocation_keeps_the_rendered_image():
    """One gaussian against the two that share its place: equation 9 keeps the light that a ray through it loses."""
    cloud = random_cloud(1)
    cloud.means[:], cloud.log_scales[:], cloud.logit_opacities[:] = 0, math.log(0.3), 0.0
    before = Gaussians(*(p.detach() for p in model_of(cloud).gaussians))
    after = share(before, torch.tensor([0]))
    twice = Gaussians(*(torch.cat([values, values]) for values in after))
    draw = CpuRasterizer().render
    one = draw(before, CAMERA, torch.zeros(3), sh_degree=3).alpha
    two = draw(twice, CAMERA, torch.zeros(3), sh_degree=3).alpha
    assert float((one - two).abs().max()) < 0.02
    assert float(one.sum()) == pytest.approx(float(two.sum()), rel=0.02)


def test_mcmc_moves_the_dead_to_the_living_and_grows_to_its_target():
    torch.manual_seed(0)
    cloud = random_cloud(40)
    cloud.logit_opacities[:5] = -9
    model = model_of(cloud)
    densifier = McmcDensifier(model, TrainConfig(), CountCurve(40, 44, True, 1e6))
    densifier.relocate()
    means = model.gaussians.means.detach().numpy()
    alive = {tuple(row) for row in cloud.means[5:]}
    assert len(model) == 40 and all(tuple(row) in alive for row in means), "no dead place is left"
    densifier.after_step(100, 0.30, 0.0)
    assert len(model) == 42, "half way"
    densifier.after_step(200, 0.80, 0.0)
    assert len(model) == 44


def test_noise_moves_the_faint_alone():
    torch.manual_seed(0)
    cloud = random_cloud(200)
    cloud.logit_opacities[:100], cloud.logit_opacities[100:] = -8, 3
    gaussians = Gaussians(*(p.detach().clone() for p in model_of(cloud).gaussians))
    add_noise(gaussians, rate=50.0)
    moved = np.linalg.norm(gaussians.means.numpy() - cloud.means, axis=1)
    assert moved[:100].mean() > 1e-2 and moved[100:].max() < 1e-6


def test_opacity_and_size_are_regularized_where_it_is_asked_for_and_for_mcmc():
    few, many = 12, 100
    asked = TrainConfig(regularization=0.02)
    assert [schedules.regularization(TrainConfig(), step, few) for step in range(8)] == [0.0] * 8
    assert [schedules.regularization(asked, step, few) for step in range(5)] == pytest.approx([0.08, 0, 0, 0, 0.08])
    assert schedules.regularization(asked, 0, many) == 0.0
    for views in (few, many):
        assert schedules.regularization(TrainConfig(strategy="mcmc"), 0, views) == pytest.approx(0.02)
