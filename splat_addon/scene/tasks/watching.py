"""What the timer does for the run that is watched, and what undo and loading a file mean for it."""

import contextlib

import bpy

from ...errors import SplatError
from ...run.folder import RunFolder
from ..review import curves
from ..review.views import list_views, list_views_of_run
from ..runs import found_runs, run_object
from ..session import timer
from ..session.redraw import redraw
from ..settings.paths import remember_run, run_path
from . import live_run, preflight, preview

TICK_S = 0.25


def begin() -> None:
    """Let the timer watch and follow the run. It does not tick in background mode; scripts call `live_run.pump`."""
    timer.start(_watch, TICK_S)
    timer.start(_follow, TICK_S)


def _watch() -> float | None:
    if live_run.pump():
        curves.follow()
        redraw()
    run = live_run.current()
    if run is None:
        return None
    if not run.is_over or not settle(run):
        return TICK_S
    preflight.remember_speed(run)
    found_runs.look_again()
    redraw()
    return None


def _follow() -> float | None:
    """Apart from `_watch`, so that whatever may happen here, the run is still watched."""
    if preview.tick(TICK_S):
        redraw()
    return TICK_S if live_run.is_training() else None


def settle(run: live_run.LiveRun) -> bool:
    """A run is over: its result appears by itself, as one undo step, once that disturbs nobody; False: not yet.

    It waits in its folder when another file is open, when the artist is looking at another run, or has edited what
    this run has brought into the scene before.
    """
    if run.is_settled:
        return True
    scene = live_run.scene_of(run)
    item = run_object.find(scene, run.folder) if scene is not None else None
    is_edited = item is not None and not run_object.is_untouched(item)
    if run.state != "finished" or scene is None or not live_run.is_shown(run, scene) or is_edited:
        run.is_settled, run.waits = True, scene is None
        if run.state == "finished":
            preview.end()
        return True
    window = next((window for window in bpy.context.window_manager.windows if window.scene == scene), None)
    if window is None or bpy.app.is_job_running("RENDER"):
        return False
    with bpy.context.temp_override(window=window):
        if bpy.context.mode != "OBJECT":
            return False
        run.is_settled = True  # before it is tried: what fails now would fail at each tick
        preview.end()
        try:
            run.warnings[:0] = run_object.bring_in(scene, window.view_layer, run.folder).settings
        except SplatError as error:
            run.warnings.insert(0, f"The result was not brought into the scene. {error.message} {error.remedy}".strip())
        else:
            bpy.ops.ed.undo_push(message="Import Result")
    return True


def _catch_up() -> float | None:
    """In a file that was opened: results that runs have left meanwhile take the place of their snapshots."""
    catch_up()
    return None


def catch_up() -> list[str]:
    """Bring in the results of runs of which the scenes that windows show have snapshots alone, that nobody has edited,
    as one undo step; returns the names of their objects."""
    brought = []
    for window in bpy.context.window_manager.windows:
        path = run_path(window.scene)
        item = run_object.find(window.scene, RunFolder(path)) if path is not None else None
        if path is None or item is None or not run_object.is_behind(item, RunFolder(path)):
            continue
        with bpy.context.temp_override(window=window), contextlib.suppress(SplatError):  # the panel offers it still
            run_object.bring_in(window.scene, window.view_layer, RunFolder(path))
            bpy.ops.ed.undo_push(message="Import Result")
            brought.append(item.name)
    return brought


@bpy.app.handlers.persistent
def note_what_is_shown(*_) -> None:
    """Before undo or redo: whether the scene shows the run."""
    run = live_run.current()
    scene = live_run.scene_of(run) if run is not None else None
    if run is not None:
        run.was_shown = scene is not None and live_run.is_shown(run, scene)


@bpy.app.handlers.persistent
def keep_run_through_undo(*_) -> None:
    """Undoing what was done before a run was started must not lose the run, nor what it measured since."""
    run = live_run.current()
    scene = live_run.scene_of(run) if run is not None and run.backend else None
    if run is not None and scene is not None:
        if not scene.splat.run_folder or run.was_shown:
            remember_run(scene, run.folder.path)
        if run.evaluations and live_run.is_shown(run, scene):
            list_views(scene, run.evaluations[-1])


@bpy.app.handlers.persistent
def take_up_loaded_file(*_) -> None:
    """A file that was saved during a run lists what the run measured since, and finds its run again."""
    live_run.find_scene_again()
    run = live_run.current()
    if run is not None and run.waits and live_run.scene_of(run) is not None:
        run.is_settled = run.waits = False
        timer.start(_watch, TICK_S)
    if not bpy.app.background:
        timer.start(_catch_up, TICK_S)
    for scene in bpy.data.scenes:
        if scene.splat.run_folder and scene.library is None:
            list_views_of_run(scene)
    found_runs.look_again()


HANDLERS = {
    "undo_pre": note_what_is_shown,
    "redo_pre": note_what_is_shown,
    "undo_post": keep_run_through_undo,
    "redo_post": keep_run_through_undo,
    "load_post": take_up_loaded_file,
}


def register() -> None:
    """Look for runs as soon as there is a file: while an add-on is registered there is none."""
    if not bpy.app.background:
        timer.start(_look_once, 0.5)


def _look_once() -> None:
    found_runs.look_again()
