"""The strip as it is drawn: a bar for each frame, as high as its quality, under a line about the worst one."""

from typing import Any

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from . import measured, strip, volume

_PLATE = (0.0, 0.0, 0.0, 0.95)
_LOWEST = 0.05  # of the full height, so that the worst frame has a bar, too


class Bars:
    """What one viewport shows of the strip, kept until that changes."""

    def __init__(self, asked: list[strip.Frame], found: measured.Trust, box: tuple[int, int, int, int, int]) -> None:
        """`box`: left, right, bottom, the bars' top and the plate's top, in pixels of the viewport."""
        self.asked, self.found, self.box = asked, found, box
        worst = strip.worst_first(asked)
        self.text = f"Worst: frame {worst[0].number}, {worst[0].answer.text}" if worst else ""
        corners, colors = triangles(asked, found, box)
        shader: Any = gpu.shader.from_builtin("FLAT_COLOR")
        self.batch: Any = batch_for_shader(shader, "TRIS", {"pos": corners, "color": colors})

    def are_of(self, asked: list[strip.Frame], found: measured.Trust, box: tuple[int, int, int, int, int]) -> bool:
        """Whether this is still what to show."""
        return self.asked is asked and self.found is found and self.box == box

    def draw(self) -> None:
        shader: Any = gpu.shader.from_builtin("FLAT_COLOR")
        gpu.state.blend_set("ALPHA")
        shader.bind()
        self.batch.draw(shader)
        gpu.state.blend_set("NONE")


def triangles(
    asked: list[strip.Frame], found: measured.Trust, box: tuple[int, int, int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(6 + 6 F, 3) corners and (6 + 6 F, 4) colors of the plate and F bars.

    Neighbors share an edge on a whole pixel, so nothing shows between them."""
    left, right, bottom, top, plate_top = box
    edges = np.rint(np.linspace(left, right, len(asked) + 1))
    best = max((frame.answer.db or 0.0 for frame in asked), default=0.0)
    parts = [(frame.answer.db or 0.0) / best if best > 0 else 1 - frame.answer.angle_deg / 90 for frame in asked]
    tops = bottom + np.rint((top - bottom) * np.maximum(parts, _LOWEST))
    low = np.full(len(asked) + 1, float(bottom))
    x0, x1 = np.append(left, edges[:-1]), np.append(right, edges[1:])
    y1 = np.append(plate_top, tops)
    corners = np.stack([x0, low, x1, low, x1, y1, x0, low, x1, y1, x0, y1], axis=1).reshape(-1, 2)
    colors = [_PLATE, *((*volume.color_of(found, frame.answer), 1.0) for frame in asked)]
    return np.pad(corners, ((0, 0), (0, 1))).astype(np.float32), np.repeat(np.array(colors, np.float32), 6, axis=0)
