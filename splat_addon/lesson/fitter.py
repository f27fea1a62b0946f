"""One fit of an image by 2D gaussians: render, compare, differentiate, step; as the trainer does, in small.

A step is done in pieces, so that who waits for it can do something else in between. Nothing changes before its last
piece: a step that is dropped half way never was.
"""

import base64
import binascii
import io
import json
import math
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from ..errors import LessonError
from .adam import Adam
from .density import Asking, Change, densify, move_by_mcmc, push_the_faint
from .gaussians import Gaussians, random_gaussians, zeros_like
from .losses import PhotometricLoss, squared_error
from .pairs import pairs_in, shapes_of
from .rendering import add_gradients, blending_of, draw

PAIRS_AT_ONCE = 1 << 16  # in one piece of a step: 3 ms
PAIRS_KEPT = 1 << 21  # from the way forward for the way back; what is more is made again
STALLS_AFTER = 100  # steps: Auto compares the mean loss of so many with that of as many before
STALLED = 0.97  # and densifies when it is above this part of it
HELD_OUT_EVERY = 10  # steps
MOST_POINTS = 2000  # of a curve: when there are more, every second one goes
MOST_GAUSSIANS = 10_000
SMALLEST_SIGMA_PX = 0.3  # smaller ones fall between the pixels


@dataclass(frozen=True)
class Settings:
    """What a fit is made with. All but the second group only count at the start."""

    count: int = 200
    is_additive: bool = True
    is_anisotropic: bool = False
    held_out: float = 0.0  # part of the pixels
    seed: int = 0

    loss: str = "mse"  # or "l1_ssim": (1 - lambda) L1 + lambda D-SSIM
    ssim_lambda: float = 0.2
    strategy: str = "default"  # or "mcmc"
    is_auto: bool = False
    most: int = 2000  # gaussians


@dataclass(frozen=True)
class Measured:
    """What the last step saw, before it moved anything."""

    gaussians: Gaussians
    image: np.ndarray  # (H, W, 3)
    residual: np.ndarray  # (H, W, 3) dL/dR
    gradients: Gaussians
    loss: float


