"""What object transforms and Blender's own tools do to splats, told before it is seen in a render.

Gaussians follow an object's translation, rotation and uniform scale exactly. A scale that differs by axis would
shear them. Apply, Join, Realize Instances, mirroring and turning in edit mode move points without turning and resizing
the gaussians on them. So each point keeps where it was when its gaussian last fitted: tools that move points leave that
alone, and tools that copy, join or delete them carry it along.
"""

from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np

from ...editing.motions import Motions, find_motions
from ...gaussians.transform import moved_points
from ...run.wording import counted
from ..session import part
from ..session.changes import forgetting

PLACE = ".splat_place"  # of a point: where it was when its gaussian last fitted; (0, 0, 0) where that is not known
_FORMER_KEY = "splat_marks"  # files of earlier versions: count, then index and place of some points as they were made
_SAMPLED = 5
_TOLERANCE = 1e-4
_SAME_PLACE = 1e-5  # of what the points span
_ROUNDING = 1e-6  # of 32-bit coordinates, after a few products
_MANY_ALONE = 0.02  # of the points: fewer that were moved one by one are an artist's choice


@dataclass
class _Known:
    """By `session_uid` of the data; what changed is forgotten."""

    motions: dict[int, Motions] = field(default_factory=dict)


def remember_places(data: Any) -> None:
    """From now on, gaussians fit where their points are."""
    positions = _vectors(data, "position")
    if PLACE not in data.attributes:
        data.attributes.new(PLACE, "FLOAT_VECTOR", "POINT")
    if positions is not None and len(positions):
        data.attributes[PLACE].data.foreach_set("vector", positions.ravel())
    data.pop(_FORMER_KEY, None)
    forget(data)


def has_places(data: bpy.types.ID) -> bool:
    """Whether it is known where the points were when their gaussians fitted."""
    return PLACE in data.attributes or _FORMER_KEY in data  # type: ignore[attr-defined]


def places_of(data: Any) -> np.ndarray | None:
    """(N, 3) where each point was when its gaussian last fitted; None where nothing is known."""
    return _vectors(data, PLACE)


def move_places(places: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(N, 3) the places of points whose gaussians were moved with them by a matrix (4, 4): what was broken stays as
    broken."""
    return np.where((places != 0).any(axis=1)[:, None], moved_points(places, matrix), 0).astype(np.float32)


def write_places(data: Any, places: np.ndarray) -> None:
    """Say where the points of `data` were when their gaussians fitted."""
    data.attributes[PLACE].data.foreach_set("vector", np.ascontiguousarray(places, np.float32).ravel())
    forget(data)


def motions_in(data: Any) -> Motions:
    """How points were moved since their gaussians fitted; kept until the data changes."""
    kept = part(_Known).motions
    if data.session_uid not in kept:
        places, positions = places_of(data), _vectors(data, "position")
        if places is None or positions is None or getattr(data, "is_editmode", False):
            return Motions([], np.zeros(0, int))
        kept[data.session_uid] = find_motions(places, positions)
    return kept[data.session_uid]


def is_broken(data: Any) -> bool:
    """Whether points were turned or resized without their gaussians, so that Repair turns these to fit."""
    return bool(motions_in(data).broken)


def forget(data: Any) -> None:
    """What was changed is to be looked at again."""
    part(_Known).motions.pop(data.session_uid, None)


def is_same_place(first: Any, second: Any, data: Any) -> bool:
    """Whether two (4, 4) transforms put the splats of `data` at one place, whatever their size is."""
    attribute = data.attributes.get("position")
    positions = attribute.data if attribute is not None else []
    some = np.linspace(0, len(positions) - 1, min(_SAMPLED, len(positions))).astype(int).tolist()
    points = np.array([positions[index].vector for index in some], dtype=np.float64).reshape(-1, 3)
    points = points if len(points) > 1 else np.concatenate([np.zeros((1, 3)), np.eye(3)])
    here, there = (
        points @ matrix[:3, :3].T + matrix[:3, 3] for matrix in (np.array(first, float), np.array(second, float))
    )
    tolerance = _SAME_PLACE * float(np.abs(here - here[0]).max()) + _ROUNDING * float(np.abs(here).max())
    return bool(np.abs(here - there).max() <= tolerance)


def transform_problems(item: bpy.types.Object) -> list[str]:
    """Sentences about what was done to an object's points alone; looked for once after each change."""
    data: Any = item.data
    if was_applied_before(data):
        return ["Points were turned or resized alone (Apply?): undo, or import again."]
    motions = motions_in(data)
    found = []
    if motions.broken:
        is_all = motions.broken_count == len(data.attributes["position"].data)
        which = "All points" if is_all else f"{counted(motions.broken_count)} points"
        exact = all(motion.is_similarity for motion in motions.broken)
        remedy = "Repair turns them to fit" if exact else "Repair fits their shapes, and colors as far as they can"
        found.append(f"{which} were turned or resized without their splats (Apply, Join?): {remedy}.")
    if len(motions.alone) and len(motions.alone) > _MANY_ALONE * len(data.attributes["position"].data):
        found.append(
            f"{counted(len(motions.alone))} points were moved one by one or bent: their splats stay as they were."
        )
    return found


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


def was_applied_before(data: Any) -> bool:
    """Of a file of an earlier version, which marked some points alone: whether these form another shape than when they
    were made. Unknown once points were deleted."""
    marks = np.array(data.get(_FORMER_KEY, []), dtype=np.float64)
    rows, attribute = marks[1:].reshape(-1, 4), data.attributes.get("position")
    if len(rows) < 2 or attribute is None or len(attribute.data) != int(marks[0]):
        return False
    now = np.array([attribute.data[int(index)].vector for index in rows[:, 0]], dtype=np.float64)
    former_shape, shape = rows[:, 1:] - rows[0, 1:], now - now[0]
    return bool(np.abs(shape - former_shape).max() > _TOLERANCE * max(float(np.abs(former_shape).max()), 1e-12))


def _vectors(data: Any, name: str) -> np.ndarray | None:
    """(N, 3) values of an attribute of vectors on points; None where there is none, or not for each point."""
    attribute, position = data.attributes.get(name), data.attributes.get("position")
    if attribute is None or attribute.data_type != "FLOAT_VECTOR" or attribute.domain != "POINT":
        return None
    if position is None or len(attribute.data) != len(position.data):
        return None
    values = np.empty(3 * len(attribute.data), np.float32)
    attribute.data.foreach_get("vector", values)
    return values.reshape(-1, 3)


HANDLERS = forgetting(forget, lambda: part(_Known).motions.clear())
