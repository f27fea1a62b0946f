"""What a run costs Blender's main thread: 5 events a second and a preview of 100 000 splats every 2 s, for 30 s.

The child is scripted, so that nothing but the watching is measured. Previews are shown as in the interface, without
the pauses that keep their share of the time small; what showing costs includes Blender's own evaluation of the change,
not its drawing. Where Blender is too slow for all splats of a preview, fewer are shown, and the figure says how many.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _figures import Figure

SECONDS = 30
SPLATS = 100_000
TICK_S = 0.25
FOUND_RUNS = 200
CHILD = f"""
import os, sys, time
from pathlib import Path
from splat_addon.run.events import *
from splat_addon.run.folder import RunFolder
from splat_addon.run.lock import RunLock
folder = RunFolder(Path.cwd())
lock = RunLock.take(folder.lock_file)
record = open(folder.events_file, "a")
def say(event):
    line = encode_event(event) + chr(10)
    for stream in (record, sys.stdout):
        stream.write(line)
        stream.flush()
views = tuple(ViewQuality(f"view {{i:03d}}", 20 + i / 10, 0.9) for i in range(50))
say(Started(PROTOCOL, "scripted", 1000, 300, 50, {SPLATS}, os.getpid()))
for tick in range(5 * {SECONDS}):
    say(Progressed(tick, 0.1, {SPLATS}, 5.0, 20.0, "training", tick / (5 * {SECONDS})))
    if tick % 10 == 0:
        say(SnapshotSaved(tick, "preview.ply", {SPLATS}))
        say(Evaluated(tick, 30.0, 0.9, {SPLATS}, "held_out/x", views))
    time.sleep(0.2)
say(Finished(1000, False, {SPLATS}, 1.0))
"""


def run_in_a_pipe(extension, _count: int) -> list[Figure]:
    """A run that ends with Blender: events come through a pipe."""
    return _watch(extension, "pipe", outlives=False)


def run_in_a_folder(extension, _count: int) -> list[Figure]:
    """A run that outlives Blender: events are read from its folder."""
    return _watch(extension, "folder", outlives=True)


def panels(extension, _count: int) -> list[Figure]:
    """Drawing the training panel of a run with 200 measurements, and the list of 200 found runs."""
    import bpy

    live_run, events = extension.module("splat_addon.scene.tasks.live_run"), extension.module("splat_addon.run.events")
    found_runs = extension.module("splat_addon.scene.runs.found_runs")
    find = extension.module("splat_addon.run.find")
    run = live_run.LiveRun(None, None, 0, iterations=1000)
    run.folder = extension.module("splat_addon.run.folder").RunFolder(Path("/nowhere"))
    run.apply(events.Started(events.PROTOCOL, "cpu", 1000, 300, 50, SPLATS, 1))
    for step in range(200):
        run.apply(events.Evaluated(step, 20 + step / 20, 0.9, SPLATS, "x"))
    run.apply(events.Progressed(500, 0.1, SPLATS, 5.0, 60.0, "training", 0.5))
    found_runs.found().runs = [
        find.FoundRun(Path(f"/runs/run_{i:03d}"), "/capture", "broken off", False, 0.4, 31.0, True, True, 0.0)
        for i in range(FOUND_RUNS)
    ]
    live_run.watched().run = run
    figures = []
    for module, panel in (("training", "SPLAT_PT_training"), ("runs", "SPLAT_PT_runs")):
        cls = getattr(extension.module(f"panels.{module}"), panel)
        stand_in = type("StandIn", (), {"layout": _Layout()})()
        times = [_timed(cls.draw, stand_in, bpy.context)[1] for _ in range(200)]
        figures.append(Figure(f"{module} panel, 99 % within", _percentile(times, 0.99), 0.002))
    live_run.watched().run = None
    extension.drop(found_runs.Found)
    return figures


def _watch(extension, name: str, outlives: bool) -> list[Figure]:
    import bpy
    import numpy as np

    module = extension.module
    live_run, preview, ply = (
        module(f"splat_addon.{name}")
        for name in ("scene.tasks.live_run", "scene.tasks.preview", "gaussians.formats.splat_ply")
    )
    preview.LARGEST_SHARE = 1.0
    bpy.context.scene.splat.follow_every_s = 2
    random = np.random.default_rng(0)
    cloud = module("splat_addon.gaussians.cloud").GaussianCloud(
        random.normal(size=(SPLATS, 3)).astype(np.float32),
        random.normal(-4, 0.5, size=(SPLATS, 3)).astype(np.float32),
        random.normal(size=(SPLATS, 4)).astype(np.float32),
        random.normal(size=SPLATS).astype(np.float32),
        random.normal(0, 0.1, size=(SPLATS, 16, 3)).astype(np.float32),
    )
    live_run.trainer_command = lambda python, folder: [sys.executable, "-u", "-c", CHILD]
    pumps, shows, holds, counts = [], [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        config = module("splat_addon.run.config").TrainConfig(capture=scratch)
        folder = Path(scratch) / "run"
        run = live_run.start(bpy.context.scene, config, folder, Path(sys.executable), outlives)
        ply.write_splats(folder / "preview.ply", cloud)
        while not run.is_over:
            time.sleep(TICK_S)
            _, pump_s = _timed(live_run.pump)
            is_shown, follow_s = _timed(preview.tick, TICK_S)
            pumps.append(pump_s)
            holds.append(pump_s + follow_s)
            if is_shown:
                shows.append(follow_s)
                counts.append(preview.current().shown.count)
        assert run.state == "finished", run.message
    return [
        Figure(f"pump, {name}, 99 % within", _percentile(pumps, 0.99), 0.005),
        Figure(f"main thread held, {name}, longest", max(holds), 0.15),
        Figure(f"preview of {min(counts)}, {name}, median", _percentile(shows, 0.5), 0.15),
    ]


def _timed(function, *arguments) -> tuple[Any, float]:
    """What a call returned, and the seconds it took."""
    began = time.perf_counter()
    value = function(*arguments)
    return value, time.perf_counter() - began


def _percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


class _Layout:
    """Takes whatever a panel draws."""

    def __getattr__(self, name):
        if name == "panel":
            return lambda *arguments, **options: (self, self)
        return lambda *arguments, **options: self if name in ("row", "column", "box", "split") else _Properties()


class _Properties:
    """Takes the properties of an operator's button."""


CASES = {"live, pipe": run_in_a_pipe, "live, folder": run_in_a_folder, "panels": panels}
