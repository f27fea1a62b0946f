"""What an artist should know of how splats will be drawn, before a render shows it."""

import bpy
import numpy as np

from ...errors import some_of
from ...gaussians.cloud import DISPLAY
from ..node_references import objects_shown_by_nodes
from ..settings.working_space import present
from .appearance import converts_here, is_drawn_by_blender, is_native, other_modifiers, splat_objects
from .compositing import splat_layer
from .data import BLEND_SPACE_KEY, is_splats, splat_count
from .render_setup import BUTTON, LEAST_SAMPLES, differences, lacking_view, needs_layer, needs_samples
from .transforms import shape_problem, transform_problems

MANY = 1_000_000  # splats from which on one exact sample takes longer than sixteen of Blender's


def object_advice(item: bpy.types.Object) -> list[str]:
    """Sentences about one splat object; cheap enough for a panel. Problems of quads are told where quads are drawn."""
    problems = [*transform_problems(item), *modifier_problems(item)]
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


def modifier_problems(item: bpy.types.Object) -> list[str]:
    """Sentences about modifiers of the artist's, which renders alone follow."""
    found = other_modifiers(item)
    if not found:
        return []
    return [
        f"{some_of(found)}: changes these splats in renders alone; the viewport and exports show them without it. "
        "Apply it, and all show the same."
    ]


def scene_advice(scene: bpy.types.Scene, is_exact: bool = False) -> list[str]:
    """Sentences about everything for which renders of the scene's splats will differ from what was trained, each with
    its remedy; cheap enough for a panel."""
    drawn = _Drawn(scene, is_exact)
    if not (drawn.items or drawn.instances):
        return []
    return [sentence for condition in _CONDITIONS if (sentence := condition(drawn))]


class _Drawn:
    """The scene's splat objects that renders show, and what draws them."""

    def __init__(self, scene: bpy.types.Scene, is_exact: bool):
        self.scene, self.is_exact = scene, is_exact
        self.items = [item for item in splat_objects(scene) if not item.hide_render]
        self.by_quads = [item for item in self.items if not is_drawn_by_blender(item)]
        self.instances = _instances_of_quads(scene)
        self.is_cycles = scene.render.engine == "CYCLES"
        self.is_eevee = scene.render.engine.startswith("BLENDER_EEVEE")

    def or_blenders(self) -> str:
        """What else helps where quads are at fault, as the end of a sentence."""
        can = self.by_quads and all(map(is_native, self.by_quads))
        return ", or draw the splats by Blender's Splats" if can else ""


def _camera(drawn: _Drawn) -> str:
    scene = drawn.scene
    if scene.camera is None:
        return "The scene has no camera: splats are drawn for the scene's camera. Add one."
    if scene.camera.data.type == "PANO" and drawn.by_quads:
        return f"Panoramic cameras show Splat Quads incorrectly: make the camera perspective{drawn.or_blenders()}."
    return ""


def _other_things(drawn: _Drawn) -> str:
    """Trainer Look beside other things, or splats that were trained for it in another look."""
    scene = drawn.scene
    if needs_layer(scene):
        names = some_of([f"'{item.name}'" for item in splat_layer.others(scene)])
        return (
            f"Trainer Look is for splats alone, and {names} will look wrong under it: {BUTTON} renders each in a view "
            "layer of its own."
        )
    trained = [item.name for item in drawn.by_quads if item.get(BLEND_SPACE_KEY) == DISPLAY]
    if scene.splat.look == "DISPLAY" or not trained:
        return ""
    remedy = f"{BUTTON} shows them as trained" if splat_layer.others(scene) else "choose that Look"
    return f"{some_of(trained)}: trained for Trainer Look, and colors blend differently in Scene Light: {remedy}."


def _noise(drawn: _Drawn) -> str:
    if not (drawn.is_exact and needs_samples(drawn.scene)):
        return ""
    return (
        f"Blender's Splats are drawn with noise: at least {LEAST_SAMPLES} samples are set. "
        "Choose Splat Quads for one exact sample."
    )


def _view(drawn: _Drawn) -> str:
    lacking = lacking_view(drawn.scene)
    if not lacking:
        return ""
    return (
        f"The color configuration has no view '{lacking}', and colors are shown through "
        f"'{drawn.scene.view_settings.view_transform}': choose the plainest one in Color Management."
    )


def _settings(drawn: _Drawn) -> str:
    changes = [] if _view(drawn) else differences(drawn.scene)
    changes = changes[:4] + (["…"] if len(changes) > 4 else [])
    return f"Not as splats need it: {', '.join(changes)}. Set Up Render for Splats sets it." if changes else ""


