"""Held-out review: the viewport looks through a held-out camera, with its photo and what training made of it.

One camera of the add-on's own takes the place of each view in turn, so that the artist's cameras, with their lens and
background images, stay untouched. What has to change meanwhile (the scene's camera and resolution, the viewport) is
remembered in the scene, saved with it, and given back.
"""

import functools
import os
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

from ...capture.capture import View
from ...capture.choices import CaptureChoices, choices_of
from ...capture.file_names import renders_of
from ...errors import RunError, SplatError
from ...run.config import TrainConfig
from ...run.events import Evaluated
from ...run.folder import RunFolder
from ..cameras import looking
from ..cameras.conversion import apply_camera
from ..own_data import ensure_local, is_local, is_own, require_local
from ..photos.pixels import open_settled
from ..runs.run_object import world_from_run
from ..session import timer
from ..settings.paths import capture_now, require_asked, run_path
from . import overlay
from .overlay import CAMERA_NAME, Shown
from .pictures import read_picture
from .views import list_views

LOOK_EVERY_S = 1.0


def is_reviewing(scene: bpy.types.Scene) -> bool:
    """Whether a held-out view is shown."""
    return looking.is_looking(scene) and _own_camera() is not None


def show(context: bpy.types.Context, scene: bpy.types.Scene) -> View:
    """Look through the chosen held-out view. Raises RunError or CaptureError when run or capture are gone; then
    nothing was changed."""
    require_local(scene)
    folder = RunFolder(require_run(scene))
    evaluated = folder.latest_evaluation()
    if evaluated is None or not evaluated.views:
        raise RunError("This scene has no run with held-out views.", "Train first, holding out at least one view.")
    list_views(scene, evaluated)
    views = scene.splat.held_out_views
    place = min(max(scene.splat.held_out_index, 0), len(views) - 1)
    capture = capture_now(scene, TrainConfig.read(folder.config_file).capture)
    view, extent = _find_view(folder, capture, views[place].name)
    overlay.show(_load(scene, folder, evaluated, view, place))
    looking.begin(scene)
    camera_object = _review_camera(scene)
    apply_camera(camera_object, view.camera.without_distortion(), scene.render)
    size = _put_where_the_splats_are(camera_object, world_from_run(scene, folder, capture))
    lens: Any = camera_object.data
    lens.clip_start, lens.clip_end = 1e-3 * extent * size, 1e3 * extent * size
    looking.look_through(context, scene, camera_object)
    scene.splat.held_out_choice = view.name  # what is looked at stays, also when another view becomes the worst
    return view


def step(context: bpy.types.Context, scene: bpy.types.Scene, by: int) -> None:
    """Show the view `by` places further down the list, beginning again at its end. Raises what `show` raises."""
    was_reviewing, count = is_reviewing(scene), len(scene.splat.held_out_views)
    if count:
        scene.splat.held_out_index = (scene.splat.held_out_index + by) % count  # this shows it, while reviewing
    if not (was_reviewing and is_reviewing(scene)):
        show(context, scene)  # or says why it could not be shown


def require_run(scene: bpy.types.Scene) -> Path:
    """The folder of the scene's run. Raises RunError when there is none, or it is not where it was."""
    path = run_path(scene)
    if path is None:
        raise RunError("This scene has no run.", "Train first, or choose a run in the Splats panel.")
    if not os.path.isdir(path):
        raise RunError(f"The run folder {path} is gone.", "Choose where it is now in the Splats panel.")
    return path


