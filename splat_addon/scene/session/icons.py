"""Pictures of our own in panels, as icons."""

from typing import Any

import numpy as np


def set_pixels(preview: Any, pixels: np.ndarray) -> None:
    """Let an icon of `bpy.utils.previews` show (H, W, 3) uint8, top row first."""
    height, width = pixels.shape[:2]
    full = np.full((height, width, 4), 255, np.uint8)
    full[..., :3] = pixels[::-1]
    if tuple(preview.image_size) != (width, height):
        preview.image_size = (width, height)
    preview.image_pixels.foreach_set(full.view(np.int32).ravel())
