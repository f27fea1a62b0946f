"""A ball in a round room, both with a texture in space, photographed from a few places: ray-traced, so that it is known
what hangs in the air."""

from pathlib import Path

import numpy as np

from splat_addon.capture.camera import Camera
from splat_addon.capture.formats.transforms import write_transforms

from .photo_files import write_png
from .textured_ball import RADIUS, color_of, looking_at_center

ROOM = 5.0  # its radius
APART = 0.3  # what is farther than that from both surfaces hangs in the air


def write_capture(folder: Path, count: int, held_out_every: int, width: int = 64, height: int = 48) -> None:
    """Photos of the ball from a quarter of a circle around it, one of `held_out_every` held out."""
    (folder / "images").mkdir(parents=True)
    cameras = {}
    across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for number in range(count):
        angle = 0.5 * np.pi * number / (count - 1)
        position = np.array((3 * np.cos(angle), 3 * np.sin(angle), 0.8 + 0.6 * np.sin(4 * angle)))
        camera = Camera(width, height, 0.8 * width, 0.8 * width, width / 2, height / 2, looking_at_center(position))
        slopes = np.stack([(across - camera.cx) / camera.fx, (down - camera.cy) / camera.fy, np.ones_like(across)], 2)
        rays = slopes.reshape(-1, 3) @ camera.camera_from_world[:3, :3]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        along = rays @ position
        to_ball, to_room = along**2 - position @ position + RADIUS**2, along**2 - position @ position + ROOM**2
        distance = np.where(to_ball > 0, -along - np.sqrt(np.maximum(to_ball, 0)), -along + np.sqrt(to_room))
        pixels = color_of(position + distance[:, None] * rays).reshape(height, width, 3)
        name = f"images/{number}.png"
        write_png(folder / name, np.rint(pixels * 255).astype(np.uint8))
        cameras[name] = camera
    held_out = [*cameras][held_out_every // 2 :: held_out_every]
    write_transforms(folder / "transforms.json", cameras, held_out, None, {})


def hangs(means: np.ndarray) -> np.ndarray:
    """(N,) which places are in the air between ball and room."""
    radius = np.linalg.norm(means, axis=1)
    return (radius > RADIUS + APART) & (radius < ROOM - APART)
