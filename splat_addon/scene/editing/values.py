"""The gaussians of an object as arrays, one for each attribute, and back."""

from typing import Any

import bpy
import numpy as np

from ...editing.rows import Rows, names_of_level
from ...gaussians.harmonics import coefficient_count
from ..splats import appearance
from ..splats.contents import attributes
from ..splats.contents.attributes import BASE, HIGHER

_MOST = 4  # degrees: what Blender's own import keeps, although nothing shows more than 3


def read_rows(data: Any, degree: int | None = None) -> Rows:
    """The gaussians of `data`, outside edit mode, of the degree it has or of another `degree`; what it lacks is 0."""
    degree = own_degree(data) if degree is None else degree
    levels = []
    for level in range(1, degree + 1):
        names = names_of_level(level)
        values = np.empty((len(names), attributes.points_in(data), 3), np.float32)
        for place, k in enumerate(names):
            _read_into(data, f"{HIGHER}{k}", values[place])
        levels.append(values)
    return Rows(
        read_positions(data),
        attributes.read(data, "scale"),
        attributes.read(data, "rotation"),
        attributes.read(data, BASE),
        levels,
    )


def write_rows(data: Any, rows: Rows, former: Rows | None = None) -> None:
    """Give `data`, which has as many points, these gaussians. What is the same array in `former` is not written."""
    attributes.repair(data)
    values = {"position": rows.positions, "scale": rows.scales, "rotation": rows.rotations, BASE: rows.base}
    levels = dict(enumerate(rows.levels, 1))
    if former is not None:
        same = {id(array) for array in (former.positions, former.scales, former.rotations, former.base, *former.levels)}
        values = {name: array for name, array in values.items() if id(array) not in same}
        levels = {level: array for level, array in levels.items() if id(array) not in same}
    for level, array in levels.items():
        values |= {f"{HIGHER}{k}": array[place] for place, k in enumerate(names_of_level(level))}
    for name in values:  # all are made before any is written: making one moves the others
        if name not in data.attributes:
            data.attributes.new(name, "FLOAT_VECTOR", "POINT")
    for name, array in values.items():
        attributes.write(data, name, array)
    remove_harmonics_above(data, rows.sh_degree)


def remove_harmonics_above(data: Any, degree: int) -> None:
    """Readers stop at the first harmonic that is missing; so nothing of a higher degree may be left."""
    for k in range(coefficient_count(degree) - 1, attributes.harmonics_in(data)):
        former = data.attributes.get(f"{HIGHER}{k}")
        if former is not None:
            data.attributes.remove(former)


def own_degree(data: Any) -> int:
    """The lowest degree, up to 4, that holds all harmonics of `data`."""
    count = attributes.harmonics_in(data)
    return next((degree for degree in range(_MOST) if coefficient_count(degree) > count), _MOST)


def read_positions(data: Any) -> np.ndarray:
    """(N, 3) where the points are, in the object's frame."""
    position = data.attributes.get("position")
    return np.zeros((0, 3), np.float32) if position is None else attributes.raw(position)


def changed(item: bpy.types.Object) -> None:
    """Let Blender and what draws an object's splats know that they are others."""
    data: Any = item.data
    if isinstance(data, bpy.types.Mesh):
        data.update()
    data.update_tag()
    appearance.fit_to_splats(item)


def _read_into(data: Any, name: str, values: np.ndarray) -> None:
    """Read an attribute of vectors into (N, 3) without a copy, where it is what it must be."""
    attribute = data.attributes.get(name)
    is_as_wanted = attribute is not None and attribute.data_type == "FLOAT_VECTOR" and attribute.domain == "POINT"
    if is_as_wanted and len(attribute.data) == len(values):
        attribute.data.foreach_get("vector", values.reshape(-1))
    else:
        values[:] = attributes.read(data, name)
