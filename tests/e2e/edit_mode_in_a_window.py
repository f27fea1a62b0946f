"""An artist at the window who edits splats: Tab, select a part of them, and look at every kind of shading.

`test_edit_mode_in_a_window.py` starts Blender with this script.

    blender --factory-startup --enable-event-simulate --python edit_mode_in_a_window.py -- EXTENSION.zip FOLDER
"""

import importlib
import json
import sys
import traceback
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.window import photograph, until

ZIP, FOLDER = sys.argv[sys.argv.index("--") + 1 :]
EXTENSION = "bl_ext.user_default.splat_training"
COUNT, TICK_S = 1500, 0.05


def module(name):
    return importlib.import_module(f"{EXTENSION}.splat_addon.{name}")


def green_ball(path):
    """A splat file: a ball of green gaussians around the origin."""
    places = np.random.default_rng(1).normal(size=(COUNT, 3))
    cloud = module("gaussians.cloud").GaussianCloud(
        means=places / np.linalg.norm(places, axis=1)[:, None],
        log_scales=np.full((COUNT, 3), -2.3),
        quaternions=np.tile((1.0, 0, 0, 0), (COUNT, 1)),
        logit_opacities=np.full(COUNT, 3.0),
        sh=np.tile(np.array([-0.6, 0.9, -0.6]), (COUNT, 1, 1)),
    )
    module("gaussians.formats.splat_ply").write_splats(path, cloud)


def press(area, key):
    window = bpy.context.window_manager.windows[0]
    at = {"x": area.x + area.width // 2, "y": area.y + area.height // 2}
    window.event_simulate("MOUSEMOVE", "NOTHING", **at)
    for value in ("PRESS", "RELEASE"):
        window.event_simulate(key, value, **at)
    yield


def rest(area):
    """The mouse near a corner of the view, where it lights nothing up."""
    window = bpy.context.window_manager.windows[0]
    for step in range(3):
        window.event_simulate("MOUSEMOVE", "NOTHING", x=area.x + area.width // 4 + step, y=area.y + 60)
        yield


def work():
    areas = [area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D"]
    area = max(areas, key=lambda each: each.width)
    space = area.spaces.active
    green_ball(Path(FOLDER, "ball.ply"))
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    bpy.ops.splat.import_ply("EXEC_DEFAULT", filepath=str(Path(FOLDER, "ball.ply")))
    item = bpy.context.view_layer.objects.active
    item.select_set(False)  # its box is orange, too
    yield from rest(area)
    yield from photograph(area, Path(FOLDER, "object.png"), "WINDOW")
    yield from press(area, "TAB")
    yield from until(lambda: item.mode == "EDIT", "the splats are edited")
    yield from press(area, "A")
    for shading in ("SOLID", "WIREFRAME", "MATERIAL"):
        space.shading.type = shading
        yield from rest(area)
        yield from photograph(area, Path(FOLDER, f"{shading}.png"), "WINDOW")
    space.shading.type = "SOLID"
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0], area=area):
        deselect = bpy.ops.pointcloud if item.type == "POINTCLOUD" else bpy.ops.mesh
        deselect.select_all(action="DESELECT")
    yield from rest(area)
    yield from photograph(area, Path(FOLDER, "none.png"), "WINDOW")


def go_on():
    outcome = "content"
    try:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            next(go_on.steps)
        return TICK_S
    except StopIteration:
        pass
    except Exception:
        outcome = traceback.format_exc()
    Path(FOLDER, "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
    bpy.ops.wm.quit_blender()
    return None


bpy.context.preferences.view.show_splash = False
bpy.ops.extensions.package_install_files(filepath=ZIP, repo="user_default", enable_on_install=True)
go_on.steps = work()
bpy.app.timers.register(go_on, first_interval=2.0, persistent=True)
