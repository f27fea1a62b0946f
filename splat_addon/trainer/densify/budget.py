"""Densification along a target-count curve: as many splats as planned, where the gradient asks for them.

The count grows linearly from the seeds' to the target. Whoever has the highest mean screen-space gradient is split
along its longest axis. Count and time are known beforehand, and no threshold has to be chosen.
"""

import math

import torch
from torch import Tensor

from ...capture.camera import Camera
from ...run.config import TrainConfig
from ..backend.protocol import Gaussians, Rendering
from ..backend.quaternions import quaternion_matrices
from ..model import GaussianModel
from ..stored import table, whole_number
from .count_curve import GROWS_FROM, CountCurve
from .densifier import DENSIFY_EVERY
from .limits import NO_LIMITS, Limits
from .screen_gradients import ScreenGradients
from .selection import broken_or_faint, rows

REPLACES_UNTIL = 0.9  # part of the run; until then whoever fades is replaced
CHILD_OFFSET = 0.75  # sigma along the longest axis, to either side
LONG_AXIS_SHRINK, OTHER_AXES_SHRINK = 0.65, 0.9
LOGIT_LOSS = 0.25  # of each child: two overlap where one was
SHARE_AT_ONCE = 0.35  # at most this part of the gaussians is split at a time


class BudgetDensifier:
    """The strategy "budget"."""

    def __init__(self, model: GaussianModel, config: TrainConfig, curve: CountCurve, limits: Limits = NO_LIMITS):
        """`limits`: where nothing is split and what drifts there is removed, and what is neither split nor removed."""
        self.limits = limits
        self.model = model
        self.config = config
        self.curve = curve
        self.gradients = ScreenGradients(model)
        self.is_open = True  # while counts still change

    def observe(self, screen_gradients_px: Tensor, rendering: Rendering, camera: Camera) -> None:
        """See `Densifier.observe`."""
        if self.is_open:
            self.gradients.observe(screen_gradients_px, rendering, camera)

    @torch.no_grad()
    def after_step(self, step: int, fraction: float, means_rate: float) -> None:
        """See `Densifier.after_step`."""
        self.is_open = fraction < REPLACES_UNTIL
        if step % DENSIFY_EVERY or not GROWS_FROM <= fraction <= REPLACES_UNTIL:
            return
        means = self.model.gaussians.means
        gone = broken_or_faint(self.model.gaussians, self.config.prune_opacity)
        frozen = self.limits.frozen(means)
        if frozen is not None:
            gone &= ~frozen
        gone |= self.limits.forbidden(means)
        wanted = self.curve.at(step, fraction) - (len(gone) - int(gone.sum()))
        asking = self.gradients.means().masked_fill(gone if frozen is None else gone | frozen, -1.0)
        count = max(0, min(wanted, int(SHARE_AT_ONCE * len(asking)), int((asking > 0).sum())))
        parents = torch.topk(asking, count).indices
        children = split_along_longest_axis(rows(self.model.gaussians, parents))
        gone[parents] = True
        if bool(gone.any()):
            self.model.keep(~gone)
            self.model.append(children)
        self.gradients.clear()

    def state(self) -> dict:
        """See `Densifier.state`."""
        return {"first_count": self.curve.first, "gradients": self.gradients.state()}

    def restore(self, state: dict) -> None:
        """See `Densifier.restore`."""
        state = table(state, "densifier", ("first_count", "gradients"))
        self.curve.first = whole_number(state["first_count"], "first_count", lowest=1)
        self.gradients.restore(state["gradients"])


def split_along_longest_axis(parents: Gaussians) -> Gaussians:
    """Two children (2M) for each of M gaussians, next to each other on the longest axis."""
    longest = parents.log_scales.argmax(dim=1)
    row = torch.arange(len(longest), device=longest.device)
    directions = quaternion_matrices(parents.quaternions)[row, :, longest]
    offsets = directions * (CHILD_OFFSET * parents.log_scales[row, longest].exp())[:, None]
    log_scales = parents.log_scales + math.log(OTHER_AXES_SHRINK)
    log_scales[row, longest] = parents.log_scales[row, longest] + math.log(LONG_AXIS_SHRINK)
    twice = Gaussians(*(torch.cat([values, values]) for values in parents))
    return twice._replace(
        means=torch.cat([parents.means + offsets, parents.means - offsets]),
        log_scales=torch.cat([log_scales, log_scales]),
        logit_opacities=twice.logit_opacities - LOGIT_LOSS,
    )
