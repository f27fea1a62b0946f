"""Which splats an artist means: by a number about them, or by their neighbors."""

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...editing import quantities
from ...editing.nearness import is_near, usual_spacing
from ...errors import SceneError
from ..inspection import choosing
from ..settings.splats.editing import ATTRIBUTE, COLOR, DISTANCE, OPACITY, SIZE, STRETCH
from ..splats.contents import attributes
from .values import read_positions

SET, EXTEND, SUBTRACT, INTERSECT = "SET", "EXTEND", "SUBTRACT", "INTERSECT"
MODES = [
    (SET, "Set", "Select these and no others", "SELECT_SET", 0),
    (EXTEND, "Extend", "Select these besides those that are selected", "SELECT_EXTEND", 1),
    (SUBTRACT, "Subtract", "Deselect these", "SELECT_SUBTRACT", 2),
    (INTERSECT, "Intersect", "Deselect all others", "SELECT_INTERSECT", 3),
]
GROWS_BY = 2.0  # of the usual spacing, where no distance is given


@dataclass(frozen=True)
class Quantity:
    """A number about each splat: `kind` of `settings.splats.editing`, and what some kinds need besides."""

    kind: str = OPACITY
    attribute: str = ""
    color: tuple[float, float, float] = (0.0, 0.0, 0.0)
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)  # in the world

    @property
    def is_log(self) -> bool:
        """Whether values are looked at by their logarithm."""
        return self.kind in (SIZE, STRETCH, DISTANCE)


def values_of(item: bpy.types.Object, quantity: Quantity) -> np.ndarray:
    """(N,) the number about each splat of an object. Raises SceneError for an attribute that is no such number."""
    data: Any = item.data
    kind = quantity.kind
    if kind == OPACITY:
        return attributes.read(data, attributes.BASE)[:, 3]
    if kind == SIZE:
        return quantities.sizes(attributes.read(data, "scale"))
    if kind == STRETCH:
        return quantities.stretches(attributes.read(data, "scale"))
    if kind == COLOR:
        return quantities.color_distances(attributes.read(data, attributes.BASE), np.array(quantity.color))
    if kind == DISTANCE:
        world_from_item = np.array(item.matrix_world, float)
        return quantities.distances(read_positions(data), world_from_item, np.array(quantity.place))
    assert kind == ATTRIBUTE, kind
    return _numbers(data, quantity.attribute)


def _numbers(data: Any, name: str) -> np.ndarray:
    attribute = data.attributes.get(name)
    is_number = attribute is not None and attribute.data_type in ("FLOAT", "INT", "BOOLEAN")
    if not is_number or attribute.domain != "POINT" or len(attribute.data) != attributes.points_in(data):
        what = f"'{name}' is not an attribute with one number per splat." if name else "No attribute is chosen."
        raise SceneError(what, "Choose one of the list.")
    if attribute.data_type == "BOOLEAN":
        return choosing.read_flags(data, name).astype(np.float32)
    return attributes.numbers(attribute).astype(np.float32)


def between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """(N,) which values lie from `low` to `high`, both included in 32 bits."""
    return (values >= np.float32(low)) & (values <= np.float32(high))


def select(item: bpy.types.Object, which: np.ndarray, mode: str) -> int:
    """Select, or deselect, these splats (N,). Returns how many are selected then."""
    if mode != SET:
        former = choosing.selected(item.data)
        which = {EXTEND: former | which, SUBTRACT: former & ~which, INTERSECT: former & which}[mode]
    return choosing.select(item.data, which)


def grow(item: bpy.types.Object, distance: float, steps: int, shrinks: bool) -> tuple[int, float]:
    """Select what lies within `distance` (the object's unit; 0: twice the usual spacing) of what is selected, `steps`
    times over; or deselect what lies so near to what is not. Returns how many are selected then, and the distance.

    Raises SceneError when nothing is selected, or all is."""
    which = choosing.selected(item.data)
    if not which.any():
        raise SceneError("No splat is selected.", "Select some by value, by volume, or in Edit Mode.")
    positions = read_positions(item.data)
    distance = distance or GROWS_BY * usual_spacing(positions)
    for _ in range(steps):
        which = ~is_near(positions, ~which, distance) if shrinks else is_near(positions, which, distance)
    return choosing.select(item.data, which), distance
