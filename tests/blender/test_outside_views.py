"""Views off the path of a scene's capture: chosen, rendered for truth, and measured by Preview Removal."""

import bpy
import numpy as np
import pytest

from support.shelf_scene import capture_shelf, run_of_shelf


@pytest.fixture
def live_render(extension):
    module = extension.module("splat_addon.scene.tasks.live_render")
    yield module
    if module.is_rendering():
        module.current().process.close()
    extension.drop(module.Rendered)


@pytest.fixture
def trained_by(extension, trainer_python):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = str(trainer_python)
    yield
    chosen.trainer_python = ""
    extension.drop(extension.module("splat_addon.scene.tasks.previewing_removal").Previewing)


def test_removing_what_hangs_off_the_path_is_measured_there(extension, live_render, trained_by, tmp_path):
    capture_shelf(tmp_path / "capture")
    item, hangs = run_of_shelf(extension, tmp_path)
    names = {block.name for kind in (bpy.data.objects, bpy.data.cameras) for block in kind}
    bpy.context.scene.splat.inspection.outside_count = 4
    assert bpy.ops.splat.render_outside_views(wait=True) == {"FINISHED"}
    print(live_render.current().warnings, live_render.current().message)
    choosing = extension.module("splat_addon.scene.inspection.choosing")
    choosing.select(item.data, hangs)
    assert bpy.ops.splat.preview_removal(selected=True, wait=True) == {"FINISHED"}
    previewing = extension.module("splat_addon.scene.tasks.previewing_removal")
    print(previewing.measured_of(item).removal, previewing.said_of(item))
    img = bpy.data.images[previewing.PICTURE]
    img.filepath_raw = "/tmp/t_outside/sheet.png"; img.file_format = "PNG"; img.save()
    assert 0
