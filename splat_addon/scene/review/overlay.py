"""What lies over the camera's frame while a held-out view is reviewed: images, wipe line and badge.

One draw handler for all viewports. It draws where a viewport looks through the review camera, and nowhere else.
"""

import traceback
from dataclasses import dataclass
from typing import Any

import blf
import bpy
import gpu
from gpu_extras.batch import batch_for_shader

from ...capture.camera import Camera
from ..cameras.framing import free_part
from ..own_data import is_own
from ..session import part
from .frame import Frame, frame_of
from .outlines import Outlines, draw_outlines
from .pictures import Picture
from .shader import Look, draw_images, forget_shader

CAMERA_NAME = "Splat Held-out View"
# Blending is linear there: 0.95 of black over white is shown as a dark gray, 0.7 would be a light one.
_TEXT, _FAINT = (1.0, 1.0, 1.0, 1.0), (0.8, 0.8, 0.8, 1.0)
_PLATE, _DARK, _LINE, _HOT = (0, 0, 0, 0.95), (0, 0, 0, 0.9), (1, 1, 1, 0.9), (1.0, 0.72, 0.2, 1.0)


@dataclass(frozen=True)
class Shown:
    """The view that is shown: its images and what was measured."""

    name: str
    scene_uid: int  # the scene it is shown in
    camera: Camera  # with the photo's lens distortion
    photo: Picture
    trained: Picture
    step: int
    psnr_db: float
    ssim: float
    place: str = ""  # "2 of 14, worst first"


class Overlay:
    """The one overlay: what it shows, its handler, and whether drawing has failed for this view."""

    def __init__(self) -> None:
        self.shown: Shown | None = None
        self.outlines: Outlines | None = None  # over its images
        self.handler: object | None = None
        self.has_failed = False
        self.is_line_hot = False

    def close(self) -> None:
        """A view that is shown stays looked through until the review is left."""
        self.remove_handler()
        forget_shader()

    def remove_handler(self) -> None:
        """Stop drawing."""
        if self.handler is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self.handler, "WINDOW")
            self.handler = None


def _overlay() -> Overlay:
    return part(Overlay)


def show(shown: Shown | None) -> None:
    """Show a view, or nothing, from the next drawing on."""
    overlay = _overlay()
    overlay.shown, overlay.outlines, overlay.has_failed = shown, None, False
    if shown is not None:
        to_front()


def shown() -> Shown | None:
    """The view whose images are loaded."""
    return _overlay().shown


def outline(outlines: Outlines | None) -> None:
    """Draw outlines over the images of the view that is shown, until another one is."""
    _overlay().outlines = outlines


def outlines_over_images(scene: bpy.types.Scene) -> Outlines | None:
    """The outlines that are drawn; None where there are none, or no images that cover what they are of."""
    outlines = _overlay().outlines
    is_covered = scene.splat.review.mode != "NONE"
    return outlines if outlines is not None and is_covered and outlines.are_current(scene) else None


def to_front() -> None:
    """Draw after all other handlers: those that draw splats must not paint over the images."""
    _overlay().remove_handler()
    _overlay().handler = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL")


def set_line_hot(is_hot: bool) -> None:
    """Whether the mouse could take, or holds, the wipe line."""
    _overlay().is_line_hot = is_hot


def frame_in_view(context: bpy.types.Context) -> Frame | None:
    """The frame in the viewport of `context`; None where it does not look through the review camera."""
    space, region = context.space_data, context.region
    if not isinstance(space, bpy.types.SpaceView3D) or region is None or region.type != "WINDOW":
        return None
    region_3d = context.region_data
    camera_object = space.camera if space.use_local_camera else context.scene.camera
    if camera_object is None or not is_own(camera_object, CAMERA_NAME) or region_3d.view_perspective != "CAMERA":
        return None
    return frame_of(camera_object, context.scene, region, region_3d)


