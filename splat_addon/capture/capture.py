"""A capture: views with their photos and cameras, and the points that training starts from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import CaptureError
from ..gaussians.ply import read_points
from . import colmap, transforms
from .camera import Camera

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")


@dataclass(frozen=True)
class View:
    """One photo with its camera. `name` is the photo's path below the images folder, without its suffix."""

    name: str
    image_path: Path
    camera: Camera
    is_held_out: bool


@dataclass(frozen=True)
class Points:
    """P measured surface points in the capture's world."""

    positions: np.ndarray  # (P, 3) capture units
    colors: np.ndarray  # (P, 3) display-encoded, 0..1; NaN where only the photos can tell
    normals: np.ndarray | None = None  # (P, 3) unit length, zero where not known


@dataclass(frozen=True)
class Capture:
    """What training sees. `missing` names the photos that the capture lists and the folder lacks."""

    folder: Path
    views: tuple[View, ...]
    points: Points | None
    missing: tuple[str, ...] = ()

    @property
    def training_views(self) -> tuple[View, ...]:
        return tuple(view for view in self.views if not view.is_held_out)

    @property
    def held_out_views(self) -> tuple[View, ...]:
        return tuple(view for view in self.views if view.is_held_out)

    @property
    def extent(self) -> float:
        """1.1 times the largest distance of a camera from the cameras' centre, capture units (INRIA's scene extent).

        Cameras that stand at nearly one place (a tripod) say nothing about it; then a tenth of the points' distance.
        """
        positions = np.stack([view.camera.position for view in self.views])
        center = positions.mean(axis=0)
        extent = float(np.linalg.norm(positions - center, axis=1).max()) * 1.1
        if self.points is not None and len(self.points.positions):
            extent = max(extent, 0.1 * float(np.median(np.linalg.norm(self.points.positions - center, axis=1))))
        return max(extent, 1e-6)

    def fingerprint(self) -> str:
        """A short hash over names, cameras and photo sizes: the same capture gives the same text."""
        digest = hashlib.sha256()
        for view in self.views:
            camera = view.camera
            numbers = [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion]
            digest.update(view.name.encode())
            digest.update(np.array(numbers).tobytes() + camera.camera_from_world.tobytes())
            digest.update(str(view.image_path.stat().st_size).encode())
        return digest.hexdigest()[:16]


def held_out_indices(count: int, every: int) -> set[int]:
    """Which of `count` views, sorted by name, are held out: every `every`-th beginning with the first; 0 = none."""
    return set(range(0, count, every)) if every > 0 else set()


def open_capture(folder: Path, hold_out_every: int = 8) -> Capture:
    """Read the capture in `folder`: `transforms.json`, else a binary COLMAP model with a folder of photos.

    Which views are held out is read from the capture; where it does not say, every `hold_out_every`-th is.
    Raises CaptureError or CameraError: no capture, more than half of the photos missing, an impossible camera.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaptureError(f"The capture folder {folder} does not exist.", "Choose the folder of a capture.")
    if (folder / transforms.FILE_NAME).is_file():
        cameras, held_out, points_file = transforms.read_transforms(folder / transforms.FILE_NAME)
        photos = {name: _with_suffix(folder / name) for name in cameras}
        points = _points_beside(folder, points_file)
    else:
        model_folder = colmap.find_model(folder)
        if model_folder is None:
            raise CaptureError(
                f"{folder} holds neither transforms.json nor a binary COLMAP model.",
                "Choose the folder of a capture, for example one that holds images/ and sparse/0/.",
            )
        model = colmap.read_model(model_folder)
        cameras, held_out = model.cameras, None
        images = _images_folder(folder, model_folder, list(cameras))
        photos = {name: images / name for name in cameras}
        points = Points(model.positions, model.colors) if len(model.positions) else None

    for name, camera in cameras.items():
        camera.check(name)
    names = sorted(cameras)
    missing = tuple(name for name in names if not photos[name].is_file())
    if len(missing) * 2 > len(names):
        raise CaptureError(
            f"No photo found for {len(missing)} of {len(names)} cameras in {photos[missing[0]].parent}.",
            "Choose the folder that holds them.",
        )
    if held_out is None:  # counted before missing photos go, so that a lost photo does not move the split
        held_out = {names[index] for index in held_out_indices(len(names), hold_out_every)}
    view_names = _view_names(names)
    views = tuple(
        View(view_names[name], photos[name], cameras[name], name in held_out) for name in names if name not in missing
    )
    capture = Capture(folder, views, points, missing)
    if not capture.training_views:
        raise CaptureError(f"{folder} has no view to train on.", "Hold out fewer views or capture more.")
    return capture


def _view_names(photos: list[str]) -> dict[str, str]:
    """A name for each photo that is a relative path without a suffix, never leaves its folder, and is unique."""
    names: dict[str, str] = {}
    for photo in photos:
        path = PurePosixPath(photo.replace("\\", "/"))
        parts = [
            part for part in path.with_suffix("").parts if part not in ("/", "..", ".", "images") and ":" not in part
        ]
        stem = "/".join(parts[-2:] if path.is_absolute() else parts) or "view"
        number, name = 2, stem
        while name in names.values():
            number, name = number + 1, f"{stem}_{number}"
        names[photo] = name
    return names


def _with_suffix(path: Path) -> Path:
    """Some writers leave the suffix out: the photo that is there."""
    if path.is_file() or path.suffix.lower() in IMAGE_SUFFIXES:
        return path
    candidates = [path.with_name(path.name + suffix) for suffix in IMAGE_SUFFIXES]
    return next((candidate for candidate in candidates if candidate.is_file()), path)


def _points_beside(folder: Path, points_file: str | None) -> Points | None:
    for name in (points_file, "points3d.ply", "sparse_pc.ply"):
        if name and (folder / name).is_file():
            return Points(*read_points(folder / name))
    return None


def _images_folder(folder: Path, model_folder: Path, names: list[str]) -> Path:
    """The folder that holds most of the named photos: `images` first, then its siblings (`images_2`, …)."""
    root = (
        folder if folder != model_folder else next((p for p in model_folder.parents if (p / "images").is_dir()), folder)
    )
    candidates = [root / "images", *sorted(root.glob("images*")), root / "input", root, *sorted(root.glob("*"))]
    folders = [place for place in dict.fromkeys(candidates) if place.is_dir()]
    if not folders:
        return root / "images"
    return max(folders, key=lambda place: sum((place / name).is_file() for name in names))
