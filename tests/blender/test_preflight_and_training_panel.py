"""The training panel in each of its states, and what is said about a run before it is started."""

import sys
import time
from pathlib import Path

import bpy
import numpy as np
import pytest

from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.gaussians.formats.splat_ply import write_points
from support.recording_layout import drawn, texts
from support.scenes import ring_of_cameras

BANANA = Path(__file__).resolve().parents[3] / "shared" / "data" / "banana"


@pytest.fixture
def panel(extension):
    return extension.module("panels.training").SPLAT_PT_training


@pytest.fixture
def preflight(extension):
    module, speeds = (
        extension.module("splat_addon.scene.tasks.preflight"),
        extension.module("splat_addon.scene.tasks.speeds"),
    )
    extension.module("splat_addon.scene.settings.preferences").write_own("speeds.json", None)
    speeds.forget_read()
    module.forget()
    yield module
    module.wait()
    module.forget()


@pytest.fixture
def preferences(extension):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    setup = extension.module("splat_addon.scene.tasks.trainer_setup")
    chosen.trainer_python = sys.executable
    fine = setup.Examination(setup._key(sys.executable), None, "Trains on the CPU")
    setup.part(setup.Children).examination = fine
    setup.part(setup.Children).is_kept_read = True
    yield chosen
    extension.drop(setup.Children)
    extension.module("splat_addon.scene.settings.preferences").write_own("trainer.json", None)
    chosen.trainer_python = ""


@pytest.fixture
def capture(tmp_path):
    """Nine photos of 64 x 48, the first and the last held out, and 50 points; chosen in the scene."""
    cameras = ring_of_cameras(9, width=64, height=48)
    folder = tmp_path / "vase"
    (folder / "images").mkdir(parents=True)
    photo = bpy.data.images.new("photo", 64, 48)
    photo.file_format = "PNG"
    for name in cameras:
        photo.filepath_raw = str(folder / name)
        photo.save()
    bpy.data.images.remove(photo)
    write_points(folder / "points3d.ply", np.random.default_rng(0).normal(size=(50, 3)), np.full((50, 3), 0.5))
    write_transforms(folder / "transforms.json", cameras, [min(cameras), max(cameras)], "points3d.ply", {})
    bpy.context.scene.splat.capture.folder = str(folder)
    return folder


def known(preflight):
    """What is known once the thread has answered."""
    assert preflight.look(bpy.context.scene) is None, "nothing is known yet"
    preflight.wait()
    return preflight.look(bpy.context.scene)


def test_it_says_what_will_be_trained_and_what_it_needs(preflight, capture):
    answer = known(preflight)
    assert answer.needs.splats == 7 * 64 * 48 // 25
    rows = dict(answer.rows)
    assert list(rows) == ["Photos", "Size", "Splats", "Memory", "Disk", "Time"]
    assert (rows["Photos"], rows["Size"], rows["Splats"]) == ("7, 2 held out", "64 × 48 px", "up to 860")
    assert rows["Memory"].endswith("\u00a0MB") and "B of " in rows["Disk"]
    assert rows["Time"] == "known after a run"
    assert all(len(value) <= 20 for value in rows.values()), "they fit into a narrow sidebar"
    assert answer.problems == ()


def test_photos_are_counted_at_the_size_they_are_trained_at(preflight, capture):
    bpy.context.scene.splat.training.max_resolution = 32
    rows = dict(known(preflight).rows)
    assert (rows["Size"], rows["Reduced"]) == ("32 × 24 px", "from 64 × 48")


def test_a_change_is_looked_at_again_and_an_unchanged_capture_is_not_read_again(preflight, capture, monkeypatch):
    opened = []
    open_capture = preflight.open_capture
    monkeypatch.setattr(
        preflight, "open_capture", lambda *given, **named: opened.append(given) or open_capture(*given, **named)
    )
    first = known(preflight)
    bpy.context.scene.splat.training.target_gaussians = 77
    second = known(preflight)
    assert first.needs.splats != second.needs.splats == 77 and len(opened) == 1
    (capture / "images" / "view_03.png").unlink()
    bpy.context.scene.splat.training.target_gaussians = 78
    third = known(preflight)
    assert len(opened) == 2 and third.rows[0] == ("Photos", "6, 2 held out")
    (problem,) = third.problems
    assert problem.startswith("1 of 9 photos are missing, for example images/view_03.png: there is no")


