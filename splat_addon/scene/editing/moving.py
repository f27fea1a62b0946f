"""Apply Transform, Mirror and Repair: points and gaussians move as one."""

from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ...editing.rows import Rows
from ...gaussians.transform import is_exact
from ..splats.data import OWN_AXES_KEY, from_origin
from ..splats.transforms import motions_in, move_places, places_of, remember_places, write_places
from .values import changed, own_degree, read_rows, write_rows

AXES = ("X", "Y", "Z")
LOCAL, WORLD, CURSOR = "LOCAL", "WORLD", "CURSOR"
BENT = "scale differs by axis. Shapes follow it exactly, colors from the side are only turned"


@dataclass(frozen=True)
class Parts:
    """Which parts of an object's transform are applied."""

    location: bool = True
    rotation: bool = True
    scale: bool = True


def move(item: bpy.types.Object, matrix: np.ndarray) -> None:
    """Move the splats of an object within it by an affine matrix (4, 4)."""
    data: Any = item.data
    former = read_rows(data)
    rows = replace(former, levels=list(former.levels))
    rows.move(matrix)
    places = places_of(data)
    write_rows(data, rows, former)
    if places is not None:
        write_places(data, move_places(places, matrix))
    changed(item)


def apply_transform(item: bpy.types.Object, parts: Parts) -> bool:
    """Make parts of an object's own transform part of its splats, so that all stays where it is, children included.
    Returns whether that is exact for colors, too: see `is_exact`.

    Splats that count from far away go on to do that: their place is that of what they count from.
    """
    matrix = data_from_data(item, parts)
    if matrix is None:
        return True
    before = item.matrix_basis.copy()
    children = [(child, child.matrix_parent_inverse.copy()) for child in item.children]
    move(item, matrix)
    item.matrix_basis = _basis_without(item, before, parts)
    if parts.rotation:
        item[OWN_AXES_KEY] = True
    for child, inverse in children:
        child.matrix_parent_inverse = item.matrix_basis.inverted() @ before @ inverse
    return is_exact(matrix)


def data_from_data(item: bpy.types.Object, parts: Parts) -> np.ndarray | None:
    """(4, 4) what applying does to the splats; None where there is nothing to apply."""
    before = item.matrix_basis
    after = _basis_without(item, before, parts)
    if after == before:
        return None
    return np.linalg.inv(np.array(after, float)) @ np.array(before, float)


def _basis_without(item: bpy.types.Object, basis: Matrix, parts: Parts) -> Matrix:
    """What is left of an object's transform when parts of it are applied."""
    location, rotation, scale = basis.decompose()
    origin = from_origin(item)
    size = scale if not parts.scale else (1.0, 1.0, 1.0)
    turned = Matrix.Identity(4) if parts.rotation else rotation.to_matrix().to_4x4()
    place = origin if parts.location else Matrix.Translation(location)
    return place @ turned @ Matrix.Diagonal((*size, 1.0))


def mirror_matrix(item: bpy.types.Object, axis: str, space: str, cursor: Matrix) -> np.ndarray:
    """(4, 4) of the splats of `item`: their mirror image across the plane that is perpendicular to `axis` of the
    object, of the world or of the 3D cursor."""
    reflection = np.diag([-1.0 if axis == name else 1.0 for name in AXES] + [1.0])
    world_from_item = np.array(item.matrix_world, float)
    if space == LOCAL:
        return reflection
    plane = np.array(cursor, float) if space == CURSOR else np.eye(4)
    item_from_plane = np.linalg.inv(world_from_item) @ plane
    return item_from_plane @ reflection @ np.linalg.inv(item_from_plane)


def repair(item: bpy.types.Object) -> tuple[int, bool]:
    """Turn and resize the gaussians whose points were moved without them. Returns how many they are, and whether all
    followed exactly. Where the points are stays; so does what was moved one by one."""
    data: Any = item.data
    motions = motions_in(data)
    rows = read_rows(data, own_degree(data))
    for motion in motions.broken:
        part = rows.select(motion.which)
        part.turn(motion.linear)
        rows.put(motion.which, part)
    _write_shapes(data, rows)
    remember_places(data)
    changed(item)
    return motions.broken_count, all(motion.is_similarity for motion in motions.broken)


def _write_shapes(data: Any, rows: Rows) -> None:
    """All but positions and what the base holds."""
    kept = Rows(rows.positions, np.empty(0), np.empty(0), rows.base, [])
    write_rows(data, rows, kept)
