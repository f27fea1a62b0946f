"""Camera rigs: real cameras in a collection, placed evenly around what they look at."""

import math
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...errors import CaptureError
from ..own_data import ensure_collection, require_local
from .conversion import render_size

DOME_COLLECTION = "Splat Cameras"
SENSOR_MM = 36.0
MARGIN = 1.05  # room around the targets, so that no silhouette touches the image border
_OF_A_POINT = 1e-3  # size and distance of targets that have none
_NEARLY_UP = 0.98  # a camera exactly above its target has no up direction


@dataclass(frozen=True)
class Rig:
    """Which cameras are made. `kind` is ORBIT, DOME, SPHERE or PATH."""

    kind: str = "DOME"
    count: int = 48
    lens_mm: float = 50.0
    radius: float = 0.0  # scene units; 0: as near as keeps the targets in every view
    lowest_deg: float = 10.0  # dome: where it begins above the horizon; orbit: height of the lowest ring
    highest_deg: float = 60.0  # orbit: height of the highest ring
    rings: int = 1  # orbit
    jitter: float = 0.0  # random displacement, as a part of the distance
    seed: int = 0
    is_outward: bool = False  # look away from the center: for interiors


def make_rig(
    scene: bpy.types.Scene,
    rig: Rig,
    targets: np.ndarray,
    aim: np.ndarray | None,
    curve: bpy.types.Object | None = None,
    size: tuple[int, int] | None = None,
    name: str = "Rig",
    collection: bpy.types.Collection | None = None,
) -> list[bpy.types.Object]:
    """The cameras of `rig` around `targets` (P, 3), world frame; they share one lens and lie in one collection.

    They look at `aim` (3,); None: the middle of the targets, and on a path ahead. `size` is that of the images in
    pixels, `collection` a place for the cameras instead of a new one.
    Raises CaptureError when there is nothing to stand around or to go along.
    """
    center = (targets.min(axis=0) + targets.max(axis=0)) / 2 if len(targets) else np.zeros(3)
    if rig.kind == "PATH":
        positions, directions = _along_curve(curve, rig.count)
        reach = _size(positions)
        looks = directions if aim is None else aim - positions
    else:
        outward = _directions(rig)
        if not rig.radius and not len(targets):
            raise CaptureError("There is nothing for the cameras to stand around.", "Select objects, or set a radius.")
        slopes = _view_slopes(scene.render, rig.lens_mm, size)
        reach = rig.radius or distance_to_see(targets - center, outward, slopes)
        positions = center + reach * outward
        looks = (center if aim is None else aim) - positions
    if rig.jitter > 0:
        shift = np.random.default_rng(rig.seed).uniform(-1, 1, positions.shape) * rig.jitter * reach
        positions = positions + shift
        looks = looks - shift if rig.kind != "PATH" or aim is not None else looks
    looks = -looks if rig.is_outward else looks
    return _place_cameras(scene, positions, looks, rig, name, reach, collection)


def make_dome(
    scene: bpy.types.Scene,
    targets: np.ndarray,
    count: int,
    lens_mm: float,
    lowest_deg: float,
    size: tuple[int, int] | None = None,
) -> list[bpy.types.Object]:
    """A dome in the collection that belongs to Capture: cameras of an earlier one are replaced, marks are kept."""
    held_out = {item.name for item in _dome_cameras(scene) if item.splat.is_held_out}
    collection = _fresh_collection(scene)
    rig = Rig("DOME", count, lens_mm, lowest_deg=lowest_deg)
    cameras = make_rig(scene, rig, targets, None, size=size, name="Splat", collection=collection)
    for item in cameras:
        item.splat.is_held_out = item.name in held_out
    return cameras


