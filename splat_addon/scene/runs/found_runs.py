"""Runs that this machine has: of this scene, of other sessions, of a Blender that crashed. Looked for in a thread.

Where: next to the captures and runs of the open scenes, where runs were started before, and where the preferences say.
"""

import contextlib
import os
import threading
from pathlib import Path

import bpy

from ...errors import RunError
from ...run.find import FoundRun, find_runs
from ..session import part, timer
from ..session.redraw import redraw
from ..settings import preferences
from ..settings.paths import absolute, run_path

_MEMORY = "runs.json"
LOOK_EVERY_S = 0.25
_REMEMBERED = 50  # how many folders of earlier runs are kept in mind


class Found:
    """The last answer. The list is replaced as a whole, so that drawing needs no lock."""

    def __init__(self) -> None:
        self.runs: list[FoundRun] = []
        self.missing: frozenset[Path] = frozenset()
        self.search: threading.Thread | None = None
        self.is_wanted_again = False


def found() -> Found:
    """The session's own."""
    return part(Found)


def runs() -> list[FoundRun]:
    """What was found last: runs that are training first, then the newest."""
    return found().runs


def going_on(scene: bpy.types.Scene) -> list[FoundRun]:
    """Of what was found last, the runs that train and belong to a scene: its own, and those on its capture."""
    own, capture = run_path(scene), None
    with contextlib.suppress(RunError):  # next to a file that was not saved
        capture = absolute(scene.splat.capture.folder) if scene.splat.capture.folder else None
    training = [run for run in runs() if run.is_training]
    return [run for run in training if run.path == own or (capture is not None and run.capture == str(capture))]


def is_missing(path: Path) -> bool:
    """Whether the folder of a scene's run was not there when it was looked for."""
    return path in found().missing


def is_searching() -> bool:
    """Whether an answer is on its way."""
    return found().search is not None and found().search.is_alive()


def look_again() -> None:
    """Look for runs in a thread and show them when they are found; at once where no timer ticks."""
    search(wait=bpy.app.background)
    if not bpy.app.background:
        timer.start(_show, LOOK_EVERY_S)


def _show() -> float | None:
    if not take_up():
        return LOOK_EVERY_S
    redraw()
    return None


def search(wait: bool = False) -> None:
    """Look again, in a thread; with `wait`, until it is done."""
    if is_searching():
        found().is_wanted_again = True
    else:
        found().search = threading.Thread(
            target=_search, args=(found(), places(), runs_of_scenes()), name="splat runs", daemon=True
        )
        found().search.start()
    if wait and found().search is not None:
        found().search.join()
        take_up()


def take_up() -> bool:
    """Whether the last search is over; one that was asked for meanwhile is begun."""
    if is_searching():
        return False
    if found().is_wanted_again:
        found().is_wanted_again = False
        search()
        return False
    return True


def remember(path: Path) -> None:
    """A run was started in `path`: it is found again also if the .blend was never saved."""
    known = [str(path.parent), *_remembered()]
    preferences.write_own(_MEMORY, list(dict.fromkeys(known))[:_REMEMBERED])


def places() -> list[Path]:
    """Where runs may lie."""
    chosen, where = preferences.of_addon(), []
    for scene in bpy.data.scenes:
        try:
            capture = absolute(scene.splat.capture.folder) if scene.splat.capture.folder else None
        except RunError:  # next to a file that was not saved
            capture = None
        if capture is not None:
            where.append(capture.with_name(capture.name + "_runs"))
    for run in runs_of_scenes():
        where += [run, run.parent] if run.parent.name.endswith("_runs") else [run]
    if chosen is not None and chosen.runs_folder:
        where.append(Path(bpy.path.abspath(chosen.runs_folder)).expanduser())
    where += [Path(text) for text in _remembered()]
    return list(dict.fromkeys(where))


def runs_of_scenes() -> list[Path]:
    """The runs that the open scenes remember."""
    return [path for scene in bpy.data.scenes if (path := run_path(scene)) is not None]


def _remembered() -> list[str]:
    known = preferences.read_own(_MEMORY)
    return [text for text in known if isinstance(text, str)] if isinstance(known, list) else []


def _search(answer: Found, where: list[Path], of_scenes: list[Path]) -> None:
    """The thread. It touches nothing but the disk and the answer."""
    runs = find_runs(where)
    answer.missing = frozenset(path for path in of_scenes if not os.path.isdir(path))
    answer.runs = runs
