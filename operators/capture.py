"""Making a capture from the scene."""

import bpy

from ..splat_addon.capture.capture import Points
from ..splat_addon.errors import CaptureError
from ..splat_addon.run.render_folder import RenderPlan, Shot
from ..splat_addon.scene.cameras import rigs, shots
from ..splat_addon.scene.seeds import point_clouds
from ..splat_addon.scene.seeds import surfaces as meshes
from ..splat_addon.scene.settings.paths import absolute
from ..splat_addon.scene.splats import hidden_source as source
from ..splat_addon.scene.tasks import live_render
from .reporting import reports_errors


def surfaces_to_capture(context) -> list[bpy.types.Object]:
    """The selected objects with surfaces; when none is selected, all that are rendered."""
    is_selected = any(map(_has_surface, context.selected_objects))
    seen = [*context.visible_objects, *source.hidden(context.scene, context.view_layer)]
    candidates = context.selected_objects if is_selected else seen
    return [item for item in candidates if _has_surface(item) and not item.hide_render]


def _has_surface(item: bpy.types.Object) -> bool:
    from ..splat_addon.scene.splats.data import is_splats

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


def _cameras(objects) -> list[bpy.types.Object]:
    return [item for item in objects if item.type == "CAMERA"]


def _missing(context) -> str:
    """What the chosen source of cameras lacks; empty when it can be captured."""
    chosen, scene = context.scene.splat.capture, context.scene
    if chosen.source == "DOME" and not any(_has_surface(item) for item in context.selected_objects):
        if source.is_hidden(scene, context.view_layer):
            return "The source is hidden: Show Source in the Splats panel, and select it"
        return "Select the mesh objects that the dome is built around"
    if chosen.source == "SELECTED" and not _cameras(context.selected_objects):
        return "Select the cameras that see the scene"
    if chosen.source == "COLLECTION" and (chosen.collection is None or not _cameras(chosen.collection.all_objects)):
        return "Choose a collection that holds cameras"
    if chosen.source == "FRAMES" and scene.camera is None:
        return "The scene has no camera: make one the active camera (Ctrl 0)"
    if chosen.source == "ALL" and not _cameras(scene.objects):
        return "The scene has no camera"
    return ""


class SPLAT_OT_capture_scene(bpy.types.Operator):
    """Render the scene from all cameras into the capture folder, with points on the surfaces to start training from.
    A Blender of its own renders a copy of the file; this one stays free"""

    bl_idname = "splat.capture_scene"
    bl_label = "Capture Scene"
    bl_options = {"UNDO"}  # no REGISTER: adjusting the last operation would render all over again

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        if live_render.is_rendering():
            cls.poll_message_set("A capture is being rendered already: cancel it first")
            return False
        if not context.scene.splat.capture.folder:
            cls.poll_message_set("Choose a capture folder first")
            return False
        missing = _missing(context)
        if missing:
            cls.poll_message_set(missing)
        return not missing

    def invoke(self, context, event):
        """From the interface: start, and let the panel tell how it goes."""
        return self._start_in_background(context)

    @reports_errors
    def execute(self, context):
        """From a script: start, and wait until the capture is complete."""
        render = _start(context)
        context.window_manager.progress_begin(0, render.total)
        try:
            live_render.wait(context.window_manager.progress_update)
        finally:
            context.window_manager.progress_end()
            for warning in render.warnings:
                self.report({"WARNING"}, warning)
        self.report({"INFO"}, f"{render.message} They are in {render.capture}")
        return {"FINISHED"}

    @reports_errors
    def _start_in_background(self, context):
        render = _start(context)
        live_render.begin_watching()
        self.report({"INFO"}, f"Rendering {render.total} views in the background")
        return {"FINISHED"}


class SPLAT_OT_cancel_capture(bpy.types.Operator):
    """End the render of the capture. Finished images are kept, and the next capture goes on from them"""

    bl_idname = "splat.cancel_capture"
    bl_label = "Cancel Capture"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if not live_render.is_rendering():
            cls.poll_message_set("No capture is being rendered")
            return False
        return True

    @reports_errors
    def execute(self, context):
        live_render.cancel()
        return {"FINISHED"}


def _start(context) -> live_render.LiveRender:
    scene, chosen = context.scene, context.scene.splat.capture
    folder = absolute(chosen.folder)
    if not chosen.folder.strip():
        raise CaptureError("No capture folder is chosen.", "Choose one in the Capture panel.")
    points = seeds_to_capture(context)
    resolution = None if chosen.use_scene_resolution else (chosen.width, chosen.height)
    if chosen.source == "DOME":
        rigs.make_dome(scene, points.positions, chosen.camera_count, chosen.lens_mm, chosen.lowest_deg, resolution)
        context.view_layer.update()
    plan = RenderPlan(
        scene=scene.name_full,
        shots=tuple(_shots(context)),
        engine="" if chosen.engine == "SCENE" else chosen.engine,
        samples=0 if chosen.use_scene_samples else chosen.samples,
        use_denoising=chosen.use_denoising,
        resolution=resolution,
        depth=chosen.depth,
        normals=chosen.normals,
        hold_out_every=scene.splat.training.hold_out_every,
        use_scripts=not bpy.app.autoexec_fail,
    )
    return live_render.start(plan, points, folder)


def _shots(context) -> list[Shot]:
    scene, chosen = context.scene, context.scene.splat.capture
    if chosen.source == "FRAMES":
        return shots.shots_of_frames(scene, chosen.first_frame, chosen.last_frame, chosen.frame_step)
    objects = {
        "DOME": lambda: scene.collection.children[rigs.DOME_COLLECTION].objects,
        "SELECTED": lambda: context.selected_objects,
        "COLLECTION": lambda: chosen.collection.all_objects,
        "ALL": lambda: scene.objects,
    }[chosen.source]()
    return shots.shots_of_cameras(_cameras(objects), scene)


CLASSES = (SPLAT_OT_capture_scene, SPLAT_OT_cancel_capture)
