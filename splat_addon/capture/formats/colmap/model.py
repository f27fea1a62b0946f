"""What a COLMAP model holds, apart from how its files are written: lenses, images, sparse points and their tracks.

`Tables` are the records as the files have them, numbered by COLMAP; `ColmapModel` is the same by photo.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ....errors import CaptureError
from ...camera import LARGEST_NUMBER, Camera
from ...rotation import quaternion_from_rotation, rotation_from_quaternion

LENS_MODELS = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    12: ("SIMPLE_DIVISION", 4),
    13: ("DIVISION", 5),
    14: ("SIMPLE_FISHEYE", 3),
    15: ("FISHEYE", 4),
    16: ("EUCM", 6),
    17: ("EQUIRECTANGULAR", 2),
}
"""COLMAP's number of a camera model -> (its name, how many parameters), as of COLMAP 4.2."""
_ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
_EXPRESSIBLE = (*_ONE_FOCAL, "PINHOLE", "OPENCV", "FULL_OPENCV")
_PARAMETER_COUNTS = dict(LENS_MODELS.values())
NO_POINT = 2**64 - 1  # what COLMAP writes for an observation without a point


@dataclass(frozen=True)
class Observations:
    """Where a photo shows sparse points: pixels (M, 2), and the rows (M,) of the points; -1: of none."""

    pixels: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class ColmapModel:
    """Registered images by photo with their cameras, and the sparse points with colors in 0..1.

    `errors` (P,) are COLMAP's mean reprojection errors in pixels. `observations` by photo are there when asked for.
    """

    cameras: dict[str, Camera]
    positions: np.ndarray  # (P, 3)
    colors: np.ndarray  # (P, 3) display-encoded
    errors: np.ndarray = field(default_factory=lambda: np.empty(0))
    observations: dict[str, Observations] = field(default_factory=dict)

    def reprojection_errors(self) -> np.ndarray:
        """Pixels between every observation of a point and where its camera projects the point; (all of them,)."""
        errors = [np.empty(0)]
        for photo, seen in self.observations.items():
            is_point = seen.points >= 0
            pixels, _ = self.cameras[photo].project(self.positions[seen.points[is_point]])
            errors.append(np.linalg.norm(pixels - seen.pixels[is_point], axis=1))
        return np.concatenate(errors)


@dataclass(frozen=True)
class Lens:
    """One record of `cameras`."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class ImageRecord:
    """One record of `images`. `point_ids` (M,) uint64 name points by COLMAP's number, `NO_POINT` none."""

    photo: str
    camera_id: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]
    pixels: np.ndarray | None = None
    point_ids: np.ndarray | None = None


@dataclass(frozen=True)
class PointRecords:
    """All records of `points3D`, without their tracks: these follow from the images."""

    ids: np.ndarray  # (P,) uint64
    positions: np.ndarray  # (P, 3)
    colors: np.ndarray  # (P, 3) uint8
    errors: np.ndarray  # (P,) px


@dataclass(frozen=True)
class Tables:
    """The three files of a model. Images carry their numbers."""

    lenses: dict[int, Lens]
    images: dict[int, ImageRecord]
    points: PointRecords


def no_points() -> PointRecords:
    """The records of a model without sparse points."""
    return PointRecords(np.empty(0, np.uint64), np.empty((0, 3)), np.empty((0, 3), np.uint8), np.empty(0))


def parameter_count(model: str, place: str) -> int:
    """How many parameters a lens model has. Raises CaptureError, naming it, when it has no pinhole form."""
    if model not in _EXPRESSIBLE:
        raise CaptureError(
            f"The camera model {model} in {place} is not supported.",
            "Undistort the photos with 'colmap image_undistorter' and use its output.",
        )
    return _PARAMETER_COUNTS[model]


def model_from_tables(tables: Tables, folder: Path) -> ColmapModel:
    """The model by photo, without points whose positions are not finite. Raises CaptureError: no image, one without a
    name, a photo twice, an image of an unknown camera."""
    if not tables.images:
        raise CaptureError(
            f"The COLMAP model in {folder} has no registered image.",
            "Run the reconstruction again, or choose another model folder (sparse/1, …).",
        )
    points = _finite(tables.points)
    rows_of = _Rows(points.ids)
    cameras: dict[str, Camera] = {}
    observations = {}
    for record in tables.images.values():
        lens = tables.lenses.get(record.camera_id)
        if lens is None:
            raise CaptureError(
                f"The images in {folder} name camera {record.camera_id}, which is missing from the list of cameras.",
                "The files belong to different models: copy them again.",
            )
        if not record.photo:
            raise CaptureError(
                f"The COLMAP model in {folder} holds an image without a name.", "Copy it again or run COLMAP again."
            )
        if record.photo in cameras:
            raise CaptureError(
                f"The COLMAP model in {folder} holds the photo {record.photo} twice.",
                "Remove one of the two, or give the photos different names and register them again.",
            )
        cameras[record.photo] = _camera(lens, record)
        if record.pixels is not None and record.point_ids is not None:
            observations[record.photo] = Observations(record.pixels, rows_of(record.point_ids))
    return ColmapModel(cameras, points.positions, points.colors / 255.0, points.errors, observations)


