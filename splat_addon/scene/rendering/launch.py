"""Starting the render of a scene into a capture folder: the copy of the .blend, the plan, and the process."""

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from ...capture.capture import Points
from ...capture.formats.transforms import FILE_NAME, is_own_capture
from ...capture.points import POINTS_FILE
from ...errors import CaptureError
from ...files import own_folder, remove_file, remove_folder
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.splat_ply import write_points, write_splats
from ...run.children.render_process import RenderProcess
from ...run.render_folder import RenderFolder, RenderPlan
from ..splats.data import Origin
from .fingerprint import same_scene

_PACKAGE_ROOT = Path(__file__).resolve().parents[3]


def start_render(
    plan: RenderPlan, points: Points | None, capture: Path, splats: tuple[GaussianCloud, Origin] | None = None
) -> RenderProcess:
    """Save a copy of the open file below `capture` and let another Blender render `plan` from it.

    An earlier capture stays until the new one is complete, and images of an interrupted one are kept if they would be
    the same. Raises CaptureError or SetupError; then nothing was started.
    """
    folder = RenderFolder(Path(capture), plan.again)
    require_own_place(folder.capture)
    try:
        own_folder(folder.path)
        (folder.path / "images").mkdir(exist_ok=True)
        remove_file(folder.events_file)
        remove_file(folder.log_file)
        if points is not None:
            write_points(folder.path / POINTS_FILE, points.positions, points.colors, points.normals)
        if splats is not None:
            write_splats(folder.splats_file, *splats)
        unsaved = _save_painted_images(folder.path)
        plan = replace(plan, blend_file=bpy.data.filepath, unsaved_images=unsaved)
        plan.write(folder.plan_file)
        same_scene.tell(folder, plan)
        _save_copy(folder.blend_file)
    except OSError as error:
        raise CaptureError(
            f"The capture folder {capture} cannot be written ({error.strerror}).",
            "Choose a folder that can be written and has space.",
        ) from error
    return RenderProcess(render_command(folder), folder)


def render_command(folder: RenderFolder) -> list[str]:
    """The command line that renders `folder`."""
    return blender_command(".splat_addon.scene.rendering.child import main", str(folder.capture.resolve()))


def blender_command(main: str, argument: str) -> list[str]:
    """The command line that calls a function, as it is imported from the extension: this Blender without a window, or
    its Python where it is a module.

    The extension is not installed there under a name to rely on, so it is imported by its place under a private one.
    """
    package = "splat_training_render"
    code = (
        f"import sys, types; package = types.ModuleType({package!r}); package.__path__ = [{str(_PACKAGE_ROOT)!r}]; "
        f"sys.modules[{package!r}] = package; import bpy; "
        f"from {package}{main}; "
        f"sys.exit(main({argument!r}))"
    )
    if bpy.app.binary_path:
        return [bpy.app.binary_path, "--background", "--python-exit-code", "1", "--python-expr", code]
    return [sys.executable, "-P", "-u", "-c", code]  # -P: nothing is imported from the capture folder


def require_own_place(folder: Path) -> None:
    """Raise CaptureError rather than write over photos that were not rendered here."""
    if is_own_capture(folder):
        return
    names = ("images", "depths", "normals", FILE_NAME, "sparse", POINTS_FILE)
    foreign = [name for name in names if (folder / name).exists()]
    if foreign:
        raise CaptureError(
            f"{folder} already holds {' and '.join(foreign)} that no capture of a scene has made.",
            "Choose an empty folder; nothing was changed.",
        )


def _save_copy(path: Path) -> None:
    """Save the open file as it is now, with paths that hold from there; the open file keeps its name and its state."""
    try:
        bpy.ops.wm.save_as_mainfile(
            filepath=str(path), copy=True, relative_remap=True, compress=False, check_existing=False
        )
    except RuntimeError as error:
        said = " ".join(str(error).split()).removeprefix("Error: ").rstrip(".")
        raise CaptureError(f"A copy of the file cannot be saved ({said}).", "Make room on that disk.") from error


def _save_painted_images(work: Path) -> tuple[tuple[str, str], ...]:
    """Write the pixels of images that were painted and not saved, which a copy of the file would lack."""
    folder = work / "painted"
    with contextlib.suppress(OSError):
        remove_folder(folder)
    saved: list[tuple[str, str]] = []
    for image in list(bpy.data.images):
        if not image.is_dirty or image.source not in ("FILE", "GENERATED", "TILED") or not image.has_data:
            continue
        folder.mkdir(exist_ok=True)
        if image.source == "TILED":
            name = f"painted/{len(saved):03d}.<UDIM>{Path(image.filepath).suffix or '.png'}"
            _save_tiles(image, str(work / name))
        else:
            name = f"painted/{len(saved):03d}.{'exr' if image.is_float else 'png'}"
            _save_pixels(image, str(work / name))
        saved.append((image.name_full, name))
    return tuple(saved)


def _save_pixels(image: bpy.types.Image, path: str) -> None:
    pixels = np.empty(image.size[0] * image.size[1] * image.channels, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    rgba = np.ones((len(pixels) // image.channels, 4), dtype=np.float32)
    rgba[:, : image.channels] = pixels.reshape(-1, image.channels)
    # Through an image of its own: saving the artist's would give it another file.
    copy = bpy.data.images.new("Splat Copy", *image.size, alpha=True, float_buffer=image.is_float)
    copy.pixels.foreach_set(rgba.ravel())
    copy.filepath_raw, copy.file_format = path, "OPEN_EXR" if image.is_float else "PNG"
    copy.save()
    bpy.data.images.remove(copy)


def _save_tiles(image: bpy.types.Image, path: str) -> None:
    """All tiles, of which Python only reaches the first; the artist's image keeps its files and stays unsaved."""
    try:
        image.save(filepath=path, save_copy=True)  # type: ignore[call-arg] # Blender 4.5
    except TypeError:
        image.save(filepath=path)
        image.pixels[0] = image.pixels[0]  # which tells Blender that it is not saved
