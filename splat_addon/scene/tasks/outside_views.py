"""Rendering a scene from off the path of the capture that an object's splats were trained on, for truth.

What floaters do is seen there. The second Blender that renders captures renders these views, too, into a folder of the
capture's (`capture/outside.py`), where Preview Removal finds them.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import numpy as np

from ...capture.capture import FINGERPRINT_KIND, View, open_capture
from ...capture.choices import choices_of
from ...capture.formats.transforms import FILE_NAME, is_own_capture
from ...capture.outside import listed_views, outside_folder
from ...errors import CaptureError, RunError, SceneError, SplatError
from ...inspection.trust.outside import size_of
from ...run.config import TrainConfig
from ...run.folder import RunFolder
from ...run.render_folder import OutsidePlan, Shot
from ..inspection import choosing
from ..own_data import require_local
from ..photos.pixels import open_settled
from ..rendering import outside
from ..rendering.plan import plan_of
from ..runs.run_identity import path_of
from ..session import part
from ..settings.paths import absolute, capture_now, local_or_asked
from ..splats.data import origin_of, splats_from_object
from . import live_render

CHANGED = "The capture has changed since these splats were trained"
REMEDY = "Train on it as it is now, and bring that in"
MOST_VIEWS = 64  # training cameras that are asked, evenly chosen
MOST_PHOTOS = 4  # that are rendered once more


class Source(NamedTuple):
    """A run that was trained on a capture of the scene, and that capture."""

    run: RunFolder
    capture: Path


class Views(NamedTuple):
    """How many views off the path were rendered for the capture of an object's splats; whether that is the capture as
    it is now, since no others are used; and whether the splats were trained on it as it is now."""

    rendered: int = 0
    are_of_capture: bool = True
    is_trained_on: bool = True


class Known:
    """What files said, for panels, which ask at each redraw: read again when one has changed."""

    def __init__(self) -> None:
        self.files: dict[tuple[Path, ...], tuple[list[tuple[int, int]], Any]] = {}


def problem(scene: bpy.types.Scene, item: bpy.types.Object | None) -> str:
    """Why no views off the path can be rendered for an object's splats; empty when they can."""
    why = choosing.problem(item)
    if why:
        return why
    assert item is not None  # it has no problem
    if live_render.is_rendering():
        return "A capture is already being rendered: cancel it first"
    source = _source(scene, item)
    if isinstance(source, str):
        return source
    now = _fingerprint_now(source)
    return "" if not now or _is_trained_on(source.run, now) else f"{CHANGED}: {REMEDY[:1].lower()}{REMEDY[1:]}"


def views_of(scene: bpy.types.Scene, item: bpy.types.Object) -> Views:
    """What was rendered off the path for the capture of an object's splats. For panels."""
    source = _source(scene, item)
    if isinstance(source, str):
        return Views()
    count, made_for = _read(lambda: listed_views(source.capture), outside_folder(source.capture) / FILE_NAME) or (0, "")
    now = _fingerprint_now(source)
    if not now:
        return Views(count, _is_trained_on(source.run, made_for))
    return Views(count, made_for == now, _is_trained_on(source.run, now))


def render_of(scene: bpy.types.Scene, item: bpy.types.Object) -> live_render.LiveRender | None:
    """The render of views off the path of an object's capture, also when it is over; None when none was started."""
    render = live_render.current()
    if render is None or not render.is_outside:
        return None
    source = _source(scene, item)
    return render if isinstance(source, Source) and render.capture == outside_folder(source.capture) else None


