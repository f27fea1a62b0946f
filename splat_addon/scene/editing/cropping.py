"""Which splats lie in the volume of an object, and taking these, or the others, away."""

import bpy
import numpy as np

from ...errors import SceneError
from ..inspection import choosing
from ..settings.splats.editing import INSIDE
from ..volumes import volume_of
from .values import changed, read_positions

HIDE, SELECT, DELETE = "HIDE", "SELECT", "DELETE"


def taken_away(item: bpy.types.Object, volume: bpy.types.Object, side: str) -> np.ndarray:
    """(N,) which splats of `item` have their centers inside, or outside, of the volume. Raises SceneError where that
    has no inside."""
    inside = inside_of(item, volume)
    return inside if side == INSIDE else ~inside


def inside_of(item: bpy.types.Object, volume: bpy.types.Object) -> np.ndarray:
    """(N,) which splats of `item` have their centers inside of the volume."""
    positions = read_positions(item.data)
    volume_from_item = _volume_from_item(item, volume)
    if volume.type == "EMPTY":
        return _in_empty(positions, volume, volume_from_item)
    return volume_of(volume, np.linalg.inv(volume_from_item)).holds(positions)


def crop(item: bpy.types.Object, which: np.ndarray, action: str) -> int:
    """Hide, select or delete these splats (N,). Returns how many. Raises SceneError when there are none."""
    if not which.any():
        raise SceneError("No splat lies on that side of the volume.", "Move the volume, or take the other side.")
    if action == HIDE:
        choosing.hide(item.data, which)
    elif action == SELECT:
        choosing.select(item.data, which)
    else:
        choosing.delete(item.data, which)
        changed(item)
    return int(which.sum())


def _volume_from_item(item: bpy.types.Object, volume: bpy.types.Object) -> np.ndarray:
    world_from_volume = np.array(volume.matrix_world, float)
    if abs(np.linalg.det(world_from_volume[:3, :3])) < 1e-30:
        raise SceneError(f"'{volume.name}' has a scale of 0: there is nothing inside of it.", "Give it a size.")
    return np.linalg.inv(world_from_volume) @ np.array(item.matrix_world, float)


def _in_empty(positions: np.ndarray, volume: bpy.types.Object, volume_from_item: np.ndarray) -> np.ndarray:
    points = positions @ volume_from_item[:3, :3].T.astype(np.float32) + volume_from_item[:3, 3].astype(np.float32)
    size = volume.empty_display_size
    if volume.empty_display_type == "CUBE":
        return (np.abs(points) <= size).all(axis=1)
    if volume.empty_display_type == "SPHERE":
        return np.einsum("ni,ni->n", points, points) <= size**2
    raise SceneError(f"'{volume.name}' has no volume.", "Show the empty as Cube or Sphere, or take a closed mesh.")
