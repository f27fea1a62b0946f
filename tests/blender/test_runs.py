"""Runs and the file: quitting, finding, watching, resuming, deleting; undo, reload and scenes while a run goes on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest

PYTHON = Path(sys.executable)
ROOT = Path(__file__).resolve().parents[2]
# A trainer in a few lines: it holds the lock, records what it says on both ways, and hears through both.
TRAINER = f"""
import os, sys, threading, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from splat_addon.run.events import *
from splat_addon.run.folder import RunFolder
from splat_addon.run.inbox import CommandLines, Inbox
from splat_addon.run.lock import RunLock
folder = RunFolder(Path.cwd())
lock = RunLock.take(folder.lock_file)
lines = iter(CommandLines(sys.stdin, Inbox(folder.commands_folder), "--outlive" in sys.argv))
def say(event):
    with open(folder.events_file, "a") as file:
        file.write(encode_event(event) + chr(10))
    try:
        print(encode_event(event), flush=True)
    except OSError:
        pass
def hear():
    line = next(lines, None)
    return decode_command(line) if line else "stop"
def measured(step, quality):
    return Evaluated(step, quality, 0.9, 100, "held_out/x", (ViewQuality("a", quality, 0.9),))
say(Started(PROTOCOL, "scripted", 100, 7, 1, 100, os.getpid()))
say(Progressed(10, 0.1, 100, 5.0, 20.0, "training", 0.1))
say(measured(0, 10.0))
step = 10
while (command := hear()) != "stop":
    step += 10
    say(Progressed(step, 0.1, 100, 5.0, 20.0, "training", step / 100))
    say(measured(step, 10.0 + step / 10))
