"""An artist who undoes and redoes while a run trains, in a Blender with or without a window.

The trainer is scripted: it answers at once whenever a preview is asked for, and measures then; told to stop, it ends
when it may.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import numpy as np

CUBES, STEPS = 5, 12  # added, and then undone and redone, in a round
MOST_CUBES = 20  # before they are cleared away, which is a step, too: every step costs as much as the first
EARLIER_SPLATS, RESULT_SPLATS = 555, 777  # previews have other counts
LIMIT_S = 120.0
TRAINER = """
import os, shutil, sys, time
from splat_addon.run.events import *
clouds, step, state = sys.argv[1], 10, "training"
def say(event):
    print(encode_event(event), flush=True)
def save(cloud, name):
    shutil.copy(os.path.join(clouds, cloud), "aside.ply")
    os.replace("aside.ply", name)
say(Started(PROTOCOL, "scripted", 100_000, 7, 2, 100, os.getpid()))
say(Progressed(step, 0.1, 100, 5.0, 20.0, "training", 0.0))
for line in sys.stdin:
    command = decode_command(line)
    if command == "preview":
        save(f"{step // 10 % 4}.ply", "preview.ply")
        say(SnapshotSaved(step, "preview.ply", 100))
        views = tuple(ViewQuality(f"view {index}", 20 + index + step / 1000, 0.9) for index in range(3))
        say(Evaluated(step, 21 + step / 1000, 0.9, 100, "held_out/x", views))
        step += 10
    if command in ("pause", "resume"):
        state = "paused" if command == "pause" else "training"
    if command in ("preview", "pause", "resume"):  # a preview may have been asked for before the pause
        say(Progressed(step, 0.1, 100, 5.0, 20.0, state, step / 100_000))
    if command == "stop":
        while not os.path.exists(os.path.join(clouds, "may end")):
            time.sleep(0.02)
        save("result.ply", "splats.ply")
        say(Finished(step, True, 777, 1.0))
        break
