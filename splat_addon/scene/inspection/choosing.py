"""What the artist does about floaters: select, keep, hide, delete. Only what belongs to current scores is touched."""

from typing import Any

import bmesh
import bpy
import numpy as np

from ...errors import SceneError
from ..own_data import is_local
from ..splats.contents import attributes
from ..splats.data import is_splats
from ..splats.hidden_points import HIDDEN, copy_hidden
from . import columns, found
from .columns import KEPT, REFLECTION

_MESH_OWN = {".select_vert": "select", ".hide_vert": "hide"}
FIELDS = {  # of an attribute's elements, by type: the name of the numbers, how many, and their type
    "FLOAT": ("value", 1, np.float32),
    "INT": ("value", 1, np.int32),
    "INT8": ("value", 1, np.int32),
    "BOOLEAN": ("value", 1, np.bool_),
    "FLOAT2": ("vector", 2, np.float32),
    "FLOAT_VECTOR": ("vector", 3, np.float32),
    "FLOAT4": ("vector", 4, np.float32),
    "FLOAT_COLOR": ("color", 4, np.float32),
    "BYTE_COLOR": ("color", 4, np.float32),
    "QUATERNION": ("value", 4, np.float32),
    "INT32_2D": ("value", 2, np.int32),
    "INT16_2D": ("value", 2, np.int32),
    "FLOAT4X4": ("value", 16, np.float32),
}


def problem(item: bpy.types.Object | None) -> str:
    """Why nothing can be done with an object's splats; empty when it can."""
    if item is None or not is_splats(item):
        return "Make a splat object active first"
    if not is_local(item.data):
        return "Linked splats cannot be changed"
    return "" if item.mode == "OBJECT" else "Switch to Object Mode first"


def problem_with_scores(item: bpy.types.Object | None) -> str:
    """Why nothing can be done that needs scores; empty when it can."""
    if problem(item):
        return problem(item)
    assert item is not None  # it has no problem
    scores = found.scores(item.data)
    if scores is None:
        return "Inspect these splats first"
    if columns.is_of_another_version(item.data):
        return "Another version of the add-on has inspected these splats: inspect them again"
    return "" if scores.is_current.any() else "All splats were changed since they were inspected: inspect them again"


def floaters(data: Any, threshold: float) -> np.ndarray:
    """(N,) which splats score above `threshold`, are what they were when they were inspected, and are neither kept nor
    taken for reflections."""
    protected = read_flags(data, KEPT) | columns.is_reflection(data)
    return columns.is_current(data) & (columns.score_of(data) > threshold) & ~protected


def require_floaters(item: bpy.types.Object, threshold: float) -> np.ndarray:
    """(N,) which splats of an object are floaters. Raises SceneError when none is, or when all its scores are stale."""
    problem_now = problem_with_scores(item)
    if problem_now:
        raise SceneError(f"{problem_now}.", "")
    which = floaters(item.data, threshold)
    if not which.any():
        raise SceneError(f"No splat has a score above {threshold:.2g}.", "Choose a lower score.")
    return which


def splat_count(data: Any) -> int:
    """How many splats there are."""
    return attributes.points_in(data)


def select(data: Any, which: np.ndarray) -> int:
    """Select these splats (N,) and no others, as edit mode shows them. Returns how many they are."""
    _write_flags(data, _selection(data), which)
    _changed(data)
    return int(which.sum())


def selected(data: Any) -> np.ndarray:
    """(N,) which splats are selected, as edit mode has left it."""
    return read_flags(data, _selection(data))


def keep(data: Any, wanted: bool) -> int:
    """Protect the selected splats from all that is done about floaters, or protect them no more. Returns how many."""
    which = selected(data)
    kept = read_flags(data, KEPT)
    _write_flags(data, KEPT, kept | which if wanted else kept & ~which)
    _changed(data)
    return int(which.sum())


def mark_reflections(data: Any, wanted: bool) -> int:
    """Say that the selected splats show mirror images, or no more: they are not offered for removal. Returns how
    many."""
    which, marked = selected(data), read_flags(data, REFLECTION)
    _write_flags(data, REFLECTION, marked | which if wanted else marked & ~which)
    _changed(data)
    return int(which.sum())


