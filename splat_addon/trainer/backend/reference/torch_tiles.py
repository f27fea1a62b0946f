"""The rasterizer in plain PyTorch, tile by tile: written to be read, on any device, gradients by autograd.

It follows Kerbl et al. 2023, section 6, step by step: project, sort by depth, list the gaussians of each 16 x 16 tile,
blend front to back. Tiles with lists of similar length are blended together as one padded batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ....capture.camera import Camera
from ....gaussians.cloud import DISPLAY
from ....gaussians.rules import DEFAULT_RULES, PictureRules
from ..blend_space import decode_srgb, encode_srgb, is_linear
from ..plain import PlainSteps
from ..protocol import Gaussians, Rendering
from ..quaternions import quaternion_matrices

TILE_PX = 16
BATCH_ELEMENTS = 3_000_000  # gaussian-pixel pairs blended at once: bounds the memory of autograd's records


class Projected(NamedTuple):
    """Gaussians on the screen; M of the N given ones are in front of the camera and touch the image."""

    indices: Tensor  # (M,) which of the given gaussians, nearest first
    means_px: Tensor  # (M, 2)
    conics: Tensor  # (M, 3) upper triangle (xx, xy, yy) of the inverse 2D covariance, 1/px^2
    opacities: Tensor  # (M,)
    colors: Tensor  # (M, 3) display-encoded, or decoded where they are blended in linear light
    depths: Tensor  # (M,)
    extents_px: Tensor  # (M, 2) half sizes of the box outside of which alpha stays below the cut-off


class TorchTilesRasterizer(PlainSteps):
    """The `Rasterizer` protocol in plain PyTorch: a second witness for the compiled backends, and what they are
    measured against."""

    def __init__(self, device: torch.device, rules: PictureRules = DEFAULT_RULES, blend_space: str = DISPLAY):
        self.name = f"torch-{device.type}"
        self.device = device
        self.rules = rules
        self.blend_space = blend_space
        self._in_linear_light = is_linear(blend_space)

    def render(
        self,
        gaussians: Gaussians,
        camera: Camera,
        background: Tensor,
        *,
        sh_degree: int,
        screen_offsets_px: Tensor | None = None,
        with_depth: bool = False,
    ) -> Rendering:
        """See `Rasterizer.render`."""
        projected, radii_px = project(gaussians, camera, sh_degree, screen_offsets_px, self.rules)
        if self._in_linear_light:
            projected = projected._replace(colors=decode_srgb(projected.colors))
            background = decode_srgb(background)
        tiles_across = -(-camera.width // TILE_PX)
        tiles_down = -(-camera.height // TILE_PX)
        tile_of_entry, entries = list_tiles(projected, tiles_across, tiles_down)
        channels = blend_tiles(projected, tile_of_entry, entries, tiles_across, tiles_across * tiles_down, self.rules)
        canvas = channels.view(tiles_down, tiles_across, TILE_PX, TILE_PX, 5).permute(0, 2, 1, 3, 4)
        canvas = canvas.reshape(tiles_down * TILE_PX, tiles_across * TILE_PX, 5)[: camera.height, : camera.width]
        alpha = canvas[..., 3]
        image = canvas[..., :3] + (1 - alpha)[..., None] * background
        if self._in_linear_light:
            image = encode_srgb(image)
        depth = torch.where(alpha > 0, canvas[..., 4] / alpha.clamp_min(1e-12), torch.zeros_like(alpha))
        return Rendering(image, alpha, depth, radii_px)


def project(
    gaussians: Gaussians, camera: Camera, sh_degree: int, screen_offsets_px: Tensor | None, rules: PictureRules
) -> tuple[Projected, Tensor]:
    """Steps 1 to 4 of the forward process, nearest first; and the radii (N,) of all given gaussians in pixels."""
    like = gaussians.means
    camera_from_world = torch.as_tensor(camera.camera_from_world, dtype=like.dtype, device=like.device)
    rotation, translation = camera_from_world[:3, :3], camera_from_world[:3, 3]
    all_points = gaussians.means @ rotation.T + translation
    in_front = torch.nonzero(all_points[:, 2].detach() > rules.near_plane)[:, 0]
    points = all_points[in_front]
    x, y, z = points.unbind(1)

    covariances_3d = covariance_from_quaternion(gaussians.quaternions[in_front], gaussians.log_scales[in_front])
    slope_x = (x / z).clamp(*rules.slope_limits(camera.width, camera.fx, camera.cx))
    slope_y = (y / z).clamp(*rules.slope_limits(camera.height, camera.fy, camera.cy))
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [
            torch.stack([camera.fx / z, zero, -camera.fx * slope_x / z], dim=1),
            torch.stack([zero, camera.fy / z, -camera.fy * slope_y / z], dim=1),
        ],
        dim=1,
    )
    screen_from_world = jacobian @ rotation
    covariances_2d = screen_from_world @ covariances_3d @ screen_from_world.transpose(1, 2)
    a = covariances_2d[:, 0, 0] + rules.dilation_px2
    b = covariances_2d[:, 0, 1]
    c = covariances_2d[:, 1, 1] + rules.dilation_px2
    determinant = (a * c - b * b).clamp_min(1e-12)
    conics = torch.stack([c, -b, a], dim=1) / determinant[:, None]

    means_px = torch.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], dim=1)
    if screen_offsets_px is not None:
        means_px = means_px + screen_offsets_px[in_front]
    opacities = torch.sigmoid(gaussians.logit_opacities[in_front])
    position = torch.as_tensor(camera.position, dtype=like.dtype, device=like.device)
    directions = torch.nn.functional.normalize(gaussians.means[in_front] - position, dim=1)
    colors = colors_from_sh(gaussians.sh[in_front], directions, sh_degree)

    with torch.no_grad():
        # alpha = opacity exp(-r^2 / 2) reaches the cut-off at r = sqrt(2 ln(opacity / cut-off)) sigma
        reach = torch.sqrt(2 * torch.log((opacities / rules.alpha_cutoff).clamp_min(1.0)))
        extents_px = reach[:, None] * torch.sqrt(torch.stack([a, c], dim=1))
        size = torch.tensor([camera.width, camera.height], dtype=like.dtype, device=like.device)
        touches = ((means_px + extents_px > 0) & (means_px - extents_px < size)).all(dim=1)
        touches &= opacities > rules.alpha_cutoff
        kept = torch.nonzero(touches)[:, 0]
        kept = kept[torch.argsort(z[kept], stable=True)]
        longer_variance = (a + c) / 2 + torch.sqrt(((a - c) / 2) ** 2 + b * b)
        radii_px = torch.zeros(len(like), dtype=like.dtype, device=like.device)
        radii_px[in_front[kept]] = torch.ceil(3 * torch.sqrt(longer_variance[kept]))
    projected = Projected(
        in_front[kept], means_px[kept], conics[kept], opacities[kept], colors[kept], z[kept], extents_px[kept]
    )
    return projected, radii_px


def covariance_from_quaternion(quaternions: Tensor, log_scales: Tensor) -> Tensor:
    """(N, 3, 3) world covariances R S S^T R^T of quaternions (N, 4) w x y z, any length, and log sigmas (N, 3)."""
    scaled = quaternion_matrices(quaternions) * torch.exp(log_scales)[:, None, :]
    return scaled @ scaled.transpose(1, 2)


def colors_from_sh(sh: Tensor, directions: Tensor, degree: int) -> Tensor:
    """(N, 3) display-encoded colors of coefficients (N, K, 3) seen along unit `directions` (N, 3); never below 0."""
    x, y, z = directions.unbind(1)
    values = [torch.full_like(x, 0.28209479177387814)]
    if degree >= 1:
        values += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        values += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (2 * zz - xx - yy),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (xx - yy),
        ]
    if degree >= 3:
        values += [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (4 * zz - xx - yy),
            0.3731763325901154 * z * (2 * zz - 3 * xx - 3 * yy),
            -0.4570457994644658 * x * (4 * zz - xx - yy),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ]
    count = min(len(values), sh.shape[1])
    harmonics = torch.stack(values[:count], dim=1)
    return (torch.einsum("nk,nkc->nc", harmonics, sh[:, :count]) + 0.5).clamp_min(0.0)


@torch.no_grad()
def list_tiles(projected: Projected, tiles_across: int, tiles_down: int) -> tuple[Tensor, Tensor]:
    """Which gaussians touch which tile: (E,) tile numbers, ascending, and (E,) rows of `projected`, nearest first."""
    limits = torch.tensor([tiles_across, tiles_down], device=projected.means_px.device)
    first = ((projected.means_px - projected.extents_px) / TILE_PX).floor().long().clamp_min(0).minimum(limits)
    last = ((projected.means_px + projected.extents_px) / TILE_PX).ceil().long().clamp_min(0).minimum(limits)
    spans = (last - first).clamp_min(0)
    counts = spans[:, 0] * spans[:, 1]
    rows = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    place = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    across = first[rows, 0] + place % spans[rows, 0].clamp_min(1)
    down = first[rows, 1] + place // spans[rows, 0].clamp_min(1)
    tiles, order = torch.sort(down * tiles_across + across, stable=True)
    return tiles, rows[order]


def blend_tiles(
    projected: Projected,
    tile_of_entry: Tensor,
    entries: Tensor,
    tiles_across: int,
    tile_count: int,
    rules: PictureRules,
) -> Tensor:
    """Blend all tiles: (tile_count, TILE_PX * TILE_PX, 5) premultiplied rgb, alpha, and depth times weight."""
    device = projected.means_px.device
    pixels = TILE_PX * TILE_PX
    columns = [projected.means_px, projected.conics, projected.opacities[:, None], projected.colors]
    table = torch.cat([*columns, projected.depths[:, None]], dim=1)
    table = torch.cat([table, table.new_zeros(1, table.shape[1])])  # the last row pads short lists: opacity 0
    lengths = torch.bincount(tile_of_entry, minlength=tile_count)
    starts = lengths.cumsum(0) - lengths
    by_length = torch.argsort(lengths, descending=True)
    occupied = int((lengths > 0).sum())

    blended, done = [], 0
    while done < occupied:
        longest = int(lengths[by_length[done]])
        batch = by_length[done : done + max(1, min(BATCH_ELEMENTS // (longest * pixels), occupied - done))]
        batch = batch[lengths[batch] * 2 >= longest]  # at most half of a batch is padding
        place = torch.arange(longest, device=device)
        is_entry = place < lengths[batch, None]
        positions = (starts[batch, None] + place).clamp_max(len(entries) - 1)
        rows = torch.where(is_entry, entries[positions], len(table) - 1)
        gaussians = table.index_select(0, rows.reshape(-1)).view(*rows.shape, -1)
        blended.append(blend(gaussians, pixel_centers(batch, tiles_across), rules))
        done += len(batch)
    empty = table.new_zeros(tile_count - occupied, pixels, 5)
    by_tile = torch.empty_like(by_length)
    by_tile[by_length] = torch.arange(tile_count, device=device)
    return torch.cat([*blended, empty]).index_select(0, by_tile)


def pixel_centers(tiles: Tensor, tiles_across: int) -> Tensor:
    """(T, TILE_PX * TILE_PX, 2) pixel centers of tiles, row by row."""
    place = torch.arange(TILE_PX, device=tiles.device)
    down, across = torch.meshgrid(place, place, indexing="ij")
    within = torch.stack([across, down], dim=2).reshape(-1, 2)
    corners = torch.stack([tiles % tiles_across, tiles // tiles_across], dim=1) * TILE_PX
    return (corners[:, None, :] + within).to(torch.get_default_dtype()) + 0.5


def blend(gaussians: Tensor, pixels: Tensor, rules: PictureRules) -> Tensor:
    """Step 5, front to back: gaussians (T, L, 10) over pixels (T, P, 2) give (T, P, 5).

    A gaussian that would bring the transmittance below the stop is not added, nor any behind it.
    """
    x, y, conic_xx, conic_xy, conic_yy, opacity = (column[..., None] for column in gaussians[..., :6].unbind(2))
    across = x - pixels[:, None, :, 0].to(x.dtype)
    down = y - pixels[:, None, :, 1].to(y.dtype)
    power = across * (0.5 * conic_xx * across + conic_xy * down) + (0.5 * conic_yy) * (down * down)
    alpha = (opacity * torch.exp(-power.clamp_min(0.0))).clamp_max(rules.alpha_cap)
    with torch.no_grad():
        counts = alpha >= rules.alpha_cutoff
        through = torch.cumprod(1 - alpha * counts, dim=1)
        counts &= through >= rules.transmittance_stop
    alpha = alpha * counts
    through = torch.cumprod(1 - alpha, dim=1)
    before = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], dim=1)
    weights = alpha * before
    colors_and_depth = torch.einsum("tlp,tlc->tpc", weights, gaussians[..., 6:])
    alpha_out = 1 - through[:, -1]
    return torch.cat([colors_and_depth[..., :3], alpha_out[..., None], colors_and_depth[..., 3:]], dim=2)
