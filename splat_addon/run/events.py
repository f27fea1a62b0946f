"""What a child tells and is told: a closed vocabulary, one JSON object per line.

    the trainer    `Started`, then any of `Progressed`, `Evaluated`, `SnapshotSaved`, `Decided`, `Warned`, then
                   `Finished`
    the render     `RenderStarted`, then any of `RenderProgressed`, `Warned`, then `RenderFinished`
    an inspection  `InspectionStarted`, then any of `InspectionProgressed`, `Warned`, then `InspectionFinished`

`Failed` ends any of them, also before it has started; a render that is stopped before it has started says
`RenderFinished` alone, an inspection `InspectionFinished`. Exactly one event is the last. Unknown events and fields are
ignored, so that an older reader can watch a newer trainer.
"""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import get_args, get_origin, get_type_hints

from ..errors import RunError

PROTOCOL = 1
# The last two come through the run folder: what to do when the parent is gone.
COMMANDS = ("stop", "pause", "resume", "snapshot", "preview", "outlive", "follow")


@dataclass(frozen=True)
class Started:
    """Training begins: the panel shows the bar, the backend's name and what is trained on."""

    protocol: int
    backend: str
    iterations: int
    training_views: int
    held_out_views: int
    gaussian_count: int
    pid: int


@dataclass(frozen=True)
class Progressed:
    """The bar moves. At most five a second. `state` says what the trainer is doing: training, evaluating, paused, or
    what it prepares ("compiling kernels once")."""

    step: int
    loss: float
    gaussian_count: int
    steps_per_s: float
    seconds_left: float
    state: str = "training"
    fraction: float = 0.0  # the part of the run that is done, 0..1


@dataclass(frozen=True)
class ViewQuality:
    """How well one held-out view is reproduced."""

    name: str
    psnr_db: float
    ssim: float


@dataclass(frozen=True)
class Evaluated:
    """The list of held-out views is filled. Step 0 is the row "init only". `folder` holds one PNG per view.

    `train_psnr_db` is the mean of a few training views: what it is above `psnr_db` was learned by heart.
    """

    step: int
    psnr_db: float
    ssim: float
    gaussian_count: int
    folder: str
    views: tuple[ViewQuality, ...] = ()
    train_seconds: float = math.nan  # of training so far
    train_psnr_db: float = math.nan


@dataclass(frozen=True)
class SnapshotSaved:
    """Splats can be shown: a PLY lies complete at `path` (relative to the run folder).

    A preview, asked for to watch the training, replaces the one before; a snapshot stays.
    """

    step: int
    path: str
    gaussian_count: int


@dataclass(frozen=True)
class RenderStarted:
    """Rendering begins: the panel shows the bar and the engine's name as users know it."""

    engine: str
    view_count: int


@dataclass(frozen=True)
class RenderProgressed:
    """The bar moves, at most five times a second. `done` of all views are there, those of an earlier attempt too."""

    done: int
    view_count: int
    seconds_left: float  # NaN until one was rendered


@dataclass(frozen=True)
class RenderFinished:
    """The capture is complete; or, when it was `stopped`, `done` views are kept for the next attempt."""

    done: int
    stopped: bool
    seconds: float


@dataclass(frozen=True)
class InspectionStarted:
    """The inspection of splats begins. Without photos (`view_count` 0), it goes by their positions alone."""

    gaussian_count: int
    view_count: int


@dataclass(frozen=True)
class InspectionProgressed:
    """The bar moves, at most five times a second. `state` says what is being done."""

    fraction: float
    state: str


@dataclass(frozen=True)
class InspectionFinished:
    """The inspection lies complete at `path`, an absolute path; or it was `stopped`, and what was there before stays.

    `select_count` splats have a score at which they are selected.
    """

    stopped: bool
    path: str = ""
    gaussian_count: int = 0
    select_count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Warned:
    """Something was left out or replaced; the work goes on."""

    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Decided:
    """Something that was left to the trainer was decided, and why; the remedy is how to decide otherwise."""

    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Failed:
    """The work ended without its full result. What the remedy calls kept is intact: a snapshot, finished images."""

    message: str
    remedy: str


