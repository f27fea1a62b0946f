"""Blender cameras and capture cameras: the one place where their axes and lens parameters meet.

Blender looks along -z with +y up and keeps the lens as focal length, sensor, fit and shift; a capture camera has OpenCV
axes and pixels. The formulas are those of Blender's `BKE_camera_params_compute_viewplane`.
"""

import bpy
import numpy as np
from mathutils import Matrix

from ...capture.camera import OPENCV_FROM_OPENGL, Camera
from ...errors import CameraError

_SHEAR_TOLERANCE = 1e-4


def render_size(render: bpy.types.RenderSettings) -> tuple[int, int]:
    """Width and height in pixels of what F12 makes: resolution times percentage, cut off as Blender does."""
    percentage = render.resolution_percentage
    return (
        max(1, render.resolution_x * percentage // 100),
        max(1, render.resolution_y * percentage // 100),
    )


def crop_of(render: bpy.types.RenderSettings) -> tuple[int, int, int, int]:
    """First column, first row (from the top), width and height in pixels of what is rendered of the whole image.

    That is all of it unless the render region is on and crops: then Blender cuts it to whole pixels.
    """
    width, height = render_size(render)
    if not (render.use_border and render.use_crop_to_border):
        return 0, 0, width, height
    left, right = (int(np.float32(edge) * np.float32(width)) for edge in (render.border_min_x, render.border_max_x))
    low, high = (int(np.float32(edge) * np.float32(height)) for edge in (render.border_min_y, render.border_max_y))
    return left, height - high, max(1, right - left), max(1, high - low)


def require_perspective(camera_object: bpy.types.Object) -> None:
    """Raise CameraError, naming the camera, when its lens is not a perspective one."""
    kind = camera_object.data.type
    if kind != "PERSP":
        word = {"ORTHO": "orthographic", "PANO": "panoramic"}.get(kind, kind.lower())
        raise CameraError(
            f"The camera '{camera_object.name}' is {word}; splats are trained from perspective cameras.",
            "Set its Lens Type to Perspective, or deselect it.",
        )


def camera_from_object(camera_object: bpy.types.Object, scene: bpy.types.Scene) -> Camera:
    """The capture camera of a Blender camera under the scene's render settings, at the current frame.

    Raises CameraError, naming the camera, when it is not a perspective camera or is sheared by its parents.
    """
    require_perspective(camera_object)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = camera_object.evaluated_get(depsgraph)
    lens = evaluated.data
    width, height = render_size(scene.render)
    left, top, crop_width, crop_height = crop_of(scene.render)
    pixel_aspect = scene.render.pixel_aspect_y / scene.render.pixel_aspect_x
    is_horizontal = lens.sensor_fit == "HORIZONTAL" or (lens.sensor_fit == "AUTO" and width >= pixel_aspect * height)
    sensor_mm = lens.sensor_height if lens.sensor_fit == "VERTICAL" else lens.sensor_width
    view_px = width if is_horizontal else pixel_aspect * height
    focal_px = lens.lens / sensor_mm * view_px
    return Camera(
        width=crop_width,
        height=crop_height,
        fx=focal_px,
        fy=focal_px / pixel_aspect,
        cx=width / 2 - lens.shift_x * view_px - left,
        cy=height / 2 + lens.shift_y * view_px / pixel_aspect - top,
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
