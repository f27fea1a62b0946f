"""How fast Blender takes in, gives out, shows and follows splats, in every Blender of this checkout.

    python3 dev.py bench blender [--json FILE] [--count N] [--only CASE ...]

Every case is a function of `_blender_splats`, `_blender_viewport` or `_blender_live`, run in a process of its own so
that its memory is its own: it gets the enabled extension and the number of splats, and returns a list of `Figure`.
Add one to its module's CASES and it is measured.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import _blender_live
import _blender_splats
import _blender_viewport
import _blenders
from _figures import Figure, Memory, as_time

COUNT = 1_000_000
CASES = _blender_splats.CASES | _blender_viewport.CASES | _blender_live.CASES


def run_case(name: str, count: int) -> int:
    """Run one case in this Blender and answer with its figures."""
    from support import extension as support
    from support import splat_renders

    extension = support.Extension(support.enable_extension())
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    splat_renders.use_cycles()
    _blender_splats.splat_file(extension, count)
    _blenders.answer(
        [{**asdict(figure), "blender": bpy.app.version_string} for figure in CASES[name](extension, count)]
    )
    return 0


def show(figure: Figure, blender: str) -> None:
    """A line of the table, each figure with its limit."""
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f} (≤ {figure.ratio_limit:g})"
    verdict = "" if figure.is_within_limits else "  beyond its limit"
    limit = f"(≤ {figure.limit_s:g} s)" if figure.limit_s >= 1 else f"(≤ {1000 * figure.limit_s:g} ms)"
    line = f"{figure.name:<36}{blender:<12}{as_time(figure.seconds):>11} {limit:<12}{ratio:<16}{figure.memory or ''}"
    print(line.rstrip() + verdict, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time what Blender does with splats.")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--count", type=int, default=COUNT, help="how many splats; the limits are for a million")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES), metavar="CASE")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        return run_case(options.case, options.count)
    figures = []
    print(f"{options.count} splats\n{'case':<36}{'Blender':<12}{'time':>11} {'':<12}{'to wm.ply':<16}peak memory")
    for python in _blenders.pythons():
        for name in options.only:
            for found in _blenders.ask(python, Path(__file__), "--case", name, "--count", options.count):
                figures.append(found)
                values = {key: value for key, value in found.items() if key != "blender"}
                values["memory"] = Memory(*found["memory"]) if found["memory"] else None
                show(Figure(**values), found["blender"])
    if options.json:
        options.json.write_text(json.dumps({"cases": figures}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
