"""The numbers in an image file, as they are stored: for splats that are kept in images."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError


def pixels_of(data: bytes) -> np.ndarray:
    """(H, W, 4) uint8 of the bytes of an image file. Raises ValueError when they are none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError("not an image") from error


def webp_of(pixels: np.ndarray) -> bytes:
    """A lossless WebP of (H, W, 4) uint8."""
    output = io.BytesIO()
    Image.fromarray(pixels).save(output, "WEBP", lossless=True, exact=True, method=2)
    return output.getvalue()
