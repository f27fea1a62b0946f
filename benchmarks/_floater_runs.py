"""The runs of `bench floaters`: a scene is photographed under a condition and trained, and its splats are labelled."""

import json
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numba
import numpy as np
import torch
from _floater_scenes import KINDS, PATH_CAMERAS, Shot, World, distances, shoot
from PIL import Image

from splat_addon.capture.camera import Camera
from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import read_splats, write_points
from splat_addon.gaussians.srgb import decode_srgb, encode_srgb
from splat_addon.run.config import TrainConfig
from splat_addon.run.folder import RunFolder
from splat_addon.run.wire import Wire
from splat_addon.trainer.backend.cpu.evidence import evidence_of_view
from splat_addon.trainer.backend.cpu.kernels.layout import PEAK, WEIGHT
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.evaluation.metrics import psnr_db
from splat_addon.trainer.inspection.gather import arrays_of
from splat_addon.trainer.train import train

TAU = 0.02  # of the median true depth: how thick a surface is
FLOATS_FROM = 3  # tau: what hangs farther from every surface, and is seen past, floats
VISIBLE_FROM = 0.02  # largest blending weight over all cameras
MASS_SAMPLES = 12
SPARSE_POINTS, SURFACE_POINTS = 2500, 30_000
CONDITIONS = ("clean", "few", "oneside", "expo", "pose", "passer", "nosky", "fewnosky", "random")
REGULARIZATION = 0.02  # of few views: what it was when the definition was made; it makes veils, and is off by now
FORMAT = 3  # of what lies in the folder; another one is made anew


@dataclass
class Labelled:
    """A trained run with its truth."""

    name: str
    kind: str
    condition: str
    world: World
    capture: Path
    splats: Path
    cloud: GaussianCloud
    held_out: list[Shot]
    free: list[Shot]
    depth: float  # median true depth of what the training cameras see
    floats: np.ndarray  # (N,) bool
    off_surface: np.ndarray  # (N,) bool: at one tau instead of three
    visible: np.ndarray  # (N,) bool
    is_sky: np.ndarray  # (N,) bool: so far out that it is no floater, whatever it looks like
    free_weight: np.ndarray  # (N,) Σ w over the free views
    true_depth_cull: np.ndarray  # (N,) how many training cameras see the center before the true surface, by one tau
    by_label: np.ndarray  # (N,) the same at the label's own distance, three tau, which no other tool knows


def labelled_run(folder: Path, kind: str, number: int, condition: str, steps: int, seed: int = 0) -> Labelled:
    """The run in `folder`, made there if it is not there yet. `seed` is that of the training alone."""
    world = KINDS[kind](number)
    capture, splats = folder / "capture", folder / "run" / "splats.ply"
    about = {"format": FORMAT, "kind": kind, "number": number, "condition": condition, "steps": steps}
    about |= {"seed": seed} if seed else {}
    marker = folder / "about.json"
    if not (splats.is_file() and marker.is_file() and json.loads(marker.read_text()) == about):
        photograph(world, capture, condition, np.random.default_rng([number, CONDITIONS.index(condition)]))
        train_here(folder / "run", settings_of(capture, world.has_sky, condition, number + 1000 * seed, steps))
        marker.write_text(json.dumps(about), encoding="utf-8")
    cloud = read_splats(splats)
    shots = [shoot(world, camera) for camera in world.path]
    free = [shoot(world, camera) for camera in world.free]
    training = [shots[index] for index in training_indices(condition)]
    last = training_indices(condition)[-1]  # of a path that is filmed in part, the rest is outside
    held_out = [shots[index] for index in range(0, PATH_CAMERAS, 5) if index <= last + 1]
    found = np.concatenate([shot.depth[np.isfinite(shot.depth)] for shot in training])
    truth = label(world, cloud, [*shots, *free], free, training, float(np.median(found)))
    return Labelled(
        f"{kind}-{number}-{condition}", kind, condition, world, capture, splats, cloud, held_out, free, *truth
    )