def tables_from_model(model: ColmapModel) -> Tables:
    """Records for `model`, numbered from 1; photos with equal intrinsics share a camera."""
    lens_ids: dict[Lens, int] = {}
    images = {}
    for number, (photo, camera) in enumerate(sorted(model.cameras.items()), start=1):
        camera_id = lens_ids.setdefault(_lens(camera), len(lens_ids) + 1)
        seen = model.observations.get(photo) or Observations(np.empty((0, 2)), np.empty(0, np.int64))
        point_ids = np.where(seen.points >= 0, seen.points + 1, -1).astype(np.int64).view(np.uint64)
        matrix = camera.camera_from_world
        quaternion = tuple(float(value) for value in quaternion_from_rotation(matrix[:3, :3]))
        translation = tuple(float(value) for value in matrix[:3, 3])
        images[number] = ImageRecord(photo, camera_id, quaternion, translation, seen.pixels, point_ids)
    count = len(model.positions)
    colors = np.clip(np.rint(np.asarray(model.colors) * 255), 0, 255).astype(np.uint8)
    errors = model.errors if len(model.errors) == count else np.zeros(count)
    points = PointRecords(np.arange(1, count + 1, dtype=np.uint64), np.asarray(model.positions), colors, errors)
    return Tables({number: lens for lens, number in lens_ids.items()}, images, points)


def tracks(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """For all points in order: (O, 2) int32 pairs (image number, place in that image), and (P,) how many each has."""
    pairs, rows = [np.empty((0, 2), np.int32)], [np.empty(0, np.int64)]
    rows_of = _Rows(tables.points.ids)
    for number, image in tables.images.items():
        if image.point_ids is None:
            continue
        row = rows_of(image.point_ids)
        places = np.flatnonzero(row >= 0)
        pairs.append(np.stack([np.full(len(places), number), places], axis=1).astype(np.int32))
        rows.append(row[places])
    all_rows = np.concatenate(rows)
    order = np.argsort(all_rows, kind="stable")
    return np.concatenate(pairs)[order], np.bincount(all_rows, minlength=len(tables.points.ids))


class _Rows:
    """Where points lie, by their numbers (P,). These are sorted once, and not again for each image."""

    def __init__(self, known_ids: np.ndarray):
        self._order = np.argsort(known_ids)
        self._sorted = known_ids[self._order]

    def __call__(self, point_ids: np.ndarray) -> np.ndarray:
        """(M,) the row of each point number; -1 where there is no such point."""
        if not len(self._order):
            return np.full(len(point_ids), -1)
        place = np.minimum(np.searchsorted(self._sorted, point_ids), len(self._order) - 1)
        return np.where(self._sorted[place] == point_ids, self._order[place], -1)


def _finite(points: PointRecords) -> PointRecords:
    is_finite = (np.abs(points.positions) <= LARGEST_NUMBER).all(axis=1)  # squares of more are not finite
    if is_finite.all():
        return points
    parts = (points.ids, points.positions, points.colors, points.errors)
    return PointRecords(*(part[is_finite] for part in parts))


def _camera(lens: Lens, record: ImageRecord) -> Camera:
    focal_count = 1 if lens.model in _ONE_FOCAL else 2
    fx, fy = lens.parameters[0], lens.parameters[focal_count - 1]
    cx, cy, *distortion = lens.parameters[focal_count:]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_quaternion(np.array(record.quaternion))
    matrix[:3, 3] = record.translation
    kept = tuple(distortion) if any(distortion) else ()
    return Camera(lens.width, lens.height, fx, fy, cx, cy, matrix, kept)


def _lens(camera: Camera) -> Lens:
    """PINHOLE where it is one, which every trainer reads; else the smallest of OpenCV's models."""
    model, parameters = "PINHOLE", [camera.fx, camera.fy, camera.cx, camera.cy]
    distortion = (*camera.distortion, *[0.0] * (8 - len(camera.distortion)))
    if any(distortion[4:]):
        model, parameters = "FULL_OPENCV", [*parameters, *distortion]
    elif any(distortion):
        model, parameters = "OPENCV", [*parameters, *distortion[:4]]
    return Lens(model, camera.width, camera.height, tuple(float(value) for value in parameters))
