"""How fast the lesson's fitter is, on one core.

    python3 dev.py bench lesson [--side 96] [--count 300] [--steps 500] [--json FILE]

The built-in sunset is fitted with the settings of the panel, but for what is named. `steps_per_second` is of processor
time, so that other programs do not count; `final_loss` is the mean squared error after the last step. The longest piece
is what Blender's main thread waits for at once.
"""

import argparse
import json
import time
from pathlib import Path

from splat_addon.lesson import targets
from splat_addon.lesson.fitter import Fitter, Settings

VARIANTS = {
    "additive": {},
    "anisotropic": {"is_anisotropic": True},
    "transmittance": {"is_additive": False},
    "L1 and D-SSIM": {"loss": "l1_ssim"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=targets.SIDE_PX)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    results = {}
    print(f"{options.side} × {options.side}, {options.count} gaussians, {options.steps} steps, time of one core")
    for name, settings in VARIANTS.items():
        results[name] = result = measure(options, settings)
        print(
            f"{name:14} {result['steps_per_second']:6.0f} steps/s   loss {result['final_loss']:.6f}"
            f"   longest piece {result['longest_piece_ms']:.0f} ms"
        )
    if options.json:
        options.json.write_text(json.dumps({**results["additive"], "variants": results}, indent=1), encoding="utf-8")


def measure(options: argparse.Namespace, settings: dict) -> dict[str, float]:
    fitter = Fitter(targets.builtin("sunset", options.side), Settings(count=options.count, **settings))
    longest, began = 0.0, time.process_time()
    for _ in range(options.steps):
        before = time.process_time()
        for _ in fitter.pieces():
            longest, before = max(longest, time.process_time() - before), time.process_time()
    seconds = time.process_time() - began
    return {
        "steps_per_second": options.steps / seconds,
        "final_loss": fitter.measure().loss,
        "longest_piece_ms": 1000 * longest,
    }


if __name__ == "__main__":
    main()
