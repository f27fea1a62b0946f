"""Points on the surfaces of Blender objects: where gaussians start."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import bpy
import numpy as np

from ...capture.capture import Points
from ...errors import CaptureError
from ...gaussians.blue_noise import candidate_count, spread_evenly
from ...gaussians.srgb import encode_srgb
from .materials import surface_colors

SURFACE_TYPES = ("MESH", "CURVE", "SURFACE", "META", "FONT")
_AREAS_AT_ONCE = 4_000_000  # triangles, times instances


def has_surface(item: bpy.types.Object) -> bool:
    """Whether an object may show surfaces: of its own, or of the collection that it stands for."""
    return item.type in SURFACE_TYPES or (item.type == "EMPTY" and item.instance_collection is not None)


def sample_surfaces(objects: list[bpy.types.Object], count: int, seed: int) -> Points:
    """`count` points spread evenly (blue noise) over the evaluated surfaces of `objects` and of what they instance.

    World frame; as many for each equal share of area. Colors are what the material's base color says at the point,
    display-encoded; NaN where it cannot be told and only photos can. Normals are those of the triangles.
    Raises CaptureError when nothing has a surface.
    """
    random = np.random.default_rng(seed)
    surfaces = _find_surfaces(objects)
    totals = [surface.areas_of_instances() for surface in surfaces]
    area = float(sum(total.sum() for total in totals))
    if area <= 0:
        names = ", ".join(f"'{item.name}'" for item in objects[:3]) or "the selection"
        raise CaptureError(f"{names} has no surface to sample.", "Select mesh objects with faces.")
    amount = candidate_count(count)
    marks = (np.arange(amount) + random.random(amount)) * (area / amount)  # one in each of equal shares of area
    bounds = np.concatenate([[0.0], np.cumsum([total.sum() for total in totals])])
    cuts = np.searchsorted(marks, bounds)
    cuts[-1] = amount
    samples = [
        surface.sample(total, marks[first:last] - start, random)
        for surface, total, start, first, last in zip(surfaces, totals, bounds, cuts, cuts[1:], strict=False)
    ]
    kept = np.sort(spread_evenly(np.concatenate([sample.positions for sample in samples]), count, area))
    parts = []
    for surface, sample, first, last in zip(surfaces, samples, cuts, cuts[1:], strict=False):
        chosen = kept[(kept >= first) & (kept < last)] - first
        if len(chosen):
            parts.append(surface.finish(sample.select(chosen)))
    positions, colors, normals = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Points(positions, colors, normals)


@dataclass
class _Samples:
    """Places on a surface: which instance and triangle, barycentric weights, and the world positions that they give."""

    instances: np.ndarray  # (P,)
    triangles: np.ndarray  # (P,)
    weights: np.ndarray  # (P, 3)
    positions: np.ndarray  # (P, 3) world

    def select(self, which: np.ndarray) -> "_Samples":
        return _Samples(self.instances[which], self.triangles[which], self.weights[which], self.positions[which])


@dataclass
class _Surface:
    """One mesh and the places where it stands."""

    mesh: bpy.types.Mesh
    materials: list[bpy.types.Material | None]
    vertices: np.ndarray  # (V, 3) local
    corners: np.ndarray  # (T, 3) indices of the triangles' corners into the mesh's corners
    corner_vertices: np.ndarray  # (corners of the mesh,)
    polygons: np.ndarray  # (T,) of which polygon each triangle is a part
    crosses: np.ndarray  # (T, 3) local normals, twice the triangles' area long
    matrices: list[np.ndarray] = field(default_factory=list)  # (4, 4) world_from_local of each instance

    def areas(self, instances: range) -> np.ndarray:
        """(I, T) world areas of the triangles."""
        linear = np.stack([self.matrices[index][:3, :3] for index in instances])
        if len(linear) == 1 and _is_rigid(linear[0]):
            return 0.5 * np.sqrt(np.einsum("td,td->t", self.crosses, self.crosses)).astype(np.float64)[None]
        return 0.5 * np.linalg.norm(np.einsum("ide,te->itd", _cofactors(linear), self.crosses), axis=2)

    def _chunks(self) -> Iterator[range]:
        step = max(1, _AREAS_AT_ONCE // max(len(self.crosses), 1))
        for start in range(0, len(self.matrices), step):
            yield range(start, min(start + step, len(self.matrices)))

    def areas_of_instances(self) -> np.ndarray:
        """(I,) world areas."""
        return np.concatenate([self.areas(chunk).sum(axis=1) for chunk in self._chunks()])

    def sample(self, totals: np.ndarray, marks: np.ndarray, random: np.random.Generator) -> _Samples:
        """Places at ascending `marks` along the area of all instances, one triangle after the other."""
        bounds = np.concatenate([[0.0], np.cumsum(totals)])
        instances, triangles = [np.empty(0, int)], [np.empty(0, int)]
        for chunk in self._chunks():
            here = marks[np.searchsorted(marks, bounds[chunk[0]]) : np.searchsorted(marks, bounds[chunk[-1] + 1])]
            if chunk[-1] + 1 == len(totals):
                here = marks[np.searchsorted(marks, bounds[chunk[0]]) :]  # rounding: nothing is lost at the end
            if len(here) == 0:
                continue
            cumulative = np.cumsum(self.areas(chunk).ravel())
            found = np.searchsorted(cumulative, here - bounds[chunk[0]], side="right")
            found = np.minimum(found, len(cumulative) - 1)
            instances.append(chunk[0] + found // len(self.crosses))
            triangles.append(found % len(self.crosses))
        instance, triangle = np.concatenate(instances), np.concatenate(triangles)
        root, along = random.random((2, len(triangle)), dtype=np.float32)
        root = np.sqrt(root)
        weights = np.stack([1 - root, root * (1 - along), root * along], axis=1)  # uniform (Osada et al. 2002, eq. 1)
        vertices = self.corner_vertices[self.corners[triangle]]
        local = sum(weights[:, corner, None] * self.vertices[vertices[:, corner]] for corner in range(3))
        return _Samples(instance, triangle, weights, self._transformed(local, instance))

    def _transformed(self, local: np.ndarray, instances: np.ndarray) -> np.ndarray:
        if len(self.matrices) == 1:
            return local @ self.matrices[0][:3, :3].T + self.matrices[0][:3, 3]
        matrices = np.stack(self.matrices)
        return np.einsum("pij,pj->pi", matrices[instances, :3, :3], local) + matrices[instances, :3, 3]

    def finish(self, samples: _Samples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions, colors and unit normals, world frame."""
        cofactors = _cofactors(np.stack(self.matrices)[:, :3, :3])
        crosses = self.crosses[samples.triangles]
        if len(cofactors) == 1:
            normals = crosses @ cofactors[0].T
        else:
            normals = np.einsum("pij,pj->pi", cofactors[samples.instances], crosses)
        mirrored = np.sign(
            np.linalg.det(np.stack(self.matrices)[:, :3, :3])
        )  # -1: winding turns around, normals do not
        normals *= mirrored[samples.instances, None]
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
        polygons, corners = self.polygons[samples.triangles], self.corners[samples.triangles]
        colors = surface_colors(self.mesh, self.materials, polygons, corners, samples.weights)
        return samples.positions, encode_srgb(np.clip(colors, 0, 1)), normals


