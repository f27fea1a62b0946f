"""Cameras: projection, distortion, poses."""

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.errors import CameraError


def make_camera(**changes) -> Camera:
    values = {"width": 200, "height": 100, "fx": 150.0, "fy": 140.0, "cx": 103.0, "cy": 48.0}
    return Camera(**{**values, "camera_from_world": np.eye(4), **changes})


def test_a_point_on_the_axis_hits_the_principal_point():
    pixels, depths = make_camera().project(np.array([[0.0, 0.0, 4.0]]))
    assert pixels.tolist() == [[103.0, 48.0]] and depths.tolist() == [4.0]


def test_right_and_down_are_positive():
    pixels, _ = make_camera().project(np.array([[1.0, 2.0, 4.0]]))
    assert np.allclose(pixels, [[103 + 150 / 4, 48 + 140 / 2]])


def test_position_is_where_the_camera_stands():
    pose = np.eye(4)
    pose[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    pose[:3, 3] = (1, 2, 3)
    camera = make_camera(camera_from_world=np.linalg.inv(pose))
    assert np.allclose(camera.position, (1, 2, 3))
    assert np.allclose(camera.world_from_camera, pose)


def test_distortion_follows_opencv():
    """Values from OpenCV's documented formula, computed by hand for one point."""
    camera = make_camera(distortion=(0.1, -0.02, 0.003, -0.004))
    x, y = 0.3, -0.2
    r2 = 0.13
    radial = 1 + 0.1 * r2 - 0.02 * r2 * r2
    expected = (
        x * radial + 2 * 0.003 * x * y - 0.004 * (r2 + 2 * x * x),
        y * radial + 0.003 * (r2 + 2 * y * y) + 2 * -0.004 * x * y,
    )
    assert np.allclose(camera.distort(np.array([[x, y]])), [expected], atol=1e-15)


def test_a_resized_camera_sees_the_same_scaled():
    camera = make_camera()
    half = camera.resized(100, 50)
    point = np.array([[0.4, -0.3, 2.0]])
    assert np.allclose(half.project(point)[0] * 2, camera.project(point)[0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"camera_from_world": np.full((4, 4), np.nan)}, "not finite"),
        ({"fx": 0.0}, "no focal length"),
        ({"camera_from_world": np.diag([2.0, 2.0, 2.0, 1.0])}, "not a rotation"),
        ({"camera_from_world": np.diag([1.0, 1.0, -1.0, 1.0])}, "not a rotation"),
    ],
)
def test_impossible_cameras_are_named(changes, sentence):
    with pytest.raises(CameraError, match=f"photo_7.*{sentence}|{sentence}.*photo_7"):
        make_camera(**changes).check("photo_7")
