"""Whether a capture shows a sky, or another background without a place: told by its points and by parallax.

What lies beyond all points may be a sky or a plain wall. A sky is infinitely far away: photos taken at different
places agree about it by direction alone. Walls and ceilings agree where they stand (a plane sweep over spheres, after
Collins 1996). Where nothing in there tells one from the other, only what is as bright and as blue as skies are counts.
"""

from dataclasses import dataclass

import numpy as np

from ..camera import Camera
from ..capture import Points
from ..remarks import Remark
from ..upright import up_direction
from .photo_colors import OPAQUE, Photo
from .random_points import sky_radius_unit

MOST_JUDGED = 16  # photos, spread over all
CELLS = 48  # along the longer side of a photo
REACH = 3  # cells around a point that are taken for its surface
LEAST_SHARE = 0.02  # of the photos' area: less beyond the points is gaps between them
TRANSPARENT = 0.01  # of the photos' area, from which on transparency says what is background
SMOOTH = 0.03  # standard deviation in a cell: leaves are rough, clouds are not
HORIZON = 0.02  # sine of the elevation from which on a photographed background may be a sky
LEAST_PAIRS = 30  # cells seen twice: fewer tell nothing
NEAR, FAR = (0.5, 0.7, 1.0, 1.4, 2.0), 1e4  # distances that are compared, in units of the points' reach
WALL, SKY = 1.3, 0.9  # disagreement infinitely far away, by that about something near: from here on, up to here
NOISE = 1.2e-3  # disagreement that photos of 8 bits always have
BRIGHT, BLUE = 0.75, 0.03  # brighter than this part of the scene; blue minus red


@dataclass(frozen=True)
class Sky:
    """What was decided, and why, as a sentence."""

    is_seen: bool
    why: str

    @property
    def remark(self) -> Remark:
        """For the artist, who has left it to the photos."""
        if self.is_seen:
            return Remark(f"Sky Seeds are added: {self.why}.", "Set Sky Seeds to Off to train without.")
        return Remark(f"No Sky Seeds are added: {self.why}.", "Set Sky Seeds to On to add them.")


@dataclass(frozen=True)
class _Cells:
    """A photo in coarse cells: mean colors (R, S, 3) 0..1, directions (R, S, 3) in the world, and which of them (R, S)
    lie beyond all points and which show these."""

    camera: Camera
    colors: np.ndarray
    directions: np.ndarray
    is_beyond: np.ndarray
    is_scene: np.ndarray


def find_sky(points: Points | None, photos: list[Photo]) -> Sky:
    """Whether `photos` show a sky beyond `points`, both in one frame. Points with normals were measured on surfaces,
    so that what lies beyond them is background in whichever direction."""
    if not photos:
        return Sky(False, "no photo can be read")
    if np.mean([(photo.pixels[..., 3] < OPAQUE).mean() for photo in photos]) > TRANSPARENT:
        return Sky(False, "the photos are transparent where nothing stands")
    if points is None or not len(points.positions):
        return Sky(False, "there are no points to tell what lies beyond them")
    is_measured = points.normals is not None and bool(np.any(points.normals, axis=1).all())
    up = up_direction([photo.camera for photo in photos])
    cells = [_cells_of(photo, points.positions, None if is_measured else up) for photo in photos]
    share = float(np.mean([each.is_beyond.mean() for each in cells]))
    where = "beyond all surfaces" if is_measured else "above the horizon, beyond all points"
    if share < LEAST_SHARE:
        return Sky(False, f"only {100 * share:.1f} % of the photos' area lies {where}")
    unit = sky_radius_unit([each.camera for each in cells], points, _middle(cells))
    apart = {distance: _disagreement(cells, distance * unit) for distance in (*NEAR, FAR)}
    there = f"{100 * share:.0f} % of the photos' area lies {where}"
    far, near = apart[FAR], min(apart[distance] for distance in NEAR)
    if far > WALL * near:
        return Sky(False, f"{there}, but photos agree better about it as something near, such as walls")
    if is_measured:
        return Sky(True, there)
    if far <= SKY * near:
        return Sky(True, f"{there}, and photos agree about it as something infinitely far away")
    if np.isfinite(far) and _is_like_sky(cells):
        return Sky(True, f"{there}, and is as bright and blue as a sky")
    return Sky(False, f"{there}, but nothing there tells a sky from a plain wall")


def _middle(cells: list[_Cells]) -> np.ndarray:
    return np.mean([each.camera.position for each in cells], axis=0)


def _cells_of(photo: Photo, positions: np.ndarray, up: np.ndarray | None) -> _Cells:
    """The photo in cells. With `up` only what is smooth and above the horizon may be background."""
    height, width = photo.pixels.shape[:2]
    cell = max(1.0, max(width, height) / CELLS)
    rows, columns = max(1, round(height / cell)), max(1, round(width / cell))
    first_row, first_column = np.arange(rows) * height // rows, np.arange(columns) * width // columns

    def mean(plane: np.ndarray) -> np.ndarray:
        sums = np.add.reduceat(np.add.reduceat(plane, first_row, axis=0), first_column, axis=1)
        areas = np.diff([*first_row, height])[:, None] * np.diff([*first_column, width])
        return sums / areas.reshape(areas.shape + (1,) * (plane.ndim - 2))

    values = photo.pixels[..., :3] / 255.0
    colors = mean(values)
    counts = np.ones((rows, columns)) if photo.counts is None else mean(photo.counts.astype(np.float64))
    directions = _directions(photo.camera, rows, columns)
    is_scene = _around_points(photo.camera, positions, rows, columns)
    is_beyond = ~is_scene & (counts > 0.99)
    if up is not None:
        rough = np.sqrt(np.maximum(mean(values**2) - colors**2, 0)).mean(axis=2)
        is_beyond &= (rough < SMOOTH) & (directions @ up > HORIZON)
    return _Cells(photo.camera, colors, directions, is_beyond, is_scene)


