"""The training loop: photos in, optimized gaussians out (analysis by synthesis)."""

import contextlib
import gc
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from ..capture.blend_space import blend_space_of
from ..capture.capture import Capture
from ..errors import RunError, SplatFileError
from ..files import remove_file, written_aside
from ..gaussians.formats.splat_ply import write_splats
from ..run.config import EARLY_PARTS, TrainConfig
from ..run.events import PROTOCOL, Evaluated, Finished, Progressed, SnapshotSaved, Started
from ..run.folder import RunFolder, write_json
from ..run.wire import Wire
from . import schedules
from .backend import choose
from .backend.protocol import Rendering
from .checkpoint import (
    belongs_to_run,
    frame_of,
    is_comparable,
    random_numbers,
    read_checkpoint,
    set_random_numbers,
    why_not_written,
)
from .densify import make_densifier
from .densify.limits import NO_LIMITS, FrozenGaussians, Limits, keep_allowed
from .evaluation.contact_sheet import save_contact_sheet
from .evaluation.evaluate import evaluate
from .left_out import some_left_out
from .model import GaussianModel
from .notices import (
    about_changed_capture,
    about_earlier_version,
    about_rounding,
    about_unseen,
    about_unused_card,
    about_unwritten,
    card_is_full,
)
from .photos.near import NearPhotos, room_for_photos
from .photos.run_card import open_with_card
from .photos.store import Photos, forget_frames, load_photos
from .records import about, summary_of
from .seeds import first_cloud, is_antialiased, kind_of_seeds, limits_of
from .stored import rows, seconds, whole_number
from .training_frame import WORLD, TrainingFrame

EARLY_SHARE = 0.1  # of the training time that these measurements may take
AUTOSAVE_S = 60.0  # a crash costs at most this much training


def train(folder: RunFolder, config: TrainConfig, wire: Wire, resume: bool = False) -> Finished:
    """Run `config` in `folder`, telling `wire`, until all steps are done or it is told to stop.

    With `resume`, go on from the folder's checkpoint.
    Raises SplatError when the capture, the settings or the machine do not allow it.
    """
    folder.remove_left_over()
    torch.manual_seed(config.seed)
    capture, decode, about_capture = open_with_card(folder, config)
    fingerprint = capture.fingerprint()  # before photos are read: one that is replaced meanwhile is noticed on resume
    blend_space = blend_space_of(config.blend_space, capture.folder)
    rasterizer = choose(config.device, blend_space, antialiased=is_antialiased(config))
    run = photos = state = cloud = None
    try:
        frame = TrainingFrame.around(capture)
        if resume:
            state = read_checkpoint(folder, fingerprint)
            frame = frame_of(state, folder)
        moved = capture.moved(frame.training_from_world)
        photos = load_photos(moved, config, folder.photos_file, decode)
        cloud, about_seeds = first_cloud(capture, config, frame, photos)
        photos.warnings.extend([*about_capture, *about_seeds, *about_rounding(frame)])
        model = GaussianModel(cloud, rasterizer.device)
        limits = limits_of(config, cloud, frame)
        photos.warnings.extend([] if resume else about_changed_capture(folder.capture_fingerprint(), fingerprint))
        run = Run(folder, config, wire, model, rasterizer, photos, moved, frame, fingerprint, limits)
        if state is not None:
            if not is_comparable(state):
                photos.warnings.append(about_earlier_version())
            run.restore(state)
            state = None
        write_json(folder.about_file, about(run))
        announce(run)
        return run.execute()
    except torch.OutOfMemoryError as error:
        forget_frames(error)
        raise card_is_full(len(run.model if run else cloud or ()), folder) from error
    except BaseException as error:
        forget_frames(error)
        raise
    finally:
        run = photos = None
        gc.collect()  # Windows removes no file that is mapped, and photos are: by what nobody refers to any longer, too
        passing = [folder.photos_file, *([folder.preview_file] if folder.splats_file.is_file() else [])]
        for file in passing:
            with contextlib.suppress(OSError):
                remove_file(file)


def announce(run: "Run") -> None:
    """Tell that the run begins, and what the user should know about it."""
    config, wire = run.config, run.wire
    counts = len(run.photos.training), len(run.photos.held_out), len(run.model)
    wire.send(Started(PROTOCOL, run.rasterizer.name, config.iterations, *counts, os.getpid()))
    for warning in [*run.photos.warnings, *(about_unused_card() if config.device == "auto" else [])]:
        wire.send(warning)


