"""The training loop: photos in, optimised gaussians out (analysis by synthesis)."""

import math
import os
import pickle
import platform
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from ..capture.capture import Capture, View, open_capture
from ..errors import CaptureError, RunError
from ..gaussians.cloud import GaussianCloud
from ..gaussians.harmonics import coefficient_count
from ..gaussians.ply import read_splats, write_splats
from ..run.config import TrainConfig
from ..run.events import PROTOCOL, Evaluated, Finished, Progressed, SnapshotSaved, Started, Warned
from ..run.folder import RunFolder, write_json
from ..run.wire import Wire
from . import schedules
from .densify import make_densifier
from .evaluate import evaluate, save_contact_sheet
from .images import Photo, load_photo
from .model import GaussianModel
from .rasterize import Gaussians, choose, doctor
from .seeds import seeds_from_points

AUTOSAVE_S = 60.0  # a crash costs at most this much training


def train(folder: RunFolder, config: TrainConfig, wire: Wire, resume: bool = False) -> Finished:
    """Run `config` in `folder`, telling `wire`, until all steps are done or a stop is asked for.

    With `resume`, go on from the folder's checkpoint.
    Raises SplatError when the capture, the settings or the machine do not allow it.
    """
    torch.manual_seed(config.seed)
    rasterizer = choose(config.device)
    capture = open_capture(Path(config.capture), config.hold_out_every)
    training, held_out, warnings = load_photos(capture, config)
    cloud = first_cloud(capture, config)
    run = Run(folder, config, wire, GaussianModel(cloud, rasterizer.device), rasterizer, training, held_out, capture)
    if resume:
        run.restore()
    write_json(folder.about_file, run.about())
    wire.send(
        Started(PROTOCOL, rasterizer.name, config.iterations, len(training), len(held_out), len(run.model), os.getpid())
    )
    unused_card = doctor.why_not_cuda() if config.device == "auto" else None
    if unused_card is not None:
        message = f"The NVIDIA card is not used ({unused_card.name}: {unused_card.found})."
        warnings.append(Warned(message, unused_card.remedy))
    for warning in warnings:
        wire.send(warning)
    rasterizer.prepare(lambda what: wire.send(run.progress(math.nan, what), at_once=True))
    return run.execute()


def first_cloud(capture: Capture, config: TrainConfig) -> GaussianCloud:
    """The gaussians that training starts from: given splats, else the capture's points. Raises CaptureError."""
    if config.init_splats:
        cloud = read_splats(Path(config.init_splats))
        cloud = cloud.select(cloud.finite())
        sh = np.zeros((len(cloud), coefficient_count(config.sh_degree), 3), dtype=np.float32)
        kept = min(sh.shape[1], cloud.sh.shape[1])
        sh[:, :kept] = cloud.sh[:, :kept]
        return replace(cloud, sh=sh)
    if capture.points is None:
        raise CaptureError(f"{config.capture} has no points to start from.", "Capture again, or add points3d.ply.")
    count_limit = min(config.max_gaussians, config.seed_count or config.max_gaussians)
    return seeds_from_points(capture.points, count_limit, config.seed_opacity, config.sh_degree, config.seed)


def some_left_out(gaussians: Gaussians, part: float) -> Gaussians:
    """The gaussians with about `part` of them invisible, chosen at random, and the others denser by as much.

    What few views have overfitted with one gaussian each becomes the work of several (Park et al. 2025, DropGaussian).
    """
    if part <= 0:
        return gaussians
    logits = gaussians.logit_opacities
    denser = torch.logit((torch.sigmoid(logits) / (1 - part)).clamp(1e-6, 0.999))
    return gaussians._replace(logit_opacities=torch.where(torch.rand_like(logits) < part, -30.0, denser))


def load_photos(capture: Capture, config: TrainConfig) -> tuple[list[Photo], list[Photo], list[Warned]]:
    """Training photos, held-out photos, and what the user should know. Photos that cannot be read are left out.

    Raises CaptureError when more than half of the photos cannot be used.
    """
    warnings = [Warned(f"The photo of {name} is missing; the view is left out.") for name in capture.missing]
    photos: dict[bool, list[Photo]] = {False: [], True: []}
    failures: list[CaptureError] = []

    def add(view: View) -> None:
        try:
            photos[view.is_held_out].append(load_photo(view, config.max_resolution))
        except CaptureError as error:
            failures.append(error)
            warnings.append(Warned(f"{error.message} The view is left out.", error.remedy))

    for view in capture.views:
        add(view)
    if not photos[False] or len(failures) * 2 > len(capture.views):
        raise CaptureError(
            f"{len(failures)} of {len(capture.views)} photos cannot be used: {failures[0].message}"
            if failures
            else "No photo is left to train on.",
            failures[0].remedy if failures else "Hold out fewer views.",
        )
    return photos[False], photos[True], warnings


