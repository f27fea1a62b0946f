"""From what the artist chose in the Capture panel to what is rendered."""

import bpy

from ...capture.points import Points
from ...errors import CaptureError
from ...run.render_folder import OutsidePlan, RenderPlan, Shot
from ..cameras import rigs, shots
from ..seeds.choosing import is_surface, seeds_to_capture
from ..splats import hidden_source
from . import enclosing
from .scripts import session_runs_scripts


def what_is_missing(context) -> str:
    """What the chosen source of cameras lacks; empty when it can be captured."""
    chosen, scene = context.scene.splat.capture, context.scene
    if chosen.source == "DOME" and not any(map(is_surface, context.selected_objects)):
        if hidden_source.is_hidden(scene, context.view_layer):
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


def make_plan(context) -> tuple[RenderPlan, Points, list[str]]:
    """What is rendered, the points that training starts from, and warnings about what hides the targets; a dome of
    cameras is built if that was chosen.

    Raises CaptureError when there is nothing to capture.
    """
    scene, chosen = context.scene, context.scene.splat.capture
    if not chosen.folder.strip():
        raise CaptureError("No capture folder is chosen.", "Choose one in the Capture panel.")
    points = seeds_to_capture(context)
    resolution = None if chosen.use_scene_resolution else (chosen.width, chosen.height)
    if chosen.source == "DOME":
        rigs.make_dome(scene, points.positions, chosen.camera_count, chosen.lens_mm, chosen.lowest_deg, resolution)
        context.view_layer.update()
    plan = plan_of(scene, _shots(context), resolution)
    objects = [context.view_layer.objects.get(name) for name in dict.fromkeys(shot.camera for shot in plan.shots)]
    cameras = [item for item in objects if item is not None]  # those of libraries have other names, and are not asked
    return plan, points, enclosing.warnings_about(context, cameras)


def plan_of(
    scene: bpy.types.Scene,
    shots: list[Shot],
    resolution: tuple[int, int] | None,
    outside: OutsidePlan | None = None,
) -> RenderPlan:
    """How `shots` are rendered, as the Capture panel says; those `outside` always with depth. See `RenderPlan`."""
    chosen = scene.splat.capture
    return RenderPlan(
        scene=scene.name_full,
        shots=tuple(shots),
        engine="" if chosen.engine == "SCENE" else chosen.engine,
        samples=0 if chosen.use_scene_samples else chosen.samples,
        use_denoising=chosen.use_denoising,
        resolution=resolution,
        depth=chosen.depth or outside is not None,
        normals=chosen.normals and outside is None,
        hold_out_every=scene.splat.training.hold_out_every,
        use_scripts=session_runs_scripts(),
        outside=outside,
    )


def _shots(context) -> list[Shot]:
    scene, chosen = context.scene, context.scene.splat.capture
    if chosen.source == "FRAMES":
        return shots.shots_of_frames(scene, chosen.first_frame, chosen.last_frame, chosen.frame_step)
    objects = {
        "DOME": lambda: rigs.dome_collection(scene).objects,
        "SELECTED": lambda: context.selected_objects,
        "COLLECTION": lambda: chosen.collection.all_objects,
        "ALL": lambda: scene.objects,
    }[chosen.source]()
    return shots.shots_of_cameras(_cameras(objects), scene)


def _cameras(objects) -> list[bpy.types.Object]:
    return [item for item in objects if item.type == "CAMERA"]
