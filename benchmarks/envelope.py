"""Quality against the distance from the training path, and how well trust foretells it, on scenes with rendered truth.

    python3 dev.py bench envelope [--only SCENE-NUMBER-CONDITION …] [--out DIR] [--json FILE] [--plot FILE]

The scenes of `bench floaters` are photographed from 8 or 24 places of a path, trained from seeds on their surfaces or
at random, and drawn from free views at distances between 0.02 and 1.2 scene depths from the path, and anywhere in the
scene. The expectation knows cameras, splats and the PSNR of the held-out views on the path. Its few numbers were fitted
on scenes with the number 0; those judged here have the number 1, and a kind that was never used (town).
Views are judged by PSNR of whole pictures, which is what the badge tells. *Recoverable* is the same over the pixels
whose surface two training photos show, *with held out* also counts the held-out views on the path. Beside it: the mean
angle and the distance to the nearest training camera, and how much renderings with splats left out disagree.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from _envelope_runs import CONDITIONS, Measured, Scenes, measured_run

from splat_addon.inspection.trust.coverage import cover
from splat_addon.inspection.trust.expectation import calibrate, trusted_angle

JUDGED = ("still-1", "room-1", "fence-1", "town-1")
STEPS = 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="SCENE-NUMBER-CONDITION", help="these runs")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each training")
    parser.add_argument("--out", type=Path, help="where runs stay; runs that lie there are used")
    parser.add_argument("--json", type=Path, help="where all figures are written")
    parser.add_argument("--plot", type=Path, help="where the plot is written, PNG or JPEG")
    options = parser.parse_args()
    names = options.only or [f"{scene}-{condition}" for scene in JUDGED for condition in CONDITIONS]
    scenes = Scenes()
    with tempfile.TemporaryDirectory() as passing:
        records = []
        for name in names:
            print(f"  {name} …", file=sys.stderr, flush=True)
            kind, number, condition = name.split("-", 2)
            folder = (options.out or Path(passing)) / name
            records.append(judged(measured_run(folder, scenes, kind, int(number), condition, options.steps)))
    summary = summarized(records)
    show(records, summary)
    if options.json:
        options.json.write_text(json.dumps({**summary, "runs": records}, indent=1), encoding="utf-8")
    if options.plot:
        plot(records, options.plot)
    return 0


def judged(run: Measured) -> dict:
    """What was expected of a run's free views, and what they are."""
    began = time.process_time()
    coverage = cover(run.cloud, run.training)
    covering = time.process_time() - began
    expectation = calibrate([coverage.around(camera) for camera in run.held_out], run.held_out_db.tolist())
    assert expectation is not None
    began = time.process_time()
    envelopes = [coverage.around(camera) for camera in run.free]
    asking = (time.process_time() - began) / len(envelopes)
    expected = np.array([np.nan if (db := expectation.db(each)) is None else db for each in envelopes])
    known = np.isfinite(expected)
    error = expected[known] - run.free_db[known]
    angles = np.array([each.angle_deg for each in envelopes])
    on_path = [expectation.db(coverage.around(camera)) for camera in run.held_out]
    together = np.concatenate([expected[known], np.array(on_path, float)])
    recoverable = np.concatenate([run.free_recoverable_db[known], run.held_out_recoverable_db])
    return {
        "run": run.name, "views": int(known.sum()), "unknown": int((~known).sum()),
        "spearman": spearman(expected[known], run.free_db[known]),
        "mean_error_db": float(np.abs(error).mean()), "bias_db": float(error.mean()),
        "spearman_recoverable": spearman(expected[known], run.free_recoverable_db[known]),
        "spearman_with_held_out": spearman(together, recoverable),
        "spearman_angle": spearman(-angles, run.free_db),
        "spearman_distance": spearman(-run.free_distance, run.free_db),
        "spearman_disagreement": spearman(-run.free_disagreement, run.free_db),
        "held_out_db": float(run.held_out_db.mean()), "cover_s": covering, "ask_ms": 1e3 * asking,
        "distance": run.free_distance.tolist(), "angle_deg": [trusted_angle(each) for each in envelopes],
        "expected_db": [None if not np.isfinite(db) else float(db) for db in expected],
        "measured_db": run.free_db.tolist(),
    }  # fmt: skip


