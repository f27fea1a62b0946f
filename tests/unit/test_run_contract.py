"""The contract between the two processes: settings, events, folders, and a child that misbehaves in every way."""

import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from splat_addon.errors import RunError, SetupError
from splat_addon.files import written_aside
from splat_addon.run import events as vocabulary
from splat_addon.run.children.exit_codes import how_it_ended
from splat_addon.run.children.render_process import RenderProcess
from splat_addon.run.children.trainer_process import TrainerProcess, trainer_command, trainer_environment
from splat_addon.run.config import TrainConfig, preset_of, with_preset
from splat_addon.run.events import (
    Decided,
    Evaluated,
    Failed,
    Finished,
    InspectionFinished,
    InspectionProgressed,
    InspectionStarted,
    Progressed,
    RenderFinished,
    RenderProgressed,
    RenderStarted,
    SnapshotSaved,
    Started,
    ViewQuality,
    Warned,
    decode_command,
    decode_event,
    encode_command,
    encode_event,
)
from splat_addon.run.folder import RunFolder, next_run_path, write_json
from splat_addon.run.lock import RunLock
from splat_addon.run.render_folder import RenderFolder
from support.processes import is_alive

STARTED = Started(vocabulary.PROTOCOL, "cpu", 10, 7, 1, 100, 1)
EVENTS = [
    STARTED,
    Progressed(3, 0.25, 100, 12.5, 4.0),
    Evaluated(3, 30.0, 0.9, 100, "held_out/step_000003", (ViewQuality("a", 30.0, 0.9),), 12.5, 31.0),
    SnapshotSaved(3, "snapshots/step_000003.ply", 100),
    Warned("One photo is missing.", "Add it."),
    Failed("It broke.", "Mend it."),
    RenderStarted("Cycles", 40),
    RenderProgressed(10, 40, 60.0),
    RenderFinished(40, False, 80.0),
    InspectionStarted(100, 40),
    InspectionProgressed(0.5, "looking through photos"),
    InspectionFinished(False, "inspection.npz", 100, 3, 2.5),
    Decided("Sky Seeds are added: a sky.", "Set Sky Seeds to Off."),
    Finished(10, False, 120, 5.0),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_survives_the_wire(event):
    line = encode_event(event)
    assert "\n" not in line
    assert decode_event(line) == event


def test_numbers_that_json_lacks_cross_as_null():
    line = encode_event(Progressed(1, math.nan, 1, math.inf, 1.0))
    assert json.loads(line)["loss"] is None
    assert math.isnan(decode_event(line).loss)


@pytest.mark.parametrize("line", ["", "garbage", "[1]", "3", '{"event": "Danced"}', '{"event": "Warned"}', "null"])
def test_what_is_no_known_event_is_ignored(line):
    assert decode_event(line) is None


def test_unknown_fields_are_ignored():
    line = json.dumps({"event": "Warned", "message": "a", "mood": "good"})
    assert decode_event(line) == Warned("a")


def test_a_measurement_that_an_earlier_version_recorded_with_lpips_is_read(tmp_path):
    """Version 0.1 wrote a third number for each view and for all: in events.jsonl and in metrics.json."""
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    views = [{"name": "a", "psnr_db": 30.0, "ssim": 0.9, "lpips": 0.2}, {"name": "b", "psnr_db": 20.0, "ssim": 0.8}]
    entry = {"step": 3, "psnr_db": 25.0, "ssim": 0.85, "gaussian_count": 9, "folder": "held_out/step_000003"}
    entry |= {"views": views, "train_seconds": 12.5, "train_psnr_db": 31.0, "lpips": None}
    folder.events_file.write_text(json.dumps({"event": "Evaluated", **entry}) + "\n")
    qualities = (ViewQuality("a", 30.0, 0.9), ViewQuality("b", 20.0, 0.8))
    expected = Evaluated(3, 25.0, 0.85, 9, "held_out/step_000003", qualities, 12.5, 31.0)
    assert folder.events() == folder.evaluations() == [expected], "from the events"
    folder.metrics_file.write_text(json.dumps([{**entry, "lpips": 0.2}]))
    folder.events_file.unlink()
    assert folder.evaluations() == [folder.latest_evaluation()] == [expected], "from the metrics"


def test_another_protocol_is_a_clear_error():
    line = encode_event(replace(STARTED, protocol=99))
    with pytest.raises(RunError, match=r"speaks protocol 99, this add-on speaks 1\. Install the same version"):
        decode_event(line)


def test_commands_survive_the_wire_and_others_are_ignored():
    assert [decode_command(encode_command(command)) for command in vocabulary.COMMANDS] == list(vocabulary.COMMANDS)
    assert decode_command('{"command": "dance"}') is None
    assert decode_command("stop") is None


def test_settings_survive_a_file(tmp_path):
    changed = {}
    for spec in fields(TrainConfig):
        if spec.type is bool:
            changed[spec.name] = not spec.default
        elif spec.metadata["choices"]:
            changed[spec.name] = spec.metadata["choices"][-1]
        elif spec.type is str:
            changed[spec.name] = "/somewhere/ü"
        else:
            middle = (spec.metadata["low"] + spec.metadata["high"]) / 2
            changed[spec.name] = spec.type(middle)
    config = TrainConfig(**changed)
    config.write(tmp_path / "c.json")
    assert TrainConfig.read(tmp_path / "c.json") == config


@pytest.mark.parametrize(("earlier", "now"), [("true", "on"), ("false", "off")])
def test_a_switch_of_an_earlier_version_keeps_its_meaning(tmp_path, earlier, now):
    (tmp_path / "c.json").write_text(f'{{"sky_seeds": {earlier}}}')
    assert TrainConfig.read(tmp_path / "c.json").sky_seeds == now


def test_unknown_settings_are_ignored_and_missing_ones_take_the_default(tmp_path):
    (tmp_path / "c.json").write_text('{"iterations": 5, "of_tomorrow": 1}')
    assert TrainConfig.read(tmp_path / "c.json") == TrainConfig(iterations=5)


@pytest.mark.parametrize("spec", [spec for spec in fields(TrainConfig) if spec.name != "capture"], ids=lambda s: s.name)
def test_every_setting_is_documented_and_its_default_allowed(spec):
    assert spec.metadata["doc"][0].isupper() and not spec.metadata["doc"].endswith(".")
    TrainConfig().check()


def test_a_setting_out_of_range_is_named_as_the_interface_does():
    with pytest.raises(RunError, match=r"Max Splats is 0\. Choose a value from 1 to 100000000\."):
        TrainConfig(max_gaussians=0).check()
    with pytest.raises(RunError, match=r"Device is 'tpu'\. Choose one of auto, cpu, cuda\."):
        TrainConfig(device="tpu").check()


def test_a_run_folder_is_not_overwritten(tmp_path):
    RunFolder.create(tmp_path / "run", TrainConfig())
    with pytest.raises(RunError, match="already holds a run"):
        RunFolder.create(tmp_path / "run", TrainConfig())
    assert next_run_path(tmp_path) == tmp_path / "run_001"


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot be written .*Choose a folder"):
        RunFolder.create(tmp_path / "file" / "run", TrainConfig())


def test_the_result_is_the_final_splats_else_the_newest_snapshot(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    assert folder.result_file() is None
    for step in (1, 2, 3):
        snapshot = folder.snapshot_file(step)
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text("")
        with open(folder.events_file, "a") as file:
            print(encode_event(SnapshotSaved(step, f"snapshots/{snapshot.name}", 1)), file=file)
    folder.snapshot_file(3).unlink()
    assert folder.result_file() == folder.snapshot_file(2)
    folder.splats_file.write_text("")
    assert folder.result_file() == folder.splats_file


def test_a_file_is_written_aside_and_what_fails_leaves_what_was_there(tmp_path):
    write_json(tmp_path / "a.json", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    with pytest.raises(ZeroDivisionError), written_aside(tmp_path / "a.json") as aside:
        aside.write_text("half")
        assert aside.name == "a.json.partial" and json.loads((tmp_path / "a.json").read_text()) == [1]
        _ = 1 / 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text()) == [1]


def test_what_a_crash_left_aside_goes_and_what_others_write_stays(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    for name in ("snapshots", "commands", "mine"):
        (folder.path / name).mkdir()
    left = ["checkpoint.pt", "splats.ply", "preview.ply", "about.json", "metrics.json", "summary.json"]
    left += ["snapshots/step_000200.ply", "report.html", "commands/1_2_3.json"]
    fresh = ["commands/4_5_6.json"]
    others = ["notes.txt", "config.json", "mine/splats.ply", "snapshots/best.ply"]
    for name in (*left, *fresh, *others):
        (folder.path / f"{name}.partial").write_text("half")
    for name in ("report.html", "commands/1_2_3.json"):
        os.utime(folder.path / f"{name}.partial", (time.time() - 3600,) * 2)
    (folder.path / "splats.ply").write_text("whole")
    folder.remove_left_over()
    found = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*.partial")}
    assert found == {f"{name}.partial" for name in (*fresh, *others)}
    assert folder.splats_file.read_text() == "whole"


def start(tmp_path: Path, script: str, start_limit_s: float = 20.0) -> TrainerProcess:
    """A child that runs `script`, which may call say(event) and hear() -> command."""
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    preamble = f"""
    import json, os, sys, time
    started = {encode_event(STARTED)!r}
    finished = {encode_event(EVENTS[-1])!r}
    progressed = {encode_event(EVENTS[1])!r}
    def say(line):
        print(line, flush=True)
    def hear():
        line = sys.stdin.readline()
        return json.loads(line)["command"] if line else "end"
    """
    code = textwrap.dedent(preamble) + textwrap.dedent(script)
    return TrainerProcess([sys.executable, "-u", "-c", code], folder, start_limit_s)


def until_over(process: TrainerProcess, limit_s: float = 30.0) -> list:
    deadline, events = time.monotonic() + limit_s, []
    while not process.is_over:
        assert time.monotonic() < deadline, "the run did not end"
        events += process.wait(limit_s=1.0)
    return events


def until(process: TrainerProcess, kind: type, limit_s: float = 30.0) -> list:
    deadline, events = time.monotonic() + limit_s, []
    while not any(isinstance(event, kind) for event in events):
        assert time.monotonic() < deadline and not process.is_over, events
        events += process.wait(limit_s=1.0)
    return events


def test_events_arrive_in_order(tmp_path):
    process = start(tmp_path, "say(started); say(progressed); say(finished)")
    assert until_over(process) == [STARTED, EVENTS[1], EVENTS[-1]]
    assert process.poll() == [], "nothing after the last event"


def test_garbage_between_events_is_ignored(tmp_path):
    script = r"say(started); say('loading…'); say('{'); os.write(1, b'\xff\xfe\n'); say(progressed); say(finished)"
    assert until_over(start(tmp_path, script)) == [STARTED, EVENTS[1], EVENTS[-1]]


def test_a_crash_becomes_failed_with_the_tail_of_the_log(tmp_path):
    process = start(tmp_path, "say(started); sys.stderr.write('ValueError: boom\\n'); sys.exit(3)")
    events = until_over(process)
    assert events[0] == STARTED and len(events) == 2
    assert events[1].message == "The trainer ended with code 3: ValueError: boom"
    assert events[1].remedy.startswith("It had saved nothing yet. See ")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "ended with code 3"),
        (-9, "was ended by signal 9"),
        (None, "has ended"),
        (3221225477, "crashed: it used memory that is not its own (code 0xC0000005)"),
        (-1073741819, "crashed: it used memory that is not its own (code 0xC0000005)"),
        (0xC0000409, "ended itself after an internal error (code 0xC0000409)"),
        (0xC00000FD, "crashed: its stack was full (code 0xC00000FD)"),
        (0xC000013A, "was ended from its console, or when the user logged off (code 0xC000013A)"),
        (0xC0000135, "could not start: a DLL is missing (code 0xC0000135)"),
    ],
)
def test_how_a_child_ended_is_said_in_words(code, said):
    assert how_it_ended(code) == said