def test_an_old_answer_is_shown_until_the_new_one_is_there(preflight, capture, monkeypatch):
    first = known(preflight)
    monkeypatch.setattr(preflight, "LASTS_S", -1.0)
    monkeypatch.setattr(preflight, "free_disk_bytes", lambda path: 5)
    assert preflight.look(bpy.context.scene) is first
    preflight.wait()
    assert "of disk space next to vase; 1\u00a0MB is free" in preflight.look(bpy.context.scene).problems[0]


def test_what_does_not_fit_is_said_with_its_remedy(preflight, capture, monkeypatch):
    monkeypatch.setattr(preflight, "free_memory_bytes", lambda: 100_000_000)
    monkeypatch.setattr(preflight, "free_disk_bytes", lambda path: 1_000_000)
    memory, disk = known(preflight).problems
    assert "of memory; 100\u00a0MB is free. Lower Max Splats, Max Resolution or Photo Memory MB." in memory
    assert disk.endswith("of disk space next to vase; 1\u00a0MB is free. Free some, or raise Save Every.")


def test_captures_that_cannot_be_trained_say_why(preflight, capture, tmp_path):
    splat = bpy.context.scene.splat
    splat.capture.folder = str(tmp_path / "nowhere")
    assert known(preflight).hint == "nowhere holds no capture yet: capture the scene first."
    (tmp_path / "nowhere" / ".rendering").mkdir(parents=True)
    splat.training.iterations = 77
    assert known(preflight).hint and not preflight.look(bpy.context.scene).problems
    (tmp_path / "nowhere" / "notes.txt").write_text("mine")
    splat.training.iterations = 78
    assert "holds neither transforms.json nor a COLMAP model" in known(preflight).problems[0]
    splat.capture.folder = str(capture)
    splat.training.hold_out_every = 0
    (capture / "points3d.ply").unlink()
    problems = " ".join(known(preflight).problems)
    assert "points3d.ply, which the capture names, are missing" in problems and "no points to start from" in problems
    splat.training.init_splats = str(tmp_path / "no.ply")
    assert "The splats to start from cannot be read" in known(preflight).problems[0]


def test_the_time_is_known_after_a_run_and_kept_for_the_next_start(extension, preflight, capture, tmp_path):
    live_run, events = extension.module("splat_addon.scene.tasks.live_run"), extension.module("splat_addon.run.events")
    settings, speeds = (
        extension.module("splat_addon.scene.settings.training"),
        extension.module("splat_addon.scene.tasks.speeds"),
    )
    scene = bpy.context.scene
    scene.splat.training.iterations = 1000
    count = known(preflight).needs.splats
    folder = extension.module("splat_addon.run.folder").RunFolder.create(tmp_path / "run", settings.train_config(scene))
    run = live_run.LiveRun(folder, None, 0, 1000, backend="cpu")
    for step, steps_per_s in ((30, 70.0), (900, 50.0), (300, 60.0)):
        run.apply(events.Progressed(step, 0.1, count, steps_per_s, 20.0, "training", step / 1000))
        preflight.remember_speed(run)
        if step == 30:
            assert speeds.of_device("auto").speeds == (), "too early to tell"
    speeds.forget_read()
    assert len(speeds.of_device("auto").speeds) == 1, "one that was stopped early tells nothing better"
    remembered = speeds.of_device("auto")
    assert remembered.backend == "cpu" and remembered.speeds[0].seconds_per_step == 0.02
    assert speeds.of_device("cuda").speeds == ()
    assert ("Time", "up to 20 s on CPU") in known(preflight).rows


@pytest.mark.parametrize(("step", "pixels"), [(100, 0.25), (400, 1.0)])
def test_a_run_that_was_stopped_early_tells_the_time_while_nothing_better_is_known(
    extension, preflight, capture, tmp_path, step, pixels
):
    """At the beginning photos have half their resolution."""
    live_run, events = extension.module("splat_addon.scene.tasks.live_run"), extension.module("splat_addon.run.events")
    settings, speeds = (
        extension.module("splat_addon.scene.settings.training"),
        extension.module("splat_addon.scene.tasks.speeds"),
    )
    scene = bpy.context.scene
    scene.splat.training.iterations = 1000
    known(preflight)
    folder = extension.module("splat_addon.run.folder").RunFolder.create(tmp_path / "run", settings.train_config(scene))
    run = live_run.LiveRun(folder, None, 0, 1000, backend="cpu")
    run.apply(events.Progressed(step, 0.1, 600, 50.0, 20.0, "training", step / 1000))
    run.apply(events.Finished(step, True, 600, 2.0))
    preflight.remember_speed(run)
    (speed,) = speeds.of_device("auto").speeds
    assert (speed.seconds_per_step, speed.pixels, speed.splats) == (0.02, 64 * 48 * pixels, 600)
    assert dict(known(preflight).rows)["Time"] != "known after a run"


