"""What a capture's files list: cameras, and where photos, masks and points lie."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from ...errors import CameraError, CaptureError, some_of
from ...gaussians.formats.splat_ply import read_points
from ..camera import Camera
from ..choices import AUTOMATIC, CaptureChoices
from ..doubts import Doubt
from ..file_names import is_on_network
from ..finding.files import IMAGE_SUFFIXES, Files, shown
from ..finding.masks import FoundMasks, find_masks
from ..finding.photos import FoundPhotos, find_photos, images_without_name, photo_places
from ..points import POINTS_FILE, Points
from ..remarks import Remark
from . import colmap
from .foreign import what_it_is
from .splits import read_split
from .transforms import Transforms, find_transforms, read_transforms

_POINT_FILES = (POINTS_FILE, "sparse_pc.ply", "point_cloud.ply", "pointcloud.ply", "points3D.ply", "points.ply")
_DECIDED = 0.7  # of the other's score, at most: closer ones are not told apart by cameras alone
_ROUNDING = 1e-6  # of coordinates that were written in 32 bits: a single point or camera spans nothing
_CLEAR = 0.5  # of the other's score: beyond, it is worth a warning


@dataclass(frozen=True)
class Listing:
    """By photo name. `held_out` is None when the files do not say; a photo may lack its camera, or be missing.
    `inverted_masks` are the photos whose masks mean by white what does not count. `model_folder` is the COLMAP model
    that was read, None where it was transforms.json. `doubt` is whether the points stand where the cameras do."""

    photos: dict[str, Path]
    cameras: dict[str, Camera]
    masks: dict[str, Path]
    held_out: set[str] | None
    points: Points | None
    remarks: tuple[Remark, ...] = ()
    inverted_masks: frozenset[str] = frozenset()
    model_folder: Path | None = None
    missing: frozenset[str] = field(default_factory=frozenset)
    doubt: Doubt | None = None


def read_listing(folder: Path, choices: CaptureChoices = AUTOMATIC) -> Listing:
    """Read `transforms.json`, else a COLMAP model. Raises CaptureError when there is neither, or it is broken, and
    CameraError when a camera is impossible."""
    files = Files()
    transforms_file = None if choices.model_folder else find_transforms(folder)
    if transforms_file is not None:
        return _of_transforms(folder, transforms_file, files, choices)
    return _of_model(folder, files, choices)


def _of_transforms(folder: Path, path: Path, files: Files, choices: CaptureChoices) -> Listing:
    listed = read_transforms(path, files, _chosen(folder, choices.photos_folder, "photos"))
    _check(listed.cameras)
    remarks = [*_about_photos(files, folder, listed.photos, listed.found), *listed.remarks]
    points, more, doubt = _points_of_transforms(folder, listed, files, choices)
    remarks += more
    remarks += _about_model_beside(folder, listed, files)
    held_out = listed.held_out
    if held_out is None:
        held_out, more = _split(files, folder, path.parent, listed.photos)
        remarks += more
    masks, more = _masks(files, folder, listed.photos, listed.found.missing, choices, listed.masks, listed.lost_masks)
    missing = frozenset(listed.found.missing & listed.photos.keys())
    return Listing(
        listed.photos,
        listed.cameras,
        masks.masks,
        held_out,
        points,
        (*remarks, *more),
        frozenset(masks.inverted),
        missing=missing,
        doubt=doubt,
    )


def _of_model(folder: Path, files: Files, choices: CaptureChoices) -> Listing:
    chosen = _chosen(folder, choices.model_folder, "COLMAP model")
    photos_folder = _chosen(folder, choices.photos_folder, "photos")
    models = [colmap.FoundModel(chosen, 0)] if chosen is not None else colmap.find_models(folder, files)
    if not models:
        what = what_it_is(folder, files)
        if what is not None:
            raise CaptureError(what.text, what.remedy)
        raise CaptureError(
            f"{folder} holds neither transforms.json nor a COLMAP model.",
            "Choose the folder of a capture, for example one that holds images/ and sparse/0/.",
        )
    model_folder = models[0].folder
    model, found = _with_photos(files, folder, model_folder, photos_folder)
    owner = _owner_of(found.folder, models) if photos_folder is None and len(found.missing) < len(found.paths) else None
    if owner is not None:  # the photos at hand were made for another model: undistorted ones for that in dense/
        model_folder = owner.folder
        models = [owner, *(other for other in models if other != owner)]
        model, found = _with_photos(files, folder, model_folder, photos_folder)
    remarks = _about_models(folder, models)
    difference = colmap.difference_of_forms(model_folder, files)
    if difference:
        text = f"The binary and the text form of {_place(model_folder, folder)} differ ({difference}): binary is used."
        remarks.append(Remark(text, "Remove the form that is not meant.", is_warning=True))
    remarks += _about_photos(files, folder, found.paths, found)
    points = Points(model.positions, model.colors) if len(model.positions) else None
    held_out, more = _split(files, folder, model_folder, found.paths)
    remarks += more
    masks, more = _masks(files, folder, found.paths, found.missing, choices)
    return Listing(
        found.paths,
        model.cameras,
        masks.masks,
        held_out,
        points,
        (*remarks, *more),
        frozenset(masks.inverted),
        model_folder,
        frozenset(found.missing),
    )


def _with_photos(
    files: Files, folder: Path, model_folder: Path, photos_folder: Path | None
) -> tuple[colmap.ColmapModel, FoundPhotos]:
    model = colmap.read_model(model_folder)
    _check(model.cameras)
    sizes = {name: (camera.width, camera.height) for name, camera in model.cameras.items()}
    places = [[photos_folder]] if photos_folder is not None else photo_places(files, model_folder, folder)
    return model, find_photos(files, places, list(model.cameras), sizes, photos_folder or folder)


def _owner_of(photos: Path, models: list[colmap.FoundModel]) -> colmap.FoundModel | None:
    """The model beside a folder of photos, if that is not the first of the models, but another."""
    beside = [model for model in models if model.folder.is_relative_to(photos.parent)]
    return beside[0] if beside and models[0] not in beside and photos not in models[0].folder.parents else None


def _chosen(folder: Path, choice: str, kind: str) -> Path | None:
    """A folder that was chosen by hand, relative to the capture or whole. Raises CaptureError when it is not there."""
    if not choice:
        return None
    chosen = Path(os.path.normpath(folder / choice))
    if not os.path.isdir(chosen):
        raise CaptureError(
            f"The chosen folder of the {kind}, {chosen}, does not exist.",
            "Choose it again, or choose none: then it is looked for.",
        )
    return chosen


def _check(cameras: dict[str, Camera]) -> None:
    for name, camera in cameras.items():
        camera.check(name)


def _place(path: Path, folder: Path) -> str:
    return folder.name if path == folder else shown(path, folder)


def _split(files: Files, folder: Path, beside: Path, photos: dict[str, Path]) -> tuple[set[str] | None, list[Remark]]:
    inside = [place for place in (beside, *beside.parents) if place.is_relative_to(folder)]
    return read_split(files, folder, [*inside, folder], photos)


def _about_photos(files: Files, folder: Path, photos: dict[str, Path], found: FoundPhotos) -> list[Remark]:
    remarks = []
    there = {name: photo for name, photo in photos.items() if name not in found.missing}
    lost = [name for name in photos if name in found.missing and name not in found.ambiguous]
    if lost:
        where = shown(photos[lost[0]], folder)
        text = f"{len(lost)} of {len(photos)} photos are missing, for example {lost[0]}: there is no {where}."
        remedy = "Put them there, or choose the folder that holds them: their views are left out."
        remarks.append(Remark(text, remedy, is_warning=True))
    unclear = {name: fitting for name, fitting in found.ambiguous.items() if name in photos}
    if unclear:
        name, fitting = next(iter(unclear.items()))
        what = f"{name} could be {some_of(shown(photo, folder) for photo in fitting)}"
        if len(fitting) == 1:
            what = f"{shown(fitting[0], folder)} could be {name} or another photo that is listed"
        used = f" {shown(there[name], folder)} is used." if name in there else " Their views are left out."
        text = f"{len(unclear)} of {len(photos)} photos cannot be told apart, for example {what}.{used}"
        remarks.append(Remark(text, "Rename the files as the cameras name them, or remove others.", is_warning=True))
    respelled = {name: photo for name, photo in found.respelled.items() if name in there}
    if respelled:
        name, photo = next(iter(respelled.items()))
        text = f"{len(respelled)} of {len(photos)} photos are called otherwise than the cameras name them: {name} was"
        remarks.append(Remark(f"{text} found as {shown(photo, folder)}."))
    if found.rivals and there:
        others = some_of(f"{_place(place, folder)}/" for place in found.rivals)
        text = f"Photos are read from {_place(found.folder, folder)}/; others of these names lie in {others}."
        remarks.append(Remark(text, "If others were measured, move this folder out of the capture."))
    without = images_without_name(files, there.values())
    if without:
        text = f"Photos without a camera, which are not used: {len(without)}, for example {shown(without[0], folder)}."
        remarks.append(Remark(text, "Register them again if they are needed."))
    return remarks


def _masks(
    files: Files,
    folder: Path,
    photos: dict[str, Path],
    missing: Iterable[str],
    choices: CaptureChoices,
    named: dict[str, Path] | None = None,
    lost: dict[str, str] | None = None,
) -> tuple[FoundMasks, list[Remark]]:
    """Masks by photo, those that the capture's file names before those that are found."""
    found, remarks = find_masks(files, folder, photos)
    masks, inverted = {**found.masks, **(named or {})}, found.inverted - (named or {}).keys()
    if choices.masks == "ignored":
        text = f"The masks of {len(masks)} photos are not used, as was chosen."
        return FoundMasks(), [Remark(text)] if masks else []
    unmasked = {name: mask for name, mask in (lost or {}).items() if name not in masks}
    if unmasked:
        name, mask = next(iter(unmasked.items()))
        text = f"{len(unmasked)} masks are missing, for example {mask} of {name}."
        remarks.append(Remark(text, "Put them there: without, these photos are trained whole.", is_warning=True))
    if masks:
        there = photos.keys() - set(missing)
        bare = [name for name in photos if name in there and name not in masks]
        if bare and not unmasked:
            text = f"{len(bare)} of {len(photos)} photos have no mask, though others do, for example {bare[0]}."
            remarks.append(Remark(text, "Add their masks: without, these photos are trained whole.", is_warning=True))
        example = shown(next(iter(masks.values())), folder)
        remarks.append(Remark(f"{len(masks)} of {len(photos)} photos have a mask, for example {example}."))
    if inverted:
        example = shown(masks[next(name for name in masks if name in inverted)], folder)
        text = f"White leaves out in {len(inverted)} masks, as instant-ngp means those called like {example}."
        remarks.append(Remark(text, "Invert the masks if white is what counts."))
    if choices.masks == "inverted":
        inverted = masks.keys() - inverted
        remarks.append(Remark("The masks are inverted, as was chosen."))
    return FoundMasks(masks, set(inverted)), remarks


