"""What Blender brings for reading and writing splat files: decoders of images, and USD."""

import tempfile
from pathlib import Path
from typing import Any, cast

import bpy
import numpy as np

from ....files import remove_folder


def pixels_of(data: bytes) -> np.ndarray:
    """(H, W, 4) uint8 of the bytes of an image file, as stored, top row first. Raises ValueError when they are none."""
    image = bpy.data.images.new("Splats", 1, 1, alpha=True)
    try:
        image.colorspace_settings.name = "Non-Color"
        image.pack(data=cast(Any, data), data_len=len(data))
        image.source = "FILE"
        width, height = image.size
        if width * height == 0 or image.channels != 4:
            raise ValueError("not an image")
        values = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(values)
        return np.rint(values.reshape(height, width, 4) * 255).astype(np.uint8)[::-1]
    finally:
        bpy.data.images.remove(image)


def webp_of(pixels: np.ndarray) -> bytes:
    """A lossless WebP of (H, W, 4) uint8; what is under an alpha of 0 becomes black."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("Splats", width, height, alpha=True)
    place = Path(tempfile.mkdtemp(dir=bpy.app.tempdir)) / "texels.webp"
    try:
        image.colorspace_settings.name = "Non-Color"
        image.pixels.foreach_set((pixels[::-1] / np.float32(255)).ravel())
        image.file_format, image.filepath_raw = "WEBP", str(place)
        image.save(quality=100)
        return place.read_bytes()
    finally:
        bpy.data.images.remove(image)
        remove_folder(place.parent)


def expose_usd(*paths: Path) -> None:
    """Let Python import Blender's USD (from 4.4 on it is hidden at first), where one of the files is of it."""
    expose: Any = getattr(bpy.utils, "expose_bundled_modules", None)
    if expose is not None and any(path.suffix.lower().startswith(".usd") for path in paths):
        expose()