def test_what_would_fail_at_once_cannot_be_started_and_says_why(extension, preflight, preferences, capture):
    photos = sorted((capture / "images").iterdir())
    for photo in photos[:5]:
        photo.unlink()
    (problem,) = known(preflight).problems
    assert problem.startswith("No photo found for 5 of 9 cameras")
    with pytest.raises(RuntimeError, match="No photo found for 5 of 9 cameras in"):
        bpy.ops.splat.start_training()
    assert not (capture.parent / "vase_runs").exists()


def test_a_warning_alone_does_not_keep_from_training(preflight, preferences, capture, monkeypatch):
    monkeypatch.setattr(preflight, "free_memory_bytes", lambda: 100_000_000)
    assert "of memory" in known(preflight).problems[0]
    assert bpy.ops.splat.start_training.poll()


def test_a_python_without_torch_cannot_train_and_the_panel_says_so(extension, panel, preflight, preferences, capture):
    setup = extension.module("splat_addon.scene.tasks.trainer_setup")
    known(preflight)
    setup.part(setup.Children).examination = None
    assert bpy.ops.splat.start_training.poll(), "nobody knows yet"
    drawn(panel, bpy.context)
    setup.wait()
    record = drawn(panel, bpy.context)
    assert "The trainer Python cannot train. PyTorch: not installed." in texts(record)
    assert ("operator", "preferences.addon_show", "Set Up Trainer …") in record
    with pytest.raises(RuntimeError, match=r"The trainer Python cannot train\. PyTorch: not installed\."):
        bpy.ops.splat.start_training()


@pytest.mark.skipif(not BANANA.is_dir(), reason="the photo capture shared/data/banana is not here")
def test_a_real_capture(preflight):
    bpy.context.scene.splat.capture.folder = str(BANANA)
    answer = known(preflight)
    assert answer.rows[:2] == (("Photos", "13, 2 held out"), ("Size", "400 × 266 px"))


def test_without_a_trainer_the_panel_leads_to_the_set_up(panel, preflight, preferences):
    preferences.trainer_python = ""
    record = drawn(panel, bpy.context)
    assert ("operator", "preferences.addon_show", "Set Up Trainer …") in record
    assert "Training needs a Python with PyTorch." in texts(record)


def test_without_a_capture_the_panel_says_so(panel, preflight, preferences):
    record = drawn(panel, bpy.context)
    assert "Capture the scene first, or choose the folder of a capture." in texts(record)
    assert ("operator", "preferences.addon_show", "Set Up Trainer …") not in record
    assert ("operator", "splat.start_training", None) in record, "greyed, it says why"


def test_while_the_capture_is_rendered_the_panel_waits(extension, panel, preflight, preferences, capture, monkeypatch):
    live_render = extension.module("splat_addon.scene.tasks.live_render")
    render = live_render.LiveRender(capture, None, total=9)
    monkeypatch.setattr(live_render.watched(), "render", render)
    assert "The capture is being rendered: train when it is done." in texts(drawn(panel, bpy.context))
    render.state = "finished"
    assert "Checking the capture …" in texts(drawn(panel, bpy.context))


def test_a_finished_capture_is_looked_at_anew(extension, preflight, capture, tmp_path):
    live_render = extension.module("splat_addon.scene.tasks.live_render")
    first = known(preflight)
    assert preflight.look(bpy.context.scene) is first
    assert live_render._watch() is None, "no render is watched any more"
    assert preflight.look(bpy.context.scene) is None
    preflight.wait()


