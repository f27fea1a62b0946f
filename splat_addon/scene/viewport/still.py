"""What a viewport shows, splats included, as an image of any size: Blender's own viewport renders leave splats out.

Blender draws the scene without calling draw handlers; the splats are painted with the depth it leaves, and blended as
they are in viewports. Images are (H, W, 4) display-encoded, alpha not multiplied in, the first row at the bottom, as
Blender keeps them. Needs a graphics context: a window, or `gpu.init()` in background.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import gpu
import numpy as np
from mathutils import Matrix

from ...errors import CameraError, OutputError
from . import display
from .look import look_of
from .picture import Picture, Viewpoint, make_texture

_ENCODING = 2.2  # the power with which Blender blends overlays


@dataclass(frozen=True)
class Viewport:
    """Which 3D view is rendered, and how."""

    scene: bpy.types.Scene
    layer: bpy.types.ViewLayer
    space: Any  # of the area
    region: Any  # the area's main one
    is_through_camera: bool = False  # the scene's camera, whatever the view shows
    has_overlays: bool = False


def has_graphics() -> bool:
    """Whether anything can be drawn: not without a window, unless `gpu.init()` was called."""
    try:
        return gpu.capabilities.max_texture_size_get() > 0
    except SystemError:
        return False


def size_of(scene: bpy.types.Scene) -> tuple[int, int]:
    """Width and height in pixels of what the scene renders. Raises OutputError when no texture is as large."""
    render = scene.render
    width = max(1, render.resolution_x * render.resolution_percentage // 100)
    height = max(1, render.resolution_y * render.resolution_percentage // 100)
    largest = gpu.capabilities.max_texture_size_get()
    if max(width, height) > largest:
        raise OutputError(
            f"{width} × {height} pixels are more than this graphics card draws at once ({largest} a side).",
            "Lower the resolution in Properties › Output.",
        )
    return width, height


def draw(viewport: Viewport, picture: Picture) -> np.ndarray:
    """The image of a viewport, in the scene's resolution. `picture` may be used again for the next one.

    Raises CameraError when there is no camera to look through, SplatError for too many pixels or splats.
    """
    scene, space = viewport.scene, viewport.space
    view = viewpoint_of(viewport)
    is_transparent = scene.render.film_transparent
    with _shown_as(space, _drawable(space.shading.type, scene), viewport.has_overlays):
        below, depth = _drawn_by_blender(viewport, view, not is_transparent)
    shown = display.shown_in(scene, viewport.layer, space)
    if not shown.placed:
        return _straight(below)
    is_hiding = scene.splat.viewport.is_hidden_by_meshes and space.shading.type != "WIREFRAME"
    if is_hiding and not depth.any():  # EEVEE leaves none without overlays
        with _shown_as(space, "SOLID", False):
            depth = _drawn_by_blender(viewport, view, True)[1]
    look = look_of(scene, shown.blend_spaces)
    atlas, blocks = display.current_atlas(shown.items, shown.preview)
    hiding = make_texture(depth, view.width_px, view.height_px, "R32F") if is_hiding else None
    picture.paint(atlas, blocks, shown.placed, view, look, hiding)
    return blend(_straight(below), _pixels(picture.texture), look.is_linear)


def blend(below: np.ndarray, splats: np.ndarray, is_linear: bool) -> np.ndarray:
    """Lay the splats' picture, premultiplied, display-encoded or linear, over an image, as the viewport does."""
    image = below.copy()
    places = np.nonzero(splats[..., 3] > 0)
    above = splats[places]
    alpha = above[:, 3:]
    color = above[:, :3] / alpha
    if is_linear:
        color = np.where(color <= 0.0031308, 12.92 * color, 1.055 * np.maximum(color, 0) ** (1 / 2.4) - 0.055)
    under = below[places]
    kept = under[:, 3:] * (1 - alpha)
    light = kept * under[:, :3] ** _ENCODING + alpha * np.clip(color, 0, 1) ** _ENCODING
    image[places] = np.concatenate([(light / (kept + alpha)) ** (1 / _ENCODING), kept + alpha], axis=1)
    return image


# --- Where it is seen from -------------------------------------------------------------------------------------------


