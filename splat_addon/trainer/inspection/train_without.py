"""A run that goes on from the splats of another, without those that its inspection selects."""

from pathlib import Path

import numpy as np

from ...errors import RunError
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.splat_ply import read_splats, write_splats
from ...inspection.file import read_inspection
from ...inspection.score import SELECT_FROM
from ...run.config import TrainConfig, train_on
from ...run.folder import RunFolder


def run_without(earlier: RunFolder, path: Path, above: float | None = None) -> tuple[RunFolder, int]:
    """Make the run folder `path`, in which training goes on without the splats of `earlier` whose score is higher than
    `above` (None: where they are selected). Returns it, and how many they are; the earlier run stays as it is.

    Raises SplatError when that was not inspected, or its splats have changed since, and when nothing or everything
    would go.
    """
    splats = earlier.result_file()
    if splats is None or not earlier.inspection_file.is_file():
        raise RunError(f"{earlier.path} was not inspected.", f"Use: python3 dev.py inspect-splats {earlier.path}")
    cloud, inspection = read_splats(splats), read_inspection(earlier.inspection_file)
    inspection.require_for(cloud)
    above = SELECT_FROM if above is None else above
    return run_on(earlier, path, cloud, inspection.findings.score > above)


def run_on(earlier: RunFolder, path: Path, cloud: GaussianCloud, is_deleted: np.ndarray) -> tuple[RunFolder, int]:
    """The same without the splats of `cloud` at a mask (N,)."""
    count = int(is_deleted.sum())
    if count == 0:
        raise RunError("No splat has a score that high: nothing would be deleted.", "Choose a lower score.")
    if count == len(cloud):
        raise RunError("Every splat would be deleted.", "Choose a higher score.")
    folder = RunFolder(Path(path).resolve())
    start, cleared = folder.path / "start.ply", folder.path / "cleared.ply"
    config = train_on(TrainConfig.read(earlier.config_file), str(start), str(cleared), len(cloud))
    folder = RunFolder.create(folder.path, config)
    write_splats(start, cloud.select(~is_deleted))
    write_splats(cleared, cloud.select(is_deleted))
    return folder, count
