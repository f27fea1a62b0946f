"""Cameras that only the copy has: for views off the path of a capture's cameras, whose truth is rendered.

They are chosen here, where nobody waits, by what the splats show; and where all that is rendered is evaluated, it is
seen which of them stand free. Some photos of the capture are rendered once more: another scene would be no truth.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from ...capture.camera import Camera
from ...capture.photos.alike import differing_blocks, place_of
from ...capture.photos.values import to_bytes
from ...errors import CaptureError
from ...gaussians.formats.splat_ply import SplatPly, read_splats
from ...inspection.trust.coverage import cover
from ...inspection.trust.outside import views_outside
from ...run.render_folder import OutsidePlan, Placed, RenderPlan, Shot
from ..cameras.conversion import apply_camera
from ..cameras.rigs import spiral_directions
from ..photos.pixels import decode
from ..splats.hidden_source import rendered_objects
from .kept_images import evaluate_what_renders

FAR_AS = 20.0  # in reaches: what is rendered at least, where the scene has no camera
NEAR, AROUND = 0.2, 0.05  # of the reach: no surface is nearer in the picture, but for few rays, and on any side
FEW = 0.05  # of the rays
ACROSS, DOWN, SIDES = 9, 7, 24  # rays in the picture, and all around
LOOKING = 8  # training cameras, the nearest, of which one has a clear line to it
MOST_HITS = 16  # of what no camera sees, along one ray
FEW_SAMPLES = 64  # of a view that is only compared
NAME = "Splat Outside"
RESTORE = "Put it back as it was; else capture the scene again, and train on that."


def placed(camera: Camera) -> Placed:
    """A camera as a plan has it."""
    matrix = tuple(float(number) for number in camera.camera_from_world.flat)
    return Placed(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, matrix)


def choose(outside: OutsidePlan, splats: Path) -> tuple[list[Camera], float]:
    """Cameras off the path, the best first, and the reach: the median depth of what the training cameras see. Raises
    CaptureError when there are none, SplatFileError when the file of splats cannot be read."""
    origin = SplatPly(splats).origin()
    shift = np.eye(4)
    shift[:3, 3] = origin or (0.0, 0.0, 0.0)
    cameras = [_camera(placed).moved(np.linalg.inv(shift)) for placed in outside.trained]
    coverage = cover(read_splats(splats, origin), cameras)
    seen = [coverage.around(camera).seen.depths for camera in cameras]
    depths = np.array([np.median(each) if len(each) else np.nan for each in seen])
    if not np.isfinite(depths).any():
        raise CaptureError(
            "No camera of the capture sees these splats.", "Choose the capture that they were trained on."
        )
    reaches = np.nan_to_num(depths, nan=float(np.nanmedian(depths)))
    found = views_outside(coverage, cameras, reaches, outside.count)
    if not found:
        raise CaptureError(
            "No view lies off the path of the photos and shows what they show.",
            "They see it from all sides: the held-out views tell enough.",
        )
    return [camera.moved(shift) for camera in found], coverage.reach


def put_cameras(
    scene: bpy.types.Scene, plan: RenderPlan, outside: OutsidePlan, found: list[Camera], reach: float
) -> tuple[RenderPlan, tuple[Shot, ...]]:
    """Put those of the cameras that were found into the copy which stand free, as many as are wanted: in sight of a
    training camera's place, and no surface is too near. The plan with their shots, and the shots of the capture's
    photos, beside them. The scene must be the context's. Raises CaptureError when none stands free."""
    layer: Any = bpy.context.view_layer
    scene_cameras = [item for item in scene.objects if item.type == "CAMERA"]
    free = _FreeSpace(scene, layer, [_camera(placed).position for placed in outside.trained], reach)
    chosen: list[Camera] = []
    for camera in found:
        if len(chosen) < outside.count and free.holds(camera):
            chosen.append(camera)
    if not chosen:
        raise CaptureError(
            "No view off the path stands free: surfaces are in the way of all that were tried.",
            "Capture the scene from fewer sides, or from farther away.",
        )
    frame = plan.shots[0].frame

    def put(camera: Camera, name: str, photo: str) -> Shot:
        item = bpy.data.objects.new(f"{NAME} {name}", bpy.data.cameras.new(NAME))
        scene.collection.objects.link(item)
        apply_camera(item, camera, scene.render)
        _clip(item.data, camera.position, scene_cameras, reach)
        return Shot(photo, item.name_full, frame, is_held_out=True)

    compared = [
        put(_camera(camera), f"Photo {number}", f"photo_{number}.png")
        for number, (_, camera) in enumerate(outside.photos, start=1)
    ]
    shots = [
        put(camera, f"{number:03d}", f"images/outside_{number:03d}.png")
        for number, camera in enumerate(chosen, start=1)
    ]
    layer.update()
    return replace(plan, shots=tuple(shots)), tuple(compared)


