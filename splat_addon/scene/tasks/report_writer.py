"""Writing a run's report in the trainer's Python, as a child process that Blender looks at now and then."""

from pathlib import Path

from ...errors import RunError
from ...run.children.child import Child, PipeLink
from ...run.children.exit_codes import how_it_ended
from ...run.children.trainer_process import REMEDY, trainer_command, trainer_environment
from ...run.folder import RunFolder
from ..session import part, timer
from ..session.redraw import redraw

LIMIT_S = 600.0
LOOK_EVERY_S = 0.5
_TITLE = "The report"


class ReportChild(Child[str]):
    """A report that is being written. Its one message says why it was not; it is empty when it was.

    Raises SetupError when it cannot be started.
    """

    def __init__(self, python: Path, folder: RunFolder):
        self._last_line = ""
        interpreter = trainer_command(python, folder)[0]  # complains about a Python that is not there
        command = [interpreter, "-u", "-m", "splat_addon.trainer.report", str(folder.path)]
        link = PipeLink(command, trainer_environment(), _TITLE, REMEDY, folder.path)
        super().__init__(link, _TITLE, REMEDY, LIMIT_S)

    def _decode(self, line: str) -> None:
        self._last_line = line.strip() or self._last_line

    def _is_first(self, message: str) -> bool:
        return True

    def _is_last(self, message: str) -> bool:
        return True

    def _failed(self, message: str, remedy: str) -> str:
        return f"{message} {remedy}"

    def _ended(self, code: int | None) -> str:
        return (self._last_line or f"{_TITLE} {how_it_ended(code)}.") if code else ""


class Writing:
    """The one report that is being written, and how the last one ended."""

    def __init__(self) -> None:
        self.child: ReportChild | None = None
        self.folder: RunFolder | None = None
        self.failure = ""

    def close(self) -> None:
        """What is not written yet is given up."""
        if self.child is not None:
            self.child.close()


def _writing() -> Writing:
    return part(Writing)


def start(folder: RunFolder, python: Path) -> None:
    """Begin to write the report. Raises SetupError without a Python that can be started, RunError while one writes."""
    if is_writing():
        raise RunError("A report is already being written.", "Wait until it is done.")
    writing = _writing()
    writing.child = ReportChild(python, folder)
    writing.folder, writing.failure = folder, ""


def is_writing() -> bool:
    """Whether a report is being written."""
    return _writing().child is not None


def failure_of(path: Path) -> str:
    """Why the last report of the run in `path` was not written; empty when it was."""
    return _writing().failure if _writing().folder is not None and _writing().folder.path == path else ""


def poll() -> bool:
    """Whether it is over. Never waits. Afterwards the page is there, or `failure_of` says why not."""
    child = _writing().child
    if child is not None:
        _take_in(child, child.poll())
    return _writing().child is None


def wait() -> None:
    """Until the page is written; for scripts. Raises RunError when it was not."""
    while (child := _writing().child) is not None:
        _take_in(child, child.wait(1.0))
    if _writing().failure:
        raise RunError(_writing().failure, "")


def begin_watching() -> None:
    """Let the timer look whether the page is written."""
    timer.start(_watch, LOOK_EVERY_S)


def _watch() -> float | None:
    if not poll():
        return LOOK_EVERY_S
    redraw()
    return None


def _take_in(child: ReportChild, messages: list[str]) -> None:
    for failure in messages:
        _writing().failure = failure
    if child.is_over:
        _writing().child = None
