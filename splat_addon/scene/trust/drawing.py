"""The draw handlers: the volume in the scene; badge and strip over it."""

import traceback
from typing import Any

import blf
import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..session import part
from . import badge, measured, strip, volume
from .bars import Bars

_CORNERS = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], np.float32)
_FACES = [(x, y, z) for x in (0, 1) for y in (2, 3) for z in (4, 5)]  # of an octahedron
_PLATE, _TEXT = (0.0, 0.0, 0.0, 0.95), (1.0, 1.0, 1.0, 1.0)


class Drawing:
    """The handlers, the batch of the volume as far as it is known, and the strips."""

    def __init__(self) -> None:
        self.handlers: list[object] = []
        self.batch: Any = None
        self.drawn: tuple[int, int] = (0, 0)  # what the batch is of: the trust's id, and how many places
        self.bars: dict[int, Bars] = {}  # the strip's, by the region's pointer
        self.has_failed = False

    def close(self) -> None:
        for handler in self.handlers:
            bpy.types.SpaceView3D.draw_handler_remove(handler, "WINDOW")
        self.handlers, self.batch, self.bars = [], None, {}


def start() -> None:
    """Draw, from the next redraw on, what the settings ask for."""
    drawing = part(Drawing)
    drawing.close()
    drawing.has_failed = False
    badge.begin()
    add = bpy.types.SpaceView3D.draw_handler_add
    drawing.handlers = [
        add(_guarded, (_draw_volume,), "WINDOW", "POST_VIEW"),
        add(_guarded, (_draw_over,), "WINDOW", "POST_PIXEL"),
    ]


def stop() -> None:
    """Draw no more."""
    part(Drawing).close()


def _guarded(draw) -> None:
    """An error is printed once, not at each redraw."""
    drawing, found = part(Drawing), measured.trust()
    if drawing.has_failed or found is None:
        return
    try:
        draw(bpy.context, found)
    except Exception:
        drawing.has_failed = True
        traceback.print_exc()


def _draw_volume(context: bpy.types.Context, found: measured.Trust) -> None:
    item = measured.object_of(found)
    if not context.scene.splat.trust.show_volume or item is None or item.name not in context.scene.objects:
        return
    lattice, drawing = volume.volume(), part(Drawing)
    if lattice.trust is not found:
        return  # it will be begun
    if drawing.drawn != (id(found), len(lattice.answers)) or drawing.batch is None:
        drawing.batch, drawing.drawn = _batch_of(lattice, found), (id(found), len(lattice.answers))
    if drawing.batch is None:
        return
    shader: Any = gpu.shader.from_builtin("FLAT_COLOR")
    gpu.state.depth_test_set("LESS_EQUAL")
    gpu.state.depth_mask_set(True)
    matrices: Any = gpu.matrix
    with matrices.push_pop():
        matrices.multiply_matrix(item.matrix_world)
        shader.bind()
        drawing.batch.draw(shader)
    gpu.state.depth_mask_set(False)
    gpu.state.depth_test_set("NONE")


def _batch_of(lattice: volume.Volume, found: measured.Trust) -> Any:
    """An octahedron for each place that was answered; None while there is none."""
    count = len(lattice.answers)
    if count == 0:
        return None
    places = lattice.places[:count].astype(np.float32)
    sizes = lattice.spacing * np.array([volume.size_of(found, answer) for answer in lattice.answers], np.float32)
    corners = places[:, None] + sizes[:, None, None] * _CORNERS
    colors = np.array([(*volume.color_of(found, answer), 1.0) for answer in lattice.answers], np.float32)
    faces = corners[:, np.array(_FACES).reshape(-1)].reshape(-1, 3)
    shader: Any = gpu.shader.from_builtin("FLAT_COLOR")
    return batch_for_shader(shader, "TRIS", {"pos": faces, "color": np.repeat(colors, 24, axis=0)})


def _draw_over(context: bpy.types.Context, found: measured.Trust) -> None:
    chosen, region = context.scene.splat.trust, context.region
    if region is None or context.area is None:
        return
    scale = context.preferences.system.ui_scale
    left = max((other.width for other in context.area.regions if other.type == "TOOLS"), default=0)
    right = region.width - max((other.width for other in context.area.regions if other.type == "UI"), default=0)
    asked = strip.frames(context.scene) if chosen.show_strip else []
    if asked:
        _draw_strip(context, found, asked, left, right, scale)
    if chosen.show_badge:
        answer = badge.answer_in(context)
        if answer is not None:
            _draw_badge(found, answer, left, round((66 if asked else 16) * scale), scale)


def _draw_badge(found: measured.Trust, answer: measured.Answer, left: int, bottom: int, scale: float) -> None:
    blf.size(0, 13 * scale)
    text: Any = answer.text
    size: Any = blf.dimensions(0, text)
    width = size[0]
    margin, height = round(8 * scale), round(26 * scale)
    x, swatch = left + round(12 * scale), round(12 * scale)
    _rectangle(x, bottom, x + width + swatch + 3 * margin, bottom + height, _PLATE)
    color = (*volume.color_of(found, answer), 1.0)
    _rectangle(x + margin, bottom + (height - swatch) / 2, x + margin + swatch, bottom + (height + swatch) / 2, color)
    blf.color(0, *_TEXT)
    blf.position(0, x + 2 * margin + swatch, bottom + round(8 * scale), 0)
    blf.draw(0, text)


def _draw_strip(context, found: measured.Trust, asked: list[strip.Frame], left: int, right: int, scale: float) -> None:
    """One bar for each frame and a line about the worst; the current frame is a white line."""
    margin, bottom, top, plate_top = (round(size * scale) for size in (12, 8, 42, 60))
    start, end = left + margin, right - margin
    if end - start < 50 * scale:
        return
    shown, key, box = part(Drawing).bars, context.region.as_pointer(), (start, end, bottom, top, plate_top)
    if key not in shown or not shown[key].are_of(asked, found, box):
        shown[key] = Bars(asked, found, box)
    shown[key].draw()
    first, last = asked[0].number, asked[-1].number
    at = start + (end - start) * (context.scene.frame_current - first + 0.5) / (last - first + 1)
    if start <= at <= end:
        _rectangle(at - scale, bottom, at + scale, top, (1, 1, 1, 1))
    blf.size(0, 11 * scale)
    blf.color(0, *_TEXT)
    blf.position(0, start + 6 * scale, top + 5 * scale, 0)
    blf.draw(0, shown[key].text)


def _rectangle(left: float, bottom: float, right: float, top: float, color: tuple[float, ...]) -> None:
    shader: Any = gpu.shader.from_builtin("UNIFORM_COLOR")
    corners = [(left, bottom, 0), (right, bottom, 0), (left, top, 0), (right, top, 0)]
    batch = batch_for_shader(shader, "TRI_STRIP", {"pos": corners})
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("color", color)
    batch.draw(shader)
    gpu.state.blend_set("NONE")
