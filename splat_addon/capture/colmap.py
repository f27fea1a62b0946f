"""COLMAP sparse models, binary. The format is COLMAP's `src/colmap/scene/reconstruction_io.cc`."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import CaptureError
from .camera import Camera

# model id: (name, parameter count); the focal, centre and distortion layout is in `_camera`
_MODELS = {
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
}
_ONE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
_TRAINABLE = (*_ONE_FOCAL, "PINHOLE", "OPENCV", "FULL_OPENCV")


@dataclass(frozen=True)
class ColmapModel:
    """Registered images by name with their cameras, and the sparse points with colours in 0..1."""

    cameras: dict[str, Camera]
    positions: np.ndarray  # (P, 3)
    colors: np.ndarray  # (P, 3)


def find_model(folder: Path) -> Path | None:
    """The folder at or below `folder` (three levels) that holds a binary COLMAP model; `sparse/0` first."""
    folder = Path(folder)
    for place in (folder / "sparse" / "0", folder / "sparse", folder):
        if (place / "cameras.bin").is_file():
            return place
    for depth in ("*", "*/*", "*/*/*"):
        for file in sorted(folder.glob(f"{depth}/cameras.bin")):
            return file.parent
    return None


def read_model(folder: Path) -> ColmapModel:
    """Read `cameras.bin`, `images.bin` and `points3D.bin`; other files (COLMAP 4 adds some) are ignored.

    Raises CaptureError when a file is missing, cut short, empty of images, or has a camera model without pinhole form.
    """
    folder = Path(folder)
    intrinsics = _read_cameras(_Reader(folder / "cameras.bin"))
    cameras = _read_images(_Reader(folder / "images.bin"), intrinsics)
    if not cameras:
        raise CaptureError(
            f"The COLMAP model in {folder} has no registered image.",
            "Run the reconstruction again, or choose another model folder (sparse/1, …).",
        )
    points_file = folder / "points3D.bin"
    positions, colors = np.empty((0, 3)), np.empty((0, 3))
    if points_file.is_file():
        positions, colors = _read_points(_Reader(points_file))
    return ColmapModel(cameras, positions, colors)


class _Reader:
    """Little-endian values from a file, with one clear error when it ends early."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.content = path.read_bytes()
        except OSError as error:
            raise CaptureError(
                f"{path} cannot be read ({error.strerror}).", "Choose a folder with a complete COLMAP model."
            ) from error
        self.at = 0

    def take(self, layout: str) -> tuple:
        try:
            values = struct.unpack_from("<" + layout, self.content, self.at)
        except struct.error as error:
            raise self.cut_short() from error
        self.at += struct.calcsize("<" + layout)
        return values

    def take_text(self) -> str:
        end = self.content.find(b"\0", self.at)
        if end < 0:
            raise self.cut_short()
        text = self.content[self.at : end].decode("utf-8", "replace")
        self.at = end + 1
        return text

    def skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.content):
            raise self.cut_short()

    def cut_short(self) -> CaptureError:
        return CaptureError(f"{self.path} ends too early.", "It was cut short: copy it or run COLMAP again.")


def _read_cameras(reader: _Reader) -> dict[int, Camera]:
    cameras = {}
    (count,) = reader.take("Q")
    for _ in range(count):
        camera_id, model_id, width, height = reader.take("iiQQ")
        name, parameter_count = _MODELS.get(model_id, (f"number {model_id}", 0))
        if name not in _TRAINABLE:
            raise CaptureError(
                f"The camera model {name} in {reader.path.parent} is not supported.",
                "Undistort the photos with 'colmap image_undistorter' and use its output.",
            )
        cameras[camera_id] = _camera(name, width, height, reader.take(f"{parameter_count}d"))
    return cameras


def _camera(model: str, width: int, height: int, parameters: tuple[float, ...]) -> Camera:
    focal_count = 1 if model in _ONE_FOCAL else 2
    fx, fy = parameters[0], parameters[focal_count - 1]
    cx, cy, *distortion = parameters[focal_count:]
    return Camera(width, height, fx, fy, cx, cy, np.eye(4), tuple(distortion))


def _read_images(reader: _Reader, intrinsics: dict[int, Camera]) -> dict[str, Camera]:
    cameras = {}
    (count,) = reader.take("Q")
    for _ in range(count):
        _, qw, qx, qy, qz, tx, ty, tz, camera_id = reader.take("i7di")
        name = reader.take_text()
        (observation_count,) = reader.take("Q")
        reader.skip(24 * observation_count)
        if camera_id not in intrinsics:
            raise CaptureError(
                f"{reader.path} names camera {camera_id}, which cameras.bin lacks.",
                "The files are of different models: copy them again.",
            )
        camera_from_world = np.eye(4)
        camera_from_world[:3, :3] = rotation_from_quaternion(np.array([qw, qx, qy, qz]))
        camera_from_world[:3, 3] = (tx, ty, tz)
        base = intrinsics[camera_id]
        cameras[name] = Camera(
            base.width, base.height, base.fx, base.fy, base.cx, base.cy, camera_from_world, base.distortion
        )
    return cameras


def _read_points(reader: _Reader) -> tuple[np.ndarray, np.ndarray]:
    (count,) = reader.take("Q")
    positions, colors = np.empty((count, 3)), np.empty((count, 3))
    for index in range(count):
        _, x, y, z, red, green, blue, _, track_length = reader.take("Q3d3BdQ")
        reader.skip(8 * track_length)
        positions[index] = x, y, z
        colors[index] = red, green, blue
    return positions, colors / 255.0


def rotation_from_quaternion(quaternion: np.ndarray) -> np.ndarray:
    """(3, 3) from (w, x, y, z), normalised first. NaN in, NaN out."""
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