def leave(context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    """Give camera, resolution and viewports back to the artist."""
    looking.end(context, scene)
    camera_object = _own_camera()
    if camera_object is not None:
        if _is_linked_to(camera_object, scene):
            scene.collection.objects.unlink(camera_object)
        if camera_object.users == 0:
            data = camera_object.data
            bpy.data.objects.remove(camera_object)
            bpy.data.cameras.remove(data)
    overlay.show(None)


def choose(scene: bpy.types.Scene) -> None:
    """The choice in the list is kept by name, since the order changes. While a held-out view is shown, it shows the
    chosen one."""
    chosen = scene.splat
    if 0 <= chosen.held_out_index < len(chosen.held_out_views):
        chosen.held_out_choice = chosen.held_out_views[chosen.held_out_index].name
    refresh(bpy.context)


def refresh(context: bpy.types.Context) -> None:
    """Show the choice that was just made, if a view is shown now."""
    scene = context.scene
    if is_reviewing(scene) and 0 <= scene.splat.held_out_index < len(scene.splat.held_out_views):
        try:
            show(context, scene)
        except (SplatError, OSError):  # called from handlers, too, where no data-block may be removed
            looking.end(context, scene)
            overlay.show(None)


def follow(context: bpy.types.Context) -> None:
    """Make the images those of the state that undo, redo or a loaded file has brought, or of a newer measurement."""
    scene, shown = context.scene, overlay.shown()
    if not is_reviewing(scene):
        if shown is not None and not any(map(is_reviewing, bpy.data.scenes)):
            overlay.show(None)
        return
    views, index = scene.splat.held_out_views, scene.splat.held_out_index
    chosen = views[index].name if 0 <= index < len(views) else None
    is_current = shown is not None and shown.scene_uid == scene.session_uid and shown.name == chosen
    latest = _latest_step(run_path(scene))
    if not is_current or (shown is not None and latest not in (0, shown.step)):
        refresh(context)


def _latest_step(path: Path | None) -> int:
    """The step of the run's newest measurement; 0 when there is none."""
    try:
        changed = RunFolder(path).metrics_file.stat().st_mtime_ns if path else 0
    except OSError:
        return 0
    return _step_measured(path, changed) if path else 0


@functools.lru_cache(maxsize=1)
def _step_measured(path: Path, _changed: int) -> int:
    evaluated = RunFolder(path).latest_evaluation()
    return evaluated.step if evaluated else 0


def _find_view(folder: RunFolder, capture: Path, name: str) -> tuple[View, float]:
    """A view of the run's capture, and the capture's extent."""
    changed = capture.stat().st_mtime_ns if os.path.isdir(capture) else 0
    config = TrainConfig.read(folder.config_file)
    for path in (config.photos_folder, config.model_folder):
        require_asked(path)
    views, extent = _views_of(capture, config.hold_out_every, choices_of(config.moved_to(capture)), changed)
    if name not in views:
        raise RunError(f"The capture no longer holds the view '{name}'.", "Choose another view, or capture again.")
    return views[name], extent


@functools.lru_cache(maxsize=1)
def _views_of(
    folder: Path, hold_out_every: int, choices: CaptureChoices, _changed: int
) -> tuple[dict[str, View], float]:
    """The views by name and the extent of a capture, kept: stepping from view to view must not read it each time."""
    capture = open_settled(folder, hold_out_every, choices=choices)
    return {view.name: view for view in capture.views}, capture.extent


def _load(scene: bpy.types.Scene, folder: RunFolder, evaluated: Evaluated, view: View, place: int) -> Shown:
    quality = scene.splat.held_out_views[place]
    renders = renders_of(folder.path / evaluated.folder, [measured.name for measured in evaluated.views])
    return Shown(
        name=view.name,
        scene_uid=scene.session_uid,
        camera=view.camera,
        photo=read_picture(view.image_path, view.orientation),
        trained=read_picture(renders[view.name]),
        step=evaluated.step,
        psnr_db=quality.psnr_db,
        ssim=quality.ssim,
        place=f"{place + 1} of {len(scene.splat.held_out_views)}, worst first",
    )


def _review_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    camera_object = ensure_local("objects", CAMERA_NAME, _make_camera, is_former=_is_former)
    if not _is_linked_to(camera_object, scene):
        scene.collection.objects.link(camera_object)
    return camera_object


def _own_camera() -> bpy.types.Object | None:
    """The review's camera, whatever it is called by now; None when there is none."""
    candidates = (item for item in bpy.data.objects if item.type == "CAMERA")
    is_ours = (item for item in candidates if is_own(item, CAMERA_NAME) or (is_local(item) and _is_former(item)))
    return next(is_ours, None)


def _is_former(item: bpy.types.Object) -> bool:
    """Whether an earlier version has made it, which set no marks."""
    return item.name == CAMERA_NAME and item.type == "CAMERA" and item.hide_select


def _make_camera(former: bpy.types.Object | None) -> bpy.types.Object:
    if former is not None:
        return former
    data = bpy.data.cameras.new(CAMERA_NAME)
    data.passepartout_alpha = 0.9
    camera_object = bpy.data.objects.new(CAMERA_NAME, data)
    camera_object.hide_select = True
    return camera_object


def _is_linked_to(item: bpy.types.Object, scene: bpy.types.Scene) -> bool:
    return any(item == other for other in scene.collection.objects)


def _put_where_the_splats_are(camera_object: bpy.types.Object, world_from_capture: Matrix) -> float:
    """Move the camera with the capture's world, without its scale, which a camera cannot have; returns the scale."""
    _, rotation, scale = world_from_capture.decompose()
    pose = camera_object.matrix_basis  # what was just set, before Blender takes it in
    turned = rotation.to_matrix() @ pose.to_3x3()
    camera_object.matrix_world = Matrix.Translation(world_from_capture @ pose.translation) @ turned.to_4x4()
    return abs(scale.x * scale.y * scale.z) ** (1 / 3)


@bpy.app.handlers.persistent
def _follow_undo(*_) -> None:
    """Viewports and images follow undo and redo."""
    looking.follow_undo(bpy.context)
    follow(bpy.context)


@bpy.app.handlers.persistent
def _follow_file(*_) -> None:
    """The images follow a loaded file."""
    looking.forget_viewports()
    follow(bpy.context)


def _look_at_run() -> float:
    """A newer measurement of the run replaces the images that are shown. Rests unless a view is shown."""
    if bpy.context.window_manager.windows and is_reviewing(bpy.context.scene):
        follow(bpy.context)
    return LOOK_EVERY_S


def register() -> None:
    """Follow the run."""
    timer.start(_look_at_run, LOOK_EVERY_S)


ON_CHANGE = {"held_out_index": choose}
HANDLERS = {"undo_post": _follow_undo, "redo_post": _follow_undo, "load_post": _follow_file}
