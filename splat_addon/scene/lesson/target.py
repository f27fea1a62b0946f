"""The pixels that are fitted: a built-in image, or an image of the file as it is now."""

import bpy
import numpy as np

from ...errors import LessonError
from ...lesson import targets


def read_target(chosen) -> tuple[np.ndarray, list[str]]:
    """(H, W, 3) 0..1, top row first, and sentences about what was done to it. Raises LessonError."""
    if chosen.target != "IMAGE":
        return targets.builtin(chosen.target.lower(), chosen.side_px), []
    image = chosen.image
    if image is None:
        raise LessonError("No image is chosen.", "Choose one, or a built-in target.")
    width, height = image.size
    if not (width and height) and image.source != "VIEWER":
        image.update()  # what was never shown is not loaded yet
        width, height = image.size
    targets.require_readable(width, height, image.name)
    pixels = np.empty(width * height * 4, np.float32)
    try:
        image.pixels.foreach_get(pixels)
    except (RuntimeError, TypeError) as error:  # its file is gone, or it has tiles or a viewer's buffer
        raise LessonError(
            f"The pixels of the image '{image.name}' cannot be read.", "Reload it, or save it as a plain image."
        ) from error
    pixels = pixels.reshape(height, width, 4)[::-1]
    alpha = pixels[..., 3:]
    if image.is_float and image.alpha_mode == "PREMUL" and (alpha < 1).any():
        pixels = np.concatenate([pixels[..., :3] / np.maximum(alpha, 1e-6), alpha], axis=2)
    is_linear = bool(image.is_float) and not image.colorspace_settings.is_data
    return targets.prepare(pixels, is_linear, chosen.side_px)


def is_missing(chosen) -> bool:
    """Whether an image is to be fitted that was deleted or not chosen."""
    return chosen.target == "IMAGE" and (chosen.image is None or not isinstance(chosen.image, bpy.types.Image))
