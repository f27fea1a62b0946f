"""How fast Blender takes in, gives out and shows a million splats, in every Blender of this checkout.

    python3 dev.py bench blender [--json FILE] [--count N] [--only CASE ...]

Every case is a function below, run in a process of its own so that its memory is its own: it gets the enabled
extension and the number of splats, and returns a `Result`. Add one and it is measured.
"""

import argparse
import gc
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

COUNT = 1_000_000
REPEATS = 5


@dataclass
class Result:
    """`ratio`: to Blender's own doing of the same in the same run; `memory`: what the peak rose by, times the data
    (imports) or in GB (renders). `limit_s` is what the case may take."""

    seconds: float
    limit_s: float
    ratio: float | None = None
    memory: float | None = None


def import_ply(extension, count: int) -> Result:
    """A PLY of splats with harmonics of degree 3, against `wm.ply_import` of the same file."""
    import bpy

    files = extension.module("splat_addon.scene.splat_files")
    path = splat_file(extension, count)
    collection = bpy.context.scene.collection

    def ours() -> None:
        files.import_splats(path, "STORED", bpy.context.scene, collection)

    def theirs() -> None:
        bpy.ops.wm.ply_import(filepath=str(path))

    before = current_memory()
    with Peak() as peak:
        ours()
    memory = (peak.bytes - before) / path.stat().st_size
    remove_all()
    seconds, reference = [], []
    for _ in range(REPEATS):  # in turn, so that both see the same machine
        for function, times in ((ours, seconds), (theirs, reference)):
            times.append(timed(function))
            remove_all()
    return Result(min(seconds), 0.5, min(seconds) / min(reference), memory)


def export_ply(extension, count: int) -> Result:
    """The same splats back into a PLY."""
    item = splat_object(extension, count)
    files = extension.module("splat_addon.scene.splat_files")
    with tempfile.TemporaryDirectory() as folder:
        seconds = min(timed(lambda: files.export_splats(Path(folder) / "out.ply", item)) for _ in range(REPEATS))
    return Result(seconds, 1.0)


def move_camera(extension, count: int) -> Result:
    """From a camera that moved to quads that face it."""
    import bpy

    splat_object(extension, count)
    camera = scene_camera()

    def move() -> None:
        camera.location.x += 0.01
        bpy.context.view_layer.update()

    move()
    return Result(min(timed(move) for _ in range(REPEATS)), 1.0 if bpy.app.version >= (5, 2, 0) else 2.0)


def render_cycles(extension, count: int) -> Result:
    """A frame of 200 x 133 pixels, one sample, everything included."""
    import bpy

    item = splat_object(extension, count)
    scene_camera()
    item.hide_viewport = True  # the viewport's own quads are not what is measured
    bpy.ops.splat.set_up_render(is_exact=True)
    bpy.context.scene.render.engine = "CYCLES"
    with Peak() as peak:
        seconds = timed(bpy.ops.render.render)
    return Result(seconds, 40.0, memory=peak.bytes / 1e9)


CASES: tuple[Callable, ...] = (import_ply, export_ply, move_camera, render_cycles)


# --- What the cases share ---------------------------------------------------------------------------------------------


def splat_file(extension, count: int) -> Path:
    """Random splats around the origin that cover much the same of the view, however many they are."""
    import numpy as np

    path = Path(tempfile.gettempdir()) / f"splat_bench_{count}.ply"
    if not path.is_file():
        random = np.random.default_rng(0)
        cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
            means=random.normal(0, 0.7, (count, 3)),
            log_scales=random.normal(-2 + math.log(15 / math.sqrt(count)), 0.6, (count, 3)),
            quaternions=random.normal(size=(count, 4)),
            logit_opacities=random.normal(0, 2, count),
            sh=random.normal(0, 0.3, (count, 16, 3)).astype(np.float32),
        )
        extension.module("splat_addon.gaussians.ply").write_splats(path, cloud)
    return path


def splat_object(extension, count: int):
    """Those splats in the scene."""
    import bpy

    files = extension.module("splat_addon.scene.splat_files")
    path = splat_file(extension, count)
    return files.import_splats(path, "STORED", bpy.context.scene, bpy.context.scene.collection)[0]


def scene_camera():
    """A camera that has them all in view."""
    import bpy

    from support.splat_renders import add_camera

    return add_camera(bpy.context.scene, (3, -3, 2), size=(200, 133))


def remove_all() -> None:
    """Empty the file."""
    import bpy

    bpy.data.batch_remove([*bpy.data.objects, *bpy.data.meshes, *bpy.data.pointclouds])
    gc.collect()


def timed(function: Callable) -> float:
    """Seconds that a call took."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def current_memory() -> int:
    """Resident bytes of this process (0 where the system does not say)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class Peak:
    """The most memory that was resident within the `with`, looked at 200 times a second."""

    def __enter__(self):
        self.bytes, self._is_over = current_memory(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(0.005):
            self.bytes = max(self.bytes, current_memory())


# --- Running ----------------------------------------------------------------------------------------------------------


def run_case(name: str, count: int) -> int:
    """Run one case in this Blender and print its result as the last line."""
    from support import extension as support
    from support import splat_renders

    extension = support.Extension(support.enable_extension())
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    splat_renders.use_cycles()
    splat_file(extension, count)
    result = next(case for case in CASES if case.__name__ == name)(extension, count)
    print("\n" + json.dumps({"name": name, "blender": bpy.app.version_string, **asdict(result)}), flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Time what Blender does with splats.")
    parser.add_argument("--json", type=Path, help="also write the results there")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--only", nargs="+", choices=[case.__name__ for case in CASES])
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        return run_case(options.case, options.count)
    results = []
    print(f"{'case':<16}{'Blender':<14}{'seconds':>9}{'limit':>8}{'ratio':>8}{'memory':>9}")
    for python in os.environ.get("SPLAT_BLENDER_PYTHONS", sys.executable).split(os.pathsep):
        for name in options.only or [case.__name__ for case in CASES]:
            command = [python, __file__, "--case", name, "--count", str(options.count)]
            answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if answer.returncode != 0:
                raise SystemExit(f"bench: {name} failed in {python}\n{answer.stdout[-2000:]}")
            found = json.loads(answer.stdout.rstrip().splitlines()[-1])
            results.append(found)
            ratio, memory = (f"{value:.2f}" if value is not None else "" for value in (found["ratio"], found["memory"]))
            print(
                f"{name:<16}{found['blender']:<14}{found['seconds']:9.2f}{found['limit_s']:8.2f}{ratio:>8}{memory:>9}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps({"cases": results}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