def _cofactors(linear: np.ndarray) -> np.ndarray:
    """(I, 3, 3) of matrices (I, 3, 3): cross(M a, M b) = cofactor(M) cross(a, b)."""
    columns = [np.cross(linear[:, :, (axis + 1) % 3], linear[:, :, (axis + 2) % 3]) for axis in range(3)]
    return np.stack(columns, axis=2)


def _is_rigid(linear: np.ndarray) -> bool:
    return bool(np.allclose(linear @ linear.T, np.eye(3), atol=1e-7))


def _find_surfaces(objects: list[bpy.types.Object]) -> list[_Surface]:
    """The evaluated meshes of `objects` and of the instances that they make, each mesh once."""
    chosen = {item.name_full for item in objects}
    depsgraph = bpy.context.evaluated_depsgraph_get()
    surfaces: dict[tuple, _Surface | None] = {}
    for instance in depsgraph.object_instances:
        owner = instance.parent if instance.is_instance else instance.object
        if owner is None or owner.original.name_full not in chosen or not instance.show_self:
            continue
        shown = instance.object
        if shown.type != "MESH" or not isinstance(shown.data, bpy.types.Mesh):
            continue
        # An object's own mesh is asked for as such: subdivision may be left to the graphics card until then.
        is_own = not instance.is_instance
        mesh = shown.original.evaluated_get(depsgraph).to_mesh() if is_own else shown.data
        if mesh is None:
            continue
        materials = _materials(shown, mesh)
        key = (mesh.as_pointer(), *(material.name_full if material else None for material in materials))
        if key not in surfaces:
            surfaces[key] = _read_surface(mesh, materials)
        surface = surfaces[key]
        if surface is not None:
            surface.matrices.append(np.array(instance.matrix_world, dtype=np.float64))
    return [surface for surface in surfaces.values() if surface is not None]


def _materials(shown: bpy.types.Object, mesh: bpy.types.Mesh) -> list[bpy.types.Material | None]:
    """The material of each index: the mesh's, unless the object's slot has its own."""
    materials = list(mesh.materials)
    for index, slot in enumerate(shown.material_slots):
        if slot.link == "OBJECT":
            materials += [None] * (index + 1 - len(materials))
            materials[index] = slot.material
    return materials


def _read_surface(mesh: bpy.types.Mesh, materials: list) -> _Surface | None:
    if len(mesh.polygons) == 0:
        return None
    places = np.empty(3 * len(mesh.vertices), dtype=np.float32)
    mesh.attributes["position"].data.foreach_get("vector", places)
    vertices = places.reshape(-1, 3)
    corner_vertices = np.empty(len(mesh.loops), dtype=np.int32)
    mesh.attributes[".corner_vert"].data.foreach_get("value", corner_vertices)
    corners, polygons = _triangulate(mesh)
    crosses = _crosses(vertices, corner_vertices[corners])
    return _Surface(mesh, materials, vertices, corners, corner_vertices, polygons, crosses)


def _crosses(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    first = vertices[triangles[:, 0]]
    return np.cross(vertices[triangles[:, 1]] - first, vertices[triangles[:, 2]] - first)


def _triangulate(mesh: bpy.types.Mesh) -> tuple[np.ndarray, np.ndarray]:
    """(T, 3) corners and (T,) polygon of each triangle, as Blender cuts them.

    Blender hands out triangles slowly; those of meshes of triangles only are known without asking.
    """
    polygon_count, corner_count = len(mesh.polygons), len(mesh.loops)
    mesh.calc_loop_triangles()
    triangle_count = len(mesh.loop_triangles)
    polygons = np.empty(triangle_count, dtype=np.int32)
    mesh.loop_triangle_polygons.foreach_get("value", polygons)
    if corner_count == 3 * polygon_count == 3 * triangle_count:
        return np.arange(corner_count, dtype=np.int32).reshape(-1, 3), polygons
    corners = np.empty(3 * triangle_count, dtype=np.int32)
    mesh.loop_triangles.foreach_get("loops", corners)
    return corners.reshape(-1, 3), polygons
