"""How often blame names a splat that was made wrong on purpose, beside least squares and a weighted mean.

    python3 dev.py bench blame [--trials N] [--run RUN …] [--out DIR] [--json FILE] [--speed]

Scenes of `bench floaters` are photographed from a path and trained here (or runs are given). In each trial one splat of
the result is recolored, moved, or doubled, and the map is made of the photos, with the run's own faults as they are. A
trial counts when the wrong splat (of a doubled one the copy) is the first of all.

Splats are drawn at random among those whose blending weights add up to 20 pixels over all training photos, until the
change can be seen: at least 10 pixels of all these photos, at 200 pixels of width, change by more than a tenth. Each
channel of a color changes by 0.2 to 0.5; places by 0.05 to 0.2 of the scene's depth, in any direction. What is
measured was chosen on room-0, still-0 and fence-0; scenes judged have other numbers, and two kinds that were not used.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from _envelope_runs import SPLATS, indices_of, photograph
from _floater_runs import train_here
from _floater_scenes import KINDS, shoot
from _scene import noisy_photos

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import open_capture
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import read_splats
from splat_addon.inspection.blame.blame_map import ViewGains, agreement, standing_out
from splat_addon.run.config import TrainConfig
from splat_addon.trainer.backend.cpu.evidence import evidence_of_view
from splat_addon.trainer.backend.cpu.kernels.layout import WEIGHT
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.cpu.threads import shared_crew
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.inspection.blame.blame_map import map_of
from splat_addon.trainer.inspection.blame.solve import STEPS as STEPS_OF_SQUARES
from splat_addon.trainer.inspection.gather import arrays_of
from splat_addon.trainer.inspection.inspect_splats import photos_of, task_of
from splat_addon.trainer.photos.photo import Photo
from splat_addon.trainer.training_frame import TrainingFrame

JUDGED = ("still-1", "room-1", "town-1", "fence-1")
STEPS = 600
ERRORS = ("recolored", "moved", "doubled")
LEAST_WEIGHT = 20.0  # pixels
SEEN_FROM, LEAST_PIXELS = 0.1, 10
RECOLORED_BY, MOVED_BY = (0.2, 0.5), (0.05, 0.2)  # in display values; in depths of the scene
SH_0 = 0.28209479
LISTED = 6  # splats that the panel lists
SQUARES_EVERY = 4  # trials: least squares take longest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=204, help="in all scenes together")
    parser.add_argument("--scenes", nargs="+", default=JUDGED, metavar="SCENE-NUMBER", help="these scenes")
    parser.add_argument("--run", nargs="+", type=Path, help="trained runs with their captures, instead of scenes")
    parser.add_argument("--out", type=Path, help="where runs stay; runs that lie there are used")
    parser.add_argument("--json", type=Path, help="where all figures are written")
    parser.add_argument("--speed", action="store_true", help="also time the map of 100 000 splats and 50 views")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        places = options.run or [trained(options.out or Path(passing), name) for name in options.scenes]
        trials = -(-options.trials // len(places) // len(ERRORS))
        with ProcessPoolExecutor(shared_crew().size, get_context("spawn")) as workers:  # forks of threads may hang
            records = [record for found in workers.map(judged, places, [trials] * len(places)) for record in found]
    summary = summarized(records)
    show(summary)
    if options.speed:
        summary["speed"] = timed_map()
    if options.json:
        options.json.write_text(json.dumps({**summary, "trials": records}, indent=1), encoding="utf-8")
    return 0


def trained(out: Path, name: str) -> Path:
    """The run of a scene, trained if it is not there yet."""
    folder = out / f"{name}-many-surface"
    run = folder / "run"
    if not (run / "splats.ply").is_file():
        print(f"  training {name} …", file=sys.stderr, flush=True)
        kind, _, number = name.partition("-")
        world, (held_out, training) = KINDS[kind](int(number)), indices_of("many")
        path = [shoot(world, camera) for camera in world.path]
        capture = folder / "capture"
        photograph(capture, [path[i] for i in training], [path[i] for i in held_out], "surface", int(number))
        config = TrainConfig(
            capture=str(capture), target_gaussians=SPLATS["many"], sky_seeds="on" if world.has_sky else "off",
            iterations=STEPS, seeds="points",
        )  # fmt: skip
        train_here(run, config)
    return run


class Subject:
    """A trained result and its photos."""

    def __init__(self, run: Path):
        self.name = run.parent.name
        task = task_of(run, None)
        assert task.capture is not None
        capture = open_capture(task.capture, task.hold_out_every, choices=task.choices)
        frame = TrainingFrame.around(capture)
        self.training, self.held_out = (
            photos_of(
                replace(capture, views=tuple(replace(view, is_held_out=False) for view in views)),
                frame, lambda event: None, lambda: False,
            )
            for views in (capture.training_views, capture.held_out_views)
        )  # fmt: skip
        cloud = frame.from_origin(read_splats(task.splats))
        self.cloud = cloud.select(cloud.finite())
        blend_space = task.blend_space or cloud.blend_space
        self.rasterizer = CpuRasterizer(threads=1, antialiased=cloud.antialiased, blend_space=blend_space)
        self.depth = float(np.median([median_depth(photo.camera, cloud) for photo in self.training]))
        self.images = [self.image(self.cloud, photo) for photo in self.training]
        self.candidates = np.flatnonzero(self.sums(self.cloud, self.training)[:, WEIGHT] >= LEAST_WEIGHT)

    def image(self, cloud: GaussianCloud, photo: Photo) -> torch.Tensor:
        background = torch.full((3,), photo.backdrop)
        return self.rasterizer.render(gaussians_of(cloud), photo.camera, background, sh_degree=cloud.sh_degree).image

    def sums(self, cloud: GaussianCloud, photos: Sequence[Photo]) -> np.ndarray:
        """(N, 8) evidence, see `evidence_of_view`."""
        total = np.zeros((len(cloud), 8))
        for photo in photos:
            background = torch.full((3,), photo.backdrop)
            target = photo.over(background, self.rasterizer.over)
            seen = evidence_of_view(self.rasterizer, gaussians_of(cloud), photo.camera, background, target, self.depth)
            total += seen.sums.numpy()
        return total

    def changed_pixels(self, cloud: GaussianCloud) -> int:
        """How many pixels of the training photos show that a splat was changed."""
        views = zip(self.training, self.images, strict=True)
        changes = ((self.image(cloud, photo) - before).abs().mean(dim=2) for photo, before in views)
        return sum(int((change > SEEN_FROM).sum()) for change in changes)


def median_depth(camera: Camera, cloud: GaussianCloud) -> float:
    """Of the splats before a camera."""
    z = cloud.means @ camera.camera_from_world[2, :3] + camera.camera_from_world[2, 3]
    return float(np.median(z[z > 0]))


def gaussians_of(cloud: GaussianCloud) -> Gaussians:
    return Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))


def with_error(subject: Subject, error: str, rng: np.random.Generator) -> tuple[GaussianCloud, int, int]:
    """Splats of which one is wrong where it can be seen, its number, and how many pixels show it."""
    while True:
        cloud, splat = subject.cloud, int(rng.choice(subject.candidates))
        step = rng.normal(size=3)
        step *= rng.uniform(*MOVED_BY) * subject.depth / np.linalg.norm(step)
        if error == "recolored":
            cloud = replace(cloud, sh=cloud.sh.copy())
            toward = np.where(cloud.sh[splat, 0] > 0, -1, 1)
            cloud.sh[splat, 0] += toward * rng.uniform(*RECOLORED_BY, 3) / SH_0
        elif error == "moved":
            cloud = replace(cloud, means=cloud.means.copy())
            cloud.means[splat] += step
        else:
            cloud = cloud.select(np.append(np.arange(len(cloud)), splat))
            splat = len(cloud) - 1
            cloud.means[splat] += step
        pixels = subject.changed_pixels(cloud)
        if pixels >= LEAST_PIXELS:
            return cloud, splat, pixels


def judged(run: Path, trials: int) -> list[dict]:
    """How many splats each way puts before the wrong one, in so many trials of each error."""
    torch.set_num_threads(1)  # runs are judged side by side
    subject = Subject(run)
    photos, count = [*subject.training, *subject.held_out], len(subject.training)
    records = []
    for error in ERRORS:
        for trial in range(trials):
            cloud, splat, pixels = with_error(subject, error, np.random.default_rng([26, trial]))
            with_squares = trial % SQUARES_EVERY == 0
            found = map_of(subject.rasterizer, cloud, photos, steps=STEPS_OF_SQUARES if with_squares else 0)
            agreed, mean, _ = agreement(len(cloud), found.views)
            values = {
                "blame": found.agreed, "with_mean": agreed * mean, "agreement": agreed,
                "fading": found.fading, "mean": found.solution.mean,
                "summed": found.solution.mean * found.solution.weight,
                "training": blame_by(cloud, found.views[:count]), "held_out": blame_by(cloud, found.views[count:]),
            }  # fmt: skip
            if with_squares:
                values["least_squares"] = found.solution.wrong
            before = {name: int((value > value[splat]).sum()) for name, value in values.items()}
            records.append({
                "run": subject.name, "error": error, "trial": trial, "pixels": pixels, "splat": splat, "before": before
            })  # fmt: skip
        named = np.mean([record["before"]["blame"] == 0 for record in records[-trials:]])
        print(f"  {subject.name}: {error}, {trials} trials, {named:.2f} named first", file=sys.stderr, flush=True)
    return records


def blame_by(cloud: GaussianCloud, views: Sequence[ViewGains]) -> np.ndarray:
    """(N,) what culprits are ordered by, of some views."""
    agreed, mean, _ = agreement(len(cloud), views)
    return standing_out(agreed * mean, cloud.means, cloud.log_scales)


WAYS = {
    "blame": "blame, all photos",
    "training": "blame, training photos",
    "held_out": "blame, held-out photos",
    "with_mean": "without standing out",
    "agreement": "nor the mean: agreement",
    "fading": "nor agreement: fading",
    "least_squares": "least squares, all photos",
    "mean": "weighted mean",
    "summed": "weighted sum",
}


def summarized(records: list[dict]) -> dict:
    """The part of the trials in which the wrong splat came first, by way, error and scene, and in which it was among
    the first that the panel lists."""

    def named(way: str, among: list[dict], first: int = 1) -> float:
        ranks = [record["before"][way] for record in among if way in record["before"]]
        return float(np.mean([rank < first for rank in ranks])) if ranks else float("nan")

    groups = {"all": records} | {
        key: [record for record in records if key in (record["error"], record["run"])]
        for key in (*ERRORS, *sorted({record["run"] for record in records}))
    }
    return {
        "trials": len(records),
        "pixels": float(np.median([record["pixels"] for record in records])),
        "named_first": {way: {group: named(way, among) for group, among in groups.items()} for way in WAYS},
        "listed": {group: named("blame", among, LISTED) for group, among in groups.items()},
    }


def show(summary: dict) -> None:
    """The table."""
    groups = list(summary["named_first"]["blame"])
    print(f"\n{summary['trials']} trials; the change shows in {summary['pixels']:.0f} pixels (median). Named first:")
    print(f"{'':28}" + "".join(f"{group.removesuffix('-many-surface'):>11}" for group in groups))
    rows = {title: summary["named_first"][way] for way, title in WAYS.items()}
    for title, row in {**rows, f"blame, among the first {LISTED}": summary["listed"]}.items():
        print(f"{title:28}" + "".join(f"{row[group]:11.2f}" for group in groups))


def timed_map(count: int = 100_000, views: int = 50) -> dict:
    """How long the map of so many splats and views takes, at 200 x 150, on two threads."""
    cloud, photos, rasterizer = noisy_photos(count, views)
    busy, began = time.process_time(), time.perf_counter()
    map_of(rasterizer, cloud, photos)
    seconds = {"cpu_s": time.process_time() - busy, "wall_s": time.perf_counter() - began}
    print(f"{count} splats, {views} views: {seconds['cpu_s']:.1f} s of processor time, {seconds['wall_s']:.1f} s")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
