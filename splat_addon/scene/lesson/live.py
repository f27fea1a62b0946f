"""The fits of this session, one per scene at most, and the one that trains.

While one trains, a job of the timer does its steps piece by piece, for `BUDGET_S` at a time, and every now and then
shows it instead. Nothing runs otherwise. A fit is kept in the .blend whenever it is paused and when the file is saved.
Timers do not tick in background mode; scripts call `work`.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import bpy

from ...errors import LessonError
from ...lesson.density import Change
from ...lesson.fitter import Fitter, Settings
from ..own_data import require_local
from ..session import part, timer
from ..session.redraw import redraw
from . import picture, shown
from .target import read_target

BUDGET_S = 0.025  # of training, before Blender has its turn
PAUSE_S = 0.004
SHOW_AFTER_S = 0.1  # of training
LARGEST_SHARE = 0.4  # of the time, that showing may take, with all that Blender draws then


class Fits:
    """What is remembered, by the session_uid of scenes."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Another file is loaded."""
        self.fitters: dict[int, Fitter] = {}
        self.problems: dict[int, str] = {}  # what cannot be read in a file
        self.notes: dict[int, list[str]] = {}  # about the target, or what was done last
        self.training: int | None = None
        self.steps_left: int | None = None  # None: until it is paused
        self.pieces: Iterator[None] | None = None  # of the step that is begun
        self.worked_s = 0.0  # since the fit was last shown
        self.show_s = 0.0  # what showing it took, until the next turn
        self.shows_since: float | None = None  # when showing began, until that is known
        self.rate = 0.0  # steps a second
        self.counted_from = (0.0, 0)  # when, and the step


def _fits() -> Fits:
    return part(Fits)


def fitter_of(scene: bpy.types.Scene) -> Fitter | None:
    """The scene's fit; None before its first Reset or Train."""
    return _fits().fitters.get(scene.session_uid)


def problem_of(scene: bpy.types.Scene) -> str:
    """Why a file's fit could not be read; empty when all is well."""
    return _fits().problems.get(scene.session_uid, "")


def notes_of(scene: bpy.types.Scene) -> list[str]:
    """Sentences about the scene's target, and about what happened last."""
    return _fits().notes.get(scene.session_uid, [])


def is_training(scene: bpy.types.Scene) -> bool:
    """Whether the scene's fit is at work."""
    return _fits().training == scene.session_uid


def steps_per_second() -> float:
    """Of the fit that trains, with all that Blender does meanwhile."""
    return _fits().rate


def reset(scene: bpy.types.Scene) -> Fitter:
    """Begin anew with the scene's settings; equal ones give the same again. Raises LessonError; then nothing changes.

    It may come in the middle of a step, which then never was. A fit that trains goes on training.
    """
    require_local(scene)
    chosen = scene.splat.lesson
    target, notes = read_target(chosen)
    fitter = Fitter(target, _settings(chosen))
    fits, uid = _fits(), scene.session_uid
    fits.fitters[uid], fits.notes[uid] = fitter, notes
    fits.problems.pop(uid, None)
    if fits.training == uid:
        fits.pieces = None
        fits.counted_from = (time.monotonic(), 0)
    shown.make(scene, fitter)
    if fits.training != uid:
        train(scene, 0)  # look once, so that there is something to see
    return fitter


def train(scene: bpy.types.Scene, steps: int | None = None) -> None:
    """Train the scene's fit, for so many steps or until it is paused. Raises LessonError when the target is missing."""
    require_local(scene)
    fits = _fits()
    if fits.training is not None and fits.training != scene.session_uid:
        _pause()
    if fitter_of(scene) is None:
        _load(scene)  # of a scene that was copied or appended
    if fitter_of(scene) is None:
        reset(scene)
    fitter = fitter_of(scene)
    assert fitter is not None
    if shown.find(scene) is None:
        shown.make(scene, fitter)
    fits.training, fits.steps_left, fits.rate = scene.session_uid, steps, 0.0
    fits.pieces = None  # a step that was begun for another reason
    fits.counted_from = (time.monotonic(), fitter.step_count)
    timer.start(_tick)


def pause(scene: bpy.types.Scene) -> None:
    """Stop training the scene's fit, and keep it in the .blend."""
    if is_training(scene):
        _pause()


def densify(scene: bpy.types.Scene) -> Change:
    """Clone, split and prune the scene's fit, or move it by MCMC, now. Raises LessonError."""
    fitter = fitter_of(scene)
    if fitter is None:
        raise LessonError("There is no fit yet.", "Press Train first.")
    fits = _fits()
    if is_training(scene):
        fits.pieces = None  # a step that was begun with other gaussians
    fitter.settings = _live_settings(fitter.settings, scene.splat.lesson)
    change = fitter.densify()
    fits.notes[scene.session_uid] = [f"Densified: {change.sentence(len(fitter.gaussians))}."]
    if not is_training(scene):
        train(scene, 0)
    return change


