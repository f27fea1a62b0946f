"""Captures with a known mistake, and harmless variations of right ones, to count what the capture check finds.

In memory: a capture, and its photos (H, W, 3 or 4) uint8 by view name. Every change is drawn from a seeded generator.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from splat_addon.capture.camera import Camera
from splat_addon.capture.capture import Capture, View, open_capture
from splat_addon.capture.check.check import Check, check_capture
from splat_addon.capture.photos.orientation import inverse_orientation, turned
from splat_addon.capture.photos.reading import read_photo
from splat_addon.capture.photos.sizes import fits
from splat_addon.capture.points import Points
from splat_addon.trainer.photos.decoding import decode

from .textured_ball import looking_at_center

Photos = dict[str, np.ndarray]
APART_DEG = 15.0  # between the two cameras of a swapped pair
LEAST_TURN_DEG, LEAST_SCALE, LEAST_SHIFT = 10.0, 1.25, 0.15  # of points against cameras; shifts in camera distances


@dataclass(frozen=True)
class Case:
    """A capture with its photos as a decoder would give them."""

    capture: Capture
    photos: Photos

    def checked(self) -> Check:
        return check_capture(self.capture, self._small)

    def warnings(self) -> list[str]:
        """What the check complains about."""
        return [remark.text for remark in self.checked().remarks if remark.is_warning]

    def _small(self, view: View, longest_px: int) -> np.ndarray | None:
        pixels = self.photos[view.name]
        height, width = pixels.shape[:2]
        if not fits((width, height), (view.camera.width, view.camera.height)):
            return None
        step = -(-max(height, width) // longest_px)
        return pixels[step // 2 :: step, step // 2 :: step].astype(np.float32) / 255

    def with_cameras(self, changed: Callable[[np.ndarray], np.ndarray]) -> "Case":
        """With `changed(world_from_camera)` as each camera's pose."""

        def other(view: View) -> View:
            pose = np.linalg.inv(changed(view.camera.world_from_camera))
            return replace(view, camera=replace(view.camera, camera_from_world=pose))

        return replace(self, capture=replace(self.capture, views=tuple(map(other, self.capture.views))))

    def with_points(self, similarity: np.ndarray) -> "Case":
        assert self.capture.points is not None
        return replace(self, capture=replace(self.capture, points=self.capture.points.moved(similarity)))


def read_case(folder: Path, longest_px: int = 400) -> Case:
    """A capture from files, its photos reduced."""
    capture = open_capture(folder)

    def reduce(pixels: np.ndarray) -> np.ndarray:
        factor = min(1.0, longest_px / max(pixels.shape[:2]))
        size = (round(pixels.shape[1] * factor), round(pixels.shape[0] * factor))
        return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))

    return Case(capture, {view.name: read_photo(view, decode, reduce).pixels for view in capture.views})


def rendered_case(count: int = 20, seed: int = 0, width_px: int = 160, height_px: int = 160) -> Case:
    """Balls and a box on a floor, their surfaces covered with flat gaussians of a texture in space, drawn by the CPU
    rasterizer; and 3000 of the places as points."""
    import torch

    from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
    from splat_addon.trainer.backend.protocol import Gaussians

    random = np.random.default_rng(seed)
    places = _surfaces(random)
    colors = _texture(places, random)
    number = len(places)
    gaussians = Gaussians(
        torch.from_numpy(places.astype(np.float32)),
        torch.full((number, 3), float(np.log(0.012))),
        torch.tensor([1.0, 0, 0, 0]).repeat(number, 1),
        torch.full((number,), 4.0),
        torch.from_numpy(((colors - 0.5) / 0.28209479177387814).astype(np.float32))[:, None],
    )
    rasterizer = CpuRasterizer()
    views, photos = [], {}
    for index in range(count):
        turn = 2 * np.pi * (index + random.uniform(-0.2, 0.2)) / count
        height = (0.5, 1.2, 2.0)[index % 3]
        position = np.array((3 * np.cos(turn), 3 * np.sin(turn), height)) * random.uniform(0.9, 1.1)
        matrix = looking_at_center(position)
        focal = 1.1 * max(width_px, height_px)
        camera = Camera(width_px, height_px, focal, focal, width_px / 2, height_px / 2, matrix)
        with torch.no_grad():
            image = rasterizer.render(gaussians, camera, torch.full((3,), 0.7), sh_degree=0).image
        name = f"view_{index:02d}"
        photos[name] = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        views.append(View(name, Path(f"{name}.png"), camera, index % 8 == 0, None, f"{name}.png"))
    chosen = random.choice(number, 3000, replace=False)
    return Case(Capture(Path("rendered"), tuple(views), Points(places[chosen], colors[chosen])), photos)


