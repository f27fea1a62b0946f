"""What a run will need, before it is started: splats, memory, disk and time, each about right.

The byte counts per splat were measured on the CPU backend; the time is that of an earlier run, scaled by the work.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .config import EARLY_PARTS, TrainConfig

# When no count is asked for: what the photos can determine, and what the steps of the run can teach.
PIXELS_PER_GAUSSIAN = 25.0  # of all training photos
LOOKS_PER_GAUSSIAN = 1000.0  # pixels compared in the whole run; with fewer, steps are worth more than splats

_TRAINER_BYTES = 450 * 2**20  # Python, PyTorch and compiled kernels
_COPIES_IN_MEMORY = 7  # of all parameters: gradients, moments, averages, what the backend and the growth keep
_COPIES_IN_CHECKPOINT = 4
_CHECKPOINTS = 2  # the one that is replaced, and the new one written aside
_PNG_BYTES_PER_PIXEL = 2.0
_VIEW_BYTES_PER_PIXEL = 130  # of the one view that is rendered and compared; most when it is held out
_SHEET_IMAGES = 4  # per held-out view in the contact sheet
_SHEET_PIXELS = 4096 * 4096  # at most
# How the time of a step splits: a pixel costs about a quarter of a splat, the rest as much as so many splats.
_PIXELS_PER_SPLAT = 4.0
_STEP_OVERHEAD_SPLATS = {"cuda": 400_000}


@dataclass(frozen=True)
class PhotoSizes:
    """Photos as they are trained: how many, and how many pixels they have together."""

    training: int
    held_out: int
    training_pixels: int
    held_out_pixels: int
    bytes_per_pixel: int = 3  # 4 with transparency or masks, 5 with both

    @property
    def pixels(self) -> float:
        """Of one training photo, in the mean."""
        return self.training_pixels / max(1, self.training)


@dataclass(frozen=True)
class Speed:
    """How fast a run was: seconds a step, with photos of `pixels` in the mean and `splats` at the end."""

    backend: str
    seconds_per_step: float
    pixels: float
    splats: int

    @property
    def work(self) -> float:
        """What a step costs, in splats."""
        return work_of(self.backend, self.pixels, self.splats)


@dataclass(frozen=True)
class Forecast:
    """What a run will need. `seconds` is None when nobody knows; `disk_bytes` are in the run folder."""

    splats: int
    memory_bytes: int
    disk_bytes: int
    seconds: float | None


def target_count(config: TrainConfig, seed_count: int, training_pixels: int) -> int:
    """How many gaussians the run aims at: what was asked for, else what the photos can determine; Max Splats holds."""
    if config.strategy == "fixed":
        return min(seed_count, config.max_gaussians)
    wanted = config.target_gaussians or max(seed_count, round(training_pixels / PIXELS_PER_GAUSSIAN))
    return min(wanted, config.max_gaussians)


def taught_count(target: int, first_count: int, steps: float, photo_pixels: float) -> int:
    """How many of `target` gaussians a run of so many steps can teach; never fewer than it starts with."""
    return min(target, max(first_count, round(steps * photo_pixels / LOOKS_PER_GAUSSIAN)))


def forecast(config: TrainConfig, photos: PhotoSizes, seed_count: int, speeds: Sequence[Speed] = ()) -> Forecast:
    """What `config` will need for these photos and this many first gaussians.

    `speeds` are those of earlier runs of the backend that will train, on this machine.
    """
    first = min(seed_count, config.max_gaussians, config.seed_count or seed_count)
    splats, steps = target_count(config, first, photos.training_pixels), float(config.iterations)
    per_step = _seconds_per_step(photos.pixels, splats, speeds)
    if config.seconds:
        steps = config.seconds / per_step if per_step else steps
    if config.strategy in ("budget", "mcmc") and not config.target_gaussians:
        splats = taught_count(splats, first, steps, photos.pixels)
        per_step = _seconds_per_step(photos.pixels, splats, speeds)
    seconds = float(config.seconds) if config.seconds else per_step and steps * per_step

    parameter_bytes = 4 * (11 + 3 * (config.sh_degree + 1) ** 2) * splats
    photo_bytes = photos.bytes_per_pixel * (
        photos.training_pixels * (1.25 if config.coarse_until > 0 else 1.0) + photos.held_out_pixels
    )
    kept_bytes = min(photo_bytes, config.photo_memory_mb * 2.0**20)
    view_pixels = max(photos.pixels, photos.held_out_pixels / max(1, photos.held_out))
    sheet_pixels = min(_SHEET_IMAGES * photos.held_out_pixels, _SHEET_PIXELS)
    memory = _TRAINER_BYTES + kept_bytes + _COPIES_IN_MEMORY * parameter_bytes
    memory += _VIEW_BYTES_PER_PIXEL * view_pixels + 3 * sheet_pixels

    plys = 2 + (int(steps / config.save_every) if config.save_every else 0)
    between = max(EARLY_PARTS, int(steps / config.eval_every)) if config.eval_every else 0
    evaluations = 2 + between if photos.held_out else 0
    pictures = evaluations * photos.held_out_pixels + sheet_pixels
    splat_files = plys * (parameter_bytes + 12 * splats) + _CHECKPOINTS * _COPIES_IN_CHECKPOINT * parameter_bytes
    disk = splat_files + _PNG_BYTES_PER_PIXEL * pictures + photo_bytes - kept_bytes
    return Forecast(splats, int(memory), int(disk), seconds)


def work_of(backend: str, pixels: float, splats: int) -> float:
    """What a training step costs, in splats."""
    return splats + pixels / _PIXELS_PER_SPLAT + _STEP_OVERHEAD_SPLATS.get(backend, 0)


def _seconds_per_step(pixels: float, splats: int, speeds: Sequence[Speed]) -> float | None:
    """From the earlier run whose work was most like it."""
    if not speeds:
        return None
    work = work_of(speeds[0].backend, pixels, splats)
    nearest = min(speeds, key=lambda speed: max(speed.work, work) / min(speed.work, work))
    return nearest.seconds_per_step * work / nearest.work