def test_ready_the_panel_shows_the_few_settings_and_what_the_run_needs(panel, preflight, preferences, capture):
    assert "Checking the capture …" in texts(drawn(panel, bpy.context))
    preflight.wait()
    record = drawn(panel, bpy.context)
    assert [entry[1] for entry in record if entry[0] == "prop"] == [
        "preset", "iterations", "max_gaussians", "seconds", "strategy", "max_resolution", "follow_training",
        "follow_every_s",
    ]  # fmt: skip
    assert "Photos 7, 2 held out Size 64 × 48 px" in texts(record)


def test_advanced_shows_every_other_setting_once_under_a_heading(extension, panel):
    module, settings = extension.module("panels.training"), extension.module("splat_addon.scene.settings.training")
    advanced = module.SPLAT_PT_training_advanced
    record = drawn(advanced, bpy.context)
    shown = [entry[1] for entry in record if entry[0] == "prop"]
    common = [spec.name for spec in settings.TRAINING_FIELDS if not spec.metadata["group"]]
    common += [spec.name for spec in settings.READING_FIELDS]  # on the capture's card
    assert sorted(shown + common) == sorted(spec.name for spec in settings.TRAINING_FIELDS)
    headings = [entry[1] for entry in record if entry[0] == "label"]
    assert headings == list(module.GROUPS)
    assert ("prop", "hold_out_every") in record
    assert set(headings) == {spec.metadata["group"] for spec in settings.TRAINING_FIELDS} - {"", "Photographs"}
    assert [entry[0] for entry in drawn(advanced, bpy.context, opens=False)] == ["label"] * len(headings)


@pytest.fixture
def run(extension, monkeypatch, tmp_path):
    """A run that the panel draws; its trainer is nobody."""
    live_run = extension.module("splat_addon.scene.tasks.live_run")
    folder = extension.module("splat_addon.run.folder").RunFolder(tmp_path / "run_001")
    run = live_run.LiveRun(folder, None, bpy.context.scene.session_uid, 1000)
    monkeypatch.setattr(live_run.watched(), "run", run)
    events = extension.module("splat_addon.run.events")
    run.apply(events.Started(events.PROTOCOL, "cpu", 1000, 7, 2, 50, 1))
    return run


def say(extension, run, kind: str, *values, **named):
    run.apply(getattr(extension.module("splat_addon.run.events"), kind)(*values, **named))


def at_hand(extension):
    """What the sidebar shows on top: a run's bar and buttons."""
    return drawn(extension.module("panels.at_hand").SPLAT_PT_at_hand, bpy.context)


def test_training_the_panel_shows_bar_time_speed_counts_and_qualities(extension, panel, run):
    say(extension, run, "Progressed", 250, 0.1, 860, 12.34, 61.0, "training", 0.25)
    say(extension, run, "Evaluated", 0, 12.0, 0.5, 50, "held_out/a", train_psnr_db=14.0)
    say(extension, run, "Evaluated", 200, 25.5, 0.9, 800, "held_out/b", train_psnr_db=27.25)
    say(extension, run, "Warned", "One photo is missing.")
    for _ in range(2):  # again when it is resumed
        say(extension, run, "Decided", "Sky Seeds are added: a sky.", "Set Sky Seeds to Off to train without.")
    record = at_hand(extension) + drawn(panel, bpy.context)
    assert ("progress", "Training 25 % · 1 min 1 s left") in record
    said = texts(record)
    assert "Step 250 of 1\u00a0000 Speed 12.3 it/s, CPU Splats 860" in said
    assert "Held-out PSNR 25.50 dB, init 12.00 Training PSNR 27.25 dB" in said
    assert "One photo is missing." in said
    assert said.count("Sky Seeds are added: a sky. Set Sky Seeds to Off to train without.") == 1
    commands = [entry[2] for entry in record if entry[1] == "splat.command_training"]
    assert commands == ["Pause", "Snapshot", "Stop"] and ("prop", "follow_training") in record
    with pytest.raises(RuntimeError, match="A run is already training: stop it first"):
        bpy.ops.splat.start_training()
    assert record.index(("progress", "Training 25 % · 1 min 1 s left")) < record.index(("prop", "preset"))


def test_what_was_measured_before_training_is_called_so(extension, panel, run):
    say(extension, run, "Progressed", 250, 0.1, 860, 12.34, 61.0, "training", 0.25)
    say(extension, run, "Evaluated", 0, 12.0, 0.5, 50, "held_out/a")
    assert "Held-out PSNR 12.00 dB, untrained" in texts(drawn(panel, bpy.context))


