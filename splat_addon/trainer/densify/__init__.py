"""Densification: changing the number of gaussians while they are optimized (architecture search).

Every strategy sees the same: gradients after each backward pass, and the part of the run that is done after each step.
"""

from collections.abc import Sequence

from ...errors import RunError
from ...run.config import TrainConfig
from ...run.forecast import target_count
from ..model import GaussianModel
from .budget import BudgetDensifier
from .count_curve import CountCurve
from .default import DefaultDensifier
from .densifier import Densifier
from .fixed import FixedDensifier
from .limits import NO_LIMITS, Limits
from .mcmc import McmcDensifier


def make_densifier(
    model: GaussianModel,
    config: TrainConfig,
    extent: float,
    photo_pixels: Sequence[int],
    limits: Limits = NO_LIMITS,
) -> Densifier:
    """The strategy that `config` names. `extent`: the scene's, capture units; `photo_pixels`: of each training photo
    those that count; `limits`: where nothing may be or change. Raises RunError when the strategy cannot heed them."""
    if config.strategy == "fixed":
        return FixedDensifier(model, limits)
    if limits and config.strategy != "budget":
        raise RunError(
            f"The strategy {config.strategy} cannot keep places empty or train a region alone.",
            "Choose the strategy Budget or Fixed.",
        )
    target = target_count(config, len(model), sum(photo_pixels))
    photo = sum(photo_pixels) / max(1, len(photo_pixels))
    curve = CountCurve(len(model), target, bool(config.target_gaussians), photo)
    if config.strategy == "budget":
        return BudgetDensifier(model, config, curve, limits)
    if config.strategy == "mcmc":
        return McmcDensifier(model, config, curve)
    return DefaultDensifier(model, config, extent)
