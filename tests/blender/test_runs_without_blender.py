"""Runs that go on without Blender are announced in Training; a run that trains says what quitting does."""

from pathlib import Path
from types import SimpleNamespace

import bpy
import pytest

from support.recording_layout import drawn, texts


@pytest.fixture
def found(extension):
    """Lets the list of runs hold those in these folders, and returns what Training draws."""
    found_runs = extension.module("splat_addon.scene.runs.found_runs")
    run = extension.module("splat_addon.run.find").FoundRun
    panel = extension.module("panels.training").SPLAT_PT_training

    def show(*paths, is_training=True, capture="/shoot/capture"):
        state = "training" if is_training else "finished"
        found_runs.found().runs = [
            run(Path(path), capture, state, is_training, 0.4, None, False, False, 0.0) for path in paths
        ]
        return drawn(panel, bpy.context)

    return show


def test_a_run_of_this_scene_that_trains_is_announced_on_top_with_watch(found):
    bpy.context.scene.splat.run_folder = "/shoot/capture_runs/run_003"
    record = found("/shoot/capture_runs/run_003", "/elsewhere/run_009", capture="/other")
    assert record[0] == ("label", record[0][1]) and "run_003 goes on without Blender" in texts(record[:4])
    assert ("operator", "splat.watch_run", None) in record[:5]
    assert "run_009" not in texts(record)


def test_a_run_on_the_scenes_capture_counts_and_one_that_is_over_does_not(found):
    bpy.context.scene.splat.capture.folder = "/shoot/capture"
    assert "goes on without Blender" in texts(found("/shoot/capture_runs/run_001"))
    assert "goes on without Blender" not in texts(found("/shoot/capture_runs/run_001", is_training=False))
    assert "goes on without Blender" not in texts(found("/shoot/capture_runs/run_001", capture="/else/capture"))


@pytest.mark.parametrize(
    "is_own, when_quitting, said",
    [
        (True, "STOP", "saves its result and stops"),
        (True, "GO_ON", "this run goes on: open the file again"),
        (False, "STOP", "another Blender started it"),
    ],
)
def test_training_says_what_quitting_does(extension, is_own, when_quitting, said):
    runs = extension.module("panels.runs")
    chosen = bpy.context.preferences.addons[extension.name].preferences
    former, chosen.when_quitting = chosen.when_quitting, when_quitting
    record: list = []
    from support.recording_layout import RecordingLayout

    runs.draw_quitting(RecordingLayout(record), SimpleNamespace(is_own=is_own))
    chosen.when_quitting = former
    assert said in texts(record)
