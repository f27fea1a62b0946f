"""Where to look from to see what floaters do: views that the training cameras do not cover, and that show what they do.

Cameras are displaced from the training cameras, sideways, up and down, nearer and farther, by parts of the reach, and
aimed at what those look at.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...capture.camera import Camera
from .coverage import NEVER_DEG, Coverage

ASIDE, UP, AHEAD = 0.9, 0.5, 0.5  # of the reach: how far cameras are moved, at most
AIMED = 0.15  # of the reach: how far from what the photos look at they are aimed
LEAST_DEG = 10.0  # mean angle to the nearest camera that saw the same place
MOST_UNSEEN = 0.35  # of the picture: what no training camera saw
MOST_INSIDE = 0.1  # of the picture: what is made of splats around the camera
LEAST_SHOWN = 0.1  # of the picture: what shows anything
APART = 0.1  # of the reach, or radians: two views that are nearer to each other tell the same
MOST_TRIES = 300
POOL = 6  # times as many are found as are wanted, to choose those that lie apart


def aimed(camera: Camera, place: np.ndarray, target: np.ndarray) -> Camera:
    """`camera` without its distortion, moved to `place` (3,) and turned to `target` (3,), its top up as far as that
    goes. Where both are one point, it looks the way it did."""
    pose, forward = camera.world_from_camera, target - place
    length = np.linalg.norm(forward)
    forward = pose[:3, 2] if length <= 1e-6 * np.linalg.norm(target - pose[:3, 3]) else forward / length
    right = np.cross(pose[:3, 1], forward)
    right = pose[:3, 0] if np.linalg.norm(right) < 1e-3 else right / np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = -matrix[:3, :3] @ place
    return replace(camera, camera_from_world=matrix, distortion=())


def views_outside(
    coverage: Coverage, cameras: Sequence[Camera], reaches: np.ndarray, count: int, seed: int = 0
) -> list[Camera]:
    """Cameras off the path of the training `cameras`, in the frame of `coverage`, the first `count` as far from each
    other as they can be, and more after them; fewer where there are not so many. The same arguments give the same.

    `reaches` (C,): the median depth of what each of them sees. All have the lens and the pixels of one of them, of the
    size that most of them have.
    """
    random = np.random.default_rng(seed)
    sizes = [size_of(camera) for camera in cameras]
    usual = [number for number, size in enumerate(sizes) if size == max(sizes, key=sizes.count)]
    found: list[Camera] = []
    for _ in range(MOST_TRIES):
        number = usual[random.integers(len(usual))]
        aside, up, ahead, *aim = random.uniform(-1, 1, 6) * (ASIDE, UP, AHEAD, AIMED, AIMED, AIMED)
        pose, reach = cameras[number].world_from_camera, float(reaches[number])
        place = pose[:3] @ (reach * aside, reach * up, reach * ahead, 1.0)
        target = pose[:3] @ (0.0, 0.0, reach, 1.0) + reach * np.array(aim)
        camera = aimed(cameras[number], place, target)
        if is_outside(coverage, camera):
            found.append(camera)
        if len(found) == POOL * count:
            break
    return _spread(found, float(np.median(reaches)), random)


def size_of(camera: Camera) -> tuple[int, int, float]:
    """What cameras have in common that one render can have for all of them: its pixels, and how they are shaped."""
    return camera.width, camera.height, round(camera.fx / camera.fy, 4)


def is_outside(coverage: Coverage, camera: Camera) -> bool:
    """Whether a view shows what training cameras saw, and shows it from elsewhere."""
    envelope = coverage.around(camera)
    is_seen = envelope.angles_deg < NEVER_DEG
    if envelope.shares[is_seen].sum() < LEAST_SHOWN:
        return False
    angle = np.average(envelope.angles_deg[is_seen], weights=envelope.shares[is_seen])
    return bool(angle >= LEAST_DEG and envelope.unseen <= MOST_UNSEEN and envelope.inside <= MOST_INSIDE)


def _spread(cameras: list[Camera], reach: float, random: np.random.Generator) -> list[Camera]:
    """The same cameras, each as far as can be from all before it; without those that are near one of them."""
    if not cameras:
        return []
    places = np.array([camera.position for camera in cameras]) / max(reach, 1e-30)
    looks = np.array([camera.camera_from_world[2, :3] for camera in cameras])
    order, nearest = [int(random.integers(len(cameras)))], np.full(len(cameras), np.inf)
    while True:
        turned = np.arccos(np.clip(looks @ looks[order[-1]], -1, 1))
        nearest = np.minimum(nearest, np.linalg.norm(places - places[order[-1]], axis=1) + turned)
        farthest = int(nearest.argmax())
        if nearest[farthest] < APART:
            return [cameras[number] for number in order]
        order.append(farthest)