folder.splats_file.write_text("result")
folder.checkpoint_file.write_text("checkpoint")
say(Finished(step, True, 100, 1.0))
lock.release()
"""


@pytest.fixture
def live_run(extension, monkeypatch):
    module = extension.module("splat_addon.scene.tasks.live_run")

    def command(python, folder, resume=False):
        return [str(PYTHON), "-u", "-c", TRAINER]

    monkeypatch.setattr(module, "trainer_command", command)
    yield module
    if module.is_training():
        module.current().process.close()
    extension.drop(module.Watched)


@pytest.fixture
def found_runs(extension):
    module = extension.module("splat_addon.scene.runs.found_runs")
    extension.module("splat_addon.scene.settings.preferences").write_own("runs.json", [])  # other tests' runs
    yield module
    extension.drop(module.Found)


@pytest.fixture
def preferences(extension):
    chosen = bpy.context.preferences.addons[extension.name].preferences
    chosen.trainer_python = str(PYTHON)
    yield chosen
    chosen.trainer_python, chosen.when_quitting, chosen.runs_folder = "", "STOP", ""


@pytest.fixture
def capture(tmp_path):
    (tmp_path / "vase").mkdir()
    bpy.context.scene.splat.capture.folder = str(tmp_path / "vase")
    return tmp_path / "vase"


def pump_until(live_run, is_wanted, limit_s: float = 60.0):
    deadline = time.monotonic() + limit_s
    while not is_wanted(live_run.current()):
        assert time.monotonic() < deadline, live_run.current()
        live_run.pump()


def started(live_run, scene=None):
    """A run that trains and has measured once."""
    assert bpy.ops.splat.start_training() == {"FINISHED"}
    pump_until(live_run, lambda run: run.evaluations)
    return live_run.current()


def one_more(live_run):
    """Let the trainer go ten steps further, and see it."""
    run = live_run.current()
    before = max(event.step for event in run.folder.events() if type(event).__name__ == "Evaluated")
    live_run.send("snapshot")
    pump_until(live_run, lambda run: run.evaluations and run.evaluations[-1].step > before)


def wait_for(is_true, limit_s: float = 30.0):
    deadline = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < deadline


def views(scene) -> list[float]:
    return [round(view.psnr_db, 3) for view in scene.splat.held_out_views]


@pytest.mark.parametrize("preference", ["STOP", "GO_ON"])
def test_the_preference_decides_what_quitting_does(extension, live_run, preferences, capture, preference):
    lock = extension.module("splat_addon.run.lock")
    preferences.when_quitting = preference
    run = started(live_run)
    extension.drop(live_run.Watched)  # as Blender does when it quits
    if preference == "STOP":
        wait_for(lambda: not lock.is_held(run.folder.lock_file))
        assert run.folder.splats_file.read_text() == "result"
    else:
        assert lock.is_held(run.folder.lock_file) and not run.folder.splats_file.exists()
        live_run.watch(bpy.context.scene, run.folder.path)
        one_more(live_run)
        live_run.send("stop")
        pump_until(live_run, lambda run: run.is_over)
        assert run.folder.splats_file.read_text() == "result"


@pytest.mark.parametrize(("at_start", "changed"), [("STOP", "GO_ON"), ("GO_ON", "STOP")])
def test_the_preference_can_change_while_a_run_trains(extension, live_run, preferences, capture, at_start, changed):
    lock = extension.module("splat_addon.run.lock")
    preferences.when_quitting = at_start
    run = started(live_run)
    preferences.when_quitting = changed
    extension.drop(live_run.Watched)
    if changed == "GO_ON":
        live_run.watch(bpy.context.scene, run.folder.path)
        one_more(live_run)
        live_run.current().process.close()
    wait_for(lambda: not lock.is_held(run.folder.lock_file))


def test_a_run_that_was_only_watched_is_left_alone(extension, live_run, preferences, capture):
    lock = extension.module("splat_addon.run.lock")
    preferences.when_quitting = "GO_ON"
    run = started(live_run)
    extension.drop(live_run.Watched)
    preferences.when_quitting = "STOP"
    live_run.watch(bpy.context.scene, run.folder.path)
    extension.drop(live_run.Watched)
    assert lock.is_held(run.folder.lock_file)
    live_run.watch(bpy.context.scene, run.folder.path)
    one_more(live_run)
    live_run.current().process.close()


def test_runs_are_found_after_a_restart_also_without_a_saved_file(
    extension, live_run, found_runs, preferences, capture
):
    preferences.when_quitting = "GO_ON"
    run = started(live_run)
    extension.drop(live_run.Watched)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)  # the file was never saved
    found_runs.search(wait=True)
    (found,) = [other for other in found_runs.runs() if other.path == run.folder.path]
    assert found.is_training and found.state == "training" and found.name == "vase · run_001"
    assert bpy.ops.splat.watch_run(path=str(found.path)) == {"FINISHED"}
    pump_until(live_run, lambda run: run.evaluations)
    assert bpy.context.scene.splat.run_folder == str(run.folder.path)
    assert live_run.current().backend == "scripted" and views(bpy.context.scene) == [10.0]
    bpy.context.scene.splat.run_folder = ""  # as looking at another run leaves it
    assert bpy.ops.splat.watch_run(path=str(found.path)) == {"FINISHED"}
    assert bpy.context.scene.splat.run_folder == str(run.folder.path) and live_run.current().backend == "scripted"
    assert bpy.ops.splat.command_training(command="stop") == {"FINISHED"}
    pump_until(live_run, lambda run: run.is_over)
    found_runs.search(wait=True)
    (found,) = [other for other in found_runs.runs() if other.path == run.folder.path]
    assert (found.state, found.can_resume, found.has_splats) == ("stopped", True, True)


def test_runs_are_found_in_the_folder_of_the_preferences(extension, found_runs, preferences, tmp_path):
    folder_module = extension.module("splat_addon.run.folder")
    config = extension.module("splat_addon.run.config").TrainConfig(capture=str(tmp_path))
    run = folder_module.RunFolder.create(tmp_path / "projects" / "mug_runs" / "run_001", config)
    found_runs.search(wait=True)
    assert run.path not in [found.path for found in found_runs.runs()]
    preferences.runs_folder = str(tmp_path / "projects")
    assert bpy.ops.splat.find_runs() == {"FINISHED"}
    assert run.path in [found.path for found in found_runs.runs()]


def test_a_found_run_is_resumed_and_remembered_by_the_scene(live_run, preferences, capture):
    run = started(live_run)
    live_run.send("stop")
    pump_until(live_run, lambda run: run.is_over)
    bpy.context.scene.splat.run_folder = ""
    assert bpy.ops.splat.resume_run(path=str(run.folder.path)) == {"FINISHED"}
    assert live_run.current().evaluations[0].step == 0, "what it measured before is shown at once"
    pump_until(live_run, lambda run: run.backend)
    assert bpy.context.scene.splat.run_folder == str(run.folder.path)
    live_run.send("stop")
    pump_until(live_run, lambda run: run.is_over)


def test_a_run_of_a_project_that_has_moved_is_resumed_with_the_capture_where_it_is_now(
    extension, live_run, preferences, capture, tmp_path
):
    run = started(live_run)
    live_run.send("stop")
    pump_until(live_run, lambda run: run.is_over)
    capture.rename(tmp_path / "moved")
    bpy.context.scene.splat.capture.folder = str(tmp_path / "moved")
    assert bpy.ops.splat.resume_run(path=str(run.folder.path)) == {"FINISHED"}
    config = extension.module("splat_addon.run.config").TrainConfig.read(run.folder.config_file)
    assert config.capture == str(tmp_path / "moved")


def test_deleting_asks_for_runs_only_and_spares_what_trains(live_run, found_runs, preferences, capture):
    run = started(live_run)
    with pytest.raises(RuntimeError, match=r"run_001 is training\. Stop it first"):
        bpy.ops.splat.delete_run(path=str(run.folder.path))
    live_run.send("stop")
    pump_until(live_run, lambda run: run.is_over)
    with pytest.raises(RuntimeError, match="no longer holds a run"):
        bpy.ops.splat.delete_run(path=str(capture))
    assert bpy.ops.splat.delete_run(path=str(run.folder.path)) == {"FINISHED"}
    assert capture.is_dir() and not run.folder.path.exists()
    assert run.folder.path not in [found.path for found in found_runs.runs()]


def test_a_run_folder_that_is_gone_is_said_in_the_panel_and_raises_nothing(
    extension, live_run, found_runs, preferences, capture
):
    run = started(live_run)
    live_run.send("stop")
    pump_until(live_run, lambda run: run.is_over)
    run.folder.path.rename(capture.parent / "elsewhere")
    found_runs.search(wait=True)
    lines = [entry[1] for entry in drawn(extension, "runs", "SPLAT_PT_runs") if entry[0] == "label"]
    said = "".join(lines).replace(" ", "")  # a path that is longer than a line is broken
    assert f"Therunfolder{run.folder.path}isgone." in said and "choosewhereitisnow" in said
    with pytest.raises(RuntimeError, match=r"is gone\. Choose where it is now"):
        bpy.ops.splat.import_result()
    with pytest.raises(RuntimeError, match="no longer holds a run"):
        bpy.ops.splat.import_run(path=str(run.folder.path))


def test_the_panel_offers_what_can_be_done_with_each_run(extension, live_run, found_runs, preferences, capture):
    preferences.when_quitting = "GO_ON"
    run = started(live_run)
    extension.drop(live_run.Watched)
    found_runs.search(wait=True)
    assert row_of(extension, "vase · run_001") == ["splat.watch_run"]
    live_run.watch(bpy.context.scene, run.folder.path)
    assert row_of(extension, "vase · run_001") is None, "what is watched has its place above"
    live_run.send("stop")
    pump_until(live_run, lambda run: run.is_over)
    found_runs.search(wait=True)
    assert row_of(extension, "vase · run_001") == ["splat.resume_run", "splat.import_run", "splat.delete_run"]


def row_of(extension, name: str) -> list | None:
    """The operators that the panel draws after a run's name."""
    record = drawn(extension, "runs", "SPLAT_PT_runs")
    if ("label", name) not in record:
        return None
    rest = record[record.index(("label", name)) + 1 :]
    return [entry[1] for entry in rest[: next(i for i, entry in enumerate(rest) if entry[0] == "label")]]


