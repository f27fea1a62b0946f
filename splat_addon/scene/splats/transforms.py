"""What object transforms and Apply do to splats, told before it is seen in a render.

Gaussians follow an object's translation, rotation and uniform scale exactly. A scale that differs by axis would
shear them, and Apply moves the points without turning and resizing the gaussians on them.
"""

import bpy
import numpy as np

_KEY = "splat_marks"  # count, then index and place of some points as they were made
_MARKS = 5
_TOLERANCE = 1e-4


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
    marks = np.array(data.get(_KEY, []), dtype=np.float64)
    attribute = data.attributes.get("position")
    if len(marks) < 9 or attribute is None or len(attribute.data) != int(marks[0]):
        return False
    marks = marks[1:].reshape(-1, 4)
    now = np.array([attribute.data[int(index)].vector for index in marks[:, 0]], dtype=np.float64)
    former_shape, shape = marks[:, 1:] - marks[0, 1:], now - now[0]
    return bool(np.abs(shape - former_shape).max() > _TOLERANCE * max(float(np.abs(former_shape).max()), 1e-12))
