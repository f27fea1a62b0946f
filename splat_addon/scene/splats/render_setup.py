"""The render settings that splats need, what they were before, and the way back."""

import json
import math
from typing import Any

import bpy

from .appearance import is_drawn_by_blender, splat_objects

_KEY = "splat_render_before"  # what is given back, kept with the scene
_LACKING_KEY = "splat_render_lacks"  # the view that the color configuration does not have, kept so as well
TRANSPARENT_BOUNCES = 1024  # the most layers of splats that a ray may cross
CERTAIN_BOUNCES = 256  # and how many of them it crosses without being ended at random
LEAST_SAMPLES = 64  # with which Blender's own splats, which are drawn by chance, come near 40 dB
# By look, also of studios' color configurations: views of the scene's own colors, and of numbers as they are.
VIEWS = {"BLENDER": ("Standard", "Un-tone-mapped"), "DISPLAY": ("Raw",)}
_LABELS = {
    "cycles.film_exposure": "Film Exposure",
    "render.image_settings.color_management": "Output Color Management",
    "cycles.transparent_max_bounces": "Transparent Bounces",
    "cycles.min_transparent_bounces": "Min Transparent Bounces",
    "cycles.use_denoising": "Denoise",
    "cycles.use_adaptive_sampling": "Noise Threshold",
    "cycles.samples": "Cycles Samples",
    "cycles.pixel_filter_type": "Pixel Filter",
    "cycles.filter_width": "Filter Width",
    "eevee.taa_render_samples": "EEVEE Samples",
    "render.filter_size": "EEVEE Filter Size",
    "render.dither_intensity": "Dither",
    "view_settings.view_transform": "View",
    "view_settings.look": "View Look",
    "view_settings.exposure": "Exposure",
    "view_settings.gamma": "Gamma",
    "view_settings.use_curve_mapping": "Curves",
    "view_settings.use_white_balance": "White Balance",
}


def is_set_up(scene: bpy.types.Scene) -> bool:
    """Whether settings of the artist are waiting to be given back."""
    return _KEY in scene


def set_up(scene: bpy.types.Scene, is_exact: bool) -> list[str]:
    """Set what splats need in Cycles, EEVEE and color management; return sentences like "Dither 1 → 0".

    `is_exact` asks for one sample in the middle of each pixel, which is what trainers render: meshes then have jagged
    edges. Where Blender draws a splat object, at least 64 samples are set in any case. What was there before is kept
    with the scene, the first time only.
    """
    before = _before(scene)
    changes = []
    for path, wanted in _wanted(scene, is_exact).items():
        owner, name = _owner(scene, path)
        if owner is None or not hasattr(owner, name):
            continue
        present = getattr(owner, name)
        if not _fits(present, wanted):
            _assign(owner, name, wanted)
        if getattr(owner, name) != present:
            before.setdefault(path, present)
            changes.append(f"{_LABELS[path]} {_text(present)} → {_text(getattr(owner, name))}")
    if before:
        scene[_KEY] = json.dumps(before)
    scene.pop(_LACKING_KEY, None)
    if scene.view_settings.view_transform not in VIEWS[scene.splat.look]:
        scene[_LACKING_KEY] = VIEWS[scene.splat.look][0]
    return changes


def lacking_view(scene: bpy.types.Scene) -> str:
    """The view that `set_up` has not found in the color configuration; empty when it has, or that was another look."""
    lacking = str(scene.get(_LACKING_KEY, ""))
    return lacking if lacking in VIEWS[scene.splat.look] else ""


def differences(scene: bpy.types.Scene) -> list[str]:
    """What `set_up` would change: sentences like "Dither 1". Changes nothing, so that panels may ask."""
    found = []
    for path, wanted in _wanted(scene, False).items():
        owner, name = _owner(scene, path)
        if owner is not None and hasattr(owner, name) and not _fits(getattr(owner, name), wanted):
            found.append(f"{_LABELS[path]} {_text(getattr(owner, name))}")
    return found


def put_back(scene: bpy.types.Scene) -> list[str]:
    """Give back what `set_up` found; return sentences as it does."""
    changes = []
    for path, value in _before(scene).items():
        owner, name = _owner(scene, path)
        if owner is not None and hasattr(owner, name):
            _assign(owner, name, value)
            changes.append(f"{_LABELS[path]} {_text(value)}")
    if _KEY in scene:
        del scene[_KEY]
    return changes


def needs_samples(scene: bpy.types.Scene) -> bool:
    """Whether renders of the scene show splats that Blender draws, by chance and not by order."""
    return any(is_drawn_by_blender(item) and not item.hide_render for item in splat_objects(scene))


def _wanted(scene: bpy.types.Scene, is_exact: bool) -> dict[str, Any]:
    """Settings by path, the view before the look that it allows. A tuple: the first of these that there is."""
    cycles = getattr(scene, "cycles", None)
    bounces, samples = {}, {}
    if cycles is not None:
        bounces = {
            "cycles.transparent_max_bounces": max(cycles.transparent_max_bounces, TRANSPARENT_BOUNCES),
            "cycles.min_transparent_bounces": max(cycles.min_transparent_bounces, CERTAIN_BOUNCES),
            "cycles.film_exposure": 1.0,
        }
        samples = {"cycles.samples": max(cycles.samples, LEAST_SAMPLES)}
    samples["eevee.taa_render_samples"] = max(scene.eevee.taa_render_samples, LEAST_SAMPLES)
    one_sample = {
        "cycles.use_adaptive_sampling": False,
        "cycles.samples": 1,
        "cycles.pixel_filter_type": "BLACKMAN_HARRIS",
        "cycles.filter_width": 0.01,
        "eevee.taa_render_samples": 1,
        "render.filter_size": 0.0,
    }
    return {
        **bounces,
        "cycles.use_denoising": False,
        **(one_sample if is_exact else {}),
        **(samples if needs_samples(scene) else {}),
        "render.dither_intensity": 0.0,
        "render.image_settings.color_management": "FOLLOW_SCENE",
        "view_settings.view_transform": VIEWS[scene.splat.look],
        "view_settings.look": "None",
        "view_settings.exposure": 0.0,
        "view_settings.gamma": 1.0,
        "view_settings.use_curve_mapping": False,
        "view_settings.use_white_balance": False,
    }


def _before(scene: bpy.types.Scene) -> dict[str, Any]:
    """The artist's settings by path."""
    return json.loads(str(scene.get(_KEY, "{}")))


def _owner(scene: bpy.types.Scene, path: str) -> tuple[Any, str]:
    """The struct that a setting belongs to (None where this Blender lacks it) and the setting's name."""
    *groups, name = path.split(".")
    owner: Any = scene
    for group in groups:
        owner = getattr(owner, group, None)
    return owner, name


def _fits(present: Any, wanted: Any) -> bool:
    if isinstance(wanted, tuple):
        return present in wanted
    return math.isclose(present, wanted, rel_tol=1e-6) if isinstance(wanted, float) else present == wanted


def _assign(owner: Any, name: str, wanted: Any) -> None:
    """The first of these values that the setting has; where it has none, it stays as it is (`advice.py` says so)."""
    for value in wanted if isinstance(wanted, tuple) else (wanted,):
        try:
            setattr(owner, name, value)
        except TypeError:  # which names there are depends on the color configuration
            continue
        return


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("_", " ").capitalize()
