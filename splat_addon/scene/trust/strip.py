"""The scene camera's animation, frame by frame: what quality to expect where."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import bpy
import numpy as np

from ...errors import CameraError, CaptureError
from ..cameras.conversion import camera_from_object
from ..cameras.shots import cameras_of_frames
from ..session import part
from . import measured

MOST_FRAMES = 250  # that are asked about, evenly over longer animations
_MOVING = ("objects", "cameras", "armatures", "curves", "lattices", "meshes", "shape_keys")  # in `bpy.data`


class Frame(NamedTuple):
    """One frame of the animation."""

    number: int
    answer: measured.Answer


class Strip:
    """What was said of the animation. `trust` is what it was asked of."""

    def __init__(self) -> None:
        self.trust: measured.Trust | None = None
        self.scene_uid = 0
        self.frames: list[Frame] = []


def frames(scene: bpy.types.Scene) -> list[Frame]:
    """The frames of a scene that were asked about; none while what was measured has gone."""
    strip = part(Strip)
    is_current = strip.trust is not None and strip.trust is measured.trust() and strip.scene_uid == scene.session_uid
    return strip.frames if is_current else []


def worst_first(asked: list[Frame]) -> list[Frame]:
    """Those with a number, the lowest first; where no quality is known, the largest angle first."""
    known = [frame for frame in asked if frame.answer.db is not None or frame.answer.why == measured.NO_HELD_OUT]
    return sorted(known, key=lambda frame: (frame.answer.db or 0.0, -frame.answer.angle_deg, frame.number))


def ask_along(scene: bpy.types.Scene, found: measured.Trust) -> list[Frame]:
    """Ask about every frame of the scene's range. The scene stays at its frame.

    Raises CameraError or CaptureError when the scene has no camera, or one that is not perspective.
    """
    numbers = np.unique(np.linspace(scene.frame_start, scene.frame_end, MOST_FRAMES).round().astype(int))
    cameras = cameras_of_frames(scene, numbers.tolist())
    if not set(cameras) <= set(scene.objects):
        raise CaptureError("The scene's camera is not in the scene.", "Link it to a collection of the scene.")
    asked = []
    with _stepping(scene, measured.object_of(found), set(cameras)) as stepped:
        for number, camera in zip(numbers.tolist(), cameras, strict=True):
            if stepped.camera != camera:
                stepped.camera = camera  # so that it is evaluated where viewports do not show it
            stepped.frame_set(number)
            try:
                answer = measured.ask_in_world(found, camera_from_object(camera, scene))
            except CameraError as error:
                answer = measured.Answer(0.0, None, error.message.rstrip("."))
            asked.append(Frame(number, answer))
    strip = part(Strip)
    strip.trust, strip.scene_uid, strip.frames = found, scene.session_uid, asked
    return asked


@contextlib.contextmanager
def _stepping(
    scene: bpy.types.Scene, item: bpy.types.Object | None, cameras: set[bpy.types.Object]
) -> Iterator[bpy.types.Scene]:
    """A scene to go through frames in, the context's until the end, when all is at its frame again: one of the cameras
    alone, with what they depend on, so that no frame evaluates splats and meshes; `scene` itself where splats move,
    too, or where cameras may follow physics or what drivers read from the scene."""
    before, camera = scene.frame_current_final, scene.camera
    if scene.rigidbody_world is not None or _is_a_scene_read() or (item is not None and _may_move(item)):
        try:
            yield scene
        finally:
            scene.frame_set(int(before // 1), subframe=before % 1)
            scene.camera = camera  # markers have switched it
        return
    aside = bpy.data.scenes.new("Along the Camera's Path")
    try:
        aside.render.fps, aside.render.fps_base = scene.render.fps, scene.render.fps_base
        aside.render.frame_map_old, aside.render.frame_map_new = scene.render.frame_map_old, scene.render.frame_map_new
        aside.active_clip = scene.active_clip  # which cameras are solved from
        for one in cameras:
            aside.collection.objects.link(one)
        with bpy.context.temp_override(scene=aside, view_layer=aside.view_layers[0]):
            try:
                yield aside
            finally:
                aside.frame_set(int(before // 1), subframe=before % 1)  # cameras are what they were
    finally:
        bpy.data.scenes.remove(aside)


def _is_a_scene_read() -> bool:
    """Whether a driver of anything that may move a camera reads a scene, such as its current frame."""
    return any(
        variable.type == "CONTEXT_PROP" or any(target.id_type == "SCENE" for target in variable.targets)
        for kind in _MOVING
        for block in getattr(bpy.data, kind)
        if block.animation_data is not None
        for curve in block.animation_data.drivers
        if curve.driver is not None
        for variable in curve.driver.variables
    )


def _may_move(item: bpy.types.Object) -> bool:
    """Whether an object's place may be another at another frame."""
    is_moved = item.animation_data is not None or len(item.constraints) > 0
    return is_moved or (item.parent is not None and _may_move(item.parent))
