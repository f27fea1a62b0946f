"""Splats as Blender itself (5.3) brings them into a file, made without any code of ours."""

from pathlib import Path

import bpy
import numpy as np
import pytest

needs_native_splats = pytest.mark.skipif(
    "type" not in bpy.types.PointCloud.bl_rna.properties, reason="this Blender has no splats of its own (5.3 has)"
)


def write_foreign_ply(path: Path, columns: dict[str, np.ndarray]) -> None:
    """A binary PLY of one 32-bit number per column and splat, as any trainer writes it."""
    count = len(next(iter(columns.values())))
    names = "".join(f"property float {name}\n" for name in columns)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\n{names}end_header\n"
    rows = np.stack([np.asarray(values, np.float32) for values in columns.values()], axis=1)
    path.write_bytes(header.encode() + rows.astype("<f4").tobytes())


def columns_of_splats(count: int = 200, degree: int = 3, seed: int = 5) -> dict[str, np.ndarray]:
    """Random splats as the columns of a PLY: unnormalized quaternions, logits from haze to opaque."""
    random = np.random.default_rng(seed)
    columns = {name: random.normal(size=count) for name in "xyz"}
    columns |= {f"f_dc_{k}": random.normal(size=count) for k in range(3)}
    columns |= {f"f_rest_{k}": random.normal(0, 0.2, count) for k in range(3 * ((degree + 1) ** 2 - 1))}
    columns["opacity"] = random.uniform(-5, 8, count)
    columns |= {f"scale_{k}": random.uniform(-7, -2, count) for k in range(3)}
    columns |= {f"rot_{k}": random.normal(0, 2, count) for k in range(4)}
    return columns


def import_by_blender(path: Path) -> bpy.types.Object:
    """The object that Blender's own import makes of a file."""
    before = set(bpy.data.objects)
    assert bpy.ops.wm.ply_import(filepath=str(path)) == {"FINISHED"}
    (item,) = set(bpy.data.objects) - before
    return item


def make_points(attributes: dict[str, tuple[str, np.ndarray]], positions, name: str = "Foreign") -> bpy.types.Object:
    """A carrier of this Blender (points, or before 5.1 vertices) with `attributes`: type and values by name."""
    positions = np.asarray(positions, np.float32)
    if "resize" in bpy.types.PointCloud.bl_rna.functions:
        data = bpy.data.pointclouds.new(name)
        data.resize(len(positions))
    else:
        data = bpy.data.meshes.new(name)
        data.vertices.add(len(positions))
    for attribute, (kind, _) in attributes.items():
        data.attributes.new(attribute, kind, "POINT")
    if len(positions):
        data.attributes["position"].data.foreach_set("vector", positions.ravel())
    for attribute, (kind, values) in attributes.items():
        key = {"FLOAT_COLOR": "color", "FLOAT": "value", "QUATERNION": "value"}.get(kind, "vector")
        data.attributes[attribute].data.foreach_set(key, np.ascontiguousarray(values, np.float32).ravel())
    item = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(item)
    bpy.context.view_layer.objects.active = item
    bpy.context.view_layer.update()
    return item
