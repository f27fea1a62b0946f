"""The chosen gaussian over the 3D view: its outline at one sigma, the pixel that pulls it most, and an arrow down the
gradient of its position, with the factors of the lesson's equation beside it."""

import traceback
from typing import Any

import blf
import bpy
import gpu
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader
from mathutils import Vector

from ...lesson.fitter import Fitter
from ...lesson.terms import Terms, terms_of
from ..cameras.framing import free_part
from ..session import part
from . import live, shown

OUTLINE, PIXEL, ARROW = (1.0, 1.0, 1.0, 0.9), (0.37, 0.69, 1.0, 1.0), (1.0, 0.62, 0.2, 1.0)
LONGEST, SHORTEST = 3.0, 0.8  # of the arrow, in sigmas: the gaussian that is pulled hardest, and one that is not
_WIDTH_PX = 2.0


class Overlay:
    """The draw handlers, and the factors that were found last."""

    def __init__(self) -> None:
        self.handles: list[Any] = []
        self.found: tuple[Any, int, Terms | None] = (None, -1, None)

    def close(self) -> None:
        """Draw no more."""
        for handle in self.handles:
            bpy.types.SpaceView3D.draw_handler_remove(handle, "WINDOW")
        self.handles.clear()


def chosen_terms(scene: bpy.types.Scene, fitter: Fitter) -> Terms | None:
    """The factors of the chosen gaussian; None when none is chosen, or it reaches no pixel. Found once for each step
    that is shown."""
    number, measured = scene.splat.lesson.selected, fitter.measured
    if measured is None or not 0 <= number < len(measured.gaussians):
        return None
    overlay = part(Overlay)
    if overlay.found[0] is not measured or overlay.found[1] != number:
        overlay.found = measured, number, terms_of(measured, number, fitter.settings.is_additive)
    return overlay.found[2]


def lines_of(terms: Terms) -> list[str]:
    """The lesson's equation with this gaussian's numbers, a factor in each line."""
    return [
        f"Pixel ({terms.pixel[0]}, {terms.pixel[1]}), of {terms.pixel_count}",
        f"∂L/∂R   {_row(terms.residual)}",
        f"c   {_row(terms.color)}",
        f"w   {_number(terms.weight)}",
        f"(p − μ)/σ²   {_row(terms.lever)}",
        f"= {_row(terms.term)}",
        f"Σ = ∂L/∂μ   {_row(terms.gradient)}",
    ]


def arrow_of(terms: Terms, fitter: Fitter, number: int) -> np.ndarray:
    """(2, 2) px from the gaussian's center down the gradient; longer where it is pulled harder."""
    assert fitter.measured is not None
    norms = np.linalg.norm(fitter.measured.gradients.means, axis=1)
    length = float(np.linalg.norm(terms.gradient))
    center = np.array(terms.center)
    if length == 0:
        return np.stack([center, center])
    sigma = float(fitter.measured.gaussians.sigmas[number].max())
    reach = sigma * (SHORTEST + (LONGEST - SHORTEST) * length / float(norms.max()))
    return np.stack([center, center - terms.gradient / length * reach])


def _row(values) -> str:
    return "(" + ", ".join(_number(float(value)) for value in values) + ")"


