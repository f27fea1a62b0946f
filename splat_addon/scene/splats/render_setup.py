"""The render settings that splats need, what they were before, and the way back."""

import json
import math
from typing import Any

import bpy

from ...errors import some_of
from ...gaussians.cloud import DISPLAY
from ..settings.trained_for import BLEND_SPACE_KEY
from .appearance import give_look_to_all, is_drawn_by_blender, splat_objects
from .compositing import splat_layer

_KEY = "splat_render_before"  # what is given back, kept with the scene
_LACKING_KEY = "splat_render_lacks"  # the view that the color configuration does not have, kept so as well
TRANSPARENT_BOUNCES = 1024  # the most layers of splats that a ray may cross
CERTAIN_BOUNCES = 256  # and how many of them it crosses without being ended at random
LEAST_SAMPLES = 64  # with which Blender's own splats, which are drawn by chance, come near 40 dB
ENOUGH_SAMPLES = {
    True: 256,
    False: 64,
}  # of splats that are drawn by chance, and of Splat Quads: more shows nothing new
# By look, also of studios' color configurations: views of the scene's own colors, and of numbers as they are.
VIEWS = {"BLENDER": ("Standard", "Un-tone-mapped"), "DISPLAY": ("Raw",)}
BUTTON = "Composite Splats"  # what is offered where other things render, too
_BOUNCES = ("cycles.transparent_max_bounces", "cycles.min_transparent_bounces")
_VIEW = ("view_settings.view_transform", "view_settings.look")
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
    edges. Where Blender draws a splat object, at least 64 samples are set in any case. Where nothing but splats
    renders, no more samples are set than show something new. What was there before is kept with the scene, the first
    time only.
    """
    changes = _apply(scene, _wanted(scene, is_exact))
    scene.pop(_LACKING_KEY, None)
    if scene.view_settings.view_transform not in views_for(scene):
        scene[_LACKING_KEY] = views_for(scene)[0]
    return changes


def prepare(scene: bpy.types.Scene, items: list[bpy.types.Object]) -> list[str]:
    """Splats have come into a scene, its first ones: set what they cannot do without in renders, and say what it was.

    Cycles draws splats black behind more than a few others, unless rays may cross more. Where nothing else renders,
    Look and view become those that the splats were trained for. All this is part of an action of the artist.
    """
    if any(item not in items for item in splat_objects(scene)):
        return []
    said = []
    changes = _apply(scene, {path: _wanted(scene, False).get(path) for path in _BOUNCES})
    if changes:
        said.append(f"Set for splats: {', '.join(changes)}. Put Back Render Settings undoes it.")
    spaces = {str(item.get(BLEND_SPACE_KEY, DISPLAY)) for item in items}
    if len(spaces) > 1 or not _may_choose_look(scene):
        return said
    look = "DISPLAY" if spaces == {DISPLAY} else "BLENDER"
    if splat_layer.others(scene):
        if look != scene.splat.look:
            said.append(other_things(scene))
        return said
    before = scene.view_settings.view_transform
    scene.splat.look = look  # gives it to all splats, and the view follows
    follow_look(scene)
    if scene.view_settings.view_transform != before:
        name = "Trainer Look" if look == "DISPLAY" else "Scene Light"
        said.append(
            f"Look: {name}, as these splats were trained; View {before} → {scene.view_settings.view_transform}."
        )
    return said


def _may_choose_look(scene: bpy.types.Scene) -> bool:
    return not scene.splat.is_property_set("look")


def other_things(scene: bpy.types.Scene) -> str:
    """Why splats that were trained for Trainer Look need a layer of their own in this scene."""
    names = some_of([f"'{item.name}'" for item in splat_layer.others(scene)])
    return (
        f"These splats were trained for Trainer Look, and {names} would render black or pale in it: {BUTTON} renders "
        "each in a view layer of its own, as it should look."
    )


def follow_look(scene: bpy.types.Scene) -> None:
    """The artist has chosen a look: all splats get it, and the view that it needs, unless that would spoil other things
    that render. A view layer of splats goes with Trainer Look."""
    if scene.splat.look == "BLENDER" and splat_layer.is_there(scene):
        splat_layer.remove(scene)
    give_look_to_all(scene)
    is_alone = not splat_layer.others(scene) or splat_layer.is_there(scene)
    is_left_over = scene.splat.look == "BLENDER" and scene.view_settings.view_transform in VIEWS["DISPLAY"]
    if splat_objects(scene) and (is_alone or is_left_over):
        _apply(scene, {path: wanted for path, wanted in _wanted(scene, False).items() if path in _VIEW})


def needs_layer(scene: bpy.types.Scene) -> bool:
    """Whether Trainer Look is chosen, and other things render under its view."""
    return scene.splat.look == "DISPLAY" and not splat_layer.is_there(scene) and bool(splat_layer.others(scene))


def views_for(scene: bpy.types.Scene) -> tuple[str, ...]:
    """The views that the scene's look needs: of a layer of splats, the compositor gives light."""
    return VIEWS["BLENDER" if splat_layer.is_there(scene) else scene.splat.look]


