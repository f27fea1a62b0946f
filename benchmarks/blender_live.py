"""What a run costs Blender's main thread: 5 events a second and a preview of 100 000 splats every 2 s, for 20 s.

Each `case_live_…()` returns {what: (milliseconds, limit in milliseconds)}. The child is scripted, so that nothing but
the watching is measured. Previews are shown as in the interface, without the pauses that keep their share of the time
small; what showing costs includes Blender's own evaluation of the change, not its drawing.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support import extension as support

SECONDS = 20
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


def case_live_pumping_attached() -> dict[str, tuple[float, float]]:
    """A run that ends with Blender: events come through a pipe."""
    return _watch(outlives=False)


def case_live_pumping_detached() -> dict[str, tuple[float, float]]:
    """A run that outlives Blender: events are read from its folder."""
    return _watch(outlives=True)


def case_live_panels() -> dict[str, tuple[float, float]]:
    """Drawing the training panel of a run with 200 measurements, and the list of 200 found runs."""
    extension = _extension()
    import bpy

    live_run, events = extension.module("splat_addon.scene.live_run"), extension.module("splat_addon.run.events")
    found_runs = extension.module("splat_addon.scene.found_runs")
    find = extension.module("splat_addon.run.find")
    run = live_run.LiveRun(None, None, 0, iterations=1000)
    run.folder = extension.module("splat_addon.run.folder").RunFolder(Path("/nowhere"))
    run.apply(events.Started(events.PROTOCOL, "cpu", 1000, 300, 50, SPLATS, 1))
    for step in range(200):
        run.apply(events.Evaluated(step, 20 + step / 20, 0.9, SPLATS, "x"))
    run.apply(events.Progressed(500, 0.1, SPLATS, 5.0, 60.0, "training", 0.5))
    found_runs._Found.runs = [
        find.FoundRun(Path(f"/runs/run_{i:03d}"), "/capture", "broken off", False, 0.4, 31.0, True, True, 0.0)
        for i in range(FOUND_RUNS)
    ]
    live_run._Watched.run = run
    result = {}
    for module, panel in (("training", "SPLAT_PT_training"), ("runs", "SPLAT_PT_runs")):
        cls = getattr(extension.module(f"panels.{module}"), panel)
        stand_in = type("StandIn", (), {"layout": _Layout()})()
        times = [_timed(cls.draw, stand_in, bpy.context)[1] for _ in range(200)]
        result[f"draw {panel}, 99 % within"] = _percentile(times, 0.99), 2.0
    live_run._Watched.run = None
    found_runs.forget()
    return result


def _watch(outlives: bool) -> dict[str, tuple[float, float]]:
    extension = _extension()
    import bpy
    import numpy as np

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    module = extension.module
    live_run, preview, ply = (
        module(f"splat_addon.{name}") for name in ("scene.live_run", "scene.preview", "gaussians.ply")
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
    pumps, shows, holds = [], [], []
    with tempfile.TemporaryDirectory() as scratch:
        config = module("splat_addon.run.config").TrainConfig(capture=scratch)
        folder = Path(scratch) / "run"
        run = live_run.start(bpy.context.scene, config, folder, Path(sys.executable), outlives)
        ply.write_splats(folder / "preview.ply", cloud)
        preview.prepare()  # at the click on Start
        while not run.is_over:
            time.sleep(TICK_S)
            _, pump_ms = _timed(live_run.pump)
            is_shown, follow_ms = _timed(preview.tick, TICK_S)
            pumps.append(pump_ms)
            holds.append(pump_ms + follow_ms)
            if is_shown:
                shows.append(follow_ms)
                assert preview.current().shown.count == SPLATS, "some were left out"
        assert run.state == "finished", run.message
    return {
        f"pump, 99 % within ({len(pumps)} pumps)": (_percentile(pumps, 0.99), 5.0),
        "pump, longest": (max(pumps), 150.0),
        f"preview into the scene, median of {len(shows)}": (_percentile(shows, 0.5), 150.0),
        "main thread held, longest": (max(holds), 150.0),
        "tick without a preview, 90 % within": (_percentile(sorted(holds)[: -len(shows)], 0.9), 5.0),
    }


def _extension():
    return support.Extension(support.enable_extension())


def _timed(function, *arguments) -> tuple:
    began = time.perf_counter()
    value = function(*arguments)
    return value, 1000 * (time.perf_counter() - began)


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


def main() -> int:
    """Print every case with its limits; 1 when one is passed."""
    is_right = True
    for name, case in sorted(globals().items()):
        if name.startswith("case_"):
            print(f"\n{case.__doc__.splitlines()[0]}")
            for what, (milliseconds, limit) in case().items():
                is_right &= milliseconds <= limit
                print(f"  {what:<48}{milliseconds:9.2f} ms   (limit {limit:g})", flush=True)
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
