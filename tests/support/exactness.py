"""How exactly exported cameras see: their pixels against Blender's own, over everything that moves pixels.

For the test, which bounds the error, and for `python3 dev.py bench exactness`, which prints it.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

FITS = ("AUTO", "HORIZONTAL", "VERTICAL")
SHIFTS = ((0.0, 0.0), (0.13, -0.21))
ASPECTS = ((1.0, 1.0), (2.0, 1.0), (1.0, 1.5))
RESOLUTIONS = ((320, 200, 100), (200, 320, 100), (641, 403, 33), (300, 300, 50))
REGIONS = (None, (0.13, 0.81, 0.27, 0.94))  # left, right, bottom, top of what the image is cropped to
POSES = ("free", "parented", "scaled unevenly", "constrained", "animated focal")


class Row(NamedTuple):
    """One combination, and the largest distance in pixels between the two projections of points in view."""

    fit: str
    shift: tuple[float, float]
    aspect: tuple[float, float]
    resolution: tuple[int, int, int]
    region: tuple | None
    pose: str
    error_px: float


def measure(extension) -> Iterator[Row]:
    """Every combination of the above, in an empty file."""
    import bpy

    for pose in POSES:
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        item = make_camera(pose)
        for fit, shift, aspect, resolution, region in itertools.product(FITS, SHIFTS, ASPECTS, RESOLUTIONS, REGIONS):
            set_lens(item, fit, shift, aspect, resolution, region)
            yield Row(fit, shift, aspect, resolution, region, pose, worst_error_px(extension, item))


def make_camera(pose: str):
    """A camera in the scene, about 7 m from the origin and looking there, in one of the `POSES`."""
    import bpy
    from mathutils import Euler, Matrix

    scene = bpy.context.scene
    item = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(item)
    item.matrix_world = Matrix.Translation((4, -5, 3)) @ Euler((1.1, 0.1, 0.7)).to_matrix().to_4x4()
    item.data.lens, item.data.sensor_width, item.data.sensor_height = 35.0, 36.0, 24.0
    if pose == "parented":
        parent = bpy.data.objects.new("Parent", None)
        scene.collection.objects.link(parent)
        parent.matrix_world = Matrix.Translation((1, 2, 0)) @ Matrix.Rotation(0.5, 4, "Z") @ Matrix.Scale(1.7, 4)
        item.parent = parent
        item.matrix_parent_inverse = parent.matrix_world.inverted() @ Matrix.Rotation(0.1, 4, "Z")
    elif pose == "scaled unevenly":
        item.scale = (0.4, 2.5, 1.3)
    elif pose == "constrained":
        target = bpy.data.objects.new("Target", None)
        scene.collection.objects.link(target)
        target.location = (0.2, 0.1, -0.1)
        constraint = item.constraints.new("TRACK_TO")
        constraint.target, constraint.track_axis, constraint.up_axis = target, "TRACK_NEGATIVE_Z", "UP_Y"
    elif pose == "animated focal":
        for frame, lens in ((1, 30.0), (11, 80.0)):
            item.data.lens = lens
            item.data.keyframe_insert("lens", frame=frame)
        scene.frame_set(6, subframe=0.25)
    return item


def set_lens(item, fit: str, shift, aspect, resolution, region) -> None:
    """Sensor fit, shift, pixel aspect, resolution with percentage, and crop of a camera and its scene."""
    import bpy

    render = bpy.context.scene.render
    item.data.sensor_fit, item.data.shift_x, item.data.shift_y = fit, *shift
    render.pixel_aspect_x, render.pixel_aspect_y = aspect
    render.resolution_x, render.resolution_y, render.resolution_percentage = resolution
    render.use_border = render.use_crop_to_border = region is not None
    if region is not None:
        render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = region


def worst_error_px(extension, item) -> float:
    """The largest distance between the exported camera's pixels and Blender's own, for 100 points around the origin."""
    import bpy
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    scene = bpy.context.scene
    bpy.context.view_layer.update()
    cameras = extension.module("splat_addon.scene.cameras.conversion")
    camera = cameras.camera_from_object(item, scene)
    width, height = cameras.render_size(scene.render)
    left, top, _, _ = cameras.crop_of(scene.render)
    points = np.random.default_rng(0).uniform(-1.5, 1.5, size=(100, 3))
    pixels, _ = camera.project(points)
    # Renders have whole pixels, while this function reckons with the percentage's fractions: give it the whole ones.
    render = scene.render
    before = render.resolution_x, render.resolution_y, render.resolution_percentage
    render.resolution_x, render.resolution_y, render.resolution_percentage = width, height, 100
    seen = np.array([world_to_camera_view(scene, item, Vector(point)) for point in points])
    render.resolution_x, render.resolution_y, render.resolution_percentage = before
    expected = np.stack([seen[:, 0] * width - left, (1 - seen[:, 1]) * height - top], axis=1)
    return float(np.linalg.norm(pixels - expected, axis=1).max())


def table(rows: list[Row]) -> str:
    """The worst error of each lens (a row), by how the camera is placed (a column), over resolutions and regions."""
    columns = "".join(f"{title:>17}" for title in (*POSES, "worst"))
    lines = [f"{'fit':<11}{'shift':<14}{'pixel aspect':<14}" + columns]
    for fit, shift, aspect in itertools.product(FITS, SHIFTS, ASPECTS):
        own = [row for row in rows if (row.fit, row.shift, row.aspect) == (fit, shift, aspect)]
        by_pose = [max(row.error_px for row in own if row.pose == pose) for pose in POSES]
        label = f"{fit:<11}{f'{shift[0]:g}, {shift[1]:g}':<14}{f'{aspect[0]:g} : {aspect[1]:g}':<14}"
        lines.append(label + "".join(f"{error:17.6f}" for error in by_pose) + f"{max(by_pose):17.6f}")
    lines.append("")
    for title, field in (("resolution", "resolution"), ("render region", "region")):
        for value in dict.fromkeys(getattr(row, field) for row in rows):
            worst = max(row.error_px for row in rows if getattr(row, field) == value)
            shown = "off" if value is None else " ".join(f"{number:g}" for number in value)
            lines.append(f"{title:<16}{shown:<24}{worst:12.6f}")
    lines.append(f"{len(rows)} combinations, worst {max(row.error_px for row in rows):.6f} px")
    return "\n".join(lines)
