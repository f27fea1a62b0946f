"""The attributes that make points splats: what each must be, what is wrong with an object's, and how they are read.

Objects come from other programs, other Blenders, joins and geometry nodes: attributes are missing or of another type.
Everything here reads them as far as it can, as Blender's own drawing and its nodes do; `problems` says what is wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ....gaussians.harmonics import MAX_DEGREE, coefficient_count

BASE = "radiance:base"
HIGHER = "radiance:sh_"
HARMONICS = coefficient_count(MAX_DEGREE) - 1  # attributes of higher harmonics that are read
_FIELDS = {  # of an attribute's elements, by type: the name of the numbers and how many there are
    "FLOAT": ("value", 1),
    "FLOAT2": ("vector", 2),
    "FLOAT_VECTOR": ("vector", 3),
    "FLOAT4": ("vector", 4),
    "FLOAT_COLOR": ("color", 4),
    "BYTE_COLOR": ("color", 4),
    "QUATERNION": ("value", 4),
}


@dataclass(frozen=True)
class Expected:
    """What an attribute must be: types that all can draw, width in numbers, and what is drawn where it is missing."""

    kinds: tuple[str, ...]
    missing: tuple[float, ...]
    consequence: str

    @property
    def width(self) -> int:
        return len(self.missing)


_BY_NAME = {
    "scale": Expected(("FLOAT_VECTOR",), (0.01,) * 3, "splats are drawn as balls of 0.01"),
    "rotation": Expected(("QUATERNION",), (1.0, 0.0, 0.0, 0.0), "splats are drawn without rotation"),
    BASE: Expected(("FLOAT4", "FLOAT_COLOR"), (0.0, 0.0, 0.0, 0.5), "splats are drawn gray and half transparent"),
}
_HARMONIC = Expected(("FLOAT_VECTOR",), (0.0,) * 3, "it counts as 0")


def expected(name: str) -> Expected:
    """What the attribute of that name must be."""
    return _BY_NAME.get(name, _HARMONIC)


def harmonics_in(data: Any) -> int:
    """How many attributes of higher harmonics data has, those that are missing in between included."""
    names = data.attributes.keys()
    numbers = (name[len(HIGHER) :] for name in names if name.startswith(HIGHER))
    return max((1 + int(number) for number in numbers if number.isdecimal()), default=0)


def degree_for(harmonics: int) -> int:
    """The lowest degree that has as many higher harmonics, at most the highest that is read."""
    return next((d for d in range(MAX_DEGREE) if coefficient_count(d) > harmonics), MAX_DEGREE)


def points_in(data: Any) -> int:
    """How many points data has; of a mesh in edit mode, how many it had before."""
    return len(data.vertices if isinstance(data, bpy.types.Mesh) else data.points)


def _readable(data: Any) -> int:
    """How many points have attributes: those of a mesh in edit mode are out of reach."""
    position = data.attributes.get("position")
    return 0 if position is None else len(position.data)


def problems(data: Any) -> list[str]:
    """Sentences about attributes that are missing or not what they must be. Cheap: no values are read."""
    if getattr(data, "is_editmode", False):
        return []
    if points_in(data) == 0:
        return ["There are no points: nothing to draw."]
    found = [*_missing(data), *_mistyped(data)]
    if harmonics_in(data) > HARMONICS:
        found.append(f"Harmonics above degree {MAX_DEGREE} are neither drawn nor exported.")
    return found


def _missing(data: Any) -> Iterator[str]:
    for name in _names(data):
        attribute = data.attributes.get(name)
        if attribute is None:
            yield f"'{name}' is missing: {expected(name).consequence}."
        elif attribute.domain != "POINT":
            yield f"'{name}' is not stored on points: {expected(name).consequence}."
        elif not _is_usable(data, name):
            yield f"'{name}' is of the type {_type_name(attribute)}: {expected(name).consequence}."


def _mistyped(data: Any) -> Iterator[str]:
    for name in _names(data):
        if _is_usable(data, name) and not _is_right(data, name):
            yield f"'{name}' is of the type {_type_name(data.attributes[name])}: Adopt Splats converts it."


def _type_name(attribute: Any) -> str:
    return bpy.types.Attribute.bl_rna.properties["data_type"].enum_items[attribute.data_type].name


def _names(data: Any) -> list[str]:
    harmonics = min(harmonics_in(data), HARMONICS)
    return [*_BY_NAME, *(f"{HIGHER}{k}" for k in range(harmonics))]


def _is_right(data: Any, name: str) -> bool:
    return _is_usable(data, name) and data.attributes[name].data_type in expected(name).kinds


def _is_usable(data: Any, name: str) -> bool:
    """Whether the attribute's numbers can be taken for what it must be."""
    attribute = data.attributes.get(name)
    if attribute is None or attribute.domain != "POINT" or len(attribute.data) != _readable(data):
        return False
    own = _FIELDS.get(attribute.data_type, ("", 0))[1]
    if name == "rotation":
        return own == 4
    return own >= 3 or (own == 1 and name != BASE)


