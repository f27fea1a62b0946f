"""The process that renders a capture: another Blender with a copy of the .blend, started by `launch.py`.

Standard output carries events, standard input commands (see `run/events.py`). An image is written aside and then moved
into place, so that this process may end at any moment, and what is finished can be kept.
"""

import math
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...capture.camera import Camera
from ...capture.capture import held_out_indices
from ...capture.formats.transforms import FILE_NAME, SCENE_SOURCE, write_transforms
from ...capture.outside import MADE_FOR
from ...errors import CaptureError, SplatError
from ...files import move_all_into_place, move_into_place, remove_folder
from ...run.events import Event, Failed, RenderFinished, RenderProgressed, RenderStarted, Warned
from ...run.lines import lines_of_parent
from ...run.render_folder import PARTIAL, RenderFolder, RenderPlan, Shot
from ...run.wire import Wire, take_standard_output
from ..cameras.shots import export_cameras, set_frame
from ..seeds.surfaces import SURFACE_TYPES
from ..settings.paths import without_templates
from . import image_settings, outside, passes
from .beside_the_file import copy_point_caches, find_bakes
from .fingerprint import same_scene
from .kept_images import KeptImages

POINTS_FILE = "points3d.ply"


def main(capture: str) -> int:
    """0 when the capture is complete, 1 when it failed; the last event says how."""
    events_to = take_standard_output()
    folder = RenderFolder(Path(capture))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the parent, which says stop
    render = CaptureRender(folder)
    with render.lock:  # a command may be waiting already
        render.wire = Wire(folder, events_to, lines_of_parent(), render.obey)
    last = render.run()
    with render.lock:
        render.wire.send(last)
    return 1 if isinstance(last, Failed) else 0


class CaptureRender:
    """One capture being rendered. `lock` is held while an event is sent or files that belong together are moved."""

    wire: Wire

    def __init__(self, folder: RenderFolder):
        self.folder = folder
        self.lock = threading.Lock()
        self.done = 0
        self._is_complete = False
        self._began = time.monotonic()

    def obey(self, command: str) -> None:
        """Called in the listening thread, also when the parent is gone: nothing is lost by ending at once."""
        if command == "stop":
            with self.lock:
                if self._is_complete:
                    return
                self.wire.send(RenderFinished(self.done, True, time.monotonic() - self._began))
                os._exit(0)

    def run(self) -> Event:
        """Render, and return the last event, whatever happens."""
        try:
            return self._capture()
        except SplatError as error:
            return Failed(error.message, f"{error.remedy} {self.folder.what_is_left()}")
        except OSError as error:
            traceback.print_exc()
            return Failed(
                f"The capture folder {self.folder.capture} cannot be written ({error.strerror}).",
                f"Close what has its files open, or choose another folder with space. {self.folder.what_is_left()}",
            )
        except Exception as error:
            traceback.print_exc()
            return Failed(
                f"Rendering failed with an unexpected error ({type(error).__name__}: {error}).",
                f"{self.folder.what_is_left()} Please report it with {self.folder.log_file}.",
            )

    def _capture(self) -> Event:
        folder = self.folder
        plan = RenderPlan.read(folder.plan_file)
        folder = self.folder = replace(folder, again=plan.again)
        copy_point_caches(folder, plan)
        scene = open_scene(folder, plan)
        notes = same_scene.require(folder, plan, scene)
        compared: tuple[Shot, ...] = ()
        if plan.outside is not None:
            found, reach = outside.choose(plan.outside, folder.splats_file)
            plan, compared = outside.put_cameras(scene, plan, plan.outside, found, reach)
        objects = {item.name_full: item for item in scene.objects if item.type == "CAMERA"}
        shown = dict.fromkeys(shot.camera for shot in (*compared, *plan.shots))
        used = [objects[name] for name in shown if name in objects]
        notes += image_settings.set_up(scene, plan, used)
        cameras = export_cameras(scene, plan.shots)
        held_out = held_out_photos(plan)
        finished = KeptImages(folder, plan, cameras, image_settings.rendered_layer(scene))
        kept = finished.photos
        self._send(RenderStarted(engine_name(scene), len(plan.shots)))
        for note in (*notes, *notes_on_motion(scene, plan)):
            self._send(Warned(note))
        if kept:
            self._send(Warned(f"{len(kept)} finished images of the interrupted capture are kept."))
        if plan.outside is not None:
            if len(plan.shots) < plan.outside.count:
                self._send(Warned(f"Only {len(plan.shots)} of {plan.outside.count} views off the path were found."))
            with outside.few_samples(scene):
                for shot in compared:
                    scene.camera = objects[shot.camera]
                    render_still(scene, shot, folder.path, None)
            outside.require_same(plan.outside, [folder.path / shot.photo for shot in compared])
        wanted = [shot for shot in plan.shots if shot.photo not in kept]
        self.done = len(kept)
        writer = passes.PassWriter(scene, plan, folder.path) if plan.depth or plan.normals else None
        began = time.monotonic()
        for index, shot in enumerate(wanted):
            self._tell_progress(len(plan.shots), index, time.monotonic() - began)
            set_frame(scene, shot.frame)
            finished.record(shot.frame)
            scene.camera = objects[shot.camera]
            render_still(scene, shot, folder.path, writer)
            self.done += 1
        if bpy.app.autoexec_fail:
            self._send(about_blocked_scripts(plan))
        require_something_visible([folder.path / shot.photo for shot in plan.shots])
        with self.lock:
            write_cameras(folder, plan, cameras, held_out)
            swap_in(folder)
            self._is_complete = True
        return RenderFinished(len(plan.shots), False, time.monotonic() - self._began)

    def _tell_progress(self, total: int, rendered: int, seconds: float) -> None:
        left = (total - self.done) * seconds / rendered if rendered else math.nan
        self._send(RenderProgressed(self.done, total, left))

    def _send(self, event: Event) -> None:
        with self.lock:
            self.wire.send(event)


