"""What is fitted: images made by code, or any pixels, reduced until they are small enough to be fitted while one waits.

Values are as displayed, 0..1; (H, W, 3), top row first.
"""

import numpy as np

from ..errors import LessonError
from ..gaussians.srgb import encode_srgb

SIDE_PX, LONGEST_SIDE_PX = 96, 256  # usually, and at most
LARGEST_SOURCE_PX = 8192  # larger images would hold Blender for seconds


def require_readable(width: int, height: int, name: str) -> None:
    """Raises LessonError for an image without pixels or with too many."""
    if width < 1 or height < 1:
        raise LessonError(f"The image '{name}' has no pixels.", "Reload it, or choose another one.")
    if max(width, height) > LARGEST_SOURCE_PX:
        raise LessonError(
            f"The image '{name}' has {width} × {height} pixels, more than {LARGEST_SOURCE_PX} on a side.",
            "Scale a copy of it down first.",
        )


def prepare(pixels: np.ndarray, is_linear: bool, longest_px: int = SIDE_PX) -> tuple[np.ndarray, list[str]]:
    """From (H, W, 4) straight RGBA to a target of at most `longest_px`, and sentences about what was done to it.

    Linear values are encoded as sRGB. What is above 1 is clipped, what is transparent stands before the black
    background of all renders, and what is not a number is black.
    """
    notes = []
    pixels = np.asarray(pixels, dtype=np.float32)
    if not np.isfinite(pixels).all():
        pixels = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0)
        notes.append("Some pixels are not numbers and became black.")
    color, alpha = pixels[..., :3], np.clip(pixels[..., 3:], 0, 1)
    if color.max(initial=0) > 1 or color.min(initial=0) < 0:
        notes.append("The image has values outside of 0 to 1, which were clipped.")
    color = np.clip(color, 0, 1)
    if (alpha < 1).any():
        notes.append("Transparent parts stand before black.")
    color = reduced(color * alpha, longest_px)
    return (encode_srgb(color) if is_linear else color).astype(np.float32), notes


def reduced(image: np.ndarray, longest_px: int) -> np.ndarray:
    """The mean of blocks of pixels, so that no side is longer than `longest_px`. Smaller images stay as they are."""
    height, width = image.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    for axis, side in ((0, height), (1, width)):
        wanted = max(1, round(side * scale))
        if wanted < side:
            starts = np.arange(wanted) * side // wanted
            counts = np.diff(np.append(starts, side)).astype(image.dtype)
            shape = [1, 1, 1]
            shape[axis] = -1
            image = np.add.reduceat(image, starts, axis=axis) / counts.reshape(shape)
    return image


def builtin(name: str, side_px: int = SIDE_PX) -> np.ndarray:
    """(side, side, 3) float32, one of `BUILTIN`, drawn at twice the size and reduced, for smooth edges."""
    side = 2 * side_px
    y, x = (np.mgrid[:side, :side].astype(np.float32) + 0.5) / side
    return np.clip(reduced(BUILTIN[name](x, y), side_px), 0, 1).astype(np.float32)


