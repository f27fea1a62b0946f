"""Outlines over the images of a review: where splats lie that the images cover."""

from collections.abc import Callable
from typing import Any, NamedTuple

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from .frame import Frame

_LIT, _DARK = (1.0, 0.85, 0.1), (0.0, 0.0, 0.0, 0.9)
_FAINTEST = 0.35  # the alpha of what is hardly part of it
_WIDTH_PX = 1.5


class Outlines(NamedTuple):
    """Closed lines over a view (K of them)."""

    places: np.ndarray  # (K, M, 2) parts 0..1 of the image from its upper left
    strengths: np.ndarray  # (K,) 0..1, how bright each is
    are_current: Callable[[bpy.types.Scene], bool]  # whether they are to be seen


def lines_in(frame: Frame, outlines: Outlines) -> tuple[np.ndarray, np.ndarray]:
    """(L, 2) region pixels, two for each line, inside of the frame, and the color of each (L, 4)."""
    places = np.clip(outlines.places, 0, 1)
    corners = np.stack([frame.left + places[..., 0] * frame.width, frame.top - places[..., 1] * frame.height], axis=2)
    lines = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2)
    alphas = np.repeat(_FAINTEST + (1 - _FAINTEST) * outlines.strengths, len(lines) // max(1, len(places)))
    return lines, np.column_stack([np.tile(_LIT, (len(alphas), 1)), alphas])


def draw_outlines(frame: Frame, target_size: tuple[int, int], outlines: Outlines, scale: float) -> None:
    """Draw them in a target of this size, bright on dark: they are seen on any photo."""
    lines, colors = lines_in(frame, outlines)
    if len(lines) == 0:
        return
    places = np.column_stack([lines, np.zeros(len(lines))]).astype(np.float32)
    state: Any = gpu.state
    state.blend_set("ALPHA")
    for width, values in ((3 * _WIDTH_PX, np.tile(_DARK, (len(lines), 1))), (_WIDTH_PX, colors)):
        shader: Any = gpu.shader.from_builtin("POLYLINE_FLAT_COLOR")
        batch = batch_for_shader(shader, "LINES", {"pos": places, "color": values.astype(np.float32)})
        shader.bind()
        shader.uniform_float("viewportSize", target_size)
        shader.uniform_float("lineWidth", width * scale)
        batch.draw(shader)
    state.blend_set("NONE")