def test_a_snapshot_says_what_it_saved_and_a_preview_nothing(extension, panel, run):
    say(extension, run, "Progressed", 250, 0.1, 860, 12.34, 61.0, "training", 0.25)
    say(extension, run, "SnapshotSaved", 240, "preview.ply", 850)
    assert "Saved" not in texts(drawn(panel, bpy.context))
    say(extension, run, "SnapshotSaved", 250, "snapshots/step_000250.ply", 12860)
    say(extension, run, "SnapshotSaved", 260, "preview.ply", 870)
    said = texts(drawn(panel, bpy.context))
    saved = "Saved 12\u00a0860 splats of step 250 in run_001/snapshots/step_000250.ply"
    assert saved.replace(" ", "") in said.replace(" ", ""), "a long path goes over two lines"


def test_another_scene_shows_none_of_the_runs_numbers(extension, panel, run):
    say(extension, run, "Progressed", 250, 0.1, 860, 12.34, 61.0, "training", 0.25)
    say(extension, run, "Warned", "One photo is missing.")
    home, other = bpy.context.scene, bpy.data.scenes.new("Other")
    home.name = "Kitchen"
    bpy.context.window.scene = other
    record = drawn(panel, bpy.context)
    said = texts(record)
    assert "A run trains for scene 'Kitchen'." in said and "Training 25 %" in said
    assert "860" not in said and "One photo" not in said and ("prop", "preset") in record
    say(extension, run, "Finished", 1000, False, 860, 80.0)
    assert "Finished" not in texts(drawn(panel, bpy.context))
    bpy.context.window.scene = home
    assert "Finished after 1000 steps." in texts(drawn(panel, bpy.context))


def test_another_file_shows_which_file_the_run_is_for(extension, panel, run, tmp_path):
    run.file_and_scene = (str(tmp_path / "kitchen.blend"), "Scene")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    run.scene_uid = -1
    assert "A run trains for kitchen.blend." in texts(drawn(panel, bpy.context))


def test_paused_it_can_be_resumed(extension, panel, run):
    say(extension, run, "Progressed", 250, 0.1, 860, 12.34, 61.0, "paused", 0.25)
    record = at_hand(extension) + drawn(panel, bpy.context)
    assert ("progress", "Paused 25 %") in record
    assert [entry[2] for entry in record if entry[1] == "splat.command_training"] == ["Resume", "Snapshot", "Stop"]


def test_failed_it_says_why_and_can_be_started_again(extension, panel, run):
    say(extension, run, "Progressed", 250, 0.1, 860, 12.34, 61.0, "training", 0.25)
    say(extension, run, "Failed", "It broke.", "Mend it.")
    record = drawn(panel, bpy.context)
    assert "It broke. Mend it." in texts(record) and ("operator", "splat.start_training", None) in record
    assert not any(entry[0] == "progress" for entry in record)


def test_finished_it_shows_what_was_reached(extension, panel, run):
    say(extension, run, "Progressed", 1000, 0.1, 860, 12.34, 0.0, "training", 1.0)
    say(extension, run, "Evaluated", 1000, 30.0, 0.95, 860, "held_out/c", train_psnr_db=31.0)
    say(extension, run, "Finished", 1000, False, 860, 80.0)
    record = at_hand(extension) + drawn(panel, bpy.context)
    said = texts(record)
    assert "Finished after 1000 steps. Splats 860 Held-out PSNR 30.00 dB Training PSNR 31.00 dB" in said
    assert "Speed" not in said
    names = [entry[1] for entry in record]
    assert names[0] == "Finished 100 % · 30.00 dB held out" and names[3] == "splat.review_view", "it is seen at once"
    assert ("operator", "splat.start_training", None) in record and (
        "operator",
        "splat.resume_training",
        None,
    ) in record


def test_drawing_takes_under_two_milliseconds(extension, panel, preflight, preferences, capture, run):
    """With a run, and without one when the preflight is known; whatever else the machine does meanwhile."""
    preflight.look(bpy.context.scene)
    preflight.wait()
    for state in ("training", "finished"):
        if state == "finished":
            say(extension, run, "Finished", 1000, False, 860, 80.0)
        times = []
        for _ in range(50):
            began = time.perf_counter()
            drawn(panel, bpy.context)
            times.append(time.perf_counter() - began)
        assert min(times) < 0.002, state
