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
        zoomed = replace(ideal, fx=ideal.fx * zoom, fy=ideal.fy * zoom)
        return bool(_source(camera, zoomed, places[:, 0], places[:, 1])[2].all())

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
        x, y, is_shown = _source(camera, pinhole, across.ravel(), down.ravel())
        is_seen[rows] = is_shown.reshape(-1, width)
        left, right = _neighbors(x, width)
        upper, below = _neighbors(y, height)
        corner = upper * width + left
        four = [_gathered(flat, corner + step, channels) for step in (0, beside, under, under + beside)]
        shares = [(1 - right) * (1 - below), right * (1 - below), (1 - right) * below, right * below]
        blended = _blended(four, shares, pixels.dtype)
        result[rows] = blended.reshape(-1, width, channels)
    return result, is_seen


def _neighbors(places: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first of the two pixels of a row of `count` that each place lies between, and how near the second it is."""
    places = np.clip(np.nan_to_num(places) - 0.5, 0, count - 1)
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
    """(P, C) the mean of four pixels by their shares (P,), colors by their alpha as well where there is one."""

    def mean(channel: int, weights: list[np.ndarray]) -> np.ndarray:
        return sum(weight * corner[:, channel] for weight, corner in zip(weights, four, strict=True))

    channels = four[0].shape[1]
    if channels < 4:
        result = np.stack([mean(channel, shares) for channel in range(channels)], axis=1)
    else:
        alpha = mean(3, shares)
        is_clear = alpha <= 0
        opacities = [share * corner[:, 3] for share, corner in zip(shares, four, strict=True)]
        weights = [np.where(is_clear, share, opacity) for share, opacity in zip(shares, opacities, strict=True)]
        whole = np.where(is_clear, 1, alpha)
        result = np.stack([*(mean(channel, weights) / whole for channel in range(3)), alpha], axis=1)
    return np.rint(result).clip(0, 255).astype(dtype) if np.issubdtype(dtype, np.integer) else result


def _source(
    camera: Camera, pinhole: Camera, across: np.ndarray, down: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where, x and y (P,), the distorted photo shows what `pinhole` sees at pixels (P,) `across`, `down`, and whether
    (P,) it shows it."""
    slopes = np.stack([(across - pinhole.cx) / pinhole.fx, (down - pinhole.cy) / pinhole.fy]).T
    with np.errstate(all="ignore"):  # beyond the fold, the polynomial may have a pole
        bent = camera.distort(slopes)
    x, y = bent[:, 0] * camera.fx + camera.cx, bent[:, 1] * camera.fy + camera.cy
    is_shown = camera.is_before_fold(slopes) & (x >= 0) & (x <= camera.width) & (y >= 0) & (y <= camera.height)
    return x, y, is_shown