def settings_of(capture: Path, has_sky: bool, condition: str, seed: int, steps: int) -> TrainConfig:
    """What the run of a condition is trained with."""
    is_random = condition == "random"
    return TrainConfig(
        capture=str(capture),
        iterations=steps * (2 if is_random else 1),
        seeds="random" if is_random else "points",
        sky_seeds="on" if has_sky and condition not in ("nosky", "fewnosky") else "off",
        regularization=REGULARIZATION,
        seed=42 + seed,
    )


def training_indices(condition: str) -> list[int]:
    """Which cameras of the path are trained on: every fifth is held out."""
    indices = [index for index in range(PATH_CAMERAS) if index % 5]
    if condition in ("few", "fewnosky"):
        return indices[::3]
    if condition in ("oneside", "nosky"):
        return indices[: round(0.45 * len(indices))]
    return indices


def photograph(world: World, folder: Path, condition: str, rng: np.random.Generator) -> None:
    """Write the capture, with what is wrong in this condition, and its points."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    cameras: dict[str, Camera] = {}
    shots = []
    for number, index in enumerate(training_indices(condition)):
        camera, scene = world.path[index], world
        if condition == "passer" and number % 4 == 0:
            scene = with_passer(world, camera, rng)
        shot = shoot(scene, camera)
        image = shot.image
        if condition == "expo":
            gain = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.04, 3))
            image = encode_srgb(np.clip(decode_srgb(image) * gain, 0, 1))
        if scene is world:
            shots.append(shot)
        cameras[f"images/P_{index:02d}.png"] = off_by_a_pixel(camera, rng, shot) if condition == "pose" else camera
        Image.fromarray((image * 255).round().astype(np.uint8)).save(folder / "images" / f"P_{index:02d}.png")
    for index in range(0, PATH_CAMERAS, 5):
        shot = shoot(world, world.path[index])
        cameras[f"images/H_{index:02d}.png"] = world.path[index]
        Image.fromarray((shot.image * 255).round().astype(np.uint8)).save(folder / "images" / f"H_{index:02d}.png")
    held_out = [name for name in cameras if "/H_" in name]
    write_transforms(folder / "transforms.json", cameras, held_out, "points3d.ply", {})
    write_points(folder / "points3d.ply", *points_of(shots, condition == "clean", rng))


def points_of(shots: list[Shot], is_exact: bool, rng: np.random.Generator) -> tuple:
    """Points on what the photos show: exact with normals, or few and noisy without, as from structure from motion."""
    count = (SURFACE_POINTS if is_exact else SPARSE_POINTS) // len(shots) + 1
    parts = []
    for shot in shots:
        rows, columns = np.nonzero(np.isfinite(shot.depth))
        chosen = rng.permutation(len(rows))[:count]
        rows, columns = rows[chosen], columns[chosen]
        depth, camera = shot.depth[rows, columns], shot.camera
        if not is_exact:
            depth = depth * (1 + rng.normal(0, 0.01, len(depth)))
        rays = np.stack(
            [(columns + 0.5 - camera.cx) / camera.fx, (rows + 0.5 - camera.cy) / camera.fy, np.ones(len(rows))], axis=1
        )
        pose = camera.world_from_camera
        places = (rays * depth[:, None]) @ pose[:3, :3].T + pose[:3, 3]
        parts.append((places, shot.image[rows, columns], shot.normals[rows, columns]))
    places, colors, normals = (np.concatenate(values) for values in zip(*parts, strict=True))
    return (places, colors, normals) if is_exact else (places, colors)


def with_passer(world: World, camera: Camera, rng: np.random.Generator) -> World:
    """The scene with somebody in it, half way to what the camera looks at, a little aside."""
    pose = camera.world_from_camera
    depth = np.median(np.where(np.isfinite(d := shoot(world, camera).depth), d, world.sky_from / 2))
    place = pose[:3, 3] + pose[:3, 2] * depth * rng.uniform(0.45, 0.7) + pose[:3, 0] * depth * rng.uniform(-0.3, 0.3)
    size = 0.07 * depth
    scene = replace(world, boxes=[*world.boxes], balls=[*world.balls])
    scene.box(place, [size, size * 0.6, size * 2.2], rng.uniform(0.05, 0.9, 3), rng.uniform(0, 3), size)
    scene.ball(place + [0, 0, size * 2.9], size * 0.7, [0.7, 0.5, 0.4], size)
    return scene


def off_by_a_pixel(camera: Camera, rng: np.random.Generator, shot: Shot) -> Camera:
    """The camera with rotation and shift errors of about one pixel on each axis."""
    angle = rng.normal(0, 1 / camera.fx, 3)
    depth = float(np.median(shot.depth[np.isfinite(shot.depth)]))
    cross = np.array([[0, -angle[2], angle[1]], [angle[2], 0, -angle[0]], [-angle[1], angle[0], 0]])
    u, _, v = np.linalg.svd(np.eye(3) + cross)
    matrix = camera.camera_from_world.copy()
    matrix[:3] = u @ v @ matrix[:3]
    matrix[:3, 3] += rng.normal(0, depth / camera.fx, 3)
    return replace(camera, camera_from_world=matrix)


def train_here(path: Path, config: TrainConfig) -> RunFolder:
    """Train in this process."""
    for old in sorted(path.rglob("*"), reverse=True) if path.is_dir() else ():
        old.rmdir() if old.is_dir() else old.unlink()
    config = replace(config, save_every=0, eval_every=0, blend_space="display", device="cpu")
    folder = RunFolder.create(path, config)
    is_over = threading.Event()

    def commands():  # none, for as long as it trains: the end of them would be a stop
        is_over.wait()
        yield from ()

    with open(path / "log.txt", "w", encoding="utf-8") as log:
        try:
            train(folder, config, Wire(folder, log, commands()))
        finally:
            is_over.set()
    return folder


def label(
    world: World, cloud: GaussianCloud, every: list[Shot], free: list[Shot], training: list[Shot], depth: float
) -> tuple:
    """(median true depth, floats, off the surface, visible, sky, weight in free views, cull by true depth,
    the same at the label's distance)."""
    z = np.random.default_rng(0).normal(size=(MASS_SAMPLES // 2, 3))
    samples = mass_samples(cloud, np.concatenate([z, -z]))
    floats, off_surface = np.zeros(len(cloud)), np.zeros(len(cloud))
    for part in samples.transpose(1, 0, 2):
        away = np.abs(distances(world, part))
        for tau, share in ((FLOATS_FROM * TAU * depth, floats), (TAU * depth, off_surface)):
            share += (away > tau) & is_seen_past(part, every, tau)
    is_sky = np.linalg.norm(cloud.means - world.middle, axis=1) > world.sky_from
    peak, weight = np.zeros(len(cloud)), np.zeros(len(cloud))
    for number, shot in enumerate(every):
        sums = seen_in(cloud, shot)
        peak = np.maximum(peak, sums[:, PEAK])
        weight += sums[:, WEIGHT] * (number >= len(every) - len(free))
    cull, by_label = (
        sum(is_seen_past(cloud.means, [shot], tau * depth).astype(int) for shot in training)
        for tau in (TAU, FLOATS_FROM * TAU)
    )
    visible = peak >= VISIBLE_FROM
    may_float, half = visible & ~is_sky, MASS_SAMPLES / 2
    labels = (floats > half) & may_float, (off_surface > half) & may_float, visible, is_sky
    return depth, *labels, weight, cull, by_label


def mass_samples(cloud: GaussianCloud, normal: np.ndarray) -> np.ndarray:
    """(N, S, 3) x = μ + R S z for standard normal z (S, 3)."""
    w, x, y, z = cloud.rotations.T.astype(np.float64)
    rotation = np.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ], axis=1).reshape(-1, 3, 3)  # fmt: skip
    scaled = normal[None] * cloud.scales[:, None].astype(np.float64)
    return cloud.means[:, None] + np.einsum("nij,nsj->nsi", rotation, scaled)


def is_seen_past(points: np.ndarray, shots: list[Shot], tau: float) -> np.ndarray:
    """(P,) whether some camera sees something behind a point by more than `tau`."""
    found = np.zeros(len(points), bool)
    for shot in shots:
        c, places = shot.camera, np.ascontiguousarray(points, np.float64)
        _mark_seen_past(places, c.camera_from_world, c.fx, c.fy, c.cx, c.cy, shot.depth, tau, found)
    return found


@numba.njit(cache=False)
def _mark_seen_past(points, matrix, fx, fy, cx, cy, depth, tau, found):
    for i in range(len(points)):
        if found[i]:
            continue
        x = matrix[0, 0] * points[i, 0] + matrix[0, 1] * points[i, 1] + matrix[0, 2] * points[i, 2] + matrix[0, 3]
        y = matrix[1, 0] * points[i, 0] + matrix[1, 1] * points[i, 1] + matrix[1, 2] * points[i, 2] + matrix[1, 3]
        z = matrix[2, 0] * points[i, 0] + matrix[2, 1] * points[i, 1] + matrix[2, 2] * points[i, 2] + matrix[2, 3]
        if z <= 1e-6:
            continue
        u, v = fx * x / z + cx, fy * y / z + cy
        if 0 <= u < depth.shape[1] and 0 <= v < depth.shape[0] and z < depth[int(v), int(u)] - tau:
            found[i] = True


RASTERIZER = CpuRasterizer()


def seen_in(cloud: GaussianCloud, shot: Shot) -> np.ndarray:
    """(N, 8) the evidence of one view, against the true picture."""
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))
    return evidence_of_view(
        RASTERIZER, gaussians, shot.camera, torch.zeros(3), torch.from_numpy(shot.image), 1.0
    ).sums.numpy()


