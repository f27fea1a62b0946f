"""A wall with boxes before it that shine in their own colors, cameras in a row before them, and the run of a capture of
that: splats on all surfaces, and a few that hang in the air where no camera of the row looks past."""

import bpy
import numpy as np

from .cube_scene import select

SWARM = 60
HANGS_AT = (0.0, -1.4, 1.0)  # before the middle of the shelf


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
    shader.inputs["Base Color"].default_value = shader.inputs["Emission Color"].default_value = (*color, 1.0)
    shader.inputs["Emission Strength"].default_value = 1.0
    mesh.materials.append(material)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def build_shelf() -> list[bpy.types.Object]:
    """The wall, a floor and five boxes, nothing else that gives light."""
    world = bpy.data.worlds.new("Dark")
    if bpy.app.version < (5, 0):
        world.use_nodes = True
    next(node for node in world.node_tree.nodes if node.type == "BACKGROUND").inputs["Strength"].default_value = 0.0
    bpy.context.scene.world = world
    made = [
        add_shining_box("Wall", (0, 1.1, 1.5), (9, 0.2, 5), (0.5, 0.45, 0.4)),
        add_shining_box("Floor", (0, -1.0, -0.1), (9, 4.0, 0.2), (0.2, 0.25, 0.3)),
    ]
    colors = [(0.8, 0.1, 0.1), (0.1, 0.6, 0.2), (0.1, 0.2, 0.8), (0.8, 0.7, 0.1), (0.6, 0.1, 0.6)]
    for number, color in enumerate(colors):
        height = 0.8 + 0.3 * (number % 3)
        made.append(add_shining_box(f"Box {number}", (1.2 * (number - 2), 0.3, height / 2), (0.7, 0.7, height), color))
    return made


def add_row(count: int = 5) -> list[bpy.types.Object]:
    """Cameras side by side before the shelf that look at it."""
    made = []
    for number in range(count):
        item = bpy.data.objects.new(f"Row {number}", bpy.data.cameras.new("Row"))
        item.location, item.rotation_euler = (0.25 * (number - (count - 1) / 2), -5.0, 1.2), (1.5707963, 0.0, 0.0)
        item.data.lens = 30.0
        bpy.context.scene.collection.objects.link(item)
        made.append(item)
    return made


def capture_shelf(folder, **changes) -> None:
    """The capture of it, by the operator."""
    scene = bpy.context.scene
    build_shelf(), add_row()
    select()
    values = {"folder": str(folder), "source": "ALL", "width": 64, "height": 48, "samples": 2, "seed_count": 4000}
    for name, value in {**values, "engine": "CYCLES", "use_denoising": False, **changes}.items():
        setattr(scene.splat.capture, name, value)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}


def run_of_shelf(extension, tmp_path, hold_out_every=3) -> tuple[bpy.types.Object, np.ndarray]:
    """The object of a run that was trained on that capture, active, and which of its splats hang in the air."""
    capture_module = extension.module("splat_addon.capture.capture")
    capture = capture_module.open_capture(tmp_path / "capture", hold_out_every)
    config = extension.module("splat_addon.run.config").TrainConfig
    folder = extension.module("splat_addon.run.folder").RunFolder.create(
        tmp_path / "run", config(capture=str(tmp_path / "capture"), hold_out_every=hold_out_every)
    )
    folder.about_file.write_text(f'{{"capture_fingerprint": "{capture.fingerprint()}"}}')
    cloud, hangs = shelf_cloud(extension, capture.points)
    extension.module("splat_addon.gaussians.formats.splat_ply").write_splats(folder.splats_file, cloud)
    bpy.context.scene.splat.run_folder = str(folder.path)
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    return bpy.context.active_object, hangs


def shelf_cloud(extension, points):
    """Splats at the capture's points, and a swarm in the air that has the colors of what the row sees behind it."""
    rng = np.random.default_rng(0)
    count = len(points.positions)
    log_scales = np.full((count + SWARM, 3), np.log(0.06))
    positions = np.concatenate([points.positions, rng.normal(HANGS_AT, (0.25, 0.05, 0.25), (SWARM, 3))])
    colors = np.concatenate([points.colors, np.full((SWARM, 3), (0.35, 0.48, 0.9))])
    log_scales[count:] = np.log(0.12)
    quaternions = np.tile((1.0, 0, 0, 0), (count + SWARM, 1))
    hangs = np.arange(count + SWARM) >= count
    sh = ((colors - 0.5) / 0.28209479177387814)[:, None]
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=positions, log_scales=log_scales, quaternions=quaternions,
        logit_opacities=np.full(count + SWARM, 3.0), sh=sh,
    )  # fmt: skip
    return cloud, hangs
