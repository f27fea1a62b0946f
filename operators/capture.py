"""Making a capture from the scene."""

import bpy

from ..splat_addon.capture.capture import Points
from ..splat_addon.errors import CaptureError
from ..splat_addon.scene import cameras, capturing, meshes, point_clouds
from ..splat_addon.scene.settings import absolute
from .report import reports_errors


def surfaces_to_capture(context) -> list[bpy.types.Object]:
    """The selected objects with surfaces; when none is selected, all that are rendered."""
    is_selected = any(map(_has_surface, context.selected_objects))
    candidates = context.selected_objects if is_selected else context.visible_objects
    return [item for item in candidates if _has_surface(item) and not item.hide_render]


def _has_surface(item: bpy.types.Object) -> bool:
    from ..splat_addon.scene.splats import is_splats

    return meshes.has_surface(item) and not is_splats(item)


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
    surfaces = surfaces_to_capture(context)
    if not surfaces:
        raise CaptureError("No mesh object of the selection is rendered.", "Select one that is enabled in renders.")
    return meshes.sample_surfaces(surfaces, min(chosen.seed_count, training.max_gaussians), training.seed)


class SPLAT_OT_capture_scene(bpy.types.Operator):
    """Render the scene from all cameras into the capture folder, with points on the surfaces to start training from"""

    bl_idname = "splat.capture_scene"
    bl_label = "Capture Scene"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        chosen = context.scene.splat.capture
        if not chosen.folder:
            cls.poll_message_set("Choose a capture folder first")
            return False
        if chosen.source == "DOME" and not any(_has_surface(item) for item in context.selected_objects):
            cls.poll_message_set("Select the mesh objects that the dome is built around")
            return False
        if chosen.source == "SELECTED" and not any(item.type == "CAMERA" for item in context.selected_objects):
            cls.poll_message_set("Select the cameras that see the scene")
            return False
        return True

    @reports_errors
    def execute(self, context):
        scene, chosen = context.scene, context.scene.splat.capture
        folder = absolute(chosen.folder)
        if not chosen.folder.strip():
            raise CaptureError("No capture folder is chosen.", "Choose one in the Capture panel.")
        points = seeds_to_capture(context)
        resolution = None if chosen.use_scene_resolution else (chosen.width, chosen.height)
        with capturing.sized(scene, resolution):
            if chosen.source == "DOME":
                seen_from = cameras.make_dome(
                    scene, points.positions, chosen.camera_count, chosen.lens_mm, chosen.lowest_deg
                )
            else:
                seen_from = [item for item in context.selected_objects if item.type == "CAMERA"]
            context.window_manager.progress_begin(0, len(seen_from))
            try:
                notes = capturing.capture_scene(
                    scene,
                    seen_from,
                    points,
                    folder,
                    capturing.RenderOptions(chosen.samples, chosen.use_denoising),
                    scene.splat.training.hold_out_every,
                    context.window_manager.progress_update,
                )
            finally:
                context.window_manager.progress_end()
        for note in notes:
            self.report({"WARNING"}, note)
        self.report({"INFO"}, f"Captured {len(seen_from)} views and {len(points.positions)} points in {folder}")
        return {"FINISHED"}


CLASSES = (SPLAT_OT_capture_scene,)
