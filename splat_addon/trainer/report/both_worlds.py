"""Traditional splatting beside the learned result, as the lesson's table sets them: one run, measured at both ends.

Traditional splatting (Zwicker et al. 2001) draws measured points: positions, normals and colors as they are. That is
what a run's seeds show before its first step, the row "init only". What training makes of them is the other column.
"""

import json
import math
from pathlib import Path

from ...errors import RunError
from ...run.config import TrainConfig
from ...run.events import Evaluated, ViewQuality
from ...run.folder import RunFolder
from ...run.wording import counted, in_time

HEAD = ("", "Traditional splatting", "Learned")
_INPUT = {
    "surface": "points of surfaces, with normals and colors",
    "points": "points without normals, with colors",
}
_NUMBERS = 11  # of a gaussian, without its colors: position, scale, rotation, opacity


def ends_of(folder: RunFolder) -> tuple[Evaluated, Evaluated]:
    """What was measured before the first step and last. Raises RunError where the two cannot be compared."""
    evaluations = folder.evaluations()
    first = next((entry for entry in evaluations if entry.step == 0), None)
    last = evaluations[-1] if evaluations else None
    if first is None or last is None or last.step == 0:
        raise RunError(
            f"The run in {folder.path} was not measured before and after training.",
            "Hold out views, and let it train until it has measured them.",
        )
    kind = _seeds_of(folder)
    if kind not in _INPUT:
        what = "other splats" if kind == "splats" else "random places"
        raise RunError(
            f"The run in {folder.path} started from {what}, so nothing was measured that could be splatted as it is.",
            "Sample seeds from surfaces, or take a capture with points.",
        )
    return first, last


def rows(folder: RunFolder) -> list[tuple[str, str, str]]:
    """(what, traditional, learned), in words and numbers. Raises RunError as `ends_of` does."""
    first, last = ends_of(folder)
    config = TrainConfig.read(folder.config_file)
    numbers = _NUMBERS + 3 * (config.sh_degree + 1) ** 2
    views = len(last.views)
    photos = _read(folder.about_file).get("training_views")
    of_photos = f"{len(photos)} photos with cameras" if isinstance(photos, list) else "photos with cameras"
    color = "harmonics, seen from every side alike" if config.sh_degree == 0 else "view-dependent harmonics"
    duration = in_time(last.train_seconds) or "unknown"
    found = [
        ("Nature", "rendering technique", "learned representation"),
        ("Input", _INPUT[_seeds_of(folder)], f"{of_photos}, and the same points to start from"),
        ("Parameters", "derived from the points", f"{numbers} numbers per splat, optimized together"),
        ("Color", "one per point, fixed", f"{color} of degree {config.sh_degree}, learned"),
        ("Primitives", counted(first.gaussian_count), f"{counted(last.gaussian_count)}, grown and pruned"),
        (f"Held-out PSNR, {views} views", _decibel(first.psnr_db), _decibel(last.psnr_db)),
        ("Held-out SSIM", _number(first.ssim, 4), _number(last.ssim, 4)),
        ("Time", "no training", f"{duration} for {counted(last.step)} steps"),
    ]
    before, after = worst_of(first), worst_of(last)
    if before is not None and after is not None:
        found.append(("Worst view", _named(before), _named(after)))
    return found


def worst_of(entry: Evaluated) -> ViewQuality | None:
    """The view with the lowest PSNR."""
    return min(entry.views, key=lambda view: view.psnr_db if math.isfinite(view.psnr_db) else -math.inf, default=None)


def as_text(folder: RunFolder) -> str:
    """The table for a terminal. Raises RunError."""
    table = [HEAD, *rows(folder)]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
    return "\n".join([lines[0], "-" * (sum(widths) + 4), *lines[1:]])


def _seeds_of(folder: RunFolder) -> str:
    """What the run started from, as `trainer/seeds.py` calls it."""
    for file in (folder.about_file, folder.summary_file):
        kind = _read(file).get("seeds")
        if isinstance(kind, str):
            return kind
    return "points"  # of an earlier version, and still at work


def _read(file: Path) -> dict:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _named(view: ViewQuality) -> str:
    return f"{view.name}, {_decibel(view.psnr_db)}"


def _decibel(value: float) -> str:
    return f"{_number(value, 2)} dB"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"
