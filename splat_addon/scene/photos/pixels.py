"""Photos read and written through Blender, which brings the decoders."""

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...capture.camera import Camera
from ...capture.photos.undistort import undistorted_photo
from ...errors import CaptureError

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
        raise CaptureError(f"The photo {photo} cannot be read.", "Replace the file or remove it.") from error
    try:
        width, height = image.size
        if not width or not height:
            raise CaptureError(f"The photo {photo} cannot be read.", "Replace the file or remove it.")
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
