"""How well inspection finds floaters, on scenes whose surfaces are known, beside the ways of other tools.

    python3 dev.py bench floaters [--quick] [--train-on] [--seed N] [--out DIR] [--json FILE]
    python3 dev.py bench floaters --speed

Five kinds of scenes (an interior, thin bars, mirrors, a still life under a sky, a town of sixty meters) are drawn from
a number, traced, photographed with something wrong, and trained here. A splat is a floater when more than half of its
mass hangs farther than 0.06 of the scene's depth from every true surface, where some camera sees past it, and somebody
can see it. The sky is visible and no floater: who ranks it first deletes it first. The score was chosen on scenes of
other numbers than those judged here (`CHOSEN_ON`), and no truth reaches it. With --out, splats, labels and scores stay
there, with `judge.py`, which judges any score.
"""

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from _figures import Peak, as_time, current_memory, timed
from _floater_judge import average_precision
from _floater_runs import (
    RASTERIZER,
    Labelled,
    labelled_run,
    quality_db,
    shoot,
    train_here,
    training_indices,
)
from _floater_scenes import World
from _scene import noisy_photos

from splat_addon.capture.capture import open_capture
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import read_splats, write_splats
from splat_addon.gaussians.neighbors import nearest_distances
from splat_addon.inspection.evidence import MOST_VIEWS, Evidence
from splat_addon.inspection.grid import cell_keys, connected_cells, grid_origin, packed
from splat_addon.inspection.regions import find_regions
from splat_addon.inspection.score import LOOK_FROM, SELECT_FROM, gap_score
from splat_addon.inspection.source_mesh import hanging_share, with_source_mesh
from splat_addon.inspection.surfaces import AWAY_FROM
from splat_addon.run.config import TrainConfig, train_on
from splat_addon.trainer.inspection.gather import LONGER_SIDE_PX, chosen_views, gather
from splat_addon.trainer.inspection.judge import judge
from splat_addon.trainer.photos.store import load_photos

CHOSEN_ON = (  # the form on those with the number 0; few photos, large, needed and thresholds on all
    "fence-0-few", "fence-0-nosky", "fence-0-passer", "fence-0-pose", "fence-0-random", "glossy-0-expo",
    "glossy-0-few", "glossy-0-oneside", "room-0-clean", "room-0-few", "room-0-oneside", "room-0-passer",
    "still-0-few", "still-0-nosky", "still-0-passer", "fence-3-clean", "fence-3-expo", "fence-3-oneside",
    "fence-3-passer", "fence-4-few", "fence-4-passer", "fence-6-pose", "glossy-3-clean", "glossy-3-oneside",
    "glossy-3-passer", "glossy-4-expo", "glossy-5-few", "room-3-clean", "room-3-expo", "room-3-few", "room-3-passer",
    "room-3-pose", "room-3-random", "room-4-clean", "room-4-expo", "room-4-few", "room-5-oneside", "room-5-pose",
    "room-6-passer", "still-3-clean", "still-3-few", "still-3-passer", "still-3-pose", "still-4-few",
    "still-4-nosky", "still-9-clean", "still-9-passer", "town-3-clean", "town-3-expo", "town-3-few",
    "town-3-oneside", "town-3-passer", "town-3-pose", "town-3-random", "town-4-few", "town-5-clean", "town-5-passer",
    "town-6-pose",
)  # fmt: skip
CHOSEN_ON_LONG = (  # after 4000 steps: how much a splat has to show, where photos are few
    "fence-10-clean", "fence-10-few", "glossy-10-few", "room-10-clean", "room-10-expo", "room-10-few", "still-10-few",
    "town-10-clean", "town-10-few", "town-10-passer", "fence-4-few", "fence-4-oneside", "glossy-3-oneside",
    "glossy-4-expo", "glossy-5-few", "room-0-few", "room-3-few", "room-5-oneside", "still-4-few", "town-3-few",
    "town-3-oneside", "town-3-passer",
)  # fmt: skip
JUDGED = (
    "room-1-passer", "still-1-nosky", "town-1-few", "glossy-1-few", "fence-1-few",
    "room-1-oneside", "glossy-1-expo", "fence-1-passer", "still-1-few", "fence-1-pose", "room-1-clean", "room-2-few",
    "glossy-2-oneside", "still-2-fewnosky", "fence-2-random", "town-2-passer",
)  # fmt: skip
QUICK = 5  # of them
STEPS = 800
WAYS = ("outliers", "opacity", "size", "connectivity", "few views", "true depth")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="five runs, one of each kind of scene")
    parser.add_argument("--only", nargs="+", metavar="SCENE-NUMBER-CONDITION", help="these runs")
    parser.add_argument("--train-on", action="store_true", help="also delete and train on, which takes longer")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each training")
    parser.add_argument("--seed", type=int, default=0, help="of each training: other trainings of the same photos")
    parser.add_argument("--speed", action="store_true", help="only time 100 000 splats and 100 photos")
    parser.add_argument("--out", type=Path, help="where runs, labels and scores stay; runs that lie there are used")
    parser.add_argument("--json", type=Path, help="where all figures are written")
    options = parser.parse_args()
    if options.speed:
        time_inspection()
        return 0
    names = options.only or (JUDGED[:QUICK] if options.quick else JUDGED)
    with tempfile.TemporaryDirectory() as passing:
        out = options.out or Path(passing)
        records = []
        for name in names:
            print(f"  {name} …", file=sys.stderr, flush=True)
            records.append(measured(out / name, name, options))
        if options.out:
            shutil.copy(Path(__file__).with_name("_floater_judge.py"), out / "judge.py")
    summary = summarized(records)
    show(records, summary)
    if options.json:
        document = {"summary": summary, "runs": records, "chosen_on": CHOSEN_ON, "chosen_on_long": CHOSEN_ON_LONG}
        options.json.write_text(json.dumps(plain(document), indent=1), encoding="utf-8")
    return 0


