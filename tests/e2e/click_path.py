"""A person at the window: from the default scene to trained splats and the wipe, with mouse and keys.

`test_click_path.py` starts Blender with this script. Nothing knows where a button is: the mouse goes down the sidebar
until Blender says that the button below it runs the wanted command, and scrolls on where it is not in sight.

    blender --factory-startup --enable-event-simulate --python click_path.py -- EXTENSION.zip TRAINER_PYTHON FOLDER
"""

import importlib
import json
import sys
import traceback
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import window
from support.window import until

ZIP, TRAINER_PYTHON, FOLDER = sys.argv[sys.argv.index("--") + 1 :]
EXTENSION = "bl_ext.user_default.splat_training"
TICK_S, ROW_PX = 0.02, 11  # a button is 20 pixels high, times the interface's scale


def module(name):
    return importlib.import_module(f"{EXTENSION}.splat_addon.{name}")


class Hand:
    """Mouse and keyboard over the largest 3D view. What takes time is a generator: at `yield`, Blender goes on."""

    def __init__(self):
        self.window = bpy.context.window_manager.windows[0]
        views = [area for area in self.window.screen.areas if area.type == "VIEW_3D"]
        self.area = max(views, key=lambda area: area.width * area.height)
        self.at = (0, 0)

    def region(self, kind):
        return next(region for region in self.area.regions if region.type == kind)

    def send(self, key, *values):
        for value in values:
            self.window.event_simulate(key, value, x=self.at[0], y=self.at[1])

    def press(self, key):
        """Blender handles it, and draws what it changes, before the next line runs; so for all that follow."""
        self.send(key, "PRESS", "RELEASE")
        yield
        yield

    def turn_wheel(self, direction, notches):
        for _ in range(notches):
            self.send(f"WHEEL{direction}MOUSE", "PRESS")
        yield

    def move(self, x, y):
        self.at = (int(x), int(y))
        self.send("MOUSEMOVE", "NOTHING")
        yield
        yield

    def rest_in(self, kind):
        region = self.region(kind)
        yield from self.move(region.x + 0.4 * region.width, region.y + 0.5 * region.height)

    def command_below(self):
        """What the button below the mouse would run, as Blender's own Copy Python Command says."""
        with bpy.context.temp_override(window=self.window, area=self.area, region=self.region("UI")):
            if not bpy.ops.ui.copy_python_command_button.poll():
                return ""
            bpy.ops.ui.copy_python_command_button()
            return bpy.context.window_manager.clipboard

    def open_tab(self, name):
        """Click down the tabs at the sidebar's border until the wanted one is open."""
        sidebar = self.region("UI")
        for up in range(sidebar.height - 20, 0, -15):
            if sidebar.active_panel_category == name:
                return
            yield from self.move(sidebar.x + sidebar.width - 10, sidebar.y + up)
            yield from self.press("LEFTMOUSE")
        raise AssertionError(f"The sidebar has no tab {name}.")

    def click(self, operator):
        """Find the operator's button in the sidebar, from the top down, and click it."""
        sidebar = self.region("UI")
        yield from self.rest_in("UI")
        yield from self.turn_wheel("UP", 60)
        for _ in range(12):
            for up in range(sidebar.height - 4, 4, -ROW_PX):
                yield from self.move(sidebar.x + 0.35 * sidebar.width, sidebar.y + up)
                if self.command_below().startswith(f"bpy.ops.{operator}("):
                    yield from self.press("LEFTMOUSE")
                    yield from self.rest_in("WINDOW")
                    return
            yield from self.rest_in("UI")
            yield from self.turn_wheel("DOWN", 8)
        raise AssertionError(f"No button of the sidebar runs {operator}.")

    def drag(self, x, y, to_x):
        yield from self.move(x, y)
        self.send("LEFTMOUSE", "PRESS")
        for part in range(1, 9):
            yield from self.move(x + (to_x - x) * part / 8, y)
        self.send("LEFTMOUSE", "RELEASE")

    def photograph(self, name):
        """Save the pixels of the 3D view as they are on the screen."""
        yield from self.rest_in("UI")
        yield from window.photograph(self.area, Path(FOLDER, name))


def settings_of(scene):
    """What belongs to the artist: all plain render settings of the scene, and its camera."""
    owners = scene.render, scene.render.image_settings, scene.view_settings, scene.display_settings, scene.cycles
    found = {"camera": scene.camera.name, "frame": scene.frame_current}
    for owner in owners:
        plain = [item.identifier for item in owner.bl_rna.properties if item.type not in ("POINTER", "COLLECTION")]
        found |= {f"{owner.path_from_id()}.{name}": str(getattr(owner, name)) for name in plain}
    return found


