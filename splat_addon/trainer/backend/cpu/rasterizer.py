"""The fast CPU backend: compiled kernels on all cores, with the backward process derived by hand.

The steps are in project.py, bin.py and blend.py and, backward, in blend_backward.py and project_backward.py;
passes.py calls them in order. Here they are bound into PyTorch's autograd. `textbook.py` is the judge of every number.
"""

import functools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ....capture.camera import Camera
from ....errors import SplatError
from ....gaussians.cloud import DISPLAY
from ....gaussians.rules import DEFAULT_RULES, PictureRules
from ..blend_space import decode_srgb, is_linear, over
from ..protocol import Gaussians, Moments, Rendering
from .adam import adam_step
from .kernel_cache import kernels
from .kernels.layout import COMPILED_RULES
from .passes import ForwardPass, InvalidParameters, Parameters, Workshop, blend_back, draw, flat, project_back
from .photometric import photometric_loss
from .threads import Crew


class CpuRasterizer:
    """Renders on the processor's cores. The same number of threads gives the same bits."""

    name = "cpu"
    device = torch.device("cpu")

    def __init__(
        self,
        threads: int | None = None,
        rules: PictureRules = DEFAULT_RULES,
        antialiased: bool = False,
        blend_space: str = DISPLAY,
    ):
        """`threads` None: all cores. `antialiased` lowers opacities by what the dilation adds (Yu et al. 2024,
        Mip-Splatting). `blend_space`: see blend_space.py.

        Raises ValueError for rules other than those that the kernels are compiled for.
        """
        rules.require_default(*COMPILED_RULES)
        self.crew = Crew(threads)
        self.blend_space = blend_space
        self.rules = rules
        self._options = rules, bool(antialiased), is_linear(blend_space)

    def prepare(self, announce: Callable[[str], None]) -> None:
        """See `Rasterizer.prepare`: kernels are compiled in seconds, once for each version of them."""
        kernels(lambda: announce("compiling kernels once"))

    @functools.cached_property
    def workshop(self) -> Workshop:
        """Kernels, threads and options in one hand."""
        return Workshop(kernels(), self.crew, *self._options)

    @property
    def on_phase(self) -> Callable[[str], None] | None:
        """Called with the name of each phase when it is done, for measuring."""
        return self.workshop.on_phase

    @on_phase.setter
    def on_phase(self, callback: Callable[[str], None] | None) -> None:
        self.workshop.on_phase = callback

    def render(
        self,
        gaussians: Gaussians,
        camera: Camera,
        background: Tensor,
        *,
        sh_degree: int,
        screen_offsets_px: Tensor | None = None,
        with_depth: bool = False,
    ) -> Rendering:
        """See `Rasterizer.render`; depth is always there. Parameters that are not finite, or a quaternion of 0, raise
        SplatError."""
        _check_shapes(gaussians, background, screen_offsets_px)
        if is_linear(self.blend_space):
            background = decode_srgb(background)
        image, alpha, depth, radii = _Render.apply(
            *gaussians, background, screen_offsets_px, self.workshop, camera, (sh_degree + 1) ** 2
        )
        return Rendering(image=image, alpha=alpha, depth=depth, radii_px=radii)

    @torch.no_grad()
    def over(self, colors: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
        """See `Rasterizer.over`."""
        if not is_linear(self.blend_space):
            return over(colors, alpha, background, self.blend_space)
        image = torch.empty(colors.shape)
        whole = alpha.numel() // 8 * 8
        ranges = self.crew.ranges(whole, 8)
        arrays = flat(colors), flat(alpha), flat(background), image.view(-1)
        self.crew.run(lambda part: self.workshop.kernels.over_in_light(*ranges[part], *arrays))
        rest = colors.reshape(-1, 3)[whole:], alpha.reshape(-1)[whole:]
        image.view(-1, 3)[whole:] = over(*rest, background, self.blend_space)
        return image

    def photometric_loss(self, image: Tensor, target: Tensor, mask: Tensor | None, ssim_lambda: float) -> Tensor:
        """See `Rasterizer.photometric_loss`."""
        return photometric_loss(image, target, mask, ssim_lambda, self.crew)

    def value_of(self, loss: Tensor) -> float:
        """See `Rasterizer.value_of`."""
        return float(loss.detach())

    def adam_step(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        moments: Sequence[Moments],
        rates: Sequence[float | Tensor],
        step: int,
    ) -> None:
        """See `Rasterizer.adam_step`."""
        adam_step(parameters, gradients, moments, rates, step, crew=self.crew)


class _Render(torch.autograd.Function):
    @staticmethod
    def forward(context, means, log_scales, quaternions, logits, sh, background, offsets, shop, camera, harmonic_count):
        gaussians = Gaussians(means, log_scales, quaternions, logits, sh)
        drawn, image, radii = _drawn(shop, Parameters.of(gaussians, offsets, harmonic_count), camera, flat(background))
        # Saved tensors are freed after the backward pass, and autograd notices if one was changed before.
        context.save_for_backward(*gaussians, *drawn.tensors)
        context.drawn = drawn.without_tensors
        context.shop = shop
        context.mark_non_differentiable(radii)
        context.set_materialize_grads(False)
        return image, drawn.alpha, drawn.depth, radii

    @staticmethod
    def backward(context, d_image, d_alpha, d_depth, _):
        drawn = context.drawn.with_tensors(context.saved_tensors[5:])
        d_image = torch.zeros(drawn.height * drawn.width * 3) if d_image is None else flat(d_image)
        rows, d_background = blend_back(context.shop, drawn, d_image, d_alpha, d_depth)
        d_means, d_log_scales, d_quaternions, d_logits, d_offsets, d_sh = project_back(context.shop, drawn, rows)
        if not context.needs_input_grad[6]:
            d_offsets = None
        return d_means, d_log_scales, d_quaternions, d_logits, d_sh, d_background, d_offsets, None, None, None


def _drawn(
    shop: Workshop, parameters: Parameters, camera: Camera, background: Tensor
) -> tuple[ForwardPass, Tensor, Tensor]:
    """`draw`, with the user's words for what cannot be drawn."""
    if not all(map(math.isfinite, background.tolist())):
        raise SplatError("The background color is not a finite number.", "Choose another background color.")
    try:
        return draw(shop, parameters, camera, background)
    except InvalidParameters:
        raise _refusal(parameters) from None


def _refusal(parameters: Parameters) -> SplatError:
    """Which parameters cannot be drawn."""
    remedy = "Lower the learning rates and start again from the last snapshot."
    count = parameters.gaussian_count
    kinds = {
        "positions": parameters.means,
        "scales": parameters.log_scales,
        "rotations": parameters.quaternions,
        "opacities": parameters.logit_opacities,
        "colors": parameters.sh,
        "screen offsets": parameters.offsets,
    }
    for kind, values in kinds.items():
        broken = int((~torch.isfinite(values.view(count, -1)).all(dim=1)).sum())
        if broken:
            return SplatError(f"{broken} of {count} gaussians have {kind} that are not finite.", remedy)
    broken = int((~parameters.quaternions.view(count, 4).any(dim=1)).sum())
    return SplatError(f"{broken} of {count} gaussians have a rotation quaternion of length zero.", remedy)


def _check_shapes(gaussians: Gaussians, background: Tensor, offsets: Tensor | None) -> None:
    count = len(gaussians.means)
    shapes = {"means": (count, 3), "log_scales": (count, 3), "quaternions": (count, 4), "logit_opacities": (count,)}
    for name, shape in shapes.items():
        if tuple(getattr(gaussians, name).shape) != shape:
            raise ValueError(f"{name} is {tuple(getattr(gaussians, name).shape)}, not {shape}")
    if gaussians.sh.ndim != 3 or gaussians.sh.shape[0] != count or gaussians.sh.shape[1] not in (1, 4, 9, 16):
        raise ValueError(f"sh is {tuple(gaussians.sh.shape)}, not ({count}, 1 | 4 | 9 | 16, 3)")
    if tuple(background.shape) != (3,):
        raise ValueError(f"background is {tuple(background.shape)}, not (3,)")
    if offsets is not None and tuple(offsets.shape) != (count, 2):
        raise ValueError(f"screen_offsets_px is {tuple(offsets.shape)}, not ({count}, 2)")
