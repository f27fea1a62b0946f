"""Each step of the textbook and its Jacobian against two witnesses.

First witness: automatic differentiation in float64 of a step written independently (`support/autograd_rasterizer.py`).
Both sides round at 1e-16, so a relative error (largest difference over largest entry) of 1e-10 leaves no room for a
wrong term. Second witness: central differences of the textbook's own step, h = 1e-5. Their truncation error is of the
order of h² times the third derivative, their rounding error 1e-16/h = 1e-11 times the value: together below 1e-7 of
the largest entry for the steps here, while a wrong term shows at the order of 1.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from splat_addon.capture.camera import Camera
from splat_addon.gaussians.harmonics import harmonics
from splat_addon.gaussians.rules import DEFAULT_RULES as RULES
from splat_addon.trainer.backend.reference import equations as eq
from support import autograd_rasterizer as witness

AUTOGRAD_TOLERANCE = 1e-10
DIFFERENCE_STEP = 1e-5
DIFFERENCE_TOLERANCE = 1e-7

COUNT = 7
rng = np.random.default_rng(20)
TURN, _ = np.linalg.qr(rng.normal(size=(3, 3)))
TURN *= np.sign(np.linalg.det(TURN))
CAMERA = Camera(20, 14, 18.0, 21.0, 9.3, 7.6, np.block([[TURN, rng.normal(size=(3, 1))], [np.zeros(3), np.ones(1)]]))
MATRIX = CAMERA.camera_from_world[:3].reshape(1, 12)
INTRINSICS = np.array([[CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy]])
MEANS = rng.normal(size=(COUNT, 3)) * 3
POINTS = rng.normal(size=(COUNT, 3)) * [1.5, 1.5, 0.5] + [0, 0, 3]
POINTS[0, :2], POINTS[1, :2] = [0.1, -0.2], [5.0, -4.0]  # one where nothing is clamped, one where both are
QUATERNIONS = rng.normal(size=(COUNT, 4)) * 2
UNITS = QUATERNIONS / np.linalg.norm(QUATERNIONS, axis=1, keepdims=True)
SCALES = rng.uniform(0.2, 2, size=(COUNT, 3))
SPREADS = rng.normal(size=(COUNT, 3, 3))
COVARIANCES_3D = eq.covariances_3d(SPREADS)
MAPS = rng.normal(size=(COUNT, 2, 3))
COVARIANCES_2D = np.array([(a, rng.uniform(-0.8, 0.8) * np.sqrt(a * c), c) for a, c in rng.uniform(0.2, 4, (COUNT, 2))])
COVARIANCES_2D[0] = [1e-3, 0, 2e-4]  # below the floor of antialiasing
DIRECTIONS = rng.normal(size=(COUNT, 3))
SH = rng.normal(size=(COUNT, 16, 3))
CONICS = eq.conics(COVARIANCES_2D[1:])
OFFSETS = rng.normal(size=(COUNT - 1, 1, 2))
LOGITS = rng.normal(size=(COUNT, 1)) * 3
ENCODED = np.array([[-0.3, 0.0, 0.02], [0.0404, 0.0405, 0.2], [0.7, 1.0, 2.5]])  # both branches, and beyond white
LINEAR = np.array([[-0.02, 0.0, 0.002], [0.0031, 0.05, 0.2], [0.5, 1.0, 8.0]])

by_gaussian = torch.func.vmap


def triangle(matrix: torch.Tensor) -> torch.Tensor:
    row, column = torch.triu_indices(matrix.shape[-1], matrix.shape[-1])
    return matrix[..., row, column]


def symmetric(values: torch.Tensor) -> torch.Tensor:
    size = {3: 2, 6: 3}[values.shape[-1]]
    row, column = torch.triu_indices(size, size)
    matrix = torch.zeros(*values.shape[:-1], size, size, dtype=values.dtype)
    matrix = torch.index_put(matrix, (row, column), values)
    return torch.index_put(matrix, (column, row), values)


def camera_with(matrix: np.ndarray | None = None, intrinsics: np.ndarray | None = None) -> Camera:
    camera = CAMERA
    if matrix is not None:
        camera = replace(camera, camera_from_world=np.vstack([matrix.reshape(3, 4), [0, 0, 0, 1]]))
    if intrinsics is not None:
        fx, fy, cx, cy = intrinsics.reshape(4)
        camera = replace(camera, fx=fx, fy=fy, cx=cx, cy=cy)
    return camera


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float64))


T_MATRIX, T_INTRINSICS = tensor(MATRIX[0]), tensor(INTRINSICS[0])
CLAMPED = eq.clamp_to_frustum(POINTS, CAMERA, RULES)
T_POINTS, T_CLAMPED, T_MEANS = tensor(POINTS), tensor(CLAMPED), tensor(MEANS)


class Step(NamedTuple):
    """A step as the textbook has it and as the witness has it, both as functions of x (N, in)."""

    label: str
    x: np.ndarray
    jacobian: Callable[[], np.ndarray]  # (N, out, in)
    textbook: Callable[[np.ndarray], np.ndarray]  # (N, in) -> (N, out)
    witness: Callable[[torch.Tensor], torch.Tensor]  # (in,) -> (out,), one gaussian; torch.func maps it


def all_of(jacobian: np.ndarray) -> np.ndarray:
    """A Jacobian by a shared parameter: the outputs of all gaussians in one row of outputs."""
    return jacobian.reshape(1, -1, jacobian.shape[-1])


def held(points: torch.Tensor, intrinsics: torch.Tensor = T_INTRINSICS) -> torch.Tensor:
    return witness.clamp(points, intrinsics, CAMERA.width, CAMERA.height)[0]


STEPS = [
    Step(
        "B.1.1 point in camera by mean",
        MEANS,
        lambda: eq.d_point_d_mean(MEANS, CAMERA),
        lambda x: eq.points_in_camera(x, CAMERA),
        lambda x: witness.to_camera(x, T_MATRIX),
    ),
    Step(
        "point in camera by camera",
        MATRIX,
        lambda: all_of(eq.d_point_d_camera(MEANS)),
        lambda x: eq.points_in_camera(MEANS, camera_with(x)),
        lambda x: witness.to_camera(T_MEANS, x),
    ),
    Step(
        "B.1.2 pixel by point",
        POINTS,
        lambda: eq.d_pixel_d_point(POINTS, CAMERA),
        lambda x: eq.project(x, CAMERA),
        lambda x: witness.perspective(x, T_INTRINSICS),
    ),
    Step(
        "pixel by intrinsics",
        INTRINSICS,
        lambda: all_of(eq.d_pixel_d_intrinsics(POINTS)),
        lambda x: eq.project(POINTS, camera_with(intrinsics=x)),
        lambda x: by_gaussian(witness.perspective, in_dims=(0, None))(T_POINTS, x),
    ),
    Step(
        "B.2 unit quaternion by quaternion",
        QUATERNIONS,
        lambda: eq.d_unit_d_quaternion(QUATERNIONS),
        eq.unit_quaternions,
        lambda x: torch.nn.functional.normalize(x, dim=-1),
    ),
    Step(  # the witness normalises, so this is the chain of both Jacobians
        "B.2a spread by quaternion",
        QUATERNIONS,
        lambda: eq.d_spread_d_unit(UNITS, SCALES) @ eq.d_unit_d_quaternion(QUATERNIONS),
        lambda x: eq.spread(eq.unit_quaternions(x), SCALES).reshape(COUNT, 9),
        (lambda x, s: witness.rotation(x) * s, tensor(SCALES)),
    ),
    Step(
        "B.2a spread by unit quaternion, off the sphere",
        UNITS,
        lambda: eq.d_spread_d_unit(UNITS, SCALES),
        lambda x: eq.spread(x, SCALES).reshape(COUNT, 9),
        (  # R = (2w² - 1) I + 2 v vᵀ + 2w [v]× at |q| = 1, continued as I + 2 ([v]×² + w [v]×)
            lambda x, s: (torch.eye(3, dtype=x.dtype) + 2 * (cross(x[1:]) @ cross(x[1:]) + x[0] * cross(x[1:]))) * s,
            tensor(SCALES),
        ),
    ),
    Step(
        "B.2b spread by scales",
        SCALES,
        lambda: eq.d_spread_d_scales(UNITS),
        lambda x: eq.spread(UNITS, x).reshape(COUNT, 9),
        (lambda x, q: witness.rotation(q) * x, tensor(UNITS)),
    ),
    Step(
        "B.2 3D covariance by spread",
        SPREADS.reshape(COUNT, 9),
        lambda: eq.d_covariance_3d_d_spread(SPREADS),
        lambda x: eq.covariances_3d(x.reshape(-1, 3, 3)),
        lambda x: triangle(x.reshape(3, 3) @ x.reshape(3, 3).T),
    ),
    Step(
        "clamped point by point",
        POINTS,
        lambda: eq.d_clamped_d_point(POINTS, CAMERA, RULES),
        lambda x: eq.clamp_to_frustum(x, CAMERA, RULES),
        held,
    ),
    Step(
        "clamped point by intrinsics",
        INTRINSICS,
        lambda: all_of(eq.d_clamped_d_intrinsics(POINTS, CAMERA, RULES)),
        lambda x: eq.clamp_to_frustum(POINTS, camera_with(intrinsics=x), RULES),
        lambda x: held(T_POINTS, x),
    ),
    Step(
        "B.3b map by clamped point",
        CLAMPED,
        lambda: eq.d_map_d_clamped(CLAMPED, CAMERA),
        lambda x: eq.screen_maps(x, CAMERA).reshape(COUNT, 6),
        lambda x: witness.screen_map(x[None], T_MATRIX, T_INTRINSICS),
    ),
    Step(
        "B.3b map by point, through the clamp",
        POINTS,
        lambda: eq.d_map_d_clamped(CLAMPED, CAMERA) @ eq.d_clamped_d_point(POINTS, CAMERA, RULES),
        lambda x: eq.screen_maps(eq.clamp_to_frustum(x, CAMERA, RULES), CAMERA).reshape(COUNT, 6),
        lambda x: witness.screen_map(held(x)[None], T_MATRIX, T_INTRINSICS),
    ),
    Step(
        "map by camera",
        MATRIX,
        lambda: all_of(eq.d_map_d_camera(CLAMPED, CAMERA)),
        lambda x: eq.screen_maps(CLAMPED, camera_with(x)),
        lambda x: witness.screen_map(T_CLAMPED, x, T_INTRINSICS),
    ),
    Step(
        "map by intrinsics",
        INTRINSICS,
        lambda: all_of(eq.d_map_d_intrinsics(CLAMPED, CAMERA)),
        lambda x: eq.screen_maps(CLAMPED, camera_with(intrinsics=x)),
        lambda x: witness.screen_map(T_CLAMPED, T_MATRIX, x),
    ),
    Step(
        "B.3a 2D covariance by 3D covariance",
        COVARIANCES_3D,
        lambda: eq.d_covariance_2d_d_covariance_3d(MAPS),
        lambda x: eq.covariances_2d(x, MAPS),
        (lambda x, m: triangle(m @ symmetric(x) @ m.T), tensor(MAPS)),
    ),
    Step(
        "B.3b 2D covariance by map",
        MAPS.reshape(COUNT, 6),
        lambda: eq.d_covariance_2d_d_map(COVARIANCES_3D, MAPS),
        lambda x: eq.covariances_2d(COVARIANCES_3D, x.reshape(-1, 2, 3)),
        (lambda x, s: triangle(x.reshape(2, 3) @ symmetric(s) @ x.reshape(2, 3).T), tensor(COVARIANCES_3D)),
    ),
    Step(
        "antialiasing by 2D covariance",
        COVARIANCES_2D,
        lambda: eq.d_antialiasing_d_covariance(COVARIANCES_2D, 0.3),
        lambda x: eq.antialiasing_factors(x, 0.3)[:, None],
        lambda x: witness.antialiasing(symmetric(x), 0.3),
    ),
    Step(
        "camera centre by camera",
        MATRIX,
        lambda: eq.d_centre_d_camera(CAMERA),
        lambda x: eq.camera_centre(camera_with(x)),
        witness.centre,
    ),
    Step(
        "B.4 view direction by mean",
        MEANS,
        lambda: eq.d_direction_d_mean(MEANS, eq.camera_centre(CAMERA)),
        lambda x: eq.view_directions(x, eq.camera_centre(CAMERA)),
        lambda x: witness.view(x, T_MATRIX),
    ),
    *(
        Step(
            f"B.4 harmonics of degree {degree} by direction",
            DIRECTIONS,
            lambda degree=degree: eq.d_harmonics_d_direction(DIRECTIONS, degree),
            lambda x, degree=degree: harmonics(x, degree),
            lambda x, degree=degree: witness.harmonic_values(x, degree),
        )
        for degree in range(4)
    ),
    *(
        Step(
            f"B.4 colour of degree {degree} by coefficients",
            SH.reshape(COUNT, 48),
            lambda degree=degree: eq.d_color_d_sh(SH, DIRECTIONS, degree),
            lambda x, degree=degree: eq.colors(x.reshape(-1, 16, 3), DIRECTIONS, degree),
            (
                lambda x, r, degree=degree: torch.relu(witness.raw_colors(x.reshape(16, 3), r, degree)),
                tensor(DIRECTIONS),
            ),
        )
        for degree in range(4)
    ),
    *(
        Step(
            f"B.4 colour of degree {degree} by direction",
            DIRECTIONS,
            lambda degree=degree: eq.d_color_d_direction(SH, DIRECTIONS, degree),
            lambda x, degree=degree: eq.colors(SH, x, degree),
            (lambda x, h, degree=degree: torch.relu(witness.raw_colors(h, x, degree)), tensor(SH)),
        )
        for degree in range(4)
    ),
    Step(
        "linear light by display-encoded colour",
        ENCODED,
        lambda: eq.d_linear_d_encoded(ENCODED),
        eq.linear_colors,
        witness.to_light,
    ),
    Step(
        "display-encoded pixel by linear light",
        LINEAR,
        lambda: eq.d_encoded_d_linear(LINEAR),
        eq.encoded_pixels,
        witness.to_display,
    ),
    Step(
        "opacity by logit",
        LOGITS,
        lambda: eq.d_opacity_d_logit(LOGITS)[:, :, None],
        eq.opacities,
        torch.sigmoid,
    ),
    Step(
        "B.5.2c conic by 2D covariance",
        COVARIANCES_2D[1:],
        lambda: eq.d_conic_d_covariance(COVARIANCES_2D[1:]),
        eq.conics,
        lambda x: triangle(torch.linalg.inv(symmetric(x))),
    ),
    Step(
        "B.5.2b falloff by pixel",
        OFFSETS[:, 0],
        lambda: eq.d_falloff_d_pixel(CONICS, OFFSETS),
        lambda x: eq.falloffs(CONICS, x[:, None]),
        (lambda x, w: torch.exp(-0.5 * x @ symmetric(w) @ x), tensor(CONICS)),
    ),
    Step(
        "B.5.2c falloff by conic",
        CONICS,
        lambda: eq.d_falloff_d_conic(CONICS, OFFSETS),
        lambda x: eq.falloffs(x, OFFSETS),
        (lambda x, d: torch.exp(-0.5 * d @ symmetric(x) @ d), tensor(OFFSETS[:, 0])),
    ),
]


def cross(v: torch.Tensor) -> torch.Tensor:
    return torch.linalg.cross(v[None].expand(3, 3), torch.eye(3, dtype=v.dtype)).T


def relative_error(value: np.ndarray, reference: np.ndarray) -> float:
    assert value.shape == reference.shape
    largest = np.max(np.abs(reference))
    difference = np.max(np.abs(value - reference))
    return difference / largest if largest > 0 else difference


def witnessed(step: Step) -> tuple[np.ndarray, np.ndarray]:
    """The step and its Jacobian by automatic differentiation: (N, out), (N, out, in)."""
    function, *others = step.witness if isinstance(step.witness, tuple) else (step.witness,)

    def flat(x, *rest):
        value = function(x, *rest).reshape(-1)
        return value, value

    jacobian, value = by_gaussian(torch.func.jacrev(flat, has_aux=True))(tensor(step.x), *others)
    return value.numpy(), jacobian.numpy()


def differences(step: Step) -> np.ndarray:
    """The Jacobian by central differences of the textbook's own step."""
    columns = []
    for k in range(step.x.shape[1]):
        shift = np.zeros_like(step.x)
        shift[:, k] = DIFFERENCE_STEP
        column = (step.textbook(step.x + shift) - step.textbook(step.x - shift)) / (2 * DIFFERENCE_STEP)
        columns.append(column.reshape(len(step.x), -1))
    return np.stack(columns, axis=2)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.label)
