"""Rendering gaussians differentiably: one protocol, several backends. The trainer's loop knows no more than that.

The map:

    protocol.py     what every backend takes, gives and can do: `Gaussians`, `Rendering`, `Moments`, `Rasterizer`
    blend_space.py  the light in which colors are blended, and the way into and out of it
    quaternions.py  rotations of stored quaternions
    plain.py        loss, optimizer and background in plain PyTorch, for backends that have nothing faster
    cpu/            kernels that numba compiles, for any processor: the backend that always works
    cuda/           gsplat, for NVIDIA cards, and what it needs on this machine
    reference/      equations, textbook and plain PyTorch tiles: what judges the others; not shipped

`choose` picks one.
"""

from ...gaussians.rules import DEFAULT_RULES, PictureRules
from .protocol import Rasterizer


def choose(
    device: str, blend_space: str = "display", rules: PictureRules = DEFAULT_RULES, antialiased: bool = False
) -> Rasterizer:
    """The backend for `device`: "cpu", "cuda", or "auto", which is a card that has passed its self-check on this
    machine (`cuda/self_check.py`), and else the CPU.

    `blend_space` is "display", or "blender" for linear light: see blend_space.py. The backend draws by `rules`, and
    `antialiased` lets opacities make up for the dilation: see `gaussians/rules.py`.

    Raises SetupError, with the remedy, when CUDA is asked for and something is missing.
    """
    if device != "cpu":
        from .cuda import doctor

        if device == "cuda":
            doctor.require_cuda()
        if device == "cuda" or doctor.is_proven():
            from .cuda.rasterizer import CudaRasterizer

            return CudaRasterizer(rules, antialiased, blend_space)
    from .cpu.rasterizer import CpuRasterizer

    return CpuRasterizer(rules=rules, antialiased=antialiased, blend_space=blend_space)