"""


class Artist:
    """What is done in the open file. What takes time is a generator: at `yield`, Blender and the extension go on.

    `module` gives a module of the extension; `press_undo` and `press_redo` are one step each; `folder` is empty.
    """

    def __init__(self, module: Callable, folder: Path, press_undo: Callable, press_redo: Callable):
        self._module, self._folder = module, folder
        self._press_undo, self._press_redo = press_undo, press_redo
        self._live_run = module("splat_addon.scene.tasks.live_run")
        self._preview = module("splat_addon.scene.tasks.preview")
        self._random = random.Random(0)
        self._last_step = 0
        self._cubes: list[int] = []  # at each undo step
        self._at = -1  # the step that the artist is at
        self.steps: dict[str, int] = {}  # undone or redone, by the state of the run

    def work(self, rounds: int) -> Iterator[None]:
        """Cubes, undo and redo before a run, while previews come, while it pauses, and while it ends; then over
        its result."""
        yield from self._import_earlier_run()
        yield from self._go_around(rounds)
        yield from self._start_training()
        yield from self._go_around(rounds)
        self._live_run.send("pause")
        yield from self._until(lambda: self._state() == "paused", "the run pauses")
        yield from self._go_around(rounds)
        self._live_run.send("resume")
        yield from self._until(lambda: self._state() == "training", "the run goes on")
        self._live_run.send("stop")
        yield from self._until(lambda: self._state() == "stopping", "the run ends")
        yield from self._go_around(rounds)
        yield from self._see_the_run_end()
        yield from self._cross_the_result(rounds)
        yield from self._go_around(rounds)

    def _state(self) -> str:
        run = self._live_run.current()
        return run.state if run is not None else "none"

    def _go_around(self, rounds: int) -> Iterator[None]:
        for _ in range(rounds):
            yield from self._add_cubes()
            if self._state() == "training":
                yield from self._new_preview()
            yield from self._go_back_and_forth(min(STEPS, self._at))

    def shown_step(self) -> int:
        """The step of training that the viewport shows; 0 when it shows no preview."""
        shown = self._preview.current().shown
        return shown.step if shown else 0

    def splat_count(self, run: str) -> int:
        """How many splats the object of a run has; 0 when it has no object."""
        item = bpy.context.scene.objects.get(run)
        return self._module("splat_addon.scene.splats.data").splat_count(item) if item else 0

    def _import_earlier_run(self) -> Iterator[None]:
        capture, clouds, scene = self._folder / "capture", self._folder / "clouds", bpy.context.scene
        capture.mkdir()
        clouds.mkdir()
        for number in range(4):
            self._write_cloud(clouds / f"{number}.ply", 200 + 50 * number)
        self._write_cloud(clouds / "result.ply", RESULT_SPLATS)
        config = self._module("splat_addon.run.config").TrainConfig(capture=str(capture))
        runs = self._folder / "capture_runs"
        earlier = self._module("splat_addon.run.folder").RunFolder.create(runs / "run_001", config)
        self._write_cloud(earlier.splats_file, EARLIER_SPLATS)
        scene.splat.capture.folder, scene.splat.run_folder = str(capture), str(earlier.path)
        self._live_run.trainer_command = lambda *_, **__: [sys.executable, "-u", "-c", TRAINER, str(clouds)]
        self._preview.LARGEST_SHARE = 1.0  # where drawing is slow, previews come as often
        scene.splat.follow_every_s = 1.0
        bpy.ops.splat.import_result("EXEC_DEFAULT", True)
        bpy.ops.ed.undo_push(message="Begin")
        yield from self._until(lambda: self.splat_count("run_001") == EARLIER_SPLATS, "an earlier run is there")
        self._add_step()

    def _write_cloud(self, path: Path, count: int) -> None:
        values = np.random.default_rng(count)
        cloud = self._module("splat_addon.gaussians.cloud").GaussianCloud(
            values.normal(size=(count, 3)),
            values.normal(-3, 0.3, size=(count, 3)),
            values.normal(size=(count, 4)),
            values.normal(size=count),
            values.normal(0, 0.3, size=(count, 4, 3)),
        )
        self._module("splat_addon.gaussians.formats.splat_ply").write_splats(path, cloud)

    def _start_training(self) -> Iterator[None]:
        bpy.ops.splat.start_training()
        yield from self._new_preview()

    def _add_cubes(self) -> Iterator[None]:
        if self._count_cubes() > MOST_CUBES:
            cubes = [item for item in bpy.context.scene.objects if item.name.startswith("Cube")]
            bpy.data.batch_remove([*cubes, *(item.data for item in cubes)])
            bpy.ops.ed.undo_push(message="Clear")
            self._add_step()
        for _ in range(CUBES):
            bpy.ops.mesh.primitive_cube_add("EXEC_DEFAULT", True, location=[self._random.random() for _ in range(3)])
            self._add_step()
            yield from self._perhaps_new_preview()

    def _go_back_and_forth(self, steps: int) -> Iterator[None]:
        for _ in range(steps):
            yield from self._undo()
            yield from self._perhaps_new_preview()
        for _ in range(steps):
            yield from self._redo()
            yield from self._perhaps_new_preview()

    def _see_the_run_end(self) -> Iterator[None]:
        """Undo and redo in turn until the result is there, which then is the artist's last undo step."""
        (self._folder / "clouds" / "may end").touch()
        while self.splat_count("run_002") != RESULT_SPLATS:
            self._count_step()
            self._count_step()
            yield from self._press_undo()
            yield from self._press_redo()
        for _ in range(20):  # nor does anything more come by itself
            yield
        self._at = self._cubes.index(self._count_cubes())
        self._add_step()

    def _cross_the_result(self, rounds: int) -> Iterator[None]:
        for _ in range(max(4, rounds // 2)):
            for steps in (1, 3):
                yield from self._go_back(1)
                assert self.splat_count("run_002") != RESULT_SPLATS, "one step back is before the result"
                yield from self._go_back(steps - 1)
                for _ in range(steps):
                    yield from self._redo()
                assert self.splat_count("run_002") == RESULT_SPLATS, "redo brings the result back"
                assert self.splat_count("run_001") == EARLIER_SPLATS

    def _go_back(self, steps: int) -> Iterator[None]:
        for _ in range(steps):
            yield from self._undo()

    def _add_step(self) -> None:
        self._at += 1
        self._cubes[self._at :] = [self._count_cubes()]

    def _count_step(self) -> None:
        self.steps[self._state()] = self.steps.get(self._state(), 0) + 1

    def _count_cubes(self) -> int:
        return sum(item.name.startswith("Cube") for item in bpy.context.scene.objects)

    def _undo(self) -> Iterator[None]:
        self._at -= 1
        self._count_step()
        yield from self._press_undo()
        yield from self._until(lambda: self._count_cubes() == self._cubes[self._at], "the last thing done is undone")

    def _redo(self) -> Iterator[None]:
        self._at += 1
        self._count_step()
        yield from self._press_redo()
        yield from self._until(lambda: self._count_cubes() == self._cubes[self._at], "what was undone is redone")

    def _perhaps_new_preview(self) -> Iterator[None]:
        if self._state() == "training" and self._random.random() < 0.1:
            yield from self._new_preview()

    def _new_preview(self) -> Iterator[None]:
        yield from self._until(lambda: self.shown_step() > self._last_step, "a newer preview is shown")
        self._last_step = self.shown_step()

    def _until(self, is_so: Callable[[], bool], sentence: str) -> Iterator[None]:
        deadline = time.monotonic() + LIMIT_S
        while not is_so():
            assert time.monotonic() < deadline, f"After {LIMIT_S:g} s, not yet: {sentence}"
            yield
