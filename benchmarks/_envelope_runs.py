"""The runs of `bench envelope`: a scene is photographed from few or many places of its path, trained from seeds on its
surfaces or at random, and looked at from near and far from the path, with rendered truth."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from _disagreement import disagreement
from _floater_runs import RASTERIZER, points_of, recoverable, train_here
from _floater_scenes import KINDS, PATH_CAMERAS, Shot, World, distances, look, shoot
from PIL import Image

from splat_addon.capture.camera import Camera
from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import read_splats, write_points
from splat_addon.run.config import TrainConfig
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.evaluation.metrics import psnr_db
from splat_addon.trainer.inspection.gather import arrays_of

CONDITIONS = ("few-surface", "few-random", "many-surface", "many-random")
FREE_VIEWS = 24  # at random distances from the path; with the scene's own, which are anywhere in it
NEAREST, FARTHEST = 0.02, 1.2  # of these views from the path, in depths of the scene
SPLATS = {"few": 10_000, "many": 20_000}
WIDTH, HEIGHT = 200, 150  # of all pictures
FORMAT = 4  # of what lies in the folder; another one is made anew


@dataclass
class Measured:
    """A trained run, and its views with their true quality: PSNR of whole pictures, and over their *recoverable*
    pixels, whose surface at least two training photos show (NaN: there is none)."""

    name: str
    cloud: GaussianCloud
    training: list[Camera]
    held_out: list[Camera]
    free: list[Camera]
    held_out_db: np.ndarray
    held_out_recoverable_db: np.ndarray
    free_db: np.ndarray
    free_recoverable_db: np.ndarray
    free_distance: np.ndarray  # of the free views' cameras from the nearest training camera, in depths
    free_disagreement: np.ndarray


class Scenes:
    """The scene that was drawn last, with the true pictures of its path and of its free views."""

    def __init__(self) -> None:
        self.key: tuple[str, int] | None = None

    def load(self, kind: str, number: int) -> None:
        if self.key == (kind, number):
            return
        self.key, self.world = (kind, number), KINDS[kind](number)
        self.path = [shoot(self.world, camera) for camera in path_of(self.world)]
        depths = np.concatenate([shot.depth[np.isfinite(shot.depth)] for shot in self.path])
        self.depth = float(np.median(depths))
        cameras = free_cameras(self.world, self.path, self.depth, np.random.default_rng([6, number]))
        self.free = [shoot(self.world, camera.resized(WIDTH, HEIGHT)) for camera in (*self.world.free, *cameras)]


def path_of(world: World) -> list[Camera]:
    """The cameras of a scene's path, at the size of these pictures."""
    return [camera.resized(WIDTH, HEIGHT) for camera in world.path]


def free_cameras(world: World, path: list[Shot], depth: float, rng: np.random.Generator) -> list[Camera]:
    """Cameras at log-uniform distances from those of the path, looking near to where these look."""
    cameras: list[Camera] = []
    while len(cameras) < FREE_VIEWS:
        shot = path[rng.integers(len(path))]
        pose = shot.camera.world_from_camera
        away = depth * np.exp(rng.uniform(np.log(NEAREST), np.log(FARTHEST)))
        step = rng.normal(size=3)
        place = pose[:3, 3] + step / np.linalg.norm(step) * away
        aim = pose[:3, 3] + pose[:3, 2] * depth + rng.normal(0, 0.25 * away, 3)
        if distances(world, place[None])[0] < 0.08 * depth or not sees_depth(world, place, aim, depth):
            continue
        field = 2 * np.rad2deg(np.arctan(WIDTH / 2 / shot.camera.fx))
        cameras.append(look(place, aim, field))
    return cameras