def test_undo_and_redo_lose_neither_the_run_nor_its_views(live_run, preferences, capture):
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="cube")
    run = started(live_run)
    one_more(live_run)
    bpy.ops.ed.undo()
    scene = bpy.context.scene
    assert scene.splat.run_folder == str(run.folder.path) and views(scene) == [12.0]
    one_more(live_run)
    bpy.ops.ed.redo()
    scene = bpy.context.scene
    assert scene.splat.run_folder == str(run.folder.path) and views(scene) == [13.0]
    one_more(live_run)
    assert views(bpy.context.scene) == [14.0]


def test_saving_and_opening_the_file_again_keeps_the_run(live_run, preferences, capture, tmp_path):
    run = started(live_run)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    one_more(live_run)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    assert live_run.scene_of(run) == bpy.context.scene
    assert views(bpy.context.scene) == [12.0], "what was measured since the file was saved"
    one_more(live_run)
    assert views(bpy.context.scene) == [13.0]


def test_reverting_to_a_file_that_does_not_know_the_run_yet_finds_it_again(live_run, preferences, capture, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    run = started(live_run)
    bpy.ops.wm.revert_mainfile()
    assert live_run.scene_of(run) == bpy.context.scene
    assert bpy.path.abspath(bpy.context.scene.splat.run_folder) == str(run.folder.path)
    one_more(live_run)
    assert views(bpy.context.scene) == [12.0]


def test_a_run_stays_with_its_scene_while_others_are_shown_added_and_removed(live_run, preferences, capture):
    first = bpy.context.scene
    run = started(live_run)
    second = bpy.data.scenes.new("Second")
    bpy.context.window.scene = second
    one_more(live_run)
    assert views(first) == [12.0] and views(second) == [] and second.splat.run_folder == ""
    assert live_run.scene_of(run) == first
    first.name = "Renamed"
    one_more(live_run)
    assert views(first) == [13.0]
    bpy.data.scenes.remove(first)
    live_run.send("stop")
    pump_until(live_run, lambda run: run.is_over)
    assert live_run.scene_of(run) is None and second.splat.run_folder == ""
    assert run.folder.splats_file.read_text() == "result", "the result waits in its folder"


def test_linked_scenes_and_objects_are_not_written_to(live_run, preferences, capture, tmp_path):
    bpy.context.scene.name = "Library"
    bpy.ops.mesh.primitive_cube_add()
    run = started(live_run)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (there, here):
        here.scenes, here.objects = there.scenes, there.objects
    linked = bpy.data.scenes.get("Library")
    bpy.context.scene.collection.objects.link(bpy.data.objects["Cube"])
    assert linked.library is not None and linked.splat.run_folder == f"//vase_runs/{run.folder.path.name}"
    before = views(linked)
    assert live_run.scene_of(run) is None
    one_more(live_run)
    assert views(linked) == before and bpy.context.scene.splat.run_folder == ""
    live_run.send("stop")
    pump_until(live_run, lambda run: run.is_over)


def test_the_folder_vanishing_during_a_run_is_said_not_raised(live_run, preferences, capture):
    preferences.when_quitting = "GO_ON"
    run = started(live_run)
    run.folder.path.rename(capture.parent / "elsewhere")
    pump_until(live_run, lambda run: run.is_over)
    assert run.state == "failed" and run.message.startswith(f"The run folder {run.folder.path} is gone.")
    (capture.parent / "elsewhere").rename(run.folder.path)
    live_run.watch(bpy.context.scene, run.folder.path)
    one_more(live_run)
    live_run.current().process.close()


class RecordingLayout:
    """Stands where a panel's layout stands and writes down what is drawn."""

    def __init__(self, record: list):
        self.record = record

    def __getattr__(self, name):
        def draw(*arguments, **options):
            if name in ("row", "column", "box", "split"):
                return RecordingLayout(self.record)
            if name == "operator":
                self.record.append(("operator", arguments[0]))
                return type("Properties", (), {})()
            self.record.append((name, options.get("text", "") if name != "prop" else arguments[1]))
            return None

        return draw


def drawn(extension, module: str, panel: str) -> list:
    record: list = []
    cls = getattr(extension.module(f"panels.{module}"), panel)
    cls.draw(type("StandIn", (), {"layout": RecordingLayout(record)})(), bpy.context)
    return record


BLENDER = f"""
import subprocess, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
from pathlib import Path
from support import extension as support
extension = support.Extension(support.enable_extension())
import bpy
capture, python, preference = sys.argv[1:]
chosen = bpy.context.preferences.addons[extension.name].preferences
chosen.trainer_python, chosen.when_quitting = python, preference
scene = bpy.context.scene
scene.splat.capture.folder, scene.splat.training.iterations, scene.splat.training.device = capture, 1_000_000, "CPU"
assert bpy.ops.splat.start_training() == {{"FINISHED"}}
live_run = extension.module("splat_addon.scene.tasks.live_run")
run = live_run.current()
while not (run.progress and run.progress.step > 0):
    live_run.pump()
    assert not run.is_over, run.message
print("training", run.folder.path, flush=True)
how = sys.stdin.readline().strip()
if how == "quit":
    bpy.ops.wm.quit_blender()
"""


@pytest.fixture(scope="module")
def ball(trainer_python, tmp_path_factory):
    """A capture for the real trainer, made in its environment, which has what that needs."""
    folder = tmp_path_factory.mktemp("ball") / "capture"
    code = "import pathlib, sys, support.scenes as scenes; scenes.write_ball_capture(pathlib.Path(sys.argv[1]))"
    search = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    subprocess.run([trainer_python, "-c", code, folder], check=True, env={**os.environ, "PYTHONPATH": search})
    return folder


def blender_in_training(ball: Path, trainer_python: Path, preference: str):
    """A Blender of its own that trains for real: its process, and the run's folder."""
    environment = {name: value for name, value in os.environ.items() if name != "BLENDER_USER_RESOURCES"}
    process = subprocess.Popen(
        [sys.executable, "-c", BLENDER, ball, trainer_python, preference],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("training "):
            return process, Path(line.removeprefix("training ").strip())
    raise AssertionError("Blender ended before it trained")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("ending", ["kill -9", "quit"])
@pytest.mark.parametrize("preference", ["STOP", "GO_ON"])
def test_the_real_trainer_does_what_was_promised_when_blender_ends(extension, ball, trainer_python, preference, ending):
    lock = extension.module("splat_addon.run.lock")
    ply = extension.module("splat_addon.gaussians.formats.splat_ply")
    live_run = extension.module("splat_addon.scene.tasks.live_run")
    process, path = blender_in_training(ball, trainer_python, preference)
    folder = extension.module("splat_addon.run.folder").RunFolder(path)
    if ending == "quit":
        process.stdin.write("quit\n")
        process.stdin.flush()
        process.wait(timeout=60)
    else:
        process.kill()
        process.wait()
    if preference == "GO_ON":
        assert lock.is_held(folder.lock_file), "it goes on"
        run = live_run.watch(bpy.context.scene, path)
        pump_until(live_run, lambda run: run.progress is not None)
        step = run.progress.step
        pump_until(live_run, lambda run: run.progress.step > step, limit_s=120)
        live_run.send("stop")
        pump_until(live_run, lambda run: run.is_over, limit_s=120)
        assert run.state == "finished", run.message
        extension.drop(live_run.Watched)
    wait_for(lambda: not lock.is_held(folder.lock_file), limit_s=120)
    last = folder.events()[-1]
    assert type(last).__name__ == "Finished" and last.stopped
    assert len(ply.read_splats(folder.splats_file)) == last.gaussian_count and folder.checkpoint_file.is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_blender_and_the_trainer_both_killed_leave_a_run_that_is_found_and_can_be_resumed(
    extension, ball, trainer_python, found_runs, preferences
):
    lock = extension.module("splat_addon.run.lock")
    live_run = extension.module("splat_addon.scene.tasks.live_run")
    process, path = blender_in_training(ball, trainer_python, "GO_ON")
    folder = extension.module("splat_addon.run.folder").RunFolder(path)
    process.kill()
    live_run.watch(bpy.context.scene, path)
    live_run.send("stop")  # so that there is a checkpoint; the next part is killed without warning
    pump_until(live_run, lambda run: run.is_over, limit_s=120)
    preferences.trainer_python, preferences.when_quitting = str(trainer_python), "GO_ON"
    assert bpy.ops.splat.resume_run(path=str(path)) == {"FINISHED"}
    pump_until(live_run, lambda run: run.progress is not None, limit_s=120)
    live_run.current().process.let_go()
    os.kill(lock.holder_pid(folder.lock_file), 9)
    live_run.watched().run = None  # as a Blender that was killed with it forgets
    wait_for(lambda: not lock.is_held(folder.lock_file))
    bpy.context.scene.splat.run_folder = str(path)
    found_runs.search(wait=True)
    (found,) = [other for other in found_runs.runs() if other.path == path]
    assert (found.state, found.can_resume, found.has_splats) == ("broken off", True, True)
    assert bpy.ops.splat.resume_run(path=str(path)) == {"FINISHED"}
    pump_until(live_run, lambda run: run.progress is not None and run.progress.step > 0, limit_s=120)
    live_run.send("stop")
    pump_until(live_run, lambda run: run.is_over, limit_s=120)
    assert live_run.current().state == "finished"
    extension.drop(live_run.Watched)