def measured(folder: Path, name: str, options: argparse.Namespace) -> dict:
    """One run: how well each way finds its floaters, and what the score's thresholds select."""
    kind, number, condition = name.split("-")
    folder.mkdir(parents=True, exist_ok=True)
    run = labelled_run(folder, kind, int(number), condition, options.steps, options.seed)
    capture = open_capture(run.capture)
    capture = replace(capture, views=tuple(chosen_views(capture.training_views)))
    settings = TrainConfig(max_resolution=LONGER_SIDE_PX, coarse_until=0.0)
    photos = load_photos(capture, settings, folder / "photos.cache").training
    began = time.perf_counter()
    findings, evidence = judge(RASTERIZER, run.cloud, photos, lambda done: None)
    seconds = time.perf_counter() - began
    first = gather(RASTERIZER, run.cloud, photos, run.depth)  # the fact sheet's lengths are in true median depths
    surface = surface_samples(run.world, AWAY_FROM * evidence.reach / 4)
    cameras = [photo.camera for photo in photos]
    away, hanging = hanging_share(run.cloud, surface, cameras, AWAY_FROM * evidence.reach)
    scores = {
        "score": findings.score, "fact sheet": gap_score(run.cloud, first), **peer_ways(run, first),
        "with mesh": with_source_mesh(findings, hanging).score,
        "fact sheet with mesh": gap_score(run.cloud, first) * away, "true depth by the label's distance": run.by_label,
    }  # fmt: skip
    visible, floats = run.visible, run.floats[run.visible]
    weight = run.free_weight[visible]
    labels = {name: getattr(run, name) for name in ("visible", "floats", "off_surface", "is_sky", "free_weight")}
    np.savez_compressed(folder / "labels.npz", **labels, depth=run.depth, score=findings.score)
    near = run.visible & ~run.is_sky
    record = {
        "run": name, "scene": kind, "condition": condition, "splats": int(visible.sum()), "floaters": int(floats.sum()),
        "floaters_weight": ratio(weight[floats].sum(), weight.sum()), "seconds": seconds, "views": len(photos),
        "sky": int((visible & run.is_sky).sum()),
        "ap": {way: average_precision(values[visible], floats) for way, values in scores.items()},
        "ap_without_sky": {way: average_precision(values[near], run.floats[near]) for way, values in scores.items()},
        "ap_weighted": {
            way: average_precision(scores[way][visible], floats, weight) for way in ("score", "fact sheet")
        },
    }  # fmt: skip
    for title, threshold in (("select", SELECT_FROM), ("look", LOOK_FROM)):
        chosen, off = findings.score[visible] > threshold, run.off_surface[visible]
        record[title] = {
            "count": int(chosen.sum()),
            "precision": ratio((chosen & floats).sum(), chosen.sum()),
            "off_the_surface": ratio((chosen & (off | floats)).sum(), chosen.sum()),
            "recall": ratio((chosen & floats).sum(), floats.sum()),
            "recall_weighted": ratio(weight[chosen & floats].sum(), weight[floats].sum()),
            "lost": ratio((chosen & ~floats).sum(), near.sum()),  # that are no floaters, the sky's among them
            "lost_on_surfaces": ratio((chosen & ~floats & ~off).sum(), near.sum()),  # nor off the surface at all
        }
    if options.train_on:
        record["train_on"] = trained_on(run, folder, findings.score)
    return record