@contextmanager
def few_samples(scene: bpy.types.Scene) -> Iterator[None]:
    """Meanwhile, the scene renders with no more samples than it takes to see what it shows."""
    is_cycles = scene.render.engine == "CYCLES"
    owner: Any = getattr(scene, "cycles" if is_cycles else "eevee", None)
    name = "samples" if is_cycles else "taa_render_samples"
    before = getattr(owner, name, 0)
    if before > FEW_SAMPLES:
        setattr(owner, name, FEW_SAMPLES)
    try:
        yield
    finally:
        if before > FEW_SAMPLES:
            setattr(owner, name, before)


def require_same(outside: OutsidePlan, rendered: list[Path]) -> None:
    """Raise CaptureError unless views that were rendered now are what the photos of the capture show."""
    different: list[tuple[int, str, str]] = []
    for (photo, _), now in zip(outside.photos, rendered, strict=True):
        before, after = _pixels(Path(photo)), _pixels(now)
        if before.shape[:2] != after.shape[:2]:
            raise CaptureError(f"{photo}, a photo of the capture, has another size than when it was captured.", RESTORE)
        found = differing_blocks(before, after)
        if found.any():
            different.append((int(found.sum()), Path(photo).name, place_of(found)))
    if not different:
        return
    different.sort(key=lambda each: -each[0])
    raise CaptureError(
        f"The scene is not what {different[0][1]} of the capture shows {different[0][2]}: {len(different)} of"
        f" {len(outside.photos)} photos differ.",
        "Go back to what was captured, its frame and engine; else capture again what holds still, and train on that.",
    )


class _FreeSpace:
    """Where cameras can stand among all that is rendered but splats."""

    def __init__(self, scene: bpy.types.Scene, layer: bpy.types.ViewLayer, seen_from: list[np.ndarray], reach: float):
        evaluate_what_renders(layer)
        rendered = set(rendered_objects(layer))
        for item in scene.objects:
            item.hide_viewport = item.hide_viewport or item not in rendered
        layer.update()
        self._scene, self._depsgraph, self._reach = scene, bpy.context.evaluated_depsgraph_get(), reach
        self._seen_from = np.array(seen_from)

    def holds(self, camera: Camera) -> bool:
        """Whether nothing is right before `camera`, nor between it and one at least of the nearest training cameras,
        wherever that looks."""
        place, reach = camera.position, self._reach
        if any(self._is_hit(place, way, AROUND * reach) for way in spiral_directions(SIDES, -0.98, 0.98)):
            return False
        across, down = np.meshgrid((np.arange(ACROSS) + 0.5) / ACROSS, (np.arange(DOWN) + 0.5) / DOWN)
        slopes = np.stack(
            [
                (across.ravel() * camera.width - camera.cx) / camera.fx,
                (down.ravel() * camera.height - camera.cy) / camera.fy,
                np.ones(across.size),
            ],
            axis=1,
        )
        rays = slopes @ camera.camera_from_world[:3, :3]
        lengths = np.linalg.norm(rays, axis=1)
        ways = zip(rays / lengths[:, None], lengths, strict=True)
        if sum(self._is_hit(place, way, NEAR * reach * length) for way, length in ways) > FEW * len(rays):
            return False
        away = self._seen_from - place
        distances = np.linalg.norm(away, axis=1)
        nearest = np.argsort(distances)[:LOOKING]
        return any(self._is_seen_from(place, away[number], float(distances[number])) for number in nearest)

    def _is_seen_from(self, place: np.ndarray, away: np.ndarray, distance: float) -> bool:
        return distance == 0 or not self._is_hit(place, away / distance, distance)

    def _is_hit(self, place: np.ndarray, way: np.ndarray, distance: float) -> bool:
        """Whether a surface that cameras see is nearer than `distance` in the direction `way`."""
        start, direction, left = Vector(place.tolist()), Vector(way.tolist()), distance
        for _ in range(MOST_HITS):
            hit: Any = self._scene.ray_cast(self._depsgraph, start, direction, distance=left)
            is_hit, where, _, _, item, _ = hit
            if not is_hit or item is None or item.visible_camera:
                return bool(is_hit)
            step = (where - start).length + 1e-4 * self._reach
            start, left = start + step * direction, left - step
            if left <= 0:
                return False
        return True


def _camera(camera: Placed) -> Camera:
    matrix = np.array(camera.camera_from_world).reshape(4, 4)
    return Camera(camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, matrix)


def _clip(lens: Any, place: np.ndarray, others: list[bpy.types.Object], reach: float) -> None:
    """What is near and far for the scene's nearest camera is so for this one."""
    lens.clip_start, lens.clip_end = min(0.1, 0.01 * reach), max(100.0, FAR_AS * reach)
    if others:
        nearest: Any = min(others, key=lambda item: (item.matrix_world.translation - Vector(place.tolist())).length)
        lens.clip_start, lens.clip_end = nearest.data.clip_start, nearest.data.clip_end


def _pixels(path: Path) -> np.ndarray:
    """(H, W, C) bytes as displayed. Raises CaptureError."""
    try:
        return to_bytes(decode(path).pixels)[0]
    except CaptureError as error:
        raise CaptureError(f"{path}, a photo of the capture, cannot be decoded.", RESTORE) from error
