"""Blender cameras and capture cameras: the one place where their axes and lens parameters meet.

Blender looks along -z with +y up and keeps the lens as focal length, sensor, fit and shift; a capture camera has OpenCV
axes and pixels. The formulas are those of Blender's `BKE_camera_params_compute_viewplane`.
"""

import math

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ..capture.camera import OPENCV_FROM_OPENGL, Camera
from ..errors import CameraError

DOME_COLLECTION = "Splat Cameras"
DOME_SENSOR_MM = 36.0
DOME_MARGIN = 1.05  # room around the targets, so that no silhouette touches the image border
_SHEAR_TOLERANCE = 1e-4


def render_size(render: bpy.types.RenderSettings) -> tuple[int, int]:
    """Width and height in pixels of what F12 makes: resolution times percentage, cut off as Blender does."""
    percentage = render.resolution_percentage
    return (
        max(1, render.resolution_x * percentage // 100),
        max(1, render.resolution_y * percentage // 100),
    )


def camera_from_object(camera_object: bpy.types.Object, scene: bpy.types.Scene) -> Camera:
    """The capture camera of a Blender camera under the scene's render settings, at the current frame.

    Raises CameraError, naming the camera, when it is no perspective camera or is sheared by its parents.
    """
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = camera_object.evaluated_get(depsgraph)
    lens = evaluated.data
    if lens.type != "PERSP":
        kind = {"ORTHO": "orthographic", "PANO": "panoramic"}.get(lens.type, lens.type.lower())
        raise CameraError(
            f"The camera '{camera_object.name}' is {kind}; splats are trained from perspective cameras.",
            "Set its Lens Type to Perspective, or deselect it.",
        )
    width, height = render_size(scene.render)
    pixel_aspect = scene.render.pixel_aspect_y / scene.render.pixel_aspect_x
    is_horizontal = lens.sensor_fit == "HORIZONTAL" or (lens.sensor_fit == "AUTO" and width >= pixel_aspect * height)
    sensor_mm = lens.sensor_height if lens.sensor_fit == "VERTICAL" else lens.sensor_width
    view_px = width if is_horizontal else pixel_aspect * height
    focal_px = lens.lens / sensor_mm * view_px
    return Camera(
        width=width,
        height=height,
        fx=focal_px,
        fy=focal_px / pixel_aspect,
        cx=width / 2 - lens.shift_x * view_px,
        cy=height / 2 + lens.shift_y * view_px / pixel_aspect,
        camera_from_world=_camera_from_world(evaluated.matrix_world, camera_object.name),
    )


def _camera_from_world(matrix_world: Matrix, name: str) -> np.ndarray:
    """(4, 4), OpenCV axes, from a Blender object matrix. Scale does not move pixels and is taken out; shear would."""
    matrix = np.array(matrix_world, dtype=np.float64)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or lengths.min() < 1e-12:
        raise CameraError(f"The camera '{name}' has a scale of zero or no finite place.", "Clear its scale (Alt S).")
    rotation = matrix[:3, :3] / lengths
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > _SHEAR_TOLERANCE:
        raise CameraError(
            f"The camera '{name}' is sheared by the scale of its parents.",
            "Clear its parent (Alt P, Keep Transformation) and its scale, or scale the parents evenly.",
        )
    if np.linalg.det(rotation) < 0:
        raise CameraError(f"The camera '{name}' is mirrored by a negative scale.", "Make its scale positive.")
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = rotation
    world_from_camera[:3, 3] = matrix[:3, 3]
    return OPENCV_FROM_OPENGL @ np.linalg.inv(world_from_camera)


def apply_camera(camera_object: bpy.types.Object, camera: Camera, render: bpy.types.RenderSettings) -> None:
    """Set pose, lens and shift of a Blender camera, and the render's size and pixel aspect, so that its view is
    `camera`'s, pixel for pixel. The inverse of `camera_from_object`; the pose is that below the object's parent."""
    set_lens(camera_object.data, camera)
    set_picture(render, camera.width, camera.height, camera.fx / camera.fy)
    camera_object.matrix_basis = pose_matrix(camera)


def set_lens(lens: bpy.types.Camera, camera: Camera) -> None:
    """Set focal length and shift of a Blender camera over the whole width of the image, whatever its height."""
    lens.type = "PERSP"
    lens.sensor_fit = "HORIZONTAL"
    lens.lens = camera.fx / camera.width * lens.sensor_width
    lens.shift_x = (camera.width / 2 - camera.cx) / camera.width
    lens.shift_y = (camera.cy - camera.height / 2) * (camera.fx / camera.fy) / camera.width


def set_picture(render: bpy.types.RenderSettings, width: int, height: int, pixel_aspect: float) -> None:
    """Let the render have this many pixels, each `pixel_aspect` times as high as wide: no camera's, but a render's."""
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    render.pixel_aspect_x, render.pixel_aspect_y = (1.0, pixel_aspect) if pixel_aspect >= 1 else (1 / pixel_aspect, 1.0)


def pose_matrix(camera: Camera) -> Matrix:
    """A capture camera's pose with Blender's axes, in the frame of the capture."""
    return Matrix((camera.world_from_camera @ OPENCV_FROM_OPENGL).tolist())


def make_dome(
    scene: bpy.types.Scene, targets: np.ndarray, count: int, lens_mm: float, lowest_deg: float
) -> list[bpy.types.Object]:
    """`count` cameras at one distance around `targets` (P, 3), world frame, as near as keeps all of them in every view;
    from `lowest_deg` above the horizon to the zenith, in their own collection. Cameras of an earlier dome are replaced.

    The directions are a spiral of equal areas in which every eighth camera covers the dome evenly too.
    """
    collection = _fresh_collection(scene, DOME_COLLECTION)
    center = (targets.min(axis=0) + targets.max(axis=0)) / 2
    directions = dome_directions(count, lowest_deg)
    rotations = [Vector(direction).to_track_quat("Z", "Y").to_matrix() for direction in directions]
    slope_x, slope_y = _view_slopes(scene.render, lens_mm)
    distance = 0.0
    for rotation in rotations:
        across, up, toward = ((targets - center) @ np.array(rotation)).T
        needed = np.maximum(np.abs(across) / slope_x, np.abs(up) / slope_y) * DOME_MARGIN + toward
        distance = max(distance, float(needed.max()))
    cameras = []
    for index, (direction, rotation) in enumerate(zip(directions, rotations, strict=True)):
        data = bpy.data.cameras.new(f"Splat {index:03d}")
        data.lens, data.sensor_width, data.sensor_fit = lens_mm, DOME_SENSOR_MM, "AUTO"
        data.clip_start, data.clip_end = min(0.1, 0.01 * distance), max(100.0, 4 * distance)
        data.display_size = 0.1 * distance
        item = bpy.data.objects.new(data.name, data)
        item.matrix_world = Matrix.Translation(center + direction * distance) @ rotation.to_4x4()
        collection.objects.link(item)
        cameras.append(item)
    return cameras


def dome_directions(count: int, lowest_deg: float) -> np.ndarray:
    """(count, 3) unit vectors from `lowest_deg` above the horizon to nearly the zenith, equally dense everywhere.

    The turn from one to the next is sqrt(2) rounds: with the usual golden angle every eighth would stand in one line.
    """
    lowest = math.sin(math.radians(lowest_deg))
    order = np.arange(count)
    up = lowest + (0.98 - lowest) * (order + 0.5) / count
    turn = order * 2 * math.pi * math.sqrt(2)
    level = np.sqrt(1 - up * up)
    return np.stack([level * np.cos(turn), level * np.sin(turn), up], axis=1)


def _view_slopes(render: bpy.types.RenderSettings, lens_mm: float) -> tuple[float, float]:
    """Tangents of half the horizontal and vertical angle that a dome camera sees."""
    width, height = render_size(render)
    across, down = width * render.pixel_aspect_x, height * render.pixel_aspect_y
    longer = 0.5 * DOME_SENSOR_MM / lens_mm
    return longer * across / max(across, down), longer * down / max(across, down)


def _fresh_collection(scene: bpy.types.Scene, name: str) -> bpy.types.Collection:
    collection = scene.collection.children.get(name)
    if collection is None:
        collection = bpy.data.collections.new(name)
        scene.collection.children.link(collection)
    for item in list(collection.objects):
        data = item.data
        bpy.data.objects.remove(item)
        if isinstance(data, bpy.types.Camera) and data.users == 0:
            bpy.data.cameras.remove(data)
    return collection
