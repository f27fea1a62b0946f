"""What an artist should know of how splats will be drawn, before a render shows it."""

import bpy

from ...gaussians.cloud import DISPLAY
from .appearance import is_drawn_by_blender, is_native, splat_objects
from .data import BLEND_SPACE_KEY, splat_count
from .render_setup import LEAST_SAMPLES, needs_samples
from .transforms import shape_problem, transform_problems

MANY = 1_000_000  # splats from which on one exact sample takes longer than sixteen of Blender's


def object_advice(item: bpy.types.Object) -> list[str]:
    """Sentences about one splat object; cheap enough for a panel. Problems of quads are told where quads are drawn."""
    problems = transform_problems(item)
    shape = shape_problem(item)
    if is_drawn_by_blender(item):
        if shape:
            problems.append("The viewport shows this scale or mirroring incorrectly; renders do not.")
        if str(item.get(BLEND_SPACE_KEY, DISPLAY)) == DISPLAY and _look_of(item) == "BLENDER":
            problems.append("Trained for Trainer Look: choose that Look, or the colors blend differently.")
    elif shape:
        problems.append(f"{shape} or choose Blender's Splats." if is_native(item) else shape + ".")
    if is_native(item) and not is_drawn_by_blender(item) and splat_count(item) >= MANY:
        problems.append("So many splats render faster, with some noise, when drawn by Blender's Splats.")
    return problems


def scene_advice(scene: bpy.types.Scene, is_exact: bool) -> list[str]:
    """Sentences about the scene's camera and samples, as they fit what draws its splats."""
    items = [item for item in splat_objects(scene) if not item.hide_render]
    by_quads = [item for item in items if not is_drawn_by_blender(item)]
    sentences = []
    if scene.camera is None:
        sentences.append("The scene has no camera: splats are drawn for the scene's camera. Add one.")
    elif scene.camera.data.type == "PANO" and by_quads:
        remedy = ", or draw the splats by Blender's Splats" if all(map(is_native, by_quads)) else ""
        sentences.append(f"Panoramic cameras show Splat Quads incorrectly: make the camera perspective{remedy}.")
    if is_exact and needs_samples(scene):
        sentences.append(
            f"Blender's Splats are drawn with noise: at least {LEAST_SAMPLES} samples are set. "
            "Choose Splat Quads for one exact sample."
        )
    return sentences


def _look_of(item: bpy.types.Object) -> str:
    scenes = item.users_scene
    return scenes[0].splat.look if scenes else "BLENDER"
