"""An artist at the window who undoes and redoes, with the keyboard, while a run trains and when its result has come.

`test_undo_in_a_window.py` starts Blender with this script. Timers tick, and the viewport is drawn, as in any session.

    blender --factory-startup --enable-event-simulate --python undo_in_a_window.py -- EXTENSION.zip FOLDER
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.undo_rounds import Artist

ZIP, FOLDER = sys.argv[sys.argv.index("--") + 1 :]
EXTENSION = "bl_ext.user_default.splat_training"
TICK_S, ROUNDS = 0.02, int(os.environ.get("SPLAT_UNDO_ROUNDS", 4))


def module(name):
    return importlib.import_module(f"{EXTENSION}.{name}")


def press(**modifiers):
    """Z over the largest 3D view; Blender handles it, and draws what it changes, before the next line runs."""
    window = bpy.context.window_manager.windows[0]
    view = max((area for area in window.screen.areas if area.type == "VIEW_3D"), key=lambda area: area.width)
    at = {"x": view.x + view.width // 2, "y": view.y + view.height // 2}
    window.event_simulate("MOUSEMOVE", "NOTHING", **at)
    for value in ("PRESS", "RELEASE"):
        window.event_simulate("Z", value, **at, **modifiers)
    yield


def steps():
    """All that the artist does, one `yield` a tick."""
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        artist = go_on.artist = Artist(
            module, Path(FOLDER), lambda: press(ctrl=True), lambda: press(ctrl=True, shift=True)
        )
    yield from artist.work(ROUNDS)


def go_on():
    """One step; after the last, it is said how it went and Blender quits."""
    outcome = None
    try:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            next(go_on.steps)
        return TICK_S
    except StopIteration:
        outcome = "content"
        Path(FOLDER, "steps.json").write_text(json.dumps(go_on.artist.steps), encoding="utf-8")
    except Exception:
        outcome = traceback.format_exc()
    Path(FOLDER, "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
    bpy.ops.wm.quit_blender()
    return None


bpy.context.preferences.view.show_splash = False
bpy.ops.extensions.package_install_files(filepath=ZIP, repo="user_default", enable_on_install=True)
chosen = bpy.context.preferences.addons[EXTENSION].preferences
chosen.trainer_python, chosen.when_quitting = sys.executable, "STOP"
go_on.steps = steps()
bpy.app.timers.register(go_on, first_interval=2.0, persistent=True)