def _about_models(folder: Path, models: list[colmap.FoundModel]) -> list[Remark]:
    if len(models) < 2:
        return []
    used, *others = models
    counts = some_of((f"{_place(model.folder, folder)} holds {model.image_count} images" for model in models), 4)
    most = max(model.image_count for model in others)
    why = "with most images" if used.image_count > most else "at the usual place"
    is_apart = used.folder.name.isdigit() and any(model.folder.parent == used.folder.parent for model in others)
    return [
        Remark(
            f"Of {len(models)} COLMAP models, {_place(used.folder, folder)} is used, {why}: {counts}.",
            "To use another, open its folder; to join them, reconstruct again.",
            is_warning=is_apart or used.image_count < most,
        )
    ]


def _about_model_beside(folder: Path, listed: Transforms, files: Files) -> list[Remark]:
    model_folder = colmap.find_model(folder, files)
    if model_folder is None:
        return []
    text = f"The cameras are those of transforms.json, not those of {_place(model_folder, folder)}"
    return [Remark(f"{text}.", "To use these, move transforms.json out of the capture.")]


def _points_of_transforms(
    folder: Path, listed: Transforms, files: Files, choices: CaptureChoices
) -> tuple[Points | None, list[Remark], Doubt | None]:
    """The points of a PLY next to the cameras; else those of the COLMAP model they came from, in the cameras' frame."""
    remarks = []
    model_folder = colmap.find_model(folder, files)
    named = _named_points_file(folder, listed, files)
    path = named or next((folder / name for name in _POINT_FILES if files.has(folder / name)), None)
    if listed.points_file and named is None:
        text = f"The points {listed.points_file}, which the capture names, are missing"
        instead = "." if path is None and model_folder is None else "; others are used."
        remarks.append(Remark(text + instead, "Put the file there, or export the capture again.", is_warning=True))
    if path is not None:
        read = Points(*read_points(path))
        points, more, doubt = _in_cameras_frame(read, path.name, listed, model_folder, choices)
        return points, remarks + more, doubt
    if model_folder is None:
        return None, remarks, None
    try:
        model = colmap.read_model(model_folder)
        _check(model.cameras)
    except (CaptureError, CameraError) as error:  # training starts without points too
        text = f"The points of {_place(model_folder, folder)} are not used: {error.message}"
        return None, [*remarks, Remark(text, error.remedy, is_warning=True)], None
    points = Points(model.positions, model.colors).moved(listed.world_from_original)
    if not len(points.positions):
        return None, remarks, None
    if not _stand_alike(model.cameras, listed.cameras, listed.world_from_original):
        text = f"The points of {_place(model_folder, folder)} are not used: its cameras stand elsewhere than those of"
        elsewhere = Remark(f"{text} transforms.json.", "Add points3d.ply in the cameras' frame.", True)
        return None, [*remarks, elsewhere], None
    return points, remarks, None