def _directions(camera: Camera, rows: int, columns: int) -> np.ndarray:
    """(R, S, 3) unit vectors, world frame, from a camera through the middles of its cells."""
    x = ((np.arange(columns) + 0.5) / columns * camera.width - camera.cx) / camera.fx
    y = ((np.arange(rows) + 0.5) / rows * camera.height - camera.cy) / camera.fy
    slopes = camera.undistort(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2))
    rays = np.concatenate([slopes, np.ones((len(slopes), 1))], axis=1)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return (rays @ camera.camera_from_world[:3, :3]).reshape(rows, columns, 3)


def _around_points(camera: Camera, positions: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(R, S) whether a point is seen at most `REACH` cells away."""
    row, column = _cell_at(camera, camera.seen(positions)[1], rows, columns)
    holds_point = np.zeros((rows + 2 * REACH, columns + 2 * REACH), dtype=bool)
    holds_point[row + REACH, column + REACH] = True
    result = np.zeros((rows, columns), dtype=bool)
    for down in range(-REACH, REACH + 1):
        for across in range(-REACH, REACH + 1):
            if down**2 + across**2 <= REACH**2 + 1:
                result |= holds_point[REACH + down :, REACH + across :][:rows, :columns]
    return result


def _cell_at(camera: Camera, pixels: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    row = np.minimum((pixels[:, 1] / camera.height * rows).astype(np.int64), rows - 1)
    return row, np.minimum((pixels[:, 0] / camera.width * columns).astype(np.int64), columns - 1)


def _disagreement(cells: list[_Cells], distance: float) -> float:
    """Median difference of the logarithms of colors that photos have of the same place, if all background lies at
    `distance` from each camera; what photos are brighter as a whole is left out. NaN where too few places are seen
    twice."""
    differences, firsts, seconds = [], [], []
    for first, one in enumerate(cells):
        places = one.camera.position + distance * one.directions[one.is_beyond]
        own = np.log(one.colors[one.is_beyond] + 0.05)
        for second, other in enumerate(cells):
            if first == second or not len(places):
                continue
            seen, pixels, _ = other.camera.seen(places)
            row, column = _cell_at(other.camera, pixels, *other.is_beyond.shape)
            both = other.is_beyond[row, column]
            theirs = np.log(_between(other, pixels[both]) + 0.05)
            differences.append(own[seen[both]] - theirs)
            firsts.append(np.full(len(theirs), first))
            seconds.append(np.full(len(theirs), second))
    if sum(map(len, differences)) < LEAST_PAIRS:
        return np.nan
    difference, i, j = np.concatenate(differences), np.concatenate(firsts), np.concatenate(seconds)
    return max(NOISE, float(np.median(np.abs(difference - _brighter(difference, i, j, len(cells))))))


def _brighter(difference: np.ndarray, i: np.ndarray, j: np.ndarray, count: int) -> np.ndarray:
    """(Q, 3) what of the differences (Q, 3) between photos `i` and `j` is their exposure and white balance: the least
    squares of one number for each photo and channel."""
    pairs, sums = np.zeros((count, count)), np.zeros((count, count, 3))
    np.add.at(pairs, (i, j), 1)
    np.add.at(sums, (i, j), difference)
    matrix = np.diag(pairs.sum(axis=0) + pairs.sum(axis=1)) - pairs - pairs.T
    gains = np.linalg.lstsq(matrix, sums.sum(axis=1) - sums.sum(axis=0), rcond=None)[0]
    return gains[i] - gains[j]


def _between(cells: _Cells, pixels: np.ndarray) -> np.ndarray:
    """(Q, 3) colors at pixels (Q, 2), linear between the middles of cells."""
    rows, columns = cells.is_beyond.shape
    size = (cells.camera.height, cells.camera.width)
    at = [
        np.clip(pixels[:, axis] / side * count - 0.5, 0, count - 1)
        for axis, side, count in zip((1, 0), size, (rows, columns), strict=True)
    ]
    low = [np.minimum(place.astype(np.int64), max(count - 2, 0)) for place, count in zip(at, (rows, columns))]
    high = [np.minimum(first + 1, count - 1) for first, count in zip(low, (rows, columns))]
    down, across = (at[0] - low[0])[:, None], (at[1] - low[1])[:, None]
    upper = cells.colors[low[0], low[1]] * (1 - across) + cells.colors[low[0], high[1]] * across
    lower = cells.colors[high[0], low[1]] * (1 - across) + cells.colors[high[0], high[1]] * across
    return upper * (1 - down) + lower * down


def _is_like_sky(cells: list[_Cells]) -> bool:
    """Whether what lies beyond is brighter than most of the scene, and rather blue than red."""
    beyond = np.concatenate([each.colors[each.is_beyond] for each in cells])
    scene = np.concatenate([each.colors[each.is_scene] for each in cells])
    if not len(scene):
        return False
    red, _, blue = np.median(beyond, axis=0)
    rank = float((scene.mean(axis=1) < np.median(beyond.mean(axis=1))).mean())
    return rank >= BRIGHT and float(blue - red) >= BLUE
