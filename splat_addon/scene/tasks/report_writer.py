"""Writing a run's report in the trainer's Python, as a child process that Blender looks at now and then."""

from pathlib import Path

from ...errors import RunError
from ...run.child import Child, PipeLink, how_it_ended
from ...run.folder import RunFolder
from ...run.process import REMEDY, trainer_command, trainer_environment

LIMIT_S = 600.0
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


class _Writing:
    """The one report that is being written, and how the last one ended."""

    child: ReportChild | None = None
    folder: RunFolder | None = None
    failure = ""


def start(folder: RunFolder, python: Path) -> None:
    """Begin to write the report. Raises SetupError without a Python that can be started, RunError while one writes."""
    if is_writing():
        raise RunError("A report is being written already.", "Wait until it is done.")
    _Writing.child = ReportChild(python, folder)
    _Writing.folder, _Writing.failure = folder, ""


def is_writing() -> bool:
    """Whether a report is being written."""
    return _Writing.child is not None


def failure_of(path: Path) -> str:
    """Why the last report of the run in `path` was not written; empty when it was."""
    return _Writing.failure if _Writing.folder is not None and _Writing.folder.path == path else ""


def poll() -> bool:
    """Whether it is over. Never waits. Afterwards the page is there, or `failure_of` says why not."""
    child = _Writing.child
    if child is not None:
        _take_in(child, child.poll())
    return _Writing.child is None


def wait() -> None:
    """Until the page is written; for scripts. Raises RunError when it was not."""
    while (child := _Writing.child) is not None:
        _take_in(child, child.wait(1.0))
    if _Writing.failure:
        raise RunError(_Writing.failure, "")


def close() -> None:
    """Before the add-on goes: what is not written yet is given up."""
    if _Writing.child is not None:
        _Writing.child.close()
    _Writing.child, _Writing.folder, _Writing.failure = None, None, ""


def _take_in(child: ReportChild, messages: list[str]) -> None:
    for failure in messages:
        _Writing.failure = failure
    if child.is_over:
        _Writing.child = None
