"""Held-out review: the viewport looks through a held-out camera, with its photo and what training made of it.

One camera of the add-on's own takes the place of each view in turn, so that the artist's cameras stay untouched. Photo
and render are its background images. What has to change in the scene meanwhile (camera, resolution) is given back.
"""

from pathlib import Path

import bpy

from ..capture.capture import View, open_capture
from ..errors import RunError, SplatError
from ..run.config import TrainConfig
from ..run.folder import RunFolder
from . import looking, photo_capture
from .cameras import apply_camera
from .live_run import list_held_out_views
from .settings import absolute, run_path

CAMERA_NAME = "Splat Held-out View"


def is_reviewing(scene: bpy.types.Scene) -> bool:
    """Whether a held-out view is shown."""
    return looking.is_looking(scene) and CAMERA_NAME in bpy.data.objects


def show(context: bpy.types.Context, scene: bpy.types.Scene) -> View:
    """Look through the chosen held-out view. Raises RunError or CaptureError when run or capture are gone."""
    folder = RunFolder(require_run(scene))
    evaluated = folder.latest_evaluation()
    if evaluated is None:
        raise RunError("This scene has no run with held-out views.", "Train first, holding out at least one view.")
    list_held_out_views(scene, evaluated)
    chosen = scene.splat.held_out_views[scene.splat.held_out_index].name
    config = TrainConfig.read(folder.config_file)
    capture = Path(config.capture)
    if not capture.is_dir() and scene.splat.capture.folder:
        capture = absolute(scene.splat.capture.folder)  # the project has moved, the scene knows where to
    views = {view.name: view for view in open_capture(capture, config.hold_out_every).views}
    if chosen not in views:
        raise RunError(f"The capture no longer holds the view '{chosen}'.", "Choose another view, or capture again.")
    view = views[chosen]
    render_file = folder.path / evaluated.folder / f"{chosen}.png"
    camera_object = _review_camera(scene)
    looking.begin(scene)
    camera_object.parent = photo_capture.find_root(scene, capture)  # as the splats of the run do
    apply_camera(camera_object, view.camera.without_distortion(), scene.render)
    _show_images(camera_object.data, view.image_path, render_file, scene.splat.review_mode)
    looking.look_through(context, scene, camera_object)
    return view


def require_run(scene: bpy.types.Scene) -> Path:
    """The folder of the scene's run. Raises RunError when there is none, or it is not where it was."""
    path = run_path(scene)
    if path is None:
        raise RunError("This scene has no run.", "Train first, or choose a run in the Splats panel.")
    if not path.is_dir():
        raise RunError(f"The run folder {path} is gone.", "Choose where it is now in the Splats panel.")
    return path


def leave(context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    """Give camera and resolution back to the artist."""
    looking.end(context, scene)
    camera_object = bpy.data.objects.get(CAMERA_NAME)
    if camera_object is not None:
        data = camera_object.data
        bpy.data.objects.remove(camera_object)
        bpy.data.cameras.remove(data)


def refresh(context: bpy.types.Context) -> None:
    """Show the choice that was just made, if a view is shown now."""
    scene = context.scene
    if is_reviewing(scene) and 0 <= scene.splat.held_out_index < len(scene.splat.held_out_views):
        try:
            show(context, scene)
        except (SplatError, OSError):
            leave(context, scene)


def _review_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    camera_object = bpy.data.objects.get(CAMERA_NAME)
    if camera_object is None:
        data = bpy.data.cameras.new(CAMERA_NAME)
        data.passepartout_alpha = 0.9
        camera_object = bpy.data.objects.new(CAMERA_NAME, data)
        camera_object.hide_select = True
    if camera_object.name not in scene.collection.objects:
        scene.collection.objects.link(camera_object)
    return camera_object


def _show_images(lens: bpy.types.Camera, photo: Path, render: Path, mode: str) -> None:
    lens.show_background_images = True
    lens.background_images.clear()
    shown = {"PHOTO": ((photo, 1.0),), "RENDER": ((render, 1.0),), "BLEND": ((photo, 1.0), (render, 0.5))}[mode]
    for path, alpha in shown:
        entry = lens.background_images.new()
        entry.image = bpy.data.images.load(str(path), check_existing=True)
        entry.image.reload()
        entry.alpha = alpha
        entry.display_depth = "FRONT"
        entry.frame_method = "STRETCH"
