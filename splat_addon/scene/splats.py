"""Splat objects: gaussians as point attributes, with the names of Blender's native splats on every version.

Attributes (all on points): position, `scale` (linear sigma), `rotation` (unit quaternion w x y z), `radiance:base` (the
raw base coefficients of red, green, blue, and the opacity 0..1), `radiance:sh_0` … (higher coefficients, rgb each).
"""

from typing import Any, cast

import bpy
import numpy as np

from ..errors import SplatFileError
from ..gaussians.cloud import GaussianCloud

BASE = "radiance:base"
HIGHER = "radiance:sh_"
_SMALLEST_SCALE = 1e-9  # a scale of 0 would ruin the precision of native splats
_EXTREME_OPACITY = 1e-7  # opacities this near 0 or 1 have no finite logit in 32 bits


def has_native_splats() -> bool:
    """Whether this Blender has splats of its own (5.3), found by feature."""
    kind = bpy.types.PointCloud.bl_rna.properties.get("type")
    return kind is not None and "GAUSSIAN_SPLAT" in kind.enum_items


def has_resizable_point_clouds() -> bool:
    """Whether point clouds can be made from Python (5.1)."""
    return "resize" in bpy.types.PointCloud.bl_rna.functions


def is_splats(item: bpy.types.Object) -> bool:
    """Whether an object holds gaussians."""
    attributes = getattr(item.data, "attributes", None)
    return attributes is not None and BASE in attributes and "rotation" in attributes


def splats_to_object(cloud: GaussianCloud, name: str, collection: bpy.types.Collection) -> bpy.types.Object:
    """A new object at the identity that holds `cloud`, in the carrier that this Blender allows."""
    item = bpy.data.objects.new(name, splats_to_data(cloud, name))
    collection.objects.link(item)
    return item


def replace_splats(item: bpy.types.Object, cloud: GaussianCloud) -> None:
    """Give an object other gaussians; its former data goes when nothing else uses it."""
    former: Any = item.data
    item.data = cast(Any, splats_to_data(cloud, former.name))
    if former.users == 0:
        collection = bpy.data.meshes if isinstance(former, bpy.types.Mesh) else bpy.data.pointclouds
        collection.remove(former)


def splats_to_data(cloud: GaussianCloud, name: str) -> bpy.types.ID:
    """The data-block of `cloud`: native splats (5.3), a point cloud (5.1 and 5.2) or mesh vertices (before).

    Gaussians with a number that is not finite are left out, since one of them spoils the whole display.
    """
    cloud = cloud.select(cloud.finite())
    data = _carrier(name, len(cloud))
    base = np.concatenate([cloud.sh[:, 0], cloud.opacities[:, None]], axis=1)
    values = {
        "scale": ("FLOAT_VECTOR", np.maximum(cloud.scales, _SMALLEST_SCALE)),
        "rotation": ("QUATERNION", cloud.rotations),
        BASE: (_base_type(), base),
        **{f"{HIGHER}{k - 1}": ("FLOAT_VECTOR", cloud.sh[:, k]) for k in range(1, cloud.sh.shape[1])},
    }
    for attribute_name, (kind, _) in values.items():  # all are made before any is written: making one moves the others
        data.attributes.new(attribute_name, kind, "POINT")
    _write(data, "position", cloud.means)
    for attribute_name, (_, array) in values.items():
        _write(data, attribute_name, array)
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


def splats_from_object(item: bpy.types.Object) -> GaussianCloud:
    """The gaussians of a splat object in its own frame. Raises SplatFileError when it holds none."""
    if not is_splats(item):
        raise SplatFileError(f"'{item.name}' holds no splats.", "Select an object that was imported as splats.")
    data = item.data
    count = len(data.attributes["position"].data)
    base = _read(data, BASE, 4, count)
    higher: list[np.ndarray] = []
    while f"{HIGHER}{len(higher)}" in data.attributes:
        higher.append(_read(data, f"{HIGHER}{len(higher)}", 3, count))
    kept = max(degree_count for degree_count in (0, 3, 8, 15) if degree_count <= len(higher))
    opacities = np.clip(base[:, 3].astype(np.float64), _EXTREME_OPACITY, 1 - _EXTREME_OPACITY)
    return GaussianCloud(
        means=_read(data, "position", 3, count),
        log_scales=np.log(np.maximum(_read(data, "scale", 3, count), _SMALLEST_SCALE)),
        quaternions=_read(data, "rotation", 4, count),
        logit_opacities=np.log(opacities / (1 - opacities)),
        sh=np.stack([base[:, :3], *higher[:kept]], axis=1),
    )


def _base_type() -> str:
    """FLOAT4 where Blender has it (5.2), the equally large colour type before."""
    kinds = bpy.types.Attribute.bl_rna.properties["data_type"].enum_items
    return "FLOAT4" if "FLOAT4" in kinds else "FLOAT_COLOR"


def _key(attribute: bpy.types.Attribute) -> str:
    return {"FLOAT_COLOR": "color", "QUATERNION": "value"}.get(attribute.data_type, "vector")


def _write(data: bpy.types.ID, name: str, values: np.ndarray) -> None:
    attribute = data.attributes[name]
    attribute.data.foreach_set(_key(attribute), np.ascontiguousarray(values, dtype=np.float32).ravel())


def _read(data: bpy.types.ID, name: str, width: int, count: int) -> np.ndarray:
    attribute = data.attributes[name]
    values = np.empty(count * width, dtype=np.float32)
    attribute.data.foreach_get(_key(attribute), values)
    return values.reshape(count, width)
