"""The CUDA backend: gsplat 1.5.3 (Ye et al. 2024) behind the same door, in the same conventions.

gsplat's own strategies, exporters and trainers are not used: they have defects (opacity never reset, files emptied by
one NaN) and their command lines drift. Its `rasterization` is not called either, but what that consists of: it inverts
the pose on the card for every picture, which the host waits for, and blends no colors in linear light.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ....capture.camera import Camera
from ....errors import SplatError
from ....gaussians.cloud import DISPLAY
from ....gaussians.rules import DEFAULT_RULES, PictureRules
from ..blend_space import decode_srgb, encode_srgb, is_linear
from ..plain import BETA1, BETA2, EPSILON, PlainSteps
from ..protocol import Gaussians, Moments, Rendering
from . import kernels, self_check

CARD = torch.device("cuda")
TILE_PX = 16  # the side of the squares that the kernels blend at a time


class CudaRasterizer(PlainSteps):
    """The `Rasterizer` protocol on an NVIDIA card.

    A step is queued whole before the first number of it is read: what the card is asked while it works makes it wait.
    """

    name = "cuda"

    def __init__(
        self,
        rules: PictureRules = DEFAULT_RULES,
        antialiased: bool = False,
        blend_space: str = DISPLAY,
        device: torch.device = CARD,
    ):
        """`antialiased`: Yu et al. 2024, Mip-Splatting. `blend_space`: see blend_space.py.

        Raises ValueError for rules other than those that gsplat is compiled for.
        """
        rules.require_default("alpha_cap", "alpha_cutoff", "image_margin", "transmittance_stop")
        self.device = device
        self.rules = rules
        self.antialiased = antialiased
        self.blend_space = blend_space
        self._in_linear_light = is_linear(blend_space)
        self._seen: dict[int, _View] = {}
        self._largest: Tensor | None = None  # of each parameter in the last step; NaN or infinite if one number is

    def prepare(self, announce: Callable[[str], None]) -> None:
        """See `Rasterizer.prepare`: gsplat's kernels are built for this card, once, in some minutes, and the card is
        compared with the CPU, once, in some seconds. Raises SetupError, too, when it does not draw the same."""
        torch.backends.cudnn.allow_tf32 = False  # SSIM subtracts squares of means: 10 bits do not hold them apart
        torch.backends.cuda.matmul.allow_tf32 = False
        if not kernels.came_with_gsplat():
            capability = torch.cuda.get_device_capability()
            there = kernels.architectures()
            if not kernels.runs_on(there, capability):
                announce("building CUDA kernels once, this takes minutes")
                kernels.build([*there, ".".join(map(str, capability))], announce)
        kernels.load()
        if self_check.kept() is None:
            announce("comparing the card with the CPU once")
            self_check.keep(self_check.check(lambda space: CudaRasterizer(blend_space=space)))
        self_check.require_passed()

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
        """See `Rasterizer.render`. Parameters that are not finite raise SplatError here or, where a step is made of it,
        from `value_of`."""
        from gsplat import fully_fused_projection, rasterize_to_pixels

        if len(gaussians.means) == 0:
            return _empty(camera, background)
        self._look_at(gaussians)
        view = self._view(camera)
        opacities = gaussians.logit_opacities.sigmoid()
        radii, means_px, depths, conics, dimming = fully_fused_projection(
            gaussians.means,
            None,
            gaussians.quaternions,
            gaussians.log_scales.exp(),
            view.camera_from_world,
            view.image_from_camera,
            camera.width,
            camera.height,
            eps2d=self.rules.dilation_px2,
            near_plane=self.rules.near_plane,
            packed=False,
            calc_compensations=self.antialiased,
            opacities=opacities,
        )
        colors = _colors(gaussians, view.position, sh_degree, (radii > 0).all(dim=-1))
        if self._in_linear_light:
            colors, background = decode_srgb(colors), decode_srgb(background)
        blended, alphas = rasterize_to_pixels(
            means_px,
            conics,
            torch.cat([colors, depths[..., None]], dim=-1) if with_depth else colors,
            opacities[None] if dimming is None else opacities[None] * dimming,
            camera.width,
            camera.height,
            TILE_PX,
            *_tiles(means_px, radii, depths, camera),
        )
        if screen_offsets_px is not None and means_px.requires_grad:
            _hand_over_gradient(means_px, screen_offsets_px)
        alpha = alphas[0, ..., 0]
        image = blended[0, ..., :3] + (1 - alpha)[..., None] * background
        if self._in_linear_light:
            image = encode_srgb(image)
        depth = blended[0, ..., 3] / alpha.clamp_min(1e-10) if with_depth else None
        return Rendering(image, alpha, depth, radii[0].amax(dim=-1).float())

    def value_of(self, loss: Tensor) -> float:
        """See `Rasterizer.value_of`: all that a step reads; with the number comes whether its gaussians were finite."""
        if self._largest is None:
            return float(loss.detach())
        value, *largest = torch.cat([loss.detach().reshape(1), self._largest]).tolist()
        _require_finite(largest)
        return value

    @torch.no_grad()
    def adam_step(
        self,
        parameters: Sequence[Tensor],
        gradients: Sequence[Tensor],
        moments: Sequence[Moments],
        rates: Sequence[float | Tensor],
        step: int,
    ) -> None:
        """See `Rasterizer.adam_step`: one pass over each parameter, which is limited by the card's memory.

        A pattern of rates (K, 3) has one rate for its first row and one for all others.
        """
        count = torch.full((), float(step), device=self.device)
        for parameter, gradient, moment, rate in zip(parameters, gradients, moments, rates, strict=True):
            first, others = (float(rate[0, 0]), float(rate[-1, 0])) if isinstance(rate, Tensor) else (rate, rate)
            torch._fused_adam_(
                [parameter], [gradient], [moment.mean], [moment.square], [], [count],
                lr=others, beta1=BETA1, beta2=BETA2, weight_decay=0.0, eps=EPSILON, amsgrad=False, maximize=False,
            )  # fmt: skip
            if first != others:
                mean, square = moment.mean[:, 0], moment.square[:, 0]
                length = (square / (1 - BETA2**step)).sqrt_().add_(EPSILON)
                parameter[:, 0].addcdiv_(mean, length, value=(others - first) / (1 - BETA1**step))

    def _view(self, camera: Camera) -> "_View":
        """A camera's numbers on the card: they are uploaded once."""
        view = self._seen.get(id(camera))
        if view is None:
            view = self._seen[id(camera)] = _View.of(camera, self.device)
        return view

    def _look_at(self, gaussians: Gaussians) -> None:
        """Find the largest number of each parameter: read at once where nothing is learned, else with the loss."""
        largest = torch.stack(torch._foreach_norm([values.detach() for values in gaussians], torch.inf))
        if torch.is_grad_enabled():
            self._largest = largest
        else:
            _require_finite(largest.tolist())


