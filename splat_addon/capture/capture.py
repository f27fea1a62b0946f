"""A capture: views with their photos and cameras, and the points that training starts from."""

import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import CaptureError, some_of
from .camera import Camera
from .choices import AUTOMATIC, CaptureChoices
from .doubts import Doubt
from .file_names import inner_path
from .finding.files import USUAL, Files, shown
from .formats import colmap
from .formats.listing import read_listing
from .formats.transforms import find_transforms
from .photos.orientation import AS_STORED, decide_orientations
from .points import Points
from .remarks import Remark

STRAY = 2.0  # a camera farther out than this many times what holds three quarters of them is not at the scene
# Fingerprints without it are of earlier versions, which took all digits: on another processor the same capture had
# another one, so they cannot be compared.
FINGERPRINT_KIND = "2:"
_DEEPEST = 3  # folders down to a capture from one that was chosen

__all__ = ["Capture", "Points", "View", "capture_folder", "held_out_indices", "open_capture"]


@dataclass(frozen=True)
class View:
    """One photo with its camera. `name` is the photo's path below the images folder, without its suffix; `listed_as`
    is what the capture's own files call it. `orientation` is the Exif orientation (1 to 8) by which the stored pixels
    are turned into those that the camera measured: 1 where it measured them as stored."""

    name: str
    image_path: Path
    camera: Camera
    is_held_out: bool
    mask_path: Path | None = None  # white where a pixel counts
    listed_as: str = ""
    orientation: int = 1
    mask_is_inverted: bool = False  # then black is where a pixel counts


@dataclass(frozen=True)
class Capture:
    """What training sees. `missing` names the photos that the capture lists and the folder lacks; the cameras of those
    are in `views_without_photo`, as far as their size is known. `remarks` are what was decided, and warnings.
    `model_folder` is the COLMAP model that was read, if it was one. `doubts` are what the files leave open."""

    folder: Path
    views: tuple[View, ...]
    points: Points | None
    missing: tuple[str, ...] = ()
    views_without_photo: tuple[View, ...] = ()
    remarks: tuple[Remark, ...] = ()
    model_folder: Path | None = None
    doubts: tuple[Doubt, ...] = ()

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

    @cached_property
    def extent(self) -> float:
        """1.1 times the largest distance of a camera from the `center`, capture units (INRIA's scene extent), cameras
        that were registered far away from all others left out.

        Cameras that stand at nearly one place (a tripod) say nothing about it; then a tenth of the points' distance.
        1 where there are no points, either: such a capture has no scale.
        """
        positions, center = self._positions_at_the_scene(), self.center
        extent = float(np.linalg.norm(positions - center, axis=1).max()) * 1.1
        if self.points is not None and len(self.points.positions):
            extent = max(extent, 0.1 * float(np.nanmedian(np.linalg.norm(self.points.positions - center, axis=1))))
        return extent if extent > 1e-12 * float(np.abs(positions).max()) else 1.0

    @cached_property
    def center(self) -> np.ndarray:
        """(3,) the middle of the cameras, those left out that were registered far away from all others."""
        return self._positions_at_the_scene().mean(axis=0)

    def _positions_at_the_scene(self) -> np.ndarray:
        positions = np.stack([view.camera.position for view in self.views])
        distances = np.linalg.norm(positions - np.median(positions, axis=0), axis=1)
        return positions[distances <= max(STRAY * float(np.quantile(distances, 0.75)), float(distances.min()))]

    def moved(self, similarity: np.ndarray) -> "Capture":
        """The same capture in a world that a (4, 4) similarity has turned, scaled and shifted."""

        def moved(views: tuple[View, ...]) -> tuple[View, ...]:
            return tuple(replace(view, camera=view.camera.moved(similarity)) for view in views)

        points = None if self.points is None else self.points.moved(similarity)
        return replace(
            self,
            views=moved(self.views),
            points=points,
            views_without_photo=moved(self.views_without_photo),
            doubts=tuple(doubt.moved(similarity) for doubt in self.doubts),
        )

    def fingerprint(self) -> str:
        """A short text over names, cameras and photo sizes: the same capture gives the same, on every machine.

        Numbers count to nine digits, since processors do not agree on the last of sixteen.
        """
        digest = hashlib.sha256()
        for view in self.views:
            camera = view.camera
            numbers = [camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion]
            digest.update(view.name.encode())
            digest.update(" ".join(f"{number:.9g}" for number in numbers).encode())
            turn, place = camera.camera_from_world[:3, :3], camera.camera_from_world[:3, 3]
            for values in (turn, place / max(float(np.abs(place).max()), 1e-300)):
                digest.update(np.rint(values * 1e9).astype(np.int64).tobytes())
            if view.orientation != AS_STORED or view.mask_is_inverted:
                digest.update(bytes((view.orientation, view.mask_is_inverted)))
            for path in (view.image_path, view.mask_path):
                digest.update(str(path.stat().st_size if path else None).encode())
        return FINGERPRINT_KIND + digest.hexdigest()[:16]


def held_out_indices(count: int, every: int) -> set[int]:
    """Which of `count` views, sorted by name, are held out: every `every`-th beginning with the first; 0 = none."""
    return set(range(0, count, every)) if every > 0 else set()


