"""Training on after splats were deleted: a short schedule that closes the holes and does not bring back the deleted."""

from dataclasses import replace

from .config import TrainConfig

STEPS = 250  # what the holes need; more trains the rest
MEANS_RATE_PART = 0.3  # of the learning rate of positions: what is left has its place
OTHERS_PART = 0.4  # of the other learning rates: the end of the run that went before


def train_on(config: TrainConfig, splats: str, cleared: str, count: int, steps: int = STEPS) -> TrainConfig:
    """The settings of a run that goes on from `splats`, a file without the deleted ones, and grows to `count` again.

    `config` is that of the run before. `cleared` is a file of the deleted splats: nothing grows where they were.
    """
    return replace(
        config,
        init_splats=splats,
        cleared_splats=cleared,
        iterations=steps,
        seconds=0,
        strategy="budget",
        target_gaussians=count,
        max_gaussians=max(count, config.max_gaussians),
        coarse_until=0.0,
        sh_full_at=0.0,
        dropout=0.0,
        regularization=0.0,
        means_rate=MEANS_RATE_PART * config.means_rate,
        scales_rate=OTHERS_PART * config.scales_rate,
        quaternions_rate=OTHERS_PART * config.quaternions_rate,
        opacities_rate=OTHERS_PART * config.opacities_rate,
        sh_base_rate=OTHERS_PART * config.sh_base_rate,
        sh_rest_rate=OTHERS_PART * config.sh_rest_rate,
        eval_every=0,
        save_every=0,
    )