def _named_points_file(folder: Path, listed: Transforms, files: Files) -> Path | None:
    if not listed.points_file or is_on_network(listed.points_file):
        return None
    hit = files.find_named(folder, listed.points_file)
    return None if hit is None or hit.files[0].suffix.lower() in IMAGE_SUFFIXES else hit.files[0]


def _in_cameras_frame(
    points: Points, name: str, listed: Transforms, model_folder: Path | None, choices: CaptureChoices
) -> tuple[Points, list[Remark], Doubt | None]:
    """The points of a PLY where the cameras are. nerfstudio has written this file in COLMAP's frame at first, in that
    of the cameras since. COLMAP's own points tell which; else how well the cameras look at them, unless both fit about
    as well: then that is a doubt, to be settled by the photos."""
    moved = points.moved(listed.world_from_original)
    if moved is points:
        return points, [], None
    if choices.points_frame != "auto":
        is_original = choices.points_frame == "original"
        text = f"The points of {name} were {'moved' if is_original else 'left where they are'}, as was chosen."
        return (moved if is_original else points), [Remark(text)], None
    remedy = "Choose the frame of the points if they do not fit the photos."
    text = f"The points of {name} were moved by applied_transform to where the cameras are"
    same = _same_points(points, listed, model_folder)
    if same is not None:
        return (moved, [Remark(f"{text}: they stood elsewhere.", remedy)], None) if same else (points, [], None)
    cameras = list(listed.cameras.values())
    as_written, as_moved = _missed(points, cameras), _missed(moved, cameras)
    is_original = as_moved < _DECIDED * as_written
    is_clear = min(as_written, as_moved) <= _CLEAR * max(as_written, as_moved)
    remark = None
    if is_original:
        remark = Remark(f"{text}: they stood elsewhere.", remedy, is_warning=not is_clear)
    elif as_written >= _DECIDED * as_moved:
        unclear = f"Whether applied_transform still has to move the points of {name} cannot be told from the cameras;"
        remark = Remark(f"{unclear} they were left where they are.", remedy, is_warning=True)
    is_moved = Remark(f"{text}: only so they agree with the photos.", remedy)
    is_left = Remark(f"The points of {name} were left where they are: only so they agree with the photos.", remedy)
    doubt = None
    if not is_clear:
        first, second = (is_moved, is_left) if is_original else (is_left, is_moved)
        doubt = Doubt(remark, first, second, points=points if is_original else moved)
    return (moved if is_original else points), [] if remark is None else [remark], doubt


