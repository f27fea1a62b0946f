"""The gaussians that a run starts from: given splats, or seeds on the capture."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..capture.blend_space import blend_space_of
from ..capture.capture import Capture, Points
from ..capture.seeds.first_gaussians import (
    SKY_COUNTS,
    SURFACE_OPACITY,
    chosen_points,
    first_gaussians,
    gaussians_at,
    within_reach,
)
from ..capture.seeds.open_sky import MOST_JUDGED, find_sky
from ..capture.seeds.photo_colors import Photo as SeedPhoto
from ..capture.seeds.photo_colors import ReadPhoto, read_photos, read_seed_photo, reduced_photo
from ..capture.seeds.random_points import sky_points, sky_radius_unit
from ..gaussians.closed_mesh import ClosedMesh, read_volume
from ..gaussians.cloud import GaussianCloud
from ..gaussians.formats.splat_ply import SplatPly, read_splats
from ..gaussians.harmonics import coefficient_count
from ..gaussians.neighbors import point_spacing
from ..gaussians.transform import joined
from ..inspection.surfaces import are_away
from ..run.config import TrainConfig
from ..run.events import Decided, Warned
from ..run.wording import counted
from .densify.cleared import ClearedSpace
from .densify.limits import Limits, Space, Volume
from .photos.decoding import decode
from .photos.photo import Photo
from .photos.store import Photos
from .training_frame import WORLD, TrainingFrame

SOLID = 0.1  # of opacity: fainter splats hide no sky
FAR = 4.0  # radii of cameras and points: what lies beyond is a sky
GAP = 1.5  # spacings of the shell: a wider gap in a sky is filled
COVERED = 0.25  # of the sky that is seen: where far splats cover as much, in radians squared, there is one


def first_cloud(
    capture: Capture, config: TrainConfig, frame: TrainingFrame = WORLD, photos: Photos | None = None
) -> tuple[GaussianCloud, list[Warned | Decided]]:
    """What training starts from, in the `frame` and the blend space of the run, with what the user should know.

    Colors come from `photos`, which are loaded in that frame; without them, photos are decoded for it.
    Raises SplatError.
    """
    if not config.init_splats:
        cloud, notes = first_gaussians(capture, config, _reader(photos), frame.training_from_world)
        about = [(Warned if note.is_warning else Decided)(note.text, note.remedy) for note in notes]
        return replace(cloud, antialiased=is_antialiased(config)), about
    cloud = read_splats(Path(config.init_splats), frame.origin)
    cloud = cloud.select(cloud.finite())
    sh = np.zeros((len(cloud), coefficient_count(config.sh_degree), 3), dtype=np.float32)
    kept = min(sh.shape[1], cloud.sh.shape[1])
    sh[:, :kept] = cloud.sh[:, :kept]
    blend_space = blend_space_of(config.blend_space, capture.folder)
    cloud = replace(cloud, sh=sh, blend_space=blend_space, antialiased=is_antialiased(config))
    told: list[Warned | Decided] = [Warned(*remark) for remark in SplatPly(Path(config.init_splats)).remarks]
    cloud = frame.from_origin(cloud)
    if config.cleared_splats and len(cloud):
        sky = sky_behind(cloud, capture, frame, config, _reader(photos))
        if len(sky):
            cloud = joined([cloud, sky])
            told.append(
                Decided(f"{counted(len(sky))} splats on a far shell stand for sky that floaters or no photos showed.")
            )
    return cloud, told


def sky_behind(
    cloud: GaussianCloud, capture: Capture, frame: TrainingFrame, config: TrainConfig, read_photo: ReadPhoto
) -> GaussianCloud:
    """Splats on a far shell where photos see past all of `cloud`, which is in `frame`, and from which floaters were
    deleted. Floaters that showed the sky, or walls without any seeds, leave holes that nothing near may fill. None
    where measured points tell that photos show no sky, as in a room; where there is a sky already, its gaps alone."""
    nothing, solid = cloud.select(slice(0, 0)), cloud.select(cloud.opacities > SOLID)
    measured, capture = chosen_points(capture), capture.moved(frame.training_from_world)
    photos = read_photos(capture.training_views, read_photo)
    if measured is None:
        measured = Points(solid.means.astype(np.float64), np.zeros((len(solid), 3)))
    else:
        measured = within_reach(measured.moved(frame.training_from_world), capture)
        if not find_sky(measured, photos[:: -(-len(photos) // MOST_JUDGED) or 1]).is_seen:
            return nothing
    cameras = [view.camera for view in capture.training_views]
    center = np.mean([camera.position for camera in cameras], axis=0)
    away = np.linalg.norm(solid.means - center, axis=1)
    is_far = away > FAR * sky_radius_unit(cameras, measured, center)
    near = solid.select(~is_far)
    points = Points(near.means.astype(np.float64), np.zeros((len(near), 3)))
    shell = sky_points(capture, points, photos, SKY_COUNTS[0], behind_all=True)
    if len(shell.positions) < 4:
        return nothing
    spacing = point_spacing(shell.positions)
    distances = np.linalg.norm(shell.positions - center, axis=1)
    wanted = (spacing / distances) ** 2
    sizes = np.sort(solid.scales[is_far], axis=1)
    sky = gaussians_at(shell, spacing, SURFACE_OPACITY, config.sh_degree, cloud.blend_space)
    if (2 * np.pi * sizes[:, 1] * sizes[:, 2] / away[is_far] ** 2).sum() > COVERED * wanted.sum():
        # only the gaps that no photo shows: what covered them may just have been deleted
        is_unseen = np.any(shell.normals, axis=1)
        towards = (shell.positions - center) / distances[:, None]
        there = (solid.means[is_far] - center) / away[is_far, None]
        apart = GAP * float(np.median((spacing / distances)[is_unseen])) if is_unseen.any() else np.inf
        sky = sky.select(is_unseen & are_away(towards, there, apart))
    return replace(sky, antialiased=cloud.antialiased)


def is_antialiased(config: TrainConfig) -> bool:
    """Whether a run trains antialiased: as it is told, else as the splats that it starts from were. Raises
    SplatFileError when those cannot be read."""
    if config.antialiased != "auto":
        return config.antialiased == "on"
    return bool(config.init_splats) and SplatPly(Path(config.init_splats)).antialiased


def limits_of(config: TrainConfig, kept: GaussianCloud, frame: TrainingFrame = WORLD) -> Limits:
    """What the settings say about places, in the `frame` of the run: nothing may be in the empty volume, nor where the
    deleted splats were and none of `kept` are; only the inside of the trained volume trains. Raises SplatFileError."""
    empty: list[Space] = []
    if config.cleared_splats:
        deleted = read_splats(Path(config.cleared_splats), frame.origin)
        deleted = deleted.select(deleted.finite())
        if len(deleted):
            empty.append(ClearedSpace(frame.from_origin(deleted), kept))
    if config.empty_volume:
        empty.append(_volume(Path(config.empty_volume), frame))
    return Limits(tuple(empty), _volume(Path(config.trained_volume), frame) if config.trained_volume else None)


def _volume(path: Path, frame: TrainingFrame) -> Volume:
    mesh = read_volume(path)
    return Volume(ClosedMesh((mesh.vertices - frame.origin) / frame.unit, mesh.triangles))


def kind_of_seeds(capture: Capture, config: TrainConfig) -> str:
    """For tables: "splats", "random", "surface" (points with normals) or "points"."""
    if config.init_splats:
        return "splats"
    points = None if config.seeds == "random" else chosen_points(capture)
    if points is None:
        return "random"
    return "surface" if points.normals is not None else "points"


def _of_loaded(photo: Photo) -> SeedPhoto:
    pixels = photo.rgb.numpy()
    if photo.alpha is not None:
        pixels = np.concatenate([pixels, photo.alpha.numpy()[..., None]], axis=2)
    return reduced_photo(photo.camera, pixels, None if photo.mask is None else photo.mask.numpy() != 0)


def _reader(photos: Photos | None) -> ReadPhoto:
    """Takes what is loaded already, so that no photo is decoded twice."""
    if photos is None:
        return lambda view: read_seed_photo(view, decode)
    loaded = {photo.name: photo for photo in photos.training}
    return lambda view: _of_loaded(loaded[view.name]) if view.name in loaded else None
