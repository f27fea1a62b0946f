"""What a training step costs beside the rasterizer, the loss and the optimizer: data, schedules, densification, events.

    python3 dev.py bench step_overhead [CAPTURE] [--steps 600]

Both loops run in this process, by turns, on the same gaussians: whole steps of a run, and bare ones (render, loss,
backward, Adam on the same views). Prints the share of a whole step that is not in a bare one.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from splat_addon.capture.capture import open_capture
from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer import schedules
from splat_addon.trainer.backend import choose
from splat_addon.trainer.model import GaussianModel
from splat_addon.trainer.photos.photo import Photo
from splat_addon.trainer.photos.store import load_photos
from splat_addon.trainer.seeds import first_cloud
from splat_addon.trainer.train import Run
from splat_addon.trainer.training_frame import TrainingFrame

DEMO_CAPTURE = Path(__file__).resolve().parents[1] / "demo" / "capture"
TURN = 100  # steps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", nargs="?", type=Path, default=DEMO_CAPTURE)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    capture = open_capture(options.capture.resolve())
    config = TrainConfig(capture=str(capture.folder), iterations=options.steps)
    rasterizer = choose(config.device)
    rasterizer.prepare(print)
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder.create(Path(place) / "run", config)
        frame = TrainingFrame.around(capture)
        cloud, _ = first_cloud(capture, config, frame)
        capture = capture.moved(frame.training_from_world)
        photos = load_photos(capture, config, folder.photos_file)
        wire = Wire(folder, io.StringIO(), io.StringIO())
        run = Run(
            folder,
            config,
            wire,
            GaussianModel(cloud, rasterizer.device),
            rasterizer,
            photos,
            capture,
            frame,
        )
        shares = []
        while run.fraction < 1.0:
            bare = timed(lambda: bare_step(run))
            shares.append(1 - bare / timed(lambda: run.tell(run.train_step())))
    print(f"{capture.folder.name}: {len(run.model)} splats at the end, on {rasterizer.name}")
    print(f"not in rasterizer, loss and optimizer: {100 * statistics.median(shares):.1f} % of a step (median of")
    print(f"{len(shares)} turns of {TURN} steps; {100 * min(shares):.1f} to {100 * max(shares):.1f})")
    return 0


def timed(step) -> float:
    """CPU seconds of all threads: other processes on the machine do not disturb them as much as wall time."""
    began = time.process_time()
    for _ in range(TURN):
        step()
    return time.process_time() - began


TARGETS: dict[int, torch.Tensor] = {}


def target_of(photo: Photo) -> torch.Tensor:
    """The photo as floats, converted once: that is no part of a bare step."""
    if id(photo) not in TARGETS:
        TARGETS[id(photo)] = photo.over(torch.zeros(3))
    return TARGETS[id(photo)]


def bare_step(run: Run) -> None:
    """The same work for the processor, with learning rates of nearly zero, so that the gaussians stay."""
    is_coarse = schedules.is_coarse(run.config, run.fraction)
    photo = (run.photos.coarse if is_coarse else run.photos.training)[run.step % len(run.photos.training)]
    background = torch.zeros(3)
    offsets = torch.zeros(len(run.model), 2, requires_grad=True)
    degree = schedules.sh_degree(run.config, run.fraction)
    rendering = run.rasterizer.render(
        run.model.gaussians, photo.camera, background, sh_degree=degree, screen_offsets_px=offsets
    )
    target = target_of(photo)
    run.rasterizer.photometric_loss(rendering.image, target, photo.mask, run.config.ssim_lambda).backward()
    rates = schedules.rates(run.config, 1.0, 1.0, run.model.gaussians.sh.shape[1], 100)
    run.model.step(rates._replace(**{name: rate * 1e-12 for name, rate in rates._asdict().items()}), run.rasterizer)


if __name__ == "__main__":
    sys.exit(main())
