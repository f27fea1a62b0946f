"""What cameras and points say without photos."""

import numpy as np

from ...errors import some_of
from ..camera import Camera
from ..capture import Capture
from ..remarks import Remark
from ..seeds.photo_colors import project_visible
from .measuring import MOST_IN_PHOTO, sampled


def check_geometry(capture: Capture) -> tuple[Remark, ...]:
    """What cameras and points say without photos: cameras at one place or looking away, lenses that fold back."""
    remarks = []
    views = capture.all_views
    cameras = [view.camera for view in views]
    positions = np.stack([camera.position for camera in cameras])
    spread = float(np.linalg.norm(positions - np.median(positions, axis=0), axis=1).max())
    points = None if capture.points is None else sampled(capture.points.positions, MOST_IN_PHOTO)
    if points is not None:
        points = points[np.isfinite(points).all(axis=1)]
    if points is not None and len(points):
        distance = float(np.median(np.linalg.norm(points - np.median(positions, axis=0), axis=1)))
        is_one_place = len(views) > 1 and spread < 1e-3 * distance
    else:
        is_one_place = len(views) > 1 and spread <= 1e-9 * float(np.abs(positions).max())
    if is_one_place:
        remarks.append(
            Remark(
                f"All {len(views)} cameras stand at one place: photos taken by only turning show no depth.",
                "Move between the photos, or check that the camera positions were exported.",
                True,
            )
        )
    if points is not None and len(points):
        away = [view.name for view in views if not project_visible(view.camera, points, hides=False)[0].size]
        if away:
            remarks.append(
                Remark(
                    f"{len(away)} of {len(views)} cameras look away from all points ({some_of(away)}).",
                    "Check their axes and the points' frame; remove cameras that were registered wrongly.",
                    True,
                )
            )
    folded = [view.name for view in views if folds_back(view.camera)]
    if folded:
        remarks.append(
            Remark(
                f"The lens of {len(folded)} photos folds back within the picture ({some_of(folded)}): two directions"
                " fall on one pixel.",
                "Calibrate the lens again, with fewer coefficients, or crop the photos and undistort them first.",
                True,
            )
        )
    return tuple(remarks)


def folds_back(camera: Camera) -> bool:
    """Whether the lens polynomial turns back before the picture ends, along its edges and diagonals."""
    if not any(camera.distortion):
        return False
    along = np.linspace(0, 1, 17)
    ends = np.concatenate([np.stack(np.broadcast_arrays(along, end), 1) for end in (0.0, 1.0)])
    ends = np.concatenate([ends, ends[:, ::-1]]) * (camera.width, camera.height)
    edge = (ends - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    reach = np.linalg.norm(edge, axis=1)
    direction = edge / np.maximum(reach, 1e-9)[:, None]
    steps = np.linspace(0, 2, 81)[1:, None]  # a lens that pulls in by more than half within the picture is none
    slopes = (steps[..., None] * reach[None, :, None] * direction).reshape(-1, 2)
    radius = (camera.distort(slopes).reshape(len(steps), len(edge), 2) * direction).sum(axis=2)
    radius = np.concatenate([np.zeros((1, len(edge))), radius])
    turns = np.diff(radius, axis=0) <= 0
    before = np.maximum.accumulate(radius, axis=0)[:-1]
    return bool((turns & (before < reach - 1e-9)).any())
