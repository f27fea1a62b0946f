"""Where the axes of a splat object's file point, shown as *Axes*: guessed when it was imported, and chosen later.

Choosing turns the object about its own origin, below all that the artist did to it; its splats stay as in the file.
"""

from typing import Any

import numpy as np
from mathutils import Matrix

from ...gaussians.transform import z_up_from

AXES_KEY = "splat_axes"  # of an object: STORED, Y_DOWN or Y_UP; missing: it did not come from a file
REASON_KEY = "splat_axes_reason"  # of an object: why its import has chosen these; missing once somebody chose
_PLACED_KEY = "splat_placed"  # of an object: where its import put it, exactly, and as Blender rounded that
AXES = [
    ("STORED", "As Stored", "Keep the axes of the file"),
    ("Y_DOWN", "Y Down to Z Up", "For files from COLMAP-based trainers, in which y points down"),
    ("Y_UP", "Y Up to Z Up", "For files from viewers and game engines, in which y points up"),
]
_NAMES = [identifier for identifier, _, _ in AXES]


def shown_axes(item: Any) -> int:
    """The number of the choice that holds for an object."""
    stored = item.get(AXES_KEY)
    return _NAMES.index(stored) if stored in _NAMES else 0


def choose_axes(item: Any, number: int) -> None:
    """The artist says where the axes of the object's file point: it is turned, and keeps what was done to it."""
    before, now = _NAMES[shown_axes(item)], _NAMES[number]
    item[AXES_KEY] = now
    item.pop(REASON_KEY, None)
    if before != now:
        placed, rounded = placed_exactly(item) or (np.eye(4), np.eye(4))
        moved = np.array(item.matrix_basis, dtype=np.float64) @ np.linalg.inv(rounded)
        put_exactly(item, z_up_from(now) @ z_up_from(before).T @ placed)
        item.matrix_basis = Matrix(moved.tolist()) @ item.matrix_basis


def put_exactly(item: Any, matrix: np.ndarray) -> None:
    """Put an object where its file says (4, 4), and remember that without Blender's rounding."""
    item.matrix_basis = Matrix(matrix.tolist())
    rounded = np.array(item.matrix_basis, dtype=np.float64)
    item[_PLACED_KEY] = [*matrix.ravel().tolist(), *rounded.ravel().tolist()]


def placed_exactly(item: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """(4, 4) where its import put an object, below its parent: exactly, and as Blender rounded it. None for what came
    in another way."""
    stored = np.array(item.get(_PLACED_KEY, []), dtype=np.float64)
    if stored.shape != (32,) or not np.isfinite(stored).all():
        return None
    return stored[:16].reshape(4, 4), stored[16:].reshape(4, 4)
