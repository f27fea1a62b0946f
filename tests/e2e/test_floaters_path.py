"""From six photos, and the floaters that training leaves with so few, to splats with fewer of them, by the commands of
an artist's buttons: train, inspect, step to a region, preview its removal, delete and train on, and look at what was
measured. And the same of a scene, up to the preview, with truth from off the path."""

import bpy
import numpy as np

from support.ball_in_a_room import hangs, write_capture
from support.shelf_scene import build_shelf, distance_to_parts

LIMIT_S = 300


def trained(extension, started):
    """The folder of the run that was started, once it is over and its splats are the active object."""
    assert started == {"FINISHED"}
    run = extension.module("splat_addon.scene.tasks.live_run").wait(LIMIT_S)
    assert run.state == "finished", run.message
    assert bpy.ops.splat.import_result() == {"FINISHED"}
    return run.folder, bpy.context.active_object


def assert_same(cloud, before):
    for name in ("means", "log_scales", "quaternions", "logit_opacities", "sh"):
        assert np.array_equal(getattr(cloud, name), getattr(before, name)), name


def test_floaters_of_few_views_are_found_previewed_removed_and_measured(
    extension, empty_file, trainer_python, tmp_path
):
    bpy.context.preferences.addons[extension.name].preferences.trainer_python = str(trainer_python)
    scene, read = bpy.context.scene, extension.module("splat_addon.scene.splats.data").splats_from_object
    write_capture(tmp_path / "capture", 8, 4)  # six photos to train on
    scene.splat.capture.folder, chosen = str(tmp_path / "capture"), scene.splat.training
    scene.splat.capture.seed_source, chosen.sky_seeds, chosen.seed_count = "RANDOM", "OFF", 3000
    chosen.iterations, chosen.sh_degree = 200, 1
    first, item = trained(extension, bpy.ops.splat.start_training())
    files = {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()}
    before = read(item)
    is_floater = hangs(before.means)
    assert is_floater.sum() > 1000, "random seeds stay in the air where few photos look through"

    assert bpy.ops.splat.inspect_splats(wait=True) == {"FINISHED"}
    choosing = extension.module("splat_addon.scene.inspection.choosing")
    doomed = choosing.floaters(item.data, threshold := scene.splat.inspection.threshold)
    assert doomed.sum() > 200 and is_floater[doomed].mean() > 0.85
    assert bpy.ops.splat.step_region() == {"FINISHED"}
    swarm = choosing.selected(item.data)
    shown = extension.module("splat_addon.scene.inspection.stepping").shown(item.data, threshold)
    assert np.array_equal(np.flatnonzero(swarm), np.sort(shown.splats)) and swarm.any() and not (swarm & ~doomed).any()
    assert shown.used_by and len(shown.sentences) > 1

    assert bpy.ops.splat.preview_removal(wait=True) == {"FINISHED"}
    measured = extension.module("splat_addon.scene.tasks.previewing_removal").measured_of(item)
    assert measured.count == doomed.sum() and measured.removal.views > 0
    assert all(np.isfinite(measured.removal.psnr_db)) and measured.removal.psnr_db[0] != measured.removal.psnr_db[1]
    assert 0 <= measured.removal.holes <= 1
    assert_same(read(item), before)

    scene.splat.training_further.steps = 100
    second, result = trained(extension, bpy.ops.splat.train_further(without_floaters=True))
    file = extension.module("splat_addon.gaussians.formats.splat_ply").read_splats
    assert np.array_equal(file(second.path / "start.ply").means, before.means[~doomed])
    assert np.array_equal(file(second.path / "cleared.ply").means, before.means[doomed])
    assert result != item and second.path != first.path
    left, deleted = hangs(read(result).means).sum(), (is_floater & doomed).sum()
    assert left < is_floater.sum() - 0.6 * deleted, "few hang where the floaters were"
    psnr_db = second.latest_evaluation().psnr_db
    assert psnr_db > measured.removal.psnr_db[1], "training on closes what deleting opens"
    assert psnr_db > first.latest_evaluation().psnr_db + 0.25, "held-out photos look better without the floaters"

    assert_same(read(item), before)
    assert {path: path.read_bytes() for path in files} == files, "the earlier run stays as it was"


def test_removal_is_measured_off_the_path_of_a_captured_scene(extension, empty_file, trainer_python, tmp_path):
    bpy.context.preferences.addons[extension.name].preferences.trainer_python = str(trainer_python)
    scene, read = bpy.context.scene, extension.module("splat_addon.scene.splats.data").splats_from_object
    build_shelf(tmp_path / "capture", cameras=6)
    assert bpy.ops.splat.capture_scene() == {"FINISHED"}
    scene.splat.capture.seed_source, chosen = "RANDOM", scene.splat.training
    chosen.sky_seeds, chosen.seed_count, chosen.iterations, chosen.sh_degree = "OFF", 3000, 300, 1
    chosen.hold_out_every = 3
    _, item = trained(extension, bpy.ops.splat.start_training())
    assert bpy.ops.splat.inspect_splats(wait=True) == {"FINISHED"}
    choosing = extension.module("splat_addon.scene.inspection.choosing")
    doomed = choosing.floaters(item.data, scene.splat.inspection.threshold)
    is_floater = distance_to_parts(read(item).means) > 0.3
    assert doomed.sum() > 100 and is_floater[doomed].mean() > 0.95 and is_floater.sum() > 1000

    scene.splat.inspection.outside_count = 5
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    previewing = extension.module("splat_addon.scene.tasks.previewing_removal")
    assert bpy.ops.splat.preview_removal(wait=True) == {"FINISHED"}
    found = previewing.measured_of(item).removal
    assert found.views == 2 and found.off_path.views == 5 and found.psnr_db[0] > found.off_path.psnr_db[0] + 8
    assert found.off_path.psnr_db[1] > found.off_path.psnr_db[0] + 0.2, "off the path it is better without them"

    choosing.select(item.data, is_floater)
    assert bpy.ops.splat.preview_removal(selected=True, wait=True) == {"FINISHED"}
    every = previewing.measured_of(item).removal
    assert every.psnr_db[1] < every.psnr_db[0] - 2, "photos are fitted with the help of what hangs"
    assert every.off_path.psnr_db[1] > every.off_path.psnr_db[0] + 1.5, "which only views off the path tell"