def sees_depth(world: World, place: np.ndarray, aim: np.ndarray, depth: float) -> bool:
    """Whether nothing stands right before a camera: less than a seventh of the depth away for most of the picture."""
    direction = aim - place
    if np.linalg.norm(direction[:2]) < 0.05 * np.linalg.norm(direction):  # straight up or down
        return False
    shot = shoot(world, look(place, aim).resized(WIDTH // 8, HEIGHT // 8))
    return bool((shot.depth > depth / 7).mean() > 0.9)


def measured_run(folder: Path, scenes: Scenes, kind: str, number: int, condition: str, steps: int) -> Measured:
    """The run in `folder`, made there if it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    capture, views = folder / "capture", folder / "views.npz"
    views_kind, seeds = condition.split("-")
    held_out, training = indices_of(views_kind)
    about = {"format": FORMAT, "kind": kind, "number": number, "condition": condition, "steps": steps}
    marker = folder / "about.json"
    if not (views.is_file() and marker.is_file() and json.loads(marker.read_text()) == about):
        scenes.load(kind, number)
        photograph(capture, [scenes.path[i] for i in training], [scenes.path[i] for i in held_out], seeds, number)
        source = "points" if seeds == "surface" else "random"
        settings = {"sky_seeds": "on" if scenes.world.has_sky else "off", "iterations": steps, "seeds": source}
        config = TrainConfig(capture=str(capture), target_gaussians=SPLATS[views_kind], **settings)
        cloud = read_splats(train_here(folder / "run", config).splats_file)
        save_views(views, scenes, cloud, training, held_out)
        marker.write_text(json.dumps(about), encoding="utf-8")
    path = path_of(KINDS[kind](number))
    trained_on = [path[i] for i in training]
    places = np.array([camera.position for camera in trained_on])
    with np.load(views) as known:
        free = [
            Camera(WIDTH, HEIGHT, focal, focal, WIDTH / 2, HEIGHT / 2, pose)
            for focal, pose in zip(known["focal_px"].tolist(), known["poses"], strict=True)
        ]
        away = [np.linalg.norm(places - camera.position, axis=1).min() / float(known["depth"]) for camera in free]
        return Measured(
            f"{kind}-{number}-{condition}", read_splats(folder / "run" / "splats.ply"), trained_on,
            [path[i] for i in held_out], free, known["held_out_db"], known["held_out_recoverable_db"],
            known["free_db"], known["free_recoverable_db"], np.array(away), known["free_disagreement"],
        )  # fmt: skip


def indices_of(views: str) -> tuple[list[int], list[int]]:
    """Which cameras of the path are held out, and which are trained on."""
    held_out = list(range(0, PATH_CAMERAS, 5))
    training = [index for index in range(PATH_CAMERAS) if index % 5]
    return held_out, training[1::3] if views == "few" else training


def photograph(folder: Path, training: list[Shot], held_out: list[Shot], seeds: str, number: int) -> None:
    """Write the capture, and its points on the surfaces."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    cameras: dict[str, Camera] = {}
    for letter, shots in (("P", training), ("H", held_out)):
        for place, shot in enumerate(shots):
            name = f"images/{letter}_{place:02d}.png"
            cameras[name] = shot.camera
            Image.fromarray((shot.image * 255).round().astype(np.uint8)).save(folder / name)
    names = [name for name in cameras if "/H_" in name]
    write_transforms(folder / "transforms.json", cameras, names, "points3d.ply", {})
    write_points(folder / "points3d.ply", *points_of(training, seeds == "surface", np.random.default_rng([7, number])))


def save_views(file: Path, scenes: Scenes, cloud: GaussianCloud, training: list[int], held_out: list[int]) -> None:
    """What is measured of a trained run's views."""
    photos = [scenes.path[i] for i in training]
    on_path = qualities_db(cloud, [scenes.path[i] for i in held_out], photos)
    off_path = qualities_db(cloud, scenes.free, photos)
    free = [shot.camera for shot in scenes.free]
    np.savez(
        file,
        depth=scenes.depth,
        poses=[camera.camera_from_world for camera in free],
        focal_px=[camera.fx for camera in free],
        held_out_db=on_path[:, 0],
        held_out_recoverable_db=on_path[:, 1],
        free_db=off_path[:, 0],
        free_recoverable_db=off_path[:, 1],
        free_disagreement=[disagreement(RASTERIZER, cloud, camera) for camera in free],
    )


def qualities_db(cloud: GaussianCloud, shots: list[Shot], photos: list[Shot]) -> np.ndarray:
    """(V, 2) PSNR against truth, of whole pictures and over the pixels that `photos` make recoverable."""
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))
    values = []
    for shot in shots:
        view = RASTERIZER.render(gaussians, shot.camera, torch.zeros(3), sh_degree=cloud.sh_degree)
        image, truth, mask = view.image.clamp(0, 1), torch.from_numpy(shot.image), recoverable(shot, photos)
        part = psnr_db(image, truth, torch.from_numpy(mask)) if mask.any() else float("nan")
        values.append((psnr_db(image, truth, None), part))
    return np.array(values)