def _working_space(drawn: _Drawn) -> str:
    """Only of groups that cannot be filled again: linked with their objects, or of another name."""
    stale = [item.name for item in drawn.by_quads if not converts_here(item)]
    if not stale:
        return ""
    return (
        f"The quads of {some_of(stale)} show colors of another working space than {present()}: choose that one in "
        "Color Management of the file they are linked from."
    )


def _motion_blur(drawn: _Drawn) -> str:
    smeared = [
        item.name
        for item in drawn.by_quads
        if drawn.is_cycles and drawn.scene.render.use_motion_blur and item.cycles.use_deform_motion
    ]
    if not smeared:
        return ""
    return (
        f"Motion blur smears the quads of {some_of(smeared)}: Set Up Render for Splats switches Deformation off in "
        "Object Properties > Motion Blur, or do that where linked objects come from."
    )


def _stereo(drawn: _Drawn) -> str:
    if not (drawn.scene.render.use_multiview and drawn.by_quads):
        return ""
    return (
        "Stereoscopy: both eyes see Splat Quads as the scene's camera does. Switch it off and render each eye with a "
        f"camera of its own{drawn.or_blenders()}."
    )


def _overlaps(drawn: _Drawn) -> str:
    if not drawn.is_eevee:
        return ""
    boxes = [(item.name, *_box(item)) for item in drawn.by_quads]
    for index, (name, low, high) in enumerate(boxes):
        for other, other_low, other_high in boxes[index + 1 :]:
            if np.all(low < other_high) and np.all(other_low < high):
                return (
                    f"EEVEE draws one splat object after the other, and '{name}' and '{other}' reach into each other: "
                    "render with Cycles."
                )
    return ""


def _instances(drawn: _Drawn) -> str:
    if not drawn.instances:
        return ""
    return (
        f"'{drawn.instances[0]}' instances splats, whose quads face the camera from where the original stands: select "
        "it and choose Object > Apply > Make Instances Real."
    )


def _instances_of_quads(scene: bpy.types.Scene) -> list[str]:
    """The names of objects that stand for a collection with splats which renders draw by quads, or whose geometry nodes
    show such splats."""
    answers: dict[int, bool] = {}  # by collection: many objects may stand for one, and one may be large
    found = []
    for item in scene.objects:
        if item.modifiers and not item.hide_render and not is_splats(item):
            splats = filter(is_splats, objects_shown_by_nodes(item))
            if not all(map(is_drawn_by_blender, splats)):
                found.append(item.name)
                continue
        source = item.instance_collection if item.instance_type == "COLLECTION" else None
        if source is None or item.hide_render:
            continue
        if source.session_uid not in answers:
            splats = filter(is_splats, source.all_objects)
            answers[source.session_uid] = not all(map(is_drawn_by_blender, splats))
        if answers[source.session_uid]:
            found.append(item.name)
    return found


def _override(drawn: _Drawn) -> str:
    layers = [layer.name for layer in drawn.scene.view_layers if layer.use and layer.material_override is not None]
    if not layers:
        return ""
    return f"The view layer '{layers[0]}' overrides materials, also that of splats: clear Material Override."


def _bounces(drawn: _Drawn) -> str:
    """Only where something is there for light to bounce from."""
    cycles = getattr(drawn.scene, "cycles", None)
    if not (drawn.is_cycles and drawn.by_quads and cycles is not None and cycles.max_bounces > 0):
        return ""
    if not any(item.type in _SURFACES and not is_splats(item) and not item.hide_render for item in drawn.scene.objects):
        return ""
    return (
        "Mirrors and bounced light meet Splat Quads from the side, and see little of them: render reflections from a "
        f"camera of their own{drawn.or_blenders()}."
    )


_SURFACES = ("MESH", "CURVE", "SURFACE", "META", "FONT")
_CONDITIONS = (
    *(_camera, _other_things, _noise, _settings, _view, _working_space, _override, _motion_blur),
    *(_stereo, _overlaps, _instances, _bounces),
)


def _box(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """(3,) lowest and (3,) highest world corner around an object as the viewport has it."""
    matrix = np.array(item.matrix_world)
    corners = np.array(item.bound_box) @ matrix[:3, :3].T + matrix[:3, 3]
    return corners.min(axis=0), corners.max(axis=0)


def _look_of(item: bpy.types.Object) -> str:
    scenes = item.users_scene
    return scenes[0].splat.look if scenes else "BLENDER"