def bounds_of(objects: list[bpy.types.Object]) -> np.ndarray:
    """(8 B, 3) corners of the boxes around evaluated objects and what they instance, world frame."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    wanted = {item.name_full for item in objects}
    corners = []
    for instance in depsgraph.object_instances:
        owner = instance.parent if instance.is_instance else instance.object
        if owner is not None and owner.original.name_full in wanted and instance.object.type not in ("EMPTY", "CAMERA"):
            box = np.array(instance.object.bound_box, dtype=np.float64)
            matrix = np.array(instance.matrix_world, dtype=np.float64)
            corners.append(box @ matrix[:3, :3].T + matrix[:3, 3])
    return np.concatenate(corners) if corners else np.zeros((0, 3))


def spiral_directions(count: int, lowest: float, highest: float) -> np.ndarray:
    """(count, 3) unit vectors whose heights (z) lie from `lowest` to `highest`, equally dense everywhere.

    A Fibonacci lattice (Swinbank and Purser 2006) but for the turn from one to the next, which is sqrt(2) rounds: with
    the golden angle every eighth would stand in one line, and they are what is held out.
    """
    order = np.arange(count)
    up = lowest + (highest - lowest) * (order + 0.5) / count
    turn = order * 2 * math.pi * math.sqrt(2)
    level = np.sqrt(1 - up * up)
    return np.stack([level * np.cos(turn), level * np.sin(turn), up], axis=1)


def dome_directions(count: int, lowest_deg: float) -> np.ndarray:
    """(count, 3) unit vectors from `lowest_deg` above the horizon to nearly the zenith."""
    return spiral_directions(count, math.sin(math.radians(lowest_deg)), _NEARLY_UP)


def orbit_directions(count: int, rings: int, lowest_deg: float, highest_deg: float) -> np.ndarray:
    """(count, 3) unit vectors on `rings` circles at heights from `lowest_deg` to `highest_deg`, ring after ring.

    The circles have as many as their length deserves, and begin at different turns.
    """
    rings = max(1, min(rings, count))
    heights = np.radians(np.linspace(lowest_deg, highest_deg, rings) if rings > 1 else [lowest_deg])
    shares = np.maximum(np.cos(heights), 1e-3)
    ends = np.rint(np.cumsum(shares) / shares.sum() * (count - rings)).astype(int)
    counts = np.diff(ends, prepend=0) + 1
    parts = []
    for ring, (height, here) in enumerate(zip(heights, counts, strict=True)):
        turn = 2 * math.pi * (np.arange(here) / here + ring * 0.5 / max(1, here))
        level = np.full(here, math.cos(height))
        parts.append(np.stack([level * np.cos(turn), level * np.sin(turn), np.full(here, math.sin(height))], axis=1))
    return np.concatenate(parts)


def distance_to_see(offsets: np.ndarray, outward: np.ndarray, slopes: tuple[float, float]) -> float:
    """How far from their center cameras must stand to see all `offsets` (P, 3), in each direction `outward` (C, 3)."""
    distance = 0.0
    for direction in outward:
        across, up, toward = (offsets @ np.array(_facing(direction))).T
        needed = np.maximum(np.abs(across) / slopes[0], np.abs(up) / slopes[1]) * MARGIN + toward
        distance = max(distance, float(needed.max()))
    return distance if distance > 0 else _OF_A_POINT


def _directions(rig: Rig) -> np.ndarray:
    if rig.kind == "ORBIT":
        return orbit_directions(rig.count, rig.rings, rig.lowest_deg, rig.highest_deg)
    if rig.kind == "SPHERE":
        return spiral_directions(rig.count, -_NEARLY_UP, _NEARLY_UP)
    return dome_directions(rig.count, rig.lowest_deg)


def _along_curve(curve: bpy.types.Object | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, 3) places at equal steps along a curve object, world frame, and (count, 3) the way ahead at each."""
    if curve is None or curve.type != "CURVE":
        raise CaptureError("No curve was chosen to go along.", "Choose a curve object as the path.")
    bare: Any = curve.data.copy()  # as a line: without the bevel, taper and extrusion that it may be drawn with
    bare.bevel_depth = bare.extrude = bare.offset = 0.0
    bare.bevel_object = bare.taper_object = None
    bare.dimensions = "3D"  # a flat curve would be filled
    line = bpy.data.objects.new("Splat Path", bare)
    try:
        mesh = line.to_mesh()
        points = np.empty(3 * len(mesh.vertices), dtype=np.float32)
        mesh.vertices.foreach_get("co", points)
        edges = np.empty(2 * len(mesh.edges), dtype=np.int32)
        mesh.edges.foreach_get("vertices", edges)
        line.to_mesh_clear()
    finally:
        bpy.data.objects.remove(line)
        bpy.data.curves.remove(bare)
    matrix = np.array(curve.matrix_world, dtype=np.float64)
    world = points.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    starts, ends = world[edges.reshape(-1, 2).T]
    lengths = np.linalg.norm(ends - starts, axis=1)
    kept = lengths > 0
    starts, ends, lengths = starts[kept], ends[kept], lengths[kept]
    if not len(lengths):
        raise CaptureError(f"The curve '{curve.name}' has no length.", "Choose a curve with two points or more.")
    before = np.concatenate([[0.0], np.cumsum(lengths)])
    is_closed = all(spline.use_cyclic_u for spline in curve.data.splines)
    marks = np.linspace(0.0, before[-1], count, endpoint=not is_closed)
    edge = np.clip(np.searchsorted(before, marks, side="right") - 1, 0, len(lengths) - 1)
    ahead = (ends - starts)[edge] / lengths[edge, None]
    return starts[edge] + ahead * (marks - before[edge])[:, None], ahead


