"""`python -m splat_addon.trainer.inspection.blame RUN`: what each splat explains of what held-out photos contradict.

It writes `blame.npz` into the run, or where --out says, with one number for each splat of the result: `wrong`, the
least-squares weight u (see solve.py), `mean`, its mean residual Σ w |r| / Σ w, and `weight`, Σ w. Nothing is changed
about the splats, and nothing follows for what to delete. Ctrl-C stops it.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ....capture.capture import open_capture
from ....capture.check.settling import settled
from ....errors import CaptureError, SplatError
from ....files import open_own, written_aside
from ....gaussians.cloud import GaussianCloud
from ....gaussians.formats.registry import read_splats
from ...backend.blend_space import decode_srgb, is_linear
from ...backend.cpu.rasterizer import CpuRasterizer
from ...backend.cpu.weights import ViewWeights
from ...backend.protocol import Gaussians
from ...photos.decoding import decode
from ...photos.photo import Photo
from ...training_frame import TrainingFrame
from ..gather import arrays_of
from ..inspect_splats import photos_of, task_of
from .solve import Solution, solve

NAMED = 8  # splats that the terminal is told


def map_of(
    rasterizer: CpuRasterizer,
    cloud: GaussianCloud,
    photos: Sequence[Photo],
    tell: Callable[[int, int], None] = lambda done, whole: None,
) -> Solution:
    """What the splats of `cloud`, in the frame of the photos' cameras, explain of their residuals. `tell` hears how
    many passes are done, of how many, and may raise to stop."""
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))
    linear = is_linear(rasterizer.blend_space)
    views, residuals, counts = [], [], []
    for photo in photos:
        background = torch.full((3,), photo.backdrop)
        target = photo.over(background, rasterizer.over)
        if linear:
            background, target = decode_srgb(background), decode_srgb(target)

        def make(photo: Photo = photo, background: torch.Tensor = background) -> ViewWeights:
            return ViewWeights(rasterizer, gaussians, photo.camera, background)

        views.append(make)
        residuals.append((make().image - target).abs().mean(dim=2))
        mask = photo.mask_on(rasterizer.device)
        counts.append(None if mask is None else mask.float())
    return solve(views, residuals, counts, tell=tell)


def main(arguments: Sequence[str]) -> int:
    """0 when the map is written or was stopped, 1 when it could not be made."""
    parser = argparse.ArgumentParser(description="Say how much each splat explains of what held-out photos contradict.")
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--capture", type=Path, help="folder of the capture (default: that of the run)")
    parser.add_argument("--out", type=Path, help="the map (default: blame.npz in the run)")
    options = parser.parse_args(arguments)
    try:
        task = task_of(options.run, options.capture)
        if task.capture is None:
            raise CaptureError("Blame compares splats with photos.", "Say where their capture lies (--capture).")
        capture = settled(open_capture(task.capture, task.hold_out_every, choices=task.choices), decode)
        held_out = capture.held_out_views
        if not held_out:
            raise CaptureError("No view is held out, so there is nothing to blame for.", "Train with Hold Out Every 8.")
        frame = TrainingFrame.around(capture)
        asked = replace(capture, views=tuple(replace(view, is_held_out=False) for view in held_out))
        photos = photos_of(asked, frame, lambda event: None, lambda: False)
        whole = read_splats(task.splats)
        kept = whole.finite()
        cloud = frame.from_origin(read_splats(task.splats, frame.origin) if any(frame.origin) else whole).select(kept)
        rasterizer = CpuRasterizer(antialiased=cloud.antialiased, blend_space=task.blend_space or cloud.blend_space)
        found = map_of(rasterizer, cloud, photos, _tell)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0
    except SplatError as error:
        print(f"\nFailed: {error.message} {error.remedy}".rstrip(), file=sys.stderr)
        return 1
    columns: dict[str, Any] = {name: np.zeros(len(whole), np.float32) for name in ("wrong", "mean", "weight")}
    for name, column in columns.items():
        column[kept] = getattr(found, name)
    out = options.out or task.out.with_name("blame.npz")
    with written_aside(out) as aside, open_own(aside, "wb") as file:
        np.savez(file, **columns)
    print(f"\r{len(photos)} held-out photos, {len(whole)} splats: {out}")
    for splat in np.argsort(-columns["wrong"])[:NAMED]:
        print(f"  splat {splat}: {columns['wrong'][splat]:.3f}, mean residual {columns['mean'][splat]:.3f}")
    print("It shows where photos disagree with the splats, not what to delete.")
    return 0


def _tell(done: int, whole: int) -> None:
    print(f"\r{done / max(whole, 1):4.0%}", end="", file=sys.stderr, flush=True)
