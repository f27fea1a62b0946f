"""Training on from an object's splats as they are now, in a run of their own; the object stays as it is.

What was deleted from a run's result, what is hidden, and what is to go without being deleted first, all stay deleted.
Splats are written as their run or file has them, wherever the object stands; volumes are taken to there.
"""

from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...errors import RunError
from ...gaussians.closed_mesh import ClosedMesh
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.splat_ply import read_splats
from ...gaussians.transform import joined
from ...run.config import STEPS_ON, TrainConfig
from ...run.folder import RunFolder, next_run_path
from ...training_on.begin import Choices, Origin, begin
from ..inspection import choosing
from ..runs.run_identity import GOES_ON_KEY, mark
from ..runs.run_object import world_from_capture_of
from ..settings.training import train_config
from ..splats.data import origin_of, splats_from_object
from ..volumes import volume_of
from . import live_run
from .inspecting import photos_for


@dataclass(frozen=True)
class Wishes:
    """What the artist asks for: see `Choices`. `without_hidden`: hidden splats are left out. `empty` and `trained` are
    objects whose inside is meant."""

    steps: int = STEPS_ON
    keep_empty: bool = True
    without_hidden: bool = True
    empty: bpy.types.Object | None = None
    trained: bpy.types.Object | None = None


def start(
    scene: bpy.types.Scene,
    item: bpy.types.Object,
    wishes: Wishes,
    python: Path,
    outlives: bool = False,
    doomed: np.ndarray | None = None,
) -> live_run.LiveRun:
    """Start a run that goes on from the splats of `item`, without those at a mask (N,), `doomed`.

    Raises RunError when its run or capture is gone, or when no splats would be left; SceneError when a volume has no
    inside; SetupError without a Python; SplatFileError when they cannot be written.
    """
    run, config = _settings(scene, item)
    cloud, origin = splats_from_object(item), origin_of(item)
    gone = np.zeros(len(cloud), bool) if doomed is None else doomed.copy()
    if wishes.without_hidden:
        gone |= choosing.hidden(item.data)
    capture_from_world = np.linalg.inv(np.array(world_from_capture_of(item), dtype=np.float64))
    choices = Choices(
        wishes.steps,
        wishes.keep_empty,
        _inside(wishes.empty, capture_from_world),
        _inside(wishes.trained, capture_from_world),
    )
    capture = Path(config.capture)
    path = next_run_path(capture.with_name(capture.name + "_runs"))

    def make() -> tuple[RunFolder, TrainConfig]:
        parts = [part for part in (_deleted_before(run, cloud, origin), cloud.select(gone)) if len(part)]
        deleted, fingerprint = joined(parts) if parts else None, run.capture_fingerprint() if run is not None else ""
        return begin(path, config, cloud.select(~gone), deleted, choices, origin, fingerprint)

    started = live_run.go_on(scene, path, python, make, outlives)
    mark(item, started.folder, GOES_ON_KEY)
    return started


def settings_for(scene: bpy.types.Scene, item: bpy.types.Object) -> TrainConfig:
    """The settings of the run that an object came from, else the scene's, for the capture where it is now. Raises
    RunError when there is no capture, or it is gone."""
    return _settings(scene, item)[1]


def _settings(scene: bpy.types.Scene, item: bpy.types.Object) -> tuple[RunFolder | None, TrainConfig]:
    """The run that an object came from, and the settings to go on with: that run's, else the scene's."""
    photos = photos_for(scene, item)
    if photos.capture is None:
        raise RunError(
            "There are no photos to train these splats on.", "Choose their capture's folder in the Capture panel."
        )
    if photos.run is None:
        return None, train_config(scene).moved_to(photos.capture)
    run = RunFolder(photos.run)
    return run, TrainConfig.read(run.config_file).moved_to(photos.capture)


def _deleted_before(run: RunFolder | None, cloud: GaussianCloud, origin: Origin) -> GaussianCloud:
    """Those splats of the run's result that are not in the object any more, by their places."""
    path = run.result_file() if run is not None else None
    if path is None:
        return cloud.select(slice(0, 0))
    before = read_splats(path, origin)
    is_there = np.isin(_places(before.means), _places(cloud.means))
    return before.select(~is_there & before.finite())


def _places(means: np.ndarray) -> np.ndarray:
    """(N,) one thing to compare for each place (N, 3) in 32 bits."""
    return np.ascontiguousarray(means, np.float32).view(np.dtype((np.void, 12))).ravel()


def _inside(item: bpy.types.Object | None, capture_from_world: np.ndarray) -> ClosedMesh | None:
    """The volume that an object stands for, in the coordinates of the capture."""
    return None if item is None else volume_of(item, capture_from_world @ np.array(item.matrix_world, np.float64))
