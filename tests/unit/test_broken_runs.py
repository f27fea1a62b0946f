"""Run folders that are broken, huge, or of somebody else's making: one bad file never hides the others."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from splat_addon.errors import RunError
from splat_addon.run import folder as folder_module
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated, Finished, Progressed, Warned, decode_command, decode_event, encode_event
from splat_addon.run.find import find_runs, look_at
from splat_addon.run.folder import RunFolder
from splat_addon.run.inbox import CommandLines, Inbox
from splat_addon.run.wire import Wire

ROOT = Path(__file__).resolve().parents[2]
NESTED = "[" * 200_000
PROGRESSED = encode_event(Progressed(3, 0.5, 7, 1.0, 2.0, "training", 0.25))
EVALUATED = Evaluated(2, 30.0, 0.9, 7, "held_out/step_000002")


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "Evaluated", "step": "2", "psnr_db": 1, "ssim": 1, "gaussian_count": 1, "folder": ""}',
        '{"event": "Evaluated", "step": 2, "psnr_db": "high", "ssim": 1, "gaussian_count": 1, "folder": ""}',
        '{"event": "Evaluated", "step": 2, "psnr_db": 1, "ssim": 1, "gaussian_count": 1, "folder": "", "views":'
        ' [{"name": 3, "psnr_db": 1, "ssim": 1}]}',
        '{"event": "Warned", "message": ["a"]}',
        '{"event": "Finished", "step": 1, "stopped": "no", "gaussian_count": 1, "train_seconds": 1}',
        '{"event": "Warned", "message": ' + NESTED,
    ],
    ids=["step", "quality", "view", "message", "stopped", "nested"],
)
def test_an_event_whose_values_are_of_other_types_is_not_an_event(line):
    assert decode_event(line) is None


def test_whole_numbers_and_null_stand_for_numbers():
    found = decode_event('{"event": "Progressed", "step": 1, "loss": null, "gaussian_count": 1, "steps_per_s": 2,'
                         ' "seconds_left": 3}')  # fmt: skip
    assert (found.steps_per_s, found.seconds_left) == (2, 3) and found.loss != found.loss


@pytest.mark.parametrize("line", ['{"command": ["stop"]}', '{"command": {}}', NESTED], ids=["list", "object", "nested"])
def test_a_command_that_is_not_a_word_is_not_a_command(line):
    assert decode_command(line) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("events.jsonl", encode_event(EVALUATED).replace('"step": 2', '"step": "x"')),
        ("events.jsonl", NESTED),
        ("config.json", NESTED),
    ],
    ids=["text as a step", "nested event", "nested settings"],
)
def test_one_broken_run_does_not_hide_the_others(tmp_path, name, content):
    runs = [RunFolder.create(tmp_path / f"run_{index}", TrainConfig(capture="x")) for index in range(3)]
    (runs[1].path / name).write_text(content)
    found = {run.path.name for run in find_runs([tmp_path])}
    assert {"run_0", "run_2"} <= found


@pytest.mark.parametrize("value", ["Infinity", "1e999", NESTED], ids=["infinity", "overflow", "nested"])
def test_settings_with_impossible_numbers_are_rejected_with_a_sentence(tmp_path, value):
    (tmp_path / "c.json").write_text('{"iterations": ' + value)
    if value is not NESTED:
        (tmp_path / "c.json").write_text('{"iterations": ' + value + "}")
    with pytest.raises(RunError, match=r"holds no training settings .* Start a new run"):
        TrainConfig.read(tmp_path / "c.json")


def test_a_command_file_that_cannot_be_read_does_not_deafen_a_run_that_outlives_its_parent(tmp_path):
    inbox = Inbox(tmp_path / "commands")
    inbox.put("pause")
    (tmp_path / "commands" / "0.json").write_bytes(b"\xff\xfe\xff")
    (tmp_path / "commands" / "1.json").write_text(NESTED)
    (tmp_path / "commands" / "2.json").mkdir()
    lines, heard = CommandLines((), inbox, outlives=True), []
    for line in lines:
        heard.append(decode_command(line))
        if heard == ["pause"]:
            inbox.put("stop")
        else:
            break
    assert heard == ["pause", "stop"]
    assert [path.name for path in (tmp_path / "commands").iterdir()] == ["2.json"]


def test_the_end_is_recorded_before_the_lock_goes_and_told_after(tmp_path):
    folder, told, seen = RunFolder.create(tmp_path / "run", TrainConfig()), io.StringIO(), []
    wire = Wire(folder, told, (), obey=lambda command: None)
    last = Finished(1, False, 1, 1.0)
    wire.send(last, recorded=lambda: seen.append((folder.events(), told.getvalue())))
    assert seen == [([last], "")]
    assert decode_event(told.getvalue()) == last


def test_a_trainer_whose_standard_output_is_closed_records_its_events(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    script = """
        import sys
        from pathlib import Path
        from splat_addon.run.events import Warned
        from splat_addon.run.folder import RunFolder
        from splat_addon.run.wire import Wire, take_standard_output
        Wire(RunFolder(Path(sys.argv[1])), take_standard_output(), (), lambda command: None).send(Warned("heard"))
        print("to the log")
    """
    program = "\n".join(line.strip() for line in script.splitlines())
    starter = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-c', *sys.argv[1:]])"
    command = [sys.executable, "-c", starter, program, str(folder.path)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
    assert folder.events() == [Warned("heard")]


def write_long_record(folder: RunFolder, lines: int) -> None:
    folder.events_file.write_text((PROGRESSED + "\n") * lines)


def test_a_long_record_is_read_from_its_end_and_no_farther_than_need_be(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path / "run", TrainConfig(capture="x"))
    write_long_record(folder, 60_000)
    with open(folder.events_file, "a") as file:
        print(encode_event(EVALUATED), PROGRESSED, sep="\n", file=file)
    read: list[int] = []

    class Counting(io.FileIO):
        def read(self, size=-1):
            read.append(size)
            return super().read(size)

    def opened(path, mode):
        assert mode == "rb"
        return Counting(path)

    monkeypatch.setattr(folder_module, "open", opened, raising=False)
    assert folder.evaluations() == [EVALUATED]
    assert 0 < sum(read) <= folder_module.RECORD_END_BYTES < folder.events_file.stat().st_size
    read.clear()
    found = look_at(folder.path)
    assert (found.psnr_db, found.fraction, found.state) == (30.0, 0.25, "broken off")
    assert 0 < sum(read) < 200_000


def test_the_lines_of_a_record_come_the_newest_first_whatever_their_length(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    lines = [json.dumps({"event": "Warned", "message": str(index) * (7 * index)}) for index in range(400)]
    folder.events_file.write_text("\n".join(lines) + "\n" + '{"event": "Wa')
    found = [line.decode() for line in folder.last_lines(1 << 30)]
    assert found == ['{"event": "Wa', *reversed(lines)]
    some = [line.decode() for line in folder.last_lines(10_000)]
    assert some == found[: len(some)] and 0 < len(some) < 400, "the first one, cut in two, is left out"


def test_the_newest_snapshot_is_found_without_the_record(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    for step in (999_999, 1_000_000, 5):
        folder.snapshot_file(step).parent.mkdir(exist_ok=True)
        folder.snapshot_file(step).touch()
    assert folder.result_file() == folder.snapshot_file(1_000_000)


def test_all_of_more_than_a_thousand_runs_are_listed(tmp_path):
    for index in range(1200):
        run = tmp_path / f"run_{index:04d}"
        run.mkdir()
        (run / "config.json").write_text('{"capture": "x", "iterations": 1}')
    assert len(find_runs([tmp_path])) == 1200


def test_half_written_images_go_when_the_next_trainer_begins(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    images = [folder.renders_folder(20) / "left" / "a.png", folder.renders_folder(20) / "b.png"]
    for path in (*images, folder.contact_sheet_file):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"whole")
        path.with_name(path.name + ".partial").write_bytes(b"half")
    folder.remove_left_over()
    assert not list(folder.path.rglob("*.partial"))
    assert all(path.read_bytes() == b"whole" for path in (*images, folder.contact_sheet_file))
