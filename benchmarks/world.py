"""Whether a capture's units and place matter: the same one in meters, in others, and in the coordinates of a country.

    python3 dev.py bench world [CAPTURE] [--steps 400] [--pixels 200] [--seeds 8] [--json FILE]

Copies of the capture (that of the last `python3 dev.py demo` if none is named), its cameras and points scaled and
shifted, are opened and trained as any capture is, with seeds from 1 on. `held out` is the mean PSNR, `apart` its
difference to the capture as it is, with the standard error of that. Single runs differ by more than the means: what is
rounded otherwise in the last digit becomes another run, as "scaled by 1.0001" shows, which changes nothing else.
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from statistics import fmean

import numpy as np
from _runs import finish

from splat_addon.capture.capture import open_capture
from splat_addon.capture.export import TRANSFORMS, ExportOptions, export_capture
from splat_addon.gaussians.formats.splat_ply import read_splats
from splat_addon.run.config import TrainConfig

DEMO_CAPTURE = Path(__file__).resolve().parents[1] / "demo" / "capture"
WORLDS = {
    "as it is": (1.0, (0.0, 0.0, 0.0)),
    "scaled by 1.0001": (1.0001, (0.0, 0.0, 0.0)),
    "scaled by 1e-6": (1e-6, (0.0, 0.0, 0.0)),
    "scaled by 1e6": (1e6, (0.0, 0.0, 0.0)),
    "shifted by (5e5, 5e6, 0)": (1.0, (5e5, 5e6, 0.0)),
}
TOLERANCE_DB = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", nargs="?", type=Path, default=DEMO_CAPTURE)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pixels", type=int, default=200, help="of the longer side of photos")
    parser.add_argument("--seeds", type=int, default=8, help="how many runs of each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    capture = open_capture(options.capture.resolve())
    found: dict[str, list[dict]] = {name: [] for name in WORLDS}
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place) / f"capture_{number}" for number in range(len(WORLDS))]
        for folder, (scale, shift) in zip(folders, WORLDS.values(), strict=True):
            world = np.diag([scale, scale, scale, 1.0])
            world[:3, 3] = shift
            export_capture(capture, folder, ExportOptions(frozenset({TRANSFORMS}), world_from_capture=world))
        for seed in range(1, options.seeds + 1):  # in turn, so that a run that was broken off tells of all
            for folder, (name, (scale, shift)) in zip(folders, WORLDS.items(), strict=True):
                run = train(Path(place) / f"run_{seed}_{folder.name}", folder, options, seed)
                run["middle"] = ((run["middle"] - np.array(shift)) / scale).tolist()
                found[name].append(run)
                print(f"seed {seed}, {name}: {run['held_out_db']:.3f} dB", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"{'world':<28}{'init only':>10}{'held out':>10}{'apart':>18}{'splats':>9}  median place as it was")
    worst = max(abs(show(name, runs, found["as it is"])) for name, runs in found.items())
    print(f"worst: {worst:.3f} dB apart (at most {TOLERANCE_DB})")
    return 0 if worst <= TOLERANCE_DB else 1


def train(path: Path, capture: Path, options: argparse.Namespace, seed: int) -> dict:
    """One run: its quality, and how its splats lie."""
    config = TrainConfig(
        capture=str(capture),
        iterations=options.steps,
        max_resolution=options.pixels,
        device=options.device,
        seed=seed,
        eval_every=0,
        save_every=0,
    )
    folder, _ = finish(path, config)
    summary = json.loads(folder.summary_file.read_text(encoding="utf-8"))
    splats = read_splats(folder.splats_file, origin=(0.0, 0.0, 0.0))
    return {
        "init_db": summary["init_only_psnr_db"],
        "held_out_db": summary["held_out_psnr_db"],
        "gaussians": len(splats),
        "middle": np.median(splats.means, axis=0),
    }


def show(name: str, runs: list[dict], first: list[dict]) -> float:
    """A row of the table; returns how far apart the means are, dB."""
    values, others = (np.array([run["held_out_db"] for run in some]) for some in (runs, first))
    apart = float(values.mean() - others.mean())
    error = math.sqrt((values.var(ddof=1) + others.var(ddof=1)) / len(values)) if len(values) > 1 else math.nan
    init, gaussians = (fmean(run[key] for run in runs) for key in ("init_db", "gaussians"))
    middle = ", ".join(f"{value:.3f}" for value in np.mean([run["middle"] for run in runs], axis=0))
    line = f"{name:<28}{init:>10.3f}{values.mean():>10.3f}{apart:>+9.3f} ± {error:.3f}{gaussians:>9.0f}  {middle}"
    print(line, flush=True)
    return apart


if __name__ == "__main__":
    sys.exit(main())
