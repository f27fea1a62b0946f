"""Photos as training sees them: reduced to Max Resolution, without lens distortion, with their coverage."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ...capture.camera import Camera
from ...capture.capture import View
from ...capture.photos import masks
from ...capture.photos.masks import LEAST_SHARE
from ...capture.photos.reading import Decode, read_mask, read_photo
from ...capture.photos.undistort import undistorted_photo
from ...errors import CaptureError
from ...files import written_aside
from .decoding import decode

LITTLE_LEFT = "have less than 1 % of their pixels left by their masks"


@dataclass(frozen=True)
class Photo:
    """One view ready for training; values are display-encoded, kept as bytes."""

    name: str
    camera: Camera  # without distortion, at the size of `rgb`
    rgb: Tensor  # (H, W, 3) uint8, straight (not multiplied by alpha)
    alpha: Tensor | None  # (H, W) uint8, None when the photo is opaque everywhere
    mask: Tensor | None  # (H, W) bool, or uint8 with 255 = counts fully and grades; None when all pixels count
    notes: tuple[str, ...] = ()  # what the user should know, each continuing "Photos that"

    def over(self, background: Tensor, blend: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None) -> Tensor:
        """(H, W, 3) float 0..1 composited over `background` (3,), on the background's device.

        `blend` is the rasterizer's `over`, so that photos are blended as its gaussians are; without it, as displayed.
        """
        rgb = self.rgb.to(background.device).to(torch.float32).mul_(1 / 255)  # bytes travel, not floats
        if self.alpha is None:
            return rgb
        alpha = self.alpha.to(background.device).to(torch.float32).mul_(1 / 255)
        if blend is not None:
            return blend(rgb, alpha, background)
        return rgb * alpha[..., None] + background * (1 - alpha[..., None])

    @property
    def backdrop(self) -> float:
        """Gray value behind the splats: white behind photos with transparency, as the field's synthetic scenes have
        it; black behind opaque photos."""
        return 0.0 if self.alpha is None else 1.0

    @property
    def covered_pixels(self) -> int:
        """How many pixels count and show something: all of an opaque photo without a mask."""
        counts = torch.ones(self.rgb.shape[:2], dtype=torch.bool) if self.mask is None else self.mask != 0
        return int((counts if self.alpha is None else counts & (self.alpha > 127)).sum())

    def halved(self) -> "Photo":
        """The photo at half its size, each pixel the mean of four, colors weighted by alpha."""
        if min(self.rgb.shape[:2]) < 16:
            return self
        height, width = self.rgb.shape[0] // 2 * 2, self.rgb.shape[1] // 2 * 2
        rgb = self.rgb[:height, :width].permute(2, 0, 1)[None].float()
        alpha, mask = None, self.mask
        if self.alpha is not None:
            weights = self.alpha[:height, :width][None, None].float() / 255
            means = avg_pool2d(weights, 2)
            rgb = avg_pool2d(rgb * weights, 2) / means.clamp_min(1e-3)
            alpha = (means[0, 0] * 255).round().to(torch.uint8)
        else:
            rgb = avg_pool2d(rgb, 2)
        if mask is not None:
            mask = _halved_mask(mask[:height, :width])
        camera = replace(self.camera, width=width, height=height).resized(width // 2, height // 2)
        pixels = rgb[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
        return Photo(self.name, camera, pixels.contiguous(), alpha, mask)

    def mask_on(self, device: torch.device) -> Tensor | None:
        """(H, W) bool, or float 0..1: how much each pixel counts; None when all do."""
        if self.mask is None or self.mask.dtype == torch.bool:
            return None if self.mask is None else self.mask.to(device)
        return self.mask.to(device).to(torch.float32).mul_(1 / 255)


def _halved_mask(mask: Tensor) -> Tensor:
    """Of yes and no, what is yes in all four pixels, or in some where that would leave nothing; of grades, the mean."""
    means = avg_pool2d(mask[None, None].float(), 2)[0, 0]
    if mask.dtype != torch.bool:
        return means.round().to(torch.uint8)
    return means > 0.99 if bool((means > 0.99).any()) else means > 0


class NothingLeft(CaptureError):
    """A mask that leaves no pixel of its photo."""


def load_photo(view: View, max_resolution: int, decode: Decode = decode) -> Photo:
    """A view's photo and mask, reduced and undistorted.

    Raises CaptureError, naming it, when one cannot be read or does not fit, and NothingLeft.
    """
    read = read_photo(view, decode, lambda pixels: _reduced(pixels, max_resolution))
    pixels, notes = read.pixels, list(read.notes)
    height, width = pixels.shape[:2]
    camera = view.camera.resized(width, height)
    weights = read_mask(view, read.full_size, decode)
    if weights is not None:
        weights = _mask_at(weights, (width, height))
    if any(camera.distortion):
        distorted, camera = camera, camera.without_distortion()
        pixels, is_seen = undistorted_photo(pixels, distorted, camera)
        if weights is not None:
            grades, _ = undistorted_photo(weights[..., None].astype(np.uint8), distorted, camera)
            weights = grades[..., 0] if weights.dtype != bool else grades[..., 0] > 0
            weights = np.where(is_seen, weights, 0).astype(weights.dtype)
        elif not is_seen.all():
            weights = is_seen
    if weights is not None and view.mask_path is not None:
        share = np.count_nonzero(weights) / weights.size
        if share == 0:
            raise NothingLeft(
                f"The mask of {view.image_path.name} leaves nothing of it.",
                "Correct it: white where a pixel counts, black where not.",
            )
        if share < LEAST_SHARE:
            notes.append(LITTLE_LEFT)
    has_alpha = pixels.shape[2] == 4 and not bool((pixels[..., 3] == 255).all())
    return Photo(
        view.name,
        camera,
        torch.from_numpy(np.ascontiguousarray(pixels[..., :3])),
        torch.from_numpy(np.ascontiguousarray(pixels[..., 3])) if has_alpha else None,
        None if weights is None else torch.from_numpy(np.ascontiguousarray(weights)),
        tuple(notes),
    )


def _reduced(pixels: np.ndarray, max_resolution: int) -> np.ndarray:
    """Bytes (H, W, 3 or 4) with a longer side of at most `max_resolution`; Pillow weighs colors by alpha."""
    height, width = pixels.shape[:2]
    reduction = max(1.0, max(width, height) / max_resolution)
    size = (max(1, round(width / reduction)), max(1, round(height / reduction)))
    if size == (width, height):
        return pixels
    filtered = Image.Resampling.BOX if reduction >= 2 else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(pixels).resize(size, filtered))


def _mask_at(weights: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask's weights (h, w) at its photo's `size`, width and height: bool where they only say yes or no."""
    is_two_valued = masks.is_two_valued(weights)
    if weights.shape[::-1] != size:
        weights = np.array(Image.fromarray(weights).resize(size, Image.Resampling.BILINEAR))
    return weights > 127 if is_two_valued else weights


def save_png(path, image: Tensor, alpha: Tensor | None = None) -> None:
    """Write values 0..1, (H, W, 3), with straight `alpha` (H, W) if given, as 8-bit PNG, whole or not at all."""
    channels = image if alpha is None else torch.cat([image, alpha[..., None]], dim=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        Image.fromarray(pixels_of(channels)).save(aside, format="png")


def pixels_of(image: Tensor) -> np.ndarray:
    """Values 0..1, (H, W, channels), as bytes."""
    return (image.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def read_png(path) -> Tensor:
    """(H, W, 3) values 0..1 of a PNG that `save_png` wrote, over white."""
    with Image.open(path) as file:
        pixels = torch.from_numpy(np.array(file.convert("RGBA"))).float() / 255
    alpha = pixels[..., 3:]
    return pixels[..., :3] * alpha + (1 - alpha)
