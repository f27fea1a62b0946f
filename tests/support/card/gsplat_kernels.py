"""A stand-in for gsplat 1.5.3's compiled module: what `rasterization(packed=False)` and `spherical_harmonics` call.

Written after ProjectionEWA3DGSFused.cu, IntersectTile.cu, RasterizeToPixels3DGSFwd.cu and …Bwd.cu and
SphericalHarmonicsCUDA.cu; in float64 inside, float32 at the borders. What the kernels leave unwritten (at::empty) is
NaN here, so that a leak shows. One camera (C = 1); N gaussians, D channels, H W pixels.
"""

import types
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

ALPHA_CUTOFF, ALPHA_CAP, TRANSMITTANCE_STOP = 1 / 255, 0.999, 1e-4
EXACT = torch.float64
SH_C0 = 0.28209479177387814


def module(as_kernel: Callable[[Callable], Callable] = lambda function: function) -> types.ModuleType:
    """What is to be found as `gsplat.csrc`; each function goes through `as_kernel`."""
    made = types.ModuleType("gsplat.csrc")
    made.PINHOLE = 0
    made.CameraModelType = types.SimpleNamespace(PINHOLE=0)
    for function in (
        projection_ewa_3dgs_fused_fwd, projection_ewa_3dgs_fused_bwd, intersect_tile, intersect_offset,
        rasterize_to_pixels_3dgs_fwd, rasterize_to_pixels_3dgs_bwd, spherical_harmonics_fwd, spherical_harmonics_bwd,
    ):  # fmt: skip
        setattr(made, function.__name__, as_kernel(function))
    return made


def projection_ewa_3dgs_fused_fwd(
    means, covars, quats, scales, opacities, viewmats, Ks, width, height, eps2d, near, far, clip, compensated, model
):
    """Radii (1, N, 2), means in pixels (1, N, 2), depths (1, N), conics (1, N, 3) and, if asked for, compensations."""
    assert covars is None and model == 0 and len(viewmats) == 1
    _require_floats(means, quats, scales, opacities, viewmats, Ks)
    points, depths, conics, compensations, spreads = _project(
        *_exact(means, quats, scales, viewmats[0], Ks[0]), width, height, eps2d
    )
    opaque = opacities.to(EXACT) * (compensations if compensated else 1)
    reach = torch.sqrt(2 * torch.log(opaque / ALPHA_CUTOFF).clamp_min(0)).clamp_max(3.33)
    radii = torch.ceil(reach[:, None] * spreads.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt())
    size = torch.tensor([width, height], dtype=EXACT)
    is_seen = (depths >= near) & (depths <= far) & (torch.linalg.det(spreads) > 0) & (opaque >= ALPHA_CUTOFF)
    is_seen &= (radii > clip).any(dim=1) & ((points + radii > 0) & (points - radii < size)).all(dim=1)
    kept = torch.where(is_seen[:, None], radii.nan_to_num(0), 0).clamp_max(2.0**31 - 1).long().clamp_max(2**31 - 1)

    def hidden(values: Tensor) -> Tensor:
        return torch.where(is_seen.view(-1, *[1] * (values.dim() - 1)), values, torch.nan).float()[None].contiguous()

    found = torch.where(is_seen, compensations, 0.0).float()[None] if compensated else torch.empty(0)
    return kept.int()[None].contiguous(), hidden(points), hidden(depths), hidden(conics), found


def projection_ewa_3dgs_fused_bwd(
    means, covars, quats, scales, viewmats, Ks, width, height, eps2d, model,
    radii, conics, compensations, d_means2d, d_depths, d_conics, d_compensations, needs_viewmats,
):  # fmt: skip
    """Gradients of means, (covariances), quaternions, scales and (poses)."""
    _require_floats(d_means2d, d_depths, d_conics)
    seen = torch.nonzero((radii[0] > 0).all(dim=1))[:, 0]
    gradients = [torch.zeros_like(values) for values in (means, quats, scales)]
    if len(seen):
        leaves = [values.requires_grad_() for values in _exact(means[seen], quats[seen], scales[seen])]
        with torch.enable_grad():
            points, depths, drawn, dimmed, _ = _project(*leaves, *_exact(viewmats[0], Ks[0]), width, height, eps2d)
            total = (points * d_means2d[0, seen]).sum() + (depths * d_depths[0, seen]).sum()
            total = total + (drawn * d_conics[0, seen]).sum()
            if d_compensations is not None:
                total = total + (dimmed * d_compensations[0, seen]).sum()
        for gradient, found in zip(gradients, torch.autograd.grad(total, leaves), strict=True):
            gradient[seen] = found.float()
    return gradients[0], None, gradients[1], gradients[2], None


