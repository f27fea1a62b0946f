"""Files of the version before the rooms (0.1.0, commit a246409): they open, resume and export as they did.

`tests/fixtures/version_0_1_0/` was made by that version in Blender 4.2: a .blend with the splats of a run in Trainer
Look, its capture of six views, and the run, stopped after some steps of 400. The project stood elsewhere then.
"""

import shutil
import time
from pathlib import Path

import bpy
import numpy as np
import pytest

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "version_0_1_0"


@pytest.fixture
def project(tmp_path):
    """A copy of the project, opened; its folder."""
    folder = tmp_path / "moved"
    shutil.copytree(FIXTURE, folder)
    bpy.ops.wm.open_mainfile(filepath=str(folder / "project.blend"))
    return folder


def test_settings_of_an_earlier_version_are_read(extension, project):
    splat = bpy.context.scene.splat
    assert (splat.capture.folder, splat.capture.camera_count, splat.capture.seed_count) == ("//capture", 6, 80)
    assert (splat.capture.width, splat.capture.height, splat.capture.engine) == (48, 32, "CYCLES")
    assert (splat.look, splat.viewport.blending, splat.viewport.kind) == ("DISPLAY", "BLENDER", "POINTS")
    config = extension.module("splat_addon.scene.settings.training").train_config(bpy.context.scene)
    assert (config.iterations, config.max_gaussians, config.strategy, config.hold_out_every) == (400, 60, "default", 3)
    assert config.sh_base_rate == 0.0123 and config.sh_degree == 1
    assert Path(config.capture) == project / "capture"
    run_path = extension.module("splat_addon.scene.settings.paths").run_path(bpy.context.scene)
    assert run_path == project / "capture_runs" / "run_001"
    assert [view.name for view in splat.held_out_views] != [] and splat.held_out_views[0].psnr_db > 0


def test_splats_of_an_earlier_version_are_shown_and_exported_as_they_were(extension, project):
    data = extension.module("splat_addon.scene.splats.data")
    ply = extension.module("splat_addon.gaussians.formats.splat_ply")
    item, trained = bpy.data.objects["run_001"], ply.read_splats(project / "capture_runs" / "run_001" / "splats.ply")
    assert data.is_splats(item) and item[data.BLEND_SPACE_KEY] == "blender" == trained.blend_space
    assert item.modifiers["Splat Box"].show_viewport and not item.modifiers["Splat Quads"].show_viewport
    bpy.context.view_layer.objects.active = item
    assert bpy.ops.splat.export_ply(filepath=str(project / "out.ply")) == {"FINISHED"}
    exported = ply.read_splats(project / "out.ply")
    assert exported.blend_space == "blender" and len(exported) == len(trained) > 10
    for name in ("means", "logit_opacities", "sh"):
        assert np.array_equal(getattr(exported, name), getattr(trained, name)), name
    for name in ("quaternions", "log_scales"):  # kept as unit quaternions with a length, and as scales
        assert np.allclose(getattr(exported, name), getattr(trained, name), atol=1e-6), name
    bpy.context.scene.splat.viewport.show = False
    assert item.modifiers["Splat Quads"].show_viewport and "Splat Box" not in item.modifiers


def test_nodes_of_an_earlier_version_are_filled_again_for_all_that_use_them(extension, project):
    quads = extension.module("splat_addon.scene.splats.quads")
    item, group = bpy.data.objects["run_001"], bpy.data.node_groups[quads.GROUP_NAME]
    appearance = extension.module("splat_addon.scene.splats.appearance")
    before = len(group.nodes), len(group.animation_data.drivers)
    version_key = extension.module("splat_addon.scene.own_data").VERSION_KEY
    assert group.get(version_key) is None
    assert bpy.ops.splat.set_up_render() == {"FINISHED"}
    modifier = appearance.look_modifier(item)
    assert modifier.node_group == group and group[version_key] == quads.VERSION
    new = quads._make_group(extension.module("splat_addon.gaussians.rules").DEFAULT_RULES)
    assert (len(group.nodes), len(group.animation_data.drivers)) == (len(new.nodes), len(new.animation_data.drivers))
    assert (len(group.nodes), len(group.animation_data.drivers)) != before
    identifier = group.interface.items_tree[quads.DISPLAY_SPACE].identifier
    kept = (
        getattr(modifier.properties.inputs, identifier).value
        if hasattr(modifier, "properties")
        else modifier[identifier]
    )
    assert kept, "it keeps Trainer Look"


def test_renders_of_an_earlier_versions_splats_can_show_hidden_ones(extension, project):
    quads = extension.module("splat_addon.scene.splats.quads")
    modifier = extension.module("splat_addon.scene.splats.appearance").look_modifier(bpy.data.objects["run_001"])
    assert quads.HIDDEN_SPLATS not in modifier.node_group.interface.items_tree
    bpy.context.scene.splat.render_hidden = True
    identifier = modifier.node_group.interface.items_tree[quads.HIDDEN_SPLATS].identifier
    is_on = (
        getattr(modifier.properties.inputs, identifier).value
        if hasattr(modifier, "properties")
        else modifier[identifier]
    )
    assert is_on and modifier.node_group.name == quads.GROUP_NAME


def test_a_run_of_an_earlier_version_goes_on_from_its_checkpoint(extension, project, trainer_python):
    live_run = extension.module("splat_addon.scene.tasks.live_run")
    folder = extension.module("splat_addon.run.folder").RunFolder(project / "capture_runs" / "run_001")
    before = folder.events()[-1]
    assert type(before).__name__ == "Finished" and before.stopped
    bpy.context.preferences.addons[extension.name].preferences.trainer_python = str(trainer_python)
    assert bpy.ops.splat.resume_training() == {"FINISHED"}
    try:
        deadline, is_told = time.monotonic() + 240, False
        while not live_run.current().is_over:
            assert time.monotonic() < deadline
            live_run.pump()
            progress = live_run.current().progress
            if progress is not None and progress.step > before.step and not is_told:
                live_run.send("stop")
                is_told = True
        run = live_run.current()
        assert run.state == "finished", run.message
        assert run.progress.step > before.step and folder.events()[-1].step >= run.progress.step > before.step
        assert any("whether its capture has changed since was not checked" in warning for warning in run.warnings)
    finally:
        if live_run.is_training():
            live_run.current().process.close()
        extension.drop(live_run.Watched)
