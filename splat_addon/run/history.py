"""How a run went so far, read from its `events.jsonl` piece by piece: what curves are drawn from."""

import json
import math
import os
from dataclasses import dataclass, field

from .events import Evaluated, Event, Progressed, Started, recorded_events
from .folder import RunFolder

PIECE_BYTES = 200_000  # read at a time: about 1100 events, 15 ms


@dataclass
class Curve:
    """Values by training step, steps rising."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, step: int, value: float) -> None:
        """Append a value; NaN is left out, and what came after `step` before a resume is forgotten."""
        self.forget_after(step)
        if math.isfinite(value):
            if self.steps and self.steps[-1] == step:
                self.values[-1] = value
            else:
                self.steps.append(step)
                self.values.append(value)

    def forget_after(self, step: int) -> None:
        """Drop all values of later steps."""
        while self.steps and self.steps[-1] > step:
            self.steps.pop()
            self.values.pop()


@dataclass
class History:
    """The curves of the run in `folder`. `advance` takes in what was written since."""

    folder: RunFolder
    iterations: int = 0
    is_timed: bool = False  # a time was given instead of a number of steps
    loss: Curve = field(default_factory=Curve)
    held_out_db: Curve = field(default_factory=Curve)
    train_db: Curve = field(default_factory=Curve)  # where the trainer measures it
    gaussians: Curve = field(default_factory=Curve)
    is_complete: bool = False  # all that is written has been read
    _offset: int = 0

    def advance(self) -> bool:
        """Read the next piece; whether anything was new. A line that is being written waits for its end."""
        try:
            size = os.path.getsize(self.folder.events_file)
            if size < self._offset:  # another run in the same place
                self.__init__(self.folder)  # type: ignore[misc]
            with open(self.folder.events_file, "rb") as file:
                file.seek(self._offset)
                piece = file.read(PIECE_BYTES)
        except OSError:
            self.is_complete = True
            return False
        whole = piece[: piece.rfind(b"\n") + 1]
        if not whole and len(piece) == PIECE_BYTES:
            whole = piece  # a line longer than that holds no event of ours
        self._offset += len(whole)
        self.is_complete = len(piece) < PIECE_BYTES
        for event in recorded_events(whole.splitlines()):
            self._take(event)
        return bool(whole)

    def read_all(self) -> "History":
        """Everything written so far."""
        while self.advance() and not self.is_complete:
            pass
        return self

    def _take(self, event: Event) -> None:
        if isinstance(event, Started):
            self.iterations, self.is_timed = event.iterations, self._has_time_limit()
        elif isinstance(event, Progressed):
            self.loss.add(event.step, event.loss)
            self.gaussians.add(event.step, event.gaussian_count)
        elif isinstance(event, Evaluated):
            self.held_out_db.add(event.step, event.psnr_db)
            self.train_db.add(event.step, event.train_psnr_db)

    def _has_time_limit(self) -> bool:
        try:
            return bool(json.loads(self.folder.config_file.read_text(encoding="utf-8")).get("seconds"))
        except (OSError, ValueError, AttributeError):
            return False
