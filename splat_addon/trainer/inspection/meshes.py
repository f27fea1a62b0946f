"""Where the capture is one of a scene: how much of each splat hangs off its meshes."""

from collections.abc import Callable, Sequence

import numpy as np

from ...capture.capture import Capture
from ...capture.formats.transforms import is_own_capture
from ...gaussians.cloud import GaussianCloud
from ...inspection.source_mesh import filled, hanging_share
from ...inspection.surfaces import AWAY_FROM
from ...run.events import Event, Warned
from ..photos.photo import Photo
from ..training_frame import TrainingFrame


def off_source_mesh(
    cloud: GaussianCloud,
    capture: Capture,
    frame: TrainingFrame,
    photos: Sequence[Photo],
    reach: float,
    send: Callable[[Event], None],
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """How much of each splat is off the meshes of a captured scene, and how much photos look past, besides; None
    for photo captures, which have none. The seeds of a scene are samples of its meshes."""

    if not is_own_capture(capture.folder) or capture.points is None or capture.points.normals is None:
        return None, None
    points = capture.points.moved(frame.training_from_world)
    surface = filled(points.positions, points.normals, AWAY_FROM * reach)
    if surface is None:
        told = "The capture's seeds are too few to say what hangs off the source mesh: photos alone judge."
        send(Warned(told, "Sample more seeds from the meshes."))
        return None, None
    return hanging_share(cloud, surface, [photo.camera for photo in photos], AWAY_FROM * reach)