def test_a_step_and_its_jacobian_agree_with_automatic_differentiation(step):
    value, jacobian = witnessed(step)
    assert relative_error(step.textbook(step.x).reshape(value.shape), value) <= 1e-13
    assert relative_error(step.jacobian(), jacobian) <= AUTOGRAD_TOLERANCE


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.label)
def test_a_jacobian_agrees_with_finite_differences(step):
    assert relative_error(step.jacobian(), differences(step)) <= DIFFERENCE_TOLERANCE


def test_the_inputs_reach_both_sides_of_every_clamp():
    held = CLAMPED[:, :2] != POINTS[:, :2]
    assert held.any(axis=0).all() and not held.all(axis=0).any()
    floor = eq.antialiasing_factors(COVARIANCES_2D, 0.3)
    assert floor[0] == pytest.approx(0.005, rel=1e-12) and np.all(floor[1:] > 0.05)
    lit = eq.colors(SH, DIRECTIONS, 3) > 0
    assert lit.any() and not lit.all()


def test_a_clamped_slope_keeps_only_the_depth_term_of_the_projection_jacobian():
    """J_02 = -fx t_x/z² with t_x = z · limit: its derivative by x is 0 and by z is fx t_x/z³."""
    jacobian = (eq.d_map_d_clamped(CLAMPED, CAMERA) @ eq.d_clamped_d_point(POINTS, CAMERA, RULES))[1]
    r0, _, r2 = TURN
    tx, _, z = CLAMPED[1]
    np.testing.assert_array_equal(jacobian[:3, 0], 0)
    np.testing.assert_allclose(jacobian[:3, 2], -18 * r0 / z**2 + 18 * tx * r2 / z**3, rtol=1e-12)
    assert tx / z == pytest.approx((1.15 * 20 - 9.3) / 18, rel=1e-14)


