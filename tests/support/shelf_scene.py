"""A wall with boxes before it that shine in their own colors, cameras in a row before them, and the run of a capture of
that: splats on all surfaces, and a swarm before the middle box, which looks like that box to the whole row."""

import bpy
import numpy as np

from .cube_scene import select

PARTS = {  # center, size and linear color
    "Wall": ((0, 0.8, 1.5), (5, 0.2, 3), (0.5, 0.45, 0.4)),
    "Floor": ((0, -0.5, -0.1), (5, 2.4, 0.2), (0.2, 0.25, 0.3)),
    "Red": ((-2.0, 0.3, 0.5), (0.7, 0.7, 1.0), (0.8, 0.1, 0.1)),
    "Green": ((-1.2, 0.3, 0.4), (0.5, 0.7, 0.8), (0.1, 0.6, 0.2)),
    "Blue": ((0, 0.3, 0.8), (1.3, 0.7, 1.6), (0.1, 0.2, 0.8)),
    "Yellow": ((1.2, 0.3, 0.4), (0.5, 0.7, 0.8), (0.8, 0.7, 0.1)),
    "Pink": ((2.0, 0.3, 0.5), (0.7, 0.7, 1.0), (0.6, 0.1, 0.6)),
}
SWARM, HANGS_AT = 60, (0.0, -0.9, 0.8)


def add_shining_box(name: str, center, size, color) -> bpy.types.Object:
    """A box that has the same color from everywhere."""
    mesh = bpy.data.meshes.new(name)
    corners = [
        [center[axis] + size[axis] * (0.5 if number >> axis & 1 else -0.5) for axis in range(3)] for number in range(8)
    ]
    mesh.from_pydata(corners, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    material = bpy.data.materials.new(name)
    if bpy.app.version < (5, 0):
        material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (0, 0, 0, 1)
    shader.inputs["Specular IOR Level"].default_value = 0.0
    shader.inputs["Emission Color"].default_value = (*color, 1)
    shader.inputs["Emission Strength"].default_value = 1.0
    mesh.materials.append(material)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def add_row(count: int) -> None:
    """Cameras side by side before the shelf that look at it."""
    for number in range(count):
        item = bpy.data.objects.new(f"Row {number}", bpy.data.cameras.new("Row"))
        item.location, item.rotation_euler = (0.25 * (number - (count - 1) / 2), -5.0, 1.2), (1.5707963, 0.0, 0.0)
        item.data.lens = 30.0
        bpy.context.scene.collection.objects.link(item)


def build_shelf(folder, cameras: int = 5, **changes) -> None:
    """Wall, floor and boxes, nothing else that gives light, and how they are captured into a folder."""
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("Dark")
    if bpy.app.version < (5, 0):
        scene.world.use_nodes = True
    light = next(node for node in scene.world.node_tree.nodes if node.type == "BACKGROUND")
    light.inputs["Strength"].default_value = 0.0
    for name, part in PARTS.items():
        add_shining_box(name, *part)
    add_row(cameras)
    select()
    values = {"folder": str(folder), "source": "ALL", "width": 64, "height": 48, "samples": 4, "seed_count": 6000}
    for name, value in {**values, "engine": "CYCLES", "use_denoising": False, **changes}.items():
        setattr(scene.splat.capture, name, value)


def run_of_shelf(extension, tmp_path, hold_out_every=3) -> tuple[bpy.types.Object, np.ndarray]:
    """The object of a run of the capture below `tmp_path`, active, and which of its splats hang in the air."""
    capture = extension.module("splat_addon.capture.capture").open_capture(tmp_path / "capture", hold_out_every)
    config = extension.module("splat_addon.run.config").TrainConfig
    folder = extension.module("splat_addon.run.folder").RunFolder.create(
        tmp_path / "run", config(capture=str(tmp_path / "capture"), hold_out_every=hold_out_every)
    )
    folder.about_file.write_text(f'{{"capture_fingerprint": "{capture.fingerprint()}"}}')
    points = capture.points.positions
    count = len(points)
    swarm = np.random.default_rng(0).normal(HANGS_AT, (0.12, 0.05, 0.12), (SWARM, 3))
    colors = np.concatenate([colors_at(points), colors_at(np.tile(PARTS["Blue"][0], (SWARM, 1)))])
    encode = extension.module("splat_addon.gaussians.srgb").encode_srgb
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=np.concatenate([points, swarm]),
        log_scales=np.full((count + SWARM, 3), np.log(0.06)),
        quaternions=np.tile((1.0, 0, 0, 0), (count + SWARM, 1)),
        logit_opacities=np.full(count + SWARM, 3.0),
        sh=((encode(colors) - 0.5) / 0.28209479177387814)[:, None],
    )
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(folder.splats_file, cloud)
    bpy.context.scene.splat.run_folder = str(folder.path)
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    return bpy.context.active_object, np.arange(count + SWARM) >= count


def colors_at(points: np.ndarray) -> np.ndarray:
    """(P, 3) linear colors of the parts that these places are nearest to."""
    return np.array([color for *_, color in PARTS.values()])[np.argmin(_distances(points), axis=0)]


def distance_to_parts(points: np.ndarray) -> np.ndarray:
    """(P,) how far these places are from all parts, along the axis that is farthest; 0 within one."""
    return _distances(points).min(axis=0)


def _distances(points: np.ndarray) -> np.ndarray:
    parts = PARTS.values()
    return np.array(
        [np.maximum(np.abs(points - center) - np.array(size) / 2, 0).max(axis=1) for center, size, _ in parts]
    )