def badge_lines(shown: Shown, look: Look) -> tuple[str, str]:
    """What the badge says: which view and how well it is reproduced; what is seen."""
    what = {
        "PHOTO": "Photo",
        "RENDER": f"Trained, step {shown.step}",
        "DIFFERENCE": f"Difference × {look.gain:g}, step {shown.step}",
        "WIPE": f"Photo | Trained, step {shown.step}",
        "NONE": "Viewport",
    }[look.mode]
    measured = f"{shown.name}    PSNR {shown.psnr_db:.2f} dB    SSIM {shown.ssim:.3f}"
    return measured, f"{what}    {shown.place}".rstrip()


def _draw() -> None:
    """Blender calls this for every viewport. An error is printed once per view, not sixty times a second."""
    overlay = _overlay()
    if overlay.shown is None or overlay.has_failed:
        return
    try:
        _draw_view(bpy.context, overlay.shown)
    except Exception:
        overlay.has_failed = True
        traceback.print_exc()


def _draw_view(context: bpy.types.Context, shown: Shown) -> None:
    frame = frame_in_view(context) if context.scene.session_uid == shown.scene_uid else None
    if frame is None:
        return
    chosen = context.scene.splat.review
    look = Look(chosen.mode, chosen.wipe, chosen.gain, chosen.use_ramp, chosen.opacity)
    region, scale = context.region, context.preferences.system.ui_scale
    assert region is not None and context.area is not None  # a viewport is drawn
    if look.mode != "NONE":
        draw_images(frame, (region.width, region.height), shown.photo, shown.trained, shown.camera, look)
    outlines = outlines_over_images(context.scene)
    if outlines is not None:
        draw_outlines(frame, (region.width, region.height), outlines, scale)
    if look.mode == "WIPE":
        _draw_line(frame, frame.line_x(look.wipe), scale)
    if chosen.show_badge:
        _draw_badge(_visible(context.area, frame), badge_lines(shown, look), scale)


def _visible(area: bpy.types.Area, frame: Frame) -> Frame:
    """The part of the frame that no toolbar, header or sidebar covers."""
    left, bottom, right, top = free_part(area)
    return Frame(max(left, frame.left), max(bottom, frame.bottom), min(right, frame.right), min(top, frame.top))


def _draw_line(frame: Frame, x: float, scale: float) -> None:
    half, grip = 0.75 * scale, 3.0 * scale
    if _overlay().is_line_hot:
        half, grip = 1.25 * scale, 4.0 * scale
    color = _HOT if _overlay().is_line_hot else _LINE
    middle, reach = (frame.bottom + frame.top) / 2, min(16.0 * scale, frame.height / 4)
    _rectangle(Frame(x - half - 1, frame.bottom, x + half + 1, frame.top), _DARK)
    _rectangle(Frame(x - grip - 1, middle - reach - 1, x + grip + 1, middle + reach + 1), _DARK)
    _rectangle(Frame(x - half, frame.bottom, x + half, frame.top), color)
    _rectangle(Frame(x - grip, middle - reach, x + grip, middle + reach), color)


def _draw_badge(room: Frame, lines: tuple[str, ...], scale: float) -> None:
    """Lines of text on a dark plate in the upper left of `room`; nothing where it does not fit."""
    font, size = 0, 12 * scale
    blf.size(font, size)
    margin, step = round(7 * scale), round(17 * scale)
    sizes: list[Any] = [blf.dimensions(font, line) for line in lines]
    width = max(across for across, _ in sizes) + 2 * margin
    height = len(lines) * step + margin
    left, top = round(room.left + margin), round(room.top - margin)
    if left + width > room.right or top - height < room.bottom:
        return
    _rectangle(Frame(left, top - height, left + width, top), _PLATE)
    for number, line in enumerate(lines):
        blf.color(font, *(_FAINT if number else _TEXT))
        blf.position(font, left + margin, top - (number + 1) * step + round(2 * scale), 0)
        blf.draw(font, line)


def _rectangle(place: Frame, color: tuple[float, float, float, float]) -> None:
    shader: Any = gpu.shader.from_builtin("UNIFORM_COLOR")
    corners = [(place.left, place.bottom), (place.right, place.bottom), (place.left, place.top)]
    batch = batch_for_shader(shader, "TRI_STRIP", {"pos": [(*corner, 0.0) for corner in corners + [place[2:]]]})
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("color", color)
    batch.draw(shader)
    gpu.state.blend_set("NONE")
