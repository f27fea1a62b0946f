"""Undo and redo while the viewport follows a run: Blender lives, and one step back is what the artist did last."""

import os
import re
import signal
import subprocess
import sys

import bpy

from support.extension import ROOT

# Timers do not tick without a window: here, a turn of theirs comes between any two things that the artist does.
WITHOUT_WINDOW = f"""
import os, sys, time
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from pathlib import Path
from types import SimpleNamespace
from support import extension as support
extension = support.Extension(support.enable_extension())
import bpy
from support.undo_rounds import Artist

watching = extension.module("splat_addon.scene.tasks.watching")
preview = extension.module("splat_addon.scene.tasks.preview")
live_run = extension.module("splat_addon.scene.tasks.live_run")
later_s, is_watching = 0.0, True
preview.time = SimpleNamespace(monotonic=lambda: time.monotonic() + later_s, perf_counter=time.perf_counter)
chosen = bpy.context.preferences.addons[extension.name].preferences
chosen.trainer_python, chosen.when_quitting = sys.executable, "STOP"

def press(key):
    if key.poll():
        key()
    yield

artist = Artist(extension.module, Path(sys.argv[1]), lambda: press(bpy.ops.ed.undo), lambda: press(bpy.ops.ed.redo))
for _ in artist.work(int(os.environ.get("SPLAT_UNDO_ROUNDS", 2))):
    bpy.context.view_layer.update()
    later_s += 3600
    if live_run.current() is not None and is_watching:
        is_watching = watching._watch() is not None
    preview.tick(3600)
    bpy.context.view_layer.update()
print("The artist is content.", artist.steps, flush=True)
"""
ATTEMPTS = 3 if bpy.app.version >= (5, 3) else 1


def died_by_itself(answer) -> bool:
    """Blender 5.3.0 alone, without the add-on, dies about once in 5 000 undone and redone cubes, in
    `object_foreach_id`: undo reads a pointer of an object that it has only just read, and that is stale by then."""
    last_frame = re.search(r"Current thread [^\n]*\n  File (.*)", answer.stderr)
    is_in_undo = last_frame is not None and last_frame[1].endswith(" in press")  # not in anything of ours
    return answer.returncode == -getattr(signal, "SIGSEGV", 0) and is_in_undo


def test_blender_lives_through_undo_and_redo_while_previews_and_the_result_come(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "BLENDER_USER_RESOURCES"}
    command = [sys.executable, "-X", "faulthandler", "-c", WITHOUT_WINDOW]
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        answer = subprocess.run(
            [*command, str(folder)], env=environment, capture_output=True, text=True, timeout=3600, check=False
        )
        if not died_by_itself(answer):
            break
    print(answer.stdout)
    assert answer.returncode == 0 and "The artist is content." in answer.stdout, f"{answer.stdout}\n{answer.stderr}"
