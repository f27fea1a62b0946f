"""What viewports see, as cameras in the scene's world."""

import bpy
import numpy as np

from ...capture.camera import OPENCV_FROM_OPENGL, Camera
from ...errors import CameraError
from ..cameras.conversion import camera_from_object


def camera_of_view(region: bpy.types.Region, space: bpy.types.SpaceView3D, scene: bpy.types.Scene) -> Camera:
    """The view of a viewport; through a camera, what that camera renders. Raises CameraError for orthographic and
    panoramic ones."""
    region_3d = space.region_3d
    camera_object = space.camera if space.use_local_camera else scene.camera
    if region_3d.view_perspective == "CAMERA" and camera_object is not None and camera_object.type == "CAMERA":
        return camera_from_object(camera_object, scene)
    return camera_of_matrices(region_3d.view_matrix, region_3d.window_matrix, region.width, region.height)


def camera_of_matrices(view_matrix, window_matrix, width: int, height: int) -> Camera:
    """The camera of Blender's view and projection matrices over `width` x `height` pixels. Raises CameraError for an
    orthographic one."""
    window = np.array(window_matrix, dtype=np.float64)
    if window[3, 3] != 0:
        raise CameraError("the view is orthographic", "Switch to a perspective view (numpad 5).")
    view = np.array(view_matrix, dtype=np.float64)
    view[:3, :3] /= np.cbrt(np.linalg.det(view[:3, :3]))
    return Camera(
        max(1, int(width)),
        max(1, int(height)),
        fx=window[0, 0] * width / 2,
        fy=window[1, 1] * height / 2,
        cx=width / 2 * (1 - window[0, 2]),
        cy=height / 2 * (1 + window[1, 2]),
        camera_from_world=OPENCV_FROM_OPENGL @ view,
    )