def intersect_tile(means2d, radii, depths, image_ids, gaussian_ids, images, tile, across, down, sort, segmented):
    """How many tiles each gaussian touches; tile and depth of each pair as 64-bit keys, sorted; the gaussians so."""
    assert images == 1 and sort and not segmented and radii.dtype == torch.int32
    reach, centers = radii[0].double(), means2d[0].double()
    last = torch.tensor([across, down], dtype=EXACT)
    low = torch.floor((centers - reach) / tile).nan_to_num(0).clamp_min(0).minimum(last).long()
    high = torch.ceil((centers + reach) / tile).nan_to_num(0).clamp_min(0).minimum(last).long()
    span = (high - low) * (reach > 0).all(dim=1)[:, None]
    counts = span.prod(dim=1)
    rows = torch.repeat_interleave(torch.arange(len(counts)), counts)
    place = torch.arange(len(rows)) - (counts.cumsum(0) - counts)[rows]
    columns = span[rows, 0].clamp_min(1)
    tiles = (low[rows, 1] + place // columns) * across + low[rows, 0] + place % columns
    bits = depths[0].contiguous().view(torch.int32).long() & 0xFFFFFFFF
    keys, order = torch.sort((tiles << 32) | bits[rows], stable=True)
    return counts.int()[None], keys, rows[order].int()


def intersect_offset(keys, images, across, down):
    """(1, down, across): where each tile's list begins."""
    return torch.searchsorted((keys >> 32).contiguous(), torch.arange(across * down)).int().view(1, down, across)


def rasterize_to_pixels_3dgs_fwd(means2d, conics, colors, opacities, behind, masks, width, height, tile, offsets, ids):
    """Colors (1, H, W, D), alphas (1, H, W, 1), and what only the backward kernel reads."""
    assert behind is None and masks is None
    _require_floats(means2d, conics, colors, opacities)
    image, alphas = torch.zeros(1, height, width, colors.shape[-1]), torch.zeros(1, height, width, 1)
    for listed, y, x in _tiles(offsets, ids, tile, width, height):
        shown = [values[0, listed].to(EXACT) for values in (means2d, conics, colors, opacities)]
        color, left = _blend(*shown, y, x)
        image[0, y, x] = color.float()
        alphas[0, y, x, 0] = (1 - left).float()
    return image, alphas, torch.zeros(1, height, width, dtype=torch.int32)


def rasterize_to_pixels_3dgs_bwd(
    means2d, conics, colors, opacities, behind, masks, width, height, tile, offsets, ids,
    alphas, last_ids, d_image, d_alphas, absolute,
):  # fmt: skip
    """(absolute gradients,) gradients of means in pixels, conics, colors and opacities."""
    given = means2d, conics, colors, opacities
    gradients = [torch.zeros(values.shape, dtype=EXACT) for values in given]
    for listed, y, x in _tiles(offsets, ids, tile, width, height):
        leaves = [values.requires_grad_() for values in _exact(*(values[0, listed] for values in given))]
        with torch.enable_grad():
            color, left = _blend(*leaves, y, x)
            total = (color * d_image[0, y, x]).sum() + ((1 - left) * d_alphas[0, y, x, 0]).sum()
        for gradient, found in zip(gradients, torch.autograd.grad(total, leaves), strict=True):
            gradient[0].index_add_(0, listed, found)
    return None, *(gradient.float() for gradient in gradients)


def spherical_harmonics_fwd(degree, directions, coefficients, masks):
    """Colors (..., 3), nothing added."""
    _require_floats(directions, coefficients)
    colors = _harmonics(degree, *_exact(directions, coefficients)).float()
    return colors if masks is None else torch.where(masks[..., None], colors, torch.nan)


def spherical_harmonics_bwd(count, degree, directions, coefficients, masks, d_colors, needs_directions):
    """Gradients of coefficients and directions."""
    wanted = d_colors if masks is None else torch.where(masks[..., None], d_colors, 0.0)
    leaves = [values.requires_grad_() for values in _exact(directions, coefficients)]
    with torch.enable_grad():
        total = (_harmonics(degree, *leaves) * wanted).sum()
    d_directions, d_coefficients = torch.autograd.grad(total, leaves, allow_unused=True)
    if d_directions is None:
        d_directions = torch.zeros_like(leaves[0])
    if masks is not None:
        d_directions = torch.where(masks[..., None], d_directions, 0.0)
    return d_coefficients.float(), d_directions.float() if needs_directions else None


def _exact(*values: Tensor) -> list[Tensor]:
    return [value.detach().to(EXACT) for value in values]


def _require_floats(*values: Tensor) -> None:
    """The kernels take pointers: whatever is not contiguous float32 is read wrongly."""
    assert all(value.is_contiguous() and value.dtype == torch.float32 for value in values)


def _project(means, quats, scales, camera_from_world, K, width, height, eps2d):
    """Means in pixels (N, 2), depths (N,), conics (N, 3), compensations (N,) and dilated covariances (N, 2, 2)."""
    rotation, translation = camera_from_world[:3, :3], camera_from_world[:3, 3]
    x, y, z = (means @ rotation.T + translation).unbind(dim=1)
    axes = rotation @ _rotations(quats) * scales[:, None, :]
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    beyond_x, beyond_y = 0.15 * width / fx, 0.15 * height / fy
    tx = z * torch.minimum((width - cx) / fx + beyond_x, torch.maximum(-(cx / fx + beyond_x), x / z))
    ty = z * torch.minimum((height - cy) / fy + beyond_y, torch.maximum(-(cy / fy + beyond_y), y / z))
    none = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, none, -fx * tx / z**2, none, fy / z, -fy * ty / z**2], dim=1).view(-1, 2, 3)
    sharp = jacobian @ (axes @ axes.transpose(1, 2)) @ jacobian.transpose(1, 2)
    spreads = sharp + eps2d * torch.eye(2, dtype=sharp.dtype)
    area = spreads[:, 0, 0] * spreads[:, 1, 1] - spreads[:, 0, 1] ** 2
    compensations = ((sharp[:, 0, 0] * sharp[:, 1, 1] - sharp[:, 0, 1] ** 2) / area).clamp_min(0).sqrt()
    conics = torch.stack([spreads[:, 1, 1], -spreads[:, 0, 1], spreads[:, 0, 0]], dim=1) / area[:, None]
    points = torch.stack([fx * x / z + cx, fy * y / z + cy], dim=1)
    return points, z, conics, compensations, spreads