def test_decoded_photos_of_a_trainer_that_crashed_are_removed(tmp_path):
    process = start(tmp_path, "open('photos.cache', 'w').close(); say(started); os._exit(1)")
    assert isinstance(until_over(process)[-1], Failed) and process.join(10)
    assert not process.folder.photos_file.exists()


def test_decoded_photos_of_a_trainer_that_has_begun_meanwhile_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("splat_addon.run.lock._PATIENCE_S", 0.1)
    process = start(tmp_path, "say(started); hear(); os._exit(1)")
    until(process, Started)
    process.folder.photos_file.touch()
    other = RunLock.take(process.folder.lock_file)
    process.send("stop")
    assert isinstance(until_over(process)[-1], Failed) and process.join(10)
    assert process.folder.photos_file.exists()
    other.release()


def test_a_crash_in_the_middle_of_a_line_becomes_failed(tmp_path):
    process = start(tmp_path, 'say(started); os.write(1, b\'{"event": "Fini\'); os._exit(1)')
    events = until_over(process)
    assert [type(event) for event in events] == [Started, Failed]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_killed_child_becomes_failed(tmp_path):
    process = start(tmp_path, "say(started); hear()")
    until(process, Started)
    os.kill(process.pid, signal.SIGKILL)
    assert until_over(process)[-1].message.startswith("The trainer was ended by signal 9")


