"""Splat objects: gaussians as point attributes, with the names of Blender's native splats on every version.

Attributes (all on points): position, `scale` (linear sigma), `rotation` (unit quaternion w x y z), `radiance:base` (the
raw base coefficients of red, green, blue, and the opacity 0..1), `radiance:sh_0` … (higher coefficients, rgb each).
Two more keep what these cannot, for an exact way back: `file:opacity` (the logit), `file:quaternion_length`. What a
file says besides is in `ply:` and the name of its column.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import bpy
import numpy as np
from mathutils import Matrix

from ...errors import SplatFileError
from ...gaussians.cloud import DISPLAY, GaussianCloud, empty_cloud, opacities_of
from ...gaussians.formats.ply import BLOCK_ROWS, PLY_TYPES
from ...gaussians.formats.splat_columns import is_free
from ...gaussians.harmonics import MAX_DEGREE, coefficient_count
from ..own_data import ensure_collection
from ..settings.capabilities import has_native_splats, has_resizable_point_clouds
from ..settings.trained_for import ANTIALIASED_KEY, BLEND_SPACE_KEY, is_antialiased
from .contents import attributes
from .contents.attributes import BASE, HARMONICS, HIGHER
from .transforms import remember_places

Origin = tuple[float, float, float] | None
COLLECTION = "Splats"
OWN_AXES_KEY = "splat_own_axes"  # of an object: its rotation was made part of its splats, whose axes are Blender's now
ORIGIN_KEY = "splat_origin"  # of an object: what its positions count from, in double precision; missing: its own origin
FROM_FILE = "file:"  # begins the names of attributes that only an export reads
STORED_OPACITY = f"{FROM_FILE}opacity"
FROM_COLUMN = "ply:"  # begins the names of attributes that hold what a file says besides
COLUMNS_KEY = "splat_columns"  # of the data: the types of those, by name
STORED_LENGTH = f"{FROM_FILE}quaternion_length"
_LOG_OF_ZERO = -104.0  # the first of which the exponential is 0 in 32 bits: what is written for a scale of 0
_SAME_OPACITY = 2e-7  # nearer to what the file says than 32 bits can tell: it was not edited
_EXTREME_OPACITY = 1e-7  # opacities this near 0 or 1 have no finite logit in 32 bits


def is_splats(item: bpy.types.Object) -> bool:
    """Whether an object holds gaussians, with whatever is wrong with them: `attributes.problems` says that."""
    data: Any = item.data
    named = getattr(data, "attributes", None)
    return named is not None and (BASE in named or getattr(data, "type", "") == "GAUSSIAN_SPLAT")


def splat_count(item: bpy.types.Object) -> int:
    """How many splats an object holds; in edit mode, how many it held before."""
    return attributes.points_in(item.data)


def splats_to_object(
    cloud: GaussianCloud, name: str, collection: bpy.types.Collection, origin: Origin = None
) -> bpy.types.Object:
    """A new object that holds `cloud`, in the carrier that this Blender allows: at the identity, or at the `origin`
    that its means count from."""
    item = bpy.data.objects.new(name, splats_to_data(cloud, name))
    count_from(item, origin)
    item[BLEND_SPACE_KEY], item[ANTIALIASED_KEY] = cloud.blend_space, cloud.antialiased
    collection.objects.link(item)
    return item


def splat_collection(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer | None = None) -> bpy.types.Collection:
    """Where splats are put in a scene, made when it is missing; `view_layer` (unless given, the one at hand) has it.
    Raises SceneError when the scene is linked."""
    return ensure_collection(scene, COLLECTION, view_layer)


def replace_splats(item: bpy.types.Object, cloud: GaussianCloud, origin: Origin = None) -> None:
    """Give an object other gaussians, whose means count from `origin`; its former data goes when nothing else uses
    it."""
    count_from(item, origin)
    former: Any = item.data
    item.data = cast(Any, splats_to_data(cloud, former.name))
    item[BLEND_SPACE_KEY], item[ANTIALIASED_KEY] = cloud.blend_space, cloud.antialiased
    if former.users == 0:
        remove_data(former)


def count_from(item: bpy.types.Object, origin: Origin) -> None:
    """Let the positions of an object count from another origin, and stand where they stood: the origin becomes part of
    its place."""
    former = from_origin(item)
    if origin is None:
        item.pop(ORIGIN_KEY, None)
    else:
        item[ORIGIN_KEY] = list(origin)
    if former != from_origin(item):
        item.matrix_basis = item.matrix_basis @ former.inverted() @ from_origin(item)


def origin_of(item: bpy.types.Object) -> Origin:
    """What the positions of an object count from; None where they count from its own origin."""
    stored = item.get(ORIGIN_KEY)
    try:
        x, y, z = (float(value) for value in stored) if stored is not None else ()
    except (TypeError, ValueError):  # nothing, or what is not ours
        return None
    return x, y, z


def from_origin(item: bpy.types.Object) -> Matrix:
    """(4, 4) the shift by what the positions of an object count from: exact, since that is in 32 bits."""
    return Matrix.Translation(origin_of(item) or (0, 0, 0))


def is_unmoved(item: bpy.types.Object) -> bool:
    """Whether an object stands where its splats belong, within its parent."""
    return item.matrix_basis == from_origin(item)


def remove_data(data: Any) -> None:
    """Remove a carrier that nothing uses."""
    collection: Any = bpy.data.meshes if isinstance(data, bpy.types.Mesh) else bpy.data.pointclouds
    collection.remove(data)


def splats_to_data(cloud: GaussianCloud, name: str) -> bpy.types.ID:
    """The data-block of `cloud`: native splats (5.3), a point cloud (5.1 and 5.2) or mesh vertices (before).

    Gaussians with a number that is not finite are left out, since one of them spoils the whole display.
    """
    blocks = (cloud.select(slice(start, start + BLOCK_ROWS)) for start in range(0, len(cloud), BLOCK_ROWS))
    return splat_blocks_to_data(len(cloud), cloud.sh_degree, blocks, name)


def splat_blocks_to_data(
    count: int,
    sh_degree: int,
    blocks: Iterable[GaussianCloud],
    name: str,
    extras: Mapping[str, np.dtype] | None = None,
) -> bpy.types.ID:
    """The data-block of the `count` gaussians that come in `blocks`, as `splats_to_data` makes it, with their `extras`
    of these names and types.

    Twice the data is the most memory this takes: what Blender keeps, and as much again while it is filled.
    """
    harmonics = coefficient_count(sh_degree) - 1
    kinds = {"position": ("FLOAT_VECTOR", 3), "scale": ("FLOAT_VECTOR", 3), "rotation": ("QUATERNION", 4)}
    kinds |= {BASE: (attributes.base_type(), 4), STORED_OPACITY: ("FLOAT", 1), STORED_LENGTH: ("FLOAT", 1)}
    kinds |= {f"{HIGHER}{k}": ("FLOAT_VECTOR", 3) for k in range(harmonics)}
    staged = {attribute: np.empty((count, width), np.float32) for attribute, (_, width) in kinds.items()}
    extras = extras or {}
    for column, stored in extras.items():
        is_real = stored.kind == "f"
        kinds[FROM_COLUMN + column] = ("FLOAT" if is_real else "INT", 1)
        staged[FROM_COLUMN + column] = np.empty((count, 1), np.float32 if is_real else np.int32)
    done = 0
    for block in blocks:
        if not (is_finite := block.finite()).all():
            block = block.select(is_finite)
        rows = slice(done, done + len(block))
        staged["position"][rows] = block.means
        staged["scale"][rows] = _exp(block.log_scales)
        staged["rotation"][rows] = block.rotations
        staged[STORED_LENGTH][rows, 0] = block.quaternion_lengths
        staged[STORED_OPACITY][rows, 0] = block.logit_opacities
        staged[BASE][rows, 3] = block.opacities
        for k, attribute in enumerate([BASE, *(f"{HIGHER}{k}" for k in range(harmonics))]):
            for channel in range(3):  # long strides one by one are faster than short rows together
                staged[attribute][rows, channel] = block.sh[:, k, channel]
        with np.errstate(over="ignore"):
            for column in extras:
                staged[FROM_COLUMN + column][rows, 0] = block.extras[column]
        done = rows.stop
    data = _carrier(name, done)
    for attribute, (kind, _) in kinds.items():  # all are made before any is written: making one moves the others
        if attribute != "position":
            data.attributes.new(attribute, kind, "POINT")
    for attribute in kinds if done else ():  # empty carriers have no positions
        attributes.write(data, attribute, staged.pop(attribute)[:done])
    if extras:
        data[COLUMNS_KEY] = {column: stored.str for column, stored in extras.items()}
    remember_places(data)
    data.update_tag()
    return data


def _carrier(name: str, count: int) -> bpy.types.ID:
    if not has_resizable_point_clouds():
        mesh = bpy.data.meshes.new(name)
        mesh.vertices.add(count)
        return mesh
    points = bpy.data.pointclouds.new(name)
    if has_native_splats():
        points.type = "GAUSSIAN_SPLAT"
    points.resize(count)
    return points


def splats_from_object(item: bpy.types.Object, largest_degree: int = MAX_DEGREE) -> GaussianCloud:
    """The gaussians of a splat object in its own frame, in which `origin_of` it is not added; harmonics above a degree
    are left out, which is most of the work. Raises SplatFileError when it holds none."""
    reader = SplatReader(item)
    reader.sh_degree = min(reader.sh_degree, largest_degree)
    cloud = empty_cloud(reader.count, reader.sh_degree, reader.blend_space, reader.antialiased)
    done = 0
    for block in reader.blocks():
        cloud.put(done, block)
        done += len(block)
    return cloud


class SplatReader:
    """What a splat object holds, in its own frame, a few thousand gaussians at a time.

    Opacities and the lengths of quaternions are those of the file it came from, where they still belong to what is
    shown: near 0 and 1 the opacity that Blender keeps says little about the file's. Raises SplatFileError when the
    object holds no splats.
    """

    def __init__(self, item: bpy.types.Object):
        if not is_splats(item):
            raise SplatFileError(f"'{item.name}' holds no splats.", "Select an object that was imported as splats.")
        if item.mode != "OBJECT":
            raise SplatFileError(f"'{item.name}' is being edited.", "Switch to Object Mode first.")
        self._data = item.data
        self.count = splat_count(item)
        self.blend_space = str(item.get(BLEND_SPACE_KEY, DISPLAY))
        self.antialiased = is_antialiased(item)
        self.extras = _columns_of(self._data)  # names of what files say besides, and its types
        self.has_more_harmonics = attributes.harmonics_in(self._data) > HARMONICS  # than are read
        self.sh_degree = attributes.degree_for(attributes.harmonics_in(self._data))

    def positions(self) -> np.ndarray:
        """(N, 3) where the gaussians are, in the object's frame."""
        position = self._data.attributes.get("position")
        return np.zeros((0, 3), np.float32) if position is None else attributes.raw(position)

    def blocks(self) -> Iterator[GaussianCloud]:
        """The gaussians in the object's order."""
        higher = [f"{HIGHER}{k}" for k in range(coefficient_count(self.sh_degree) - 1)]
        values = {name: attributes.read(self._data, name) for name in ("scale", "rotation", BASE, *higher)}
        values["position"] = self.positions()
        stored = {
            name: attributes.raw(self._data.attributes[name])
            for name in (STORED_OPACITY, STORED_LENGTH)
            if self._has(name)
        }
        extras = {name: attributes.numbers(self._data.attributes[FROM_COLUMN + name]) for name in self.extras}
        extras |= {name: extras[name].view(np.uint32) for name, kind in self.extras.items() if kind == np.uint32}
        for start in range(0, self.count, BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            opacities, quaternions = values[BASE][rows, 3], values["rotation"][rows]
            logits = _logits(opacities)
            if STORED_OPACITY in stored:
                logit = stored[STORED_OPACITY][rows, 0]
                logits = np.where(np.abs(opacities_of(logit) - opacities) < _SAME_OPACITY, logit, logits)
            if STORED_LENGTH in stored:
                quaternions = quaternions * stored[STORED_LENGTH][rows]
            yield GaussianCloud(
                means=values["position"][rows],
                log_scales=_log(values["scale"][rows]),
                quaternions=quaternions,
                logit_opacities=logits,
                sh=np.stack([values[BASE][rows, :3], *(values[name][rows] for name in higher)], axis=1),
                blend_space=self.blend_space,
                antialiased=self.antialiased,
                extras={name: values[rows] for name, values in extras.items()},
            )

    def _has(self, name: str) -> bool:
        attribute = self._data.attributes.get(name)
        return attribute is not None and attribute.data_type == "FLOAT" and len(attribute.data) == self.count


def _columns_of(data: Any) -> dict[str, np.dtype]:
    """The columns that a file had besides, as far as they are still there, and of which type they were: what was joined
    to others may not say that."""
    stored = data.get(COLUMNS_KEY)
    types = stored.to_dict() if hasattr(stored, "to_dict") else {}
    found = {}
    for attribute in data.attributes:
        kind = {"FLOAT": "<f4", "INT": "<i4"}.get(attribute.data_type)
        if attribute.name.startswith(FROM_COLUMN) and attribute.domain == "POINT" and kind is not None:
            name = attribute.name.removeprefix(FROM_COLUMN)
            known = types.get(name)
            if is_free(name):
                found[name] = np.dtype(known if known in PLY_TYPES else kind)
    order = [*(name for name in types if name in found), *(name for name in found if name not in types)]
    return {name: found[name] for name in order}


def _exp(log_scales: np.ndarray) -> np.ndarray:
    """Scales as near as 32 bits come, by way of 64: from those up to 1/e, `_log` gives the same logarithms again."""
    return np.exp(log_scales, dtype=np.float64)


def _log(scales: np.ndarray) -> np.ndarray:
    """The logarithms that a file stores, finite for every scale: its sign does not matter, and 0 stays 0."""
    sizes = np.abs(scales, dtype=np.float64)
    return np.log(sizes, out=np.full(sizes.shape, _LOG_OF_ZERO), where=sizes > 0)


def _logits(opacities: np.ndarray) -> np.ndarray:
    inside = np.clip(opacities.astype(np.float64), _EXTREME_OPACITY, 1 - _EXTREME_OPACITY)
    return np.log(inside / (1 - inside))