def peer_ways(run: Labelled, evidence: Evidence) -> dict[str, np.ndarray]:
    """The scores of other tools' ways, as they are described: statistical outliers, faint, large, loosely connected
    and few-view splats, and those that the training cameras see before the true surface."""
    cloud = run.cloud
    cells = packed(cell_keys(cloud.means, cell := 0.04 * evidence.reach, grid_origin(cloud.means, cell)))
    keys, place = np.unique(cells, return_inverse=True)
    groups = connected_cells(keys, np.empty((2, 0), int))[place.reshape(-1)]
    values = (
        nearest_distances(cloud.means).mean(axis=1), -cloud.opacities, cloud.scales.max(axis=1),
        -np.bincount(groups, minlength=len(keys))[groups], -evidence.used.astype(int), run.true_depth_cull,
    )  # fmt: skip
    return dict(zip(WAYS, values, strict=True))


def surface_samples(world: World, spacing: float) -> np.ndarray:
    """(P, 3) points on all surfaces, as a scene's meshes would be sampled, on lattices no wider than `spacing`."""
    parts = []
    boxes, balls = world.arrays
    for box in boxes:
        turn = np.array([[np.cos(box[6]), -np.sin(box[6]), 0], [np.sin(box[6]), np.cos(box[6]), 0], [0, 0, 1]])
        for axis in range(3):
            a, b = [other for other in range(3) if other != axis]
            u, v = (lattice(box[3 + other], spacing) for other in (a, b))
            for side in (-1, 1):
                face = np.empty((len(u) * len(v), 3))
                face[:, a], face[:, b] = np.repeat(u, len(v)), np.tile(v, len(u))
                face[:, axis] = side * box[3 + axis]
                parts.append(face @ turn.T + box[:3])
    for ball in balls:
        count = max(50, round(4 * np.pi * ball[3] ** 2 / spacing**2 * 1.5))
        up = 1 - 2 * (np.arange(count) + 0.5) / count
        angle, across = np.arange(count) * 2.399963, np.sqrt(1 - up * up)
        parts.append(ball[:3] + ball[3] * np.stack([across * np.cos(angle), across * np.sin(angle), up], axis=1))
    return np.concatenate(parts)


def lattice(half: float, spacing: float) -> np.ndarray:
    return np.linspace(-half, half, max(2, math.ceil(2 * half / spacing) + 1))


def trained_on(run: Labelled, folder: Path, score: np.ndarray) -> dict:
    """PSNR inside and outside of the path before, and what removal changes: alone, and with 250 further steps, at both
    thresholds, beside the same steps without removal (control) and with the true floaters gone."""
    training = [shoot(run.world, run.world.path[index]) for index in training_indices(run.condition)]

    def quality(cloud: GaussianCloud) -> np.ndarray:
        return np.array([quality_db(cloud, run.held_out), quality_db(cloud, run.free, training)])

    base = TrainConfig.read(folder / "run" / "config.json")
    before = quality(run.cloud)
    result = {"before": before.tolist()}
    everything = np.ones(len(run.cloud), bool)
    kept_by = {
        "control": everything, "select": score <= SELECT_FROM, "look": score <= LOOK_FROM, "truth": ~run.floats,
    }  # fmt: skip
    for way, kept in kept_by.items():
        place = folder / "train_on" / way
        place.mkdir(parents=True, exist_ok=True)
        write_splats(place / "kept.ply", run.cloud.select(kept))
        write_splats(place / "cleared.ply", run.cloud.select(~kept))
        cleared = "" if kept.all() else str(place / "cleared.ply")
        config = train_on(base, str(place / "kept.ply"), len(run.cloud) if cleared else 0)
        config = replace(config, cleared_splats=cleared)
        after = read_splats(train_here(place / "run", config).splats_file)
        deleted = quality(run.cloud.select(kept)) - before
        result[way] = {"deleted": deleted.tolist(), "trained_on": (quality(after) - before).tolist()}
    return result


