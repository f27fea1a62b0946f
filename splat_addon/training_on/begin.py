"""The folder of a run that goes on from finished splats, and what it says of what was deleted from them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import RunError
from ..gaussians.closed_mesh import ClosedMesh, write_volume
from ..gaussians.cloud import GaussianCloud
from ..gaussians.formats.splat_ply import write_splats
from ..run.config import STEPS_ON, TrainConfig, train_on
from ..run.folder import RunFolder, write_json

Origin = tuple[float, float, float] | None


@dataclass(frozen=True)
class Choices:
    """How to go on. `keep_empty`: nothing grows where splats were deleted. `empty`: nothing may be inside of it.
    `trained`: splats outside of it stay as they are."""

    steps: int = STEPS_ON
    keep_empty: bool = True
    empty: ClosedMesh | None = None
    trained: ClosedMesh | None = None


def begin(
    path: Path,
    config: TrainConfig,
    kept: GaussianCloud,
    deleted: GaussianCloud | None,
    choices: Choices,
    origin: Origin = None,
    fingerprint: str = "",
) -> tuple[RunFolder, TrainConfig]:
    """Make the run folder `path`, in which training goes on from `kept`; `deleted` are the splats that were among them.

    Both, and the volumes, are in the coordinates of the capture, where means count from `origin`; `config` is that of
    the run before, and `fingerprint` that of the capture it was trained on: training tells where that has changed.
    Returns the folder and its settings. Raises RunError when no splats are left to go on from, SplatFileError when the
    place cannot be written.
    """
    former = len(kept) + (0 if deleted is None else len(deleted))
    if choices.empty is not None:
        kept = kept.select(~choices.empty.holds(kept.means.astype(np.float64) + (origin or 0.0)))
    if len(kept) == 0:
        raise RunError("No splats are left to go on from.", "Delete fewer, or choose a smaller volume to keep empty.")
    place = Path(path).resolve()
    start, cleared = place / "start.ply", place / "cleared.ply"
    empty, trained = place / "empty.obj", place / "trained.obj"
    settings = train_on(config, str(start), former if former > len(kept) else 0, choices.steps)
    settings = replace(
        settings,
        cleared_splats=str(cleared) if deleted is not None and choices.keep_empty else "",
        empty_volume="" if choices.empty is None else str(empty),
        trained_volume="" if choices.trained is None else str(trained),
    )
    settings.check()
    folder = RunFolder.create(place, settings)
    if fingerprint:
        write_json(folder.about_file, {"capture_fingerprint": fingerprint})
    write_splats(start, kept, origin)
    if deleted is not None and settings.cleared_splats:
        write_splats(cleared, deleted, origin)
    if choices.empty is not None:
        write_volume(empty, choices.empty)
    if choices.trained is not None:
        write_volume(trained, choices.trained)
    return folder, settings
