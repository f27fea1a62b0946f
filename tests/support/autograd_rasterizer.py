"""A second rasteriser, in torch float64, whose gradients come from automatic differentiation.

It shares no code with `equations.py` and reaches the same rules by other ways where there is one: rotation by
quaternion products, J by differentiating the projection, harmonics from Legendre polynomials, ω by solving a linear
system, compositing one gaussian after another with a flag for finished pixels.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Witnessed(NamedTuple):
    image: Tensor  # (H, W, 3)
    alpha: Tensor  # (H, W)
    depth: Tensor  # (H, W)
    weights: Tensor  # (N, H, W) T α'
    events: dict[str, int]  # how often each special rule decided something that is drawn


def render(
    means: Tensor,
    log_scales: Tensor,
    quaternions: Tensor,
    logit_opacities: Tensor,
    sh: Tensor,
    background: Tensor,
    camera_from_world: Tensor,  # (3, 4)
    intrinsics: Tensor,  # (4,)
    screen_offsets_px: Tensor,  # (N, 2)
    *,
    width: int,
    height: int,
    sh_degree: int,
    dilation_px2: float = 0.3,
    antialiased: bool = False,
    blend_space: str = "display",
) -> Witnessed:
    count = len(means)
    points = to_camera(means, camera_from_world)
    held, was_clamped = clamp(points, intrinsics, width, height)
    covariance = screen_covariance(world_covariance(quaternions, log_scales), held, camera_from_world, intrinsics)
    dilated = covariance + dilation_px2 * torch.eye(2, dtype=means.dtype)
    opacity = torch.sigmoid(logit_opacities)
    floored = torch.zeros(count, dtype=torch.bool)
    if antialiased:
        factor = antialiasing(covariance, dilation_px2)
        floored = factor.detach() <= math.sqrt(0.000025) * (1 + 1e-12)
        opacity = opacity * factor
    raw = raw_colors(sh, view(means, camera_from_world), sh_degree)
    color = torch.clamp(raw, min=0.0)
    if blend_space == "blender":
        color, background = to_light(color), to_light(background)
    middle = torch.func.vmap(perspective, in_dims=(0, None))(points, intrinsics) + screen_offsets_px

    y, x = torch.meshgrid(
        torch.arange(height, dtype=means.dtype) + 0.5, torch.arange(width, dtype=means.dtype) + 0.5, indexing="ij"
    )
    transmittance = torch.ones(height, width, dtype=means.dtype)
    finished = torch.zeros(height, width, dtype=torch.bool)
    image = torch.zeros(height, width, 3, dtype=means.dtype)
    depth_sum, weight_sum = torch.zeros_like(transmittance), torch.zeros_like(transmittance)
    weights = [torch.zeros_like(transmittance)] * count
    events = dict.fromkeys(["clamped", "capped", "stopped", "dark", "floored", "cut off", "behind"], 0)
    for i in torch.argsort(points[:, 2].detach(), stable=True).tolist():
        if points[i, 2] < 0.01:
            events["behind"] += 1
            continue
        d = torch.stack([middle[i, 0] - x, middle[i, 1] - y], dim=-1).reshape(-1, 2)
        power = -0.5 * (d * torch.linalg.solve(dilated[i], d.T).T).sum(dim=1).reshape(height, width)
        a = opacity[i] * torch.exp(power)
        capped = a > 0.999
        a = torch.where(capped, torch.full_like(a, 0.999), a)
        seen = (a >= 1 / 255) & ~finished
        events["cut off"] += int(((a < 1 / 255) & ~finished).sum())
        stops = seen & (transmittance * (1 - a) < 1e-4)
        finished = finished | stops
        a = torch.where(seen & ~stops, a, torch.zeros_like(a))
        weights[i] = transmittance * a
        image = image + weights[i][..., None] * color[i]
        depth_sum, weight_sum = depth_sum + weights[i] * points[i, 2], weight_sum + weights[i]
        transmittance = transmittance * (1 - a)
        events["capped"] += int((capped & seen & ~stops).sum())
        events["stopped"] += int(stops.sum())
        if bool((a > 0).any()):
            events["clamped"] += int(was_clamped[i])
            events["floored"] += int(floored[i])
            events["dark"] += int((raw[i] < 0).sum())
    covered = weight_sum > 0
    depth = torch.where(covered, depth_sum / torch.where(covered, weight_sum, 1.0), 0.0)
    image = image + transmittance[..., None] * background
    if blend_space == "blender":
        image = to_display(image)
    stacked = torch.stack(weights) if count else torch.zeros(0, height, width, dtype=means.dtype)
    return Witnessed(image, 1 - transmittance, depth, stacked, events)


def to_light(encoded: Tensor) -> Tensor:
    """IEC 61966-2-1, the power as exp(2.4 log); the branch not taken is kept away from 0."""
    straight = encoded <= 0.04045
    base = torch.where(straight, 1.0, (encoded + 0.055) / 1.055)
    return torch.where(straight, encoded / 12.92, torch.exp(2.4 * torch.log(base)))


def to_display(light: Tensor) -> Tensor:
    straight = light <= 0.0031308
    base = torch.where(straight, 1.0, light)
    return torch.where(straight, 12.92 * light, 1.055 * torch.exp(torch.log(base) / 2.4) - 0.055)


def to_camera(means: Tensor, camera_from_world: Tensor) -> Tensor:
    return torch.cat([means, torch.ones_like(means[..., :1])], dim=-1) @ camera_from_world.reshape(3, 4).T


def perspective(point: Tensor, intrinsics: Tensor) -> Tensor:
    return intrinsics[:2] * point[:2] / point[2] + intrinsics[2:]


def clamp(points: Tensor, intrinsics: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Slopes held where a pixel is at most 15 % of the image's size beyond its edges; and whether that did anything."""
    size = torch.tensor([width, height], dtype=points.dtype)
    least, largest = (-0.15 * size - intrinsics[2:]) / intrinsics[:2], (1.15 * size - intrinsics[2:]) / intrinsics[:2]
    slope = points[..., :2] / points[..., 2:]
    held = torch.minimum(torch.maximum(slope, least), largest)
    return torch.cat([held * points[..., 2:], points[..., 2:]], dim=-1), (held != slope).any(dim=-1)


