"""Rendering a scene into a capture folder."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..capture.camera import Camera
from ..capture.capture import Points, held_out_indices
from ..capture.transforms import FILE_NAME, SCENE_SOURCE, is_own_capture, write_transforms
from ..errors import CaptureError
from ..gaussians.ply import write_points
from .cameras import camera_from_object
from .restore import Borrowed, borrow
from .splats import is_splats

POINTS_FILE = "points3d.ply"


@dataclass(frozen=True)
class RenderOptions:
    """How training images are made."""

    samples: int = 64
    use_denoising: bool = True


@contextmanager
def sized(scene: bpy.types.Scene, resolution: tuple[int, int] | None) -> Iterator[None]:
    """Within, the scene renders at `resolution` (width, height in pixels); None leaves its own size and percentage."""
    with borrow() as settings:
        if resolution is not None:
            width, height = resolution
            settings.set(scene.render, resolution_x=width, resolution_y=height, resolution_percentage=100)
        yield


def capture_scene(
    scene: bpy.types.Scene,
    camera_objects: list[bpy.types.Object],
    points: Points,
    folder: Path,
    options: RenderOptions,
    hold_out_every: int,
    tell_progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Render `scene` through each camera with Cycles and write the capture `folder`; return sentences to show.

    Images are RGBA, 8 bit, the sRGB encoding of the Standard view over a transparent film. All settings of the scene
    are as before afterwards, and an earlier capture in `folder` stays until the new one is complete.
    Raises CameraError before the first image when a camera cannot be expressed, CaptureError when a render or the
    folder fails.
    """
    folder = Path(folder)
    aside = folder / ".capture.partial"
    frame = scene.frame_current, scene.frame_subframe
    notes: list[str] = []
    _require_own_place(folder)
    with borrow() as settings:
        try:
            _set_up_render(scene, settings, options)
            notes += _switch_off_lens_effects(scene, camera_objects, settings)
            photos = _photo_names(camera_objects)
            cameras = {
                photo: camera_from_object(item, scene) for photo, item in zip(photos, camera_objects, strict=True)
            }
            _make_empty(aside)
            for done, (photo, item) in enumerate(zip(cameras, camera_objects, strict=True)):
                tell_progress(done)
                settings.set(scene, camera=item)
                _render_still(scene, item, aside / photo)
            _require_something_visible([aside / photo for photo in photos])
            _write_models(aside, cameras, points, hold_out_every)
            _move_into_place(aside, folder)
        except OSError as error:
            raise CaptureError(
                f"The capture folder {folder} cannot be written ({error.strerror}).",
                "Choose a folder that can be written and has space.",
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            scene.frame_set(frame[0], subframe=frame[1])
    return notes


def _set_up_render(scene: bpy.types.Scene, settings: Borrowed, options: RenderOptions) -> None:
    render = scene.render
    settings.set(render, engine="CYCLES")
    settings.set(
        render,
        film_transparent=True,
        use_border=False,
        use_compositing=False,
        use_sequencer=False,
        use_motion_blur=False,
        use_multiview=False,
        use_stamp=False,
        dither_intensity=0.0,
        use_overwrite=True,
        use_placeholder=False,
        use_file_extension=True,
        use_persistent_data=True,
        filepath=render.filepath,
    )
    settings.set(
        scene.cycles,
        samples=options.samples,
        use_denoising=options.use_denoising,
        film_transparent_glass=False,
        use_adaptive_sampling=True,
    )
    settings.set(
        render.image_settings,
        media_type="IMAGE",
        file_format="PNG",
        color_mode="RGBA",
        color_depth="8",
        compression=15,
        color_management="FOLLOW_SCENE",
    )
    settings.set(scene.display_settings, display_device="sRGB")
    settings.set(
        scene.view_settings,
        view_transform="Standard",
        look="None",
        exposure=0.0,
        gamma=1.0,
        use_curve_mapping=False,
        use_white_balance=False,
    )
    for item in scene.objects:
        if is_splats(item):
            settings.set(item, hide_render=True)


def _switch_off_lens_effects(
    scene: bpy.types.Scene, camera_objects: list[bpy.types.Object], settings: Borrowed
) -> list[str]:
    blurred = [item.name for item in camera_objects if item.data.dof.use_dof]
    for item in camera_objects:
        settings.set(item.data.dof, use_dof=False)
    if not blurred:
        return []
    names = ", ".join(f"'{name}'" for name in blurred[:3])
    return [f"Depth of field of {names} was switched off for the capture: splats need sharp photos."]


def _require_own_place(folder: Path) -> None:
    """Never write over photos that were not rendered here."""
    if is_own_capture(folder):
        return
    foreign = [name for name in ("images", FILE_NAME, "sparse", POINTS_FILE) if (folder / name).exists()]
    if foreign:
        raise CaptureError(
            f"{folder} already holds {' and '.join(foreign)} that no capture of a scene has made.",
            "Choose an empty folder; nothing was changed.",
        )


def _require_something_visible(images: list[Path]) -> None:
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


def _photo_names(camera_objects: list[bpy.types.Object]) -> list[str]:
    """One file name per camera, all different."""
    names: list[str] = []
    for item in camera_objects:
        safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in item.name)
        number, name = 2, f"images/{safe}.png"
        while name.lower() in [taken.lower() for taken in names]:
            number, name = number + 1, f"images/{safe}_{number}.png"
        names.append(name)
    return names


def _render_still(scene: bpy.types.Scene, camera_object: bpy.types.Object, path: Path) -> None:
    scene.render.filepath = str(path)
    remedy = "Render this camera with F12 to see what is wrong; the earlier capture, if any, is unchanged."
    try:
        bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        said = " ".join(str(error).split()).removeprefix("Error: ").rstrip(".")
        raise CaptureError(f"Rendering '{camera_object.name}' failed: {said}.", remedy) from error
    if not path.is_file():
        raise CaptureError(f"Rendering '{camera_object.name}' made no image.", remedy)


def _make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "images").mkdir(parents=True)


def _write_models(folder: Path, cameras: dict[str, Camera], points: Points, hold_out_every: int) -> None:
    names = sorted(cameras)
    indices = held_out_indices(len(names), hold_out_every)
    held_out = {name for index, name in enumerate(names) if index in indices}
    write_points(folder / POINTS_FILE, points.positions, points.colors, points.normals)
    extra = {"view_transform": "Standard", "source": SCENE_SOURCE}
    write_transforms(folder / FILE_NAME, {name: cameras[name] for name in names}, held_out, POINTS_FILE, extra)


def _move_into_place(aside: Path, folder: Path) -> None:
    """Swap the finished capture in, the list of cameras last; other files in `folder` are left alone."""
    old_images = aside / "images.old"
    if (folder / "images").exists():
        os.replace(folder / "images", old_images)
    os.replace(aside / "images", folder / "images")
    os.replace(aside / POINTS_FILE, folder / POINTS_FILE)
    os.replace(aside / FILE_NAME, folder / FILE_NAME)
