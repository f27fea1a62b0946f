"""Runs that need no parent: the lock, the inbox, watching through the folder, and runs found on disk."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from splat_addon.errors import RunError
from splat_addon.files import move_into_place
from splat_addon.run.children.detached import DetachedTrainer, FolderLink, _lines_from
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import PROTOCOL, Evaluated, Failed, Finished, Progressed, Started, ViewQuality, encode_event
from splat_addon.run.find import delete_run, find_runs, is_run, look_at
from splat_addon.run.folder import RunFolder
from splat_addon.run.inbox import Inbox
from splat_addon.run.lock import RunLock, holder_pid, is_held
from support.held_files import HeldFiles

ROOT = Path(__file__).resolve().parents[2]
STARTED = Started(PROTOCOL, "cpu", 10, 7, 1, 100, 1)
PROGRESSED = Progressed(3, 0.25, 100, 12.5, 4.0, "training", 0.3)
EVALUATED = Evaluated(3, 30.0, 0.9, 100, "held_out/step_000003", (ViewQuality("a", 30.0, 0.9),), 12.5, 31.0)
FINISHED = Finished(10, False, 120, 5.0)

# A trainer in a few lines: it holds the lock, records what it says, and hears through its folder.
PREAMBLE = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from splat_addon.run.events import *
from splat_addon.run.folder import RunFolder
from splat_addon.run.inbox import Inbox
from splat_addon.run.lock import RunLock
folder = RunFolder(Path.cwd())
lock = RunLock.take(folder.lock_file)
def say(text, end="\\n"):
    with open(folder.events_file, "a") as file:
        file.write(text + end)
def hear():
    while True:
        heard = Inbox(folder.commands_folder).take()
        if heard:
            return heard
        time.sleep(0.01)
started, progressed, evaluated, finished = {[encode_event(e) for e in (STARTED, PROGRESSED, EVALUATED, FINISHED)]!r}
"""


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", TrainConfig(capture="/captures/vase"))


def start(folder: RunFolder, script: str) -> DetachedTrainer:
    return DetachedTrainer.start([sys.executable, "-u", "-c", PREAMBLE + textwrap.dedent(script)], folder)


def _pieces(folder: RunFolder):
    """What is read of a record at a time, until nothing is left."""
    offset = 0
    while lines := _lines_from(folder.events_file, offset):
        yield lines
        offset += sum(map(len, lines))


def until(trainer: DetachedTrainer, kind: type, limit_s: float = 30.0) -> list:
    deadline, events = time.monotonic() + limit_s, []
    while not any(isinstance(event, kind) for event in events):
        assert time.monotonic() < deadline and not trainer.is_over, events
        events += trainer.wait(limit_s=1.0)
    return events


def until_over(trainer: DetachedTrainer, limit_s: float = 30.0) -> list:
    deadline, events = time.monotonic() + limit_s, []
    while not trainer.is_over:
        assert time.monotonic() < deadline, events
        events += trainer.wait(limit_s=1.0)
    return events


def record(folder: RunFolder, *events) -> None:
    folder.events_file.write_text("".join(encode_event(event) + "\n" for event in events))


