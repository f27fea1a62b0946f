"""What training starts from: put into a capture, and shown as splats."""

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from ...capture.capture import Points
from ...capture.choices import choices_of
from ...capture.formats.transforms import is_own_capture
from ...capture.points import POINTS_FILE
from ...capture.seeds.first_gaussians import SEEDS_FILE, first_gaussians, gaussians_from_points
from ...errors import CaptureError, RunError
from ...files import remove_file
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.splat_ply import write_points
from ...gaussians.origin import origin_for
from ...run.config import TrainConfig
from ..own_data import is_local
from ..photos.photo_capture import find_root
from ..photos.pixels import open_settled, seed_photo
from ..splats.appearance import show_splats
from ..splats.box_modifier import hand_over
from ..splats.data import Origin, is_splats, replace_splats, splat_collection, splats_to_object
from .capture_folder import is_capture

SEEDS_KEY = "splat_seeds"  # on the object that shows them
OBJECT_NAME = "Seeds"


def write(scene: bpy.types.Scene, folder: Path, points: Points) -> Path:
    """Let training on the capture in `folder` start from `points` (world frame); returns the file.

    A capture of a scene has its points replaced; what photos came with stays, and `seeds.ply` is put next to it.
    """
    if not is_capture(folder):
        raise CaptureError(f"{folder} holds no capture yet.", "Capture the scene first.")
    points = _in_capture(points, find_root(scene, folder))
    path = folder / (POINTS_FILE if is_own_capture(folder) else SEEDS_FILE)
    write_points(path, points.positions, points.colors, points.normals)
    return path


def has_chosen_seeds(folder: Path) -> bool:
    """Whether seeds were put next to the points that a capture came with."""
    return (folder / SEEDS_FILE).is_file()


def forget(folder: Path) -> None:
    """Let training start from the capture's own points again."""
    try:
        remove_file(folder / SEEDS_FILE)
    except OSError as error:
        raise CaptureError(
            f"{folder / SEEDS_FILE} cannot be removed ({error.strerror}).", "Make the folder writable for you."
        ) from error


def first_splats(config: TrainConfig) -> tuple[GaussianCloud, Origin, list[str]]:
    """The splats that training with `config` starts from, in the capture's frame, what their positions count from
    there, and sentences for the user."""
    if config.init_splats:
        raise RunError(f"Training starts from {config.init_splats}, not from seeds.", "Clear Init Splats to use seeds.")
    capture = open_settled(Path(config.capture), config.hold_out_every, choices=choices_of(config))
    places = np.stack([view.camera.position for view in capture.views])
    if capture.points is not None and len(capture.points.positions):
        places = capture.points.positions
    origin = origin_for(np.asarray(places, dtype=np.float64))
    counted_from = np.eye(4)
    counted_from[:3, 3] -= origin or 0.0
    cloud, notes = first_gaussians(capture, config, seed_photo, counted_from if origin else None)
    cloud = replace(cloud, antialiased=config.antialiased == "on")
    return _without_harmonics(cloud), origin, [note.told for note in notes]


def splats_at(points: Points, config: TrainConfig) -> tuple[GaussianCloud, list[str]]:
    """The splats that training would start from if `points` were captured now. Photos cannot be asked yet."""
    cloud = _without_harmonics(gaussians_from_points(points, config))
    cloud = replace(cloud, antialiased=config.antialiased == "on")
    if not np.isnan(points.colors).any():
        return cloud, []
    return cloud, ["Where only photos can tell the color, seeds are gray until the scene is captured."]


def show(scene: bpy.types.Scene, cloud: GaussianCloud, folder: Path | None, origin: Origin = None) -> bpy.types.Object:
    """Show seeds, whose positions count from `origin`, as the scene's one object for them, below the root of the photo
    capture in `folder` if it is open."""
    item = shown_seeds(scene)
    if item is None:
        item = splats_to_object(cloud, OBJECT_NAME, splat_collection(scene), origin)
        item[SEEDS_KEY] = True
    else:
        replace_splats(item, cloud, origin)
    item.parent = find_root(scene, folder) if folder is not None else None
    show_splats(item, scene)
    hand_over(scene)
    return item


def shown_seeds(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The scene's own object that shows seeds, if there is one."""
    return next((item for item in scene.objects if item.get(SEEDS_KEY) and is_local(item) and is_splats(item)), None)


def _in_capture(points: Points, root: bpy.types.Object | None) -> Points:
    """World points in the frame of the capture below `root`."""
    if root is None:
        return points
    matrix = np.array(root.matrix_world.inverted(), dtype=np.float64)
    normals = points.normals
    if normals is not None:
        normals = normals @ np.linalg.inv(matrix[:3, :3])
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    return Points(points.positions @ matrix[:3, :3].T + matrix[:3, 3], points.colors, normals)


def _without_harmonics(cloud: GaussianCloud) -> GaussianCloud:
    """Only the base color: all else is zero in seeds."""
    return replace(cloud, sh=cloud.sh[:, :1])
