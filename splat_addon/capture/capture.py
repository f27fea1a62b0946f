"""A capture: views with their photos and cameras, and the points that training starts from."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import CaptureError
from ..gaussians.ply import read_points
from . import colmap
from .camera import Camera
from .transforms import Transforms, find_transforms, read_transforms


@dataclass(frozen=True)
class View:
    """One photo with its camera. `name` is the photo's path below the images folder, without its suffix; `listed_as`
    is what the capture's own files call it."""

    name: str
    image_path: Path
    camera: Camera
    is_held_out: bool
    listed_as: str = ""


@dataclass(frozen=True)
class Points:
    """P measured surface points in the capture's world."""

    positions: np.ndarray  # (P, 3) capture units
    colors: np.ndarray  # (P, 3) display-encoded, 0..1
    normals: np.ndarray | None = None  # (P, 3) unit length


@dataclass(frozen=True)
class Capture:
    """What training sees. `missing` names the photos that the capture lists and the folder lacks; the cameras of those
    are in `views_without_photo`, as far as their size is known."""

    folder: Path
    views: tuple[View, ...]
    points: Points | None
    missing: tuple[str, ...] = ()
    views_without_photo: tuple[View, ...] = ()

    @property
    def all_views(self) -> tuple[View, ...]:
        """Those with and without a photo, by name."""
        return tuple(sorted((*self.views, *self.views_without_photo), key=lambda view: view.name))

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


def open_capture(folder: Path, hold_out_every: int = 8, needs_photos: bool = True) -> Capture:
    """Read the capture in `folder`: `transforms.json`, else a COLMAP model (binary or text) with a folder of photos.

    Which views are held out is read from the capture; where it does not say, every `hold_out_every`-th is. Without
    `needs_photos` any number of them may be missing, since cameras alone can be looked at.
    Raises CaptureError or CameraError: no capture, more than half of the photos missing, an impossible camera.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CaptureError(f"The capture folder {folder} does not exist.", "Choose the folder of a capture.")
    listed = _read_listing(folder)
    for name, camera in listed.cameras.items():
        camera.check(name)
    names = sorted(listed.photos)
    missing = tuple(name for name in names if not listed.photos[name].is_file())
    if (needs_photos and len(missing) * 2 > len(names)) or not listed.cameras:
        raise CaptureError(
            f"No photo found for {len(missing)} of {len(names)} cameras in {listed.photos[missing[0]].parent}.",
            "Choose the folder that holds them.",
        )
    held_out = listed.held_out
    if held_out is None:  # counted before missing photos go, so that a lost photo does not move the split
        held_out = {names[index] for index in held_out_indices(len(names), hold_out_every)}
    view_names = _view_names(names)
    views = {
        name: View(view_names[name], listed.photos[name], listed.cameras[name], name in held_out, name)
        for name in names
        if name in listed.cameras
    }
    capture = Capture(
        folder,
        tuple(view for name, view in views.items() if name not in missing),
        listed.points,
        missing,
        tuple(view for name, view in views.items() if name in missing),
    )
    if needs_photos and not capture.training_views:
        raise CaptureError(f"{folder} has no view to train on.", "Hold out fewer views or capture more.")
    return capture


def capture_folder(path: Path) -> Path:
    """The folder of the capture that `path` belongs to, when its `transforms.json` or its model folder was chosen."""
    path = Path(path)
    if path.is_file():
        path = path.parent
    if find_transforms(path) is None and colmap.find_model(path) == path:
        for parent in list(path.parents)[:3]:
            if any(parent.glob("images*")) and find_transforms(parent) is None and colmap.find_model(parent) == path:
                return parent
    return path


@dataclass(frozen=True)
class _Listing:
    """What the capture's files list, by photo name."""

    photos: dict[str, Path]
    cameras: dict[str, Camera]
    held_out: set[str] | None
    points: Points | None


def _read_listing(folder: Path) -> _Listing:
    transforms_file = find_transforms(folder)
    if transforms_file is not None:
        listed = read_transforms(transforms_file)
        return _Listing(listed.photos, listed.cameras, listed.held_out, _points_of_transforms(folder, listed))
    model_folder = colmap.find_model(folder)
    if model_folder is None:
        raise CaptureError(
            f"{folder} holds neither transforms.json nor a COLMAP model.",
            "Choose the folder of a capture, for example one that holds images/ and sparse/0/.",
        )
    model = colmap.read_model(model_folder)
    images = _images_folder(folder, model_folder, list(model.cameras))
    points = Points(model.positions, model.colors) if len(model.positions) else None
    return _Listing({name: images / name for name in model.cameras}, model.cameras, None, points)


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


def _points_of_transforms(folder: Path, listed: Transforms) -> Points | None:
    """The points of a PLY beside the cameras; else those of the COLMAP model they came from, in the cameras' frame."""
    for name in (listed.points_file, "points3d.ply", "sparse_pc.ply"):
        if name and (folder / name).is_file():
            points = Points(*read_points(folder / name))
            moved = _moved(points, listed.world_from_original)
            # nerfstudio has written this file in COLMAP's frame at first, in that of the cameras since
            is_original = 2 * _seen_share(points, listed.cameras) < _seen_share(moved, listed.cameras)
            return moved if is_original else points
    model_folder = colmap.find_model(folder)
    if model_folder is None:
        return None
    try:
        model = colmap.read_model(model_folder)
    except CaptureError:
        return None  # not what was asked for, and training starts without points too
    points = _moved(Points(model.positions, model.colors), listed.world_from_original)
    is_same = _stand_alike(model.cameras, listed.cameras, listed.world_from_original)
    return points if is_same and len(points.positions) else None


def _moved(points: Points, matrix: np.ndarray) -> Points:
    """Points under a (3, 4) similarity, without their normals unless it is the identity."""
    if np.array_equal(matrix, np.eye(3, 4)):
        return points
    return Points(points.positions @ matrix[:, :3].T + matrix[:, 3], points.colors)


def _seen_share(points: Points, cameras: dict[str, Camera]) -> float:
    """How much of the points the cameras see, in the mean; of a sample of both."""
    sample = points.positions[:: max(1, len(points.positions) // 1000)]
    shares = [0.0]
    for camera in list(cameras.values())[:: max(1, len(cameras) // 30)]:
        pixels, depths = camera.without_distortion().project(sample)
        inside = (depths > 0) & (pixels >= 0).all(axis=1) & (pixels <= (camera.width, camera.height)).all(axis=1)
        shares.append(float(inside.mean()) if len(inside) else 0.0)
    return sum(shares) / len(shares)


def _stand_alike(originals: dict[str, Camera], cameras: dict[str, Camera], matrix: np.ndarray) -> bool:
    """Whether `matrix` moves the original cameras onto those of the same photo, to a hundredth of their spread."""
    by_file = {PurePosixPath(name).name: camera.position for name, camera in cameras.items()}
    pairs = [
        (camera.position, by_file[PurePosixPath(name).name])
        for name, camera in originals.items()
        if PurePosixPath(name).name in by_file
    ]
    if not pairs:
        return False
    before, after = (np.array(places) for places in zip(*pairs, strict=True))
    distances = np.linalg.norm(before @ matrix[:, :3].T + matrix[:, 3] - after, axis=1)
    return bool(distances.max() <= 0.01 * max(float(np.ptp(after, axis=0).max()), 1e-9))


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
