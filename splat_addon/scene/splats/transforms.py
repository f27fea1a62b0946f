"""What object transforms and Apply do to splats, told before it is seen in a render.

Gaussians follow an object's translation, rotation and uniform scale exactly. A scale that differs by axis would
shear them, and Apply moves the points without turning and resizing the gaussians on them.
"""

from typing import Any

import bpy
import numpy as np

_KEY = "splat_marks"  # count, then index and place of some points as they were made
_MARKS = 5
_TOLERANCE = 1e-4
_SAME_PLACE = 1e-5  # of what the points span
_ROUNDING = 1e-6  # of 32-bit coordinates, after a few products


def remember_places(data: bpy.types.ID) -> None:
    """Keep the places of some points with the data, to notice later that they were turned or resized alone."""
    attribute = data.attributes.get("position")
    positions = attribute.data if attribute is not None else []
    count = len(positions)
    marks = [float(count)]
    for index in np.linspace(0, count - 1, min(_MARKS, count)).astype(int).tolist():
        marks += [float(index), *positions[index].vector]
    data[_KEY] = marks


def has_places(data: bpy.types.ID) -> bool:
    """Whether places of its points are kept."""
    return _KEY in data


def is_same_place(first: Any, second: Any, data: bpy.types.ID) -> bool:
    """Whether two (4, 4) transforms put the splats of `data` at one place, whatever their size is."""
    points = _marks(data)[:, 1:]
    points = points if len(points) > 1 else np.concatenate([np.zeros((1, 3)), np.eye(3)])
    here, there = (
        points @ matrix[:3, :3].T + matrix[:3, 3] for matrix in (np.array(first, float), np.array(second, float))
    )
    tolerance = _SAME_PLACE * float(np.abs(here - here[0]).max()) + _ROUNDING * float(np.abs(here).max())
    return bool(np.abs(here - there).max() <= tolerance)


def transform_problems(item: bpy.types.Object) -> list[str]:
    """Sentences about what was done to an object's points alone; cheap enough for a panel."""
    if _was_applied(item.data):
        return ["Points were turned or resized alone (Apply?): undo, or import again."]
    return []


def shape_problem(item: bpy.types.Object) -> str:
    """What in an object's transform quads and the viewport cannot follow, with its remedy and no period; or nothing."""
    linear = np.array(item.matrix_world, dtype=np.float64)[:3, :3]
    square = linear.T @ linear
    size = np.trace(square) / 3
    if size > 0 and np.abs(square - size * np.eye(3)).max() > _TOLERANCE * size:
        return "Scale differs by axis: splats look wrong. Make X, Y, Z equal"
    if np.linalg.det(linear) < 0:
        return "Mirrored by a negative scale: splats look wrong. Make it positive"
    return ""


def _was_applied(data: bpy.types.ID) -> bool:
    """Whether the marked points form another shape than when they were made; unknown once points were deleted."""
    marks, attribute = _marks(data), data.attributes.get("position")
    if len(marks) < 2 or attribute is None or len(attribute.data) != int(data[_KEY][0]):
        return False
    now = np.array([attribute.data[int(index)].vector for index in marks[:, 0]], dtype=np.float64)
    former_shape, shape = marks[:, 1:] - marks[0, 1:], now - now[0]
    return bool(np.abs(shape - former_shape).max() > _TOLERANCE * max(float(np.abs(former_shape).max()), 1e-12))


def _marks(data: bpy.types.ID) -> np.ndarray:
    """(M, 4) index and place of the points that are kept."""
    return np.array(data.get(_KEY, []), dtype=np.float64)[1:].reshape(-1, 4)