def _rotations(quats: Tensor) -> Tensor:
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    return torch.stack([
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ], dim=-1).view(-1, 3, 3)  # fmt: skip


def _tiles(offsets: Tensor, ids: Tensor, tile: int, width: int, height: int) -> Iterator[tuple[Tensor, slice, slice]]:
    """The gaussians, near to far, and the rows and columns of each tile that has some."""
    down, across = offsets.shape[-2:]
    starts = [*offsets.reshape(-1).tolist(), len(ids)]
    for place in range(down * across):
        if starts[place] < starts[place + 1]:
            top, left = place // across * tile, place % across * tile
            listed = ids[starts[place] : starts[place + 1]].long()
            yield listed, slice(top, min(top + tile, height)), slice(left, min(left + tile, width))


def _blend(means2d, conics, colors, opacities, y: slice, x: slice) -> tuple[Tensor, Tensor]:
    """Colors (h, w, D) and transmittances (h, w) of a tile."""
    rows, columns = torch.arange(y.start, y.stop, dtype=EXACT) + 0.5, torch.arange(x.start, x.stop, dtype=EXACT) + 0.5
    dx = means2d[:, 0, None, None] - columns
    dy = means2d[:, 1, None, None] - rows[:, None]
    a, b, c = (values[:, None, None] for values in conics.unbind(dim=1))
    falloff = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alphas = (opacities[:, None, None] * torch.exp(-falloff)).clamp_max(ALPHA_CAP)
    with torch.no_grad():
        is_drawn = (falloff >= 0) & (alphas >= ALPHA_CUTOFF)
        is_drawn &= torch.cumprod(1 - alphas * is_drawn, dim=0) > TRANSMITTANCE_STOP
    alphas = alphas * is_drawn
    left = torch.cumprod(1 - alphas, dim=0)
    before = torch.cat([torch.ones_like(left[:1]), left[:-1]])
    return torch.einsum("nhw,nd->hwd", alphas * before, colors), left[-1]


def _harmonics(degree: int, directions: Tensor, coefficients: Tensor) -> Tensor:
    x, y, z = torch.nn.functional.normalize(directions, dim=-1).unbind(-1)
    bases = [torch.full_like(x, SH_C0)]
    if degree > 0:
        bases += [-0.4886025119029199 * y, 0.4886025119029199 * z, -0.4886025119029199 * x]
    if degree > 1:
        cosine, sine = x * x - y * y, 2 * x * y
        bases += [
            0.5462742152960395 * sine, -1.092548430592079 * z * y, 0.9461746957575601 * z * z - 0.3153915652525201,
            -1.092548430592079 * z * x, 0.5462742152960395 * cosine,
        ]  # fmt: skip
    if degree > 2:
        cosine3, sine3 = x * cosine - y * sine, x * sine + y * cosine
        slanted, twisted = 0.4570457994644658 - 2.285228997322329 * z * z, 1.445305721320277 * z
        bases += [
            -0.5900435899266435 * sine3, twisted * sine, slanted * y,
            z * (1.865881662950577 * z * z - 1.119528997770346),
            slanted * x, twisted * cosine, -0.5900435899266435 * cosine3,
        ]  # fmt: skip
    return (torch.stack(bases, dim=-1)[..., None] * coefficients[..., : len(bases), :]).sum(dim=-2)
