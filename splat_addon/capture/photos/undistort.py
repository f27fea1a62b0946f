"""Photos as a lens without distortion would have taken them. NumPy alone, so that Blender can do it too."""

from dataclasses import replace

import numpy as np

from ..camera import Camera

_ROWS_AT_ONCE = 256


def pinhole_within(camera: Camera) -> Camera:
    """The pinhole camera of the same size that sees only what the distorted photo shows: zoomed in where it must."""
    ideal = camera.without_distortion()
    if not any(camera.distortion):
        return ideal
    along = np.linspace(0, 1, 33)
    edges = np.concatenate(
        [np.stack(pair, axis=1) for end in (0 * along, 0 * along + 1) for pair in ((along, end), (end, along))]
    )
    places = edges * (camera.width, camera.height)

    def is_inside(zoom: float) -> bool:
        source = _source(camera, replace(ideal, fx=ideal.fx * zoom, fy=ideal.fy * zoom), places)
        return bool((source >= 0).all() and (source <= (camera.width, camera.height)).all())

    low, high = 1.0, 1.0
    while not is_inside(high) and high < 8:
        low, high = high, high * 1.1
    for _ in range(20 if high > 1 else 0):
        half = (low + high) / 2
        low, high = (low, half) if is_inside(half) else (half, high)
    return replace(ideal, fx=ideal.fx * high, fy=ideal.fy * high)


def undistorted_photo(pixels: np.ndarray, camera: Camera, pinhole: Camera) -> np.ndarray:
    """(H, W, C) what `pinhole` sees of the photo `pixels` (H, W, C) that `camera`, of the same size, took; bilinear."""
    height, width = pixels.shape[:2]
    result = np.empty_like(pixels)
    for top in range(0, height, _ROWS_AT_ONCE):
        rows = np.arange(top, min(top + _ROWS_AT_ONCE, height))
        across, down = np.meshgrid(np.arange(width) + 0.5, rows + 0.5)
        source = _source(camera, pinhole, np.stack([across.ravel(), down.ravel()], axis=1)) - 0.5
        source = np.clip(source, 0, (width - 1, height - 1))
        first = np.minimum(source.astype(np.int64), (max(width - 2, 0), max(height - 2, 0)))
        right, below = (source - first).astype(np.float32).T[:, :, None]
        x, y = first.T
        x_next, y_next = np.minimum(x + 1, width - 1), np.minimum(y + 1, height - 1)
        upper = pixels[y, x] * (1 - right) + pixels[y, x_next] * right
        lower = pixels[y_next, x] * (1 - right) + pixels[y_next, x_next] * right
        result[rows] = (upper * (1 - below) + lower * below).reshape(len(rows), width, -1)
    return result


def _source(camera: Camera, pinhole: Camera, pixels: np.ndarray) -> np.ndarray:
    """(P, 2) where the distorted photo shows what `pinhole` sees at `pixels`."""
    slopes = (pixels - (pinhole.cx, pinhole.cy)) / (pinhole.fx, pinhole.fy)
    return camera.distort(slopes) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
