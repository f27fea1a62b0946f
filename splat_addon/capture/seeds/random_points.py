"""Points at random where the cameras look, for captures without measured points, and on a far shell for the sky."""

import math

import numpy as np

from ..camera import Camera
from ..capture import Capture, Points
from ..upright import up_direction
from .photo_colors import Photo, color_points, is_seen, look_through

CANDIDATES = 4  # for each point that is wanted
MOST_CANDIDATES = 40  # where the photos show much of the space to be empty
RARELY = 0.01
ENOUGH_VIEWS = 3  # that see a point: fewer cannot tell its place
SKY_DISTANCE = 10.0  # of the sky's shell, in radii of cameras and points
LEAST_SKY = 0.05  # of the shell that is seen past everything else: less is gaps between points
BESIDE = 4000  # points on a whole sphere, where no photo shows the sky
NEAR_SKY_DEG = 25.0  # sky that near on both sides goes on behind what stands between
GAPS_DEG = 6.0  # within so much of what is sky, most is
LOWEST_PERCENT = 2.0  # of what is seen of the sky may be lower than what is not
_PARALLEL = 0.02  # mean squared sine between the views below which they look the same way


def random_points(capture: Capture, photos: list[Photo], count: int, seed: int) -> Points:
    """At most `count` points that training views see, without normals; colors are the mean over the photos.

    Even over the images and over the logarithm of depth. Of `CANDIDATES` times as many, those stay that no photo shows
    to be empty and that the most views see, up to `ENOUGH_VIEWS`. Fewer than `count` only where nearly all is empty.
    """
    random = np.random.default_rng(seed)
    cameras = [view.camera for view in capture.training_views]
    ranges = depth_ranges(cameras, capture.points)
    positions, seen_by, colors = np.empty((0, 3)), np.empty(0), np.empty((0, 3))
    amount = CANDIDATES * count
    for _ in range(2):  # the second time as many more as the first has shown to be needed
        drawn = _in_frusta(cameras, ranges, amount, random)
        left, seen, mean = look_through(drawn, photos)
        positions, seen_by = np.concatenate([positions, drawn[left]]), np.concatenate([seen_by, seen])
        colors = np.concatenate([colors, mean])
        good = int((seen >= min(ENOUGH_VIEWS, len(photos))).sum())
        if good < RARELY * amount:  # views that hardly overlap
            good = len(left)
        missing = count - good
        if missing <= 0:
            break
        amount = min(math.ceil(1.2 * missing * amount / max(good, 1)), MOST_CANDIDATES * count)
    shuffled = random.permutation(len(positions))  # so that no camera's points come first among equals
    best = shuffled[np.argsort(-np.minimum(seen_by[shuffled], ENOUGH_VIEWS), kind="stable")][:count]
    return Points(positions[best], colors[best])