class _View(NamedTuple):
    """A camera on the card; `camera` itself is kept so that no other takes its identity."""

    camera: Camera
    camera_from_world: Tensor  # (1, 4, 4)
    image_from_camera: Tensor  # (1, 3, 3)
    position: Tensor  # (3,)

    @classmethod
    def of(cls, camera: Camera, device: torch.device) -> "_View":
        options = {"dtype": torch.float32, "device": device}
        intrinsics = torch.tensor([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]], **options)
        pose, position = (torch.tensor(values, **options) for values in (camera.camera_from_world, camera.position))
        return cls(camera, pose[None], intrinsics[None], position)


def _colors(gaussians: Gaussians, position: Tensor, sh_degree: int, is_seen: Tensor) -> Tensor:
    """Display-encoded colors (1, N, 3) of the gaussians that are seen (1, N); the others' are not written."""
    from gsplat import spherical_harmonics

    directions = gaussians.means - position
    return torch.clamp_min(spherical_harmonics(sh_degree, directions[None], gaussians.sh[None], is_seen) + 0.5, 0.0)


def _tiles(means_px: Tensor, radii: Tensor, depths: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Where the list of each tile of the picture begins (1, rows, columns), and the lists, near to far."""
    from gsplat import isect_offset_encode, isect_tiles

    across, down = -(-camera.width // TILE_PX), -(-camera.height // TILE_PX)
    _, keys, listed = isect_tiles(means_px, radii, depths, TILE_PX, across, down)
    return isect_offset_encode(keys, 1, across, down), listed


def _hand_over_gradient(means_px: Tensor, offsets: Tensor) -> None:
    """What arrives at gsplat's projected means (1, N, 2) becomes the gradient of the offsets (N, 2)."""

    def keep(gradient: Tensor) -> None:
        offsets.grad = gradient[0].detach().clone()

    means_px.register_hook(keep)


def _require_finite(largest: Sequence[float]) -> None:
    """Raise SplatError where the largest number of a parameter is not finite."""
    for name, value in zip(Gaussians._fields, largest, strict=True):
        if not math.isfinite(value):
            raise SplatError(
                f"Some gaussians have {name.replace('_', ' ')} that are not finite.",
                "Lower the learning rates and start again from the last snapshot.",
            )


def _empty(camera: Camera, background: Tensor) -> Rendering:
    """No gaussians: gsplat cannot draw that."""
    flat = background.new_zeros(camera.height, camera.width)
    return Rendering(background.expand(camera.height, camera.width, 3), flat, flat, background.new_zeros(0))