def _place_cameras(scene, positions, looks, rig: Rig, name: str, reach: float, collection) -> list[bpy.types.Object]:
    if collection is None:
        require_local(scene)
        collection = bpy.data.collections.new(name)
        scene.collection.children.link(collection)
    lens = bpy.data.cameras.new(collection.name)
    lens.lens, lens.sensor_width, lens.sensor_fit = rig.lens_mm, SENSOR_MM, "AUTO"
    lens.clip_start, lens.clip_end = min(0.1, 0.01 * reach), max(100.0, 4 * reach)
    lens.display_size = min(0.1 * reach, 0.5 * _spacing(positions)) or 0.1
    cameras = []
    for index, (position, look) in enumerate(zip(positions, looks, strict=True)):
        item = bpy.data.objects.new(f"{name} {index:03d}", lens)
        item.matrix_world = Matrix.Translation(position) @ _facing(-look).to_4x4()
        collection.objects.link(item)
        cameras.append(item)
    return cameras


def _facing(backward: np.ndarray) -> Matrix:
    """The rotation of a camera that looks against `backward` with the world's up above."""
    return Vector(backward.tolist()).to_track_quat("Z", "Y").to_matrix()


def _spacing(positions: np.ndarray) -> float:
    """The mean distance from one camera to the next."""
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=1).mean()) if len(positions) > 1 else 1.0


def _size(positions: np.ndarray) -> float:
    return float(np.ptp(positions, axis=0).max()) / 2 or _OF_A_POINT


def _view_slopes(render: bpy.types.RenderSettings, lens_mm: float, size: tuple[int, int] | None) -> tuple[float, float]:
    """Tangents of half the horizontal and vertical angle that a camera of a rig sees."""
    width, height = size or render_size(render)
    across, down = width * render.pixel_aspect_x, height * render.pixel_aspect_y
    longer = 0.5 * SENSOR_MM / lens_mm
    return longer * across / max(across, down), longer * down / max(across, down)


def _dome_cameras(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [item for item in dome_collection(scene).objects if item.type == "CAMERA"]


def dome_collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    """The collection of the dome that belongs to Capture, made when it is missing. Raises SceneError when the scene is
    linked."""
    return ensure_collection(scene, DOME_COLLECTION)


def _fresh_collection(scene: bpy.types.Scene) -> bpy.types.Collection:
    collection = dome_collection(scene)
    for item in list(collection.objects):
        data = item.data
        bpy.data.objects.remove(item)
        if isinstance(data, bpy.types.Camera) and data.users == 0:
            bpy.data.cameras.remove(data)
    return collection
