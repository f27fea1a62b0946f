"""Densification as sampling: 3D Gaussian Splatting as Markov Chain Monte Carlo (Kheradmand et al. 2024).

Dead gaussians are relocated to living ones such that the image stays as it is (their equation 9), the count grows along
a curve instead of by 5 % at a time, so that short runs reach their target too, and positions receive noise where
gaussians are faint (their equation 8).
"""

import torch
from torch import Tensor

from ...capture.camera import Camera
from ...run.config import TrainConfig
from ..backend.protocol import Gaussians, Rendering
from ..backend.quaternions import quaternion_matrices
from ..model import GaussianModel
from ..stored import table, whole_number
from .count_curve import CountCurve
from .densifier import DENSIFY_EVERY
from .selection import rows

RELOCATES_FROM, RELOCATES_UNTIL = 0.02, 0.83  # parts of the run
NOISE_RATE = 5e5  # times the positions' learning rate
NOISE_SHARPNESS, NOISE_OPACITY = 100.0, 0.005  # noise fades where the opacity is above this
MOST_COPIES = 51  # of one gaussian at a time; the binomial sum is tabulated up to here


class McmcDensifier:
    """The strategy "mcmc"."""

    def __init__(self, model: GaussianModel, config: TrainConfig, curve: CountCurve):
        self.model = model
        self.config = config
        self.curve = curve

    def observe(self, screen_gradients_px: Tensor, rendering: Rendering, camera: Camera) -> None:
        """Gradients on the screen are not asked."""

    @torch.no_grad()
    def after_step(self, step: int, fraction: float, means_rate: float) -> None:
        """See `Densifier.after_step`."""
        if step % DENSIFY_EVERY == 0 and RELOCATES_FROM <= fraction <= RELOCATES_UNTIL:
            self.relocate()
            self.grow(self.curve.at(step, fraction))
        add_noise(self.model.gaussians, NOISE_RATE * means_rate)

    def relocate(self) -> None:
        """Move the dead to the living, chosen by opacity."""
        opacities = torch.sigmoid(self.model.gaussians.logit_opacities)
        is_dead = opacities <= self.config.prune_opacity
        alive, dead = torch.nonzero(~is_dead)[:, 0], torch.nonzero(is_dead)[:, 0]
        if len(dead) == 0 or len(alive) == 0:
            return
        sources = alive[torch.multinomial(opacities[alive], len(dead), replacement=True)]
        shared = share(self.model.gaussians, sources)
        self.model.overwrite(sources, rows(shared, sources))
        self.model.overwrite(dead, rows(shared, sources))

    def grow(self, count: int) -> None:
        """Add copies of the living, chosen by opacity, until there are `count`."""
        added = count - len(self.model)
        if added <= 0:
            return
        opacities = torch.sigmoid(self.model.gaussians.logit_opacities)
        sources = torch.multinomial(opacities, added, replacement=True)
        shared = share(self.model.gaussians, sources)
        self.model.overwrite(sources, rows(shared, sources))
        self.model.append(rows(shared, sources))

    def state(self) -> dict:
        """See `Densifier.state`."""
        return {"first_count": self.curve.first}

    def restore(self, state: dict) -> None:
        """See `Densifier.restore`."""
        state = table(state, "densifier", ("first_count",))
        self.curve.first = whole_number(state["first_count"], "first_count", lowest=1)


def share(gaussians: Gaussians, sources: Tensor) -> Gaussians:
    """All N gaussians, those named n - 1 times in `sources` (M,) made such that n equal ones look like one before.

    Equation 9: opacity 1 - (1 - o)^(1/n); scale times o / sum_i sum_k binomial(i-1, k) (-1)^k o'^(k+1) / sqrt(k+1).
    """
    named, times = torch.unique(sources, return_counts=True)
    copies = (times + 1).clamp_max(MOST_COPIES)
    opacities = torch.sigmoid(gaussians.logit_opacities[named]).double().clamp(max=1 - 1e-7)
    shared = 1 - (1 - opacities) ** (1 / copies)
    # sum over i = 1..n of binomial(i - 1, k) is binomial(n, k + 1)
    k = torch.arange(1, MOST_COPIES + 1, dtype=torch.float64, device=shared.device)
    n = copies.double()[:, None]
    binomials = torch.exp(torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma((n - k).clamp_min(0) + 1))
    terms = torch.where(k <= n, binomials * (-1) ** (k - 1) * shared[:, None] ** k / k.sqrt(), 0.0)
    log_scales, logit_opacities = gaussians.log_scales.clone(), gaussians.logit_opacities.clone()
    log_scales[named] += torch.log(opacities / terms.sum(dim=1))[:, None].to(log_scales.dtype)
    logit_opacities[named] = torch.logit(shared.clamp_min(1e-7)).to(logit_opacities.dtype)
    return gaussians._replace(log_scales=log_scales, logit_opacities=logit_opacities)


def add_noise(gaussians: Gaussians, rate: float) -> None:
    """Move faint gaussians at random, by their own covariance (equation 8)."""
    faintness = torch.sigmoid(-NOISE_SHARPNESS * (torch.sigmoid(gaussians.logit_opacities) - NOISE_OPACITY))
    turned = quaternion_matrices(gaussians.quaternions) * gaussians.log_scales.exp()[:, None, :]
    noise = torch.randn_like(gaussians.means) * faintness[:, None] * rate
    gaussians.means.add_((turned @ (turned.transpose(1, 2) @ noise[..., None]))[..., 0])