def open_capture(
    folder: Path, hold_out_every: int = 8, needs_photos: bool = True, choices: CaptureChoices = AUTOMATIC
) -> Capture:
    """Read the capture in `folder`: `transforms.json`, else a COLMAP model (binary or text) with a folder of photos.

    Which views are held out is read from the capture; where it does not say, every `hold_out_every`-th is. Without
    `needs_photos` any number of them may be missing, since cameras alone can be looked at. What is decided by itself,
    unless `choices` say otherwise, is in the capture's `remarks`. No photo is decoded: who uses their pixels lets them
    settle what is left open (`check/settling.py`).
    Raises CaptureError or CameraError: no capture, more than half of the photos missing, an impossible camera.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        raise CaptureError(f"The capture folder {folder} does not exist.", "Choose the folder of a capture.")
    listed = read_listing(folder, choices)
    names = sorted(listed.photos)
    missing = tuple(name for name in names if name in listed.missing)
    if (needs_photos and len(missing) * 2 > len(names)) or not listed.cameras:
        example = listed.photos[missing[0]]
        there = Files().folder(example.parent)
        holds = f"holds {shown(Path(there.images[0]), folder)}" if there.images else "holds no photo"
        if there.problem:
            holds = f"cannot be read ({there.problem})" if os.path.isdir(example.parent) else "is not there"
        raise CaptureError(
            f"No photo found for {len(missing)} of {len(names)} cameras in {example.parent}.",
            f"Choose the folder that holds them: the capture lists {missing[0]}, and that folder {holds}.",
        )
    held_out = listed.held_out
    if held_out is None:  # counted before missing photos go, so that a lost photo does not move the split
        held_out = {names[index] for index in held_out_indices(len(names), hold_out_every)}
    view_names = _view_names(names)
    present = {name: path for name, path in listed.photos.items() if name not in listed.missing}
    is_of_colmap = listed.model_folder is not None  # which measures photos as stored
    turns = decide_orientations(present, listed.cameras, choices.orientation, is_of_colmap)
    views = {
        name: View(
            view_names[name],
            listed.photos[name],
            listed.cameras[name],
            name in held_out,
            listed.masks.get(name),
            name,
            turns.by_name.get(name, AS_STORED),
            mask_is_inverted=name in listed.inverted_masks,
        )
        for name in names
        if name in listed.cameras
    }
    lost = set(missing)
    capture = Capture(
        folder,
        tuple(view for name, view in views.items() if name not in lost),
        listed.points,
        missing,
        tuple(view for name, view in views.items() if name in lost),
        (*listed.remarks, *turns.remarks),
        listed.model_folder,
        tuple(doubt for doubt in (listed.doubt, turns.doubt) if doubt is not None),
    )
    if needs_photos and not capture.training_views:
        raise CaptureError(f"{folder} has no view to train on.", "Hold out fewer views, or capture more.")
    if capture.views and not capture.held_out_views:
        nothing = Remark(
            "No view is held out: the quality cannot be measured.",
            "Let every few views be held out, or list some in test.txt.",
            is_warning=True,
        )
        capture = replace(capture, remarks=(*capture.remarks, nothing))
    return capture


def capture_folder(path: Path) -> Path:
    """The folder of the capture that is meant by `path`: its `transforms.json`, its model folder, its folder of photos,
    or a folder that holds the one capture.

    Raises CaptureError when several captures lie in a folder that is none itself.
    """
    path = Path(path)
    if os.path.isfile(path):
        path = path.parent
    files = Files()
    if find_transforms(path) is not None:
        return path
    chosen = colmap.find_model(path, files)
    around = _around_model(chosen, files) if chosen is not None else None
    if around is not None and around in path.parents:
        return around
    below = _captures_below(path, files)
    if not below and chosen is None:
        parent = path.parent
        is_capture = find_transforms(parent) is not None or colmap.find_model(parent, files) is not None
        return parent if is_capture and files.folder(path).images else path
    if not below or path in below:
        return path
    if len(below) > 1:
        names = some_of(str(place.relative_to(path)) for place in below)
        raise CaptureError(f"{path} holds {len(below)} captures: {names}.", "Choose the one you mean.")
    return below[0]


def _captures_below(path: Path, files: Files) -> list[Path]:
    """The folders of the captures at and below `path`, sorted: with a `transforms.json`, or with photos around a COLMAP
    model. What lies within another capture is part of it."""
    found = {place for place in files.below(path, _DEEPEST) if find_transforms(place) is not None}
    for model in colmap.find_models(path, files, _DEEPEST + 2):  # below it in sparse/0
        around = _around_model(model.folder, files)
        if around is not None:
            found.add(around)
    return sorted(place for place in found if not found & set(place.parents))


def _around_model(model: Path, files: Files) -> Path | None:
    """The folder that holds photos and the COLMAP model in `model`, if that is the one that is read there."""
    for parent in list(model.parents)[:3]:
        folder = files.folder(parent)
        has_photos = folder.images or any(name.lower().startswith(USUAL) for name in folder.folders)
        if has_photos and find_transforms(parent) is None and colmap.find_model(parent, files) == model:
            return parent
    return None


def _view_names(photos: list[str]) -> dict[str, str]:
    """A name for each photo that is a relative path without a suffix, never leaves its folder, and is unique."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for photo in photos:
        whole = photo.replace("\\", "/")
        path = PurePosixPath(os.path.splitext(inner_path(whole))[0])
        parts = [part for part in path.parts if part not in ("/", "..", ".", "images") and ":" not in part]
        stem = "/".join(parts[-2:] if whole.startswith("/") else parts) or "view"
        number, name = 2, stem
        while name in taken:
            number, name = number + 1, f"{stem}_{number}"
        taken.add(name)
        names[photo] = name
    return names
