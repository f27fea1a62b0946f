"""What a run leaves and is told: settings, events, its folder, commands."""

import functools
import json
import math
from dataclasses import asdict, fields
from pathlib import Path

from splat_addon.errors import RunError
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import (
    COMMANDS,
    Evaluated,
    Failed,
    Finished,
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
from splat_addon.run.find import find_runs, is_run
from splat_addon.run.folder import RunFolder
from splat_addon.run.history import History
from splat_addon.run.inbox import Inbox
from splat_addon.run.lock import holder_pid

from .mutations import Mutator
from .trial import Broken, Trial

_EVENTS = (
    Started(1, "cpu", 100, 8, 1, 300, 4711),
    Progressed(10, 0.5, 300, 12.0, 7.0, fraction=0.1),
    Evaluated(10, 20.0, 0.8, 300, "held_out/step_000010", (ViewQuality("a", 20.0, 0.8),), 3.0, 21.0),
    SnapshotSaved(20, "snapshots/step_000020.ply", 310),
    Warned("A photo is missing.", "Put it back."),
    RenderStarted("Cycles", 5),
    RenderProgressed(2, 5, 3.0),
    RenderFinished(5, False, 9.0),
    Failed("The disk is full.", "Make room."),
    Finished(100, False, 320, 30.0),
)


def events(mutator: Mutator) -> Trial:
    """The record of a run, read whole, line by line and as curves."""
    return Trial({"config.json": _settings(), "events.jsonl": _broken_events(mutator)}, _read_events)


def run_folder(mutator: Mutator) -> Trial:
    """A broken run beside a good one, which must be found whatever is in the other."""
    good = {"config.json": _settings(), "events.jsonl": _lines(_EVENTS[:4])}
    bad = dict(good) | {"metrics.json": _metrics(), "trainer.lock": b'{"pid": 4711}', "splats.ply": b"ply"}
    name = mutator.one_of(sorted(bad.keys() - {"splats.ply"}))
    if name == "events.jsonl":
        bad[name] = _broken_events(mutator)
    else:
        bad[name] = mutator.json(json.loads(bad[name]))
    files = {f"a_runs/run_001/{key}": content for key, content in good.items()}
    return Trial(files | {f"a_runs/run_002/{key}": content for key, content in bad.items()}, _read_runs)


def config(mutator: Mutator) -> Trial:
    """The settings of a run."""
    return Trial({"config.json": mutator.json(json.loads(_settings()))}, _read_config)


def commands(mutator: Mutator) -> Trial:
    """What a trainer is told through its folder; one broken command must not keep others from being obeyed."""
    told = {"command": mutator.one_of(COMMANDS)}
    broken = mutator.json(told) if mutator.is_chosen(0.7) else mutator.bytes(json.dumps(told).encode())
    return Trial({"commands/1.json": broken, "commands/2.json": encode_command("stop").encode()}, _take, takes=True)


def _read_events(folder: Path) -> None:
    for line in (folder / "events.jsonl").read_bytes().splitlines():
        try:
            event = decode_event(line)
        except RunError:
            continue
        if event is not None:
            _require_sound(event)
    run = RunFolder(folder)
    for event in run.events():
        _require_sound(event)
    run.evaluations()
    run.latest_evaluation()
    run.result_file()
    run.what_is_left()
    history = History(run).read_all()
    for curve in (history.loss, history.held_out_db, history.train_db, history.gaussians):
        if len(curve.steps) != len(curve.values) or not all(map(math.isfinite, curve.values)):
            raise Broken("a curve that cannot be drawn")


def _require_sound(event: object) -> None:
    for field in fields(event):
        value = getattr(event, field.name)
        wanted = {int: int | float, float: int | float, str: str}.get(field.type, object)  # NaN stands for null
        if not isinstance(value, wanted):
            raise Broken(f"{type(event).__name__}.{field.name} is a {type(value).__name__}")


def _read_runs(folder: Path) -> None:
    found = find_runs([folder])
    if folder / "a_runs/run_001" not in [run.path for run in found]:
        raise Broken("a good run is hidden")
    bad = folder / "a_runs/run_002"
    is_run(bad)
    for run in found:
        if not (isinstance(run.state, str) and isinstance(run.fraction, int | float) and run.name):
            raise Broken(f"a run in the state {run.state!r}")
    RunFolder(bad).evaluations()
    RunFolder(bad).latest_evaluation()
    RunFolder(bad).result_file()
    holder_pid(bad / "trainer.lock")


def _read_config(folder: Path) -> None:
    read = TrainConfig.read(folder / "config.json")
    for field in fields(read):
        value = getattr(read, field.name)
        if type(value) is not type(field.default):
            raise Broken(f"{field.name} is a {type(value).__name__}")
        if isinstance(value, float) and not math.isfinite(value):
            raise Broken(f"{field.name} is not finite")


def _take(folder: Path) -> None:
    for path in sorted((folder / "commands").iterdir()):
        decode_command(path.read_bytes().decode("utf-8", "replace"))
    taken = Inbox(folder / "commands").take()
    if not set(taken) <= set(COMMANDS):
        raise Broken(f"told {taken}")
    if taken[-1:] != ["stop"]:
        raise Broken("a good command was not obeyed")


def _broken_events(mutator: Mutator) -> bytes:
    lines = _lines(_EVENTS).split(b"\n")[:-1]
    for _ in mutator.a_few():
        row = mutator.random.randrange(len(lines))
        try:
            lines[row] = mutator.json(json.loads(lines[row]))
        except (ValueError, RecursionError):
            lines[row] = mutator.bytes(lines[row])
    content = b"\n".join(lines) + b"\n"
    return mutator.bytes(content) if mutator.is_chosen(0.1) else content


@functools.cache
def _lines(told) -> bytes:
    return "".join(encode_event(event) + "\n" for event in told).encode()


@functools.cache
def _settings() -> bytes:
    return json.dumps(asdict(TrainConfig(capture="captures/a"))).encode()


@functools.cache
def _metrics() -> bytes:
    return json.dumps([{"step": 10, "psnr_db": 20.0, "ssim": 0.8, "gaussian_count": 300, "folder": "held_out",
                        "views": [{"name": "a", "psnr_db": 20.0, "ssim": 0.8}]}]).encode()  # fmt: skip