def hide(data: Any, which: np.ndarray) -> int:
    """Hide these splats (N,) besides those that are hidden already, in viewports and renders. Returns how many are
    hidden that were not."""
    former = hidden(data)
    _write_hidden(data, former | which)
    return int((which & ~former).sum())


def show_all(data: Any) -> int:
    """Show what is hidden. Returns how many splats that were."""
    count = int(hidden(data).sum())
    _write_hidden(data, np.zeros(attributes.points_in(data), bool))
    return count


def hidden(data: Any) -> np.ndarray:
    """(N,) which splats are hidden."""
    return read_flags(data, ".hide_vert" if isinstance(data, bpy.types.Mesh) else HIDDEN)


def delete(data: Any, which: np.ndarray) -> int:
    """Delete these splats (N,); all that others have stays with them. Returns how many they are. Raises SceneError when
    none would be left, or where an attribute cannot be carried along."""
    if which.all():
        raise SceneError("Every splat would be deleted.", "Choose a higher score, or delete the object.")
    if isinstance(data, bpy.types.Mesh):
        mesh = bmesh.new()
        mesh.from_mesh(data)
        vertices = list(mesh.verts)
        doomed = [vertices[index] for index in np.flatnonzero(which).tolist()]
        bmesh.ops.delete(mesh, geom=doomed, context="VERTS")
        mesh.to_mesh(data)
        mesh.free()
    else:
        _delete_points(data, which)
    _changed(data)
    return int(which.sum())


def _delete_points(points: Any, which: np.ndarray) -> None:
    foreign = [attribute.name for attribute in points.attributes if attribute.data_type not in FIELDS]
    if foreign:
        raise SceneError(f"The attribute '{foreign[0]}' cannot be carried along.", "Select them, and use Edit Mode.")
    left = ~which
    values = {}
    for attribute in points.attributes:
        key, width, kind = FIELDS[attribute.data_type]
        numbers: np.ndarray = np.empty(len(which) * width, kind)
        attribute.data.foreach_get(key, numbers)
        values[attribute.name] = np.ascontiguousarray(numbers.reshape(-1, width)[left]).ravel()
    points.resize(int(left.sum()))
    for name, numbers in values.items():
        attribute = points.attributes[name]
        attribute.data.foreach_set(FIELDS[attribute.data_type][0], numbers)


def _selection(data: Any) -> str:
    return ".select_vert" if isinstance(data, bpy.types.Mesh) else ".selection"


def read_flags(data: Any, name: str) -> np.ndarray:
    """(N,) of an attribute that is true or false; false where there is none."""
    flags = np.zeros(attributes.points_in(data), bool)
    if isinstance(data, bpy.types.Mesh) and name in _MESH_OWN:
        data.vertices.foreach_get(_MESH_OWN[name], flags)
        return flags
    attribute = data.attributes.get(name)
    if attribute is not None and attribute.data_type == "BOOLEAN" and len(attribute.data) == len(flags):
        attribute.data.foreach_get("value", flags)
    return flags


def _write_flags(data: Any, name: str, flags: np.ndarray) -> None:
    if isinstance(data, bpy.types.Mesh) and name in _MESH_OWN:
        data.vertices.foreach_set(_MESH_OWN[name], flags)
        return
    attribute = data.attributes.get(name)
    if attribute is not None and (attribute.data_type != "BOOLEAN" or attribute.domain != "POINT"):
        data.attributes.remove(attribute)
        attribute = None
    if attribute is None:
        attribute = data.attributes.new(name, "BOOLEAN", "POINT")
    attribute.data.foreach_set("value", flags)


def _write_hidden(data: Any, flags: np.ndarray) -> None:
    if isinstance(data, bpy.types.Mesh):
        _write_flags(data, ".hide_vert", flags)
        copy_hidden(data)
    else:
        _write_flags(data, HIDDEN, flags)
    _changed(data)


def _changed(data: Any) -> None:
    found.forget(data)
    if isinstance(data, bpy.types.Mesh):
        data.update()
    data.update_tag()
