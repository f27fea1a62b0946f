"""What splats do to single pixels, in NumPy: EWA projection and alphas by the rules that the rasterizers draw with.

Equations 1 to 5 of the backward process (`trainer/backend/reference/equations.py`, which judges this), for a few pixels
and all splats that reach them: no picture is drawn.
"""

from typing import NamedTuple

import numpy as np

from ...capture.camera import Camera
from ...gaussians.cloud import BLENDER, GaussianCloud
from ...gaussians.harmonics import harmonics
from ...gaussians.rules import ANTIALIAS_FLOOR, DEFAULT_RULES, PictureRules
from ...gaussians.srgb import decode_srgb


class Footprints(NamedTuple):
    """Splats on the image plane, near to far (K of them)."""

    splats: np.ndarray  # (K,) indices in the cloud
    centers: np.ndarray  # (K, 2) pixels
    conics: np.ndarray  # (K, 3) of the inverse covariance: xx, xy, yy
    opacities: np.ndarray  # (K,)
    colors: np.ndarray  # (K, 3) in the light that colors are blended in
    depths: np.ndarray  # (K,) along +z

    def alphas(self, pixels: np.ndarray, rules: PictureRules = DEFAULT_RULES) -> np.ndarray:
        """α' (P, K) at places (P, 2) of the image."""
        d = self.centers[None] - pixels[:, None]
        a, b, c = self.conics.T
        power = 0.5 * (a * d[..., 0] ** 2 + c * d[..., 1] ** 2) + b * d[..., 0] * d[..., 1]
        alphas = self.opacities * np.exp(-np.maximum(power, 0))
        return np.where(alphas >= rules.alpha_cutoff, np.minimum(alphas, rules.alpha_cap), 0.0)


def footprints_at(
    cloud: GaussianCloud,
    camera: Camera,
    box: tuple[float, float, float, float],
    rules: PictureRules = DEFAULT_RULES,
    near_scale: float = 1.0,
) -> Footprints:
    """The splats of `cloud` that may reach a box (left, top, right, bottom) of the image of `camera`, in its frame. The
    camera's lens distortion does not count. `near_scale` multiplies the near plane, see `rules.near_plane_scale`."""
    rotation, translation = camera.camera_from_world[:3, :3], camera.camera_from_world[:3, 3]
    points = cloud.means.astype(np.float64) @ rotation.T + translation
    z = points[:, 2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        slopes = points[:, :2] / z[:, None]
        centers = slopes * (camera.fx, camera.fy) + (camera.cx, camera.cy)
        least = np.array([rules.slope_limits(camera.width, camera.fx, camera.cx)[0],
                          rules.slope_limits(camera.height, camera.fy, camera.cy)[0]])  # fmt: skip
        largest = np.array([rules.slope_limits(camera.width, camera.fx, camera.cx)[1],
                            rules.slope_limits(camera.height, camera.fy, camera.cy)[1]])  # fmt: skip
        held = np.clip(slopes, least, largest)
        # No axis of the footprint is longer than the largest sigma times the norm of the Jacobian.
        stretch = max(camera.fx, camera.fy) / z * np.sqrt(1 + (held**2).sum(axis=1))
        sigma = np.exp(cloud.log_scales.max(axis=1).astype(np.float64)) * stretch
        reach = np.sqrt(2 * np.log(1 / rules.alpha_cutoff)) * np.sqrt(sigma**2 + rules.dilation_px2)
        outside = np.maximum(np.maximum(np.array(box[:2]) - centers, centers - np.array(box[2:])), 0)
        may_reach = (z > rules.near_plane * near_scale) & ((outside**2).sum(axis=1) <= reach**2)
        may_reach &= cloud.opacities >= rules.alpha_cutoff
    which = np.flatnonzero(may_reach)
    which = which[np.argsort(z[which].astype(np.float32), kind="stable")]
    covariances = _image_covariances(cloud, which, rotation, z[which], held[which], camera)
    a, b, c = covariances.T
    opacities = cloud.opacities[which].astype(np.float64)
    wide, deep = a + rules.dilation_px2, c + rules.dilation_px2
    determinants = wide * deep - b * b
    if cloud.antialiased:
        opacities *= np.sqrt(np.maximum((a * c - b * b) / determinants, ANTIALIAS_FLOOR))
    conics = np.stack([deep, -b, wide], axis=1) / determinants[:, None]
    return Footprints(which, centers[which], conics, opacities, colors_from(cloud, which, camera), z[which])


def outlines(centers: np.ndarray, conics: np.ndarray, points: int = 24) -> np.ndarray:
    """(K, points, 2) pixels around which footprints have fallen to half of their height, for centers (K, 2) and conics
    (K, 3)."""
    angles = np.linspace(0, 2 * np.pi, points, endpoint=False)
    a, b, c = np.asarray(conics, np.float64).T[:, :, None]
    # d = L⁻ᵀ (cos, sin) r with the conic L Lᵀ, so that dᵀ conic d = r² = 2 ln 2.
    root = np.sqrt(a)
    rest = np.sqrt(np.maximum(c - b * b / a, 1e-12))
    y = np.sin(angles) / rest
    x = (np.cos(angles) - b / root * y) / root
    return np.asarray(centers)[:, None, :] + np.sqrt(2 * np.log(2)) * np.stack([x, y], axis=2)


def colors_from(cloud: GaussianCloud, which: np.ndarray, camera: Camera) -> np.ndarray:
    """(K, 3) the colors of some splats as `camera` sees them, in the light that they are blended in."""
    away = cloud.means[which].astype(np.float64) - camera.position
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-30)
    values = harmonics(away, cloud.sh_degree)
    colors = np.maximum(np.einsum("nk,nkc->nc", values, cloud.sh[which].astype(np.float64)) + 0.5, 0)
    return decode_srgb(colors) if cloud.blend_space == BLENDER else colors


def _image_covariances(cloud, which, rotation, z, slopes, camera) -> np.ndarray:
    """(K, 3) xx, xy, yy of the footprints in pixels², before anything is added."""
    w, x, y, q = cloud.rotations[which].astype(np.float64).T
    own = np.stack([
        1 - 2 * (y * y + q * q), 2 * (x * y - w * q), 2 * (x * q + w * y),
        2 * (x * y + w * q), 1 - 2 * (x * x + q * q), 2 * (y * q - w * x),
        2 * (x * q - w * y), 2 * (y * q + w * x), 1 - 2 * (x * x + y * y),
    ], axis=1).reshape(-1, 3, 3)  # fmt: skip
    spread = own * np.exp(cloud.log_scales[which].astype(np.float64))[:, None, :]
    in_camera = rotation @ spread
    first = (in_camera[:, 0] - slopes[:, :1] * in_camera[:, 2]) * (camera.fx / z)[:, None]
    second = (in_camera[:, 1] - slopes[:, 1:] * in_camera[:, 2]) * (camera.fy / z)[:, None]
    return np.stack([(first * first).sum(1), (first * second).sum(1), (second * second).sum(1)], axis=1)
