"""Where the gaussians start. The trainer and Blender's "Show Seeds" both ask here, and so see the same."""

import math
from pathlib import Path
from typing import Protocol

import numpy as np

from ...errors import CaptureError
from ...gaussians.cloud import GaussianCloud
from ...gaussians.formats.splat_ply import read_points
from ...gaussians.harmonics import coefficient_count, color_to_sh
from ...gaussians.neighbors import distinct_points
from ..blend_space import blend_space_of
from ..capture import Capture, Points
from ..remarks import Remark
from .open_sky import MOST_JUDGED, Sky, find_sky
from .photo_colors import ReadPhoto, color_points, read_photos
from .random_points import random_points, sky_points

SEEDS_FILE = "seeds.ply"  # in a capture's folder: chosen instead of the points that it came with
THICKNESS = 0.1  # of the tangential size; thinner than that, gradients across the surface vanish
SURFACE_OPACITY = 0.5  # at least, where a surface was measured; a lone point may be wrong and starts fainter
RANDOM_COUNT = 30_000
FARTHEST = 1e6  # extents from the middle of the cameras: a point beyond is a mistake, and overflows in a picture
SKY_SHARE = 0.1  # of the other seeds
SKY_COUNTS = (2_000, 50_000)  # at least, at most


class SeedSettings(Protocol):
    """What of a `TrainConfig` decides the seeds."""

    @property
    def seeds(self) -> str: ...
    @property
    def sky_seeds(self) -> str: ...
    @property
    def seed_count(self) -> int: ...
    @property
    def max_gaussians(self) -> int: ...
    @property
    def seed_opacity(self) -> float: ...
    @property
    def sh_degree(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def blend_space(self) -> str: ...


def first_gaussians(
    capture: Capture, settings: SeedSettings, read_photo: ReadPhoto, moved_by: np.ndarray | None = None
) -> tuple[GaussianCloud, list[Remark]]:
    """The gaussians that training on `capture` starts from, and what the user should know.

    Photos are decoded by `read_photo` only when something is asked of them, each once. With `moved_by`, a (4, 4)
    similarity, the gaussians are those of the capture in a world that it has scaled and shifted.
    """
    notes = []
    measured = chosen_points(capture)
    if moved_by is not None:
        capture = capture.moved(moved_by)
        measured = None if measured is None else measured.moved(moved_by)
    if measured is not None:
        measured = within_reach(measured, capture)
    points = None if settings.seeds == "random" else measured
    if points is None and settings.seeds != "random":
        notes.append(
            Remark(
                "The capture has no points: training starts from random places that the cameras see.",
                "Points of the surfaces make a better start: sample seeds from meshes, or add points3d.ply.",
                is_warning=True,
            )
        )
    sky, judged = Sky(settings.sky_seeds == "on", ""), {}
    if settings.sky_seeds == "auto":
        views = capture.training_views
        judged = {view.image_path: read_photo(view) for view in views[:: -(-len(views) // MOST_JUDGED) or 1]}
        sky = find_sky(measured, [photo for photo in judged.values() if photo is not None])
    wants_photos = points is None or sky.is_seen or bool(np.isnan(points.colors).any())
    photos = []
    if wants_photos:
        photos = read_photos(
            capture.training_views,
            lambda view: judged[view.image_path] if view.image_path in judged else read_photo(view),
        )
    if points is None:
        count = min(settings.max_gaussians, settings.seed_count or RANDOM_COUNT)
        points = random_points(capture, photos, count, settings.seed)
    if wants_photos:
        points = Points(points.positions, color_points(points, photos), points.normals)
    shell = None
    if sky.is_seen:
        least, most = SKY_COUNTS
        count = round(SKY_SHARE * min(len(points.positions), settings.max_gaussians))
        shell = sky_points(capture, points, photos, min(max(count, least), most))
        if len(shell.positions) == 0:
            sky, shell = Sky(False, "too little is seen past all points"), None
    if settings.sky_seeds == "on" and not sky.is_seen:
        notes.append(
            Remark("No sky is seen in the photos, and no sky was added.", "Set Sky Seeds to Off.", is_warning=True)
        )
    if settings.sky_seeds == "auto":
        notes.append(sky.remark)
    return gaussians_from_points(points, settings, capture.folder, shell), notes


def gaussians_from_points(
    points: Points, settings: SeedSettings, capture: Path | None = None, sky: Points | None = None
) -> GaussianCloud:
    """One gaussian per point, without doubled points, as many as `settings` allow, in the blend space of a training on
    the folder `capture`, or on the scene once it is captured (see `blend_space_of`). Raises CaptureError: no points.

    The points of a `sky`, at most half of all, are far apart: where others are doubled is not measured with them.
    """
    count_limit = min(settings.max_gaussians, settings.seed_count or settings.max_gaussians)
    parts = []
    if sky is not None and count_limit > 1:
        parts.append(thin_out(sky, count_limit // 2, settings.seed))
    parts.insert(0, thin_out(points, count_limit - sum(len(spacing) for _, spacing in parts), settings.seed))
    points, spacing = joined([part for part, _ in parts]), np.concatenate([spacing for _, spacing in parts])
    blend_space = blend_space_of(settings.blend_space, capture)
    return gaussians_at(points, spacing, settings.seed_opacity, settings.sh_degree, blend_space)


def chosen_points(capture: Capture) -> Points | None:
    """The seeds that were chosen for this capture, else the points that it came with; None when it has neither."""
    file = Path(capture.folder) / SEEDS_FILE
    points = Points(*read_points(file)) if file.is_file() else capture.points
    return points if points is not None and len(points.positions) else None


def within_reach(points: Points, capture: Capture) -> Points:
    """The points without those that lie absurdly far from the cameras."""
    with np.errstate(over="ignore", invalid="ignore"):
        distances = np.linalg.norm(np.asarray(points.positions, np.float64) - capture.center, axis=1)
    is_near = distances <= FARTHEST * capture.extent
    if is_near.all():
        return points
    normals = None if points.normals is None else points.normals[is_near]
    return Points(points.positions[is_near], points.colors[is_near], normals)


def joined(parts: list[Points]) -> Points:
    """All points in one; normals are zero where a part has none."""
    normals = None
    if any(part.normals is not None for part in parts):
        normals = np.concatenate(
            [np.zeros_like(part.positions) if part.normals is None else part.normals for part in parts]
        )
    return Points(
        np.concatenate([part.positions for part in parts]), np.concatenate([part.colors for part in parts]), normals
    )


def thin_out(points: Points, count_limit: int, seed: int) -> tuple[Points, np.ndarray]:
    """The points without doubled ones, at most `count_limit` of them, and their spacing (P,).

    Doubled points go before spacing is measured, since between them there is none.
    Raises CaptureError when no point is left.
    """
    kept, spacing = distinct_points(points.positions)
    if len(kept) == 0:
        raise CaptureError("The capture has no points to start from.", "Capture a scene with surfaces in it.")
    if len(kept) > count_limit:
        kept = np.sort(np.random.default_rng(seed).choice(kept, count_limit, replace=False))
        again, spacing = distinct_points(points.positions[kept])
        kept = kept[again]
    normals = None if points.normals is None else points.normals[kept]
    return Points(points.positions[kept], points.colors[kept], normals), spacing


def gaussians_at(
    points: Points, spacing: np.ndarray, opacity: float, sh_degree: int, blend_space: str
) -> GaussianCloud:
    """One gaussian at each point, sized by its `spacing` (P,).

    Points with normals become discs of `THICKNESS` in their surface (as surfels, Pfister et al. 2000), others spheres
    (Kerbl et al. 2023, section 5). Colors that are not known become mid gray.
    """
    positions = np.asarray(points.positions, dtype=np.float64)
    count = len(positions)
    log_scales = np.repeat(np.log(spacing)[:, None], 3, axis=1)
    quaternions = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    opacities = np.full(count, opacity)
    if points.normals is not None:
        normals = np.asarray(points.normals, dtype=np.float64)
        is_surface = np.any(normals, axis=1)
        log_scales[is_surface, 2] += math.log(THICKNESS)
        opacities[is_surface] = max(opacity, SURFACE_OPACITY)
        quaternions[is_surface] = quaternions_to_normals(normals[is_surface])
    colors = np.asarray(points.colors, dtype=np.float64)
    sh = np.zeros((count, coefficient_count(sh_degree), 3))
    sh[:, 0] = color_to_sh(np.where(np.isfinite(colors), colors, 0.5))
    return GaussianCloud(positions, log_scales, quaternions, np.log(opacities / (1 - opacities)), sh, blend_space)


def quaternions_to_normals(normals: np.ndarray) -> np.ndarray:
    """(P, 4) unit quaternions w, x, y, z that turn the +z axis to unit `normals` (P, 3) on the shortest way."""
    quaternions = np.stack([1 + normals[:, 2], -normals[:, 1], normals[:, 0], np.zeros(len(normals))], axis=1)
    opposite = quaternions[:, 0] < 1e-9
    quaternions[opposite] = (0.0, 1.0, 0.0, 0.0)
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