def shifted_camera(shift_x: float, shift_y: float) -> Camera:
    """83 degrees across, and a principal point beside the image's centre by these parts of its size."""
    focal_px = 100 / np.tan(np.deg2rad(83) / 2)
    return Camera(200, 160, focal_px, focal_px, 100 + 200 * shift_x, 80 + 160 * shift_y, CAMERA.camera_from_world)


@pytest.mark.parametrize("shift", [(-0.3, 0.0), (0.3, 0.0), (0.0, -0.4), (0.0, 0.4), (-0.5, 0.5)])
def test_what_a_shifted_lens_shows_is_projected_without_clamping(shift):
    """The covariance of a gaussian near each corner, against the projection itself, differentiated numerically."""
    camera = shifted_camera(*shift)
    pixels = np.array([[5.0, 4.0], [195.0, 4.0], [5.0, 156.0], [195.0, 156.0]])
    depths = np.array([1.0, 2.0, 3.0, 4.0])[:, None]
    slopes = (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    means = (np.hstack([slopes * depths, depths]) - CAMERA.camera_from_world[:3, 3]) @ TURN

    def seen(places: np.ndarray) -> np.ndarray:
        return eq.project(eq.points_in_camera(places, camera), camera)

    steps = DIFFERENCE_STEP * np.eye(3)
    maps = np.stack([(seen(means + step) - seen(means - step)) / (2 * DIFFERENCE_STEP) for step in steps], axis=2)
    held = eq.clamp_to_frustum(eq.points_in_camera(means, camera), camera, RULES)
    covariances = eq.covariances_2d(COVARIANCES_3D[:4], eq.screen_maps(held, camera))
    assert relative_error(covariances, eq.covariances_2d(COVARIANCES_3D[:4], maps)) <= DIFFERENCE_TOLERANCE


@pytest.mark.parametrize("shift", [(0.0, 0.0), (-0.3, 0.4), (0.5, -0.5)])
def test_slopes_are_held_at_15_percent_of_the_image_beyond_its_edges(shift):
    camera = shifted_camera(*shift)
    far = np.array([[900.0, 700.0, 3.0], [-900.0, -700.0, 3.0]])
    held_px = eq.project(eq.clamp_to_frustum(far, camera, RULES), camera)
    np.testing.assert_allclose(held_px, [[230.0, 184.0], [-30.0, -24.0]], rtol=1e-12)


def test_a_centred_lens_is_held_at_the_usual_1_3_times_its_half_width():
    far = np.array([[900.0, -700.0, 3.0]])
    held = eq.clamp_to_frustum(far, shifted_camera(0, 0), RULES)[0]
    half = np.tan(np.deg2rad(83) / 2)
    np.testing.assert_allclose(held / 3, [1.3 * half, -1.3 * half * 0.8, 1.0], rtol=1e-12)


def test_a_colour_clamped_at_zero_has_no_derivative():
    dark = eq.colors(SH, DIRECTIONS, 3) == 0
    np.testing.assert_array_equal(eq.d_color_d_direction(SH, DIRECTIONS, 3)[dark], 0)
    np.testing.assert_array_equal(eq.d_color_d_sh(SH, DIRECTIONS, 3)[dark], 0)


def test_encoding_is_the_inverse_of_decoding_and_its_slope_is_finite_everywhere():
    """The branches of the standard meet within 3e-8 of each other in light; each is inverted by its own."""
    values = np.concatenate([np.linspace(-0.5, 3, 400), [0.0404, 0.0405], ENCODED.ravel()])[:, None]
    np.testing.assert_allclose(eq.encoded_pixels(eq.linear_colors(values)), values, rtol=1e-12, atol=5e-7)
    np.testing.assert_allclose(eq.linear_colors(np.array([[0.0, 0.5, 1.0]])), [[0.0, 0.21404114, 1.0]], atol=5e-9)
    slopes = eq.d_encoded_d_linear(np.array([[-1.0, 0.0, 1e-300]]))
    np.testing.assert_array_equal(slopes[0], 12.92 * np.eye(3))


def blended_scene():
    """Falloffs and opacities (6 gaussians, 40 pixels) where cap, cutoff and stop all decide something."""
    random = np.random.default_rng(5)
    falloff = random.uniform(0, 1, size=(6, 40)) ** 2
    falloff[1, 3] = 0.9995  # capped behind a gaussian below the cutoff
    falloff[0, 3] = 1e-4
    falloff[:, 7] = 0.995  # finished before the last
    opacity = np.array([0.9, 1.0, 0.97, 0.99, 0.8, 0.95])
    return opacity, falloff, random.normal(size=(6, 5)), random.normal(size=5), random.normal(size=(40, 5))


def blend_by_torch(opacity, falloff, features, background):
    """Compositing as a state machine over pixels: (P, F) and the α' that were used."""
    transmittance = torch.ones(falloff.shape[1], dtype=torch.float64)
    finished = torch.zeros(falloff.shape[1], dtype=torch.bool)
    total, used = torch.zeros(falloff.shape[1], features.shape[1], dtype=torch.float64), []
    for i in range(len(opacity)):
        alpha = torch.clamp(opacity[i] * falloff[i], max=0.999)
        visible = alpha >= 1 / 255
        finished = finished | (visible & (transmittance * (1 - alpha) < 1e-4))
        alpha = torch.where(visible & ~finished, alpha, 0.0)
        total = total + (transmittance * alpha)[:, None] * features[i]
        transmittance = transmittance * (1 - alpha)
        used.append(alpha)
    return total + transmittance[:, None] * background, torch.stack(used)


def test_compositing_and_its_gradient_agree_with_automatic_differentiation():
    opacity, falloff, features, background, upstream = blended_scene()
    inputs = [tensor(values).requires_grad_() for values in (opacity, falloff, features, background)]
    composited, used = blend_by_torch(*inputs)
    by_opacity, by_falloff, by_features, by_background = torch.autograd.grad(
        (composited * tensor(upstream)).sum(), inputs
    )

    alphas = eq.pixel_alphas(opacity, falloff, RULES)
    np.testing.assert_allclose(alphas, used.detach(), rtol=1e-14)
    assert np.any(alphas == 0.999) and np.any(alphas[:, 7] == 0) and np.any(opacity[:, None] * falloff < 1 / 255)
    assert relative_error(eq.composite(alphas, features, background), composited.detach().numpy()) <= 1e-13

    d_alphas = np.einsum("npf,pf->np", eq.d_composite_d_alpha(alphas, features, background), upstream)
    d_opacity = np.sum(d_alphas * eq.d_alpha_d_opacity(alphas, falloff, RULES), axis=1)
    d_falloff = d_alphas * eq.d_alpha_d_falloff(alphas, opacity, RULES)
    assert relative_error(eq.d_composite_d_feature(alphas) @ upstream, by_features.numpy()) <= AUTOGRAD_TOLERANCE
    assert relative_error(eq.d_composite_d_background(alphas) @ upstream, by_background.numpy()) <= AUTOGRAD_TOLERANCE
    assert relative_error(d_opacity, by_opacity.numpy()) <= AUTOGRAD_TOLERANCE
    assert relative_error(d_falloff, by_falloff.numpy()) <= AUTOGRAD_TOLERANCE


def test_the_gradient_of_compositing_by_alpha_agrees_with_finite_differences():
    random = np.random.default_rng(6)
    alphas, features, background = random.uniform(0.1, 0.7, (5, 4)), random.normal(size=(5, 3)), random.normal(size=3)
    jacobian = eq.d_composite_d_alpha(alphas, features, background)
    for i in range(5):
        shift = np.zeros_like(alphas)
        shift[i] = DIFFERENCE_STEP
        ahead, back = (eq.composite(alphas + sign * shift, features, background) for sign in (1, -1))
        assert relative_error(jacobian[i], (ahead - back) / (2 * DIFFERENCE_STEP)) <= DIFFERENCE_TOLERANCE


def test_alpha_follows_its_falloff_only_between_cutoff_and_cap():
    opacity, falloff = np.array([1.0]), np.array([[0.0039, 0.0040, 0.5, 0.998, 0.9995]])
    alphas = eq.pixel_alphas(opacity, falloff, RULES)
    np.testing.assert_array_equal(alphas, [[0, 0.0040, 0.5, 0.998, 0.999]])
    np.testing.assert_array_equal(eq.d_alpha_d_opacity(alphas, falloff, RULES), [[0, 0.0040, 0.5, 0.998, 0]])
    np.testing.assert_array_equal(eq.d_alpha_d_falloff(alphas, opacity, RULES), [[0, 1, 1, 1, 0]])


def test_a_gaussian_that_would_take_transmittance_below_the_stop_is_not_added_nor_any_behind_it():
    falloff = np.array([[0.999, 0.999], [0.8, 0.95], [0.4, 0.004]])
    alphas = eq.pixel_alphas(np.ones(3), falloff, RULES)
    np.testing.assert_array_equal(alphas[:, 0], [0.999, 0.8, 0.4])  # 1e-3, 2e-4, 1.2e-4: never below 1e-4
    np.testing.assert_array_equal(alphas[:, 1], [0.999, 0, 0])  # the second would leave 5e-5
    np.testing.assert_allclose(eq.transmittances(alphas)[-1], [1.2e-4, 1e-3], rtol=1e-12)


def test_expected_depth_and_its_derivatives_agree_with_automatic_differentiation():
    depth_sum, alpha = np.array([0.0, 0.6, 2.0]), np.array([0.0, 0.3, 0.9])
    np.testing.assert_allclose(eq.expected_depth(depth_sum, alpha), [0, 2, 2 / 0.9], rtol=1e-15)
    inputs = [tensor(depth_sum[1:]).requires_grad_(), tensor(alpha[1:]).requires_grad_()]
    expected = torch.autograd.grad((inputs[0] / inputs[1]).sum(), inputs)
    for derivative, reference in zip(eq.d_expected_depth(depth_sum, alpha), expected, strict=True):
        assert derivative[0] == 0
        assert relative_error(derivative[1:], reference.numpy()) <= AUTOGRAD_TOLERANCE


def test_rotations_of_known_quaternions():
    """Half turns about the axes, a quarter turn about z that takes x to y."""
    half = np.sqrt(0.5)
    turned = eq.rotations(np.array([[0, 1, 0, 0], [0, 0, 1, 0], [half, 0, 0, half]]))
    np.testing.assert_allclose(turned[0], np.diag([1, -1, -1]), atol=1e-15)
    np.testing.assert_allclose(turned[1], np.diag([-1, 1, -1]), atol=1e-15)
    np.testing.assert_allclose(turned[2], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)


def test_antialiasing_keeps_a_gaussian_s_volume_on_the_screen():
    """α · area is what it was before dilation: sqrt(det) stands for the area of the ellipse."""
    covariance = np.array([[0.5, 0.1, 0.7]])
    factor = eq.antialiasing_factors(covariance, 0.3)[0]
    assert factor * np.sqrt(0.8 * 1.0 - 0.01) == pytest.approx(np.sqrt(0.35 - 0.01), rel=1e-14)
    assert eq.antialiasing_factors(covariance, 0.0)[0] == 1
