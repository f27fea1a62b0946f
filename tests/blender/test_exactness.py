"""What the exported camera says is where Blender puts it: in numbers over all lenses, and in rendered pixels."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from support import exactness, pixels


def test_exported_cameras_see_what_blender_sees_over_the_whole_matrix(extension):
    rows = list(exactness.measure(extension))
    assert len(rows) == 720
    print(exactness.table(rows))
    worst = max(rows, key=lambda row: row.error_px)
    assert worst.error_px <= 0.01, worst


# Rendered: fit, shift, pixel aspect, resolution with percentage, crop, pose. All of them cost too much time.
RENDERED = [
    ("VERTICAL", (0.05, -0.08), (1.0, 1.3), (320, 180, 100), None, "free"),
    ("AUTO", (0.1, -0.02), (2.0, 1.0), (641, 403, 33), None, "scaled unevenly"),
    ("HORIZONTAL", (-0.03, 0.02), (1.0, 1.5), (503, 331, 67), (0.131, 0.913, 0.117, 0.881), "animated focal"),
    ("AUTO", (0.0, 0.0), (1.0, 1.0), (180, 320, 100), (0.05, 0.9, 0.1, 0.95), "constrained"),
]


@pytest.mark.parametrize(("fit", "shift", "aspect", "resolution", "region", "pose"), RENDERED)
def test_rendered_markers_lie_where_the_exported_camera_says(
    extension, tmp_path, fit, shift, aspect, resolution, region, pose
):
    """Small emissive cubes, found by the centroid of their light in what Cycles rendered."""
    scene = bpy.context.scene
    places = [(0.0, 0.0, 0.0), (0.5, 0.2, 0.4), (-0.6, -0.3, 0.3)]
    markers = [marker(place) for place in places]
    item = exactness.make_camera(pose)
    exactness.set_lens(item, fit, shift, aspect, resolution, region)
    for made in (*markers, item):
        made.select_set(True)
    chosen = scene.splat.capture
    chosen.folder, chosen.source, chosen.engine = str(tmp_path / "c"), "SELECTED", "CYCLES"
    chosen.use_scene_resolution, chosen.samples, chosen.use_denoising, chosen.seed_count = True, 64, False, 10
    scene.splat.training.hold_out_every = 0
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    view = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "c", hold_out_every=0).views[0]
    light = pixels.read(view.image_path)[..., 3]
    assert light.shape == (view.camera.height, view.camera.width)
    expected, _ = view.camera.project(np.array(places))
    rows, columns = np.mgrid[0 : view.camera.height, 0 : view.camera.width] + 0.5
    for place in expected:
        near = light * (np.hypot(columns - place[0], rows - place[1]) < 8)
        assert near.sum() > 3, "the marker is in the image"
        found = np.array([(near * columns).sum(), (near * rows).sum()]) / near.sum()
        error_px = np.linalg.norm(found - place)
        print(f"{fit} {shift} {aspect} {resolution} {region} {pose}: {error_px:.3f} px")
        assert error_px <= 0.3


def marker(place) -> bpy.types.Object:
    import bmesh

    shape = bmesh.new()
    bmesh.ops.create_cube(shape, size=0.12)
    mesh = bpy.data.meshes.new("Marker")
    shape.to_mesh(mesh)
    shape.free()
    mesh.materials.append(pixels.emissive("Light", (1.0, 1.0, 1.0)))
    item = bpy.data.objects.new("Marker", mesh)
    item.matrix_world = Matrix.Translation(place)
    bpy.context.scene.collection.objects.link(item)
    return item