def summarized(records: list[dict]) -> dict:
    """Means over runs, each scene's, and how quality falls with distance in each condition."""
    keys = (
        "spearman", "mean_error_db", "spearman_recoverable", "spearman_with_held_out", "spearman_angle",
        "spearman_distance", "spearman_disagreement",
    )  # fmt: skip

    def means(among: list[dict]) -> dict:
        return {key: float(np.mean([record[key] for record in among])) for key in keys}

    scenes = sorted({record["run"].rsplit("-", 2)[0] for record in records})
    return {
        **means(records),
        "views": sum(record["views"] for record in records),
        "unknown": sum(record["unknown"] for record in records),
        "ask_ms": float(np.mean([record["ask_ms"] for record in records])),
        "per_scene": {
            scene: means([record for record in records if record["run"].startswith(scene)]) for scene in scenes
        },
    }


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation, over those where both are known."""
    known = np.isfinite(a) & np.isfinite(b)
    return float(np.corrcoef(ranks(a[known]), ranks(b[known]))[0, 1])


def ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(float)


def show(records: list[dict], summary: dict) -> None:
    """The tables."""
    titles = f"{'views':>7}{'spearman':>10}{'error dB':>10}{'bias':>7}{'recoverable':>13}{'with held out':>15}"
    titles += f"{'angle':>8}{'distance':>10}{'left out':>10}"
    print(f"\n{'run':22}{'held out':>9}{titles}")
    for record in records:
        print(
            f"{record['run']:22}{record['held_out_db']:9.1f}{record['views']:7}{record['spearman']:10.2f}"
            f"{record['mean_error_db']:10.2f}{record['bias_db']:7.1f}{record['spearman_recoverable']:13.2f}"
            f"{record['spearman_with_held_out']:15.2f}{record['spearman_angle']:8.2f}"
            f"{record['spearman_distance']:10.2f}{record['spearman_disagreement']:10.2f}"
        )
    print(f"\n{'dB by distance':22}" + "".join(f"{label:>12}" for label in LABELS))
    for condition in CONDITIONS:
        among = [record for record in records if record["run"].endswith(condition)]
        print(f"{condition:22}" + "".join(f"{value:12.1f}" for value in by_distance(among)))
    print()
    for key, value in summary.items():
        if isinstance(value, dict):
            for scene, figures in value.items():
                print(f"{scene:22}" + "  ".join(f"{name} {figure:.3f}" for name, figure in figures.items()))
        else:
            print(f"{key:26}{value:.3f}")


EDGES = (0, 0.05, 0.1, 0.2, 0.4, 0.8, np.inf)
LABELS = ("< 0.05", "to 0.1", "to 0.2", "to 0.4", "to 0.8", "farther")


def by_distance(records: list[dict]) -> list[float]:
    """Median PSNR of the free views in bins of their distance from the path."""
    if not records:
        return [float("nan")] * len(LABELS)
    distance = np.concatenate([record["distance"] for record in records])
    quality = np.concatenate([record["measured_db"] for record in records])
    chosen = [quality[(distance >= low) & (distance < high)] for low, high in itertools.pairwise(EDGES)]
    return [float(np.median(values)) if len(values) else float("nan") for values in chosen]


def plot(records: list[dict], path: Path) -> None:
    """Quality against distance for each condition, and expected against measured quality."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.4))
    middles = np.sqrt(np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8]) * np.array([0.05, 0.1, 0.2, 0.4, 0.8, 1.6]))
    for number, condition in enumerate(CONDITIONS):
        among = [record for record in records if record["run"].endswith(condition)]
        if not among:
            continue
        views, seeds = condition.split("-")
        title = f"{'8' if views == 'few' else '24'} photos, {'surface' if seeds == 'surface' else 'random'} seeds"
        color = f"C{number}"
        distance = np.concatenate([record["distance"] for record in among])
        left.scatter(distance, np.concatenate([record["measured_db"] for record in among]), 6, color, alpha=0.25)
        left.plot(middles, by_distance(among), color, marker="o", label=title)
        expected = [np.nan if db is None else db for record in among for db in record["expected_db"]]
        right.scatter(expected, [db for record in among for db in record["measured_db"]], 8, color, alpha=0.4)
    left.set(
        xscale="log",
        xlim=(0.015, 3),
        xlabel="distance from the nearest training camera, scene depths",
        ylabel="PSNR, dB",
    )
    left.legend(fontsize=8)
    right.plot([5, 42], [5, 42], "k", linewidth=0.8)
    right.set(xlabel="expected PSNR, dB", ylabel="measured PSNR, dB", xlim=(5, 42), ylim=(5, 42))
    figure.tight_layout()
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    sys.exit(main())
