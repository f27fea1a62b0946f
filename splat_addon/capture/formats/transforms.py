"""`transforms.json` as nerfstudio, instant-ngp and the NeRF scenes write it: OpenGL camera-to-world matrices.

What is read: intrinsics at the top or per frame, as focal lengths (`fl_x`, `fl_y`) or angles (`camera_angle_x`,
`camera_angle_y`; `x_fov`, `y_fov` in degrees); sizes that are not given come from the photos; the principal point is
the middle unless given. What is not: `aabb_scale`, `scale` and `offset` of instant-ngp say where in its own unit cube
that program puts the world, and `orientation_override` how nerfstudio turns it, so they change no geometry.
"""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import CaptureError, some_of
from ..camera import LARGEST_NUMBER, OPENCV_FROM_OPENGL, Camera
from ..finding.files import Files
from ..finding.photos import FoundPhotos, find_named_photos, find_photos
from ..photos.image_size import read_image_size
from ..remarks import Remark
from ..rotation import is_rotation, nearest_rotation
from .json_values import is_said, matrix, number, read_json, text
from .splits import file_key, split_of_lists, split_of_test_frames

FILE_NAME = "transforms.json"
SPLIT_NAMES = ("transforms_train.json", "transforms_test.json", "transforms_val.json")  # the NeRF scenes' way
SCENE_SOURCE = "blender-scene"  # who wrote a capture that was rendered from a scene
_MODELS = {"", "OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "FULL_OPENCV"}
_INTRINSICS = {"w": "width", "h": "height", "fl_x": "fx", "fl_y": "fy", "cx": "cx", "cy": "cy"}
_DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_LAST_ROW = 1e-4  # how far a rounded one may be from 0 0 0 1
_FOCAL = ("fl_x", "fl_y", "camera_angle_x", "camera_angle_y", "x_fov", "y_fov")


@dataclass(frozen=True)
class Transforms:
    """What the file lists. `photos` has a path for each frame, by the frame's `file_path`, and `found` how it was
    found; cameras as well, but for frames whose size is neither given nor, since the photo is missing, to be found;
    masks for frames with a `mask_path` that is there, and `lost_masks` for others. `held_out` is None when the file
    does not say. `world_from_original` (3, 4) is nerfstudio's `applied_transform`, with `applied_scale` in it."""

    photos: dict[str, Path]
    cameras: dict[str, Camera]
    held_out: set[str] | None
    points_file: str | None
    world_from_original: np.ndarray
    masks: dict[str, Path]
    found: FoundPhotos
    lost_masks: dict[str, str] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


def find_transforms(folder: Path) -> Path | None:
    """`transforms.json` in `folder`, else the first file of a NeRF scene's split."""
    for name in (FILE_NAME, *SPLIT_NAMES):
        if os.path.isfile(Path(folder) / name):
            return Path(folder) / name
    return None


def read_transforms(path: Path, files: Files | None = None, photos_folder: Path | None = None) -> Transforms:
    """Read the file; of a NeRF scene, its training frames together with its held-out ones. The photos are those that
    it names, unless `photos_folder` was chosen to hold them.

    In captures of a scene the split is a choice of training, not of the capture, and so counts as not said, unless the
    artist has marked cameras.
    Raises CaptureError when the file is not a capture, lists a photo twice, or has a camera that cannot be expressed.
    """
    path, files = Path(path), files or Files()
    document = _read_document(path)
    remarks: list[Remark] = []
    held_out = None
    has_split = document.get("source") != SCENE_SOURCE or document.get("held_out_by") == "mark"
    if path.name in SPLIT_NAMES:
        document, held_out, remarks = _with_held_out_split(path, document, files)
    frames: dict[str, dict] = {}
    for frame in document["frames"]:
        name = _name_of(frame)
        if not name:
            raise CaptureError(f"A frame in {path} has no file_path.", "Name its photo, or remove the frame.")
        if name in frames:
            raise CaptureError(f"{path} lists the photo {name} twice.", "Remove one of the two frames.")
        frames[name] = frame
    sizes = {name: size for name, frame in frames.items() if (size := _said_size({**document, **frame}))}
    names = list(frames)
    if photos_folder is None:
        found = find_named_photos(files, path.parent, names, sizes)
    else:
        found = find_photos(files, [[photos_folder]], names, sizes, photos_folder)
    if found.shared:
        name = next(iter(found.shared))
        raise CaptureError(f"{path} lists the photo {name} twice.", "Remove one of the two frames.")
    left_out = _without_photos(frames, held_out, found) if path.name in SPLIT_NAMES else []
    if left_out:
        remarks.append(
            Remark(
                f"{len(left_out)} frames of {SPLIT_NAMES[1]} or {SPLIT_NAMES[2]} have no photo and are left out:"
                f" {some_of(left_out)}.",
                "Render them to measure the quality there, or hold out some of the other photos.",
                is_warning=True,
            )
        )
        frames = {name: frame for name, frame in frames.items() if name not in set(left_out)}
        held_out = (held_out or set()) - set(left_out)
        document = {**document, "frames": list(frames.values())}
    photos = {name: found.paths[name] for name in frames}
    if held_out is None and has_split:
        held_out, more = _listed_split(path, document, photos, files)
        remarks += more
    cameras: dict[str, Camera] = {}
    masks: dict[str, Path] = {}
    lost_masks: dict[str, str] = {}
    for name, frame in frames.items():
        mask = frame.get("mask_path")
        if isinstance(mask, str) and mask:
            hit = files.find_named(path.parent, mask)
            if hit is None:
                lost_masks[name] = mask
            else:
                masks[name] = hit.files[0]
        try:
            camera = _camera(_values_of(document, frame), photos[name])
        except ValueError as error:
            raise CaptureError(
                f"{name} in {path} has no complete camera ({error}).",
                "Correct or remove it: each frame needs file_path, transform_matrix and, unless they stand at the top,"
                " fl_x or camera_angle_x.",
            ) from error
        if camera is not None:
            cameras[name] = camera
    points_file = document.get("ply_file_path")
    return Transforms(
        photos,
        cameras,
        held_out,
        points_file if isinstance(points_file, str) else None,
        _applied(document),
        masks,
        found,
        lost_masks,
        tuple(remarks),
    )


def _said_size(values: dict) -> tuple[int, int] | None:
    try:
        size = int(number(values, "w", 0.0)), int(number(values, "h", 0.0))
    except ValueError:
        return None
    return size if min(size) > 0 else None


def _without_photos(frames: dict[str, dict], held_out: set[str] | None, found: FoundPhotos) -> list[str]:
    """Held-out frames that were never rendered, which BlenderNeRF lists; none where training photos are missing, too,
    as then it is the folder that is missing."""
    held_out = held_out or set()
    if not any(name not in found.missing for name in frames if name not in held_out):
        return []
    return [name for name in frames if name in held_out and name in found.missing]


def _listed_split(
    path: Path, document: dict, photos: dict[str, Path], files: Files
) -> tuple[set[str] | None, list[Remark]]:
    """What the lists in the document say; else a file of test frames beside."""
    try:
        listed = split_of_lists(document, photos, path.name)
    except ValueError as error:
        raise CaptureError(
            f"The split in {path} cannot be read ({error}).", "Make it a list of file_paths, or remove it."
        ) from error
    beside = [name for name in SPLIT_NAMES[1:] if path.name == FILE_NAME and files.has(path.parent / name)]
    if listed is not None or not beside:
        return listed or (None, [])
    tests = [_name_of(frame) for frame in _read_document(path.parent / beside[0])["frames"]]
    return split_of_test_frames(tests, photos, beside[0])


def write_transforms(
    path: Path,
    cameras: dict[str, Camera],
    held_out: Iterable[str],
    points_file: str | None,
    extra: dict,
    masks: dict[str, str] | None = None,
    frame_extra: dict[str, dict] | None = None,
) -> None:
    """Write cameras by photo path. Intrinsics that all frames share stand once at the top; `extra` is added there, and
    `frame_extra` to the frames, by photo path.
    `masks` are paths by photo path; they are only named when each photo has one, since nerfstudio takes no others."""
    masks = masks if masks and masks.keys() >= cameras.keys() else {}
    held_out = set(held_out)
    used = _used_distortion(cameras.values())
    frames: list[dict] = []
    for name, camera in cameras.items():
        matrix = camera.world_from_camera @ OPENCV_FROM_OPENGL
        more = {**({"mask_path": masks[name]} if masks else {}), **(frame_extra or {}).get(name, {})}
        frames.append({"file_path": name, **more, **_intrinsics(camera, used), "transform_matrix": matrix.tolist()})
    shared = {key: frames[0][key] for key in (*_INTRINSICS, *used) if len({frame[key] for frame in frames}) == 1}
    for frame in frames:
        for key in shared:
            del frame[key]
    document = {"camera_model": "FULL_OPENCV" if "k4" in used else "OPENCV", **shared, **extra}
    if points_file:
        document["ply_file_path"] = points_file
    document["train_filenames"] = [name for name in cameras if name not in held_out]
    document["val_filenames"] = document["test_filenames"] = [name for name in cameras if name in held_out]
    document["frames"] = frames
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def is_own_capture(folder: Path) -> bool:
    """Whether the capture in `folder` was rendered from a scene, and so can be made again."""
    try:
        document = read_json(folder / FILE_NAME)
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("source") == SCENE_SOURCE


def _read_document(path: Path) -> dict:
    try:
        document = read_json(path)
    except (OSError, ValueError) as error:
        raise CaptureError(f"{path} cannot be read as JSON ({error}).", "Export the capture again.") from error
    if not isinstance(document, dict) or not isinstance(document.get("frames"), list):
        raise CaptureError(
            f"{path} is not a capture: it has no list of frames.", "Choose a nerfstudio transforms.json."
        )
    if not document["frames"]:
        raise CaptureError(f"{path} has no frames.", "Capture at least two views first.")
    return document


def _with_held_out_split(path: Path, training: dict, files: Files) -> tuple[dict, set[str], list[Remark]]:
    """The frames of `transforms_train.json` with those of the test (else validation) file, which are held out."""
    frames = [{**_shared(training), **frame} for frame in training["frames"] if isinstance(frame, dict)]
    held_out: set[str] = set()
    remarks: list[Remark] = []
    others = [name for name in SPLIT_NAMES if name != path.name and files.has(path.parent / name)]
    used = [name for name in others if path.name == SPLIT_NAMES[0]][:1]
    for name in used:
        other = _read_document(path.parent / name)
        known = {file_key(_name_of(frame)): _name_of(frame) for frame in frames}
        tests = [frame for frame in other["frames"] if isinstance(frame, dict)]
        both = {known[key] for frame in tests if (key := file_key(_name_of(frame))) in known}
        new = [frame for frame in tests if file_key(_name_of(frame)) not in known]
        held_out = {_name_of(frame) for frame in new}
        if both and len(both) < len(frames):
            held_out |= both
            text = f"{path.name} and {name} both list {some_of(sorted(both))}: held out, and not trained on."
            remarks.append(Remark(text))
        elif both:
            text = f"{name} lists all photos of {path.name}, for example {min(both)}: these are trained on."
            remarks.append(Remark(text, "Remove from one of the two what the other is for.", is_warning=True))
        frames += [{**_shared(other), **frame} for frame in new]
    remarks += [Remark(f"{name} is not used.") for name in others if name not in used]
    return {**training, "frames": frames}, held_out, remarks


def _name_of(frame: object) -> str:
    """A frame's photo; empty when it has none."""
    try:
        return text(frame, "file_path") if isinstance(frame, dict) else ""
    except ValueError:
        return ""


def _shared(document: dict) -> dict:
    return {key: value for key, value in document.items() if key in (*_FOCAL, *_INTRINSICS, *_DISTORTION)}


def _values_of(document: dict, frame: dict) -> dict:
    """The frame's own values over the shared ones; a focal length of its own, in whatever form, replaces the shared."""
    has_own_focal = any(is_said(frame, key) for key in _FOCAL)
    shared = {key: value for key, value in document.items() if not (has_own_focal and key in _FOCAL)}
    return {**shared, **frame}


def _applied(document: dict) -> np.ndarray:
    try:
        applied = matrix(document, "applied_transform")[:3] if is_said(document, "applied_transform") else np.eye(3, 4)
        applied = applied * number(document, "applied_scale", 1.0)
    except ValueError:
        return np.eye(3, 4)
    return applied if applied.shape == (3, 4) and np.abs(applied).max() < LARGEST_NUMBER else np.eye(3, 4)


def _used_distortion(cameras: Iterable[Camera]) -> tuple[str, ...]:
    """The coefficients to write: none, the four that every program knows, those with k3, or all of OpenCV's."""
    places = [place for camera in cameras for place, value in enumerate(camera.distortion, start=1) if value]
    last = max(places, default=0)
    return _DISTORTION[: 0 if last == 0 else 4 if last <= 4 else 5 if last == 5 else 8]


def _intrinsics(camera: Camera, distortion_keys: tuple[str, ...]) -> dict[str, float]:
    distortion = dict(zip(_DISTORTION, (*camera.distortion, *[0.0] * 8), strict=False))
    return {
        **{key: getattr(camera, field) for key, field in _INTRINSICS.items()},
        **{key: distortion[key] for key in distortion_keys},
    }


def _camera(values: dict, photo: Path) -> Camera | None:
    """The camera of a frame, None where its size is not to be found. Raises ValueError, naming the key."""
    model = text(values, "camera_model").upper()
    if values.get("is_fisheye"):
        model = "fisheye"
    if model not in _MODELS:
        raise CaptureError(
            f"The camera model {model} of {photo.name} is not supported.",
            "Undistort the photos first (ns-process-data, or 'colmap image_undistorter').",
        )
    pose = _pose(values)
    if is_said(values, "w") and is_said(values, "h"):
        width, height = int(number(values, "w")), int(number(values, "h"))
    elif os.path.isfile(photo):
        width, height = read_image_size(photo)
    else:
        return None
    focals = _focal(values, "x", width), _focal(values, "y", height)
    known = [focal for focal in focals if focal is not None]
    if not known:
        raise ValueError("fl_x is missing")
    distortion = tuple(number(values, key, 0.0) for key in _DISTORTION)
    if distortion[5] and not any(distortion[6:]) and model != "FULL_OPENCV":
        raise CaptureError(
            f"The lens of {photo.name} has a k4 without k5 and k6, whose meaning differs between programs.",
            "Undistort the photos first, or calibrate with the OPENCV model.",
        )
    return Camera(
        width,
        height,
        known[0],
        known[-1],
        number(values, "cx", width / 2),
        number(values, "cy", height / 2),
        pose,
        distortion if any(distortion) else (),
    )


def _focal(values: dict, axis: str, size_px: int) -> float | None:
    """Focal length in pixels along one axis; None when nothing is said about it."""
    if is_said(values, f"fl_{axis}"):
        return number(values, f"fl_{axis}")
    if is_said(values, key := f"camera_angle_{axis}"):
        angle = number(values, key)
    elif is_said(values, key := f"{axis}_fov"):
        angle = math.radians(number(values, key))
    else:
        return None
    if not 0 < angle < math.pi:
        raise ValueError(f"{key} is not an angle between 0 and 180 degrees")
    return 0.5 * size_px / math.tan(0.5 * angle)


def _pose(values: dict) -> np.ndarray:
    """(4, 4) camera from world, OpenCV axes, from OpenGL's world from camera. What is not a rotation is left as it is,
    so that the check of the camera names it; one that is rounded becomes exact."""
    world_from_camera = matrix(values, "transform_matrix")
    if world_from_camera.shape == (3, 4):
        world_from_camera = np.vstack([world_from_camera, [0, 0, 0, 1]])
    if world_from_camera.shape != (4, 4):
        raise ValueError(f"transform_matrix is {' x '.join(map(str, world_from_camera.shape))}")
    if np.abs(world_from_camera).max() > LARGEST_NUMBER:
        raise ValueError(f"transform_matrix contains a number beyond {LARGEST_NUMBER:g}")
    turn = world_from_camera[:3, :3]
    if is_rotation(turn):
        last = world_from_camera[3]
        if np.abs(last - (0, 0, 0, 1)).max() > _LAST_ROW:
            is_turned = not np.abs(world_from_camera[:, 3] - (0, 0, 0, 1)).max() > _LAST_ROW
            why = ": the matrix is transposed" if is_turned else ""
            raise ValueError(
                f"the last row of transform_matrix is {' '.join(f'{v:g}' for v in last)}, not 0 0 0 1{why}"
            )
        turn = nearest_rotation(turn)
        inverse = np.eye(4)
        inverse[:3, :3], inverse[:3, 3] = turn.T, -turn.T @ world_from_camera[:3, 3]
        return OPENCV_FROM_OPENGL @ inverse
    return OPENCV_FROM_OPENGL @ world_from_camera


def relative_path(path: Path, folder: Path) -> str:
    """`path` as a frame of a file in `folder` names it: relative, with forward slashes; whole on another drive."""
    try:
        return os.path.relpath(path, folder).replace(os.sep, "/")
    except ValueError:
        return path.as_posix()
