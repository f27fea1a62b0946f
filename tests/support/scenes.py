"""Small captures and clouds made by code, with known content."""

import math
from pathlib import Path

import numpy as np

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import held_out_indices
from splat_addon.capture.formats.transforms import SCENE_SOURCE, write_transforms
from splat_addon.gaussians.cloud import GaussianCloud
from splat_addon.gaussians.formats.splat_ply import write_points


def looking_at(position, target=(0, 0, 0), width: int = 40, height: int = 30, focal_px: float = 40.0) -> Camera:
    """A camera at `position` that looks at `target`, world z up."""
    forward = np.subtract(target, position) / np.linalg.norm(np.subtract(target, position))
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ np.asarray(position, dtype=float)
    return Camera(width, height, focal_px, focal_px, width / 2, height / 2, matrix)


def ring_of_cameras(count: int, **options) -> dict[str, Camera]:
    """Cameras on a circle of radius 3 at height 1.5."""
    turns = np.linspace(0, 2 * math.pi, count, endpoint=False)
    return {
        f"images/view_{index:02d}.png": looking_at((3 * math.cos(turn), 3 * math.sin(turn), 1.5), **options)
        for index, turn in enumerate(turns)
    }


def random_cloud(count: int, seed: int = 0, degree: int = 3, scale: float = 0.1) -> GaussianCloud:
    """Gaussians of mixed size, colour and opacity inside the unit ball."""
    random = np.random.default_rng(seed)
    directions = random.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sh = 0.3 * random.normal(size=(count, (degree + 1) ** 2, 3))
    sh[:, 0] = random.uniform(-1.5, 1.5, size=(count, 3))
    return GaussianCloud(
        means=directions * random.random((count, 1)) ** (1 / 3),
        log_scales=np.log(scale * random.uniform(0.3, 1.5, size=(count, 3))),
        quaternions=random.normal(size=(count, 4)),
        logit_opacities=random.uniform(-1, 3, size=count),
        sh=sh,
    )


def write_ball_capture(folder: Path, views: int = 10, points: int = 300, alpha: bool = True, **camera) -> Path:
    """A capture of a shaded ball of radius 0.8, ray-traced here, with points on its surface. `camera`: as `looking_at`
    takes it. Needs Pillow."""
    from PIL import Image

    cameras = ring_of_cameras(views, **camera)
    (folder / "images").mkdir(parents=True)
    for name, view in cameras.items():
        pixels = ball_image(view)
        Image.fromarray(pixels if alpha else pixels[..., :3]).save(folder / name)
    random = np.random.default_rng(3)
    normals = random.normal(size=(points, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    write_points(folder / "points3d.ply", 0.8 * normals, ball_color(normals), normals)
    names = sorted(cameras)
    held_out = {names[index] for index in held_out_indices(views, 8)}
    write_transforms(folder / "transforms.json", cameras, held_out, "points3d.ply", {})
    return folder


def write_ball_capture_files(folder: Path, save_png, points: str = "plain", own: bool = False) -> Path:
    """As `write_ball_capture`, smaller, with images saved by `save_png(path, pixels)`. `points`: "plain",
    "colourless" or "" for none; `own`: as a capture of a scene."""
    cameras = ring_of_cameras(9, width=120, height=90, focal_px=120.0)
    for name, camera in cameras.items():
        save_png(folder / name, ball_image(camera))
    normals = np.random.default_rng(3).normal(size=(300, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    colors = np.full((300, 3), np.nan) if points == "colourless" else ball_color(normals)
    if points:
        write_points(folder / "points3d.ply", 0.8 * normals, colors, normals)
    held_out = {sorted(cameras)[index] for index in held_out_indices(len(cameras), 8)}
    extra = {"source": SCENE_SOURCE} if own else {}
    write_transforms(folder / "transforms.json", cameras, held_out, "points3d.ply" if points else None, extra)
    return folder


def ball_color(normals: np.ndarray) -> np.ndarray:
    """(P, 3) display-encoded colours of the ball by normal."""
    stripes = 0.5 + 0.4 * np.sin(6 * normals[:, 2:3])
    return np.clip(np.concatenate([stripes, 0.5 + 0.4 * normals[:, :1], 1 - stripes], axis=1), 0, 1)


def ball_image(camera: Camera) -> np.ndarray:
    """(H, W, 4) uint8 straight alpha: the ball as the camera sees it."""
    across, down = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy, np.ones_like(across)], axis=-1)
    rays = rays @ camera.camera_from_world[:3, :3]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = rays @ camera.position
    inside = along**2 - (camera.position @ camera.position - 0.8**2)
    hit = inside > 0
    places = camera.position + rays * (-along - np.sqrt(np.maximum(inside, 0)))[..., None]
    colors = ball_color((places / 0.8).reshape(-1, 3)).reshape(places.shape)
    pixels = np.concatenate([np.where(hit[..., None], colors, 0), hit[..., None]], axis=-1)
    return np.round(pixels * 255).astype(np.uint8)
