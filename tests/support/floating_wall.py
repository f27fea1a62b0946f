"""A wall and a veil of small splats that hangs before it, in Blender: as an object, a run of six photos, inspected."""

import bpy
import numpy as np

from .photo_files import write_png

WALL, SWARM = 600, 20
COUNT = WALL + SWARM
FLOATS = np.arange(COUNT) >= WALL


def wall_and_swarm(extension):
    """A wall at z = 4, and a veil of small splats that hangs two units before it."""
    rng = np.random.default_rng(0)
    across, up = np.meshgrid(np.linspace(-4, 4, 30), np.linspace(-2, 2, 20))
    wall = np.stack([across.ravel(), up.ravel(), np.full(WALL, 4.0)], axis=1)
    log_scales = np.tile(np.log([0.25, 0.2, 0.01]), (COUNT, 1))
    log_scales[FLOATS] = np.log(0.06)
    return extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means=np.concatenate([wall, rng.normal([0.2, 0, 2.0], 0.08, (SWARM, 3))]),
        log_scales=log_scales,
        quaternions=rng.normal(0, 1e-3, (COUNT, 4)) + (2.0, 0, 0, 0),
        logit_opacities=np.where(FLOATS, -2.8, 3.0),
        sh=rng.normal(0, 0.5, (COUNT, 1, 3)),
    )


def inspect_in_place(extension, item) -> None:
    """Give an object the columns of an inspection that is made up: the swarm scores 1 and more, by its index."""
    file = extension.module("splat_addon.inspection.file")
    evidence = extension.module("splat_addon.inspection.evidence")
    findings = extension.module("splat_addon.inspection.score").Findings
    cloud = extension.module("splat_addon.scene.splats.data").splats_from_object(item)
    hang = FLOATS.astype(np.float32)
    values = {name: np.zeros(COUNT, np.float32) for name in evidence.COLUMNS}
    values |= {"weight": np.arange(COUNT, dtype=np.float32), "nearness": np.ones(COUNT, np.float32), "hang": hang}
    values |= {"behind": 0.75 * hang, "distance": 2 * hang, "view_open": hang}
    values |= {"seen": np.full(COUNT, 3, np.uint8), "looked_through": (2 * FLOATS).astype(np.uint8)}
    values |= {"used_by": np.full(COUNT, 1 << 63 | 1 << 31 | 2, np.uint64)}
    names = tuple(f"P_{number}" for number in range(64))
    seen = evidence.Evidence(**values, reach=4.0, view_names=names, view_positions=np.zeros((64, 3)))
    score = np.where(FLOATS, 1 + np.arange(COUNT) / 1000, 0.1).astype(np.float32)
    found = findings(score, hang, np.zeros(COUNT, np.float32), np.zeros(COUNT, np.uint8))
    inspection = file.Inspection(file.key_of(cloud), file.places_of(cloud.means), found, seen)
    extension.module("splat_addon.scene.inspection.columns").put(item.data, inspection)
    bpy.context.view_layer.update()


def photographed_run(extension, tmp_path, hold_out_every=0):
    """The object of a run whose photos look at the wall from six places."""
    camera = extension.module("splat_addon.capture.camera").Camera
    cameras = {}
    for number in range(6):
        pose = np.eye(4)
        pose[0, 3] = 0.6 * (number - 3)
        cameras[f"images/{number}.png"] = camera(64, 48, 60.0, 60.0, 32.0, 24.0, pose)
        (tmp_path / "capture" / "images").mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / "capture" / "images" / f"{number}.png", np.full((48, 64, 3), 120, np.uint8))
    held_out = [*cameras][::hold_out_every] if hold_out_every else []
    transforms = extension.module("splat_addon.capture.formats.transforms")
    transforms.write_transforms(tmp_path / "capture" / "transforms.json", cameras, held_out, None, {})
    config = extension.module("splat_addon.run.config").TrainConfig
    folders = extension.module("splat_addon.run.folder").RunFolder
    folder = folders.create(tmp_path / "run", config(capture=str(tmp_path / "capture"), hold_out_every=hold_out_every))
    write = extension.module("splat_addon.gaussians.formats.splat_ply").write_splats
    write(folder.splats_file, wall_and_swarm(extension))
    bpy.context.scene.splat.run_folder = str(folder.path)
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    return bpy.context.active_object
