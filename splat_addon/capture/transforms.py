"""`transforms.json` in the nerfstudio dialect: OpenGL camera-to-world matrices, intrinsics shared or per frame."""

import json
from pathlib import Path

import numpy as np

from ..errors import CaptureError
from .camera import OPENCV_FROM_OPENGL, Camera

FILE_NAME = "transforms.json"
SCENE_SOURCE = "blender-scene"  # who wrote a capture that was rendered from a scene
_MODELS = {"", "OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "FULL_OPENCV"}
_INTRINSICS = {"w": "width", "h": "height", "fl_x": "fx", "fl_y": "fy", "cx": "cx", "cy": "cy"}
_DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")


def read_transforms(path: Path) -> tuple[dict[str, Camera], set[str] | None, str | None]:
    """Cameras by photo path (relative to the file), the photos marked held out (None: not said), the points' file.

    In captures of a scene the split is a choice of training, not of the capture, and so counts as not said, unless the
    artist has marked cameras.

    Raises CaptureError when the file is no capture.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CaptureError(f"{path} cannot be read as JSON ({error}).", "Export the capture again.") from error
    frames = document.get("frames") if isinstance(document, dict) else None
    if not isinstance(frames, list):
        raise CaptureError(f"{path} is no capture: it has no list of frames.", "Choose a nerfstudio transforms.json.")
    if not frames:
        raise CaptureError(f"{path} has no frames.", "Capture at least two views first.")
    cameras = {}
    for frame in frames:
        try:
            cameras[frame["file_path"]] = _camera({**document, **frame})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            name = frame.get("file_path", "a frame") if isinstance(frame, dict) else "a frame"
            raise CaptureError(
                f"{name} in {path} has no complete camera ({error}).",
                "Each frame needs file_path, transform_matrix, fl_x, fl_y, cx, cy, w and h.",
            ) from error
    held_out = None
    is_said = document.get("source") != SCENE_SOURCE or document.get("held_out_by") == "mark"
    if is_said and ("val_filenames" in document or "test_filenames" in document):
        held_out = {*(document.get("val_filenames") or []), *(document.get("test_filenames") or [])}
    return cameras, held_out, document.get("ply_file_path")


def write_transforms(
    path: Path,
    cameras: dict[str, Camera],
    held_out: set[str],
    points_file: str | None,
    extra: dict,
    frame_extra: dict[str, dict] | None = None,
) -> None:
    """Write cameras by photo path. Intrinsics that all frames share stand once at the top; `extra` is added there, and
    `frame_extra` to the frames, by photo path."""
    frames = []
    for name, camera in cameras.items():
        matrix = camera.world_from_camera @ OPENCV_FROM_OPENGL
        more = (frame_extra or {}).get(name, {})
        frames.append({"file_path": name, **more, **_intrinsics(camera), "transform_matrix": matrix.tolist()})
    shared = {key: frames[0][key] for key in _INTRINSICS if len({frame[key] for frame in frames}) == 1}
    for frame in frames:
        for key in shared:
            del frame[key]
    document = {"camera_model": "OPENCV", **shared, **extra}
    if points_file:
        document["ply_file_path"] = points_file
    document["train_filenames"] = [name for name in cameras if name not in held_out]
    document["val_filenames"] = document["test_filenames"] = [name for name in cameras if name in held_out]
    document["frames"] = frames
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def is_own_capture(folder: Path) -> bool:
    """Whether the capture in `folder` was rendered from a scene, and so can be made again."""
    try:
        return json.loads((folder / FILE_NAME).read_text(encoding="utf-8")).get("source") == SCENE_SOURCE
    except (OSError, ValueError, AttributeError):
        return False


def _intrinsics(camera: Camera) -> dict[str, float]:
    return {key: getattr(camera, field) for key, field in _INTRINSICS.items()}


def _camera(values: dict) -> Camera:
    if str(values.get("camera_model") or "").upper() not in _MODELS:
        raise ValueError(f"camera model {values['camera_model']} is not supported; undistort the photos first")
    matrix = np.array(values["transform_matrix"], dtype=np.float64)
    if matrix.shape == (3, 4):
        matrix = np.vstack([matrix, [0, 0, 0, 1]])
    if matrix.shape != (4, 4):
        raise ValueError(f"transform_matrix is {matrix.shape}")
    with np.errstate(all="ignore"):
        finite = np.isfinite(matrix).all()
        camera_from_world = np.linalg.inv(matrix @ OPENCV_FROM_OPENGL) if finite else matrix
    distortion = tuple(float(values.get(key, 0.0)) for key in _DISTORTION)
    return Camera(
        int(values["w"]),
        int(values["h"]),
        float(values["fl_x"]),
        float(values.get("fl_y", values["fl_x"])),
        float(values["cx"]),
        float(values["cy"]),
        camera_from_world,
        distortion if any(distortion) else (),
    )