def _in_frusta(cameras, ranges, count: int, random: np.random.Generator) -> np.ndarray:
    """(count, 3) places, of which each camera sees its share between its two depths."""
    shares = np.diff(np.arange(len(cameras) + 1) * count // len(cameras))
    places = [
        _in_frustum(camera, near, far, int(share), random)
        for camera, (near, far), share in zip(cameras, ranges, shares, strict=True)
        if share
    ]
    return np.concatenate(places)


def _in_frustum(camera: Camera, near: float, far: float, count: int, random: np.random.Generator) -> np.ndarray:
    """(count, 3) places that the camera sees between two depths; candidates that the lens bends out are redrawn."""
    found: list[np.ndarray] = []
    missing = count
    for _ in range(20):
        pixels = random.random((missing, 2)) * (camera.width, camera.height)
        depths = near * (far / near) ** random.random(missing)
        slopes = (pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
        in_camera = np.concatenate([slopes, np.ones((missing, 1))], axis=1) * depths[:, None]
        places = in_camera @ camera.camera_from_world[:3, :3] + camera.position
        found.append(places[is_seen(camera, places)])
        missing = count - sum(map(len, found))
        if missing <= 0:
            break
    places = np.concatenate(found)
    return np.resize(places, (count, 3)) if len(places) else np.tile(camera.position, (count, 1))


def depth_ranges(cameras: list[Camera], points: Points | None) -> list[tuple[float, float]]:
    """Nearest and farthest depth of what each camera looks at: from the points if there are some, else guessed from how
    the cameras stand.

    Cameras around an object: their axes meet at it. Otherwise (they look the same way, or outwards) depth is known only
    in terms of how far apart they stand.
    """
    if points is not None and len(points.positions) >= 10:
        sample = points.positions[:: -(-len(points.positions) // 20_000)]
        depths = [camera.project(sample)[1][is_seen(camera, sample)] for camera in cameras]
        known = [each for each in depths if len(each) >= 10]
        if known:
            together = np.concatenate(known)
            return [_spread(each if len(each) >= 10 else together) for each in depths]
    focus = meeting_point(cameras)
    if focus is not None:
        ahead = np.array([camera.project(focus[None])[1][0] for camera in cameras])
        ahead = np.where(ahead > 0, ahead, np.median(ahead))
        return [(0.3 * float(depth), 2.5 * float(depth)) for depth in ahead]
    radius = _radius(np.stack([camera.position for camera in cameras]))
    return [(0.2 * radius, 20.0 * radius)] * len(cameras)


def _spread(depths: np.ndarray) -> tuple[float, float]:
    near, far = np.percentile(depths, (2, 98))
    return 0.9 * float(near), 1.1 * float(far)


def meeting_point(cameras: list[Camera]) -> np.ndarray | None:
    """(3,) the place nearest to all optical axes; None when it is not in front of most cameras, or they do not meet."""
    positions = np.stack([camera.position for camera in cameras])
    forward = np.stack([camera.camera_from_world[2, :3] for camera in cameras])
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    matrix = across.mean(axis=0)
    if np.linalg.eigvalsh(matrix)[0] < _PARALLEL:
        return None
    focus = np.linalg.solve(matrix, np.einsum("cij,cj->i", across, positions) / len(cameras))
    offset = focus - positions
    ahead = (offset * forward).sum(axis=1)
    beside = np.linalg.norm(offset - ahead[:, None] * forward, axis=1)
    meets = (ahead > 0).mean() > 0.8 and np.median(beside) < 0.5 * np.median(ahead)
    return focus if meets else None


def sky_points(capture: Capture, points: Points, photos: list[Photo], count: int, behind_all: bool = False) -> Points:
    """About `count` points on a far sphere around cameras and points, where training views see it past everything
    else, and some in all other directions (see `_beside`); with `behind_all` also where something stands before it in
    all views, with sky to both sides. Fewer, or none, where the photos are transparent or full."""
    cameras = [view.camera for view in capture.training_views]
    center = np.mean([camera.position for camera in cameras], axis=0)
    radius = SKY_DISTANCE * sky_radius_unit(cameras, points, center)
    directions = _even_directions(4096)
    share = max(_seen(cameras, center + radius * directions).mean(), 1e-3)
    shell = center + radius * _even_directions(min(int(count / share), 100 * count))
    shell = shell[_seen(cameras, shell)]
    around = _even_directions(BESIDE)
    is_looked_at = _seen(cameras, center + radius * around)
    asked = np.concatenate([shell, center + radius * around[is_looked_at]])
    everything = Points(
        np.concatenate([points.positions, asked]),
        np.concatenate([np.zeros((len(points.positions), 3)), np.full((len(asked), 3), np.nan)]),
    )
    known = color_points(everything, photos)[len(points.positions) :]
    colors, is_hidden = known[: len(shell)], np.isnan(known[len(shell) :]).any(axis=1)
    is_visible = np.isfinite(colors).all(axis=1)
    if not len(shell) or is_visible.mean() < LEAST_SKY:
        return Points(np.empty((0, 3)), np.empty((0, 3)))
    seen, colors, up = (shell[is_visible] - center) / radius, colors[is_visible], up_direction(cameras)
    behind = _goes_on_behind(around[is_looked_at], is_hidden, up) if behind_all else np.empty((0, 3))
    beside, their_colors = _beside(around[~is_looked_at], behind, seen, colors, up)
    normals = np.concatenate([np.zeros_like(seen), -beside])
    return Points(center + radius * np.concatenate([seen, beside]), np.concatenate([colors, their_colors]), normals)


def _beside(
    unseen: np.ndarray, behind: np.ndarray, seen: np.ndarray, colors: np.ndarray, up: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Directions in which no photo shows the sky that is `seen` (P, 3), though it goes on there, and colors, between
    those (P, 3) of all that is seen by inverse distance (Shepard 1968): of the directions (Q, 3) in which no photo
    looks, those that are not below the sky; and those (B, 3) `behind` what stands before it.

    Nothing trains what lies there; without it the sky has black holes beside and behind what the photos show. So these
    points have normals, which make them opaque from the start. Elsewhere a shell behind what photos show would shine
    through glass, mirrors and walls that have few points.
    """
    some = slice(None, None, -(-len(seen) // BESIDE))
    is_high = unseen @ up >= np.percentile(seen @ up, LOWEST_PERCENT)
    wanted = np.concatenate([unseen[is_high], behind])
    apart = np.maximum(1 - wanted @ seen[some].T, 1e-9)  # half the squared distance
    weights = apart**-2
    return wanted, weights @ colors[some] / weights.sum(axis=1, keepdims=True)


def _goes_on_behind(looked_at: np.ndarray, is_hidden: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Of the directions (L, 3) in which photos look, those where something is before the sky in all of them
    (`is_hidden` (L,)), and the sky goes on: it is near on the left and on the right, and as low. What is seen through
    the gaps between the points of a surface is no sky: most around it is hidden."""
    cosines = looked_at @ looked_at.T
    is_sky = ~is_hidden & (np.where(cosines > np.cos(np.radians(GAPS_DEG)), 1 - 2.0 * is_hidden, 0).sum(axis=1) > 0)
    hidden, sky = looked_at[is_hidden], looked_at[is_sky]
    is_near = cosines[np.ix_(is_hidden, is_sky)] > np.cos(np.radians(NEAR_SKY_DEG))
    is_near &= sky @ up <= (hidden @ up)[:, None]
    is_left = hidden @ np.cross(sky, up).T > 0
    return hidden[(is_near & is_left).any(axis=1) & (is_near & ~is_left).any(axis=1)]


def sky_radius_unit(cameras: list[Camera], points: Points, center: np.ndarray) -> float:
    """How far cameras and (nearly all) points reach from `center`."""
    reach = _radius(np.stack([camera.position for camera in cameras]))
    if len(points.positions):
        reach = max(reach, float(np.percentile(np.linalg.norm(points.positions - center, axis=1), 98)))
    return reach


def _radius(positions: np.ndarray) -> float:
    """The largest distance from the middle; 1 for cameras at one place, which give no scale."""
    radius = float(np.linalg.norm(positions - positions.mean(axis=0), axis=1).max())
    return radius if radius > 1e-9 * float(np.abs(positions).max()) else 1.0


def _seen(cameras: list[Camera], positions: np.ndarray) -> np.ndarray:
    result = np.zeros(len(positions), dtype=bool)
    for camera in cameras:
        result |= is_seen(camera, positions)
    return result


def _even_directions(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly (spherical Fibonacci points, Keinert et al. 2015)."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    turn = np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)
