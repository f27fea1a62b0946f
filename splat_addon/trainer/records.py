"""What a run's folder says of it, beside its events: what made it, and what came of it. A run is a `train.Run`."""

import platform

import numpy as np
import torch

from ..run.config import preset_of
from ..run.events import Decided


def about(run) -> dict:
    """What is needed to repeat the run, in addition to its settings."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "backend": run.rasterizer.name,
        "blend_space": run.rasterizer.blend_space,
        "antialiased": run.model.antialiased,
        "seeds": run.seeds,
        "decided": [event.message for event in run.photos.warnings if isinstance(event, Decided)],
        "threads": torch.get_num_threads(),
        "capture": run.config.capture,
        "capture_fingerprint": run.fingerprint,
        "training_views": [photo.name for photo in run.photos.training],
        "held_out_views": [photo.name for photo in run.photos.held_out],
    }


def summary_of(run) -> dict:
    """The run in one record, for tables."""
    first = next((entry for entry in run.measured if entry.step == 0), None)
    last = run.measured[-1] if run.measured else None
    return {
        "scene": run.capture.folder.name,
        "backend": run.rasterizer.name,
        "strategy": run.config.strategy,
        "blend_space": run.rasterizer.blend_space,
        "antialiased": run.model.antialiased,
        "preset": preset_of(run.config),
        "seeds": run.seeds,
        "iterations": run.step,
        "train_seconds": run.train_seconds,
        "gaussian_count": len(run.model),
        "init_only_psnr_db": first and first.psnr_db,
        "held_out_psnr_db": last and last.psnr_db,
        "held_out_ssim": last and last.ssim,
        "train_psnr_db": last and last.train_psnr_db,
    }