class Run:
    """One run from its seeds to its result."""

    def __init__(self, folder, config, wire, model, rasterizer, training, held_out, capture: Capture):
        self.folder: RunFolder = folder
        self.config: TrainConfig = config
        self.wire: Wire = wire
        self.model: GaussianModel = model
        self.rasterizer = rasterizer
        self.training: list[Photo] = training
        self.held_out: list[Photo] = held_out
        self.capture = capture
        self.random = np.random.default_rng(config.seed)
        pixels = sum(photo.covered_pixels for photo in training)
        self.densifier = make_densifier(model, config, capture.extent, pixels)
        self.step = 0
        self.measured: list[Evaluated] = []
        self.train_seconds = 0.0
        self._queue: list[int] = []
        self.saved_at = time.monotonic()

    @property
    def fraction(self) -> float:
        """The part of the run that is done, by steps or, where a time is given, by training time."""
        if self.config.seconds:
            return min(1.0, self.train_seconds / self.config.seconds)
        return min(1.0, self.step / self.config.iterations)

    def execute(self) -> Finished:
        """Evaluate the seeds, train, save, evaluate the result."""
        config = self.config
        if self.step == 0:
            self.evaluate()
        stopped = False
        while self.fraction < 1.0:
            if self.obey():
                stopped = True
                break
            began = time.perf_counter()
            loss = self.train_step()
            self.train_seconds += time.perf_counter() - began
            self.tell(loss)
            if self.fraction >= 1.0:
                break
            if config.save_every and self.step % config.save_every == 0:
                self.save_checkpoint()
                self.save_snapshot()
            elif time.monotonic() - self.saved_at > AUTOSAVE_S:
                self.save_checkpoint()
            if config.eval_every and self.step % config.eval_every == 0:
                self.evaluate()
        write_splats(self.folder.splats_file, self.model.cloud())
        self.save_checkpoint()
        if self.step > 0:
            self.evaluate()
        self.summarize()
        return Finished(self.step, stopped, len(self.model), self.train_seconds)

    def train_step(self) -> float:
        """One view: render, compare, differentiate, step, densify. Returns the loss."""
        config, model, fraction, views = self.config, self.model, self.fraction, len(self.training)
        photo = self.training[self.next_view()]
        if schedules.is_coarse(config, fraction):
            photo = photo.halved
        device = self.rasterizer.device
        background = torch.full((3,), photo.backdrop, device=device)
        if photo.alpha is not None and config.random_background:
            background = torch.from_numpy(self.random.random(3, dtype=np.float32)).to(device)
        offsets = torch.zeros(len(model), 2, device=device, requires_grad=True)
        rendering = self.rasterizer.render(
            some_left_out(model.gaussians, schedules.dropout(config, fraction, views)),
            photo.camera,
            background,
            sh_degree=schedules.sh_degree(config, fraction),
            screen_offsets_px=offsets,
        )
        loss = self.rasterizer.photometric_loss(
            rendering.image, photo.over(background), photo.mask_on(device), config.ssim_lambda
        )
        weight = schedules.regularization(config, views)
        if weight:
            size = model.gaussians.log_scales.exp().mean() / self.capture.extent
            loss = loss + weight * (torch.sigmoid(model.gaussians.logit_opacities).mean() + size)
        value = float(loss.detach())
        if not np.isfinite(value):
            raise RunError(
                f"The loss was no number any more at step {self.step + 1}.",
                "Start again with lower learning rates, or from the last snapshot.",
            )
        if loss.requires_grad:
            loss.backward()
        if offsets.grad is not None:
            self.densifier.observe(offsets.grad, rendering, photo.camera)
        coefficients = model.gaussians.sh.shape[1]
        rates = schedules.rates(config, fraction, self.capture.extent, coefficients, views)
        model.step(rates, self.rasterizer)
        self.step += 1
        rate = schedules.means_rate(config, fraction, self.capture.extent)
        self.densifier.after_step(self.step, fraction, rate)
        if len(model) == 0:
            raise RunError("No splat is left.", "Lower Prune Opacity, or check that photos and cameras fit together.")
        return value

    def next_view(self) -> int:
        """Each training view once, in random order, then again."""
        if not self._queue:
            self._queue = self.random.permutation(len(self.training)).tolist()
        return self._queue.pop()

    def obey(self) -> bool:
        """Carry out what was asked meanwhile; True when that was to stop."""
        paused = False
        while True:
            command = self.wire.next_command(wait=paused)
            if command is None:
                return False
            if command == "stop":
                return True
            if command == "snapshot":
                self.save_snapshot()
            else:
                paused = command == "pause"
                self.wire.send(self.progress(math.nan, "paused" if paused else "training"), at_once=True)

    def tell(self, loss: float) -> None:
        self.wire.send(self.progress(loss, "training"))

    def progress(self, loss: float, state: str) -> Progressed:
        rate = self.step / self.train_seconds if self.train_seconds > 0 else 0.0
        left = math.nan
        if self.fraction > 0:
            left = self.train_seconds / self.fraction - self.train_seconds
        return Progressed(self.step, loss, len(self.model), rate, left, state, self.fraction)

    def evaluate(self) -> None:
        """Measure the held-out views, tell it, and keep the record in `metrics.json`."""
        if not self.held_out:
            return
        self.wire.send(self.progress(math.nan, "evaluating"), at_once=True)
        measured = evaluate(self.model, self.rasterizer, self.held_out, self.config.sh_degree, self.step, self.folder)
        self.measured.append(measured)
        write_json(self.folder.metrics_file, [asdict(entry) for entry in self.measured])
        if len(self.measured) > 1:
            first, last = (self.folder.path / entry.folder for entry in (self.measured[0], measured))
            save_contact_sheet(self.folder.path / "held_out.png", self.held_out, first, last)
        self.wire.send(measured)

    def save_snapshot(self) -> None:
        path = self.folder.snapshot_file(self.step)
        write_splats(path, self.model.cloud())
        self.wire.send(SnapshotSaved(self.step, path.relative_to(self.folder.path).as_posix(), len(self.model)))

    def save_checkpoint(self) -> None:
        """All that training goes on from, written aside and moved into place."""
        self.saved_at = time.monotonic()
        aside = self.folder.checkpoint_file.with_name("checkpoint.pt.partial")
        torch.save(
            {
                "model": self.model.state(),
                "densifier": self.densifier.state(),
                "step": self.step,
                "train_seconds": self.train_seconds,
                "queue": self._queue,
                "random": self.random.bit_generator.state,
                "torch_random": torch.get_rng_state(),
                "capture_fingerprint": self.capture.fingerprint(),
            },
            aside,
        )
        os.replace(aside, self.folder.checkpoint_file)

    def restore(self) -> None:
        """Go on from the checkpoint. Raises RunError when there is none, or the capture has changed since."""
        try:
            state = torch.load(self.folder.checkpoint_file, weights_only=True)
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
            raise RunError(
                f"The run in {self.folder.path} has no checkpoint that can be read.", "Start a new run."
            ) from error
        if state["capture_fingerprint"] != self.capture.fingerprint():
            raise RunError("The capture has changed since this run was started.", "Start a new run with it.")
        self.model.restore(state["model"])
        self.densifier.restore(state["densifier"])
        self.step, self.train_seconds = state["step"], state["train_seconds"]
        self._queue = state["queue"]
        self.random.bit_generator.state = state["random"]
        torch.set_rng_state(state["torch_random"])
        self.measured = [event for event in self.folder.events() if isinstance(event, Evaluated)]
        self.measured = [event for event in self.measured if event.step <= self.step]

    def about(self) -> dict:
        """What is needed to repeat the run, beside its settings."""
        return {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "platform": platform.platform(),
            "backend": self.rasterizer.name,
            "threads": torch.get_num_threads(),
            "capture": self.config.capture,
            "capture_fingerprint": self.capture.fingerprint(),
            "training_views": [photo.name for photo in self.training],
            "held_out_views": [photo.name for photo in self.held_out],
        }

    def summarize(self) -> None:
        """The run in one record, for tables."""
        first = next((entry for entry in self.measured if entry.step == 0), None)
        last = self.measured[-1] if self.measured else None
        write_json(
            self.folder.summary_file,
            {
                "scene": self.capture.folder.name,
                "backend": self.rasterizer.name,
                "strategy": self.config.strategy,
                "seeds": "surface" if self.capture.points and self.capture.points.normals is not None else "points",
                "iterations": self.step,
                "train_seconds": self.train_seconds,
                "gaussian_count": len(self.model),
                "init_only_psnr_db": first and first.psnr_db,
                "held_out_psnr_db": last and last.psnr_db,
                "held_out_ssim": last and last.ssim,
            },
        )
