"""How fast splats are edited, how exactly, and whether what Blender's own tools broke is noticed.

    python3 dev.py bench editing [--blenders 4.2,5.3] [--count N] [--sequences N] [--json FILE]

Times are the fastest of three calls of what an operator calls, on splats of degree 3, undo not included. Sequences are
random moves, turns, applies, joins, deletions, mirrorings, copies, exact edits, repairs and undos on a few objects;
each point carries what really happened to it.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import _blenders
import numpy as np
from _figures import Figure, as_time, timed

COUNT, SEQUENCES, STEPS = 1_000_000, 500, 8
LEAST_NOTICED = 0.99
_TURNED = (0.3, -0.8, 1.9)


def measure(extension, count: int) -> list[Figure]:
    """The times of every edit, with the limits that they have to keep for a million splats."""
    import bpy

    from support.editing import add_splats

    scene = {
        name: extension.module(f"splat_addon.scene.editing.{name}")
        for name in ("moving", "joining", "looks", "selecting", "cropping")
    }
    choosing = extension.module("splat_addon.scene.inspection.choosing")
    transforms = extension.module("splat_addon.scene.splats.transforms")
    volume = _ball()
    item = add_splats(extension, count=count, degree=3)
    figures = []

    def time(name: str, limit_s: float, action, prepare=lambda: None, turns: int = 3) -> None:
        best = float("inf")
        for _ in range(turns):
            prepare()
            bpy.context.view_layer.update()
            best = min(best, timed(action))
        figures.append(Figure(name, best, limit_s))

    def turn() -> None:
        item.rotation_euler, item.scale = _TURNED, (1.3, 1.3, 1.3)

    quantity = scene["selecting"].Quantity("SIZE")

    def select() -> None:
        values = scene["selecting"].values_of(item, quantity)
        scene["selecting"].select(item, scene["selecting"].between(values, 0.02, 0.05), "SET")

    def choose_some() -> None:
        positions = scene["selecting"].read_positions(item.data)
        choosing.select(item.data, np.linalg.norm(positions, axis=1) < 1)

    def scatter_some() -> None:
        choosing.select(item.data, np.random.default_rng(1).random(count) < 0.1)

    def look() -> None:
        transforms.motions_in(item.data)

    def forget() -> None:
        transforms.forget(item.data)

    others: list = []

    def make_other() -> None:
        others[:] = [add_splats(extension, "Other", count=count, degree=3, seed=2)]
        others[0].rotation_euler = _TURNED

    time("apply transform", 0.5, lambda: scene["moving"].apply_transform(item, scene["moving"].Parts()), turn)
    time("mirror", 0.5, lambda: scene["moving"].move(item, np.diag([-1.0, 1, 1, 1])))
    time("color", 1.0, lambda: scene["looks"].recolor(item, scene["looks"].Grading(exposure=0.1), False))
    time("select by size", 0.1, select)
    time("grow a selection", 2.0, lambda: scene["selecting"].grow(item, 0.0, 1, False), choose_some)
    time("grow a scattered selection", 2.0, lambda: scene["selecting"].grow(item, 0.0, 1, False), scatter_some)
    time("crop by 10 000 faces", 1.5, lambda: scene["cropping"].taken_away(item, volume, "OUTSIDE"))
    time(
        "notice: nothing is broken", 0.5, lambda: transforms.motions_in(item.data), lambda: transforms.forget(item.data)
    )
    turn()
    bpy.ops.object.transform_apply()
    time("notice: all is broken", 2.5, look, forget)
    time("repair", 2.5, lambda: scene["moving"].repair(item), turns=1)
    time("join two", 1.0, lambda: scene["joining"].join(item, others), make_other, turns=1)
    return figures


def _ball():
    """A closed mesh of some 10 000 triangles that encloses half of the splats."""
    import bmesh
    import bpy

    mesh = bmesh.new()
    bmesh.ops.create_uvsphere(mesh, u_segments=100, v_segments=51, radius=1.5)
    item = bpy.data.objects.new("Volume", bpy.data.meshes.new("Volume"))
    mesh.to_mesh(item.data)
    mesh.free()
    bpy.context.scene.collection.objects.link(item)
    return item


def judge(extension, sequences: int) -> dict[str, float]:
    """How many objects were broken and not, how many of these were said to be, and the largest error of a map."""
    from support.broken_splats import Sequence

    found = {"broken": 0, "noticed": 0, "whole": 0, "false": 0, "worst map": 0.0}
    for seed in range(sequences):
        sequence = Sequence(extension, np.random.default_rng(10_000 + seed))
        sequence.begin()
        for _ in range(STEPS):
            sequence.step()
        for is_broken, is_noticed, error in sequence.judge():
            found["broken" if is_broken else "whole"] += 1
            if is_noticed:
                found["noticed" if is_broken else "false"] += 1
            if is_broken and is_noticed:
                found["worst map"] = max(found["worst map"], error)
    return found


def run_case(name: str, count: int) -> int:
    """Run one case in this Blender and answer with what it found."""
    from support import extension as support

    extension = support.Extension(support.enable_extension())
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    if name == "times":
        _blenders.answer(
            [{**asdict(figure), "blender": bpy.app.version_string} for figure in measure(extension, count)]
        )
    else:
        _blenders.answer([{**judge(extension, count), "blender": bpy.app.version_string}])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Time edits of splats, and judge what is noticed as broken.")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--count", type=int, default=COUNT, help="how many splats; the limits are for a million")
    parser.add_argument(
        "--sequences", type=int, default=SEQUENCES, help="how many random sequences are judged; 0: none"
    )
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        return run_case(options.case, options.sequences if options.case == "sequences" else options.count)
    figures, judged = [], []
    print(f"{options.count} splats of degree 3\n{'edit':<36}{'Blender':<12}{'time':>11}")
    for python in _blenders.pythons():
        script = Path(__file__)
        for found in _blenders.ask(python, script, "--case", "times", "--count", options.count):
            figures.append(found)
            late = "" if found["seconds"] <= found["limit_s"] else "  beyond its limit"
            time = f"{as_time(found['seconds']):>11} (≤ {found['limit_s']:g} s)"
            print(f"{found['name']:<36}{found['blender']:<12}{time}{late}", flush=True)
        if options.sequences:
            judged += _blenders.ask(python, script, "--case", "sequences", "--sequences", options.sequences)
            print(_verdict(judged[-1], options.sequences), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"times": figures, "sequences": judged}, indent=1), encoding="utf-8")
    return 0


def _verdict(found: dict, sequences: int) -> str:
    share = found["noticed"] / max(found["broken"], 1)
    late = "" if share >= LEAST_NOTICED and not found["false"] else "  beyond its limit"
    return (
        f"{sequences} random sequences, Blender {found['blender']}: {found['noticed']} of {found['broken']} broken "
        f"objects noticed, {found['false']} of {found['whole']} whole ones called broken, "
        f"worst map {found['worst map']:.1e}{late}"
    )


if __name__ == "__main__":
    sys.exit(main())
