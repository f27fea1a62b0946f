"""Setting a capture upright: which way is up, where its middle is, and how large it is, told by its cameras."""

from dataclasses import replace

import numpy as np

from .camera import Camera


def held_upright(camera: Camera, orientation: int) -> Camera:
    """The camera rolled so that its up is that of the picture as a viewer shows it, whose pixels an Exif `orientation`
    turns from how the camera measured them. Pose alone: the lens stays."""
    quarters = {3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}.get(orientation, 0)  # clockwise
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    turn = np.eye(4)
    turn[:2, :2] = [[cosine, -sine], [sine, cosine]]  # x right, y down: what pointed up points right after one quarter
    return replace(camera, camera_from_world=turn @ camera.camera_from_world)


def up_direction(cameras: list[Camera]) -> np.ndarray:
    """(3,) unit vector, world frame: the mean of the cameras' up directions, freed of how they are tilted.

    Photographers tilt a camera up and down but seldom roll it, so up is square to all sideways directions (Brown and
    Lowe 2007, section 5, straighten panoramas so). Where these say nothing (cameras side by side, or rolled at
    random) the plain mean counts.
    """
    turns = np.stack([camera.camera_from_world[:3, :3] for camera in cameras])
    mean = -turns[:, 1].mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        return np.array([0.0, 0.0, 1.0])
    mean = mean / length
    sideways = turns[:, 0]
    spread, directions = np.linalg.eigh(sideways.T @ sideways / len(sideways))
    level = directions[:, 0] * np.sign(directions[:, 0] @ mean or 1.0)
    is_clear = spread[1] > 0.02 and spread[0] < 0.1 * spread[1]
    return level if is_clear and level @ mean > np.cos(np.radians(60)) else mean


def middle(cameras: list[Camera], positions: np.ndarray | None) -> np.ndarray:
    """(3,) what the cameras look at, world frame: the place nearest to all their axes, if it lies before most of them;
    else the median of the sparse points, else the cameras' mean."""
    places = np.stack([camera.position for camera in cameras])
    axes = np.stack([camera.camera_from_world[2, :3] for camera in cameras])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    normal = across.mean(axis=0)
    if np.linalg.eigvalsh(normal)[0] > 1e-3:
        nearest = np.linalg.solve(normal, (across @ places[:, :, None])[:, :, 0].mean(axis=0))
        in_front = np.einsum("cd,cd->c", nearest - places, axes) > 0
        if in_front.mean() > 0.7:
            return nearest
    if positions is not None and len(positions):
        return np.median(np.asarray(positions, dtype=np.float64), axis=0)
    return places.mean(axis=0)


def upright_from_world(cameras: list[Camera], positions: np.ndarray | None, distance: float | None) -> np.ndarray:
    """(4, 4) similarity that turns up to +z by the shortest way, moves the middle to the origin and, unless
    `distance` is None, scales so that the cameras' median distance from it is `distance`."""
    up, center = up_direction(cameras), middle(cameras, positions)
    scale = 1.0
    if distance is not None:
        median = float(np.median([np.linalg.norm(camera.position - center) for camera in cameras]))
        scale = distance / median if median > 0 else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = scale * _shortest_turn(up, np.array([0.0, 0.0, 1.0]))
    matrix[:3, 3] = -matrix[:3, :3] @ center
    return matrix


def _shortest_turn(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(3, 3) the rotation by the smallest angle that takes one unit vector to another (Rodrigues)."""
    axis, cosine = np.cross(start, end), float(start @ end)
    if cosine < -1 + 1e-12:  # opposite: half a turn about any direction square to it
        square = np.cross(start, np.eye(3)[np.argmin(np.abs(start))])
        square /= np.linalg.norm(square)
        return 2 * np.outer(square, square) - np.eye(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)