def test_a_child_that_never_answers_is_ended(tmp_path):
    process = start(tmp_path, "hear()", start_limit_s=0.5)
    events = until_over(process)
    assert len(events) == 1 and events[0].message.startswith("The trainer has not answered for")
    assert process.join(10) and not is_alive(process.pid)


def test_events_before_started_are_not_believed(tmp_path):
    process = start(tmp_path, "say(progressed); say(started); say(finished)")
    assert until_over(process) == [STARTED, EVENTS[-1]]


RENDER_STARTED, RENDER_PROGRESSED, RENDER_FINISHED = EVENTS[6:9]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ([RENDER_PROGRESSED, RENDER_STARTED, RENDER_PROGRESSED, RENDER_FINISHED], slice(1, 4)),
        ([RENDER_FINISHED, RENDER_STARTED], slice(0, 1)),
        ([Warned("Motion blur was switched off."), EVENTS[5], RENDER_FINISHED], slice(1, 2)),
    ],
    ids=["progress before it has started", "stopped before it has started", "failed before it has started"],
)
def test_a_render_keeps_to_the_order_too(tmp_path, said, heard):
    process = start(tmp_path, "".join(f"say({encode_event(event)!r})\n" for event in said))
    assert until_over(process) == said[heard]


@pytest.mark.parametrize("stopped", [False, True])
def test_the_work_folder_goes_when_the_capture_is_complete_and_its_process_is_gone(tmp_path, stopped):
    """That process is not in the folder, and its output, which is, has been closed."""
    folder = RenderFolder(tmp_path / "capture")
    (folder.path / "images").mkdir(parents=True)
    finished = RenderFinished(40, stopped, 80.0)
    script = f"""
    import os, sys
    os.rmdir(".rendering/images")
    os.mkdir(".rendering/depths")
    print({encode_event(RENDER_STARTED)!r}, {encode_event(finished)!r}, sep=chr(10), flush=True)
    sys.stdin.read()
    sys.stderr.write("until the end")
    """
    process = RenderProcess([sys.executable, "-c", textwrap.dedent(script)], folder)
    assert until_over(process) == [RENDER_STARTED, finished]
    left = sorted(path.name for path in folder.capture.rglob("*"))
    assert not is_alive(process.pid) and process.join(10)
    assert left == ([".rendering", "depths", "log.txt"] if stopped else [])


