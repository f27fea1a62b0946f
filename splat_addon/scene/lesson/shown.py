"""The gaussians of a fit in the scene: a splat object on an upright plane, two meters long, which everything draws that
draws splats. It is kept out of renders, and so out of captures.

Splats cover each other and cannot add up; so an additive fit is shown as dots, black where a gaussian darkens, and its
image is in the panel. Under transmittance, as large as they are, they show what the fit shows: the first gaussian is
nearest to the front view.
"""

from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from ...gaussians.cloud import DISPLAY, GaussianCloud
from ...gaussians.harmonics import color_to_sh
from ...lesson.fitter import Fitter
from ..own_data import is_local
from ..splats.appearance import show_splats
from ..splats.box_modifier import hand_over
from ..splats.data import is_splats, replace_splats, splat_collection, splats_to_object

KEY, NAME = "splat_lesson", "Lesson"
SIDE_M = 2.0
GAP_M = 0.5  # to a mesh that would hide it
THIN_M = 1e-4  # of a gaussian across the plane, and from one to the next
CLEAREST = 1e-3  # opacity, of what cannot be seen
ADDITIVE_OPACITY = 3.0  # times the strongest color: several together make what is seen in a place
_RAMP = np.array(  # viridis
    [(0.267, 0.005, 0.329), (0.229, 0.322, 0.546), (0.128, 0.567, 0.551), (0.369, 0.789, 0.383), (0.993, 0.906, 0.144)]
)


def find(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The scene's own object that shows its fit, if there is one."""
    return next((item for item in scene.objects if item.get(KEY) and is_local(item) and is_splats(item)), None)


def make(scene: bpy.types.Scene, fitter: Fitter) -> bpy.types.Object:
    """The object, made where it is missing; in an action of the artist."""
    item = find(scene)
    if item is None:
        item = splats_to_object(cloud_of(fitter, scene.splat.lesson), NAME, splat_collection(scene))
        item[KEY] = True
        item.hide_render = True
        item.location.y = _in_front(scene)
    else:
        refresh(scene, fitter)
    show_splats(item, scene)
    hand_over(scene)
    return item


def _in_front(scene: bpy.types.Scene) -> float:
    """Where along y the plane is not inside of a mesh, such as the cube that new files have: nearer to the front."""
    front = 0.0
    for other in scene.objects:
        if other.type == "MESH" and not is_splats(other) and other.visible_get():
            corners = np.array([other.matrix_world @ Vector(corner) for corner in other.bound_box])
            low, high = corners.min(axis=0), corners.max(axis=0)
            if (low[[0, 2]] < SIDE_M / 2).all() and (high[[0, 2]] > -SIDE_M / 2).all() and high[1] > 0 > low[1]:
                front = min(front, float(low[1]) - GAP_M)
    return front


def refresh(scene: bpy.types.Scene, fitter: Fitter) -> None:
    """Let the object show the fit as it is now, if it is there and nobody is editing it."""
    item = find(scene)
    if item is not None and item.mode == "OBJECT" and not bpy.app.is_job_running("RENDER"):
        replace_splats(item, cloud_of(fitter, scene.splat.lesson))
        data: Any = item.data
        data.name = NAME


def meters_per_px(size: tuple[int, int]) -> float:
    """How large a pixel of an image (H, W) is in the object."""
    return SIDE_M / max(size)


def places_of(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(..., 3) where points of the image (..., 2) px lie in the object's own frame."""
    height, width = size
    x, y = np.asarray(points, np.float64)[..., 0], np.asarray(points, np.float64)[..., 1]
    return np.stack([x - width / 2, np.zeros_like(x), height / 2 - y], axis=-1) * meters_per_px(size)


def cloud_of(fitter: Fitter, chosen) -> GaussianCloud:
    """The gaussians as splats, in their order, as large and as colored as `chosen`."""
    gaussians, is_additive = fitter.gaussians, fitter.settings.is_additive
    count, scale = len(gaussians), meters_per_px(fitter.size)
    means = places_of(gaussians.means, fitter.size)
    means[:, 1] = THIN_M * (np.arange(count) - count / 2)
    log_scales = np.full((count, 3), np.log(THIN_M))
    log_scales[:, [0, 2]] = gaussians.log_sigmas + np.log(scale * chosen.dot_sigmas)
    zeros = np.zeros(count)
    half = gaussians.angles / 2  # from x to y down is, seen from the front, about +y
    opacities = gaussians.opacities.astype(np.float64)
    colors = np.maximum(gaussians.colors, 0).astype(np.float64)
    if is_additive:
        peaks = gaussians.peaks(is_additive=True).astype(np.float64)
        opacities, colors = ADDITIVE_OPACITY * peaks, colors / np.maximum(peaks, 1e-6)[:, None]
    if chosen.color_by != "RADIANCE":
        colors = _ramp_colors(fitter, chosen.color_by)
        opacities = np.maximum(opacities, 0.3)
    opacities = np.clip(opacities, CLEAREST, 0.99)
    return GaussianCloud(
        means,
        log_scales,
        np.stack([np.cos(half), zeros, np.sin(half), zeros], axis=1),
        np.log(opacities / (1 - opacities)),
        color_to_sh(np.minimum(colors, 1))[:, None, :],
        DISPLAY,
    )


def _ramp_colors(fitter: Fitter, color_by: str) -> np.ndarray:
    """(N, 3) from purple to yellow."""
    count = len(fitter.gaussians)
    if color_by == "AGE":
        place = fitter.ages() / max(fitter.step_count, 1)
    else:
        pulls = fitter.asking.norms if fitter.asking.steps else np.ones(count)
        rank = np.empty(count)
        rank[np.argsort(pulls)] = np.arange(count)  # by rank: a few are pulled a hundred times as hard as most
        place = rank / max(count - 1, 1)
    at = np.linspace(0, 1, len(_RAMP))
    return np.stack([np.interp(place, at, channel) for channel in _RAMP.T], axis=1)
