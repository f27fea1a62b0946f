"""Colours come back: what is rendered, captured and seeded looks the same when the splats are rendered again."""

from dataclasses import replace

import bpy
import numpy as np
import pytest

from support import pixels
from support.cube_scene import add_camera, select

PATCHES = {  # scene-linear
    "black": (0.0, 0.0, 0.0),
    "dark": (0.002, 0.002, 0.002),
    "shade": (0.02, 0.015, 0.03),
    "grey": (0.18, 0.18, 0.18),
    "red": (1.0, 0.0, 0.0),
    "green": (0.02, 0.7, 0.05),
    "blue": (0.0, 0.03, 0.9),
    "white": (1.0, 1.0, 1.0),
}
WIDTH, HEIGHT = 160, 80


def encode(linear: np.ndarray) -> np.ndarray:
    """sRGB (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


@pytest.fixture
def patches():
    """Flat squares of 1 m in two rows, facing the camera; returns them and where they are."""
    made, places = [], []
    for index, (name, color) in enumerate(PATCHES.items()):
        x, z = 1.2 * (index % 4) - 1.8, 0.6 - 1.2 * (index // 4)
        mesh = bpy.data.meshes.new(name)
        corners = [(x + across, 0.0, z + up) for across, up in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))]
        mesh.from_pydata(corners, [], [(0, 1, 2, 3)])
        mesh.materials.append(pixels.emissive(name, color))
        item = bpy.data.objects.new(name, mesh)
        bpy.context.scene.collection.objects.link(item)
        made.append(item)
        places.append((x, 0.0, z))
    return made, np.array(places)


def seen_at(image: np.ndarray, camera, places: np.ndarray) -> np.ndarray:
    """(P, 3) mean of 5 x 5 pixels around each place."""
    found, _ = camera.project(places)
    return np.array([image[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3, :3].mean(axis=(0, 1)) for x, y in found])


def test_flat_colours_come_back_within_two_parts_in_255(extension, patches, tmp_path):
    objects, places = patches
    scene = bpy.context.scene
    scene.view_settings.view_transform, scene.view_settings.exposure = "AgX", 1.0
    eye = add_camera("Eye", distance=5.2)
    eye.data.sensor_width, eye.data.lens = 36.0, 36.0
    select(*objects, eye)
    chosen = scene.splat.capture
    chosen.folder, chosen.source, chosen.engine = str(tmp_path / "c"), "SELECTED", "CYCLES"
    chosen.width, chosen.height, chosen.samples, chosen.use_denoising = WIDTH, HEIGHT, 4, False
    chosen.seed_count = 1600
    scene.splat.training.hold_out_every = 0
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    view = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "c", 0).views[0]
    expected = encode(np.array(list(PATCHES.values())))
    photo = seen_at(pixels.read(view.image_path), view.camera, places)
    assert np.abs(photo - expected).max() <= 1 / 255, "the training image is the sRGB encoding"

    config = extension.module("splat_addon.run.config").TrainConfig(capture=str(tmp_path / "c"), sh_degree=0)
    run = extension.module("splat_addon.run.folder").RunFolder.create(tmp_path / "run", config)
    points = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "c", 0).points
    seeds = extension.module("splat_addon.capture.seeds.first_gaussians").gaussians_from_points(points, config)
    opaque = replace(seeds, logit_opacities=np.full(len(seeds), 12.0), log_scales=seeds.log_scales + np.log(1.5))
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(run.splats_file, opaque)
    scene.splat.run_folder = str(run.path)
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    for item in objects:
        item.hide_render = True
    again = seen_at(render(scene, eye, tmp_path / "again.png"), view.camera, places)
    for name, before, after in zip(PATCHES, expected * 255, again * 255, strict=True):
        print(f"{name:8}{np.round(before, 1)} {np.round(after, 1)}")
    assert np.abs(again - expected).max() <= 2 / 255


def render(scene, camera, path) -> np.ndarray:
    """What Cycles makes of the scene under the Standard view, as an artist would set it."""
    scene.camera, scene.render.engine = camera, "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.cycles.samples, scene.cycles.use_denoising, scene.render.dither_intensity = 4, False, 0.0
    scene.cycles.transparent_max_bounces, scene.cycles.min_transparent_bounces = 64, 64
    scene.view_settings.view_transform, scene.view_settings.exposure = "Standard", 0.0
    scene.render.film_transparent = True
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return pixels.read(path)
