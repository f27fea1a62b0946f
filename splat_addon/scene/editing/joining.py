"""Join, which takes gaussians along as Blender's own does points alone, and Separate."""

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

from ...errors import SceneError
from ...gaussians.transform import is_exact
from ..inspection import choosing
from ..settings.trained_for import ANTIALIASED_KEY, BLEND_SPACE_KEY
from ..splats.adoption import mark
from ..splats.contents.attributes import BASE, HIGHER
from ..splats.data import remove_data
from ..splats.transforms import PLACE, move_places, places_of, remember_places
from .moving import BENT
from .values import changed, own_degree, read_positions, read_rows, write_rows

_GAUSSIANS = ("position", "scale", "rotation", BASE, PLACE)


def join(target: bpy.types.Object, others: Sequence[bpy.types.Object]) -> list[str]:
    """Make the splats of `others` part of `target`, where they stand in the scene, and remove these objects. Returns
    sentences about what the artist should know.

    Of other attributes on points, those that an object lacks are 0 for its splats. Raises SceneError where one is of a
    type that cannot be carried along.
    """
    data: Any = target.data
    for item in (target, *others):
        mark(item.data)
        _require_plain(item.data)
    degree = max(own_degree(item.data) for item in (target, *others))
    rows = [read_rows(item.data, degree) for item in (target, *others)]
    places = [_places(item.data) for item in (target, *others)]
    extras = [_extras(item.data) for item in (target, *others)]
    said = _differences(target, others)
    bent = []
    for number, item in enumerate(others, 1):
        matrix = np.linalg.inv(np.array(target.matrix_world, float)) @ np.array(item.matrix_world, float)
        rows[number].move(matrix)
        places[number] = move_places(places[number], matrix)
        if not is_exact(matrix):
            bent.append(item.name)
    if bent:
        said.append(f"{bent[0]}{' and others' if bent[1:] else ''}: {BENT}.")
    counts = [len(part) for part in rows]
    _add_points(data, sum(counts[1:]))
    _write_extras(data, extras, counts)
    joined = rows[0]
    joined.positions, joined.scales, joined.rotations, joined.base = (
        np.concatenate([getattr(part, name) for part in rows]) for name in ("positions", "scales", "rotations", "base")
    )
    joined.levels = [np.concatenate([part.levels[k] for part in rows], axis=1) for k in range(degree)]
    write_rows(data, joined)
    remember_places(data)
    data.attributes[PLACE].data.foreach_set("vector", np.concatenate(places).ravel())
    changed(target)
    _remove(target, others)
    return said


def separate(item: bpy.types.Object) -> bpy.types.Object:
    """Move the selected splats of an object into a new one at the same place. Raises SceneError when none, or all, are
    selected."""
    which = choosing.selected(item.data)
    if not which.any():
        raise SceneError("No splat is selected.", "Select some by value, by volume, or in Edit Mode.")
    if which.all():
        raise SceneError("All splats are selected: nothing would be left.", "Select some of them.")
    other = item.copy()
    other.data = item.data.copy()
    for collection in item.users_collection:
        collection.objects.link(other)
    choosing.delete(other.data, ~which)
    choosing.delete(item.data, which)
    for one in (item, other):
        changed(one)
    return other


def _differences(target: bpy.types.Object, others: Sequence[bpy.types.Object]) -> list[str]:
    keys = (BLEND_SPACE_KEY, ANTIALIASED_KEY)
    looks = {tuple(str(item.get(key)) for key in keys) for item in (target, *others)}
    return [f"They were trained for different looks; all have that of '{target.name}' now."] if len(looks) > 1 else []


def _places(data: Any) -> np.ndarray:
    places = places_of(data)
    return read_positions(data) if places is None else places


def _is_extra(attribute: Any) -> bool:
    is_ours = attribute.name in _GAUSSIANS or attribute.name.startswith(HIGHER)
    return attribute.domain == "POINT" and not is_ours


def _require_plain(data: Any) -> None:
    foreign = [one.name for one in data.attributes if _is_extra(one) and one.data_type not in choosing.FIELDS]
    if foreign:
        raise SceneError(f"The attribute '{foreign[0]}' cannot be carried along.", "Remove it in its attributes.")


def _extras(data: Any) -> dict[str, tuple[str, np.ndarray]]:
    """Type and values (N, width) of all that points have besides their gaussians, by name."""
    found = {}
    for attribute in data.attributes:
        if _is_extra(attribute):
            key, width, kind = choosing.FIELDS[attribute.data_type]
            values: np.ndarray = np.empty(len(attribute.data) * width, kind)
            attribute.data.foreach_get(key, values)
            found[attribute.name] = attribute.data_type, values.reshape(-1, width)
    return found


def _write_extras(data: Any, extras: Sequence[dict[str, tuple[str, np.ndarray]]], counts: Sequence[int]) -> None:
    types = {name: kind for found in reversed(extras) for name, (kind, _) in found.items()}
    for name, kind in types.items():  # all are made before any is written: making one moves the others
        if name not in data.attributes:
            data.attributes.new(name, kind, "POINT")
    for name in types:
        attribute = data.attributes[name]
        key, width, number = choosing.FIELDS[attribute.data_type]
        values: np.ndarray = np.zeros((sum(counts), width), number)
        done = 0
        for found, count in zip(extras, counts, strict=True):
            own = found.get(name, ("", np.zeros((0, 0))))[1]
            if own.shape == (count, width):
                values[done : done + count] = own
            done += count
        attribute.data.foreach_set(key, values.ravel())


def _add_points(data: Any, count: int) -> None:
    if isinstance(data, bpy.types.Mesh):
        data.vertices.add(count)
    else:
        data.resize(len(data.points) + count)


def _remove(target: bpy.types.Object, others: Sequence[bpy.types.Object]) -> None:
    """Remove objects whose splats are part of `target` now; what was their child is its child, where it was."""
    for item in others:
        for child in item.children:
            place = child.matrix_world.copy()
            child.parent = target
            child.matrix_world = place
        former = item.data
        bpy.data.objects.remove(item)
        if former.users == 0:
            remove_data(former)