def test_a_lock_is_held_until_its_process_ends_however_it_ends(tmp_path):
    path = tmp_path / "trainer.lock"
    assert not is_held(path) and holder_pid(path) is None
    code = f"""if True:
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        from pathlib import Path
        from splat_addon.run.lock import RunLock
        lock = RunLock.take(Path({str(path)!r}))
        print("held", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline().strip() == b"held"
        assert is_held(path) and holder_pid(path) == child.pid
        assert RunLock.take(path) is None
        child.kill()
        child.wait()
    assert not is_held(path) and holder_pid(path) is None, "the number of a dead process is not believed"
    lock = RunLock.take(path)
    assert lock is not None and is_held(path)
    lock.release()
    assert not is_held(path)


def test_commands_are_taken_once_in_the_order_they_were_given(tmp_path):
    inbox = Inbox(tmp_path / "commands")
    assert inbox.take() == []
    for command in ("pause", "snapshot", "resume", "stop"):
        inbox.put(command)
    (tmp_path / "commands" / "0.json").write_text("garbage")
    (tmp_path / "commands" / "half.json.partial").write_text('{"command": "stop"}')
    assert inbox.take() == ["pause", "snapshot", "resume", "stop"]
    assert inbox.take() == []
    inbox.put("stop")
    inbox.clear()
    assert inbox.take() == []


def test_a_command_that_cannot_be_left_is_said(tmp_path):
    (tmp_path / "commands").write_text("a file")
    with pytest.raises(RunError, match=r"The run cannot be told to stop: .*commands cannot be written"):
        Inbox(tmp_path / "commands").put("stop")


def test_a_detached_run_is_watched_and_commanded_through_its_folder(folder):
    trainer = start(folder, "say(started); say(progressed); assert hear() == ['stop']; say(finished)")
    assert until(trainer, Progressed) == [STARTED, PROGRESSED]
    assert holder_pid(folder.lock_file) == trainer.pid
    trainer.send("stop")
    assert until_over(trainer) == [FINISHED]
    assert trainer.poll() == [], "nothing after the last event"


def test_a_detached_run_that_still_reports_may_take_longer_to_stop(folder, monkeypatch):
    monkeypatch.setattr("splat_addon.run.children.child.STOP_LIMIT_S", 1.0)
    script = """
    say(started)
    while "resume" not in (heard := hear()):
        if "snapshot" in heard:
            say(progressed)
    say(finished)
    """
    trainer = start(folder, script)
    until(trainer, Started)
    trainer.send("stop")
    stopped_at = time.monotonic()
    while time.monotonic() < stopped_at + 2.5:
        trainer.send("snapshot")
        until(trainer, Progressed)
    trainer.send("resume")
    assert until_over(trainer) == [FINISHED]


def test_a_detached_run_that_ignores_stop_without_a_word_is_ended(folder, monkeypatch):
    monkeypatch.setattr("splat_addon.run.children.child.STOP_LIMIT_S", 0.3)
    trainer = start(folder, "say(started)\nwhile True: hear()")
    until(trainer, Started)
    trainer.send("stop")
    assert until_over(trainer)[-1].message == "The trainer did not stop when asked and was ended."
    assert trainer.join(10) and not is_held(folder.lock_file)


def test_a_half_written_event_is_read_when_it_is_whole(folder):
    script = "say(started[:20], ''); hear(); say(started[20:]); hear()"
    trainer = start(folder, script)
    while not folder.events_file.is_file() or folder.events_file.stat().st_size < 20:
        assert trainer.poll() == []
    trainer.send("snapshot")
    assert until(trainer, Started) == [STARTED]
    trainer.close()


def test_polling_a_detached_run_never_waits(folder):
    trainer = start(folder, "say(started); hear()")
    until(trainer, Started)
    began = time.perf_counter()
    assert trainer.poll() == []
    assert time.perf_counter() - began < 5.0, "there is nothing to come"
    trainer.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_killed_detached_run_becomes_failed_with_the_tail_of_its_log(folder):
    trainer = start(folder, "say(started); sys.stderr.write('allocating\\n'); sys.stderr.flush(); hear()")
    until(trainer, Started)
    os.kill(trainer.pid, signal.SIGKILL)
    events = until_over(trainer)
    assert events[-1].message == "The trainer was ended by signal 9: allocating"
    assert not is_held(folder.lock_file)


@pytest.mark.parametrize("ends", ["let go", "another protocol"])
def test_a_detached_run_that_was_let_go_can_still_be_ended(folder, ends):
    """Also one that this version does not understand, whose words nobody waits for any longer."""
    other = encode_event(STARTED).replace(f'"protocol": {PROTOCOL}', '"protocol": 99')
    trainer = start(folder, f"say({other if ends != 'let go' else encode_event(STARTED)!r})\ntime.sleep(60)")
    if ends == "let go":
        until(trainer, Started)
        trainer.let_go()
    else:
        assert "speaks protocol 99" in until_over(trainer)[-1].message
    assert trainer.join(10.0) and is_held(folder.lock_file), "it goes on"
    trainer.kill()
    deadline = time.monotonic() + 10
    while is_held(folder.lock_file):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_record_of_a_long_run_is_taken_in_piece_by_piece(folder, monkeypatch):
    monkeypatch.setattr("splat_addon.run.children.detached._PIECE_BYTES", 1000)
    lines = [encode_event(STARTED), *[encode_event(PROGRESSED)] * 200, encode_event(FINISHED)]
    folder.events_file.write_text("\n".join([*lines, '{"event": "Progr']))
    events = until_over(DetachedTrainer(folder, FolderLink(folder)))
    assert events == [STARTED, *[PROGRESSED] * 200, FINISHED]
    pieces = list(_pieces(folder))
    assert max(map(len, pieces)) <= 10 and sum(map(len, pieces)) == 202, "no more than a few lines at a time"


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let a folder go that is in use")
def test_a_run_that_was_moved_away_is_said_to_be_gone_also_where_its_trainer_has_left_pieces(folder):
    trainer = start(folder, "say(started); hear()")
    until(trainer, Started)
    pid = trainer.pid
    move_into_place(folder.path, folder.path.with_name("elsewhere"))
    folder.renders_folder(3).mkdir(parents=True)
    assert until_over(trainer)[-1].message == f"The run folder {folder.path} is gone."
    os.kill(pid, signal.SIGKILL)  # it was left to itself, and this one would never see that its folder is gone
    assert trainer.join(10)


def test_a_trainer_that_cannot_start_at_all_becomes_failed(folder):
    trainer = DetachedTrainer.start([sys.executable, "-c", "raise SystemExit('no module')"], folder)
    (failed,) = until_over(trainer)
    assert failed.message == "The trainer ended with code 1: no module"


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_detached_run_goes_on_when_its_parent_is_killed_and_can_be_watched_again(folder):
    """The parent, in a session with it, is killed outright; another process then watches the run and stops it."""
    script = PREAMBLE + "say(started); say(evaluated); heard = hear(); say(finished)"
    parent = f"""if True:
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        from pathlib import Path
        from splat_addon.run.children.detached import DetachedTrainer
        from splat_addon.run.folder import RunFolder
        trainer = DetachedTrainer.start([sys.executable, "-u", "-c", {script!r}], RunFolder(Path({str(folder.path)!r})))
        while not trainer.wait(1.0):
            pass
        print(trainer.pid, flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as started:
        child_pid = int(started.stdout.readline())
        os.killpg(started.pid, signal.SIGKILL)  # the whole group of the parent, as a terminal that closes does
        started.wait()
    assert holder_pid(folder.lock_file) == child_pid, "it goes on"
    watcher = DetachedTrainer.watch(folder)
    assert until(watcher, Evaluated) == [STARTED, EVALUATED], "everything from its beginning"
    watcher.send("stop")
    assert until_over(watcher) == [FINISHED]


def test_a_last_event_of_an_earlier_part_is_not_the_end(folder):
    """A resumed run has said Failed before; a watcher must not believe it while the run goes on."""
    record(folder, STARTED, PROGRESSED, Failed("It broke.", "Mend it."))
    trainer = start(folder, "hear(); say(started); hear(); say(finished)")
    while holder_pid(folder.lock_file) is None:
        pass
    watcher = DetachedTrainer.watch(folder)
    assert until(watcher, Progressed) == [STARTED, PROGRESSED]
    trainer.send("snapshot")
    assert until(watcher, Started) == [STARTED]
    assert until(trainer, Started) == [STARTED], "who started it hears only what is new"
    trainer.send("stop")
    assert until_over(watcher) == [FINISHED] and until_over(trainer) == [FINISHED]


def test_only_a_run_that_is_training_can_be_watched(folder):
    with pytest.raises(RunError, match=r"No trainer is running in .*run anymore\. Resume the run"):
        DetachedTrainer.watch(folder)


def test_commands_for_an_earlier_trainer_are_forgotten(folder):
    Inbox(folder.commands_folder).put("stop")
    trainer = start(folder, "say(started); assert hear() == ['snapshot'], 'stale'; say(finished)")
    until(trainer, Started)
    trainer.send("snapshot")
    assert until_over(trainer)[-1] == FINISHED


def found(path: Path):
    run = look_at(path)
    return run.state, run.is_training, run.can_resume, run.has_splats


def test_a_found_run_says_how_it_stands(folder):
    assert found(folder.path) == ("never started", False, False, False)
    record(folder, STARTED, PROGRESSED, EVALUATED)
    folder.checkpoint_file.touch()
    assert found(folder.path) == ("broken off", False, True, False)
    assert (look_at(folder.path).fraction, look_at(folder.path).psnr_db) == (0.3, 30.0)
    lock = RunLock.take(folder.lock_file)
    assert found(folder.path) == ("training", True, False, False)
    lock.release()
    record(folder, STARTED, PROGRESSED, Finished(3, True, 1, 1.0))
    folder.splats_file.touch()
    assert found(folder.path) == ("stopped", False, True, True)
    record(folder, STARTED, PROGRESSED, FINISHED)
    assert found(folder.path) == ("finished", False, False, True)
    record(folder, STARTED, Failed("It broke.", "Mend it."))
    assert found(folder.path) == ("failed", False, True, True)
    assert look_at(folder.path.parent) is None


def test_runs_are_found_where_they_lie_live_ones_first_then_the_newest(tmp_path):
    places = ["alone", "vase_runs/run_001", "vase_runs/run_002", "project/mug_runs/run_001"]
    for age, place in enumerate(places):
        run = RunFolder.create(tmp_path / place, TrainConfig(capture="/captures/x"))
        os.utime(run.config_file, (1000 - age, 1000 - age))
    (tmp_path / "vase_runs" / "notes").mkdir()
    (tmp_path / "vase_runs" / "notes" / "config.json").write_text('{"theme": "dark"}')
    lock = RunLock.take(tmp_path / "vase_runs/run_002/trainer.lock")
    runs = find_runs([tmp_path / name for name in ("alone", "vase_runs", "project", "gone", "vase_runs/run_001")])
    lock.release()
    assert [run.path.relative_to(tmp_path).as_posix() for run in runs] == [
        "vase_runs/run_002",
        "alone",
        "vase_runs/run_001",
        "project/mug_runs/run_001",
    ]
    assert runs[2].name == "vase · run_001"


def test_deleting_a_run_removes_what_it_wrote_and_nothing_else(tmp_path):
    folder = RunFolder.create(tmp_path / "vase_runs" / "run_001", TrainConfig(capture="x"))
    record(folder, STARTED)
    folder.snapshot_file(3).parent.mkdir()
    folder.snapshot_file(3).touch()
    (folder.path / "my notes.txt").write_text("precious")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "photo.png").touch()
    if sys.platform != "win32":
        (folder.path / "held_out").symlink_to(tmp_path / "elsewhere")
    assert delete_run(folder.path) == ["my notes.txt"]
    assert [path.name for path in folder.path.iterdir()] == ["my notes.txt"] and not is_run(folder.path)
    assert (tmp_path / "elsewhere" / "photo.png").is_file()
    other = RunFolder.create(tmp_path / "vase_runs" / "run_002", TrainConfig(capture="x"))
    assert delete_run(other.path) == [] and not other.path.exists()


