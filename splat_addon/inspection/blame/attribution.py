"""Which splats a pixel, or a box of pixels, is made of: their shares add up to what is shown."""

from dataclasses import dataclass

import numpy as np

from ...capture.camera import Camera
from ...errors import CameraError
from ...gaussians.cloud import GaussianCloud
from ...gaussians.rules import DEFAULT_RULES, PictureRules
from .footprints import Footprints, footprints_at

MOST_PIXELS = 400  # of a box that are looked at, evenly spread
WITHIN_SIGMA = 1.5  # a camera that near to the middle of an opaque splat stands inside of it
INSIDE_SHARE = 0.5  # and is told so when that splat is this much of what it sees


@dataclass(frozen=True)
class Attribution:
    """What pixels are made of: mean over them (K splats, the largest share first)."""

    splats: np.ndarray  # (K,) indices in the cloud
    shares: np.ndarray  # (K,) mean blending weight; with `background` they add up to 1
    colors: np.ndarray  # (K, 3) in the light that colors are blended in
    depths: np.ndarray  # (K,) along +z
    centers: np.ndarray  # (K, 2) pixels
    conics: np.ndarray  # (K, 3), see `Footprints`
    background: float  # the share of what lies behind all splats

    def shown(self, background: np.ndarray) -> np.ndarray:
        """(3,) the mean color of the pixels over a background (3,), both in the light that colors are blended in."""
        return self.shares @ self.colors + self.background * np.asarray(background, np.float64)

    def __len__(self) -> int:
        return len(self.splats)


def attribute(
    cloud: GaussianCloud,
    camera: Camera,
    box: tuple[int, int, int, int],
    rules: PictureRules = DEFAULT_RULES,
    near_scale: float = 1.0,
) -> Attribution:
    """Which splats the pixels of a box (left, top, right, bottom; the last column and row not included) come from.

    Raises CameraError for a box outside of the image, and when the camera stands inside a splat, so that all that it
    shows is that one.
    """
    left, top, right, bottom = box
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, camera.width), min(bottom, camera.height)
    if left >= right or top >= bottom:
        raise CameraError("That is outside of the image.", "Click a pixel of the view.")
    pixels = _pixels(left, top, right, bottom)
    reached = footprints_at(cloud, camera, (left, top, right, bottom), rules, near_scale)
    weights, clear = blending_weights(reached, pixels, rules)
    shares = weights.mean(axis=0)
    counts = np.flatnonzero(shares > 0)
    order = counts[np.argsort(-shares[counts], kind="stable")]
    found = Attribution(
        reached.splats[order],
        shares[order],
        reached.colors[order],
        reached.depths[order],
        reached.centers[order],
        reached.conics[order],
        float(clear.mean()),
    )
    if len(found) and found.shares[0] > INSIDE_SHARE and _is_inside(cloud, camera, int(found.splats[0])):
        raise CameraError(
            "The camera stands inside a splat, which hides what lies behind it.", "Choose another view, or hide it."
        )
    return found


def blending_weights(
    reached: Footprints, pixels: np.ndarray, rules: PictureRules = DEFAULT_RULES
) -> tuple[np.ndarray, np.ndarray]:
    """w = T α' (P, K) of splats at places (P, 2) of the image, and what is left of the light behind them (P,)."""
    alphas = reached.alphas(pixels, rules)
    leaving = np.cumprod(1 - alphas, axis=1)
    arriving = np.concatenate([np.ones((len(pixels), 1)), leaving[:, :-1]], axis=1)[:, : alphas.shape[1]]
    is_over = np.logical_or.accumulate(leaving < rules.transmittance_stop, axis=1)  # once finished, always finished
    weights = np.where(is_over, 0.0, arriving * alphas)
    return weights, 1 - weights.sum(axis=1)


def _pixels(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """(P, 2) the centers of the box's pixels, or of `MOST_PIXELS` at most, evenly spread."""
    step = max(1, int(np.ceil(np.sqrt((right - left) * (bottom - top) / MOST_PIXELS))))
    columns, rows = (
        np.arange(left + (right - left - 1) % step // 2, right, step),
        np.arange(top + (bottom - top - 1) % step // 2, bottom, step),
    )
    return np.stack([np.tile(columns, len(rows)), np.repeat(rows, len(columns))], axis=1) + 0.5


def _is_inside(cloud: GaussianCloud, camera: Camera, splat: int) -> bool:
    """Whether the camera stands within `WITHIN_SIGMA` of a splat's middle."""
    w, x, y, z = cloud.rotations[splat].astype(np.float64)
    own = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    away = own.T @ (camera.position - cloud.means[splat]) / np.exp(cloud.log_scales[splat].astype(np.float64))
    return bool(np.linalg.norm(away) < WITHIN_SIGMA)
