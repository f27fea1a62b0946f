"""Photos as a lens without distortion would have taken them. NumPy alone, so that Blender can do it too."""

from dataclasses import replace

import numpy as np

from ..camera import Camera

_ROWS_AT_ONCE = 64  # what is computed on then stays in a processor's cache


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
        source, is_shown = _source(camera, replace(ideal, fx=ideal.fx * zoom, fy=ideal.fy * zoom), places)
        return bool(is_shown.all() and (source >= 0).all() and (source <= (camera.width, camera.height)).all())

    low, high = 1.0, 1.0
    while not is_inside(high) and high < 8:
        low, high = high, high * 1.1
    for _ in range(20 if high > 1 else 0):
        half = (low + high) / 2
        low, high = (low, half) if is_inside(half) else (half, high)
    return replace(ideal, fx=ideal.fx * high, fy=ideal.fy * high)


def undistorted_photo(pixels: np.ndarray, camera: Camera, pinhole: Camera) -> tuple[np.ndarray, np.ndarray]:
    """What `pinhole` sees of the photo `pixels` (H, W, C) that `camera`, of the same size, took, and where (H, W) the
    photo shows it: neither beyond its border nor beyond the fold of the lens polynomial.

    Bilinear; with a fourth channel, which is straight alpha, colors are weighted by it. Bytes are rounded.
    """
    height, width, channels = pixels.shape
    result, is_seen = np.empty_like(pixels), np.empty((height, width), dtype=bool)
    flat = pixels.reshape(-1, channels)
    for top in range(0, height, _ROWS_AT_ONCE):
        rows = np.arange(top, min(top + _ROWS_AT_ONCE, height))
        across, down = np.meshgrid(np.arange(width) + 0.5, rows + 0.5)
        source, is_shown = _source(camera, pinhole, np.stack([across.ravel(), down.ravel()], axis=1))
        is_shown &= (source >= 0).all(axis=1) & (source <= (width, height)).all(axis=1)
        is_seen[rows] = is_shown.reshape(len(rows), width)
        source = np.clip(source - 0.5, 0, (width - 1, height - 1))
        first = np.minimum(source.astype(np.int32), (max(width - 2, 0), max(height - 2, 0)))
        right, below = (source - first).astype(np.float32).T[:, :, None]
        corner = first[:, 1].astype(np.int64) * width + first[:, 0]
        beside, under = int(width > 1), width * int(height > 1)
        four = [flat[corner + step] for step in (0, beside, under, under + beside)]
        shares = [(1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below]
        result[rows] = _blended(four, shares, pixels.dtype).reshape(len(rows), width, channels)
    return result, is_seen


def _blended(four: list[np.ndarray], shares: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    """(P, C) the mean of four pixels by their shares (P, 1), colors by their alpha as well where there is one."""
    alpha = None
    if four[0].shape[1] == 4:
        shares_of_alpha = [share * corner[:, 3:] for share, corner in zip(shares, four, strict=True)]
        alpha = sum(shares_of_alpha)
        is_clear = alpha <= 0
        shares = [np.where(is_clear, share, part) for share, part in zip(shares, shares_of_alpha, strict=True)]
    mean = sum(share * corner for share, corner in zip(shares, four, strict=True))
    if alpha is not None:
        mean[:, :3] /= np.where(alpha <= 0, 1, alpha)
        mean[:, 3:] = alpha
    return np.rint(mean).clip(0, 255).astype(dtype) if np.issubdtype(dtype, np.integer) else mean


def _source(camera: Camera, pinhole: Camera, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, 2) where the distorted photo shows what `pinhole` sees at `pixels`, and whether (P,) its lens reaches it."""
    slopes = (pixels - (pinhole.cx, pinhole.cy)) / (pinhole.fx, pinhole.fy)
    source = camera.distort(slopes) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    return source, camera.is_before_fold(slopes)