def _number(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 0.01 else f"{value:.2f}"


def _draw() -> None:
    """Called by Blender at the end of each redraw of each viewport."""
    try:
        _draw_region(bpy.context)
    except Exception:  # shown once, not at each redraw
        traceback.print_exc()
        part(Overlay).close()


def _draw_region(context: Any) -> None:
    scene, region = context.scene, context.region
    fitter = live.fitter_of(scene)
    if fitter is None or scene.splat.lesson.selected < 0 or not context.space_data.overlay.show_overlays:
        return
    item, terms = shown.find(scene), chosen_terms(scene, fitter)
    if item is None or terms is None or not item.visible_get(view_layer=context.view_layer):
        return
    number = scene.splat.lesson.selected

    def on_screen(points: np.ndarray) -> list[Any]:
        places = shown.places_of(points, fitter.size)
        places[:, 1] = -shown.THIN_M * len(fitter.gaussians)  # before all of them
        world = [item.matrix_world @ Vector(place) for place in places]
        return [location_3d_to_region_2d(region, context.region_data, place) for place in world]

    assert fitter.measured is not None
    gaussians, scale = fitter.measured.gaussians, context.preferences.system.ui_scale
    turns = np.linspace(0, 2 * np.pi, 49)
    around = np.stack([np.cos(turns), np.sin(turns)], axis=1) * gaussians.sigmas[number]
    outline = on_screen(np.array(terms.center) + around @ gaussians.axes()[number].T)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]) + np.array(terms.pixel)
    pixel = on_screen(corners)
    arrow = on_screen(arrow_of(terms, fitter, number))
    if any(place is None for place in (*outline, *pixel, *arrow)):
        return
    strokes: list[tuple[list[Any], tuple[float, ...]]] = [(outline, OUTLINE), (pixel, PIXEL)]
    start, tip = arrow
    along = tip - start
    if along.length > 1:
        along.normalize()
        across, head = Vector((-along.y, along.x)), 9 * scale
        strokes.append(([start, tip], ARROW))
        strokes.append(([tip - head * (along - 0.6 * across), tip, tip - head * (along + 0.6 * across)], ARROW))
    _draw_strokes(region, strokes, scale)
    places, margin = (*outline, start, tip), 14 * scale
    left, right = min(place.x for place in places) - margin, max(place.x for place in places) + margin
    _write(lines_of(terms), left, right, max(place.y for place in outline), free_part(context.area)[2], scale)


def _draw_strokes(region: Any, strokes: list[tuple[list[Any], tuple[float, ...]]], scale: float) -> None:
    """Polylines, dark around all of them, to be seen on anything."""
    shader: Any = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    gpu.state.blend_set("ALPHA")
    for is_dark in (True, False):
        for points, color in strokes:
            batch = batch_for_shader(shader, "LINE_STRIP", {"pos": [(point[0], point[1], 0.0) for point in points]})
            shader.bind()
            shader.uniform_float("viewportSize", (region.width, region.height))
            shader.uniform_float("lineWidth", (_WIDTH_PX + (2 if is_dark else 0)) * scale)
            shader.uniform_float("color", (0, 0, 0, 0.7) if is_dark else color)
            batch.draw(shader)
    gpu.state.blend_set("NONE")


def _draw_plate(left: float, bottom: float, right: float, top: float) -> None:
    shader: Any = gpu.shader.from_builtin("UNIFORM_COLOR")
    corners = [(left, bottom, 0.0), (right, bottom, 0.0), (left, top, 0.0), (right, top, 0.0)]
    batch = batch_for_shader(shader, "TRI_STRIP", {"pos": corners})
    gpu.state.blend_set("ALPHA")
    shader.bind()
    shader.uniform_float("color", (0, 0, 0, 0.6))
    batch.draw(shader)
    gpu.state.blend_set("NONE")


def _write(lines: list[str], left: float, right: float, top: float, end: float, scale: float) -> None:
    """Lines from `right` on, or where these would go beyond `end`, up to `left`."""
    font, size = 0, 12 * scale
    blf.size(font, size)
    sizes: list[Any] = [blf.dimensions(font, line) for line in lines]
    width = max(across for across, _ in sizes)
    start = right if right + width <= end else max(left - width, 0)
    margin, step = 6 * scale, 17 * scale
    _draw_plate(start - margin, top - len(lines) * step - margin, start + width + margin, top)
    for number, line in enumerate(lines):
        blf.color(font, *(PIXEL if number == 0 else ARROW if number == len(lines) - 1 else (1, 1, 1, 1)))
        blf.position(font, start, top - (number + 1) * step, 0)
        blf.draw(font, line)


def register() -> None:
    """Draw in all viewports; nothing is drawn while no gaussian is chosen."""
    if not bpy.app.background:
        add: Any = bpy.types.SpaceView3D.draw_handler_add
        part(Overlay).handles.append(add(_draw, (), "WINDOW", "POST_PIXEL"))