class Run:
    """One run from its seeds to its result.

    `model`, `photos` and `capture` are in the coordinates of `frame`; what is saved, in those of the capture. The
    capture's folder is not needed any longer: `fingerprint` is what it was when it was read.
    """

    def __init__(
        self,
        folder,
        config,
        wire,
        model,
        rasterizer,
        photos: Photos,
        capture: Capture,
        frame=WORLD,
        fingerprint="",
        limits=NO_LIMITS,
    ):
        self.folder: RunFolder = folder
        self.config: TrainConfig = config
        self.wire: Wire = wire
        self.model: GaussianModel = model
        self.rasterizer = rasterizer
        self.photos: Photos = photos
        self.capture = capture
        self.frame: TrainingFrame = frame
        self.fingerprint: str = fingerprint
        self.seeds = kind_of_seeds(capture, config)
        self.random = np.random.default_rng(config.seed)
        pixels = [photo.covered_pixels for photo in photos.training]
        self.near = NearPhotos(rasterizer.device, room_for_photos(rasterizer.device))
        self.densifier = make_densifier(model, config, capture.extent, pixels, limits)
        self.limits: Limits = limits
        self._frozen = FrozenGaussians(limits)
        self.step = 0
        self.measured: list[Evaluated] = []
        self.train_seconds = 0.0
        self.evaluation_seconds = 0.0  # of this process
        self.last_evaluation_seconds = 0.0
        self._queue: list[int] = []
        self.saved_at = time.monotonic()
        self._failing: set[str] = set()  # what could not be written when it was last tried
        self._looks_for_splats = True  # until one is seen, for as long as the first pass over the photos lasts

    @property
    def fraction(self) -> float:
        """The part of the run that is done, by steps or, where a time is given, by training time."""
        if self.config.seconds:
            return min(1.0, self.train_seconds / self.config.seconds)
        return min(1.0, self.step / self.config.iterations)

    def execute(self) -> Finished:
        """Prepare the rasterizer, evaluate the seeds, train, save, evaluate the result."""
        config = self.config
        self.rasterizer.prepare(lambda what: self.wire.send(self.progress(math.nan, what), at_once=True))
        keep_allowed(self.model, self.limits)
        if self.step == 0:
            self.evaluate()
        stopped = False
        while self.fraction < 1.0:
            if self.obey():
                stopped = True
                break
            began, part = time.perf_counter(), int(EARLY_PARTS * self.fraction)
            loss = self.train_step()
            self.train_seconds += time.perf_counter() - began
            self.tell(loss)
            if self.fraction >= 1.0:
                break
            if config.save_every and self.step % config.save_every == 0:
                self.save_checkpoint()
                self.save_splats(self.folder.snapshot_file(self.step))
            elif time.monotonic() - self.saved_at > AUTOSAVE_S:
                self.save_checkpoint()
            is_due = config.eval_every and self.step % config.eval_every == 0
            if is_due or (int(EARLY_PARTS * self.fraction) > part and self.can_measure_early()):
                self.evaluate()
        self.folder.require()
        if not stopped:
            self.model.take_average()
        keep_allowed(self.model, self.limits)
        try:
            write_splats(self.folder.splats_file, *self.frame.placed(self.model.cloud()))
        finally:  # without its result, a run has failed, but it can go on from its checkpoint
            self.save_checkpoint()
            if self.step > 0:
                self.evaluate()
            self.summarize()
        return Finished(self.step, stopped, len(self.model), self.train_seconds)

    def train_step(self) -> float:
        """One view: render, compare, differentiate, step, densify. Returns the loss."""
        config, model, fraction, views = self.config, self.model, self.fraction, len(self.photos.training)
        is_coarse = schedules.is_coarse(config, fraction)
        photos = self.photos.coarse if is_coarse else self.photos.training
        photo = self.near.photo(photos[self.next_view()])
        device = self.rasterizer.device
        background = torch.full((3,), photo.backdrop, device=device)
        if photo.alpha is not None and config.random_background:
            levels = self.random.random(3, dtype=np.float32)
            background = torch.cat([torch.full((1,), float(level), device=device) for level in levels])
        offsets = torch.zeros(len(model), 2, device=device, requires_grad=True)
        rendering = self.rasterizer.render(
            some_left_out(model.gaussians, schedules.dropout(config, fraction, views)),
            photo.camera,
            background,
            sh_degree=schedules.sh_degree(config, fraction),
            screen_offsets_px=offsets,
        )
        loss = self.rasterizer.photometric_loss(
            rendering.image, photo.over(background, self.rasterizer.over), photo.mask_on(device), config.ssim_lambda
        )
        weight = schedules.regularization(config, self.step, views)
        if weight:
            size = model.gaussians.log_scales.exp().mean() / self.capture.extent
            loss = loss + weight * (torch.sigmoid(model.gaussians.logit_opacities).mean() + size)
        if self._looks_for_splats:
            self.look_for_splats(rendering)
        if loss.requires_grad:
            loss.backward()
        self._frozen.hold(model.gaussians)
        if offsets.grad is not None:
            self.densifier.observe(offsets.grad, rendering, photo.camera)
        coefficients = model.gaussians.sh.shape[1]
        rates = schedules.rates(config, fraction, self.capture.extent, coefficients, views)
        model.step(rates, self.rasterizer)
        self.step += 1
        if self._queue:
            self.near.prepare(photos[self._queue[-1]])
        value = self.rasterizer.value_of(loss)
        if not np.isfinite(value):
            raise RunError(
                f"The loss became NaN at step {self.step}.",
                "Start again with lower learning rates, or from the last snapshot.",
            )
        rate = schedules.means_rate(config, fraction, self.capture.extent)
        self.densifier.after_step(self.step, fraction, rate)
        if schedules.is_averaged(self.step, fraction):
            model.average()
        if len(model) == 0:
            raise RunError("No splats are left.", "Lower Prune Opacity, or check that the photos match their cameras.")
        return value

    def look_for_splats(self, rendering: Rendering) -> None:
        """Warn when the first pass over the photos ends and not one splat was drawn: nothing is trained then."""
        if bool((rendering.radii_px > 0).any()):
            self._looks_for_splats = False
        elif not self._queue:
            self._looks_for_splats = False
            self.wire.send(about_unseen(self.model.gaussians.means, [photo.camera for photo in self.photos.training]))

    def next_view(self) -> int:
        """Each training view once, in random order, then again."""
        if not self._queue:
            self._queue = self.random.permutation(len(self.photos.training)).tolist()
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
            if command in ("snapshot", "preview"):
                self.save_splats(
                    self.folder.preview_file if command == "preview" else self.folder.snapshot_file(self.step)
                )
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

    def can_measure_early(self) -> bool:
        """Whether one more measurement between the regular ones keeps them all within their share of the time: without
        them, short runs would show the untrained quality for most of their time."""
        spent = self.evaluation_seconds + self.last_evaluation_seconds
        return self.config.eval_every > 0 and spent <= EARLY_SHARE * self.train_seconds

    def evaluate(self) -> None:
        """Measure the held-out views, tell it, and keep the record in `metrics.json`."""
        if not self.photos.held_out:
            return
        self.folder.require()
        began = time.perf_counter()
        self.wire.send(self.progress(math.nan, "evaluating"), at_once=True)
        measured = evaluate(
            self.model,
            self.rasterizer,
            self.photos,
            self.config.sh_degree,
            self.step,
            self.folder,
            lambda: self.wire.send(self.progress(math.nan, "evaluating")),
            self.only_warned,
        )
        measured = replace(measured, train_seconds=self.train_seconds)
        self.measured.append(measured)
        with self.only_warned("metrics.json"):
            write_json(self.folder.metrics_file, [asdict(entry) for entry in self.measured])
        if len(self.measured) > 1:
            with self.only_warned("held_out.png"):
                save_contact_sheet(self.folder, self.photos.held_out, self.measured[0], measured)
        self.wire.send(measured)
        self.last_evaluation_seconds = time.perf_counter() - began
        self.evaluation_seconds += self.last_evaluation_seconds

    def save_splats(self, path: Path) -> None:
        """Write the splats as they are now into the run folder, and tell it. What cannot be written is told, too."""
        self.folder.require()
        name = path.relative_to(self.folder.path).as_posix()
        with self.only_warned(name if path == self.folder.preview_file else "snapshots"):
            write_splats(path, *self.frame.placed(self.model.cloud()))
            self.wire.send(SnapshotSaved(self.step, name, len(self.model)))

    def save_checkpoint(self) -> None:
        """All that training goes on from, written aside and moved into place."""
        self.folder.require()
        self.saved_at = time.monotonic()
        state = {
            "model": self.model.state(),
            "densifier": self.densifier.state(),
            "step": self.step,
            "train_seconds": self.train_seconds,
            "queue": self._queue,
            **random_numbers(self.random, self.rasterizer.device),
            "capture_fingerprint": self.fingerprint,
            "frame": (self.frame.origin, self.frame.unit),
        }
        with (
            self.only_warned("checkpoint.pt"),
            written_aside(self.folder.checkpoint_file) as aside,
            open(aside, "wb") as file,
            why_not_written(),
        ):
            torch.save(state, file)

    def restore(self, state: dict) -> None:
        """Go on from what `read_checkpoint` has read. Raises RunError when it is not of this run."""
        with belongs_to_run(self.folder):
            highest = len(self.photos.training) - 1
            self._queue = [whole_number(view, "queue", highest=highest) for view in rows(state["queue"], "queue")]
            self.step = whole_number(state["step"], "step")
            self.train_seconds = seconds(state["train_seconds"], "train_seconds")
            self.model.restore(state["model"])
            self.densifier.restore(state["densifier"])
            set_random_numbers(state, self.random, self.rasterizer.device)
        self.measured = [event for event in self.folder.evaluations() if event.step <= self.step]

    def summarize(self) -> None:
        """The run in one record, for tables."""
        with self.only_warned("summary.json"):
            write_json(self.folder.summary_file, summary_of(self))

    @contextlib.contextmanager
    def only_warned(self, name: str) -> Iterator[None]:
        """What cannot be written in here, a part of the run folder but not its result, is a warning; one, until it can
        be written again."""
        try:
            yield
            self._failing.discard(name)
        except (OSError, SplatFileError) as error:
            if name not in self._failing:
                self._failing.add(name)
                self.wire.send(about_unwritten(self.folder.path / name, error))
