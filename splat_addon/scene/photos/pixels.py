"""Photos read and written through Blender, which brings the decoders."""

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...capture.camera import Camera
from ...capture.photos.undistort import undistorted_photo
from ...errors import CaptureError
from ...gaussians.srgb import encode_srgb

_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
    ".bmp": "BMP",
}
_QUALITY = 97


def write_undistorted(photo: Path, camera: Camera, pinhole: Camera, target: Path) -> None:
    """Write what `pinhole` sees of `photo`, which `camera` took, in the same format. Raises CaptureError."""
    image: Any = None
    try:
        image = bpy.data.images.load(str(photo), check_existing=False)
    except RuntimeError as error:
        raise CaptureError(f"The photo {photo} cannot be read.", "Replace the file, or remove it.") from error
    try:
        width, height = image.size
        if not width or not height:
            raise CaptureError(f"The photo {photo} cannot be read.", "Replace the file, or remove it.")
        pixels = np.empty(width * height * image.channels, np.float32)
        image.pixels.foreach_get(pixels)
        pixels = pixels.reshape(height, width, -1)[::-1]
        result = undistorted_photo(pixels, camera.resized(width, height), pinhole.resized(width, height))
        image.pixels.foreach_set(np.ascontiguousarray(result[::-1]).ravel())
        image.file_format = _FORMATS.get(target.suffix.lower(), "PNG")
        try:
            image.save(filepath=str(target), quality=_QUALITY)
        except RuntimeError as error:
            raise CaptureError(f"{target} cannot be written.", "Choose a folder with space.") from error
    finally:
        bpy.data.images.remove(image)


def read_pixels(path: Path) -> np.ndarray | None:
    """(H, W, 4) bytes of a photo with straight alpha, first row on top; None when it cannot be read."""
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError:
        return None
    try:
        width, height = image.size
        if not width or not height:
            return None
        image.alpha_mode = "STRAIGHT"
        values = np.empty(width * height * image.channels, dtype=np.float32)
        image.pixels.foreach_get(values)
        values = values.reshape(height, width, image.channels)[::-1]
        if image.is_float:  # 16 bits: Blender has decoded it
            values = np.concatenate([encode_srgb(values[..., :3]), values[..., 3:]], axis=2)
        if values.shape[2] < 3:
            values = np.repeat(values[..., :1], 3, axis=2)
        if values.shape[2] == 3:
            values = np.concatenate([values, np.ones((height, width, 1), dtype=np.float32)], axis=2)
        return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    finally:
        bpy.data.images.remove(image)
