"""The whole picture and the whole gradient, chained from `equations.py`: slow, float64, the judge of fast backends.

All arrays are NumPy, float64; `Gaussians` and `Rendering` hold arrays here instead of tensors.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ....capture.camera import Camera
from ....gaussians.cloud import DISPLAY
from ....gaussians.rules import DEFAULT_RULES, PictureRules
from ..blend_space import is_linear
from ..protocol import Gaussians, Rendering
from . import equations as eq

_PAIRS_PER_BLOCK = 300_000  # gaussians times pixels worked on at once, which bounds the memory


class Gradients(NamedTuple):
    """∂L/∂ everything that `render` depends on, each in the shape of what it belongs to."""

    means: np.ndarray  # (N, 3)
    log_scales: np.ndarray  # (N, 3)
    quaternions: np.ndarray  # (N, 4)
    logit_opacities: np.ndarray  # (N,)
    sh: np.ndarray  # (N, K, 3)
    screen_offsets_px: np.ndarray  # (N, 2)
    background: np.ndarray  # (3,)
    camera_from_world: np.ndarray  # (3, 4) each entry on its own, as if R_cw were any matrix
    intrinsics: np.ndarray  # (4,) fx, fy, cx, cy


class Projection(NamedTuple):
    """The M gaussians that may be drawn, near to far, with every intermediate value of the forward pass."""

    places: np.ndarray  # (M,) their places among all N
    means: np.ndarray  # (M, 3) p_w
    points: np.ndarray  # (M, 3) p_c
    means_px: np.ndarray  # (M, 2) u
    clamped: np.ndarray  # (M, 3) t
    maps: np.ndarray  # (M, 2, 3) J(t) R_cw
    scales: np.ndarray  # (M, 3) s
    units: np.ndarray  # (M, 4) q̂
    spreads: np.ndarray  # (M, 3, 3) R(q̂) diag(s)
    covariances_3d: np.ndarray  # (M, 6) σ
    covariances_2d: np.ndarray  # (M, 3) σ' before dilation
    dilated: np.ndarray  # (M, 3) σ'
    conics: np.ndarray  # (M, 3) ω
    directions: np.ndarray  # (M, 3) r
    colors: np.ndarray  # (M, 3) c, display-encoded
    blended: np.ndarray  # (M, 3) c in the blend space
    antialiasing: np.ndarray  # (M,) what the opacity is multiplied by; 1 without antialiasing
    opacities: np.ndarray  # (M,) α, that factor included

    @property
    def features(self) -> np.ndarray:
        """(M, 5) what is composited: color in the blend space, depth, and 1, which becomes alpha."""
        return np.column_stack([self.blended, self.points[:, 2], np.ones(len(self.places))])


def require_drawable(gaussians: Gaussians) -> None:
    """Reject gaussians that would make the image gray or the gradient meaningless: ValueError with one sentence."""
    for name, values in zip(gaussians._fields, gaussians, strict=True):
        values = np.asarray(values)
        broken = np.count_nonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)) if values.size else 0
        if broken:
            raise ValueError(f"{broken} of {len(values)} gaussians have {name} that are not finite numbers.")
    broken = np.count_nonzero(~np.any(np.asarray(gaussians.quaternions), axis=1))
    if broken:
        raise ValueError(f"{broken} of {len(gaussians.means)} gaussians have a quaternion of length zero.")


def project(
    gaussians: Gaussians,
    camera: Camera,
    *,
    sh_degree: int,
    screen_offsets_px: np.ndarray | None = None,
    rules: PictureRules = DEFAULT_RULES,
    antialiased: bool = False,
    blend_space: str = DISPLAY,
) -> Projection:
    """Forward steps 1 to 4 for the gaussians beyond the near plane, sorted by depth, equal depths by index.

    A gaussian whose covariance on the screen has no area (a needle seen without dilation) cannot be drawn either.
    """
    require_drawable(gaussians)
    means, log_scales, quaternions, logits, sh = (np.asarray(values, dtype=np.float64) for values in gaussians)
    depths = eq.points_in_camera(means, camera)[:, 2]
    index = np.argsort(depths, kind="stable")
    index = index[depths[index] >= rules.near_plane]

    means = means[index]
    points = eq.points_in_camera(means, camera)
    clamped = eq.clamp_to_frustum(points, camera, rules)
    maps = eq.screen_maps(clamped, camera)
    scales, units = np.exp(log_scales[index]), eq.unit_quaternions(quaternions[index])
    spreads = eq.spread(units, scales)
    covariances_3d = eq.covariances_3d(spreads)
    covariances_2d = eq.covariances_2d(covariances_3d, maps)
    dilated = eq.dilate(covariances_2d, rules.dilation_px2)
    has_area = dilated[:, 0] * dilated[:, 2] - dilated[:, 1] ** 2 > 0
    means_px = eq.project(points, camera)
    if screen_offsets_px is not None:
        means_px = means_px + np.asarray(screen_offsets_px, dtype=np.float64)[index]
    directions = eq.view_directions(means, eq.camera_centre(camera))
    colors = eq.colors(sh[index], directions, sh_degree)
    with np.errstate(divide="ignore", invalid="ignore"):  # those without area are dropped in the last line
        conics = eq.conics(dilated)
        factors = eq.antialiasing_factors(covariances_2d, rules.dilation_px2) if antialiased else np.ones(len(index))
    seen = Projection(
        places=index,
        means=means,
        points=points,
        means_px=means_px,
        clamped=clamped,
        maps=maps,
        scales=scales,
        units=units,
        spreads=spreads,
        covariances_3d=covariances_3d,
        covariances_2d=covariances_2d,
        dilated=dilated,
        conics=conics,
        directions=directions,
        colors=colors,
        blended=eq.linear_colors(colors) if is_linear(blend_space) else colors,
        antialiasing=factors,
        opacities=eq.opacities(logits[index]) * factors,
    )
    return Projection(*(values[has_area] for values in seen))


def render(
    gaussians: Gaussians,
    camera: Camera,
    background: np.ndarray,
    *,
    sh_degree: int,
    screen_offsets_px: np.ndarray | None = None,
    rules: PictureRules = DEFAULT_RULES,
    antialiased: bool = False,
    blend_space: str = DISPLAY,
) -> Rendering:
    """Render one view, as `Rasterizer.render` does.

    `antialiased` makes up for the dilation: opacities fall as gaussians are dilated. `blend_space`: see blend_space.py.
    """
    seen = project(
        gaussians,
        camera,
        sh_degree=sh_degree,
        screen_offsets_px=screen_offsets_px,
        rules=rules,
        antialiased=antialiased,
        blend_space=blend_space,
    )
    composited = np.zeros((camera.height * camera.width, 5))
    behind = _behind(background, blend_space)
    for pixels, offsets in _blocks(seen, camera):
        alphas = eq.pixel_alphas(seen.opacities, eq.falloffs(seen.conics, offsets), rules)
        composited[pixels] = eq.composite(alphas, seen.features, behind)
    if is_linear(blend_space):
        composited[:, :3] = eq.encoded_pixels(composited[:, :3])
    image, depth_sum, alpha = np.split(composited.reshape(camera.height, camera.width, 5), [3, 4], axis=2)
    return Rendering(
        image=image,
        alpha=alpha[..., 0],
        depth=eq.expected_depth(depth_sum[..., 0], alpha[..., 0]),
        radii_px=_radii_px(seen, camera, len(gaussians.means), rules),
    )


def render_backward(
    gaussians: Gaussians,
    camera: Camera,
    background: np.ndarray,
    d_image: np.ndarray,
    d_alpha: np.ndarray | None = None,
    d_depth: np.ndarray | None = None,
    *,
    sh_degree: int,
    screen_offsets_px: np.ndarray | None = None,
    rules: PictureRules = DEFAULT_RULES,
    antialiased: bool = False,
    blend_space: str = DISPLAY,
) -> Gradients:
    """The gradient of a loss from its derivatives by image (H, W, 3), alpha (H, W) and depth (H, W).

    The sums over pixels j of Eq. 3 to 7 come first, then each gaussian's own chain of Jacobians.
    """
    seen = project(
        gaussians,
        camera,
        sh_degree=sh_degree,
        screen_offsets_px=screen_offsets_px,
        rules=rules,
        antialiased=antialiased,
        blend_space=blend_space,
    )
    d_features, d_means_px, d_conics, d_opacities, d_background = _pixels_backward(
        seen, camera, background, d_image, d_alpha, d_depth, rules, blend_space
    )
    d_colors, d_depths = d_features[:, :3], d_features[:, 3]
    if is_linear(blend_space):
        d_colors = eq.chain(d_colors, eq.d_linear_d_encoded(seen.colors))

    # Opacity: Eq. 6, then through antialiasing and the sigmoid.
    d_covariances_2d = eq.chain(d_conics, eq.d_conic_d_covariance(seen.dilated))
    logits = np.asarray(gaussians.logit_opacities, dtype=np.float64)[seen.places]
    if antialiased:
        d_factors = (d_opacities * eq.opacities(logits))[:, None]
        by_covariance = eq.d_antialiasing_d_covariance(seen.covariances_2d, rules.dilation_px2)
        d_covariances_2d = d_covariances_2d + eq.chain(d_factors, by_covariance)
    d_logits = d_opacities * seen.antialiasing * eq.d_opacity_d_logit(logits)

    # Rotation, Eq. 3, and scale, Eq. 4, through the 3D covariance.
    d_covariances_3d = eq.chain(d_covariances_2d, eq.d_covariance_2d_d_covariance_3d(seen.maps))
    d_spreads = eq.chain(d_covariances_3d, eq.d_covariance_3d_d_spread(seen.spreads))
    d_log_scales = eq.chain(d_spreads, eq.d_spread_d_scales(seen.units)) * seen.scales
    d_units = eq.chain(d_spreads, eq.d_spread_d_unit(seen.units, seen.scales))
    quaternions = np.asarray(gaussians.quaternions, dtype=np.float64)[seen.places]
    d_quaternions = eq.chain(d_units, eq.d_unit_d_quaternion(quaternions))

    # Spherical harmonics, Eq. 5.
    sh = np.asarray(gaussians.sh, dtype=np.float64)
    d_sh = eq.chain(d_colors, eq.d_color_d_sh(sh[seen.places], seen.directions, sh_degree))

    # Location, Eq. 7: by the mean on the screen (and depth), by the covariance on the screen, by the view direction.
    # Corrected: three paths; the document prints that of the covariance twice.
    d_maps = eq.chain(d_covariances_2d, eq.d_covariance_2d_d_map(seen.covariances_3d, seen.maps))
    d_clamped = eq.chain(d_maps, eq.d_map_d_clamped(seen.clamped, camera))
    d_points = eq.chain(d_means_px, eq.d_pixel_d_point(seen.points, camera))
    d_points[:, 2] += d_depths
    d_points += eq.chain(d_clamped, eq.d_clamped_d_point(seen.points, camera, rules))
    d_directions = eq.chain(d_colors, eq.d_color_d_direction(sh[seen.places], seen.directions, sh_degree))
    d_views = eq.chain(d_directions, eq.d_direction_d_mean(seen.means, eq.camera_centre(camera)))
    d_means = eq.chain(d_points, eq.d_point_d_mean(seen.means, camera)) + d_views

    # Camera: the same three paths, summed over gaussians.
    d_camera = eq.chain(d_points, eq.d_point_d_camera(seen.means)).sum(axis=0)
    d_camera += eq.chain(d_maps, eq.d_map_d_camera(seen.clamped, camera)).sum(axis=0)
    d_camera += eq.chain(-d_views.sum(axis=0, keepdims=True), eq.d_centre_d_camera(camera))[0]
    d_intrinsics = eq.chain(d_means_px, eq.d_pixel_d_intrinsics(seen.points)).sum(axis=0)
    d_intrinsics += eq.chain(d_maps, eq.d_map_d_intrinsics(seen.clamped, camera)).sum(axis=0)
    d_intrinsics += eq.chain(d_clamped, eq.d_clamped_d_intrinsics(seen.points, camera, rules)).sum(axis=0)

    count = len(gaussians.means)
    return Gradients(
        means=_scattered(d_means, seen, count),
        log_scales=_scattered(d_log_scales, seen, count),
        quaternions=_scattered(d_quaternions, seen, count),
        logit_opacities=_scattered(d_logits, seen, count),
        sh=_scattered(d_sh, seen, count).reshape(sh.shape),
        screen_offsets_px=_scattered(d_means_px, seen, count),
        background=d_background,
        camera_from_world=d_camera.reshape(3, 4),
        intrinsics=d_intrinsics,
    )


def sum_over_pixels(
    gaussians: Gaussians,
    camera: Camera,
    pixel_map: np.ndarray,
    *,
    screen_offsets_px: np.ndarray | None = None,
    rules: PictureRules = DEFAULT_RULES,
    antialiased: bool = False,
) -> np.ndarray:
    """Σ_j m_j w_ij for each gaussian: a map m (H, W) gathered by the weights with which pixels see gaussians: (N,).

    m = 1 gives a gaussian's contribution, m = |error| its blame, m = surface depth Σ w z of the true surface. Since
    ∂γ_j/∂c_i = T_i α'_i = w_ij (B.5b), this is the gradient by color of an image whose derivative is m: every
    backend has it without a further kernel.
    """
    seen = project(
        gaussians,
        camera,
        sh_degree=0,
        screen_offsets_px=screen_offsets_px,
        rules=rules,
        antialiased=antialiased,
    )
    sums = np.zeros(len(seen.places))
    for pixels, offsets in _blocks(seen, camera):
        alphas = eq.pixel_alphas(seen.opacities, eq.falloffs(seen.conics, offsets), rules)
        sums += eq.d_composite_d_feature(alphas) @ np.asarray(pixel_map, dtype=np.float64).reshape(-1)[pixels]
    return _scattered(sums, seen, len(gaussians.means))


def _pixels_backward(
    seen: Projection,
    camera: Camera,
    background: np.ndarray,
    d_image: np.ndarray,
    d_alpha: np.ndarray | None,
    d_depth: np.ndarray | None,
    rules: PictureRules,
    blend_space: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """B.5, summed over pixels: ∂L/∂ features (M, 5), u (M, 2), ω (M, 3), α (M,), background (3,)."""
    pixel_count = camera.height * camera.width
    d_image = np.asarray(d_image, dtype=np.float64).reshape(pixel_count, 3)
    d_alpha, d_depth = (
        np.zeros(pixel_count) if values is None else np.asarray(values, dtype=np.float64).reshape(pixel_count)
        for values in (d_alpha, d_depth)
    )
    behind = _behind(background, blend_space)
    d_features, d_means_px = np.zeros((len(seen.places), 5)), np.zeros((len(seen.places), 2))
    d_conics, d_opacities = np.zeros((len(seen.places), 3)), np.zeros(len(seen.places))
    d_background = np.zeros(3)
    for pixels, offsets in _blocks(seen, camera):
        falloff = eq.falloffs(seen.conics, offsets)
        alphas = eq.pixel_alphas(seen.opacities, falloff, rules)
        composited = eq.composite(alphas, seen.features, behind)
        by_depth_sum, by_alpha = eq.d_expected_depth(composited[:, 3], composited[:, 4])
        d_blended = d_image[pixels]
        if is_linear(blend_space):
            d_blended = eq.chain(d_blended, eq.d_encoded_d_linear(composited[:, :3]))
        d_composited = np.column_stack(
            [d_blended, d_depth[pixels] * by_depth_sum, d_alpha[pixels] + d_depth[pixels] * by_alpha]
        )
        d_features += eq.d_composite_d_feature(alphas) @ d_composited
        d_background += eq.d_composite_d_background(alphas) @ d_blended
        d_alphas = np.einsum("npf,pf->np", eq.d_composite_d_alpha(alphas, seen.features, behind), d_composited)
        d_opacities += np.sum(d_alphas * eq.d_alpha_d_opacity(alphas, falloff, rules), axis=1)
        d_falloff = d_alphas * eq.d_alpha_d_falloff(alphas, seen.opacities, rules)
        d_means_px += np.einsum("np,npx->nx", d_falloff, eq.d_falloff_d_pixel(seen.conics, offsets))
        d_conics += np.einsum("np,npw->nw", d_falloff, eq.d_falloff_d_conic(seen.conics, offsets))
    if is_linear(blend_space):
        d_background = eq.chain(d_background[None], eq.d_linear_d_encoded(np.asarray(background)[None]))[0]
    return d_features, d_means_px, d_conics, d_opacities, d_background


def _behind(background: np.ndarray, blend_space: str) -> np.ndarray:
    """The features of the background: its color in the blend space, and no depth and no alpha."""
    color = np.asarray(background, dtype=np.float64)
    return np.array([*(eq.linear_colors(color) if is_linear(blend_space) else color), 0.0, 0.0])


def _blocks(seen: Projection, camera: Camera) -> Iterator[tuple[slice, np.ndarray]]:
    """The image in blocks of pixels: which (of H W, row by row), and the offsets d = u - x_j (M, P, 2)."""
    rows, columns = np.divmod(np.arange(camera.height * camera.width), camera.width)
    centers = np.column_stack([columns, rows]) + 0.5
    step = max(1, _PAIRS_PER_BLOCK // max(1, len(seen.places)))
    for start in range(0, len(centers), step):
        pixels = slice(start, start + step)
        yield pixels, seen.means_px[:, None, :] - centers[pixels]


def _radii_px(seen: Projection, camera: Camera, count: int, rules: PictureRules) -> np.ndarray:
    """Three sigma of the longer screen axis, rounded up: (N,); 0 for what is not drawn.

    Drawn: the smallest upright box around the ellipse where α g ≥ 1/255 holds the center of a pixel of the image.
    """
    a, b, c = seen.dilated.T
    radii = np.ceil(3 * np.sqrt(0.5 * (a + c) + np.sqrt(0.25 * (a - c) ** 2 + b * b)))
    reach = 2 * np.log(np.maximum(seen.opacities / rules.alpha_cutoff, 1.0))
    half = np.sqrt(reach[:, None] * np.column_stack([a, c]))
    first = np.maximum(np.ceil(seen.means_px - half - 0.5), 0)
    last = np.minimum(np.floor(seen.means_px + half - 0.5), np.array([camera.width, camera.height]) - 1)
    is_drawn = (seen.opacities >= rules.alpha_cutoff) & np.all(first <= last, axis=1)
    return _scattered(np.where(is_drawn, radii, 0.0), seen, count)


def _scattered(values: np.ndarray, seen: Projection, count: int) -> np.ndarray:
    """Values of the M drawn gaussians at their places among all N, 0 elsewhere."""
    scattered = np.zeros((count, *values.shape[1:]))
    scattered[seen.places] = values
    return scattered
