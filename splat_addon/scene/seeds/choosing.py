"""Which of the scene's objects seeds are taken from, as the artist has chosen and selected."""

import bpy

from ...capture.points import Points
from ...errors import CaptureError
from ..splats import hidden_source
from ..splats.data import is_splats
from . import point_clouds, surfaces


def surfaces_to_capture(context) -> list[bpy.types.Object]:
    """The selected objects with surfaces; when none is selected, all that are rendered."""
    is_selected = any(map(is_surface, context.selected_objects))
    seen = [*context.visible_objects, *hidden_source.hidden(context.scene, context.view_layer)]
    candidates = context.selected_objects if is_selected else seen
    return [item for item in candidates if is_surface(item) and not item.hide_render]


def is_surface(item: bpy.types.Object) -> bool:
    """Whether an object has surfaces to put seeds on, and is not splats itself."""
    return surfaces.has_surface(item) and not is_splats(item)


def point_clouds_to_capture(context) -> list[bpy.types.Object]:
    """The selected objects that are points; when none is selected, all that are visible."""
    selected = [item for item in context.selected_objects if point_clouds.is_point_cloud(item)]
    return selected or [item for item in context.visible_objects if point_clouds.is_point_cloud(item)]


def why_no_seeds(context) -> str:
    """What the chosen kind of seeds lacks in the scene; empty when nothing."""
    source = context.scene.splat.capture.seed_source
    if source == "SURFACES" and not surfaces_to_capture(context):
        return "Select mesh objects to sample"
    if source == "POINT_CLOUDS" and not point_clouds_to_capture(context):
        return "Select a point cloud, or a mesh of vertices without faces"
    return ""


def seeds_to_capture(context) -> Points:
    """The points that a capture of the scene gets to start training from, world frame. At most Max Splats of surfaces.

    Raises CaptureError when there is nothing to take them from.
    """
    chosen, training = context.scene.splat.capture, context.scene.splat.training
    if chosen.seed_source == "POINT_CLOUDS":
        return point_clouds.read_points(point_clouds_to_capture(context))
    chosen_surfaces = surfaces_to_capture(context)
    if not chosen_surfaces:
        raise CaptureError("No mesh object of the selection is rendered.", "Select one that is enabled in renders.")
    return surfaces.sample_surfaces(chosen_surfaces, min(chosen.seed_count, training.max_gaussians), training.seed)
