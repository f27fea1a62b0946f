"""No button moves under the mouse while a task runs: what tasks say stands below what can be pressed."""

import sys
from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest

from support.recording_layout import placed
from support.splat_objects import make_splats

LONG = "Something that takes several lines of a narrow sidebar was noticed. Here is what to do about it."


@pytest.fixture
def panels(extension):
    classes = [cls for module in extension.module("panels").modules() for cls in module.CLASSES]
    return [cls for cls in classes if issubclass(cls, bpy.types.Panel)]


@pytest.fixture
def stage(panels):
    """Lays out a stage of the sidebar, or what is on top of it."""

    def lay_out(name):
        panel = next(cls for cls in panels if cls.bl_idname == f"SPLAT_PT_{name}")
        return placed(panel, panels, bpy.context)

    return lay_out


@pytest.fixture
def say(extension, tmp_path, monkeypatch):
    """A run, told what it says."""
    live_run, events = extension.module("splat_addon.scene.tasks.live_run"), extension.module("splat_addon.run.events")
    folder = extension.module("splat_addon.run.folder").RunFolder(tmp_path / "run_001")
    run = live_run.LiveRun(folder, None, bpy.context.scene.session_uid, 1000)
    monkeypatch.setattr(live_run.watched(), "run", run)
    return lambda kind, *values, **named: run.apply(getattr(events, kind)(*values, **named))


def assert_nothing_moved(before, after, least):
    """What can be pressed before and after stands where it stood; `least` of it there is."""
    both = before.rows.keys() & after.rows.keys()
    assert len(both) >= least
    assert {name: after.rows[name] for name in both} == {name: before.rows[name] for name in both}
    assert after.height != before.height, "something was said"


def test_messages_and_the_end_of_a_run_move_no_button(extension, stage, say):
    say("Started", extension.module("splat_addon.run.events").PROTOCOL, "cpu", 1000, 7, 2, 50, 1)
    before, on_top = stage("training"), stage("at_hand")
    assert "splat.command_training #3" in on_top.rows
    say("Progressed", 250, 0.1, 860, 12.34, 61.0, "training", 0.25)
    say("Evaluated", 250, 25.5, 0.9, 800, "held_out/b", train_psnr_db=27.25)
    say("SnapshotSaved", 250, "snapshots/step_000250.ply", 12860)
    for _ in range(3):
        say("Warned", LONG)
    assert_nothing_moved(before, stage("training"), 30)
    assert stage("at_hand").rows == on_top.rows
    say("Finished", 1000, False, 860, 80.0)
    assert_nothing_moved(before, stage("training"), 30)
    assert stage("at_hand").height == on_top.height, "what is below it stays"
    assert "splat.review_view #1" in stage("at_hand").rows


def test_a_failed_run_moves_no_button(extension, stage, say):
    say("Started", extension.module("splat_addon.run.events").PROTOCOL, "cpu", 1000, 7, 2, 50, 1)
    before = stage("training")
    say("Failed", LONG, LONG)
    assert_nothing_moved(before, stage("training"), 30)


def test_what_a_capture_needs_moves_no_button_when_it_is_known(extension, stage, tmp_path):
    preflight = extension.module("splat_addon.scene.tasks.preflight")
    preflight.forget()
    bpy.context.scene.splat.capture.folder = str(tmp_path)
    before = stage("training")
    preflight.wait()
    after = stage("training")
    assert after.height != before.height and before.rows == after.rows


def test_messages_of_a_render_move_no_button(extension, stage, tmp_path, monkeypatch):
    live_render, events = (
        extension.module(name) for name in ("splat_addon.scene.tasks.live_render", "splat_addon.run.events")
    )
    bpy.context.scene.splat.capture.folder = str(tmp_path)
    idle = stage("capture")
    render = live_render.LiveRender(tmp_path, None, total=40)
    monkeypatch.setattr(live_render.watched(), "render", render)
    before = stage("capture")
    assert {name: row for name, row in idle.rows.items() if name in before.rows} == {
        name: row for name, row in before.rows.items() if name in idle.rows
    }
    render.apply(events.RenderStarted("Cycles", 40))
    render.apply(events.RenderProgressed(10, 40, 60.0))
    render.apply(events.Warned(LONG))
    assert_nothing_moved(before, stage("capture"), 12)
    render.apply(events.RenderFinished(40, False, 80.0))
    assert_nothing_moved(before, stage("capture"), 12)
    assert stage("capture").rows["splat.capture_scene #1"] == idle.rows["splat.capture_scene #1"]


