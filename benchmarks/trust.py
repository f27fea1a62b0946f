"""How quickly trust is measured, told and drawn in Blender.

    python3 dev.py bench trust [--blenders 4.2,5.3] [--count N] [--json FILE]

A wall of splats with 64 training cameras before it. Times are the middle one of several, in milliseconds of wall time:
a turn of the timer where no view has changed, which is all that a still window costs beside its redraws; the question
about a view, which the timer asks when it has changed; and a strip of 250 frames.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import _blenders
import numpy as np
from _figures import Figure, as_time, timed

COUNT, CAMERAS, FRAMES = 100_000, 64, 250
TURNS = 30


def measure(extension, count: int, folder: Path) -> list[Figure]:
    """The times of trust in this Blender."""
    import bpy

    modules = {name: extension.module(f"splat_addon.scene.trust.{name}") for name in ("measured", "badge", "strip")}
    scene = bpy.context.scene
    item = _wall(extension, count, folder)
    scene.frame_start, scene.frame_end = 1, FRAMES
    _fly(extension, scene)
    figures = []

    def time(name: str, limit_s: float, turns: int, action) -> None:
        figures.append(Figure(name, float(np.median([timed(action) for _ in range(turns)])), limit_s))

    time("measure", 5.0, 1, lambda: modules["measured"].measure(scene, item))
    found, views = modules["measured"].trust(), iter(range(TURNS))

    def ask() -> None:
        turn = 1.2 * next(views) / TURNS
        position = (4 * np.cos(turn), 4 * np.sin(turn), 1.0)
        modules["measured"].ask_in_world(found, _looking(extension, position))

    time("ask about a view", 0.1, TURNS, ask)
    modules["badge"].follow()
    time("turn of the timer", 0.002, TURNS, modules["badge"].follow)
    time(f"strip of {FRAMES} frames", 2.0, 1, lambda: modules["strip"].ask_along(scene, found))
    return figures


def _wall(extension, count: int, folder: Path):
    """Splats that fill a wall with bumps, and a run that was trained on `CAMERAS` views of it, the eighth held out."""
    import bpy

    rng = np.random.default_rng(0)
    means = rng.uniform(-6, 6, (count, 3))
    means[:, 0] = 0.3 * np.sin(2 * means[:, 1]) * np.cos(2 * means[:, 2])
    size = np.log(12 / np.sqrt(count))
    cloud = extension.module("splat_addon.gaussians.cloud").GaussianCloud(
        means, rng.normal(size, 0.3, (count, 3)), rng.normal(size=(count, 4)), rng.normal(2, 2, count),
        0.5 * rng.normal(size=(count, 1, 3)),
    )  # fmt: skip
    item = extension.module("splat_addon.scene.splats.data").splats_to_object(
        cloud, "Wall", bpy.context.scene.collection
    )
    turns = np.linspace(-0.7, 0.7, CAMERAS)
    places = [(4 * np.cos(turn), 4 * np.sin(turn), np.sin(5 * turn)) for turn in turns]
    cameras = {f"images/v{number:02d}.png": _looking(extension, place) for number, place in enumerate(places)}
    (folder / "capture" / "images").mkdir(parents=True)
    held_out = list(cameras)[::8]
    extension.module("splat_addon.capture.formats.transforms").write_transforms(
        folder / "capture" / "transforms.json", cameras, set(held_out), None, {}
    )
    for name in cameras:
        image = bpy.data.images.new("photo", 160, 120)
        image.filepath_raw, image.file_format = str(folder / "capture" / name), "PNG"
        image.save()
        bpy.data.images.remove(image)
    config = extension.module("splat_addon.run.config").TrainConfig(capture=str(folder / "capture"))
    run = extension.module("splat_addon.run.folder").RunFolder.create(folder / "run", config)
    events = extension.module("splat_addon.run.events")
    views = tuple(events.ViewQuality(Path(name).stem, 30.0, 0.9) for name in held_out)
    evaluated = events.Evaluated(5, 30.0, 0.9, 10, "held_out/step_000005", views)
    run.events_file.write_text(events.encode_event(evaluated) + "\n", encoding="utf-8")
    item[extension.module("splat_addon.scene.runs.run_identity").RUN_KEY] = str(run.path)
    bpy.context.view_layer.update()
    return item


def _fly(extension, scene) -> None:
    """Give the scene a camera that flies from the middle of the photos to the side."""
    import bpy

    conversion = extension.module("splat_addon.scene.cameras.conversion")
    eye = bpy.data.objects.new("Eye", bpy.data.cameras.new("Eye"))
    scene.collection.objects.link(eye)
    scene.camera, eye.rotation_mode = eye, "QUATERNION"
    for frame, position in ((1, (4, 0, 0)), (FRAMES, (0.8, 4.5, 1))):
        camera = _looking(extension, position)
        conversion.apply_camera(eye, camera, scene.render)
        eye.location, eye.rotation_quaternion, _ = conversion.pose_matrix(camera).decompose()
        eye.keyframe_insert("location", frame=frame)
        eye.keyframe_insert("rotation_quaternion", frame=frame)


def _looking(extension, position):
    """A camera that looks at the origin."""
    position = np.asarray(position, float)
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[:3, 3] = -matrix[:3, :3] @ position
    return extension.module("splat_addon.capture.camera").Camera(160, 120, 130, 130, 80, 60, matrix)


def run_case(count: int) -> int:
    """Measure in this Blender, and answer with the figures."""
    from support import extension as support

    extension = support.Extension(support.enable_extension())
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(extension, count, Path(folder))
    _blenders.answer([{**asdict(figure), "blender": bpy.app.version_string} for figure in figures])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Time trust in Blender.")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--count", type=int, default=COUNT, help="how many splats; the limits are for 100 000")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        return run_case(options.count)
    figures = []
    print(f"{options.count} splats, {CAMERAS} training views\n{'what':<28}{'Blender':<12}{'time':>11}")
    for python in _blenders.pythons():
        for found in _blenders.ask(python, Path(__file__), "--case", "times", "--count", options.count):
            figures.append(found)
            late = "" if found["seconds"] <= found["limit_s"] else "  beyond its limit"
            limit = as_time(found["limit_s"])
            print(
                f"{found['name']:<28}{found['blender']:<12}{as_time(found['seconds']):>11} (≤ {limit}){late}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps({"times": figures}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
