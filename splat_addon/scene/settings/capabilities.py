"""What this Blender can do, found by feature, never by version."""

import bpy


def has_native_splats() -> bool:
    """Whether this Blender has splats of its own (5.3)."""
    kind = bpy.types.PointCloud.bl_rna.properties.get("type")
    return kind is not None and "GAUSSIAN_SPLAT" in kind.enum_items


def has_resizable_point_clouds() -> bool:
    """Whether point clouds can be made from Python (5.1)."""
    return "resize" in bpy.types.PointCloud.bl_rna.functions