def read(data: Any, name: str) -> np.ndarray:
    """(N, width) float32 values of an attribute of splats, as far as it has them.

    One number stands for all of its axes, a color without opacity is opaque, and what is missing is as it is drawn.
    """
    wanted, count = expected(name), _readable(data)
    if not _is_usable(data, name):
        return np.tile(np.array(wanted.missing, np.float32), (count, 1))
    values = raw(data.attributes[name])
    own = values.shape[1]
    if own == 1:
        return np.repeat(values, wanted.width, axis=1)
    if own < wanted.width:
        return np.concatenate([values, np.ones((count, 1), np.float32)], axis=1)
    return values[:, : wanted.width]


def raw(attribute: Any) -> np.ndarray:
    """(N, width) float32 values of an attribute of any type that is made of floats."""
    key, width = _FIELDS[attribute.data_type]
    values = np.empty(len(attribute.data) * width, dtype=np.float32)
    attribute.data.foreach_get(key, values)
    return values.reshape(-1, width)


def numbers(attribute: Any) -> np.ndarray:
    """(N,) values of an attribute that is one number, float32 or int32, for each point."""
    values = np.empty(len(attribute.data), dtype=np.int32 if attribute.data_type == "INT" else np.float32)
    attribute.data.foreach_get("value", values)
    return values


def write(data: Any, name: str, values: np.ndarray) -> None:
    """Set all values (N, width) of an attribute that has the right type."""
    attribute = data.attributes[name]
    key = _FIELDS.get(attribute.data_type, ("value", 1))[0]
    numbers = np.int32 if attribute.data_type == "INT" else np.float32
    attribute.data.foreach_set(key, np.ascontiguousarray(values, dtype=numbers).ravel())


def base_type() -> str:
    """The type of `BASE`: FLOAT4 where Blender has it (5.2), the equally large color type before."""
    kinds = bpy.types.Attribute.bl_rna.properties["data_type"].enum_items
    return "FLOAT4" if "FLOAT4" in kinds else "FLOAT_COLOR"


def is_right(data: Any) -> bool:
    """Whether `repair` has nothing to do."""
    return points_in(data) == 0 or all(_is_right(data, name) for name in _names(data))


def repair(data: Any) -> None:
    """Make every attribute what it must be, with the values that `read` gives, so that all draw the same.

    To be called in an action that the user undoes, never for linked data or in edit mode.
    """
    if points_in(data) == 0:
        return
    wrong = [name for name in _names(data) if not _is_right(data, name)]
    values = {name: read(data, name) for name in wrong}
    for name in wrong:
        former = data.attributes.get(name)
        if former is not None:
            data.attributes.remove(former)
    for name in wrong:  # all are made before any is written: making one moves the others
        data.attributes.new(name, base_type() if name == BASE else expected(name).kinds[0], "POINT")
    for name in wrong:
        write(data, name, values[name])
    if wrong:
        data.update_tag()
