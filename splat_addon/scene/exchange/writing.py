"""Splat files at work: formats that take a while are written in turns of the timer, while the artist goes on.

The first step of each file reads all that it needs of the scene, so that later edits change nothing.
"""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import RunError, SplatError
from ...gaussians.formats.splat_file import Progress
from ...run.wording import counted
from ..session import part, timer
from ..session.redraw import redraw
from .exporting import Export

TURN_S = 0.03
PAUSE_S = 0.005
_LEAST_SHOWN = 0.01  # of progress, before the panel is drawn again


@dataclass
class File:
    """One that is being written."""

    path: Path
    count: int  # of splats
    steps: Generator[Progress]
    done: float = 0.0  # 0..1; 1 when the file is there
    notes: list[str] = field(default_factory=list)

    def step(self) -> None:
        """Go on. Raises SplatFileError when it cannot be written."""
        progress = next(self.steps)
        self.done = progress.done
        self.notes += [progress.note] if progress.note else []

    @property
    def sentence(self) -> str:
        """What was written, once it is."""
        return " ".join([f"Exported {counted(self.count)} splats to {self.path}.", *self.notes])


class Writing:
    """The files that are being written, and what there is to say about the last ones."""

    def __init__(self) -> None:
        self.files: list[File] = []
        self.written: list[str] = []
        self.failures: list[str] = []
        self.shown = 0.0

    def close(self) -> None:
        """What is not complete is given up; what was there before stays."""
        for file in self.files:
            file.steps.close()
        self.files = []


def _writing() -> Writing:
    return part(Writing)


def is_running() -> bool:
    """Whether a file is being written."""
    return bool(_writing().files)


def progress() -> tuple[float, str]:
    """How far all files are, 0..1, and the name of the one at work."""
    files = _writing().files
    return sum(file.done for file in files) / max(len(files), 1), files[0].path.name if files else ""


def written() -> list[str]:
    """Sentences about the files of the last export that are complete."""
    return _writing().written


def take_written() -> list[str]:
    """The same, for a report: they are not shown again."""
    writing = _writing()
    writing.written, taken = [], writing.written
    return taken


def failures() -> list[str]:
    """Why the others are not."""
    return _writing().failures


def start(exports: Sequence[Export]) -> None:
    """Begin to write files; those whose format takes no time are complete afterwards. Raises RunError while others are
    being written, SplatFileError when one cannot be."""
    writing = _writing()
    if writing.files:
        raise RunError("Splats are being exported already.", "Wait until that is done, or cancel it.")
    writing.written, writing.failures, writing.shown = [], [], 0.0
    try:
        for export in exports:
            writing.files.append(File(export.path, export.header.count, export.steps()))
            _go_on(writing, writing.files[-1])
    except BaseException:
        writing.close()
        raise


def wait() -> None:
    """Until all files are written; for scripts. Raises SplatFileError when one is not."""
    writing = _writing()
    try:
        while writing.files:
            _go_on(writing, writing.files[0])
    except BaseException:
        writing.close()
        raise


def begin_watching() -> None:
    """Let the timer go on with it."""
    timer.start(follow)


def cancel() -> None:
    """Give up what is not complete; what the files held before stays."""
    _writing().close()
    redraw()


def follow() -> float | None:
    """Go on for a moment, a step at least. A job of the timer."""
    writing, until = _writing(), time.monotonic() + TURN_S
    while writing.files:
        file = writing.files[0]
        try:
            _go_on(writing, file)
        except SplatError as error:
            writing.files.remove(file)
            writing.failures.append(f"{error.message} {error.remedy}".strip())
        if time.monotonic() >= until:
            break
    if not writing.files or abs(progress()[0] - writing.shown) >= _LEAST_SHOWN:
        writing.shown = progress()[0]
        redraw()
    return PAUSE_S if writing.files else None


def _go_on(writing: Writing, file: File) -> None:
    file.step()
    if file.done >= 1:
        writing.files.remove(file)
        writing.written.append(file.sentence)
