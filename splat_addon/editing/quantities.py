"""Numbers about gaussians that an artist selects by, and how often each occurs."""

import numpy as np

from ..gaussians.harmonics import sh_to_color

LARGEST_STRETCH = 1e6  # of what is flat


def sizes(scales: np.ndarray) -> np.ndarray:
    """(N,) sigma of each gaussian along its longest axis, in its unit."""
    return np.maximum(np.maximum(np.abs(scales[:, 0]), np.abs(scales[:, 1])), np.abs(scales[:, 2]))


def stretches(scales: np.ndarray) -> np.ndarray:
    """(N,) the longest axis over the middle one: 1 for balls and disks, large for needles."""
    a, b, c = np.abs(scales).T
    low, high = np.minimum(a, b), np.maximum(a, b)
    middle, longest = np.maximum(low, np.minimum(high, c)), np.maximum(high, c)
    return np.minimum(longest / np.maximum(middle, longest / LARGEST_STRETCH + 1e-45), LARGEST_STRETCH)


def color_distances(base: np.ndarray, color: np.ndarray) -> np.ndarray:
    """(N,) how far the color without view dependence is from `color` (3,), both display-encoded, in rgb."""
    difference = np.clip(sh_to_color(base[:, :3]), 0, 1) - np.asarray(color, np.float32)
    return np.sqrt(np.einsum("ni,ni->n", difference, difference))


def distances(positions: np.ndarray, world_from_item: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(N,) world distances from `place` (3,) to positions (N, 3) of an object that stands at `world_from_item`."""
    away = positions @ world_from_item[:3, :3].T.astype(np.float32) + (world_from_item[:3, 3] - place).astype(
        np.float32
    )
    return np.sqrt(np.einsum("ni,ni->n", away, away))


def histogram(values: np.ndarray, bins: int, is_log: bool) -> tuple[np.ndarray, np.ndarray]:
    """(bins,) how many values fall between each two of (bins + 1,) edges, which hold all but the outermost 0.1 %.

    With `is_log`, edges grow by the same factor, and what is not above 0 counts in the first. Values that are not
    finite are left out.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return np.zeros(bins, int), np.linspace(0, 1, bins + 1)
    sample = values[:: max(1, len(values) // 100_000)]
    positive = sample[sample > 0] if is_log else sample
    if not len(positive):
        positive, is_log = sample, False
    low, high = (float(value) for value in np.quantile(positive, (0.001, 0.999)))
    if not high > low:
        low, high = (low * 0.9, high * 1.1) if low > 0 else (low - 0.5, high + 0.5)
    edges = np.geomspace(low, high, bins + 1) if is_log and low > 0 else np.linspace(low, high, bins + 1)
    places = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    return np.bincount(places, minlength=bins), edges
