"""Writing a capture for other programs: `transforms.json`, and COLMAP models in both forms."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CaptureError, some_of
from ..files import is_link, move_all_into_place, remove_folder
from ..gaussians.formats.splat_ply import write_points
from .camera import Camera
from .capture import Capture, View
from .file_names import distinct_files
from .finding.files import IMAGE_SUFFIXES
from .formats import colmap
from .formats.colmap.model import ColmapModel, Observations
from .formats.json_values import read_json
from .formats.transforms import FILE_NAME, find_transforms, relative_path, write_transforms
from .photos.image_size import read_image_size
from .photos.orientation import AS_STORED
from .photos.undistort import pinhole_within
from .points import Points

TRANSFORMS, COLMAP_BINARY, COLMAP_TEXT = "TRANSFORMS", "COLMAP_BINARY", "COLMAP_TEXT"
POINTS_FILE = "points3d.ply"
_MODEL = "sparse/0"
_ASIDE = ".export.partial"

PhotoWriter = Callable[[View, Camera, Path, Path | None], None]
"""(view, the camera whose picture is wanted, where to write that, where to write its mask): writes both as the view's
camera measured them. Reading and writing photos is not this room's."""


@dataclass(frozen=True)
class ExportOptions:
    """What is written. `world_from_capture` (4, 4) is a similarity that cameras and points are moved by. `write_photo`
    is needed for photos that cannot be copied as they are."""

    formats: frozenset[str] = frozenset({TRANSFORMS, COLMAP_BINARY})
    copy_photos: bool = True
    replace_earlier: bool = False
    world_from_capture: np.ndarray = field(default_factory=lambda: np.eye(4))
    undistort: bool = False
    write_photo: PhotoWriter | None = None


