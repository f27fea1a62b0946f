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
    flat = _gatherable(pixels)
    beside, under = int(width > 1), width * int(height > 1)
    for top in range(0, height, _ROWS_AT_ONCE):
        rows = slice(top, min(top + _ROWS_AT_ONCE, height))
        across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(rows.start, rows.stop) + 0.5)
        source, is_shown = _source(camera, pinhole, np.stack([across.ravel(), down.ravel()], axis=1))
        x, y = np.ascontiguousarray(source.T)
        is_shown &= (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
        is_seen[rows] = is_shown.reshape(-1, width)
        left, right = _neighbors(x, width)
        upper, below = _neighbors(y, height)
        corner = upper * width + left
        four = [_gathered(flat, corner + step, channels) for step in (0, beside, under, under + beside)]
        shares = [(1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below]
        blended = _blended(four, [share[:, None] for share in shares], pixels.dtype)
        result[rows] = blended.reshape(-1, width, channels)
    return result, is_seen


def _neighbors(places: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first of the two pixels of a row of `count` that each place lies between, and how near the second it is."""
    places = np.clip(places - 0.5, 0, count - 1)
    first = np.minimum(places.astype(np.int64), max(count - 2, 0))
    return first, (places - first).astype(np.float32)


def _gatherable(pixels: np.ndarray) -> np.ndarray:
    """Pixels in a row. Four bytes are one number, which is looked up many times as fast as its parts."""
    flat = pixels.reshape(-1, pixels.shape[2])
    if pixels.dtype != np.uint8 or pixels.shape[2] > 4:
        return flat
    packed = np.zeros((len(flat), 4), np.uint8)
    packed[:, : pixels.shape[2]] = flat
    return packed.view(np.uint32)[:, 0]


def _gathered(flat: np.ndarray, places: np.ndarray, channels: int) -> np.ndarray:
    if flat.ndim == 2:
        return flat[places]
    return flat.take(places).view(np.uint8).reshape(-1, 4)[:, :channels]


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
        mean[:, :3] = np.minimum(mean[:, :3] / np.where(alpha <= 0, 1, alpha), 255)
        mean[:, 3:] = alpha
    return np.rint(mean).astype(dtype) if np.issubdtype(dtype, np.integer) else mean


def _source(camera: Camera, pinhole: Camera, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P, 2) where the distorted photo shows what `pinhole` sees at `pixels`, and whether (P,) its lens reaches it."""
    slopes = (pixels - (pinhole.cx, pinhole.cy)) / (pinhole.fx, pinhole.fy)
    source = camera.distort(slopes) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    return source, camera.is_before_fold(slopes)
