"""Where splats are in a scene, and what of that the artist did: exports bake exactly that.

An import turns the object and leaves the data as it is in the file; the root of a capture turns the runs below it.
Neither is the artist's motion: what nobody has moved goes out as it came in, to the last bit. Motion is what lies
between where an object was put and where it is.
"""

import bpy
import numpy as np

from ...gaussians.transform import STORED, z_up_from
from ..photos.photo_capture import root_of
from ..splats.data import OWN_AXES_KEY, from_origin
from ..splats.files import placed_exactly

WORLD, OBJECT = "WORLD", "OBJECT"
_UNMOVED = 1e-6  # relative: Blender's matrices have 32 bits


def file_from_object(item: bpy.types.Object, active: bpy.types.Object, axes: str, space: str) -> np.ndarray:
    """(4, 4) float64: what to do to the gaussians of `item` for a file with these axes, in the world's space or in that
    of the `active` object."""
    if space == OBJECT:
        active_from_item = np.eye(4) if item == active else np.linalg.inv(_matrix(active)) @ _matrix(item)
        own = _from_origin(active) @ active_from_item
        return own if axes == STORED else _file_from_world(axes) @ _turned(active) @ own
    world_from_object = _motion(item) @ _world_from_put(item)
    if axes == STORED:
        world_from_file = _world_from_put(active) @ np.linalg.inv(_from_origin(active))
        return _close_to_whole(np.linalg.inv(world_from_file) @ world_from_object)
    return _file_from_world(axes) @ world_from_object


def _file_from_world(axes: str) -> np.ndarray:
    return z_up_from(axes).T


def _matrix(item: bpy.types.Object) -> np.ndarray:
    return np.array(item.matrix_world, dtype=np.float64)


def _put(item: bpy.types.Object) -> np.ndarray:
    """(4, 4) where the import put the object, without rounding; the identity for what came in another way."""
    return placed_exactly(item)[0]


def _from_origin(item: bpy.types.Object) -> np.ndarray:
    """(4, 4) from positions to those of the file or the capture: what they count from is added."""
    return np.array(from_origin(item), dtype=np.float64)


def _turned(item: bpy.types.Object) -> np.ndarray:
    """(4, 4) how the import turned what is in the file, unless that is part of the splats since."""
    if item.get(OWN_AXES_KEY):
        return np.eye(4)
    return _put(item) @ np.linalg.inv(_from_origin(item))


def _world_from_put(item: bpy.types.Object) -> np.ndarray:
    """(4, 4) where the object is when nobody moved it: below the root of its capture, as its import put it."""
    root = root_of(item.parent)
    return _put(item) if root is None else _matrix(root) @ _put(item)


def _motion(item: bpy.types.Object) -> np.ndarray:
    """(4, 4) in the world: what the artist did to the object; exactly the identity where that is nothing."""
    root = root_of(item.parent)
    put = placed_exactly(item)[1]  # as Blender rounded it
    before = put if root is None else _matrix(root) @ put
    now = _matrix(item)
    if np.abs(now - before).max() <= _UNMOVED * max(1.0, np.abs(before).max()):
        return np.eye(4)
    return now @ np.linalg.inv(before)


def _close_to_whole(matrix: np.ndarray) -> np.ndarray:
    """The identity where inverting has left only rounding."""
    return np.eye(4) if np.abs(matrix - np.eye(4)).max() < 1e-12 * max(1.0, np.abs(matrix).max()) else matrix