def quality_db(cloud: GaussianCloud, shots: list[Shot], seen_by: list[Shot] | None = None) -> float:
    """Mean PSNR of views against truth; with `seen_by`, over the pixels whose surface at least two of these show."""
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays_of(cloud)))
    values = []
    for shot in shots:
        mask = None if seen_by is None else torch.from_numpy(recoverable(shot, seen_by))
        if mask is not None and not bool(mask.any()):
            continue
        view = RASTERIZER.render(gaussians, shot.camera, torch.zeros(3), sh_degree=cloud.sh_degree)
        values.append(psnr_db(view.image.clamp(0, 1), torch.from_numpy(shot.image), mask))
    return float(np.mean(values))


def recoverable(shot: Shot, training: list[Shot]) -> np.ndarray:
    """(H, W) whether at least two of the training photos show the surface in a pixel, or it is sky."""
    rows, columns = np.indices(shot.depth.shape)
    c = shot.camera
    depth = np.where(np.isfinite(shot.depth), shot.depth, 1e3)
    rays = np.stack([(columns + 0.5 - c.cx) / c.fx, (rows + 0.5 - c.cy) / c.fy, np.ones_like(depth)], axis=-1)
    points = (rays * depth[..., None]).reshape(-1, 3) @ c.world_from_camera[:3, :3].T + c.world_from_camera[:3, 3]
    count = np.zeros(len(points), int)
    for other in training:
        pixels, z = other.camera.project(points)
        inside = (z > 0) & (pixels >= 0).all(axis=1) & (pixels < (other.camera.width, other.camera.height)).all(axis=1)
        at = pixels[inside].astype(int)
        count[np.flatnonzero(inside)] += z[inside] < other.depth[at[:, 1], at[:, 0]] * 1.02
    return (count >= 2).reshape(shot.depth.shape)
