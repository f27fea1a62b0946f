"""What must hold of a run folder, whatever happened to those who wrote it."""

import json
from pathlib import Path

from splat_addon.errors import SplatError
from splat_addon.files import PARTIAL
from splat_addon.gaussians.formats.splat_ply import read_splats
from splat_addon.run.events import Failed, Finished, SnapshotSaved
from splat_addon.run.find import find_runs
from splat_addon.run.folder import RunFolder
from splat_addon.trainer.stored import Misfit, read_stored

_BUGS = ("unexpected error", "Traceback", "Error:", "Errno")


class Broken(AssertionError):
    """A promise that was not kept."""


def require_whole(folder: RunFolder, cut_lines: int = 0, is_finished: bool = False) -> None:
    """Raise Broken unless all that lies under its final name is complete, the run is found, and at most `cut_lines`
    lines of its record were cut short. `is_finished`: also that its result is there, and nothing half."""
    _require_record(folder, cut_lines)
    counts = {event.path: event.gaussian_count for event in folder.events() if isinstance(event, SnapshotSaved)}
    for path in [*folder.path.rglob("*.ply")]:
        _require_splats(path, counts.get(path.relative_to(folder.path).as_posix()) if path.stem != "preview" else None)
    for path in folder.path.rglob("*.png"):
        _require_image(path)
    for path in folder.path.glob("*.json"):
        _require_json(path)
    if folder.checkpoint_file.is_file():
        try:
            read_stored(folder.checkpoint_file)
        except (OSError, Misfit) as error:
            raise Broken(f"the checkpoint does not load: {error}") from error
    if folder.path not in [run.path for run in find_runs([folder.path.parent])]:
        raise Broken("the run is not found")
    if not is_finished:
        return
    half = [*folder.path.rglob(f"*{PARTIAL}"), *filter(Path.exists, (folder.photos_file, folder.preview_file))]
    if half:
        raise Broken(f"left behind: {[path.name for path in half]}")
    missing = [path.name for path in (folder.splats_file, folder.checkpoint_file) if not path.is_file()]
    if missing:
        raise Broken(f"not there: {missing}")
    last = folder.events()[-1]
    if isinstance(last, Finished) and last.gaussian_count != len(read_splats(folder.splats_file)):
        raise Broken(f"the result has not the {last.gaussian_count} splats that were told")


def require_sentence(event: Failed) -> None:
    """Raise Broken when what the artist reads is not in the project's own words."""
    if not (event.message and event.remedy) or "\n" in event.message:
        raise Broken(f"no sentence or no remedy: {event}")
    if any(sign in event.message for sign in _BUGS):
        raise Broken(f"the artist reads {event.message!r}")


def require_no_traceback(folder: RunFolder) -> None:
    """Raise Broken when the log tells of an error that nobody foresaw."""
    if folder.log_file.is_file() and b"Traceback" in folder.log_file.read_bytes():
        raise Broken(f"a traceback in the log: {folder.log_tail()}")


def _require_record(folder: RunFolder, cut_lines: int) -> None:
    if not folder.events_file.is_file():
        return
    cut = 0
    for line in folder.events_file.read_bytes().split(b"\n"):
        try:
            json.loads(line or b"{}")
        except ValueError:
            cut += 1
    if cut > cut_lines:
        raise Broken(f"{cut} lines of the record are cut, after {cut_lines} kills")


def _require_splats(path: Path, count: int | None) -> None:
    try:
        found = len(read_splats(path))
    except SplatError as error:
        raise Broken(f"{path.name} is not whole: {error}") from error
    if count is not None and found != count:
        raise Broken(f"{path.name} has {found} splats, {count} were told")


def _require_image(path: Path) -> None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise Broken(f"{path.name} is not whole: {error}") from error


def _require_json(path: Path) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Broken(f"{path.name} is not whole: {error}") from error
