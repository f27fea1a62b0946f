"""Runs that this machine has: of this scene, of other sessions, of a Blender that crashed. Looked for in a thread.

Where: beside the captures and runs of the open scenes, where runs were started before, and where the preferences say.
"""

import threading
from pathlib import Path

import bpy

from ...errors import RunError
from ...run.find import FoundRun, find_runs
from ..settings import preferences
from ..settings.scene import absolute, run_path

_MEMORY = "runs.json"
_REMEMBERED = 50  # how many folders of earlier runs are kept in mind


class _Found:
    """The last answer. The list is replaced as a whole, so that drawing needs no lock."""

    runs: list[FoundRun] = []
    missing: frozenset[Path] = frozenset()
    search: threading.Thread | None = None
    is_wanted_again = False


def runs() -> list[FoundRun]:
    """What was found last: runs that are training first, then the newest."""
    return _Found.runs


def is_missing(path: Path) -> bool:
    """Whether the folder of a scene's run was not there when it was looked for."""
    return path in _Found.missing


def is_searching() -> bool:
    """Whether an answer is on its way."""
    return _Found.search is not None and _Found.search.is_alive()


def search(wait: bool = False) -> None:
    """Look again, in a thread; with `wait`, until it is done."""
    if is_searching():
        _Found.is_wanted_again = True
    else:
        _Found.search = threading.Thread(
            target=_search, args=(places(), runs_of_scenes()), name="splat runs", daemon=True
        )
        _Found.search.start()
    if wait and _Found.search is not None:
        _Found.search.join()
        take_up()


def take_up() -> bool:
    """Whether the last search is over; one that was asked for meanwhile is begun."""
    if is_searching():
        return False
    if _Found.is_wanted_again:
        _Found.is_wanted_again = False
        search()
        return False
    return True


def forget() -> None:
    """Before the add-on goes."""
    _Found.runs, _Found.missing, _Found.is_wanted_again = [], frozenset(), False


def remember(path: Path) -> None:
    """A run was started in `path`: it is found again also if the .blend was never saved."""
    known = [str(path.parent), *_remembered()]
    preferences.write_own(_MEMORY, list(dict.fromkeys(known))[:_REMEMBERED])


def places() -> list[Path]:
    """Where runs may lie."""
    chosen, found = preferences.of_addon(), []
    for scene in bpy.data.scenes:
        try:
            capture = absolute(scene.splat.capture.folder) if scene.splat.capture.folder else None
        except RunError:  # beside a file that was not saved
            capture = None
        if capture is not None:
            found.append(capture.with_name(capture.name + "_runs"))
    for run in runs_of_scenes():
        found += [run, run.parent] if run.parent.name.endswith("_runs") else [run]
    if chosen is not None and chosen.runs_folder:
        found.append(Path(bpy.path.abspath(chosen.runs_folder)).expanduser())
    found += [Path(text) for text in _remembered()]
    return list(dict.fromkeys(found))


def runs_of_scenes() -> list[Path]:
    """The runs that the open scenes remember."""
    return [path for scene in bpy.data.scenes if (path := run_path(scene)) is not None]


def _remembered() -> list[str]:
    known = preferences.read_own(_MEMORY)
    return [text for text in known if isinstance(text, str)] if isinstance(known, list) else []


def _search(where: list[Path], of_scenes: list[Path]) -> None:
    """The thread. It touches nothing but the disk and the answer."""
    found = find_runs(where)
    missing = frozenset(path for path in of_scenes if not path.is_dir())
    _Found.runs, _Found.missing = found, missing
