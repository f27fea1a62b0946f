"""A run that goes on from the splats of another, from a command line: without those that its inspection selects."""

from pathlib import Path

import numpy as np

from ...errors import RunError
from ...gaussians.formats.splat_ply import SplatPly, read_splats
from ...inspection.file import read_inspection
from ...inspection.score import SELECT_FROM
from ...run.config import TrainConfig
from ...run.folder import RunFolder
from ...training_on.begin import Choices, begin

AS_CHOSEN = Choices()


def run_without(
    earlier: RunFolder, path: Path, above: float | None = None, choices: Choices = AS_CHOSEN
) -> tuple[RunFolder, int]:
    """Make the run folder `path`, in which training goes on without the splats of `earlier` whose score is higher than
    `above` (None: where they are selected). Returns it, and how many they are; the earlier run stays as it is.

    Raises SplatError when that was not inspected, or its splats have changed since, and when nothing or everything
    would go.
    """
    splats = earlier.result_file()
    if splats is None or not earlier.inspection_file.is_file():
        raise RunError(f"{earlier.path} was not inspected.", f"Use: python3 dev.py inspect-splats {earlier.path}")
    inspection = read_inspection(earlier.inspection_file)
    inspection.require_for(read_splats(splats))
    is_deleted = inspection.findings.score > (SELECT_FROM if above is None else above)
    if not is_deleted.any():
        raise RunError("No splat has a score that high: nothing would be deleted.", "Choose a lower score.")
    if is_deleted.all():
        raise RunError("Every splat would be deleted.", "Choose a higher score.")
    return run_on(earlier, path, splats, is_deleted, choices), int(is_deleted.sum())


def run_on(
    earlier: RunFolder, path: Path, splats: Path | None, is_deleted: np.ndarray | None, choices: Choices = AS_CHOSEN
) -> RunFolder:
    """Make the run folder `path`, in which training goes on from the result of `earlier`, or from `splats`: that result
    edited; without those at a mask (N,). Raises SplatError."""
    splats = splats or earlier.result_file()
    if splats is None:
        raise RunError(f"{earlier.path} has no splats to go on from.", "Train it first.")
    config = TrainConfig.read(earlier.config_file)
    if not Path(config.capture).is_dir():
        raise RunError(f"The capture {config.capture}, which the run was trained on, is gone.", "Put it back.")
    origin = SplatPly(splats).origin()
    cloud = read_splats(splats, origin)
    kept, deleted = (cloud, None) if is_deleted is None else (cloud.select(~is_deleted), cloud.select(is_deleted))
    return begin(path, config, kept, deleted, choices, origin, earlier.capture_fingerprint())[0]