def test_another_protocol_ends_the_run(tmp_path):
    process = start(tmp_path, "say(started.replace('\"protocol\": 1', '\"protocol\": 7')); hear()")
    events = until_over(process)
    assert len(events) == 1 and "speaks protocol 7" in events[0].message
    assert process.join(10) and not is_alive(process.pid)


def test_stop_reaches_the_child_which_may_take_its_time(tmp_path):
    process = start(tmp_path, "say(started)\nif hear() == 'stop':\n    say(progressed)\n    say(finished)")
    until(process, Started)
    process.send("stop")
    assert until_over(process) == [EVENTS[1], EVENTS[-1]]


def test_a_child_that_ignores_stop_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("splat_addon.run.children.child.STOP_LIMIT_S", 0.3)
    process = start(tmp_path, "say(started)\nwhile True: hear()")
    until(process, Started)
    process.send("stop")
    assert until_over(process)[-1].message == "The trainer did not stop when asked and was ended."
    assert process.join(10) and not is_alive(process.pid)


def test_a_child_that_is_told_to_stop_while_it_starts_has_its_time_to_start(tmp_path, monkeypatch):
    monkeypatch.setattr("splat_addon.run.children.child.STOP_LIMIT_S", 0.1)
    process = start(tmp_path, "hear(); hear(); say(started); say(finished)", start_limit_s=60.0)
    process.send("stop")
    assert process.wait(limit_s=0.6) == [] and not process.is_over
    process.send("resume")  # only now it has started
    assert until_over(process) == [STARTED, EVENTS[-1]]