def lacking_view(scene: bpy.types.Scene) -> str:
    """The view that `set_up` has not found in the color configuration; empty when it has, or that was another look."""
    lacking = str(scene.get(_LACKING_KEY, ""))
    return lacking if lacking in views_for(scene) else ""


def differences(scene: bpy.types.Scene) -> list[str]:
    """What `set_up` would change: sentences like "Dither 1". Changes nothing, so that panels may ask."""
    found = []
    for path, wanted in _wanted(scene, False).items():
        owner, name = _owner(scene, path)
        if owner is not None and hasattr(owner, name) and not _fits(getattr(owner, name), wanted):
            present = getattr(owner, name)
            found.append(f"{_LABELS[path]} {_text(present)}{_cost(path, wanted, present)}")
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


def samples_kept(scene: bpy.types.Scene) -> str:
    """A sentence about more samples than splats need, which other things or blur may; empty where there are none."""
    path = "cycles.samples" if scene.render.engine == "CYCLES" else "eevee.taa_render_samples"
    owner, name = _owner(scene, path)
    enough = ENOUGH_SAMPLES[needs_samples(scene)]
    reason = _needs_more_samples(scene)
    if owner is None or not reason or getattr(owner, name) <= enough:
        return ""
    present = getattr(owner, name)
    return (
        f"{_LABELS[path]} stay {present} for {reason}: splats need {enough}, which takes "
        f"{_share(enough / present)} the time."
    )


def _needs_more_samples(scene: bpy.types.Scene) -> str:
    """For what renders may need more samples than splats do; empty when splats are alone and sharp."""
    others = splat_layer.others(scene)
    if others:
        return some_of([f"'{item.name}'" for item in others])
    if scene.render.use_motion_blur:
        return "motion blur"
    camera = scene.camera.data if scene.camera is not None else None
    return "depth of field" if isinstance(camera, bpy.types.Camera) and camera.dof.use_dof else ""


def _samples(scene: bpy.types.Scene, present: int) -> int:
    """How many samples per pixel are to be set where there are so many."""
    is_by_chance = needs_samples(scene)
    wanted = max(present, LEAST_SAMPLES) if is_by_chance else present
    return wanted if _needs_more_samples(scene) else min(wanted, ENOUGH_SAMPLES[is_by_chance])


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
        samples = {"cycles.samples": _samples(scene, cycles.samples)}
    samples["eevee.taa_render_samples"] = _samples(scene, scene.eevee.taa_render_samples)
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
        **(samples if needs_samples(scene) or not is_exact else {}),
        "render.dither_intensity": 0.0,
        "render.image_settings.color_management": "FOLLOW_SCENE",
        "view_settings.view_transform": views_for(scene),
        "view_settings.look": "None",
        "view_settings.exposure": 0.0,
        "view_settings.gamma": 1.0,
        "view_settings.use_curve_mapping": False,
        "view_settings.use_white_balance": False,
    }


def _apply(scene: bpy.types.Scene, wanted_of: dict[str, Any]) -> list[str]:
    """Set these and keep what was there before with the scene, the first time; sentences as of `set_up`."""
    before = _before(scene)
    changes = []
    for path, wanted in wanted_of.items():
        owner, name = _owner(scene, path)
        if wanted is None or owner is None or not hasattr(owner, name):
            continue
        present = getattr(owner, name)
        if not _fits(present, wanted):
            _assign(owner, name, wanted)
        if getattr(owner, name) != present:
            before.setdefault(path, present)
            cost = _cost(path, present, getattr(owner, name))
            changes.append(f"{_LABELS[path]} {_text(present)} → {_text(getattr(owner, name))}{cost}")
    if before:
        scene[_KEY] = json.dumps(before)
    return changes


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


def _cost(path: str, before: Any, after: Any) -> str:
    """What another number of samples means for the time of a render, which grows with them."""
    if not path.endswith("samples"):
        return ""
    return f" ({_share(after / before)} the time)"


def _share(ratio: float) -> str:
    return f"{ratio:.3g} times" if ratio > 1 else f"1/{1 / ratio:.3g} of"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = f"{value:.4g}" if isinstance(value, float) else str(value).replace("_", " ")
    return text.capitalize() if text.isupper() else text  # views have names, AgX among them


ON_CHANGE = {"look": follow_look}