def export_capture(
    capture: Capture, folder: Path, options: ExportOptions, tell_progress: Callable[[int], None] = lambda done: None
) -> list[str]:
    """Write `capture` into `folder`, aside first and then moved into place; returns sentences to show.

    `transforms.json` with `points3d.ply`, `sparse/0/`, and `images/` when photos are copied. Tracks of a COLMAP model
    are kept. Photos that stay where they are get referred to by relative paths; undistorted ones are always written.
    Raises CaptureError when nothing is to be written, when something is in the way, or when the folder fails.
    """
    folder = Path(folder)
    if not options.formats:
        raise CaptureError("No format is chosen.", "Choose transforms.json, a COLMAP model, or both.")
    notes: list[str] = []
    views = capture.views or capture.all_views
    if capture.views_without_photo:
        count, names = len(capture.views_without_photo), some_of(view.name for view in capture.views_without_photo)
        done = "were left out" if capture.views else "were written anyway"
        notes.append(f"Views without a photo: {count} ({names}). They {done}.")
    if options.undistort and not capture.views:
        notes.append("Nothing was undistorted, because no photo was found: the cameras keep their distortion.")
    is_moving = bool(views) and bool(capture.views) and (options.copy_photos or options.undistort)
    is_moving = is_moving and not (not options.undistort and _lie_in(views, folder / "images"))
    if is_moving:
        views, left_out = _to_be_copied(views, capture.folder)
        notes += left_out
    notes += _not_as_they_lie(views, options, is_moving)
    _require_free(capture, folder, options, is_moving)
    aside = folder / _ASIDE
    try:
        remove_folder(aside)
        aside.mkdir(parents=True)
        if is_moving:
            views = _write_photos(views, aside, folder, options, tell_progress)
        moved = [replace(view, camera=view.camera.moved(options.world_from_capture)) for view in views]
        points = capture.points or Points(np.empty((0, 3)), np.empty((0, 3)))
        points = points.moved(options.world_from_capture)
        if TRANSFORMS in options.formats:
            _write_transforms(aside, folder, moved, points, capture.folder)
        if options.formats & {COLMAP_BINARY, COLMAP_TEXT}:
            notes += _write_colmap(aside, folder, moved, points, capture, options)
        move_all_into_place(_moves(aside, folder))
    except OSError as error:
        raise CaptureError(
            f"The export folder {folder} cannot be written ({error.strerror}).",
            "Choose a folder that can be written and has space; nothing was changed.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            remove_folder(aside)
    return notes


def _not_as_they_lie(views: tuple[View, ...], options: ExportOptions, is_moving: bool) -> list[str]:
    """Sentences about files that stay as they are, though they do not show what their cameras measured."""
    if is_moving and options.write_photo is not None:
        return []
    notes = []
    lying = [view.name for view in views if view.orientation != AS_STORED]
    if lying:
        notes.append(
            f"Photos that other programs must turn as their Exif records say: {len(lying)} ({some_of(lying)})."
            " Copy Photos writes them turned."
        )
    swapped = [view.name for view in views if view.mask_path is not None and view.mask_is_inverted]
    if swapped:
        notes.append(
            f"Masks in which black keeps, which other programs must know: {len(swapped)} ({some_of(swapped)})."
            " Copy Photos writes them with white for what is kept."
        )
    return notes


def _to_be_copied(views: tuple[View, ...], capture: Path) -> tuple[tuple[View, ...], list[str]]:
    """The views whose photos are images in the capture's folder, and a sentence about others: a capture from somebody
    else may name any file of this machine as a photo. Raises CaptureError when none is left."""
    home = capture.resolve()
    kept: list[View] = []
    left_out: list[View] = []
    for view in views:
        is_whole = view.mask_path is None or _is_image_in(view.mask_path, home)
        view = view if is_whole else replace(view, mask_path=None)
        (kept if _is_image_in(view.image_path, home) else left_out).append(view)
        if not is_whole and view in kept:
            left_out.append(replace(view, name=f"the mask of {view.name}"))
    if not left_out:
        return tuple(kept), []
    names = some_of(view.name for view in left_out)
    if not kept:
        raise CaptureError(
            f"No photo of {capture} is an image that lies in it ({names}).",
            "Put the photos into the capture's folder, or switch off Copy Photos; nothing was changed.",
        )
    return tuple(kept), [f"Not copied, since they are not images in the capture's folder: {names}."]


def _is_image_in(path: Path, home: Path) -> bool:
    try:
        if not path.resolve().is_relative_to(home):
            return False
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            read_image_size(path)
    except (CaptureError, OSError, ValueError, RuntimeError):  # a loop of links
        return False
    return True


def _lie_in(views: tuple[View, ...], folder: Path) -> bool:
    return all(view.image_path.resolve().is_relative_to(folder.resolve()) for view in views)


def _require_free(capture: Capture, folder: Path, options: ExportOptions, is_moving: bool) -> None:
    """Nothing that lies in the folder is replaced unless asked for, and never what the capture is read from."""
    planned = ["images"] if is_moving else []
    planned += ["masks"] if is_moving and any(view.mask_path for view in capture.views) else []
    planned += [FILE_NAME, POINTS_FILE] if TRANSFORMS in options.formats else []
    planned += [_MODEL] if options.formats & {COLMAP_BINARY, COLMAP_TEXT} else []
    present = [name for name in planned if os.path.lexists(folder / name)]
    if is_link(folder / _MODEL.partition("/")[0]):
        raise CaptureError(f"{folder / 'sparse'} is a link.", "Choose an empty folder; nothing was changed.")
    sources = [_MODEL] if find_transforms(capture.folder) is None else [FILE_NAME, POINTS_FILE]
    sources += ["images", "masks"]
    own = [name for name in present if name in sources]
    if own and folder.resolve() == capture.folder.resolve():
        raise CaptureError(
            f"{folder} holds {some_of(own)} of the capture itself.",
            "Export into another folder; nothing was changed.",
        )
    if present and not options.replace_earlier:
        raise CaptureError(
            f"{folder} already holds {some_of(present)}.",
            "Choose an empty folder, or switch on Replace Earlier Export; nothing was changed.",
        )


def _write_photos(
    views: tuple[View, ...], aside: Path, folder: Path, options: ExportOptions, tell_progress: Callable[[int], None]
) -> tuple[View, ...]:
    """Copy or undistort photos and masks into `aside`; the views with the places they will have, and their cameras."""
    written = []
    for done, (view, name_of_file) in enumerate(zip(views, distinct_files(view.name for view in views), strict=True)):
        tell_progress(done)
        camera = pinhole_within(view.camera) if options.undistort else view.camera
        files = {"image_path": ("images", view.image_path)}
        if view.mask_path is not None:
            files["mask_path"] = ("masks", view.mask_path)
        names = {key: f"{kind}/{name_of_file}{source.suffix}" for key, (kind, source) in files.items()}
        for name in names.values():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
        if options.write_photo is not None and _must_be_written(view, options.undistort):
            mask = aside / names["mask_path"] if "mask_path" in names else None
            options.write_photo(view, camera, aside / names["image_path"], mask)
            view = replace(view, orientation=AS_STORED, mask_is_inverted=False)
        else:
            for key, (_, source) in files.items():
                shutil.copyfile(source, aside / names[key])
        places: dict[str, Any] = {key: folder / name for key, name in names.items()}
        written.append(replace(view, camera=camera, **places))
    return tuple(written)


def _must_be_written(view: View, undistorts: bool) -> bool:
    """Whether copies of a view's files would show something else than its camera measured to a reader that takes pixels
    as stored, and white as what counts."""
    is_bent = undistorts and any(view.camera.distortion)
    return is_bent or view.orientation != AS_STORED or (view.mask_path is not None and view.mask_is_inverted)


def _write_transforms(aside: Path, folder: Path, views: list[View], points: Points, source: Path) -> None:
    names = {relative_path(view.image_path.resolve(), folder.resolve()): view for view in views}
    held_out = {name for name, view in names.items() if view.is_held_out}
    points_file = None
    if len(points.positions):
        points_file = POINTS_FILE
        write_points(aside / POINTS_FILE, points.positions, points.colors, points.normals)
    cameras = {name: view.camera for name, view in names.items()}
    masks = {
        name: relative_path(view.mask_path.resolve(), folder.resolve())
        for name, view in names.items()
        if view.mask_path is not None
    }
    write_transforms(aside / FILE_NAME, cameras, held_out, points_file, _remarks(source), masks)


def _remarks(source: Path) -> dict:
    """What the source says about its colors."""
    path = find_transforms(source)
    if path is None:
        return {}
    try:
        document = read_json(path)
    except (OSError, ValueError):
        return {}
    if not isinstance(document, dict):
        return {}
    return {key: document[key] for key in ("view_transform", "color_space") if key in document}


def _write_colmap(
    aside: Path, folder: Path, views: list[View], points: Points, capture: Capture, options: ExportOptions
) -> list[str]:
    base = folder / "images"
    notes = []
    if not _lie_in(tuple(views), base):
        try:
            base = Path(os.path.commonpath([view.image_path.parent.resolve() for view in views]))
        except ValueError as error:
            raise CaptureError(
                "The photos lie on several drives, which a COLMAP model cannot express.", "Switch on Copy Photos."
            ) from error
        if capture.views:
            notes.append(f"The COLMAP model names its photos from {base}: give that as the image path.")
    names = {view.name: relative_path(view.image_path.resolve(), base.resolve()) for view in views}
    observations, errors = _observations(capture, views, names)
    model = ColmapModel(
        {names[view.name]: view.camera for view in views}, points.positions, points.colors, errors, observations
    )
    (aside / _MODEL).mkdir(parents=True)
    for chosen, as_text in ((COLMAP_BINARY, False), (COLMAP_TEXT, True)):
        if chosen in options.formats:
            colmap.write_model(aside / _MODEL, model, as_text)
    distorted = [view.name for view in views if any(view.camera.distortion)]
    if distorted:
        notes.append(
            f"The lens distortion of the photos ({len(distorted)}) is kept as COLMAP's OPENCV model; for trainers that"
            " only read pinhole cameras, export with Undistort Photos."
        )
    return notes


def _observations(
    capture: Capture, views: list[View], names: dict[str, str]
) -> tuple[dict[str, Observations], np.ndarray]:
    """What a COLMAP capture's photos show of its points, by exported name, and the points' errors; else nothing."""
    if capture.model_folder is None:
        return {}, np.empty(0)
    model = colmap.read_model(capture.model_folder, with_observations=True)
    observations = {}
    for view in views:
        seen, camera = model.observations.get(view.listed_as), model.cameras.get(view.listed_as)
        if seen is None or camera is None:
            continue
        if any(camera.distortion) and not any(view.camera.distortion):
            zoom = view.camera.fx / camera.fx
            center = (camera.cx, camera.cy)
            pixels = (camera.undistort_pixels(seen.pixels) - center) * zoom + center
            seen = Observations(pixels, seen.points)
        observations[names[view.name]] = seen
    return observations, model.errors


def _moves(aside: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    """What swaps everything in, the list of cameras last; other files in `folder` are left alone."""
    old = aside / "old"
    old.mkdir()
    for name in ("images", "masks", POINTS_FILE, _MODEL, FILE_NAME):
        if not (aside / name).exists():
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            yield target, old / name.replace("/", "_")
        yield aside / name, target