def test_a_child_that_still_reports_may_take_longer_to_stop(tmp_path, monkeypatch):
    monkeypatch.setattr("splat_addon.run.children.child.STOP_LIMIT_S", 1.0)
    script = """
    say(started)
    while (heard := hear()) != "resume":
        if heard == "snapshot":
            say(progressed)
    say(finished)
    """
    process = start(tmp_path, script)
    until(process, Started)
    process.send("stop")
    stopped_at = time.monotonic()
    while time.monotonic() < stopped_at + 2.5:
        process.send("snapshot")
        until(process, Progressed)
    process.send("resume")
    assert until_over(process) == [EVENTS[-1]]


def test_polling_never_waits(tmp_path):
    process = start(tmp_path, "say(started); hear()")
    until(process, Started)
    began = time.perf_counter()
    assert process.poll() == []
    assert time.perf_counter() - began < 5.0, "there is nothing to come"
    process.close()


def closes_its_output(tmp_path: Path, seconds: int = 5) -> TrainerProcess:
    """A child that closes its output without a last event, and lives on for so long."""
    process = start(tmp_path, f"say(started); os.close(1); time.sleep({seconds})")
    until(process, Started)
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="asks whether a process is alive")
def test_polling_does_not_wait_for_a_child_that_lives_on_without_output(tmp_path):
    process = closes_its_output(tmp_path)
    begun_at = time.monotonic()
    while time.monotonic() < begun_at + 1.0:
        assert process.poll() == [] and is_alive(process.pid)
    (failed,) = until_over(process)
    assert failed.message == "The trainer ended with code 0 without saying why."


def test_a_child_that_lives_on_without_output_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("splat_addon.run.children.child.END_LIMIT_S", 0.2)
    process = closes_its_output(tmp_path, 60)
    (failed,) = until_over(process, limit_s=30.0)
    assert isinstance(failed, Failed) and process.join(10) and not is_alive(process.pid)


