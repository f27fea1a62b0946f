"""Held-out quality: what the training never saw, rendered and compared."""

import math
from pathlib import Path

import torch

from ..run.events import Evaluated, ViewQuality
from ..run.folder import RunFolder
from .images import Photo, read_png, save_png
from .metrics import psnr_db, ssim
from .model import GaussianModel
from .rasterize import Rasterizer


@torch.no_grad()
def evaluate(
    model: GaussianModel, rasterizer: Rasterizer, photos: list[Photo], sh_degree: int, step: int, folder: RunFolder
) -> Evaluated:
    """Render every held-out view into `held_out/step_…/` and compare. Renders keep alpha where their photo has it."""
    renders = folder.renders_folder(step)
    qualities = []
    for photo in photos:
        background = torch.full((3,), photo.backdrop, device=rasterizer.device)
        rendering = rasterizer.render(model.gaussians, photo.camera, background, sh_degree=sh_degree)
        image = rendering.image.clamp(0, 1)
        target, mask = photo.over(background), photo.mask_on(rasterizer.device)
        qualities.append(ViewQuality(photo.name, psnr_db(image, target, mask), ssim(image, target, mask)))
        path = renders / f"{photo.name}.png"
        if photo.alpha is None:
            save_png(path, image)
        else:
            alpha = rendering.alpha[..., None]
            straight = (rendering.image - photo.backdrop * (1 - alpha)) / alpha.clamp_min(1e-6)
            save_png(path, straight, rendering.alpha)
    return Evaluated(
        step=step,
        psnr_db=_mean([quality.psnr_db for quality in qualities]),
        ssim=_mean([quality.ssim for quality in qualities]),
        gaussian_count=len(model),
        folder=renders.relative_to(folder.path).as_posix(),
        views=tuple(qualities),
    )


@torch.no_grad()
def save_contact_sheet(path: Path, photos: list[Photo], first: Path, last: Path) -> None:
    """One row per held-out view: photo, render in folder `first`, render in folder `last`, its difference x 4."""
    white = torch.ones(3)
    rows = []
    for photo in photos:
        target = photo.over(white)
        renders = [read_png(folder / f"{photo.name}.png") for folder in (first, last)]
        difference = ((renders[1] - target).abs() * 4).clamp(0, 1)
        rows.append(torch.cat([target, *renders, difference], dim=1))
    width = max(row.shape[1] for row in rows)
    padded = [torch.nn.functional.pad(row, (0, 0, 0, width - row.shape[1]), value=1.0) for row in rows]
    save_png(path, torch.cat(padded))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
