"""Photos as training sees them: reduced to Max Resolution, without lens distortion, with their coverage."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ...capture.camera import Camera
from ...capture.capture import View
from ...errors import CaptureError
from ...files import open_regular, written_aside


@dataclass(frozen=True)
class Photo:
    """One view ready for training; values are display-encoded, kept as bytes."""

    name: str
    camera: Camera  # without distortion, at the size of `rgb`
    rgb: Tensor  # (H, W, 3) uint8, straight (not multiplied by alpha)
    alpha: Tensor | None  # (H, W) uint8, None when the photo is opaque everywhere
    mask: Tensor | None  # (H, W) bool, False where a pixel must not count; None when all do

    def over(self, background: Tensor, blend: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None) -> Tensor:
        """(H, W, 3) float 0..1 composited over `background` (3,), on the background's device.

        `blend` is the rasterizer's `over`, so that photos are blended as its gaussians are; without it, as displayed.
        """
        rgb = self.rgb.to(background.device, torch.float32).mul_(1 / 255)
        if self.alpha is None:
            return rgb
        alpha = self.alpha.to(background.device, torch.float32).mul_(1 / 255)
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
        counts = torch.ones(self.rgb.shape[:2], dtype=torch.bool) if self.mask is None else self.mask
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
            mask = avg_pool2d(mask[:height, :width][None, None].float(), 2)[0, 0] > 0.99
        camera = replace(self.camera, width=width, height=height).resized(width // 2, height // 2)
        pixels = rgb[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)
        return Photo(self.name, camera, pixels.contiguous(), alpha, mask)

    def mask_on(self, device: torch.device) -> Tensor | None:
        return None if self.mask is None else self.mask.to(device)


def load_photo(view: View, max_resolution: int) -> Photo:
    """Decode, reduce and undistort a view's photo and its mask.

    Raises CaptureError, naming it, when one cannot be read or does not fit.
    """
    camera = view.camera
    image = open_image(view.image_path, "photo", camera.width / camera.height)
    if not _has_proportion(image, camera.width / camera.height):
        raise CaptureError(
            f"The photo {view.image_path.name} is {image.width} x {image.height}, its camera"
            f" {camera.width} x {camera.height}.",
            "Use the photos that the cameras were measured on, not rotated or cropped.",
        )
    proportion = image.width / image.height
    image = _reduced(image, max_resolution)
    camera = camera.resized(*image.size)
    planes = torch.from_numpy(np.array(image))
    has_alpha = planes.shape[2] == 4
    keep = None if view.mask_path is None else _load_mask(view.mask_path, proportion, image.size)
    if keep is not None:
        planes = torch.cat([planes, keep[..., None]], dim=2)
    inside = None
    if any(camera.distortion):
        planes, inside = undistort(planes, camera)
        camera = camera.without_distortion()
    alpha = planes[..., 3].contiguous() if has_alpha else None
    if alpha is not None and bool((alpha == 255).all()):
        alpha = None
    mask = inside
    if keep is not None:
        kept = planes[..., -1] > 127
        mask = kept if inside is None else kept & inside
    return Photo(view.name, camera, planes[..., :3].contiguous(), alpha, mask)


def open_image(path: Path, what: str = "photo", proportion: float | None = None) -> Image.Image:
    """A photo or mask in 8 bits, RGB or RGBA, turned as its EXIF record says. Raises CaptureError.

    Programs that measure cameras often ignore that record: where only the pixels as stored have the `proportion`
    (width by height) of the camera, they stay as they are.
    """
    try:
        with open_regular(path) as opened, Image.open(opened) as file:
            image = ImageOps.exif_transpose(file)
            if proportion is not None and not _has_proportion(image, proportion) and _has_proportion(file, proportion):
                image = file
            if image.mode.startswith("I"):  # 16-bit gray, which Pillow's own conversion would clip
                image = _from_16_bits(image, what, path)
            elif image.mode == "F":
                raise _of_another_depth(what, path, "floating-point values")
            has_alpha = "A" in image.getbands() or "transparency" in image.info
            return image.convert("RGBA" if has_alpha else "RGB")
    except CaptureError:
        raise
    except MemoryError as error:
        raise CaptureError(f"There is not enough memory for the {what} {path}.", "Make it smaller.") from error
    except Exception as error:  # Pillow's decoders raise nearly everything when a file is broken
        raise CaptureError(f"The {what} {path} cannot be read.", "Replace the file, or remove it.") from error


def _from_16_bits(image: Image.Image, what: str, path: Path) -> Image.Image:
    """Gray of 16 bits in 8; Pillow also gives it as 32 bits."""
    values = np.asarray(image)
    if values.size and (values.min() < 0 or values.max() > 65535):
        raise _of_another_depth(what, path, "values of 32 bits")
    return Image.fromarray((values / 257).round().astype(np.uint8))


def _of_another_depth(what: str, path: Path, values: str) -> CaptureError:
    return CaptureError(
        f"The {what} {path} holds {values}, whose black and white are not known.",
        "Save it with 8 or 16 bits per channel.",
    )


def _reduced(image: Image.Image, max_resolution: int) -> Image.Image:
    reduction = max(1.0, max(image.size) / max_resolution)
    size = (max(1, round(image.width / reduction)), max(1, round(image.height / reduction)))
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling.BOX if reduction >= 2 else Image.Resampling.LANCZOS)


def _load_mask(path: Path, proportion: float, size: tuple[int, int]) -> Tensor:
    """(H, W) uint8, 255 = keep, at a photo's `size`. Raises CaptureError when it cannot be read or does not fit."""
    mask = open_image(path, "mask", proportion)
    if not _has_proportion(mask, proportion):
        raise CaptureError(
            f"The mask {path} is {mask.width} x {mask.height}, its photo {size[0]} x {size[1]}.",
            "Make masks in the proportions of their photos: white where a pixel counts, black where not.",
        )
    gray = mask.convert("L")
    return torch.from_numpy(np.array(gray if gray.size == size else gray.resize(size, Image.Resampling.BILINEAR)))


def _has_proportion(image: Image.Image, proportion: float) -> bool:
    return abs(image.width / image.height / proportion - 1) <= 0.02


def undistort(pixels: Tensor, camera: Camera) -> tuple[Tensor, Tensor | None]:
    """What a lens without distortion would have seen of `pixels` (H, W, C) uint8, and where (H, W) the photo shows it.

    Bilinear. Each ideal pixel looks up the place where the lens has put it.
    """
    across, down = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    slopes = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy], axis=2).reshape(-1, 2)
    source = camera.distort(slopes) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    source = source.reshape(camera.height, camera.width, 2)
    grid = torch.from_numpy(source / (camera.width, camera.height) * 2 - 1).float()[None]
    planes = pixels.permute(2, 0, 1)[None].float()
    sampled = torch.nn.functional.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
    inside = ((source >= 0) & (source <= (camera.width, camera.height))).all(axis=2)
    mask = None if inside.all() else torch.from_numpy(inside)
    return sampled[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8), mask


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
