"""Held-out quality: what the training never saw, rendered and compared."""

import contextlib
import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...capture.file_names import renders_of
from ...run.events import Evaluated, ViewQuality
from ...run.folder import RunFolder
from ..backend.blend_space import straight_color
from ..backend.protocol import Rasterizer, Rendering
from ..model import GaussianModel
from ..photos.photo import Photo, save_png
from ..photos.store import Photos
from .metrics import psnr_db, ssim

TRAINING_VIEWS = 8  # that are measured in addition to the held-out ones, spread over all


@torch.no_grad()
def evaluate(
    model: GaussianModel,
    rasterizer: Rasterizer,
    photos: Photos,
    sh_degree: int,
    step: int,
    folder: RunFolder,
    tell_alive: Callable[[], None] = lambda: None,
    writing: Callable[[str], contextlib.AbstractContextManager[None]] = lambda name: contextlib.nullcontext(),
) -> Evaluated:
    """Render every held-out view into `held_out/step_…/` and compare. Renders keep alpha where their photo has it.

    `tell_alive` is called before each view: a parent that waits for the end must not take many views for silence.
    Renders are written within `writing` their folder, which may keep OSError from ending the measurement.
    """
    renders = folder.renders_folder(step)
    files = renders_of(renders, [photo.name for photo in photos.held_out])
    qualities = []
    for photo in photos.held_out:
        tell_alive()
        rendering, image, target = _look(model, rasterizer, photo, sh_degree)
        mask = photo.mask_on(rasterizer.device)
        qualities.append(ViewQuality(photo.name, psnr_db(image, target, mask), ssim(image, target, mask)))
        path = files[photo.name]
        with writing(folder.held_out_folder.name):
            if photo.alpha is None:
                save_png(path, image)
            else:
                save_png(path, straight_color(rendering, photo.backdrop, rasterizer.blend_space), rendering.alpha)
    trained = []
    for photo in photos.training[:: max(1, len(photos.training) // TRAINING_VIEWS)][:TRAINING_VIEWS]:
        tell_alive()
        _, image, target = _look(model, rasterizer, photo, sh_degree)
        trained.append(psnr_db(image, target, photo.mask_on(rasterizer.device)))
    return Evaluated(
        step=step,
        psnr_db=_mean([quality.psnr_db for quality in qualities]),
        ssim=_mean([quality.ssim for quality in qualities]),
        gaussian_count=len(model),
        folder=renders.relative_to(folder.path).as_posix(),
        views=tuple(qualities),
        train_psnr_db=_mean(trained),
    )


def _look(
    model: GaussianModel, rasterizer: Rasterizer, photo: Photo, sh_degree: int
) -> tuple[Rendering, Tensor, Tensor]:
    """The rendering through a photo's camera, its image 0..1, and the photo as it should look."""
    background = torch.full((3,), photo.backdrop, device=rasterizer.device)
    rendering = rasterizer.render(model.gaussians, photo.camera, background, sh_degree=sh_degree)
    return rendering, rendering.image.clamp(0, 1), photo.over(background, rasterizer.over)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