def open_scene(folder: RenderFolder, plan: RenderPlan) -> bpy.types.Scene:
    """Open the copy, with the pixels that were not saved in it, and make the plan's scene the context's."""
    if not hasattr(bpy.types.Scene, "cycles"):
        with suppress(RuntimeError):
            bpy.ops.preferences.addon_enable(module="cycles")
    _open_copy(folder, plan)
    if find_bakes(plan) and bpy.app.version < (5, 0):  # where a bake that was not found is not looked for again
        bpy.ops.wm.save_mainfile()
        _open_copy(folder, plan)
    scene = next((scene for scene in bpy.data.scenes if scene.name_full == plan.scene), None)
    if scene is None:
        raise CaptureError(f"The scene '{plan.scene}' is not in the copy.", f"{plan.again.capitalize()}.")
    window = bpy.context.window_manager.windows[0] if len(bpy.context.window_manager.windows) else None
    if window is not None:
        if window.scene != scene:
            window.scene = scene
        window.view_layer = image_settings.rendered_layer(scene)  # the one in which simulations are played
    for name, file in plan.unsaved_images:
        image = next((image for image in bpy.data.images if image.name_full == name), None)
        if image is not None:
            if image.packed_files:
                image.unpack(method="REMOVE")  # what was packed is what it was before it was painted
            image.source = "TILED" if "<UDIM>" in file else "FILE"
            image.filepath = str(folder.path / file)
            image.reload()
    return scene


def _open_copy(folder: RenderFolder, plan: RenderPlan) -> None:
    try:
        bpy.ops.wm.open_mainfile(filepath=str(folder.blend_file), load_ui=False, use_scripts=plan.use_scripts)
    except RuntimeError as error:
        raise CaptureError(
            f"The copy of the scene cannot be opened ({error}).", "Save the file and try again."
        ) from error


def engine_name(scene: bpy.types.Scene) -> str:
    """The name of the render engine as users know it."""
    engine = scene.render.engine
    return {"CYCLES": "Cycles", "BLENDER_WORKBENCH": "Workbench"}.get(
        engine, "EEVEE" if engine.startswith("BLENDER_EEVEE") else engine
    )


def about_blocked_scripts(plan: RenderPlan) -> Warned:
    """What of the scene was not computed, since its Python may not run."""
    return Warned(
        f"Python in the scene did not run ({bpy.app.autoexec_fail_message}), as in your own Blender.",
        f"If you trust the file, allow execution of its scripts, and {plan.again}.",
    )


