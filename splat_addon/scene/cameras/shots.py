"""Which cameras see the scene, at which frames, and what they then see."""

from collections.abc import Iterable

import bpy

from ...capture.camera import Camera
from ...capture.file_names import distinct_files
from ...errors import CameraError, CaptureError
from ...run.render_folder import Shot
from .conversion import camera_from_object, require_perspective


def shots_of_cameras(cameras: Iterable[bpy.types.Object], scene: bpy.types.Scene) -> list[Shot]:
    """One shot per camera at the current frame, named after the camera. Raises CameraError, naming a bad camera."""
    cameras = sorted(cameras, key=lambda item: item.name_full)
    frame = scene.frame_current_final
    names = distinct_names([item.name for item in cameras])
    for item in cameras:
        require_perspective(item)
    return _checked(
        [
            Shot(f"images/{name}.png", item.name_full, frame, item.splat.is_held_out)
            for name, item in zip(names, cameras, strict=True)
        ]
    )


def shots_of_frames(scene: bpy.types.Scene, first: int, last: int, step: int) -> list[Shot]:
    """One shot per frame of the scene camera; markers may switch it. Raises CameraError or CaptureError."""
    frames = range(first, last + 1, max(1, step))
    shots = list(zip(cameras_of_frames(scene, frames), frames, strict=True))
    if not shots:
        raise CaptureError(f"There is no frame from {first} to {last}.", "Choose a last frame after the first.")
    names = distinct_names([f"{item.name}_{frame:04d}" for item, frame in shots])
    return _checked(
        [
            Shot(f"images/{name}.png", item.name_full, frame, item.splat.is_held_out)
            for name, (item, frame) in zip(names, shots, strict=True)
        ]
    )


def cameras_of_frames(scene: bpy.types.Scene, frames: Iterable[int]) -> list[bpy.types.Object]:
    """The scene camera at each frame; markers may switch it. Raises CaptureError where there is none, CameraError,
    naming it, where one is not perspective."""
    cameras = []
    for frame in frames:
        item = _camera_at(scene, frame)
        if item is None:
            raise CaptureError(f"The scene has no camera at frame {frame}.", "Make a camera the active one (Ctrl 0).")
        require_perspective(item)
        cameras.append(item)
    return cameras


def _camera_at(scene: bpy.types.Scene, frame: int) -> bpy.types.Object | None:
    """The scene camera, or the one that the latest marker up to `frame` (else the first) switches to."""
    switches = [marker for marker in scene.timeline_markers if marker.camera and not marker.camera.hide_render]
    switches.sort(key=lambda marker: marker.frame)
    before = [marker.camera for marker in switches if marker.frame <= frame]
    return before[-1] if before else switches[0].camera if switches else scene.camera


def _checked(shots: list[Shot]) -> list[Shot]:
    if len(shots) > 1 and all(shot.is_held_out for shot in shots):
        raise CaptureError(
            f"All {len(shots)} views are marked as held out: none is left to train on.",
            "Clear the mark of some cameras.",
        )
    return shots


def distinct_names(names: list[str]) -> list[str]:
    """File names of letters, digits, hyphens and underscores that every system takes, all different."""
    plain = ["".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name) for name in names]
    return distinct_files(plain)


def export_cameras(scene: bpy.types.Scene, shots: Iterable[Shot]) -> dict[str, Camera]:
    """The capture camera of every shot by photo. Moves the scene's frame and, for hidden cameras, its camera.

    The scene must be the context's. Raises CameraError or CaptureError when a camera is gone or cannot be expressed.
    """
    found = {item.name_full: item for item in scene.objects if item.type == "CAMERA"}
    cameras = {}
    for shot in shots:
        item = found.get(shot.camera)
        if item is None:
            raise CaptureError(f"The camera '{shot.camera}' is not in the scene.", "Choose the cameras again.")
        set_frame(scene, shot.frame)
        if not item.visible_get() and scene.camera != item:
            scene.camera = item  # what the viewport hides is not evaluated, but for the scene's camera
            bpy.context.view_layer.update()
        try:
            cameras[shot.photo] = camera_from_object(item, scene)
        except CameraError as error:
            raise CameraError(f"{error.message.rstrip('.')} (frame {shot.frame:g}).", error.remedy) from error
    return cameras


def set_frame(scene: bpy.types.Scene, frame: float) -> None:
    """Go to a frame with its subframe, if the scene is not there yet."""
    if scene.frame_current_final != frame:
        scene.frame_set(int(frame // 1), subframe=frame % 1)
