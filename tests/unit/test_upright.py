"""Which way is up, told by the cameras."""

import numpy as np
import pytest

from splat_addon.capture.camera import Camera
from splat_addon.capture.rotation import rotation_from_quaternion
from splat_addon.capture.upright import middle, up_direction, upright_from_world
from support.scenes import looking_at, ring_of_cameras


def turned(cameras, quaternion, shift=(0.0, 0, 0), scale=1.0) -> tuple[list[Camera], np.ndarray]:
    similarity = np.eye(4)
    similarity[:3, :3] = scale * rotation_from_quaternion(quaternion)
    similarity[:3, 3] = shift
    return [camera.moved(similarity) for camera in cameras], similarity


TURNS = [(1, 0, 0, 0), (0.3, -0.5, 0.2, 0.7), (0, 1, 0, 0), (0.7071, -0.7071, 0, 0)]


@pytest.mark.parametrize("quaternion", TURNS)
def test_a_ring_of_cameras_that_look_down_knows_up_exactly(quaternion):
    cameras, similarity = turned(ring_of_cameras(12).values(), quaternion)
    up = similarity[:3, :3] @ (0, 0, 1)
    assert up_direction(cameras) @ up > 1 - 1e-9


@pytest.mark.parametrize("quaternion", TURNS)
def test_half_a_ring_that_looks_down_steeply_does_not_tilt(quaternion):
    """The plain mean of up directions leans backwards here, by half the cameras' tilt."""
    turns = np.linspace(0, np.pi / 2, 9)
    views = [looking_at((2 * np.cos(turn), 2 * np.sin(turn), 2.0)) for turn in turns]
    cameras, similarity = turned(views, quaternion)
    up = similarity[:3, :3] @ (0, 0, 1)
    mean = -np.mean([camera.camera_from_world[1, :3] for camera in cameras], axis=0)
    assert mean @ up / np.linalg.norm(mean) < 0.9
    assert up_direction(cameras) @ up > 1 - 1e-9


def test_cameras_side_by_side_use_their_mean_up():
    cameras = [looking_at((0.1 * index, -5, 1), target=(0.1 * index, 0, 1)) for index in range(5)]
    assert up_direction(cameras) @ (0, 0, 1) > 1 - 1e-9


@pytest.mark.parametrize("quaternion", TURNS)
def test_standing_upright_turns_centres_and_scales(quaternion):
    target = np.array([0.3, -0.2, 0.5])
    views = [looking_at(target + (3 * np.cos(t), 3 * np.sin(t), 1.5), target) for t in np.linspace(0, 5, 9)]
    cameras, similarity = turned(views, quaternion, shift=(5, -7, 2), scale=0.1)
    matrix = upright_from_world(cameras, None, distance=4.0)
    stood = [camera.moved(matrix) for camera in cameras]
    assert np.allclose([np.linalg.norm(camera.position) for camera in stood], 4.0)
    assert up_direction(stood) @ (0, 0, 1) > 1 - 1e-9
    assert np.allclose([camera.position[2] for camera in stood], 4 * 1.5 / np.hypot(3, 1.5))
    assert np.allclose(matrix @ similarity @ (*target, 1), (0, 0, 0, 1), atol=1e-9)
    unscaled = upright_from_world(cameras, None, distance=None)
    assert abs(np.linalg.det(unscaled[:3, :3]) - 1) < 1e-9


def test_the_middle_is_what_cameras_look_at_or_where_the_points_are():
    target = np.array([1.0, 2, 3])
    around = [looking_at(target + place, target) for place in ((3, 0, 1), (0, 3, 1), (-3, -1, 1))]
    assert np.allclose(middle(around, None), target)
    beside = [looking_at((index, -5, 0), target=(index, 0, 0)) for index in range(4)]
    points = np.array([[0.0, 0, 0], [1, 1, 1], [9, 9, 2]])
    assert np.allclose(middle(beside, points), (1, 1, 1))
    assert np.allclose(middle(beside, None), (1.5, -5, 0))