def wipe_in(hand, scene):
    """What the test needs to judge a photograph of the wipe; the frame in pixels of the area."""
    region, area = hand.region("WINDOW"), hand.area
    frame = module("scene.review.frame").frame_of(scene.camera, scene, region, area.spaces.active.region_3d)
    left, bottom = region.x - area.x, region.y - area.y
    return {
        "wipe": scene.splat.review.wipe,
        "frame": [frame.left + left, frame.bottom + bottom, frame.right + left, frame.top + bottom],
        "camera": scene.camera.name,
        "resolution": [scene.render.resolution_x, scene.render.resolution_y],
    }


def path(result):
    """The whole way; `result` is what the test judges."""
    hand, scene = Hand(), bpy.context.scene
    space, sidebar = hand.area.spaces.active, hand.region("UI")
    yield from hand.rest_in("WINDOW")
    yield from hand.press("DEL")
    yield from until(lambda: "Cube" not in scene.objects, "Delete removes the default cube")
    yield from hand.press("N")
    yield from until(lambda: space.show_region_ui and sidebar.width > 50, "N opens the sidebar")
    yield from hand.open_tab("Splats")

    yield from hand.click("splat.add_sample_scene")
    yield from until(lambda: "Striped Vase" in scene.objects, "the sample scene is there")
    capture = scene.splat.capture  # a person would type these
    capture.folder, capture.camera_count, capture.seed_count = str(Path(FOLDER, "capture")), 9, 3000
    capture.width, capture.height, capture.samples, capture.engine = 120, 90, 4, "CYCLES"
    capture.use_denoising = False  # which not every Blender can
    scene.splat.training.iterations = 80
    result["settings before"] = settings_of(scene)
    yield from hand.click("splat.capture_scene")
    live_render, live_run = module("scene.tasks.live_render"), module("scene.tasks.live_run")
    yield from until(live_render.is_rendering, "the capture is rendered")
    yield from until(lambda: not live_render.is_rendering(), "the capture is complete", 400)
    assert live_render.current().state == "finished", live_render.current().message
    yield from hand.click("splat.start_training")
    yield from until(live_run.is_training, "training has begun")
    yield from until(lambda: not live_run.is_training(), "the run is over", 400)
    run = live_run.current()
    assert run.state == "finished", run.message
    yield from until(lambda: len(scene.splat.held_out_views), "the held-out views are listed")
    item = scene.objects[run.folder.path.name]
    yield from hand.click("splat.review_view")
    yield from until(lambda: module("scene.review.held_out").is_reviewing(scene), "a held-out view is looked through")
    shown = module("scene.review.overlay").shown()
    result["view"] = {"photo": str(shown.photo.path), "trained": str(shown.trained.path), "name": shown.name}
    yield from hand.photograph("wipe.png")
    result["wipe.png"] = wipe_in(hand, scene)
    left, bottom, right, top = result["wipe.png"]["frame"]
    low = hand.area.y + bottom + 0.3 * (top - bottom)
    yield from hand.drag(hand.area.x + 0.5 * (left + right), low, hand.area.x + 0.7 * left + 0.3 * right)
    yield from hand.photograph("dragged.png")
    result["dragged.png"] = wipe_in(hand, scene)
    yield from hand.click("splat.leave_review")
    yield from until(lambda: not module("scene.review.held_out").is_reviewing(scene), "the review is left")
    result["settings after"] = settings_of(scene)
    result["perspective after"] = space.region_3d.view_perspective
    result["object"] = {
        "name": item.name,
        "is visible": item.visible_get(),
        "splats": len(item.data.attributes["position"].data),
        "attributes": sorted(item.data.attributes.keys()),
        "run": str(run.folder.path),
    }


def go_on():
    """One step of the path; at its end, the result is written and Blender quits."""
    try:
        next(go_on.steps)
        return TICK_S
    except StopIteration:
        pass
    except Exception:
        go_on.result["failure"] = traceback.format_exc()
    Path(FOLDER, "result.json").write_text(json.dumps(go_on.result, indent=1), encoding="utf-8")
    bpy.ops.wm.quit_blender()
    return None


bpy.context.preferences.view.show_splash = False
bpy.ops.extensions.package_install_files(filepath=ZIP, repo="user_default", enable_on_install=True)
bpy.context.preferences.addons[EXTENSION].preferences.trainer_python = TRAINER_PYTHON
go_on.result = {}
go_on.steps = path(go_on.result)
bpy.app.timers.register(go_on, first_interval=2.0, persistent=True)
