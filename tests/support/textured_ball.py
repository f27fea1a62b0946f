"""A ball with a texture in space, photographed from all around, with points on it: ray-traced, in memory."""

from pathlib import Path

import numpy as np

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import Capture, View
from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.capture.photos.orientation import inverse_orientation, turned
from splat_addon.capture.points import Points
from splat_addon.gaussians.formats.splat_ply import write_points

from .photo_files import exif, png_chunk, write_png

RADIUS = 1.0


def color_of(places: np.ndarray) -> np.ndarray:
    """(P, 3) a texture in space."""
    random = np.random.default_rng(3)
    waves = sum(np.sin(places @ random.normal(size=(3, 3)) * 2 + random.uniform(0, 6, 3)) for _ in range(5))
    return np.clip(0.5 + 0.12 * waves, 0, 1)


def looking_at_center(position: np.ndarray) -> np.ndarray:
    """(4, 4) camera from world of a camera that stands there, z up."""
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, (0, 0, 1))
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = (right, np.cross(forward, right), forward)
    matrix[:3, 3] = -matrix[:3, :3] @ position
    return matrix


def ball_capture(count: int = 12, width: int = 96, height: int = 72) -> tuple[Capture, dict[str, np.ndarray]]:
    """The capture, and its photos (H, W, 3) uint8 by name."""
    views, photos = [], {}
    random = np.random.default_rng(1)
    across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for index in range(count):
        angle = 2 * np.pi * index / count
        position = np.array((3 * np.cos(angle), 3 * np.sin(angle), 0.8 + 0.6 * np.sin(2 * angle)))
        camera = Camera(width, height, 90.0, 90.0, width / 2, height / 2, looking_at_center(position))
        slopes = np.stack([(across - camera.cx) / 90, (down - camera.cy) / 90, np.ones_like(across)], axis=2)
        rays = slopes.reshape(-1, 3) @ camera.camera_from_world[:3, :3]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        along = rays @ position
        root = along**2 - (position @ position - RADIUS**2)
        hit = root > 0
        pixels = np.full((len(rays), 3), 0.6)
        pixels[hit] = color_of(position - (along[hit] + np.sqrt(root[hit]))[:, None] * rays[hit])
        name = f"photo_{index:02d}"
        photos[name] = np.rint(pixels.reshape(height, width, 3) * 255).astype(np.uint8)
        views.append(View(name, Path(f"{name}.png"), camera, index % 8 == 0, None, name))
    places = random.normal(size=(800, 3))
    places *= RADIUS / np.linalg.norm(places, axis=1, keepdims=True)
    return Capture(Path("ball"), tuple(views), Points(places, color_of(places))), photos


def write_ball(
    folder: Path, record: int, is_measured_turned: bool, points: str = "colored", pixels: str = "photos", **size
) -> None:
    """The ball as transforms.json, with photos that carry an Exif orientation. Their cameras were measured on them as a
    viewer shows them, or as they are stored. `points` are "colored", "plain" or "none"; `pixels` are "photos" or
    "gray", which agree with nothing."""
    capture, photos = ball_capture(**size)
    cameras: dict[str, Camera] = {}
    (folder / "images").mkdir(parents=True)
    for view in capture.views:
        shown = photos[view.name] if pixels == "photos" else np.full_like(photos[view.name], 128)
        stored = turned(shown, inverse_orientation(record)) if is_measured_turned else shown
        write_png(folder / f"images/{view.name}.png", stored, before=png_chunk(b"eXIf", exif(record)))
        cameras[f"images/{view.name}.png"] = view.camera
    assert capture.points is not None
    if points != "none":
        colors = capture.points.colors if points == "colored" else np.full_like(capture.points.colors, np.nan)
        write_points(folder / "points3d.ply", capture.points.positions, colors)
    write_transforms(folder / "transforms.json", cameras, set(), "points3d.ply" if points != "none" else None, {})
