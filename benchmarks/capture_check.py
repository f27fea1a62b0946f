"""What the capture check finds: generated mistakes it must name, harmless variations it must not complain about.

Three captures: banana (in SPLAT_TEST_DATA), the demo's (`--demo FOLDER`, as `python3 dev.py demo` writes it; a rendered
still life where there is none), and surfaces drawn by the CPU rasterizer. Kinds and strengths stand in
`tests/support/capture_corruptions.py`. Also how long a whole check of banana takes, and how much memory.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.capture_corruptions import CORRUPTIONS, HARMLESS, Case, drawn, read_case, rendered_case

DATA = Path(os.environ.get("SPLAT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corruptions", type=int, default=500, help="how many mistakes (default 500)")
    parser.add_argument("--harmless", type=int, default=100, help="how many harmless variations (default 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--demo", type=Path, default=Path("demo/capture"), help="the demo's capture")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    options = parser.parse_args()
    cases = captures(options.demo)
    right = [name for name, case in cases.items() if case.warnings()]
    print(f"right captures that are complained about: {len(right)} of {len(cases)} {' '.join(right)}")
    figures = {"right": len(cases) - len(right), "rows": []}
    totals = []
    for kinds, count, what in ((CORRUPTIONS, options.corruptions, "found"), (HARMLESS, options.harmless, "passed")):
        good = 0
        rows: dict[tuple[str, str], list[int]] = {}
        for number in range(count):
            name, kind, case = drawn(cases, kinds, number, options.seed)
            told = case.warnings()
            is_good = bool(told) == (kinds is CORRUPTIONS)
            good += is_good
            row = rows.setdefault((kind.__name__, name), [0, 0])
            row[0], row[1] = row[0] + is_good, row[1] + 1
            if not is_good:
                print(f"  {kind.__name__} of {name}, number {number}: {told or 'nothing was said'}", flush=True)
        print(f"{what:20s}" + "".join(f"{name:>12s}" for name in cases))
        for kind in kinds:
            each = [rows.get((kind.__name__, name), [0, 0]) for name in cases]
            print(f"  {kind.__name__:18s}" + "".join(f"{some:>7d}/{all_:<4d}" for some, all_ in each))
            figures["rows"].append({"kind": kind.__name__, "each": dict(zip(cases, each, strict=True))})
        print(f"{what} {good} of {count}, {100 * good / max(count, 1):.1f} %", flush=True)
        totals.append(good / max(count, 1))
    if (DATA / "banana").is_dir():
        figures["banana"] = whole_check(DATA / "banana")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return 0 if not right and totals[0] >= 0.99 and totals[1] == 1 else 1


def captures(demo: Path) -> dict[str, Case]:
    """Those that are there, by name."""
    found = {}
    if (DATA / "banana").is_dir():
        found["banana"] = read_case(DATA / "banana")
    if (demo / "transforms.json").is_file():
        found["demo"] = read_case(demo)
    else:
        found["still life"] = rendered_case(24, seed=1, width_px=200)
    found["surfaces"] = rendered_case()
    return found


def whole_check(folder: Path) -> dict[str, float]:
    """Seconds and memory of `inspect-capture`, starting Python aside, with files decoded."""
    code = (
        "import resource, sys, time; from pathlib import Path; import numpy\n"
        "from splat_addon.capture.capture import open_capture\n"
        "from splat_addon.capture.check.check import check_capture\n"
        "from splat_addon.trainer.photos.inspect_capture import small_photo\n"
        "began = time.perf_counter(); capture = open_capture(Path(sys.argv[1])); opened = time.perf_counter() - began\n"
        "check_capture(capture, small_photo)\n"
        "seconds, status = time.perf_counter() - began, Path('/proc/self/status')\n"
        "memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"  # on Linux, it begins with that of the parent
        "if status.exists(): memory = int(status.read_text().split('VmHWM:')[1].split()[0])\n"
        "print(opened, seconds, memory)"
    )
    root = Path(__file__).parents[1]
    said = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, cwd=root, stdout=subprocess.PIPE)
    opened, whole, memory = map(float, said.stdout.split())
    megabytes = memory / (2**20 if sys.platform == "darwin" else 2**10)
    print(f"banana: opened in {opened:.2f} s, with the whole check {whole:.2f} s, at most {megabytes:.0f} MB")
    return {"opened_s": opened, "whole_s": whole, "memory_mb": megabytes}


if __name__ == "__main__":
    sys.exit(main())
