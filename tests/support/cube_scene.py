"""A cube in grey light, and settings that render it in a second."""

from pathlib import Path

import bpy


def add_cube(size: float = 1.0) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("Cube")
    half = size / 2
    corners = [(x, y, z) for x in (-half, half) for y in (-half, half) for z in (-half, half)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    mesh.from_pydata(corners, [], faces)
    item = bpy.data.objects.new("Cube", mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def select(*items: bpy.types.Object) -> None:
    bpy.context.view_layer.update()
    for item in bpy.context.view_layer.objects:
        item.select_set(item in items)


def prepare(folder: Path, **changes) -> bpy.types.Scene:
    """A cube in grey light, and small, quick settings."""
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("World")
    select(add_cube())
    values = {"folder": str(folder), "camera_count": 3, "width": 32, "height": 24, "samples": 2, "seed_count": 50}
    values["engine"] = "CYCLES"
    for name, value in {**values, "use_denoising": False, **changes}.items():
        setattr(scene.splat.capture, name, value)
    return scene


def add_camera(name: str, distance: float = 4.0) -> bpy.types.Object:
    """A camera on the -y axis that looks at the origin."""
    item = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    item.location, item.rotation_euler = (0.0, -distance, 0.0), (1.5707963, 0.0, 0.0)
    bpy.context.scene.collection.objects.link(item)
    return item
