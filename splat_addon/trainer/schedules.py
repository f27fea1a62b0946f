"""What changes over a run, as functions of the part that is done (0..1), so that a short run is a whole one."""

import torch

from ..run.config import TrainConfig
from .backend.protocol import Gaussians

MEANS_DECAY = 0.01  # what is left of the positions' learning rate at the end
OTHERS_DECAY = 0.4
AVERAGED_FROM, AVERAGED_EVERY = 0.91, 4  # part of the run, when no strategy changes the count any longer; steps
FEW_VIEWS_COLOR = 0.125  # with few views, view-dependent color overfits: this much of its learning rate
REGULARIZED_EVERY = 4  # steps
MCMC_REGULARIZATION = 0.005  # the strategy "mcmc" needs at least this much of it, to let the needless die
DROPOUT_FROM = 0.5  # part of the run after which splats are left out at random, ever more


def sh_degree(config: TrainConfig, fraction: float) -> int:
    """The degree of color trained now: raised in equal steps until `sh_full_at`."""
    if config.sh_full_at <= 0:
        return config.sh_degree
    return min(config.sh_degree, int(fraction / config.sh_full_at * config.sh_degree))


def means_rate(config: TrainConfig, fraction: float, extent: float) -> float:
    """The positions' learning rate in capture units; it decays exponentially."""
    return config.means_rate * extent * MEANS_DECAY**fraction * warmth(config, fraction)


def warmth(config: TrainConfig, fraction: float) -> float:
    """Which part of the learning rates applies: at first, Adam knows nothing of how large gradients are, and takes full
    steps in any direction."""
    return min(1.0, fraction / config.warm_up) if config.warm_up > 0 else 1.0


def rates(config: TrainConfig, fraction: float, extent: float, coefficients: int, training_views: int) -> Gaussians:
    """Adam's learning rates, one per parameter (see `Rasterizer.adam_step`), for `coefficients` harmonics."""
    others = OTHERS_DECAY**fraction * warmth(config, fraction)
    view_dependent = FEW_VIEWS_COLOR if training_views <= config.few_views else 1.0
    sh = torch.full((coefficients, 3), config.sh_rest_rate * view_dependent * others)
    sh[0] = config.sh_base_rate * others
    return Gaussians(
        means=means_rate(config, fraction, extent),
        log_scales=config.scales_rate * others,
        quaternions=config.quaternions_rate * others,
        logit_opacities=config.opacities_rate * others,
        sh=sh,
    )


def is_coarse(config: TrainConfig, fraction: float) -> bool:
    """Whether photos are trained at half their resolution now."""
    return fraction < config.coarse_until


def is_averaged(step: int, fraction: float) -> bool:
    """Whether this step's gaussians enter the mean that becomes the result (see `GaussianModel.average`)."""
    return fraction > AVERAGED_FROM and step % AVERAGED_EVERY == 0


def dropout(config: TrainConfig, fraction: float, training_views: int) -> float:
    """Which part of the splats is left out of a step."""
    if training_views > config.few_views:
        return 0.0
    return config.dropout * max(0.0, (fraction - DROPOUT_FROM) / (1 - DROPOUT_FROM))


def regularization(config: TrainConfig, step: int, training_views: int) -> float:
    """The weight of mean opacity and mean size in the loss: every fourth step, four times as strong, to save time."""
    if step % REGULARIZED_EVERY:
        return 0.0
    weight = config.regularization if training_views <= config.few_views else 0.0
    if config.strategy == "mcmc":
        weight = max(weight, MCMC_REGULARIZATION)
    return weight * REGULARIZED_EVERY