def test_a_run_that_somebody_still_looks_at_is_deleted(folder, monkeypatch):
    """Whoever asks whether it trains, or reads its record, has a file of it open for an instant."""
    record(folder, STARTED)
    folder.snapshot_file(3).parent.mkdir()
    folder.snapshot_file(3).touch()
    RunLock.take(folder.lock_file).release()
    held = HeldFiles(monkeypatch)
    for path in (folder.lock_file, folder.events_file, folder.snapshot_file(3)):
        held.hold(path, refusals=3)
    assert delete_run(folder.path) == [] and not folder.path.exists()
    assert sorted(held.refused) == ["events.jsonl"] * 3 + ["step_000003.ply"] * 3 + ["trainer.lock"] * 3


@pytest.mark.parametrize("is_training", [False, True])
def test_any_number_may_ask_at_once_whether_a_run_trains(folder, is_training):
    lock = RunLock.take(folder.lock_file)
    if not is_training:
        lock.release()
    together = threading.Barrier(8)

    def ask() -> set[bool]:
        together.wait()
        return {is_held(folder.lock_file) for _ in range(200)}

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask) for _ in range(8)]
    assert set().union(*(answer.result() for answer in answers)) == {is_training}
    if is_training:
        lock.release()


def test_what_is_no_run_or_is_training_is_not_deleted(folder, tmp_path):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "config.json").write_text("{}")
    with pytest.raises(RunError, match=r"documents is not a training run\. Nothing was deleted"):
        delete_run(tmp_path / "documents")
    assert (tmp_path / "documents" / "config.json").is_file()
    lock = RunLock.take(folder.lock_file)
    with pytest.raises(RunError, match=r"run is training\. Stop it first"):
        delete_run(folder.path)
    lock.release()
    assert is_run(folder.path)


@pytest.mark.parametrize(
    "forged",
    [
        {"pid": -1}, {"pid": 0}, {"pid": 1}, {"pid": True}, {"pid": "12"}, {"pid": 12.0}, {"host": "another machine"},
        {"host": None}, {"started": "another time"}, {"started": ""}, {"started": True}, {},
    ],
)  # fmt: skip
def test_no_process_is_ended_but_the_one_that_wrote_the_record_of_the_lock(folder, monkeypatch, forged):
    """While somebody holds the lock, the record may say anything: -1 would be every process of the user."""
    lock = RunLock.take(folder.lock_file)
    own = json.loads(folder.lock_file.read_text())
    assert holder_pid(folder.lock_file) == own["pid"] == os.getpid()
    record_ = {**own, **forged} if forged else {"pid": own["pid"]}  # the latter: of an earlier version
    folder.lock_file.write_text(json.dumps(record_))
    ended = []
    monkeypatch.setattr(os, "kill", lambda pid, number: ended.append(pid))
    assert holder_pid(folder.lock_file) is None
    FolderLink(folder).kill()
    lock.release()
    assert ended == []