def quaternion_product(p: Tensor, q: Tensor) -> Tensor:
    real = p[..., 0] * q[..., 0] - (p[..., 1:] * q[..., 1:]).sum(-1)
    cross = torch.linalg.cross(p[..., 1:], q[..., 1:])
    return torch.cat([real[..., None], p[..., :1] * q[..., 1:] + q[..., :1] * p[..., 1:] + cross], dim=-1)


def rotation(quaternions: Tensor) -> Tensor:
    """Columns are q e q* of the three axes e; q of any length."""
    unit = quaternions / torch.sqrt((quaternions**2).sum(-1, keepdim=True))
    conjugate = unit * torch.tensor([1.0, -1.0, -1.0, -1.0], dtype=unit.dtype)
    axes = torch.eye(4, dtype=unit.dtype)[1:]
    turned = [quaternion_product(quaternion_product(unit, axis.expand_as(unit)), conjugate) for axis in axes]
    return torch.stack([axis[..., 1:] for axis in turned], dim=-1)


def world_covariance(quaternions: Tensor, log_scales: Tensor) -> Tensor:
    turn = rotation(quaternions)
    return turn @ torch.diag_embed(torch.exp(2 * log_scales)) @ turn.transpose(-1, -2)


def screen_map(held: Tensor, camera_from_world: Tensor, intrinsics: Tensor) -> Tensor:
    slopes = torch.func.vmap(torch.func.jacrev(perspective), in_dims=(0, None))(held, intrinsics)
    return slopes @ camera_from_world.reshape(3, 4)[:, :3]


def screen_covariance(covariance: Tensor, held: Tensor, camera_from_world: Tensor, intrinsics: Tensor) -> Tensor:
    to_screen = screen_map(held, camera_from_world, intrinsics)
    return to_screen @ covariance @ to_screen.transpose(-1, -2)


def antialiasing(covariance: Tensor, dilation_px2: float) -> Tensor:
    dilated = covariance + dilation_px2 * torch.eye(2, dtype=covariance.dtype)
    return torch.sqrt(torch.clamp(torch.linalg.det(covariance) / torch.linalg.det(dilated), min=0.000025))


def centre(camera_from_world: Tensor) -> Tensor:
    matrix = camera_from_world.reshape(3, 4)
    return -(matrix[:, :3].T @ matrix[:, 3])


def view(means: Tensor, camera_from_world: Tensor) -> Tensor:
    offset = means - centre(camera_from_world)
    return offset / torch.sqrt((offset**2).sum(-1, keepdim=True))


def harmonic_values(direction: Tensor, degree: int) -> Tensor:
    """(..., 3) to (..., K) as polynomials homogeneous in x, y, z, from d^m P_l/dz^m and (x + iy)^m.

    With ρ² = x² + y² + z² (1 on the sphere) the powers z^(l-m-2k) ρ^(2k) continue the harmonics off the sphere.
    """
    x, y, z = direction.unbind(-1)
    squared = x * x + y * y + z * z
    legendre = {
        (0, 0): torch.ones_like(z),
        (1, 0): z,
        (1, 1): torch.ones_like(z),
        (2, 0): (3 * z * z - squared) / 2,
        (2, 1): 3 * z,
        (2, 2): 3 * torch.ones_like(z),
        (3, 0): (5 * z**3 - 3 * z * squared) / 2,
        (3, 1): (15 * z * z - 3 * squared) / 2,
        (3, 2): 15 * z,
        (3, 3): 15 * torch.ones_like(z),
    }
    cosines, sines = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(degree):
        cosines, sines = cosines + [x * cosines[-1] - y * sines[-1]], sines + [x * sines[-1] + y * cosines[-1]]
    values = []
    for band in range(degree + 1):
        for order in range(-band, band + 1):
            m = abs(order)
            norm = math.sqrt((2 * band + 1) / (4 * math.pi) * math.factorial(band - m) / math.factorial(band + m))
            norm *= math.sqrt(2) * (-1) ** m if m else 1
            values.append(norm * legendre[band, m] * (sines[m] if order < 0 else cosines[m]))
    return torch.stack(values, dim=-1)


def raw_colors(sh: Tensor, direction: Tensor, degree: int) -> Tensor:
    values = harmonic_values(direction, degree)
    return (values[..., None] * sh[..., : (degree + 1) ** 2, :]).sum(-2) + 0.5