def summarized(records: list[dict]) -> dict:
    """The figures of all damaged runs, and of the thresholds."""
    damaged = [record for record in records if record["floaters"] and record["condition"] != "clean"]

    def mean_ap(way: str, among: list[dict] = damaged, reading: str = "ap") -> float:
        return mean(record[reading][way] for record in among)

    peers = {way: mean_ap(way) for way in WAYS}
    best = max(peers, key=lambda way: peers[way])
    summary = {
        "mean_ap": mean_ap("score"),
        "mean_ap_fact_sheet": mean_ap("fact sheet"),
        "mean_ap_best_peer_way": peers[best],
        "best_peer_way": best,
        "mean_ap_with_mesh": mean_ap("with mesh"),
        "mean_ap_with_mesh_fact_sheet": mean_ap("fact sheet with mesh"),
        "mean_ap_weighted": mean(record["ap_weighted"]["score"] for record in damaged),
        "mean_ap_weighted_fact_sheet": mean(record["ap_weighted"]["fact sheet"] for record in damaged),
        "mean_ap_true_depth_by_label": mean_ap("true depth by the label's distance"),
        "base_rate": mean(record["floaters"] / record["splats"] for record in damaged),
        "recall_at_select": mean(record["select"]["recall"] for record in damaged),
        "recall_weighted_at_select": mean(record["select"]["recall_weighted"] for record in damaged),
        "mean_lost_at_select": mean(record["select"]["lost"] for record in damaged),
        "lost_at_select": max(record["select"]["lost"] for record in records),
        "lost_on_surfaces_at_select": max(record["select"]["lost_on_surfaces"] for record in records),
    }
    for way in ("score", "fact sheet", *WAYS):
        name = way.replace(" ", "_")
        summary[f"mean_ap_of_{name}"] = mean_ap(way)
        summary[f"mean_ap_of_{name}_without_sky"] = mean_ap(way, reading="ap_without_sky")
    for kind in sorted({record["scene"] for record in damaged}):
        among = [record for record in damaged if record["scene"] == kind]
        summary[f"mean_ap_{kind}"] = mean_ap("score", among)
        summary[f"mean_ap_{kind}_fact_sheet"] = mean_ap("fact sheet", among)
    return summary


def show(records: list[dict], summary: dict) -> None:
    """The tables."""
    columns = ["score", "fact sheet", "with mesh", *WAYS]
    print(f"\n{'average precision':20}{'splats':>8}{'floaters':>10}" + "".join(f"{way:>13}" for way in columns))
    for record in records:
        values = "".join(f"{record['ap'][way]:13.3f}" for way in columns)
        print(f"{record['run']:20}{record['splats']:8}{record['floaters']:10}{values}")
    title = f"selected (s > {SELECT_FROM})"
    print(f"\n{title:20}{'count':>8}{'precision':>11}{'recall':>8}{'lost':>9}{'on surfaces':>13}{'s':>7}")
    for record in records:
        chosen = record["select"]
        print(
            f"{record['run']:20}{chosen['count']:8}{chosen['precision']:11.2f}{chosen['recall']:8.2f}"
            f"{chosen['lost']:9.2%}{chosen['lost_on_surfaces']:13.2%}{record['seconds']:7.1f}"
        )
    for record in records:
        if "train_on" in record:
            told = record["train_on"]
            print(f"\n{record['run']}: inside {told['before'][0]:.2f} dB, outside {told['before'][1]:.2f} dB; change:")
            for way in ("control", "select", "look", "truth"):
                (a, b), (c, d) = told[way]["deleted"], told[way]["trained_on"]
                print(f"    {way:10} deleted {a:+.2f} {b:+.2f}   trained on {c:+.2f} {d:+.2f}")
    print()
    for key, value in summary.items():
        print(f"{key:36}{value if isinstance(value, str) else format(value, '.4f')}")


def time_inspection(count: int = 100_000, views: int = 100) -> None:
    """How long so many splats and photos take at 200 x 150 on two threads, what memory, and how long regions do."""
    cloud, photos, rasterizer = noisy_photos(count, min(views, MOST_VIEWS))
    judge(rasterizer, cloud, photos[:2], lambda done: None)  # kernels are compiled
    before, busy, began = current_memory(), time.process_time(), time.perf_counter()
    with Peak() as peak:
        findings, evidence = judge(rasterizer, cloud, photos, lambda done: None)
    wall, cpu = time.perf_counter() - began, time.process_time() - busy
    print(
        f"{count} splats, {views} photos, {len(photos)} of them looked through: {wall:.1f} s, {cpu:.1f} s of processor"
        f" time, {(peak.bytes - before) / 1e6:.0f} MB"
    )
    rng = np.random.default_rng(0)
    for score, how in ((findings.score, "by score"), (rng.random(count), "at random")):
        for part in (0.01, 0.1):
            threshold = float(np.quantile(score, 1 - part))
            seconds = timed(lambda: find_regions(cloud, score, evidence, threshold))  # noqa: B023 called at once
            print(f"regions of {part:.0%} of them, {how}: {as_time(seconds)}")


def mean(values) -> float:
    values = [value for value in values if math.isfinite(value)]
    return sum(values) / len(values) if values else math.nan


def ratio(part, whole) -> float:
    return float(part) / float(whole) if whole else math.nan


def plain(value):
    """The same for JSON, which has no NaN."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    sys.exit(main())