class Curve:
    """Values by step; thinned out when they are many, so that a long fit keeps its whole curve."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: list[float] = []
        self.stride = 1

    def add(self, step: int, value: float) -> None:
        """Append a value, if it is the turn of its step."""
        if step % self.stride:
            return
        self.steps.append(step)
        self.values.append(value)
        if len(self.steps) > MOST_POINTS:
            self.stride *= 2
            kept = [place for place, at in enumerate(self.steps) if at % self.stride == 0]
            self.steps, self.values = [self.steps[k] for k in kept], [self.values[k] for k in kept]


class Fitter:
    """A fit of `target` (H, W, 3). Equal targets and settings give equal numbers, step by step."""

    def __init__(self, target: np.ndarray, settings: Settings, dtype: type = np.float32):
        self.settings = settings
        self.target: np.ndarray = np.ascontiguousarray(target, dtype=dtype)
        self.size: tuple[int, int] = self.target.shape[:2]
        self.random = np.random.default_rng(settings.seed)
        self.gaussians = random_gaussians(settings.count, self.size, settings.is_additive, self.random, dtype)
        self.mask = np.random.default_rng([settings.seed, 1]).random(self.size) >= settings.held_out
        if not self.mask.any():
            self.mask.flat[0] = True  # a single pixel cannot be held out
        self.adam = Adam(self.gaussians)
        self.asking = Asking(len(self.gaussians))
        self.born = np.zeros(len(self.gaussians), np.int64)  # the step in which each gaussian was made
        self.step_count = 0
        self.losses, self.held_out_losses = Curve(), Curve()
        self.densified_at: list[int] = []
        self.recent: list[float] = []  # losses since the last densification, as many as Auto compares
        self.change: Change | None = None
        self.measured: Measured | None = None
        self._photometric: dict[bool, PhotometricLoss] = {}

    def step(self) -> float:
        """One step at once. Returns the loss before it."""
        for _ in self.pieces():
            pass
        assert self.measured is not None
        return self.measured.loss

    def measure(self) -> Measured:
        """Look without moving anything."""
        for _ in self.pieces(moves=False):
            pass
        assert self.measured is not None
        return self.measured

    def pieces(self, moves: bool = True) -> Iterator[None]:
        """One step, with a pause after each few milliseconds of it. Without `moves`, only `measured` is made anew."""
        gaussians, settings, (height, width) = self.gaussians, self.settings, self.size
        shapes = shapes_of(gaussians, self.size)
        kept, kept_count = {}, 0
        image = np.zeros((height * width, 3), self.target.dtype)
        bands = list(self._bands(int(shapes.counts.sum())))
        for top, bottom in bands:
            pairs = pairs_in(shapes, width, top, bottom)
            blending = blending_of(pairs, gaussians, settings.is_additive)
            kept_count += len(pairs.weights)
            if kept_count <= PAIRS_KEPT:
                kept[top] = pairs, blending
            image[top * width : bottom * width] = draw(pairs, blending, gaussians, (bottom - top) * width)
            yield
        image = image.reshape(height, width, 3)
        loss, residual = 0.0, image
        for found in self._loss_parts(image, is_held_out=False):
            if found is None:
                yield
            else:
                loss, residual = found
        flat, gradients = residual.reshape(-1, 3), zeros_like(gaussians)
        for top, bottom in bands:
            if top not in kept:
                pairs = pairs_in(shapes, width, top, bottom)
                kept[top] = pairs, blending_of(pairs, gaussians, settings.is_additive)
            rows = flat[top * width : bottom * width]
            add_gradients(*kept.pop(top), gaussians, rows, settings.is_anisotropic, gradients)
            yield
        held_out = math.nan
        if not self.mask.all() and self.step_count % HELD_OUT_EVERY == 0:
            for found in self._loss_parts(image, is_held_out=True):
                if found is None:
                    yield
                else:
                    held_out = found[0]
        before = gaussians.select(np.arange(len(gaussians)))
        self.measured = Measured(before, image, residual, gradients, loss)
        if moves:
            self._move(gradients, loss, held_out)

    def densify(self) -> Change:
        """Clone, split and prune, or move by MCMC, now. Raises LessonError when there is nothing to begin with."""
        if not len(self.gaussians):
            raise LessonError("There is no gaussian left to clone or split.", "Set Gaussians and press Reset.")
        gaussians, adam, settings, random = self.gaussians, self.adam, self.settings, self.random
        is_additive, most = settings.is_additive, settings.most
        if settings.strategy == "mcmc":
            self.gaussians, origins, change = move_by_mcmc(gaussians, adam, is_additive, most, random)
        else:
            self.gaussians, origins, change = densify(
                gaussians, adam, self.asking, self.size, is_additive, most, random
            )
        self.born = np.where(origins >= 0, self.born[origins], self.step_count)
        self.asking, self.recent = Asking(len(self.gaussians)), []
        self.densified_at.append(self.step_count)
        self.change = change
        return change

    def is_stalled(self) -> bool:
        """Whether the loss has hardly fallen over the last steps."""
        if len(self.recent) < 2 * STALLS_AFTER:
            return False
        return float(np.mean(self.recent[STALLS_AFTER:])) > STALLED * float(np.mean(self.recent[:STALLS_AFTER]))

    def ages(self) -> np.ndarray:
        """(N,) steps since each gaussian was made."""
        return self.step_count - self.born

    def saved(self) -> str:
        """All that the fit goes on from, as text for a .blend."""
        arrays = {f"gaussians.{name}": array for name, array in self.gaussians.arrays().items()}
        for moments in ("first", "second"):
            arrays |= {f"{moments}.{name}": array for name, array in getattr(self.adam, moments).arrays().items()}
        arrays |= {"steps": self.adam.steps, "born": self.born, "target": self.target, "mask": self.mask}
        arrays |= {"asking.norms": self.asking.norms, "asking.sums": self.asking.sums}
        for name, curve in (("losses", self.losses), ("held_out", self.held_out_losses)):
            arrays |= {f"{name}.steps": np.array(curve.steps, np.int64), f"{name}.values": np.array(curve.values)}
        arrays["recent"] = np.array(self.recent)
        facts = {
            "settings": asdict(self.settings),
            "step_count": self.step_count,
            "asking_steps": self.asking.steps,
            "strides": [self.losses.stride, self.held_out_losses.stride],
            "densified_at": self.densified_at,
            "random": self.random.bit_generator.state,
        }
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type] # no name of ours is an option's
        return base64.b64encode(content.getvalue()).decode()

    @classmethod
    def loaded(cls, text: str) -> "Fitter":
        """The fit that `saved` has written; it goes on with the same numbers. Raises LessonError for anything else."""
        try:
            content = base64.b64decode(text, validate=True)
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(record.file_size for record in archive.infolist()) > len(content):
                    raise ValueError("it is packed, which we never do: a few bytes could fill the memory")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls._from_arrays(arrays)
        except (
            *(binascii.Error, zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError, OSError, EOFError),
            *(MemoryError, OverflowError),
        ) as error:
            raise LessonError("The fit that this file holds cannot be read.", "Press Reset to begin anew.") from error

    @classmethod
    def _from_arrays(cls, arrays) -> "Fitter":
        facts, target = json.loads(bytes(arrays["facts"])), arrays["target"]
        if target.ndim != 3 or target.shape[2] != 3 or not 1 <= min(target.shape[:2]) <= max(target.shape[:2]) <= 256:
            raise ValueError("the target has another shape")
        if target.dtype not in (np.float32, np.float64) or not np.isfinite(target).all():
            raise ValueError("the target holds something other than colors")
        settings = Settings(**facts["settings"])
        _require_possible(settings)
        fitter = cls(target, replace(settings, count=1), target.dtype.type)
        fitter.settings = settings
        kinds = {name: (array.shape[1:], array.dtype) for name, array in fitter.gaussians.arrays().items()}
        count = len(arrays["gaussians.means"])
        if count > MOST_GAUSSIANS:
            raise ValueError("there are too many gaussians")

        def rows(name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
            array = arrays[name]
            if array.shape != (count, *shape) or array.dtype != dtype or not np.isfinite(array).all():
                raise ValueError(f"{name} is not what was saved")
            return array

        def parts(prefix: str) -> Gaussians:
            return Gaussians(**{name: rows(f"{prefix}.{name}", *kind) for name, kind in kinds.items()})

        fitter.gaussians, fitter.adam.first, fitter.adam.second = parts("gaussians"), parts("first"), parts("second")
        fitter.adam.steps, fitter.born = rows("steps", (), np.int64), rows("born", (), np.int64)
        fitter.asking = Asking(count)
        fitter.asking.norms, fitter.asking.sums = rows("asking.norms", (), float), rows("asking.sums", (2,), float)
        fitter.asking.steps, fitter.step_count = int(facts["asking_steps"]), int(facts["step_count"])
        fitter.mask = arrays["mask"].reshape(fitter.size).astype(bool)
        fitter.recent, fitter.densified_at = arrays["recent"].tolist(), [int(step) for step in facts["densified_at"]]
        for name, curve, stride in zip(
            ("losses", "held_out"), (fitter.losses, fitter.held_out_losses), facts["strides"], strict=True
        ):
            curve.steps, curve.values = arrays[f"{name}.steps"].tolist(), arrays[f"{name}.values"].tolist()
            curve.stride = max(1, int(stride))
        fitter.random.bit_generator.state = facts["random"]
        return fitter

    def _move(self, gradients: Gaussians, loss: float, held_out: float) -> None:
        """All that a step changes."""
        self.adam.step(self.gaussians, gradients)
        longest = math.log(max(self.size))
        np.clip(self.gaussians.log_sigmas, math.log(SMALLEST_SIGMA_PX), longest, out=self.gaussians.log_sigmas)
        self.asking.observe(gradients.means)
        if self.settings.strategy == "mcmc":
            push_the_faint(self.gaussians, self.settings.is_additive, self.random)
        self.losses.add(self.step_count, loss)
        if math.isfinite(held_out):
            self.held_out_losses.add(self.step_count, held_out)
        self.recent = [*self.recent[-2 * STALLS_AFTER + 1 :], loss]
        self.step_count += 1
        if self.settings.is_auto and self.is_stalled() and 0 < len(self.gaussians) < self.settings.most:
            self.densify()

    def _bands(self, pair_count: int) -> Iterator[tuple[int, int]]:
        """Rows of the image, few enough that a piece stays short."""
        height = self.size[0]
        rows = max(1, height * PAIRS_AT_ONCE // max(pair_count, 1))
        for top in range(0, height, rows):
            yield top, min(top + rows, height)

    def _loss_parts(self, image: np.ndarray, is_held_out: bool) -> Iterator[tuple[float, np.ndarray] | None]:
        mask = ~self.mask if is_held_out else self.mask
        if self.settings.loss == "mse":
            yield squared_error(image, self.target, mask)
            return
        if is_held_out not in self._photometric:
            self._photometric[is_held_out] = PhotometricLoss(self.target, mask)
        yield from self._photometric[is_held_out].parts(image, self.settings.ssim_lambda)


def _require_possible(settings: Settings) -> None:
    """Raise ValueError for settings that no fit of ours has."""
    for spec in fields(Settings):
        value, kinds = getattr(settings, spec.name), (float, int) if spec.type is float else (spec.type,)
        if type(value) not in kinds:
            raise ValueError(f"{spec.name} is something else")
    is_possible = 0 <= settings.count <= MOST_GAUSSIANS and 1 <= settings.most <= MOST_GAUSSIANS and settings.seed >= 0
    is_possible &= 0 <= settings.held_out <= 0.5 and 0 <= settings.ssim_lambda <= 1
    if not is_possible or settings.loss not in ("mse", "l1_ssim") or settings.strategy not in ("default", "mcmc"):
        raise ValueError("the settings are none of ours")
