"""Large captures, lists of runs, records and splat files, laid out in a folder as quickly as may be."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np

from splat_addon.capture.camera import Camera
from splat_addon.capture.formats import colmap
from splat_addon.capture.formats.colmap.model import ColmapModel, Observations
from splat_addon.capture.formats.transforms import write_transforms
from splat_addon.gaussians.cloud import DISPLAY, GaussianCloud
from splat_addon.gaussians.formats.ply import BLOCK_ROWS
from splat_addon.gaussians.formats.splat_ply import write_points, write_splat_blocks
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated, Finished, Progressed, SnapshotSaved, Started, ViewQuality, encode_event

POINTS_PER_CAMERA, SEEN_PER_CAMERA = 500, 2000
EVENTS_PER_RUN = 500
_PHOTO = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (40).to_bytes(4, "big") + (30).to_bytes(4, "big") + bytes(8)


def colmap_capture(folder: Path, count: int, as_text: bool = False) -> None:
    """`count` photos (heads of files only) with cameras on a dome, and a COLMAP model with points and tracks."""
    cameras, positions, random = _photos(folder / "capture", count)
    points = len(positions)
    seen = {
        name: Observations(
            random.uniform((0, 0), (40, 30), (SEEN_PER_CAMERA, 2)),
            np.where(random.random(SEEN_PER_CAMERA) < 0.7, random.integers(0, points, SEEN_PER_CAMERA), -1),
        )
        for name in cameras
    }
    model = ColmapModel(cameras, positions, random.random((points, 3)), random.random(points), seen)
    (folder / "capture/sparse/0").mkdir(parents=True)
    colmap.write_model(folder / "capture/sparse/0", model, as_text)


def text_capture(folder: Path, count: int) -> None:
    """The same as text."""
    colmap_capture(folder, count, as_text=True)


def transforms_capture(folder: Path, count: int) -> None:
    """The same cameras and points as transforms.json and a PLY."""
    cameras, positions, random = _photos(folder / "capture", count)
    write_points(folder / "capture/points3d.ply", positions, random.random(positions.shape))
    named = {f"images/{name}": camera for name, camera in cameras.items()}
    write_transforms(folder / "capture/transforms.json", named, list(named)[::8], "points3d.ply", {})


def runs(folder: Path, count: int) -> None:
    """`count` finished runs of one capture."""
    told = events(EVENTS_PER_RUN)
    record = "\n".join([*told, encode_event(Finished(EVENTS_PER_RUN * 10, False, 320, 30.0)), ""]).encode()
    settings = json.dumps(asdict(TrainConfig(capture="captures/a"))).encode()
    for number in range(count):
        run = folder / f"capture_runs/run_{number:05d}"
        (run / "snapshots").mkdir(parents=True)
        for name, content in (("config.json", settings), ("events.jsonl", record), ("splats.ply", b"ply\n")):
            (run / name).write_bytes(content)


def record(folder: Path, count: int) -> None:
    """A run that has told so much of its progress."""
    (folder / "config.json").write_text(json.dumps(asdict(TrainConfig(capture="captures/a"))))
    (folder / "events.jsonl").write_text("\n".join([*events(count), ""]))


def events(count: int) -> list[str]:
    """The lines of a run: `count` reports of its progress, five a second; every thousandth a measurement and a
    snapshot."""
    lines = [encode_event(Started(1, "cpu", count * 10, 800, 100, 10**6, 4711))]
    for number in range(1, count + 1):
        told = Progressed(number * 10, 0.1 + 1 / number, 100_000 + number, 50.0, 700.0, fraction=number / count)
        lines.append(encode_event(told))
        if number % 1000 == 0:
            views = tuple(ViewQuality(f"left/view_{view:03d}", 25.0, 0.9) for view in range(20))
            lines.append(encode_event(Evaluated(number * 10, 25.0, 0.9, 100_000, "held_out", views, 3.0, 26.0)))
            lines.append(encode_event(SnapshotSaved(number * 10, "snapshots/step.ply", 100_000)))
    return lines


def splats(folder: Path, count: int) -> None:
    """Splats with harmonics of degree 3, as trainers write them: the same block of them again and again."""
    random = np.random.default_rng(0)
    block = GaussianCloud(
        means=random.normal(0, 0.7, (BLOCK_ROWS, 3)).astype(np.float32),
        log_scales=random.normal(-2 + math.log(15 / math.sqrt(count)), 0.6, (BLOCK_ROWS, 3)).astype(np.float32),
        quaternions=random.normal(size=(BLOCK_ROWS, 4)).astype(np.float32),
        logit_opacities=random.normal(0, 2, BLOCK_ROWS).astype(np.float32),
        sh=random.normal(0, 0.3, (BLOCK_ROWS, 16, 3)).astype(np.float32),
    )
    blocks = (block.select(slice(0, count - start)) for start in range(0, count, BLOCK_ROWS))
    write_splat_blocks(folder / "splats.ply", count, 3, blocks, DISPLAY)


def _photos(folder: Path, count: int) -> tuple[dict[str, Camera], np.ndarray, np.random.Generator]:
    """Photos with their cameras, and points in the middle."""
    random = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    cameras = {}
    for index in range(count):
        name = f"view_{index:05d}.png"
        (folder / "images" / name).write_bytes(_PHOTO)
        cameras[name] = _camera(*random.normal(size=3))
    return cameras, random.normal(size=(count * POINTS_PER_CAMERA, 3)), random


def _camera(x: float, y: float, z: float) -> Camera:
    """Three units from the origin in that direction, looking there."""
    forward = -np.array([x, y, abs(z)]) / math.hypot(x, y, z)
    right = np.cross(forward, (0, 0, 1)) / math.hypot(forward[0], forward[1])
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    matrix[2, 3] = 3.0
    return Camera(40, 30, 40.0, 40.0, 20.0, 15.0, matrix)