def notes_on_motion(scene: bpy.types.Scene, plan: RenderPlan) -> list[str]:
    """A sentence about things that move between the first, the middle and the last image."""
    frames = [shot.frame for shot in plan.shots]
    moving: set[str] = set()
    before: dict[str, Any] = {}
    for frame in dict.fromkeys((frames[0], frames[len(frames) // 2], frames[-1])):
        set_frame(scene, frame)
        now = {item.name: item.matrix_world.copy() for item in scene.objects if item.type in (*SURFACE_TYPES, "LIGHT")}
        moving |= {name for name, matrix in before.items() if now[name] != matrix}
        before = now
    if not moving:
        return []
    names = image_settings.some(sorted(moving))
    return [f"While the images are made, {names} moved: splats hold still. Capture at one frame, or stop the motion."]


def held_out_photos(plan: RenderPlan) -> set[str]:
    """The photos that are marked; when none is, every n-th by name."""
    marked = {shot.photo for shot in plan.shots if shot.is_held_out}
    if marked:
        return marked
    names = sorted(shot.photo for shot in plan.shots)
    return {names[index] for index in held_out_indices(len(names), plan.hold_out_every)}


def render_still(scene: bpy.types.Scene, shot: Shot, work: Path, writer: "passes.PassWriter | None") -> None:
    """Render the scene's camera into `work`, aside first. Raises CaptureError."""
    target = work / shot.photo
    aside = target.with_name(target.stem + PARTIAL)
    scene.render.filepath = without_templates(aside, scene.render, "filepath")
    remedy = "Render the scene with F12 to see what is wrong."
    try:
        if writer is not None:
            writer.prepare()
        bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        said = " ".join(str(error).split()).removeprefix("Error: ").rstrip(".")
        raise CaptureError(f"Rendering '{shot.camera}' failed: {said}.", remedy) from error
    if not aside.is_file():
        raise CaptureError(f"Rendering '{shot.camera}' made no image.", remedy)
    if writer is not None:
        writer.collect(shot.photo)
    try:
        move_into_place(aside, target)
    except OSError as error:
        raise CaptureError(f"The image of '{shot.camera}' cannot be saved ({error.strerror}).", remedy) from error


def require_something_visible(images: list[Path]) -> None:
    """A capture of nothing would train without complaint: look at some of its images."""
    for path in images[:: max(1, len(images) // 6)]:
        image = bpy.data.images.load(str(path))
        pixels = np.empty(image.size[0] * image.size[1] * 4, dtype=np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        if pixels[3::4].any():
            return
    raise CaptureError(
        "Nothing of the scene is visible in these views.",
        "Check that the objects are enabled in renders, not tiny, and within the cameras' clipping range.",
    )


def write_cameras(folder: RenderFolder, plan: RenderPlan, cameras: dict[str, Camera], held_out: set[str]) -> None:
    """`transforms.json` in the work folder."""
    extra = {"view_transform": image_settings.VIEW_TRANSFORM, "color_space": "sRGB", "source": SCENE_SOURCE}
    if any(shot.is_held_out for shot in plan.shots):
        extra["held_out_by"] = "mark"
    if plan.outside is not None:
        extra[MADE_FOR] = plan.outside.made_for
    files = {
        photo: {
            key: f"{name}/{passes.pass_name(photo)}"
            for key, name, is_wanted in (
                ("depth_file_path", "depths", plan.depth),
                ("normal_file_path", "normals", plan.normals),
            )
            if is_wanted
        }
        for photo in cameras
    }
    ordered = {name: cameras[name] for name in sorted(cameras)}
    points = POINTS_FILE if (folder.path / POINTS_FILE).is_file() else None
    write_transforms(folder.path / FILE_NAME, ordered, held_out, points, extra, frame_extra=files)


def swap_in(folder: RenderFolder) -> None:
    """Move the finished capture into its place, or leave the earlier one as it was. Raises OSError.

    The work folder, with what was there before, is the parent's to remove: this process still writes its record there.
    """
    old = folder.path / "old"
    remove_folder(old)
    old.mkdir()
    move_all_into_place(_moves(folder.path, folder.capture, old))


def _moves(work: Path, capture: Path, old: Path) -> Iterator[tuple[Path, Path]]:
    """What swaps the capture in, the list of cameras last; other files of the capture folder are left alone."""
    for name in ("images", "depths", "normals", POINTS_FILE, FILE_NAME):
        is_folder = (work / name).is_dir()
        is_new = any((work / name).iterdir()) if is_folder else (work / name).is_file()
        if (capture / name).exists() and (is_new or name != POINTS_FILE):
            yield capture / name, old / name
        if is_new:
            yield work / name, capture / name