@dataclass(frozen=True)
class Finished:
    """The result is saved. `stopped`: before all steps were done, because someone asked."""

    step: int
    stopped: bool
    gaussian_count: int
    train_seconds: float


TrainingEvent = Started | Progressed | Evaluated | SnapshotSaved | Decided | Finished
RenderEvent = RenderStarted | RenderProgressed | RenderFinished
InspectionEvent = InspectionStarted | InspectionProgressed | InspectionFinished
Event = TrainingEvent | RenderEvent | InspectionEvent | Warned | Failed
First = Started | RenderStarted | RenderFinished | InspectionStarted | InspectionFinished | Failed
Last = Finished | RenderFinished | InspectionFinished | Failed
_KINDS = {kind.__name__: (kind, frozenset(spec.name for spec in fields(kind))) for kind in get_args(Event)}


def encode_event(event: Event) -> str:
    """One line of JSON without its end of line. Numbers that JSON lacks (NaN, infinity) become null."""
    return json.dumps({"event": type(event).__name__, **_plain(asdict(event))}, allow_nan=False)


def decode_event(line: str | bytes) -> Event | None:
    """The event on a line; None when the line is not an event, or one this version does not know.

    Raises RunError when a `Started` speaks another protocol.
    """
    try:
        values = json.loads(line)
        kind, names = _KINDS[values.pop("event")]
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
    if kind is Started and values.get("protocol") != PROTOCOL:
        raise RunError(
            f"The trainer speaks protocol {values.get('protocol')}, this add-on speaks {PROTOCOL}.",
            "Install the same version of both.",
        )
    known = {name: math.nan if value is None else value for name, value in values.items() if name in names}
    try:
        if kind is Evaluated:
            known["views"] = tuple(map(_view_quality, values.get("views", ())))
        event = kind(**known)
    except (TypeError, AttributeError, KeyError):
        return None
    return event if _has_its_types(event) else None


def _has_its_types(event: "Event | ViewQuality") -> bool:
    """Whether each value is of the type that its field says, and no whole number larger than what any is counted in: a
    record may be broken, or written by anybody."""
    values = [(getattr(event, name), types) for name, types in _TYPES[type(event)]]
    return all(
        isinstance(value, types) and not (isinstance(value, int) and abs(value) > _LARGEST) for value, types in values
    )


def _types_of(kind: type) -> tuple[tuple[str, tuple[type, ...]], ...]:
    """The fields of a kind, each with what its value may be: a whole number is a number, too."""
    plain = {name: get_origin(hint) or hint for name, hint in get_type_hints(kind).items()}
    return tuple((name, (int, float) if hint is float else (hint,)) for name, hint in plain.items())


_LARGEST = 2**63 - 1
_TYPES = {kind: _types_of(kind) for kind in (*get_args(Event), ViewQuality)}


def recorded_events(lines: Iterable[str | bytes]) -> Iterator[Event]:
    """The events on lines of a record, in their order; what another protocol wrote is left out."""
    for line in lines:
        try:
            event = decode_event(line)
        except RunError:
            continue
        if event is not None:
            yield event


def _view_quality(values: dict) -> ViewQuality:
    numbers = (math.nan if value is None else value for value in (values["psnr_db"], values["ssim"]))
    quality = ViewQuality(values["name"], *numbers)
    if not _has_its_types(quality):
        raise TypeError("not the quality of a view")
    return quality


def encode_command(command: str) -> str:
    """One line of JSON that the trainer obeys."""
    if command not in COMMANDS:
        raise ValueError(f"{command} is not one of {COMMANDS}")
    return json.dumps({"command": command})


def decode_command(line: str) -> str | None:
    """The command on a line; None when it is not one."""
    try:
        command = json.loads(line).get("command")
    except (ValueError, AttributeError, RecursionError):
        return None
    return command if isinstance(command, str) and command in COMMANDS else None


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
