"""Writing a run's report in the trainer's Python, as a child process that Blender looks at now and then."""

import subprocess
import sys
from pathlib import Path

from ...errors import RunError
from ...run.folder import RunFolder
from ...run.process import trainer_command, trainer_environment
from ..session import part, timer
from ..session.redraw import redraw

LIMIT_S = 600.0
LOOK_EVERY_S = 0.5


class Writing:
    """The one report that is being written, and how the last one ended."""

    def __init__(self) -> None:
        self.child: subprocess.Popen | None = None
        self.folder: RunFolder | None = None
        self.failure = ""

    def close(self) -> None:
        """What is not written yet is given up."""
        if self.child is not None:
            self.child.kill()
            self.child.communicate()


def _writing() -> Writing:
    return part(Writing)


def start(folder: RunFolder, python: Path) -> None:
    """Begin to write the report. Raises SetupError without a trainer Python, RunError when it cannot start."""
    interpreter = trainer_command(python, folder)[0]  # complains about a Python that is not there
    if is_writing():
        raise RunError("A report is being written already.", "Wait until it is done.")
    _writing().folder, _writing().failure = folder, ""
    try:
        _writing().child = subprocess.Popen(
            [interpreter, "-m", "splat_addon.trainer.report", str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=trainer_environment(),
            cwd=folder.path,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0) if sys.platform == "win32" else 0,
        )
    except OSError as error:
        raise RunError(
            f"The report could not be started ({error.strerror or error}).",
            "Check the trainer Python in the add-on preferences.",
        ) from error


def is_writing() -> bool:
    """Whether a report is being written."""
    return _writing().child is not None


def failure_of(path: Path) -> str:
    """Why the last report of the run in `path` was not written; empty when it was."""
    return _writing().failure if _writing().folder is not None and _writing().folder.path == path else ""


def poll() -> bool:
    """Whether it is over. Never waits. Afterwards the page is there, or `failure_of` says why not."""
    child = _writing().child
    if child is None:
        return True
    if child.poll() is None:
        return False
    _end(child)
    return True


def wait() -> None:
    """Until the page is written; for scripts. Raises RunError when it was not."""
    child = _writing().child
    if child is not None:
        _end(child)
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


def _end(child: subprocess.Popen) -> None:
    try:
        _, said = child.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        _, said = child.communicate()
        said += f"\nThe report took longer than {LIMIT_S:.0f} s.".encode()
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    _writing().child = None
    if child.returncode:
        _writing().failure = lines[-1] if lines else f"The report ended with code {child.returncode}."
