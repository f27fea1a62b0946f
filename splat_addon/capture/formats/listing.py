"""What a capture's files list: cameras, and where photos, masks and points lie."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ...errors import CameraError, CaptureError
from ...gaussians.formats.splat_ply import read_points
from ..camera import Camera
from ..choices import AUTOMATIC, CaptureChoices
from ..file_names import inner_path, is_on_network
from ..points import Points
from ..remarks import Remark
from . import colmap
from .transforms import IMAGE_SUFFIXES, Transforms, find_transforms, read_transforms


@dataclass(frozen=True)
class Listing:
    """By photo name. `held_out` is None when the files do not say; a photo may lack its camera, or be missing."""

    photos: dict[str, Path]
    cameras: dict[str, Camera]
    masks: dict[str, Path]
    held_out: set[str] | None
    points: Points | None
    remarks: tuple[Remark, ...] = ()


def read_listing(folder: Path, choices: CaptureChoices = AUTOMATIC) -> Listing:
    """Read `transforms.json`, else a COLMAP model. Raises CaptureError when there is neither, or it is broken, and
    CameraError when a camera is impossible."""
    transforms_file = find_transforms(folder)
    if transforms_file is not None:
        listed = read_transforms(transforms_file)
        _check(listed.cameras)
        points = _points_of_transforms(folder, listed)
        masks = {**_masks(folder, listed.photos), **listed.masks}
        return Listing(listed.photos, listed.cameras, masks, listed.held_out, points)
    model_folder = colmap.find_model(folder)
    if model_folder is None:
        raise CaptureError(
            f"{folder} holds neither transforms.json nor a COLMAP model.",
            "Choose the folder of a capture, for example one that holds images/ and sparse/0/.",
        )
    model = colmap.read_model(model_folder)
    _check(model.cameras)
    images = _images_folder(folder, model_folder, list(model.cameras))
    photos = {name: images / inner_path(name) for name in model.cameras}
    points = Points(model.positions, model.colors) if len(model.positions) else None
    return Listing(photos, model.cameras, _masks(folder, photos), None, points)


def _check(cameras: dict[str, Camera]) -> None:
    for name, camera in cameras.items():
        camera.check(name)


def _masks(folder: Path, photos: dict[str, Path]) -> dict[str, Path]:
    found = {name: _mask_of(photo, folder) for name, photo in photos.items()}
    return {name: mask for name, mask in found.items() if mask is not None}


def _mask_of(photo: Path, capture: Path) -> Path | None:
    """The photo's mask, in a folder `masks` next to the folder of photos, with the photo's name or that plus a suffix
    (`a.png` or `a.jpg.png` for `a.jpg`, as COLMAP has it)."""
    for folder in photo.parents:
        masks = (folder if folder == capture else folder.parent) / "masks"
        if os.path.isdir(masks):
            base = masks / photo.relative_to(folder)
            names = (base.with_name(name + suffix) for name in (base.stem, base.name) for suffix in IMAGE_SUFFIXES)
            return next((path for path in names if os.path.isfile(path)), None)
        if folder == capture:
            return None
    return None


def _points_of_transforms(folder: Path, listed: Transforms) -> Points | None:
    """The points of a PLY next to the cameras; else those of the COLMAP model they came from, in the cameras' frame."""
    cameras = list(listed.cameras.values())
    for name in (listed.points_file, "points3d.ply", "sparse_pc.ply"):
        if name and not is_on_network(name) and os.path.isfile(folder / name):
            points = Points(*read_points(folder / name))
            moved = points.moved(listed.world_from_original)
            # nerfstudio has written this file in COLMAP's frame at first, in that of the cameras since
            is_original = moved is not points and 2 * points.seen_share(cameras) < moved.seen_share(cameras)
            return moved if is_original else points
    model_folder = colmap.find_model(folder)
    if model_folder is None:
        return None
    try:
        model = colmap.read_model(model_folder)
        _check(model.cameras)
    except (CaptureError, CameraError):
        return None  # not what was asked for, and training starts without points too
    points = Points(model.positions, model.colors).moved(listed.world_from_original)
    is_same = _stand_alike(model.cameras, listed.cameras, listed.world_from_original)
    return points if is_same and len(points.positions) else None


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
    return max(folders, key=lambda place: sum(os.path.isfile(place / inner_path(name)) for name in names))