def _surfaces(random: np.random.Generator, count: int = 60_000) -> np.ndarray:
    parts = []
    for center, radius in (((0.4, 0.2, 0.35), 0.35), ((-0.45, -0.3, 0.25), 0.25), ((0.0, -0.6, 0.18), 0.18)):
        directions = random.normal(size=(count // 6, 3))
        parts.append(np.array(center) + radius * directions / np.linalg.norm(directions, axis=1, keepdims=True))
    box = random.uniform(-1, 1, size=(count // 6, 3))
    axis = random.integers(0, 3, len(box))
    box[np.arange(len(box)), axis] = np.sign(box[np.arange(len(box)), axis])
    parts.append(np.array((-0.3, 0.55, 0.3)) + box * (0.2, 0.25, 0.3))
    floor = random.uniform(-1.3, 1.3, size=(count // 3, 3))
    floor[:, 2] = 0
    return np.concatenate([*parts, floor])


def _texture(places: np.ndarray, random: np.random.Generator) -> np.ndarray:
    waves = [np.sin(places @ random.normal(size=(3, 3)) * 5 + random.uniform(0, 6, 3)) for _ in range(6)]
    return np.clip(0.5 + 0.14 * np.sum(waves, axis=0), 0.02, 0.98)


def _orientations(case: Case) -> list[int]:
    """Those that keep the proportions of all photos."""
    is_square = all(pixels.shape[0] == pixels.shape[1] for pixels in case.photos.values())
    return [2, 3, 4, 5, 6, 7, 8] if is_square else [2, 3, 4]


def all_turned(case: Case, random: np.random.Generator) -> Case:
    """All photos lie another way than their cameras measured them."""
    orientation = inverse_orientation(int(random.choice(_orientations(case))))
    return replace(case, photos={name: turned(pixels, orientation) for name, pixels in case.photos.items()})


def one_turned(case: Case, random: np.random.Generator) -> Case:
    """One photo lies another way."""
    name, orientation = random.choice(sorted(case.photos)), int(random.choice(_orientations(case)))
    return replace(case, photos={**case.photos, name: turned(case.photos[name], orientation)})


def transposed(case: Case, random: np.random.Generator) -> Case:
    """Rotations are transposed, or whole matrices inverted."""

    def change(pose: np.ndarray) -> np.ndarray:
        result = pose.copy()
        result[:3, :3] = pose[:3, :3].T
        return result

    return case.with_cameras(change if random.random() < 0.5 else np.linalg.inv)


def other_axes(case: Case, random: np.random.Generator) -> Case:
    """Cameras have other axes than they were read with, or the world they stand in has."""
    turns = [np.diag(signs) for signs in ((1.0, -1, -1), (-1.0, -1, 1), (-1.0, 1, -1))]
    turns += [
        np.array(rows, dtype=float) for rows in (((1, 0, 0), (0, 0, 1), (0, -1, 0)), ((0, 1, 0), (-1, 0, 0), (0, 0, 1)))
    ]
    turn = np.eye(4)
    turn[:3, :3] = turns[random.integers(len(turns))]
    if random.random() < 0.5:
        return case.with_cameras(lambda pose: pose @ turn)
    return case.with_cameras(lambda pose: turn @ pose)


def other_frame(case: Case, random: np.random.Generator) -> Case:
    """Points are turned, scaled or shifted against the cameras."""
    positions = case.capture.points.positions
    middle = np.median(positions, axis=0)
    distance = float(np.median([np.linalg.norm(view.camera.position - middle) for view in case.capture.views]))
    change = np.eye(4)
    kind = random.integers(3)
    if kind == 0:
        axis = random.normal(size=3)
        change[:3, :3] = _rotation(axis / np.linalg.norm(axis), np.radians(random.uniform(LEAST_TURN_DEG, 180)))
    elif kind == 1:
        scale = random.uniform(LEAST_SCALE, 3)
        change[:3, :3] *= scale if random.random() < 0.5 else 1 / scale
    else:
        direction = random.normal(size=3)
        change[:3, 3] = direction / np.linalg.norm(direction) * random.uniform(LEAST_SHIFT, 1.5) * distance
    if random.random() < 0.5:  # about the middle of the scene rather than about the origin
        change[:3, 3] += middle - change[:3, :3] @ middle
    return case.with_points(change)


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def shuffled(case: Case, random: np.random.Generator) -> Case:
    """No photo is at its camera."""
    names = sorted(case.photos)
    while True:
        order = random.permutation(len(names))
        if (order != np.arange(len(names))).all():
            return replace(case, photos={name: case.photos[names[at]] for name, at in zip(names, order, strict=True)})


def swapped(case: Case, random: np.random.Generator) -> Case:
    """Two photos, of cameras turned at least `APART_DEG` against each other, are exchanged."""
    views = case.capture.views
    turns = np.stack([view.camera.camera_from_world[:3, :3] for view in views])
    cosines = (np.einsum("aij,bij->ab", turns, turns) - 1) / 2
    pairs = np.argwhere(np.triu(cosines <= np.cos(np.radians(APART_DEG)), 1))
    first, second = (views[index].name for index in pairs[random.integers(len(pairs))])
    return replace(case, photos={**case.photos, first: case.photos[second], second: case.photos[first]})


def brightness(case: Case, random: np.random.Generator) -> Case:
    """Every photo is exposed and balanced another way."""

    def change(pixels: np.ndarray) -> np.ndarray:
        gains = 2 ** (random.uniform(-0.7, 0.5) + random.normal(size=3) * 0.1)
        result = pixels.copy()
        result[..., :3] = np.clip(pixels[..., :3] * gains, 0, 255)
        return result

    return replace(case, photos={name: change(pixels) for name, pixels in case.photos.items()})


def compressed(case: Case, random: np.random.Generator) -> Case:
    """Photos are JPEGs of low quality."""
    quality = int(random.integers(5, 60))

    def change(pixels: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(pixels[..., :3]).save(file, "JPEG", quality=quality)
        return np.array(Image.open(file))

    return replace(case, photos={name: change(pixels) for name, pixels in case.photos.items()})


def resized(case: Case, random: np.random.Generator) -> Case:
    """Photos are smaller than their cameras."""
    factor = random.uniform(0.3, 0.9)

    def change(view: View) -> np.ndarray:
        size = max(1, round(view.camera.width * factor)), max(1, round(view.camera.height * factor))
        return np.array(Image.fromarray(case.photos[view.name]).resize(size, Image.Resampling.BOX))

    return replace(case, photos={view.name: change(view) for view in case.capture.views})


def fewer_points(case: Case, random: np.random.Generator) -> Case:
    """There are few points, or they have no colors."""
    points = case.capture.points
    chosen = random.choice(len(points.positions), int(random.integers(200, 2000)), replace=False)
    colors = points.colors[chosen]
    if random.random() < 0.3:
        colors = np.full_like(colors, np.nan)
    return replace(case, capture=replace(case.capture, points=Points(points.positions[chosen], colors)))


def noisy(case: Case, random: np.random.Generator) -> Case:
    """Photos and points are noisy, and a tenth of the points is wrong."""
    points, sigma = case.capture.points, random.uniform(2, 25)
    photos = {
        name: np.clip(pixels + random.normal(size=pixels.shape) * sigma, 0, 255).astype(np.uint8)
        for name, pixels in case.photos.items()
    }
    size = np.ptp(np.percentile(points.positions, (5, 95), axis=0), axis=0)
    positions = points.positions + random.normal(size=points.positions.shape) * 0.003 * size
    wrong = random.random(len(positions)) < 0.1
    positions[wrong] += random.normal(size=(wrong.sum(), 3)) * size
    return Case(replace(case.capture, points=Points(positions, points.colors)), photos)


def masked(case: Case, random: np.random.Generator) -> Case:
    """Half of each photo is transparent or masked out."""

    def change(pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[:2]
        down, across = np.mgrid[0:height, 0:width]
        center, radius = random.uniform(0.3, 0.7, 2) * (height, width), random.uniform(0.35, 0.6) * max(height, width)
        alpha = (np.hypot(down - center[0], across - center[1]) < radius) * np.uint8(255)
        return np.dstack([pixels[..., :3], alpha])

    return replace(case, photos={name: change(pixels) for name, pixels in case.photos.items()})


Kind = Callable[[Case, np.random.Generator], Case]


def drawn(cases: dict[str, Case], kinds: tuple[Kind, ...], number: int, seed: int = 0) -> tuple[str, Kind, Case]:
    """The `number`-th of all: each kind of each capture in turn, with values of its own. With the capture's name."""
    name = list(cases)[number % len(cases)]
    kind = kinds[number // len(cases) % len(kinds)]
    return name, kind, kind(cases[name], np.random.default_rng((seed, number)))


CORRUPTIONS = (all_turned, one_turned, transposed, other_axes, other_frame, shuffled, swapped)
HARMLESS = (brightness, compressed, resized, fewer_points, noisy, masked)
