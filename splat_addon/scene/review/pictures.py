"""Photos and renders as the graphics card draws them: the numbers of the file, untouched by color management."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import gpu
import numpy as np

from ...capture.photos.orientation import AS_STORED, turned
from ...errors import CaptureError

_GPU: Any = gpu.types  # the type stubs know nothing of its arguments


@dataclass
class Picture:
    """`pixels` (H, W, 4) float32, display-encoded 0..1, opaque, bottom row first. They go when the card has them."""

    path: Path
    width: int
    height: int
    pixels: np.ndarray | None
    has_alpha: bool
    _texture: Any = None

    def texture(self) -> Any:
        """The picture on the graphics card; only where something is being drawn."""
        if self._texture is None:
            assert self.pixels is not None
            numbers = np.ascontiguousarray(self.pixels, dtype=np.float32).ravel()
            buffer = _GPU.Buffer("FLOAT", len(numbers), numbers)
            self._texture = _GPU.GPUTexture((self.width, self.height), format="RGBA8", data=buffer)
            self.pixels = None
        return self._texture


def read_picture(path: Path, orientation: int = AS_STORED, size_limit: int = 8192) -> Picture:
    """Read an image file, a photo turned by the `orientation` of its view. Transparent parts are put over white, as
    training compares them.

    Longer sides than `size_limit` pixels are reduced by a whole number. Raises CaptureError, naming the file.
    """
    pixels = np.ascontiguousarray(turned(_pixels_of(path)[::-1], orientation)[::-1])
    reduction = -(-max(pixels.shape[:2]) // size_limit)
    if reduction > 1:
        height, width = (side // reduction * reduction for side in pixels.shape[:2])
        blocks = pixels[:height, :width].reshape(height // reduction, reduction, width // reduction, reduction, 4)
        pixels = blocks.mean(axis=(1, 3), dtype=np.float32)
    alpha = pixels[..., 3:]
    has_alpha = bool((alpha < 1).any())
    if has_alpha:
        pixels[..., :3] = pixels[..., :3] * alpha + (1 - alpha)
        pixels[..., 3] = 1
    return Picture(path, pixels.shape[1], pixels.shape[0], pixels, has_alpha)


def _pixels_of(path: Path) -> np.ndarray:
    """(H, W, 4) the file's own numbers, straight alpha, bottom row first. No trace of it stays in the .blend."""
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise CaptureError(f"The image {path} is missing or cannot be read.", "Put it back, or train again.") from error
    try:
        image.colorspace_settings.is_data = True
        image.alpha_mode = "CHANNEL_PACKED"
        width, height = image.size
        if not (width and height):
            raise CaptureError(f"The image {path} cannot be read.", "Put an intact file there, or train again.")
        pixels = np.empty(width * height * 4, dtype=np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)