@pytest.mark.skipif(sys.platform == "win32", reason="children inherit the output there only if told to")
def test_polling_does_not_wait_for_what_a_child_has_started(tmp_path):
    """The child never answers and is ended; a program that it has started keeps the pipe open."""
    started = "import subprocess; subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()']); hear()"
    process = start(tmp_path, started, start_limit_s=1.0)
    begun_at = polled_at = time.monotonic()
    events, longest_s = [], 0.0
    while not events:
        assert polled_at < begun_at + 30
        events, polled_at, before = process.poll(), time.monotonic(), polled_at
        longest_s = max(longest_s, polled_at - before)
    assert events[0].message == "The trainer has not answered for 1 s." and longest_s < 2.0
    process.let_go()
    assert process.join(10), "all of its handles are given back"


def test_a_child_hears_the_end_of_its_parent(tmp_path):
    """The parent is killed outright; the child reads the end of its input and writes a file as its last act."""
    child = f"import sys; sys.stdin.read(); open({str(tmp_path / 'heard')!r}, 'w').close()"
    parent = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder
from splat_addon.run.children.trainer_process import TrainerProcess
folder = RunFolder.create(Path({str(tmp_path / "run")!r}), TrainConfig())
process = TrainerProcess([sys.executable, "-c", {child!r}], folder)
print(process.pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        child_pid = int(started.stdout.readline())
        started.kill()
        started.wait()
    deadline = time.monotonic() + 20
    while not (tmp_path / "heard").exists():
        assert time.monotonic() < deadline, "the child did not notice"
        os.sched_yield() if hasattr(os, "sched_yield") else None
    while is_alive(child_pid) and _state(child_pid) != "Z":
        assert time.monotonic() < deadline, "the child is an orphan"


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_no_trainer_python_is_said_before_anything_starts(tmp_path):
    with pytest.raises(SetupError, match="No trainer Python is set"):
        trainer_command(Path(), RunFolder(tmp_path))
    with pytest.raises(SetupError, match="does not exist"):
        trainer_command(tmp_path / "python", RunFolder(tmp_path))


def test_a_file_that_is_no_program_is_said(tmp_path):
    (tmp_path / "python").write_text("no program")
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    with pytest.raises(SetupError, match=r"could not be started .*Check the trainer Python"):
        TrainerProcess(trainer_command(tmp_path / "python", folder), folder)


def test_a_program_that_is_no_trainer_becomes_failed(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    process = TrainerProcess([sys.executable, "-c", "print('hello')"], folder)
    assert [type(event) for event in until_over(process)] == [Failed]


def test_the_child_does_not_inherit_blenders_python(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/blender/python")
    monkeypatch.setenv("PYTHONPATH", "/blender/scripts")
    environment = trainer_environment()
    assert "PYTHONHOME" not in environment
    assert environment["PYTHONPATH"] == str(Path(__file__).resolve().parents[2])
    assert environment["PYTHONUTF8"] == "1"


def test_a_preset_changes_its_own_settings_and_is_recognised():
    mine = TrainConfig(capture="/somewhere", strategy="mcmc")
    quality = with_preset(mine, "quality")
    assert (quality.iterations, quality.strategy, quality.capture) == (30_000, "mcmc", "/somewhere")
    assert preset_of(quality) == "quality" and preset_of(TrainConfig()) == "balanced"
    assert preset_of(replace(quality, iterations=123)) == "custom"
    with pytest.raises(RunError, match="no preset 'best'"):
        with_preset(mine, "best")


def test_nothing_is_imported_from_the_run_folder_that_a_trainer_starts_in(tmp_path):
    """Not with any Python: before 3.11, -m and -c look there first, whatever PYTHONSAFEPATH says."""
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture="x"))
    for module in ("torch", "numpy", "json", "runpy", "splat_addon"):
        (folder.path / f"{module}.py").write_text("open('ran', 'w')")
    command = trainer_command(Path(sys.executable), folder)
    environment = {**trainer_environment()}
    del environment["PYTHONSAFEPATH"]  # as if it were that old
    subprocess.run(command, cwd=folder.path, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    assert not (folder.path / "ran").exists() and folder.events_file.is_file()
