"""How training images are made: the settings of the copy that is rendered, and sentences about what was switched off.

Nothing here is given back: it runs on the copy, in the process that renders (see `child.py`).
"""

from typing import Any

import bpy

from ...errors import CaptureError
from ...run.render_folder import RenderPlan
from ..node_references import objects_shown_by_nodes
from ..splats.data import is_splats
from ..splats.render_setup import VIEWS
from . import render_settings

VIEW_TRANSFORM = VIEWS["BLENDER"][0]
DISPLAYS = ("sRGB", "sRGB - Display")  # the second: in studios' color configurations


def set_up(scene: bpy.types.Scene, plan: RenderPlan, cameras: list[bpy.types.Object]) -> list[str]:
    """Make `scene` render what training needs; return a sentence for everything of the artist's that is left out.

    Images become RGBA, 8 bit, the sRGB encoding of the Standard view over a transparent film, sharp everywhere.
    """
    notes = [*_lens_notes(cameras), *_image_notes(scene, plan)]
    for item in cameras:
        item.data.dof.use_dof = False
    for marker in scene.timeline_markers:
        marker.camera = None  # else the scene's camera changes with the frame
    for item in bpy.data.objects:  # also those that only stand in collections which the scene instances
        if is_splats(item):
            item.hide_render = True
    _empty_splats_of_nodes(scene)
    keeps_crop = plan.resolution is None and scene.render.use_border and scene.render.use_crop_to_border
    _set_up_size(scene, plan)
    notes += render_settings.make_neutral(scene, rendered_layer(scene), scene.render.engine)
    scene.render.use_border = keeps_crop
    _set_up_samples(scene, plan)
    notes += without_missing_denoiser(scene, has_denoiser())
    _choose(scene.display_settings, "display_device", DISPLAYS)
    _choose(scene.view_settings, "view_transform", VIEWS["BLENDER"])
    scene.view_settings.look = "None"  # once more: which looks there are depends on the view
    return notes


def rendered_layer(scene: bpy.types.Scene) -> bpy.types.ViewLayer:
    """The view layer that images show: the first one that renders."""
    return next((layer for layer in scene.view_layers if layer.use), scene.view_layers[0])


def _empty_splats_of_nodes(scene: bpy.types.Scene) -> None:
    """Geometry nodes show objects that are hidden in renders all the same: of splats, nothing is left to be shown."""
    shown = {found for item in scene.objects if not is_splats(item) for found in objects_shown_by_nodes(item)}
    for item in filter(is_splats, shown):
        data: Any = item.data
        if isinstance(data, bpy.types.Mesh):
            data.clear_geometry()
        else:
            data.resize(0)
            data.update_tag()


def _choose(owner: Any, name: str, values: tuple[str, ...]) -> None:
    """Set the first of these that the color configuration has. Raises CaptureError when it has none."""
    for value in values:
        try:
            setattr(owner, name, value)
        except TypeError:
            continue
        return
    kind = name.partition("_")[0]
    raise CaptureError(
        f"The color configuration has no {kind} '{values[0]}', so images cannot be made as training needs them.",
        "Start Blender without the environment variable OCIO for captures, or add one to the configuration.",
    )


def has_denoiser() -> bool:
    """Whether this Blender's Cycles was built with a denoiser for every machine; some distributions' is not."""
    try:
        import _cycles
    except ImportError:
        return False
    return bool(getattr(_cycles, "with_openimagedenoise", True))


def without_missing_denoiser(scene: bpy.types.Scene, is_there: bool) -> list[str]:
    """Switch denoising off where Cycles would refuse to render with it, and say so."""
    if is_there or scene.render.engine != "CYCLES" or not scene.cycles.use_denoising:
        return []
    scene.cycles.use_denoising = False
    return ["Denoising was switched off: this Blender was built without it. More samples make up for it."]


def assign(owner: Any, **values: Any) -> None:
    """Set attributes of a Blender struct, in order; those that this version of Blender lacks are left out."""
    for name, value in values.items():
        if hasattr(owner, name):
            setattr(owner, name, value)


def _lens_notes(cameras: list[bpy.types.Object]) -> list[str]:
    blurred = [item.name for item in cameras if item.data.dof.use_dof]
    if not blurred:
        return []
    return [f"Depth of field of {some(blurred)} was switched off: splats need sharp photos."]


def _image_notes(scene: bpy.types.Scene, plan: RenderPlan) -> list[str]:
    render, view = scene.render, scene.view_settings
    notes = []
    is_whole = plan.resolution is not None
    if render.use_border and (is_whole or not render.use_crop_to_border):
        notes.append("The render region was switched off: the whole image is rendered.")
    if render.use_compositing and _has_compositing(scene):
        notes.append("Compositing was switched off: it may differ between views.")
    if render.use_sequencer and scene.sequence_editor is not None and _has_strips(scene.sequence_editor):
        notes.append("The sequencer was switched off: its strips are not views of the scene.")
    view_is_plain = view.view_transform in VIEWS["BLENDER"]
    view_is_plain &= (view.look, view.exposure, view.gamma) == ("None", 0.0, 1.0)
    if not view_is_plain or view.use_curve_mapping or getattr(view, "use_white_balance", False):
        notes.append(
            f"The view transform {view.view_transform} was replaced by {VIEW_TRANSFORM}: "
            "splats come back in the scene's own colors."
        )
    layers = [layer.name for layer in scene.view_layers if layer.use]
    if len(layers) > 1:
        notes.append(f"Of several view layers only {some(layers[:1])} is seen.")
    return notes


def some(names: list[str]) -> str:
    """The first names of a list, for a sentence."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in names[:3]) + more


def _has_compositing(scene: bpy.types.Scene) -> bool:
    if hasattr(scene, "compositing_node_group"):
        return scene.compositing_node_group is not None
    return scene.use_nodes and scene.node_tree is not None


def _has_strips(editor: bpy.types.SequenceEditor) -> bool:
    strips: Any = getattr(editor, "strips", None) or getattr(editor, "sequences", None)
    return bool(strips)


def _set_up_size(scene: bpy.types.Scene, plan: RenderPlan) -> None:
    render: Any = scene.render
    if plan.engine:
        render.engine = plan.engine
    if plan.resolution is not None:
        render.resolution_x, render.resolution_y = plan.resolution
        render.resolution_percentage = 100
    first_used = rendered_layer(scene)
    for layer in scene.view_layers:
        layer.use = layer == first_used


def _set_up_samples(scene: bpy.types.Scene, plan: RenderPlan) -> None:
    engine = scene.render.engine
    if engine == "CYCLES":
        if plan.samples:
            assign(
                scene.cycles, samples=plan.samples, use_denoising=plan.use_denoising, use_adaptive_sampling=True,
                time_limit=0.0,
            )  # fmt: skip
    elif engine.startswith("BLENDER_EEVEE") and plan.samples:
        scene.eevee.taa_render_samples = plan.samples
