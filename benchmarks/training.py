"""How well and how fast captures are trained: strategies, resolution schedule and kinds of seeds against each other.

    python3 dev.py bench training [CAPTURE ...] [--seconds 20] [--repeats 3] [--only VARIANT ...] [--json FILE]

Every run is planned for the same training time; evaluation is not counted. Without captures, that of the last
`python3 dev.py demo` is used. A figure is the mean over the repeats (which differ in their seed), with the spread
from the lowest to the highest. `to X dB` is the training time after which a run was first seen above X.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean

from _runs import finish

from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated

DEMO_CAPTURE = Path(__file__).resolve().parents[1] / "demo" / "capture"
VARIANTS = {
    "shipped": {},
    "default": {"strategy": "default"},
    "mcmc": {"strategy": "mcmc"},
    "full resolution": {"coarse_until": 0.0},
    "default, full res.": {"strategy": "default", "coarse_until": 0.0},
    "mcmc, full res.": {"strategy": "mcmc", "coarse_until": 0.0},
    "random seeds": {"seeds": "random"},
    "display blending": {"blend_space": "display"},
    "Blender blending": {"blend_space": "blender"},
}
BELOW_BEST_DB = 1.0  # the PSNR whose time is told: this much below the best variant's end


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="*", type=Path, default=[DEMO_CAPTURE])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    summaries = []
    for capture in options.captures:
        rows = {}
        for name in options.only:
            rows[name] = [run(capture, name, options, seed) for seed in range(options.repeats)]
            summaries += [summary for summary, _ in rows[name]]
        show(capture, rows)
    if options.json:
        options.json.write_text(json.dumps({"runs": summaries}, indent=1), encoding="utf-8")
    return 0


def run(capture: Path, variant: str, options: argparse.Namespace, seed: int) -> tuple[dict, list[Evaluated]]:
    """One run: its `summary.json` with the variant's name, and what was measured on the way."""
    print(f"  {capture.name}: {variant}, seed {seed} …", file=sys.stderr, flush=True)
    config = TrainConfig(capture=str(capture.resolve()), seconds=options.seconds, device=options.device, seed=seed)
    config = replace(config, eval_every=250, save_every=0, **VARIANTS[variant])
    with tempfile.TemporaryDirectory() as place:
        folder, events = finish(Path(place) / "run", config)
        summary = json.loads(folder.summary_file.read_text(encoding="utf-8"))
    return {"variant": variant, "seed": seed, **summary}, [event for event in events if isinstance(event, Evaluated)]


def show(capture: Path, rows: dict[str, list[tuple[dict, list[Evaluated]]]]) -> None:
    """The table of one capture."""
    best = max(mean(summary["held_out_psnr_db"] for summary, _ in row) for row in rows.values())
    goal = best - BELOW_BEST_DB
    print(f"\n{capture.resolve().parent.name}/{capture.name}")
    columns = {
        "held-out dB": 13,
        "spread": 9,
        "SSIM": 8,
        "train dB": 10,
        "init dB": 9,
        "splats": 9,
        f"to {goal:.1f} dB": 12,
    }
    print(" " * 20 + "".join(f"{title:>{width}}" for title, width in columns.items()))
    for name, row in rows.items():
        psnr = [summary["held_out_psnr_db"] for summary, _ in row]
        average = {
            key: mean(summary[key] for summary, _ in row)
            for key in ("held_out_ssim", "train_psnr_db", "init_only_psnr_db", "gaussian_count")
        }
        times = [next((e.train_seconds for e in measured if e.psnr_db >= goal), None) for _, measured in row]
        reached = f"{mean(times):.1f} s" if None not in times else "never"
        print(
            f"{name:20}{mean(psnr):13.2f}{max(psnr) - min(psnr):9.2f}{average['held_out_ssim']:8.4f}"
            f"{average['train_psnr_db']:10.2f}{average['init_only_psnr_db']:9.2f}{average['gaussian_count']:9.0f}{reached:>12}"
        )


if __name__ == "__main__":
    sys.exit(main())
