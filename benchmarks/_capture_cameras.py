"""Cases of `bench capture`: cameras of a scene, animated and in rigs."""

import time
from pathlib import Path


def case_export_animated_cameras(extension, folder: Path) -> float:
    """500 frames of a camera on a rotating parent with animated focal length, written as transforms.json."""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.splat.add_sample_scene()
    scene = bpy.context.scene
    pivot = bpy.data.objects.new("Pivot", None)
    item = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    for made in (pivot, item):
        scene.collection.objects.link(made)
    item.parent, item.location, item.rotation_euler = pivot, (0, -3, 1), (1.3, 0, 0)
    scene.camera = item
    for frame, turn, lens in ((1, 0.0, 35.0), (500, 6.28, 80.0)):
        pivot.rotation_euler[2], item.data.lens = turn, lens
        pivot.keyframe_insert("rotation_euler", frame=frame)
        item.data.keyframe_insert("lens", frame=frame)
    shots = extension.module("splat_addon.scene.cameras.shots")
    transforms = extension.module("splat_addon.capture.formats.transforms")
    began = time.perf_counter()
    cameras = shots.export_cameras(scene, shots.shots_of_frames(scene, 1, 500, 1))
    transforms.write_transforms(folder / "transforms.json", cameras, set(), None, {})
    seconds = time.perf_counter() - began
    if len({camera.fx for camera in cameras.values()}) < 400:
        raise SystemExit("bench: the focal length was not animated")
    return seconds


def case_add_camera_rig(extension, folder: Path) -> float:
    """500 cameras on a dome around the sample scene."""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.splat.add_sample_scene()
    began = time.perf_counter()
    bpy.ops.splat.add_camera_rig(kind="DOME", count=500)
    bpy.context.view_layer.update()
    return time.perf_counter() - began


CASES = (case_export_animated_cameras, case_add_camera_rig)
