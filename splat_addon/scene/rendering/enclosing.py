"""Meshes that shut off what is captured from the cameras, as the default cube does around anything small.

A room around both is none: only what has targets inside and cameras outside, or the reverse, is in the way.
"""

from functools import cached_property
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree

from ..cameras.rigs import bounds_of
from ..seeds.choosing import surfaces_to_capture
from ..splats.hidden_source import rendered_objects

# None lies along an axis or a diagonal, where rays would graze edges; the majority decides, since meshes have holes.
_DIRECTIONS = (Vector((0.36, 0.48, 0.8)), Vector((-0.71, 0.13, 0.69)), Vector((0.21, -0.93, -0.3)))
_MOST_CROSSINGS = 64
_MOST_CAMERAS = 200


def warnings_about(context, cameras: list[bpy.types.Object]) -> list[str]:
    """A sentence with its remedy for each mesh that stands between the cameras and what is captured. What is captured
    itself may hold its other parts, as a head holds its eyes."""
    targets = surfaces_to_capture(context)
    centers = [center for item in targets if (center := _center(item)) is not None]
    places = [item.matrix_world.translation for item in cameras[:: max(1, len(cameras) // _MOST_CAMERAS)]]
    depsgraph = context.evaluated_depsgraph_get()
    warnings = []
    for item in rendered_objects(context.view_layer):
        if item in targets or not _may_hide(item):
            continue
        is_around = _Solid(item, depsgraph).holds
        are_inside = {is_around(center) for center in centers}
        if len(are_inside) != 1:
            continue
        (is_target_inside,) = are_inside
        apart = sum(is_around(place) != is_target_inside for place in places)
        if apart:
            what = "encloses what is captured" if is_target_inside else "encloses cameras, but not what is captured"
            where = "outside" if is_target_inside else "inside"
            warnings.append(
                f"'{item.name}' {what}: {apart} of {len(places)} cameras stand {where}. Disable it in renders (the"
                " camera icon in the Outliner), unless it can be looked through."
            )
    return warnings


def _center(item: bpy.types.Object) -> Vector | None:
    corners = bounds_of([item])
    return Vector(((corners.min(axis=0) + corners.max(axis=0)) / 2).tolist()) if len(corners) else None


def _may_hide(item: bpy.types.Object) -> bool:
    """Whether an object has faces that cameras see: not those of a volume alone."""
    if item.type != "MESH" or not item.visible_camera:
        return False
    materials = [slot.material for slot in item.material_slots if slot.material is not None]
    return not materials or not all(map(_is_of_volume, materials))


def _is_of_volume(material: bpy.types.Material) -> bool:
    output = material.node_tree.get_output_node("ALL") if material.node_tree is not None else None
    return output is not None and output.inputs["Volume"].is_linked and not output.inputs["Surface"].is_linked


class _Solid:
    """The faces of a mesh object. What the viewport hides is not evaluated: then its mesh without modifiers."""

    def __init__(self, item: bpy.types.Object, depsgraph: bpy.types.Depsgraph):
        self.item, self.depsgraph = item, depsgraph
        self.local_from_world = item.matrix_world.inverted_safe()
        box = np.array(item.bound_box)
        self.low, self.high = box.min(axis=0), box.max(axis=0)

    @cached_property
    def tree(self) -> Any:
        """For rays, in the object's own axes: a BVHTree."""
        if self.item.visible_get():
            return BVHTree.FromObject(self.item, self.depsgraph)
        mesh: Any = self.item.data
        return BVHTree.FromPolygons([vertex.co for vertex in mesh.vertices], [face.vertices for face in mesh.polygons])

    def holds(self, place: Vector) -> bool:
        """Whether a place, world frame, lies inside: a ray from there crosses an odd number of faces."""
        local = self.local_from_world @ place
        if (np.array(local) < self.low).any() or (np.array(local) > self.high).any():
            return False
        return sum(self._crossings(local, direction) % 2 for direction in _DIRECTIONS) >= 2

    def _crossings(self, place: Vector, direction: Vector) -> int:
        reach = float(np.linalg.norm(self.high - self.low)) or 1.0
        for count in range(_MOST_CROSSINGS):
            hit, _normal, _index, _distance = self.tree.ray_cast(place, direction)
            if hit is None:
                return count
            place = hit + direction * (1e-5 * reach)
        return 0