def test_writing_a_file_and_what_is_said_of_it_move_no_button(extension, stage):
    writing = extension.module("splat_addon.scene.exchange.writing")
    bpy.context.view_layer.objects.active = make_splats(extension, np.zeros((3, 3)))
    before, state = stage("splats"), writing._writing()
    state.files = [writing.File(Path("cloud.sog"), 3, iter(()))]
    during = stage("splats")
    both = before.rows.keys() & during.rows.keys()
    assert len(both) > 40 and all(before.rows[name] == during.rows[name] for name in both)
    state.files, state.failures, state.written = [], [LONG], [LONG]
    assert_nothing_moved(before, stage("splats"), 40)
    assert stage("splats").rows == before.rows


@pytest.mark.parametrize("module", ["inspecting", "previewing_removal"])
def test_an_inspection_and_what_it_says_move_no_button(extension, stage, monkeypatch, module):
    columns = extension.module("splat_addon.scene.inspection.columns")
    task = extension.module(f"splat_addon.scene.tasks.{module}")
    item = make_splats(extension, np.random.default_rng(0).normal(size=(8, 3)))
    bpy.context.view_layer.objects.active = item
    scores = SimpleNamespace(above=lambda _: 3, changed=0, reflections=0)
    floaters = extension.module("panels.floaters")
    monkeypatch.setattr(floaters.found, "scores", lambda _: scores)
    monkeypatch.setattr(floaters.histogram, "icon_for", lambda *_: 0)
    before = stage("floaters")
    assert "splat.delete_floaters #1" in before.rows and columns.SCORE
    monkeypatch.setattr(task, "is_running", lambda: True)
    during = stage("floaters")
    both = before.rows.keys() & during.rows.keys()
    assert len(both) > 12 and all(before.rows[name] == during.rows[name] for name in both)
    monkeypatch.setattr(task, "is_running", lambda: False)
    monkeypatch.setattr(task, "said_of", lambda _: [LONG])
    scores.changed = scores.reflections = 2
    assert_nothing_moved(before, stage("floaters"), 14)


def test_what_is_found_about_the_trainer_moves_no_button(extension):
    setup = extension.module("splat_addon.scene.tasks.trainer_setup")
    chosen = bpy.context.preferences.addons[extension.name].preferences
    cls = extension.module("panels.preferences").SPLAT_AP_preferences
    names = ("trainer_python", "setup_folder", "setup_device", "when_quitting", "runs_folder")
    kept, chosen.trainer_python = chosen.trainer_python, ""
    standing = SimpleNamespace(**{name: getattr(chosen, name) for name in names})
    standing.bl_rna = chosen.bl_rna

    def lay_out():
        return placed(SimpleNamespace(bl_options={"HIDE_HEADER"}, draw=draw), [], bpy.context)

    def draw(stand_in, context):
        standing.layout = stand_in.layout
        cls.draw(standing, context)

    before = lay_out()
    standing.trainer_python = chosen.trainer_python = sys.executable
    entry = {"name": "torch", "found": "missing", "is_fine": False, "is_required": True, "remedy": LONG}
    setup.part(setup.Children).examination = setup.Examination(setup._key(sys.executable), None, LONG, [entry])
    setup.part(setup.Children).is_kept_read = True
    try:
        assert_nothing_moved(before, lay_out(), 6)
    finally:
        extension.drop(setup.Children)
        chosen.trainer_python = kept


def test_a_report_that_failed_moves_no_button(extension, stage, monkeypatch, tmp_path):
    panel = extension.module("panels.review")
    monkeypatch.setattr(panel, "run_path", lambda _: tmp_path)
    before = stage("review")
    monkeypatch.setattr(panel.report_writer, "failure_of", lambda _: LONG)
    assert_nothing_moved(before, stage("review"), 2)
