"""The gaussians that a run starts from: given splats, or seeds on the capture."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..capture.blend_space import blend_space_of
from ..capture.capture import Capture
from ..capture.seeds.first_gaussians import chosen_points, first_gaussians
from ..errors import CaptureError
from ..gaussians.cloud import GaussianCloud
from ..gaussians.formats.splat_ply import read_splats
from ..gaussians.harmonics import coefficient_count
from ..run.config import TrainConfig
from ..run.events import Warned
from .photos.photo import open_image
from .training_frame import WORLD, TrainingFrame


def first_cloud(
    capture: Capture, config: TrainConfig, frame: TrainingFrame = WORLD
) -> tuple[GaussianCloud, list[Warned]]:
    """What training starts from, in the `frame` and the blend space of the run, with what the user should know.

    Raises SplatError.
    """
    if not config.init_splats:
        cloud, notes = first_gaussians(capture, config, read_pixels, frame.training_from_world)
        return cloud, [Warned(*note) for note in notes]
    cloud = read_splats(Path(config.init_splats), frame.origin)
    cloud = cloud.select(cloud.finite())
    sh = np.zeros((len(cloud), coefficient_count(config.sh_degree), 3), dtype=np.float32)
    kept = min(sh.shape[1], cloud.sh.shape[1])
    sh[:, :kept] = cloud.sh[:, :kept]
    cloud = replace(cloud, sh=sh, blend_space=blend_space_of(config.blend_space, capture.folder))
    return frame.from_origin(cloud), []


def kind_of_seeds(capture: Capture, config: TrainConfig) -> str:
    """For tables: "splats", "random", "surface" (points with normals) or "points"."""
    if config.init_splats:
        return "splats"
    points = None if config.seeds == "random" else chosen_points(capture)
    if points is None:
        return "random"
    return "surface" if points.normals is not None else "points"


def read_pixels(path: Path) -> np.ndarray | None:
    """(H, W, 4) bytes of a photo with straight alpha; None when it cannot be read."""
    try:
        return np.array(open_image(path).convert("RGBA"))
    except CaptureError:
        return None