def _missed(points: Points, cameras: list[Camera]) -> float:
    """How far from what the cameras look at the points lie: the mean squared distance to the middle of the pictures,
    with half a picture's diagonal as unit, which also stands for points that are not in it, and the square of their
    mean place, since what all cameras show to one side is not what they were pointed at."""
    sample = points.positions[:: max(1, len(points.positions) // 1000)]
    squares, places = [0.0], [np.zeros(2)]
    for camera in cameras[:: max(1, len(cameras) // 30)] if len(sample) else ():
        pixels, depths = camera.without_distortion().project(sample)
        away = (pixels - (camera.width / 2, camera.height / 2)) / (np.hypot(camera.width, camera.height) / 2)
        is_inside = (depths > 0) & (np.linalg.norm(np.nan_to_num(away, nan=2.0), axis=1) < 1)
        squares.append(float(np.where(is_inside, (np.where(is_inside[:, None], away, 0) ** 2).sum(axis=1), 1.0).mean()))
        places.append(np.where(is_inside[:, None], away, 0).mean(axis=0))
    return float(np.mean(squares[1:] or squares) + (np.mean(places[1:] or places, axis=0) ** 2).sum())


def _same_points(points: Points, listed: Transforms, model_folder: Path | None) -> bool | None:
    """Whether a PLY's points are COLMAP's own as they are there (True), or where the cameras were moved to (False);
    None where COLMAP's are not there, or others."""
    if model_folder is None or not len(points.positions):
        return None
    try:
        originals = colmap.read_model(model_folder)
    except CaptureError:
        return None
    if not len(originals.positions):
        return None
    middle, span = np.median(points.positions, axis=0), float(np.ptp(points.positions, axis=0).max())
    near = max(1e-3 * span, _ROUNDING * float(np.abs(middle).max()))
    moved = Points(originals.positions, originals.colors).moved(listed.world_from_original)
    is_original, is_moved = (
        bool(np.abs(np.median(positions, axis=0) - middle).max() <= near)
        for positions in (originals.positions, moved.positions)
    )
    return is_original if is_original != is_moved else None


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
    rounding = _ROUNDING * float(max(np.abs(after).max(), np.abs(matrix[:, 3]).max()))
    return bool(distances.max() <= max(0.01 * float(np.ptp(after, axis=0).max()), rounding))
