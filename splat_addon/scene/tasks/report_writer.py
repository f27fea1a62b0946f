"""Writing a run's report in the trainer's Python, as a child process that Blender looks at now and then."""

import subprocess
import sys
from pathlib import Path

from ...errors import RunError
from ...run.folder import RunFolder
from ...run.process import trainer_command, trainer_environment

LIMIT_S = 600.0


class _Writing:
    """The one report that is being written, and how the last one ended."""

    child: subprocess.Popen | None = None
    folder: RunFolder | None = None
    failure = ""


def start(folder: RunFolder, python: Path) -> None:
    """Begin to write the report. Raises SetupError without a trainer Python, RunError when it cannot start."""
    interpreter = trainer_command(python, folder)[0]  # complains about a Python that is not there
    if is_writing():
        raise RunError("A report is being written already.", "Wait until it is done.")
    _Writing.folder, _Writing.failure = folder, ""
    try:
        _Writing.child = subprocess.Popen(
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
    return _Writing.child is not None


def failure_of(path: Path) -> str:
    """Why the last report of the run in `path` was not written; empty when it was."""
    return _Writing.failure if _Writing.folder is not None and _Writing.folder.path == path else ""


def poll() -> bool:
    """Whether it is over. Never waits. Afterwards the page is there, or `failure_of` says why not."""
    child = _Writing.child
    if child is None:
        return True
    if child.poll() is None:
        return False
    _end(child)
    return True


def wait() -> None:
    """Until the page is written; for scripts. Raises RunError when it was not."""
    child = _Writing.child
    if child is not None:
        _end(child)
    if _Writing.failure:
        raise RunError(_Writing.failure, "")


def close() -> None:
    """Before the add-on goes: what is not written yet is given up."""
    if _Writing.child is not None:
        _Writing.child.kill()
        _Writing.child.communicate()
    _Writing.child, _Writing.folder, _Writing.failure = None, None, ""


def _end(child: subprocess.Popen) -> None:
    try:
        _, said = child.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        _, said = child.communicate()
        said += f"\nThe report took longer than {LIMIT_S:.0f} s.".encode()
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    _Writing.child = None
    if child.returncode:
        _Writing.failure = lines[-1] if lines else f"The report ended with code {child.returncode}."
