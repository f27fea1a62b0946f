"""Runs that lie on disk: found, looked at, deleted."""

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunError
from ..files import remove_empty_folder, remove_file, remove_folder
from .events import Evaluated, Failed, Finished, Progressed, recorded_events
from .folder import WRITTEN_FILES, WRITTEN_FOLDERS, RunFolder
from .lock import is_held

_TAIL_BYTES = 1 << 18  # the end of a record: enough for the last measurement of a thousand views
_MOST_FOLDERS = 10_000  # how many folders of one place are looked at, newest first


@dataclass(frozen=True)
class FoundRun:
    """What a run folder tells about itself. `state` is for people: "training", "finished", "stopped", …"""

    path: Path
    capture: str
    state: str
    is_training: bool
    fraction: float
    psnr_db: float | None
    can_resume: bool
    has_splats: bool
    changed_at: float  # seconds since 1970

    @property
    def name(self) -> str:
        """The run and what it was trained on, short enough for a list."""
        return f"{self.path.parent.name.removesuffix('_runs')} · {self.path.name}"


def is_run(path: Path) -> bool:
    """Whether a folder holds a run: its settings say so."""
    return _capture_of(path) is not None


def look_at(path: Path) -> FoundRun | None:
    """What lies in a folder; None when that is not a run."""
    capture = _capture_of(path)
    if capture is None:
        return None
    folder, is_training = RunFolder(path), is_held(path / "trainer.lock")
    last = next(recorded_events(folder.last_lines(_TAIL_BYTES)), None)
    ran = recorded_events(folder.last_lines(_TAIL_BYTES, Progressed))
    progress = next((event for event in ran if isinstance(event, Progressed)), None)
    rated = recorded_events(folder.last_lines(_TAIL_BYTES, Evaluated))
    measured = next((event for event in rated if isinstance(event, Evaluated) and event.step > 0), None)
    is_finished = isinstance(last, Finished) and not last.stopped
    if is_training:
        state = progress.state if progress else "starting"
    elif isinstance(last, Finished):
        state = "stopped" if last.stopped else "finished"
    else:
        state = "failed" if isinstance(last, Failed) else "broken off" if last else "never started"
    return FoundRun(
        path=path,
        capture=capture,
        state=state,
        is_training=is_training,
        fraction=1.0 if is_finished else progress.fraction if progress else 0.0,
        psnr_db=measured.psnr_db if measured else None,
        can_resume=not is_training and not is_finished and folder.checkpoint_file.is_file(),
        has_splats=folder.splats_file.is_file() or any((path / "snapshots").glob("*.ply")),
        changed_at=_changed_at(folder),
    )


def find_runs(places: Iterable[Path]) -> list[FoundRun]:
    """The runs in `places`: each is a run itself, or a folder of runs, or holds folders named `…_runs`.

    Those that are training come first, then the newest. Places that are gone hold nothing.
    """
    candidates: dict[Path, None] = {}
    for place in places:
        candidates[place] = None
        for child in _folders_in(place):
            candidates[child] = None
            if child.name.endswith("_runs"):
                candidates.update(dict.fromkeys(_folders_in(child)))
    found = []
    for path in candidates:
        with contextlib.suppress(OSError):  # whatever is wrong with one folder says nothing about the others
            run = look_at(path)
            found += [run] if run is not None else []
    return sorted(found, key=lambda run: (not run.is_training, -run.changed_at))


def delete_run(path: Path) -> list[str]:
    """Delete what a run wrote; return the names of other files in its folder, which stay.

    Raises RunError when the folder is not a run, when it is training, or when something cannot be removed.
    """
    if not is_run(path):
        raise RunError(f"{path} is not a training run.", "Nothing was deleted.")
    if is_held(path / "trainer.lock"):
        raise RunError(f"{path.name} is training.", "Stop it first; nothing was deleted.")
    try:
        for name in WRITTEN_FOLDERS:
            remove_folder(path / name)
        for name in WRITTEN_FILES:
            for file in (path / name, path / (name + ".partial")):
                remove_file(file)
        left = sorted(entry.name for entry in path.iterdir())
        if not left:
            remove_empty_folder(path)
            with contextlib.suppress(OSError):  # other runs lie there
                if path.parent.name.endswith("_runs"):
                    remove_empty_folder(path.parent)
    except OSError as error:
        raise RunError(
            f"{error.filename or path} cannot be deleted ({error.strerror}).",
            "Close what uses it, then delete the run again.",
        ) from error
    return left


def _capture_of(path: Path) -> str | None:
    """The capture that a run was started on; None when the folder holds no run's settings."""
    try:
        values = json.loads((path / "config.json").read_text(encoding="utf-8"))
        is_settings = isinstance(values["capture"], str) and isinstance(values["iterations"], int)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return values["capture"] if is_settings else None


def _folders_in(place: Path) -> list[Path]:
    try:
        with os.scandir(place) as entries:
            found = [(entry.stat().st_mtime, Path(entry.path)) for entry in entries if entry.is_dir()]
    except OSError:
        return []
    return [path for _, path in sorted(found, reverse=True)[:_MOST_FOLDERS]]


def _changed_at(folder: RunFolder) -> float:
    for file in (folder.events_file, folder.config_file):
        with contextlib.suppress(OSError):
            return file.stat().st_mtime
    return 0.0