def start(scene: bpy.types.Scene, item: bpy.types.Object, count: int) -> live_render.LiveRender:
    """Begin to choose up to `count` views off the path and to render them. Those of before stay until these are done.

    Raises RunError, CaptureError or SceneError when there is nothing to render, SetupError without a Blender,
    SplatFileError when the object holds no splats; then nothing was started.
    """
    require_local(scene)
    source = _source(scene, item)
    if isinstance(source, str):
        raise RunError(f"{source}.", "")
    is_hidden = choosing.hidden(item.data)
    if is_hidden.all():
        raise SceneError("All of these splats are hidden: views are chosen by what is shown.", "Use Show Hidden first.")
    config = TrainConfig.read(source.run.config_file).moved_to(source.capture)
    capture = open_settled(source.capture, config.hold_out_every, choices=choices_of(config))
    fingerprint, trained = capture.fingerprint(), capture.training_views
    if not _is_trained_on(source.run, fingerprint):
        raise CaptureError(f"{CHANGED}.", f"{REMEDY}.")
    photos = _usual(trained)
    asked = OutsidePlan(
        made_for=fingerprint,
        count=count,
        trained=tuple(outside.placed(view.camera.without_distortion()) for view in _spread(trained, MOST_VIEWS)),
        photos=tuple((str(photo.image_path), outside.placed(photo.camera)) for photo in photos),
    )
    shot = Shot("images/outside.png", outside.NAME, scene.frame_current_final, is_held_out=True)
    plan = plan_of(scene, [shot], size_of(photos[0].camera)[:2], asked)
    cloud = splats_from_object(item, largest_degree=0).select(~is_hidden)
    return live_render.start(plan, None, outside_folder(source.capture), splats=(cloud, origin_of(item)))


def _is_trained_on(run: RunFolder, fingerprint: str) -> bool:
    """Whether a capture with this fingerprint is what a run was trained on, as far as that is known."""
    trained_on = _read(run.capture_fingerprint, run.about_file) or ""
    return not trained_on.startswith(FINGERPRINT_KIND) or trained_on == fingerprint


def _fingerprint_now(source: Source) -> str:
    """Of the capture as it is; empty where that is not known. Its photos are looked at again when its list of cameras
    has changed, which each capture of the scene writes last."""

    def read() -> str:
        try:
            choices = choices_of(TrainConfig.read(source.run.config_file))
            capture = open_capture(source.capture, choices=choices)
            return "" if capture.doubts else capture.fingerprint()  # none of a scene's own: photos would settle them
        except (SplatError, OSError):
            return ""

    return _read(read, source.capture / FILE_NAME, source.run.config_file) or ""


def _usual(views: Sequence[View]) -> list[View]:
    """Some, evenly chosen from those of the size that most have."""
    sizes = [size_of(view.camera) for view in views]
    usual = max(sizes, key=sizes.count)
    return _spread([view for view, size in zip(views, sizes, strict=True) if size == usual], MOST_PHOTOS)


def _spread(views: Sequence[View], most: int) -> list[View]:
    """At most so many of them, from the first to the last."""
    return [views[place] for place in np.linspace(0, len(views) - 1, min(len(views), most)).round().astype(int)]


def _source(scene: bpy.types.Scene, item: bpy.types.Object) -> Source | str:
    """Where an object's splats come from, if that is a capture of the scene; else why it is not, with what to do."""
    path = path_of(item)
    if path is None:
        return "These splats come from no run: bring in the result of a run that was trained on a capture of this scene"
    try:
        run = RunFolder(local_or_asked(str(path)))
        named = _read(lambda: _named_by(run), run.config_file)
        if named is None:
            return "The run that these splats come from cannot be read: put it back"
        capture = capture_now(scene, named)  # each time anew: a share may be chosen meanwhile, and a project moved
        if not capture.is_dir():
            return "The capture that these splats were trained on is gone: put it back"
        if not _read(lambda: is_own_capture(capture), capture / FILE_NAME):
            return "These splats were trained on photos, not on a capture of a scene: nothing can be rendered for truth"
        if scene.splat.capture.folder and os.path.samefile(capture, absolute(scene.splat.capture.folder)):
            return Source(run, capture)
    except OSError:  # the scene's capture is not there
        pass
    except RunError as error:
        return f"{error.message} {error.remedy}"
    return "These splats were trained on another capture than this scene's: choose its folder in the Capture panel"


def _named_by(run: RunFolder) -> str | None:
    """The capture that a run's settings name, as they name it; None when they cannot be read."""
    try:
        return TrainConfig.read(run.config_file).capture
    except RunError:
        return None


def _read(read: Callable[[], Any], *paths: Path) -> Any:
    """What `read` finds in files, read again when one of them has changed; None without one. Each thing that is read
    has files of its own, by which it is kept."""
    try:
        stamps = [(found.st_mtime_ns, found.st_size) for found in map(os.stat, paths)]
    except OSError:
        return None
    files = part(Known).files
    if paths not in files or files[paths][0] != stamps:
        files[paths] = stamps, read()
    return files[paths][1]