def _sunset(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A sun over water between hills: smooth gradients, one disc, a few soft edges."""
    evening = [(0.10, 0.13, 0.32), (0.42, 0.25, 0.48), (0.91, 0.45, 0.38), (0.99, 0.76, 0.45)]
    sky = _ramp(y / 0.62, evening)
    glow = np.exp(-((x - 0.56) ** 2 + (y - 0.5) ** 2) / 0.03)[..., None]
    image = sky + glow * np.array([0.25, 0.2, 0.05], np.float32)
    image = _over(image, (x - 0.56) ** 2 + (y - 0.5) ** 2 < 0.085**2, (1.0, 0.93, 0.7))
    far = 0.5 - 0.09 * np.sin(5.2 * x + 0.6) - 0.03 * np.sin(17 * x)
    image = _over(image, (y > far) & (y <= 0.62), (0.36, 0.22, 0.40))
    near = 0.56 - 0.1 * np.cos(3.4 * x) + 0.02 * np.sin(23 * x)
    image = _over(image, (y > near) & (y <= 0.62), (0.17, 0.12, 0.27))
    mirror = np.clip(1.24 - y, 0, 0.62)
    water = 0.75 * _ramp(
        mirror / 0.62, [(0.10, 0.13, 0.32), (0.42, 0.25, 0.48), (0.91, 0.45, 0.38), (0.99, 0.76, 0.45)]
    )
    ripples = np.exp(-(((x - 0.56) / (0.05 + 0.12 * (y - 0.62))) ** 2)) * (0.6 + 0.4 * np.sin(190 * y * y))
    water = water + ripples[..., None] * np.array([0.55, 0.45, 0.25], np.float32)
    return np.where((y > 0.62)[..., None], water, image)


def _balls(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Three shaded balls on a floor: highlights, shadows, round edges."""
    image = _ramp(y, [(0.86, 0.88, 0.92), (0.72, 0.76, 0.84), (0.48, 0.46, 0.50), (0.30, 0.28, 0.32)])
    for center_x, center_y, radius, color in (
        (0.30, 0.58, 0.20, (0.90, 0.30, 0.22)),
        (0.68, 0.50, 0.24, (0.20, 0.52, 0.86)),
        (0.52, 0.80, 0.13, (0.96, 0.76, 0.20)),
    ):
        shadow = np.exp(-(((x - center_x - 0.06) / (1.1 * radius)) ** 2 + ((y - center_y - radius) / 0.07) ** 2))
        image = image * (1 - 0.6 * shadow[..., None])
        across, down = (x - center_x) / radius, (y - center_y) / radius
        is_inside = across**2 + down**2 < 1
        toward = np.sqrt(np.maximum(1 - across**2 - down**2, 0))
        light = np.clip(-0.5 * across - 0.6 * down + 0.62 * toward, 0, 1)
        lit = np.array(color, np.float32) * (0.22 + 0.85 * light[..., None]) + (light**24)[..., None] * 0.7
        image = np.where(is_inside[..., None], lit, image)
    return image


def _checker(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colored squares: hard edges everywhere, which gaussians find hard."""
    column, row = np.minimum((6 * x).astype(int), 5), np.minimum((6 * y).astype(int), 5)
    colors = 0.5 + 0.45 * np.cos(
        2 * np.pi * (((5 * column + 7 * row) % 11 / 11)[..., None] + np.array([0, 0.33, 0.67]))
    )
    return np.where(((column + row) % 2 == 0)[..., None], colors, 0.12 * np.ones(3)).astype(np.float32)


def _gaussian_sum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A sum of nine gaussians: what can be fitted exactly."""
    random = np.random.default_rng(9)
    image = np.zeros((*x.shape, 3), np.float32)
    for _ in range(9):
        (center_x, center_y), sigma = random.uniform(0.15, 0.85, 2), random.uniform(0.06, 0.16)
        weight = np.exp(-((x - center_x) ** 2 + (y - center_y) ** 2) / (2 * sigma**2))
        image += weight[..., None] * random.uniform(0.05, 0.6, 3).astype(np.float32)
    return image


BUILTIN = {"sunset": _sunset, "balls": _balls, "checker": _checker, "gaussians": _gaussian_sum}


def _ramp(place: np.ndarray, colors: list[tuple[float, float, float]]) -> np.ndarray:
    """Colors at even distances from place 0 to 1."""
    at = np.linspace(0, 1, len(colors))
    return np.stack([np.interp(place, at, channel) for channel in zip(*colors)], axis=-1).astype(np.float32)


def _over(image: np.ndarray, where: np.ndarray, color: tuple[float, float, float]) -> np.ndarray:
    return np.where(where[..., None], np.array(color, np.float32), image)
