"""Whether this card draws and differentiates as it should: three known scenes, judged by the CPU backend.

The result is kept beside the kernels, with all that it depends on. "auto" takes a card only if it has passed.
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....capture.camera import Camera
from ....environment.card import read_driver
from ....errors import SetupError
from ....files import written_aside
from ....gaussians.cloud import BLENDER, DISPLAY
from ..cpu.rasterizer import CpuRasterizer
from ..protocol import Gaussians, Rasterizer
from . import kernels

# The card sums in another order, with fast arithmetic: images to 1e-4 but for few pixels, on a cut-off, that fall to
# the other side; gradients to 1 % of their length.
IMAGE_TOLERANCE, IMAGE_SHARE, GRADIENT_TOLERANCE = 1e-4, 0.995, 1e-2
WIDTH_PX, HEIGHT_PX = 97, 61


@dataclass(frozen=True)
class Scene:
    """Gaussians in front of a camera at (0, 0, -4)."""

    name: str
    gaussians: dict[str, np.ndarray]
    blend_space: str


@dataclass(frozen=True)
class Verdict:
    """How far the card was off, in the worst of the scenes, and on what."""

    passed: bool
    image_error: float
    gradient_error: float
    worst: str
    seconds: float


def scenes() -> list[Scene]:
    """Three seeded scenes: many small gaussians, needles, large ones near an edge of the picture."""
    return [
        Scene("many small gaussians", _cloud(1, 400, -3.0), DISPLAY),
        Scene("needles", _cloud(2, 120, np.array([-0.5, -4.0, -4.0])), BLENDER),
        Scene("large gaussians", _cloud(3, 60, -0.7, shift=1.5), DISPLAY),
    ]


def _cloud(seed: int, count: int, log_scale, shift: float = 0.0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "means": random.normal(0, 0.8, (count, 3)) + [shift, 0, 0],
        "log_scales": random.normal(0, 0.4, (count, 3)) + log_scale,
        "quaternions": random.normal(size=(count, 4)),
        "logit_opacities": random.normal(0, 1.5, count),
        "sh": random.normal(0, 0.25, (count, 16, 3)),
    }


def compare(card: Rasterizer, judge: Rasterizer, scene: Scene) -> tuple[float, float, str]:
    """Error of the image (at `IMAGE_SHARE` of its values), the largest of gradients relative to their lengths, and of
    what."""
    expected, found = _step(judge, scene), _step(card, scene)
    image = float(np.quantile(np.abs(found["image"] - expected["image"]), IMAGE_SHARE))
    errors = {
        name: float(np.linalg.norm(found[name] - values)) / max(float(np.linalg.norm(values)), 1e-12)
        for name, values in expected.items()
        if name != "image"
    }
    worst = max(errors, key=lambda name: errors[name] if np.isfinite(errors[name]) else np.inf)
    return image, errors[worst], f"{worst} of {scene.name}"


def _step(rasterizer: Rasterizer, scene: Scene) -> dict[str, np.ndarray]:
    """The image of a scene and the gradients of a loss over it."""
    device = rasterizer.device
    gaussians = Gaussians(
        *(torch.tensor(scene.gaussians[name], dtype=torch.float32, device=device) for name in Gaussians._fields)
    )
    for parameter in gaussians:
        parameter.requires_grad_()
    offsets = torch.zeros(len(gaussians.means), 2, device=device, requires_grad=True)
    background = torch.full((3,), 0.25, device=device)
    image = rasterizer.render(gaussians, _camera(), background, sh_degree=3, screen_offsets_px=offsets).image
    (image * _weights(image.shape).to(device)).sum().backward()
    found = {"image": image, **{name: value.grad for name, value in gaussians._asdict().items()}}
    return {name: _numbers(value) for name, value in {**found, "screen offsets": offsets.grad}.items()}


def _camera() -> Camera:
    camera_from_world = np.eye(4)
    camera_from_world[2, 3] = 4.0
    focal_px = 1.1 * WIDTH_PX
    return Camera(
        width=WIDTH_PX, height=HEIGHT_PX, fx=focal_px, fy=focal_px, cx=WIDTH_PX / 2, cy=HEIGHT_PX / 2,
        camera_from_world=camera_from_world,
    )  # fmt: skip


def _weights(shape: torch.Size) -> Tensor:
    return torch.tensor(np.random.default_rng(9).normal(size=tuple(shape)), dtype=torch.float32)


def _numbers(values: Tensor | None) -> np.ndarray:
    return np.zeros(0) if values is None else values.detach().cpu().numpy().astype(np.float64)


def check(make_card, judge=CpuRasterizer) -> Verdict:
    """Compare the card with the CPU backend on all scenes. `make_card` takes a blend space.

    Raises SetupError when the card's memory is full, which says nothing of what it computes.
    """
    began = time.monotonic()
    results = []
    for scene in scenes():
        try:
            results.append(compare(make_card(scene.blend_space), judge(blend_space=scene.blend_space), scene))
        except torch.OutOfMemoryError as error:
            raise SetupError(
                "The NVIDIA card has no memory left to be compared with the CPU.",
                "Close what else uses it and start again, or set Device to CPU.",
            ) from error
        except (RuntimeError, ValueError) as error:  # a kernel that does not start, gradients of another shape
            results.append((np.inf, np.inf, f"{scene.name} ({str(error).splitlines()[0][:80]})"))
    image = max((image for image, _, _ in results), key=_badness)
    gradient = max((gradient for _, gradient, _ in results), key=_badness)
    worst = max(results, key=lambda result: _badness(result[1]))[2]
    passed = bool(image <= IMAGE_TOLERANCE and gradient <= GRADIENT_TOLERANCE)
    return Verdict(passed, float(image), float(gradient), worst, time.monotonic() - began)


def _badness(error: float) -> float:
    return float(error) if np.isfinite(error) else np.inf


def conditions() -> dict:
    """What a verdict holds for: the card, its driver, and all that computes on it."""
    properties = torch.cuda.get_device_properties(0)
    driver = read_driver()
    capability = f"{properties.major}.{properties.minor}"
    return {
        "card": f"{properties.name}, {properties.total_memory} bytes, compute {capability}",
        "driver": [driver.version, *driver.cuda] if driver else None,
        "torch": torch.__version__,
        "gsplat": kernels.GSPLAT_VERSION,
        "library": kernels.library().stat().st_size if kernels.library().is_file() else 0,
        "scenes": [scene.name for scene in scenes()],
    }


def require_passed() -> None:
    """Raise SetupError when the card has not passed."""
    verdict = kept()
    if verdict is not None and not verdict.passed:
        raise SetupError(
            f"The NVIDIA card does not draw as the CPU does (image off by {verdict.image_error:.1e}, gradients by"
            f" {verdict.gradient_error:.1e}, worst: {verdict.worst}).",
            "Update the NVIDIA driver, or set Device to CPU.",
        )


def result_file() -> Path:
    """Where the last verdict is kept."""
    return kernels.folder() / "self_check.json"


def kept() -> Verdict | None:
    """The verdict on this card as it is now; None when none was given, or something has changed since."""
    try:
        found = json.loads(result_file().read_text(encoding="utf-8"))
        if found["conditions"] != conditions():
            return None
        return Verdict(**found["verdict"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def keep(verdict: Verdict) -> None:
    """Write the verdict aside and into place."""
    result_file().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with written_aside(result_file()) as aside:
        aside.write_text(json.dumps({"conditions": conditions(), "verdict": asdict(verdict)}), encoding="utf-8")