def work(limit_s: float = BUDGET_S) -> bool:
    """Go on with the fit that trains, for about `limit_s`; whether there is more to do. It is paused at its end."""
    fits, end = _fits(), time.monotonic() + limit_s
    scene = _scene_at_work()
    fitter = fitter_of(scene) if scene is not None else None
    if scene is None or fitter is None:
        fits.training = fits.pieces = None
        return False
    while True:
        if fits.pieces is None:
            fitter.settings = _live_settings(fitter.settings, scene.splat.lesson)
            fits.pieces = fitter.pieces(moves=fits.steps_left != 0)
        count = len(fitter.densified_at)
        for _ in fits.pieces:
            if time.monotonic() > end:
                return True
        fits.pieces = None
        if len(fitter.densified_at) > count and fitter.change is not None:
            sentence = fitter.change.sentence(len(fitter.gaussians))
            fits.notes[scene.session_uid] = [f"Densified in step {fitter.step_count}: {sentence}."]
        if fits.steps_left is not None:
            fits.steps_left -= 1
            if fits.steps_left <= 0:
                _pause()
                return False
        if time.monotonic() > end:
            return True


def show(scene: bpy.types.Scene) -> None:
    """Let the 3D view and the panel show the scene's fit as it is now."""
    fitter = fitter_of(scene)
    if fitter is not None:
        shown.refresh(scene, fitter)
        picture.repaint(fitter)
        redraw()


def _tick() -> float | None:
    """Either train or show, so that each turn is short."""
    fits, now = _fits(), time.monotonic()
    if fits.shows_since is not None:
        fits.show_s, fits.shows_since = now - fits.shows_since, None
    scene = _scene_at_work()
    if scene is not None and fits.worked_s > max(SHOW_AFTER_S, fits.show_s * (1 / LARGEST_SHARE - 1)):
        since, first = fits.counted_from
        fitter = fitter_of(scene)
        if fitter is not None and now > since + 1.0:
            fits.rate = (fitter.step_count - first) / (now - since)
            fits.counted_from = (now, fitter.step_count)
        show(scene)
        fits.worked_s, fits.shows_since = 0.0, now
        return PAUSE_S
    has_more = work()
    fits.worked_s += time.monotonic() - now
    return PAUSE_S if has_more else None


def _scene_at_work() -> bpy.types.Scene | None:
    uid = _fits().training
    return next((scene for scene in bpy.data.scenes if scene.session_uid == uid), None) if uid is not None else None


def _pause() -> None:
    fits, scene = _fits(), _scene_at_work()
    timer.stop(_tick)
    fits.training = fits.pieces = fits.steps_left = None
    fits.rate = 0.0
    if scene is not None:
        _keep(scene)
        show(scene)


def _keep(scene: bpy.types.Scene) -> None:
    fitter = fitter_of(scene)
    if fitter is not None and scene.library is None:
        scene.splat.lesson.fit = fitter.saved()


def _load(scene: bpy.types.Scene) -> None:
    """Take up the fit that a scene holds. One that cannot be read is told in the panel."""
    fits, uid = _fits(), scene.session_uid
    if not scene.splat.lesson.fit or scene.library is not None:
        return
    try:
        fits.fitters[uid] = Fitter.loaded(scene.splat.lesson.fit)
    except LessonError as error:
        fits.problems[uid] = f"{error.message} {error.remedy}"
    else:
        fits.fitters[uid].measure()
        picture.repaint(fits.fitters[uid])


def _settings(chosen) -> Settings:
    fixed = Settings(
        count=chosen.count,
        is_additive=chosen.compositing == "ADDITIVE",
        is_anisotropic=chosen.is_anisotropic,
        held_out=chosen.held_out,
        seed=chosen.seed,
    )
    return _live_settings(fixed, chosen)


def _live_settings(settings: Settings, chosen) -> Settings:
    """Those that count from the next step on."""
    return replace(
        settings,
        loss=chosen.loss.lower(),
        ssim_lambda=chosen.ssim_lambda,
        strategy=chosen.strategy.lower(),
        is_auto=chosen.is_auto,
        most=chosen.most,
    )


def waits_for_reset(scene: bpy.types.Scene) -> bool:
    """Whether settings were changed that only Reset makes count."""
    fitter = fitter_of(scene)
    return fitter is not None and _live_settings(fitter.settings, scene.splat.lesson) != _settings(scene.splat.lesson)


@bpy.app.handlers.persistent
def _keep_all(*_) -> None:
    for scene in bpy.data.scenes:
        _keep(scene)


@bpy.app.handlers.persistent
def _forget_all(*_) -> None:
    timer.stop(_tick)
    _fits().forget()
    picture.forget()


@bpy.app.handlers.persistent
def _take_up(*_) -> None:
    for scene in bpy.data.scenes:
        _load(scene)


@bpy.app.handlers.persistent
def _show_again(*_) -> None:
    """Undo brings back what an object has shown before; the fit itself does not go back."""
    timer.start(_show_all)


def _show_all() -> None:
    for scene in bpy.data.scenes:
        show(scene)


HANDLERS = {
    "save_pre": _keep_all,
    "load_pre": _forget_all,
    "load_post": _take_up,
    "undo_post": _show_again,
    "redo_post": _show_again,
}
ON_CHANGE = {"lesson.shown": show}
