"""The CUDA backend: gsplat 1.5.3 (Ye et al. 2024) behind the same door, in the same conventions.

gsplat's own strategies, exporters and trainers are not used: they have defects (opacity never reset, files emptied by
one NaN) and their command lines drift. Here only its `rasterization` is called, and in linear light its
`spherical_harmonics` before.
"""

import os
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from ....capture.camera import Camera
from ....errors import SetupError, SplatError
from ....gaussians.cloud import DISPLAY
from ....gaussians.rules import DEFAULT_RULES, PictureRules
from ..blend_space import decode_srgb, encode_srgb, is_linear
from ..plain import PlainSteps
from ..protocol import Gaussians, Rendering
from .doctor import EXTENSION_NAME, _kernels


class CudaRasterizer(PlainSteps):
    """The `Rasterizer` protocol on an NVIDIA card."""

    name = "cuda"

    def __init__(self, rules: PictureRules = DEFAULT_RULES, antialiased: bool = False, blend_space: str = DISPLAY):
        """`antialiased`: Yu et al. 2024, Mip-Splatting. `blend_space`: see blend_space.py.

        Raises ValueError for rules other than those that gsplat is compiled for.
        """
        rules.require_default("alpha_cap", "alpha_cutoff", "image_margin", "transmittance_stop")
        self.device = torch.device("cuda")
        self.rules = rules
        self.rasterize_mode = "antialiased" if antialiased else "classic"
        self.blend_space = blend_space
        self._in_linear_light = is_linear(blend_space)

    def prepare(self, announce: Callable[[str], None]) -> None:
        """See `Rasterizer.prepare`: gsplat compiles its kernels for this card, once, in some minutes."""
        if not _kernels().is_fine:
            announce("building CUDA kernels once, this takes minutes")
            major, minor = torch.cuda.get_device_capability()
            os.environ.setdefault("TORCH_CUDA_ARCH_LIST", f"{major}.{minor}")
        if sys.platform == "win32":
            _leave_gcc_flags_out()
        from gsplat.cuda import _backend

        if _backend._C is None:
            raise SetupError(
                f"gsplat's CUDA kernels ({EXTENSION_NAME}) could not be built.",
                "See the log of the run for the compiler's message, or set Device to CPU.",
            )

    def render(
        self,
        gaussians: Gaussians,
        camera: Camera,
        background: Tensor,
        *,
        sh_degree: int,
        screen_offsets_px: Tensor | None = None,
    ) -> Rendering:
        """See `Rasterizer.render`. Parameters that are not finite raise SplatError."""
        from gsplat import rasterization

        count = len(gaussians.means)
        if count == 0:
            return _empty(camera, background)
        _require_finite(gaussians)
        options = {"dtype": torch.float32, "device": self.device}
        intrinsics = torch.tensor([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]], **options)
        colors, degree = gaussians.sh, (None if self._in_linear_light else sh_degree)
        if self._in_linear_light:
            colors = decode_srgb(_colors(gaussians, camera, sh_degree))
            background = decode_srgb(background)
        blended, alphas, meta = rasterization(
            gaussians.means,
            gaussians.quaternions,
            gaussians.log_scales.exp(),
            gaussians.logit_opacities.sigmoid(),
            colors,
            torch.as_tensor(camera.camera_from_world, **options)[None],
            intrinsics[None],
            camera.width,
            camera.height,
            near_plane=self.rules.near_plane,
            eps2d=self.rules.dilation_px2,
            sh_degree=degree,
            packed=False,
            render_mode="RGB+ED",
            rasterize_mode=self.rasterize_mode,
        )
        if screen_offsets_px is not None and meta["means2d"].requires_grad:
            _hand_over_gradient(meta["means2d"], screen_offsets_px)
        alpha = alphas[0, ..., 0]
        image = blended[0, ..., :3] + (1 - alpha)[..., None] * background
        if self._in_linear_light:
            image = encode_srgb(image)
        return Rendering(image, alpha, blended[0, ..., 3], meta["radii"][0].amax(dim=-1).float())


def _colors(gaussians: Gaussians, camera: Camera, sh_degree: int) -> Tensor:
    """Display-encoded colors (N, 3) as `rasterization` makes them of harmonics; it hands none out in between."""
    from gsplat import spherical_harmonics

    center = torch.as_tensor(camera.position, dtype=torch.float32, device=gaussians.means.device)
    return torch.clamp_min(spherical_harmonics(sh_degree, gaussians.means - center, gaussians.sh) + 0.5, 0.0)


def _hand_over_gradient(means_px: Tensor, offsets: Tensor) -> None:
    """What arrives at gsplat's projected means (1, N, 2) becomes the gradient of the offsets (N, 2)."""

    def keep(gradient: Tensor) -> None:
        offsets.grad = gradient[0].detach().clone()

    means_px.register_hook(keep)


def _require_finite(gaussians: Gaussians) -> None:
    for name, values in zip(gaussians._fields, gaussians, strict=True):
        if not bool(torch.isfinite(values).all()):
            raise SplatError(
                f"Some gaussians have {name.replace('_', ' ')} that are not finite.",
                "Lower the learning rates and start again from the last snapshot.",
            )


def _empty(camera: Camera, background: Tensor) -> Rendering:
    """No gaussians: gsplat cannot draw that."""
    flat = background.new_zeros(camera.height, camera.width)
    return Rendering(background.expand(camera.height, camera.width, 3), flat, flat, background.new_zeros(0))


def _leave_gcc_flags_out() -> None:
    """gsplat 1.5.3 hands `-Wno-attributes` to Microsoft's compiler too, which refuses it (D8021)."""
    from torch.utils import cpp_extension

    compile_sources = cpp_extension._jit_compile

    def compile_without(name, sources, cflags, *others, **options):
        kept = [flag for flag in cflags or [] if not flag.startswith("-W")]
        return compile_sources(name, sources, kept, *others, **options)

    cpp_extension._jit_compile = compile_without