def viewpoint_of(viewport: Viewport) -> Viewpoint:
    """From where the image is seen, as Blender's own viewport renders are. Raises CameraError without a camera."""
    scene, space = viewport.scene, viewport.space
    width, height = size_of(scene)
    region_3d = space.region_3d
    if viewport.is_through_camera or region_3d.view_perspective == "CAMERA":
        is_local = space.use_local_camera and not viewport.is_through_camera
        return _through(space.camera if is_local else scene.camera, viewport, width, height)
    clip = np.array(region_3d.window_matrix)
    aspects = _spread(viewport.region.width, viewport.region.height), _spread(width, height)
    clip[0] *= aspects[1][0] / aspects[0][0]
    clip[1] *= aspects[1][1] / aspects[0][1]
    return Viewpoint(width, height, np.array(region_3d.view_matrix), clip)


def _spread(width: int, height: int) -> tuple[float, float]:
    """How much narrower than the longer side the view is across and up: the longer side always shows the same."""
    longer = max(width, height)
    return longer / width, longer / height


def _through(camera: bpy.types.Object | None, viewport: Viewport, width: int, height: int) -> Viewpoint:
    if camera is None or camera.type != "CAMERA":
        raise CameraError("The scene has no camera to look through.", "Add one, or render the view instead.")
    viewport.layer.update()
    graph: Any = viewport.layer.depsgraph
    item: Any = camera.evaluated_get(graph)
    render = viewport.scene.render
    clip = item.calc_matrix_camera(
        graph, x=width, y=height, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    )
    return Viewpoint(width, height, np.array(item.matrix_world.normalized().inverted()), np.array(clip))


# --- What Blender draws ----------------------------------------------------------------------------------------------


def _drawable(shading: str, scene: bpy.types.Scene) -> str:
    """The shading in which Blender draws offscreen: Cycles and other engines only draw in windows."""
    is_own = scene.render.engine.startswith("BLENDER_")
    return "MATERIAL" if shading == "RENDERED" and not is_own else shading


def stands_in(viewport: Viewport) -> bool:
    """Whether Material Preview is drawn in place of an engine that only draws in windows."""
    shading = viewport.space.shading.type
    return _drawable(shading, viewport.scene) != shading


@contextlib.contextmanager
def _shown_as(space: Any, shading: str, has_overlays: bool) -> Iterator[None]:
    """Let a viewport have this shading, with or without overlays, and then again what it had."""
    before = space.shading.type, space.overlay.show_overlays
    try:
        for owner, name, value in ((space.shading, "type", shading), (space.overlay, "show_overlays", has_overlays)):
            if getattr(owner, name) != value:
                setattr(owner, name, value)
        yield
    finally:
        if space.shading.type != before[0]:
            space.shading.type = before[0]
        if space.overlay.show_overlays != before[1]:
            space.overlay.show_overlays = before[1]


def _drawn_by_blender(viewport: Viewport, view: Viewpoint, has_background: bool) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 4) premultiplied and display-encoded, and (H, W) the depth, 0 near to 1 far."""
    width, height = view.width_px, view.height_px
    types: Any = gpu.types
    state: Any = gpu.state
    offscreen = types.GPUOffScreen(width, height, format="RGBA16F")
    try:
        offscreen.draw_view3d(
            viewport.scene,
            viewport.layer,
            viewport.space,
            viewport.region,
            _matrix(view.view_from_world),
            _matrix(view.clip_from_view),
            do_color_management=True,
            draw_background=has_background,
        )
        with offscreen.bind():
            depth = state.active_framebuffer_get().read_depth(0, 0, width, height)
        return _pixels(offscreen.texture_color), np.array(depth, dtype=np.float32).reshape(height, width)
    finally:
        offscreen.free()


def _matrix(numbers: np.ndarray) -> Matrix:
    return Matrix(numbers.tolist())


def _pixels(texture: Any) -> np.ndarray:
    return np.array(texture.read(), dtype=np.float32).reshape(texture.height, texture.width, 4)


def _straight(image: np.ndarray) -> np.ndarray:
    """0 to 1, with the alpha that is multiplied in taken out."""
    image = np.clip(image, 0, 1)
    alpha = image[..., 3:]
    np.divide(image[..., :3], alpha, out=image[..., :3], where=alpha > 0)
    return np.clip(image, 0, 1, out=image)
