"""The textbook's picture and whole gradient against automatic differentiation, finite differences and known values."""

from typing import NamedTuple

import numpy as np
import pytest
import torch

from splat_addon.capture.camera import Camera
from splat_addon.gaussians.harmonics import SH_C0
from splat_addon.gaussians.rules import DEFAULT_RULES, PictureRules
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.backend.reference import textbook
from splat_addon.trainer.backend.reference.textbook import Gradients, render, render_backward, sum_over_pixels
from support import autograd_rasterizer as witness

# Sums over some thousand terms with 1e-16 rounding each; divisions by small determinants amplify it. 1e-9 is still
# a million times below the smallest effect of a missing term.
GRADIENT_TOLERANCE = 1e-9


class Scene(NamedTuple):
    gaussians: Gaussians
    camera: Camera
    background: np.ndarray
    screen_offsets_px: np.ndarray
    options: dict  # of the textbook
    d_image: np.ndarray
    d_alpha: np.ndarray
    d_depth: np.ndarray


def make_scene(
    seed: int,
    count: int = 16,
    *,
    slopes: tuple[float, float] = (0.5, 0.3),
    scales: tuple[float, float] = (0.05, 0.5),
    logit: float = 0.0,
    spread: float = 1.0,
    brightness: float = 0.5,
    degree: int = 3,
    depths: tuple[float, float] = (1.5, 5.0),
    offsets_px: float = 0.0,
    intrinsics: tuple[float, float, float, float] = (18.0, 21.0, 9.3, 7.6),
    **options,
) -> Scene:
    """Seeded gaussians before a turned camera with unequal focal lengths and an uncentred principal point."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn * np.sign(np.linalg.det(turn)), rng.normal(size=3)
    camera = Camera(20, 14, *intrinsics, matrix)
    z = rng.uniform(*depths, size=count)
    slope = rng.uniform(-1, 1, size=(count, 2)) * slopes
    points = np.column_stack([slope * z[:, None], z])
    sh = rng.normal(size=(count, (degree + 1) ** 2, 3)) * 0.25
    sh[:, 0] += (brightness - 0.5) / SH_C0
    gaussians = Gaussians(
        means=(points - matrix[:3, 3]) @ matrix[:3, :3],
        log_scales=np.log(rng.uniform(*scales, size=(count, 3))),
        quaternions=rng.normal(size=(count, 4)) * 2,
        logit_opacities=rng.normal(size=count) * spread + logit,
        sh=sh,
    )
    size = camera.height, camera.width
    return Scene(
        gaussians,
        camera,
        rng.uniform(size=3),
        rng.normal(size=(count, 2)) * offsets_px,
        {"sh_degree": degree, **options},
        rng.normal(size=(*size, 3)),
        rng.normal(size=size),
        rng.normal(size=size),
    )


# name: (the scene, what must happen in it)
SCENES = {
    "ordinary": (make_scene(1), ["cut off"]),
    "one gaussian": (make_scene(2, 1, slopes=(0.1, 0.1)), ["cut off"]),
    "slopes clamped": (make_scene(3, slopes=(1.6, 1.0), scales=(0.5, 2.0)), ["clamped"]),
    "lens shifted left and up": (
        make_scene(18, slopes=(2.0, 1.4), scales=(0.3, 1.0), intrinsics=(12.0, 11.0, 1.0, 0.5)),
        ["clamped"],
    ),
    "lens shifted beyond the image": (
        make_scene(19, slopes=(3.0, 3.0), scales=(0.3, 1.0), intrinsics=(11.0, 13.0, 27.0, 22.0)),
        ["clamped"],
    ),
    "alpha capped": (make_scene(4, 6, scales=(2.0, 6.0), logit=12.0), ["capped"]),
    "stopped early": (make_scene(5, 24, scales=(0.3, 1.5), logit=4.0), ["stopped"]),
    "colours clamped": (make_scene(6, brightness=0.1), ["dark"]),
    "antialiased": (make_scene(7, scales=(0.01, 0.1), antialiased=True, logit=2.0), ["cut off"]),
    "antialiased to the floor": (make_scene(8, 30, scales=(0.001, 0.003), antialiased=True, logit=7.0), ["floored"]),
    "without dilation": (make_scene(9, rules=PictureRules(dilation_px2=0.0)), ["cut off"]),
    "some behind the camera": (make_scene(10, depths=(-2.0, 4.0)), ["behind"]),
    "lower degree than stored": (make_scene(11)._replace(options={"sh_degree": 1}), ["cut off"]),
    "base colour only": (make_scene(12, degree=0), ["cut off"]),
    "shifted on the screen": (make_scene(13, offsets_px=1.5), ["cut off"]),
    "linear light": (make_scene(14, blend_space="blender"), ["cut off"]),
    "linear light, colours clamped": (make_scene(15, brightness=0.1, blend_space="blender"), ["dark"]),
    "linear light, stopped early": (
        make_scene(16, 24, scales=(0.3, 1.5), logit=4.0, blend_space="blender"),
        ["stopped"],
    ),
    "linear light, beyond white, antialiased": (
        make_scene(17, scales=(0.01, 0.1), antialiased=True, logit=2.0, brightness=1.5, blend_space="blender"),
        ["cut off"],
    ),
    "everything at once": (
        make_scene(
            31,
            40,
            slopes=(1.3, 0.9),
            scales=(0.002, 1.0),
            logit=5.0,
            spread=5.0,
            brightness=0.2,
            depths=(-2.0, 8.0),
            offsets_px=0.5,
            antialiased=True,
            rules=PictureRules(dilation_px2=0.5),
        ),
        ["clamped", "capped", "stopped", "dark", "cut off", "behind"],
    ),
}
every_scene = pytest.mark.parametrize("name", SCENES)


def tensors(scene: Scene) -> dict[str, torch.Tensor]:
    camera = scene.camera
    values = scene.gaussians._asdict() | {
        "screen_offsets_px": scene.screen_offsets_px,
        "background": scene.background,
        "camera_from_world": camera.camera_from_world[:3],
        "intrinsics": np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
    }
    return {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in values.items()}


def render_by_witness(scene: Scene, parameters: dict[str, torch.Tensor]) -> witness.Witnessed:
    options = dict(scene.options)
    options["dilation_px2"] = options.pop("rules", DEFAULT_RULES).dilation_px2
    return witness.render(**parameters, width=scene.camera.width, height=scene.camera.height, **options)


def render_by_textbook(scene: Scene):
    options = scene.options | {"screen_offsets_px": scene.screen_offsets_px}
    return render(scene.gaussians, scene.camera, scene.background, **options)


def gradients_by_textbook(scene: Scene) -> Gradients:
    options = scene.options | {"screen_offsets_px": scene.screen_offsets_px}
    upstream = scene.d_image, scene.d_alpha, scene.d_depth
    return render_backward(scene.gaussians, scene.camera, scene.background, *upstream, **options)


def loss(scene: Scene, rendering) -> float:
    pairs = (rendering.image, scene.d_image), (rendering.alpha, scene.d_alpha), (rendering.depth, scene.d_depth)
    return sum((value * weight).sum() for value, weight in pairs)


def relative_error(value: np.ndarray, reference: np.ndarray) -> float:
    """Of the L2 norm; absolute where the reference vanishes."""
    assert value.shape == reference.shape
    size = np.linalg.norm(reference)
    return float(np.linalg.norm(value - reference) / (size if size > 0 else 1.0))


@every_scene
def test_the_picture_agrees_with_the_witness_and_the_scene_shows_what_it_is_for(name):
    scene, events = SCENES[name]
    seen = render_by_witness(scene, tensors(scene))
    rendering = render_by_textbook(scene)
    assert all(seen.events[event] > 0 for event in events), seen.events
    assert np.max(rendering.alpha) > 0.003
    for value, reference in zip((rendering.image, rendering.alpha, rendering.depth), seen[:3], strict=True):
        np.testing.assert_allclose(value, reference.detach(), rtol=1e-11, atol=1e-13)


@every_scene
def test_the_whole_gradient_agrees_with_automatic_differentiation(name):
    scene, _ = SCENES[name]
    parameters = tensors(scene)
    seen = render_by_witness(scene, parameters)
    weighted = [
        (value * torch.from_numpy(weight)).sum()
        for value, weight in zip(seen[:3], (scene.d_image, scene.d_alpha, scene.d_depth), strict=True)
    ]
    expected = torch.autograd.grad(sum(weighted), list(parameters.values()))
    gradients = gradients_by_textbook(scene)._asdict()
    errors = {
        name: relative_error(gradients[name], reference.numpy())
        for name, reference in zip(parameters, expected, strict=True)
    }
    assert max(errors.values()) <= GRADIENT_TOLERANCE, errors
    assert all(np.any(gradients[name] != 0) for name in gradients)


@pytest.mark.parametrize("parameter", Gradients._fields)
@every_scene
def test_the_whole_gradient_agrees_with_finite_differences(name, parameter):
    """Along one random direction for each parameter, h = 1e-6.

    The loss rounds at about 1e-14, so its difference is known to 1e-14/1e-6 = 1e-8; truncation, of the order of h²,
    is less. Hence 1e-7 absolute and 1e-6 relative, for derivatives of mostly 0.1 to 100. The steps are too short for
    a pixel of these scenes to cross the cutoff or the stop; one that did would jump by 1e-3/1e-6 = 1000.
    """
    scene, _ = SCENES[name]
    step = 1e-6
    value = {key: values.detach().numpy() for key, values in tensors(scene).items()}[parameter]
    direction = np.random.default_rng(3).normal(size=value.shape)
    ahead, back = (
        loss(scene, render_by_textbook(with_parameter(scene, parameter, value + sign * step * direction)))
        for sign in (1, -1)
    )
    derivative = np.sum(getattr(gradients_by_textbook(scene), parameter) * direction)
    assert derivative == pytest.approx((ahead - back) / (2 * step), rel=1e-6, abs=1e-7)


def with_parameter(scene: Scene, name: str, value: np.ndarray) -> Scene:
    if name in Gaussians._fields:
        return scene._replace(gaussians=scene.gaussians._replace(**{name: value}))
    if name in Scene._fields:
        return scene._replace(**{name: value})
    camera = scene.camera
    matrix, intrinsics = camera.camera_from_world, (camera.fx, camera.fy, camera.cx, camera.cy)
    if name == "camera_from_world":
        matrix = np.vstack([value, [0, 0, 0, 1]])
    else:
        intrinsics = value
    return scene._replace(camera=Camera(camera.width, camera.height, *intrinsics, matrix))


def test_moving_the_camera_is_moving_the_world_the_other_way():
    """p_c = R p + t and the view direction see a step of t as the step Rᵀ of every mean."""
    scene, _ = SCENES["ordinary"]
    gradients = gradients_by_textbook(scene)
    turn = scene.camera.camera_from_world[:3, :3]
    np.testing.assert_allclose(gradients.camera_from_world[:, 3], turn @ gradients.means.sum(axis=0), rtol=1e-11)


def test_a_quaternion_s_length_changes_neither_the_picture_nor_the_loss():
    scene, _ = SCENES["ordinary"]
    longer = scene._replace(gaussians=scene.gaussians._replace(quaternions=3 * scene.gaussians.quaternions))
    np.testing.assert_allclose(render_by_textbook(longer).image, render_by_textbook(scene).image, rtol=1e-12)
    along = np.sum(gradients_by_textbook(scene).quaternions * scene.gaussians.quaternions, axis=1)
    np.testing.assert_allclose(along, 0, atol=1e-13)


FRONT = Camera(5, 3, 10.0, 10.0, 2.5, 1.5, np.eye(4))  # the optical axis meets the centre of the middle pixel


def place(*gaussians: tuple[float, float, float], scale: float = 0.1) -> Gaussians:
    """Round gaussians (depth, opacity, grey) on the optical axis of FRONT."""
    depths, opacity, grey = np.array(gaussians, dtype=np.float64).reshape(-1, 3).T
    count = len(depths)
    sh = np.repeat(((grey - 0.5) / SH_C0)[:, None, None], 3, axis=2)
    return Gaussians(
        means=np.column_stack([np.zeros((count, 2)), depths]),
        log_scales=np.full((count, 3), np.log(scale)),
        quaternions=np.tile([1.0, 0, 0, 0], (count, 1)),
        logit_opacities=np.log(opacity / (1 - opacity)),
        sh=sh,
    )


def test_one_round_gaussian_has_its_closed_form():
    """Σ' = (10 · 0.1/2)² + 0.3 = 0.55 px², so one pixel aside g = exp(-½/0.55)."""
    rendering = render(place((2.0, 0.8, 0.9)), FRONT, np.array([0.1, 0.2, 0.3]), sh_degree=0)
    side = 0.8 * np.exp(-0.5 / 0.55)
    np.testing.assert_allclose(rendering.alpha[1, 1:4], [side, 0.8, side], rtol=1e-13)
    np.testing.assert_allclose(rendering.image[1, 2], 0.8 * 0.9 + 0.2 * np.array([0.1, 0.2, 0.3]), rtol=1e-13)
    np.testing.assert_allclose(rendering.depth[1, 1:4], 2.0, rtol=1e-13)
    np.testing.assert_array_equal(rendering.radii_px, [np.ceil(3 * np.sqrt(0.55))])


def light(encoded: float) -> float:
    return encoded / 12.92 if encoded <= 0.04045 else ((encoded + 0.055) / 1.055) ** 2.4


def shown(linear: float) -> float:
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def test_two_half_transparent_gaussians_in_linear_light_have_their_closed_form():
    pair, background = place((2.0, 0.5, 0.9), (3.0, 0.5, 0.02)), np.array([0.1, 0.4, 1.0])
    images = {
        space: render(pair, FRONT, background, sh_degree=0, blend_space=space).image[1, 2]
        for space in ("display", "blender")
    }
    np.testing.assert_allclose(images["display"], 0.5 * 0.9 + 0.25 * 0.02 + 0.25 * background, rtol=1e-13)
    in_light = [shown(0.5 * light(0.9) + 0.25 * light(0.02) + 0.25 * light(behind)) for behind in background]
    np.testing.assert_allclose(images["blender"], in_light, rtol=1e-13)
    assert np.all(images["blender"] > images["display"] + 0.08)


@pytest.mark.parametrize("grey", [0.01, 0.3, 0.9, 1.6])
def test_a_gaussian_that_hides_everything_looks_the_same_in_both_blend_spaces(grey):
    """Opacity is capped at 0.999; the thousandth that is left shows more of the same colour."""
    images = [
        render(place((2.0, 0.9999, grey)), FRONT, np.full(3, grey), sh_degree=0, blend_space=space).image
        for space in ("display", "blender")
    ]
    np.testing.assert_allclose(images[0], grey, rtol=1e-12)
    np.testing.assert_allclose(images[1], grey, rtol=1e-12)


def test_the_nearer_gaussian_covers_the_farther_whatever_their_order():
    image = render(place((4.0, 0.5, 0.2), (2.0, 0.8, 0.9)), FRONT, np.zeros(3), sh_degree=0).image
    np.testing.assert_allclose(image[1, 2], 0.8 * 0.9 + 0.2 * 0.5 * 0.2, rtol=1e-13)
    depth = render(place((4.0, 0.5, 0.2), (2.0, 0.8, 0.9)), FRONT, np.zeros(3), sh_degree=0).depth
    assert depth[1, 2] == pytest.approx((0.8 * 2 + 0.1 * 4) / 0.9, rel=1e-13)


def test_equal_depths_are_drawn_in_the_order_given():
    image = render(place((2.0, 0.5, 0.2), (2.0, 0.5, 1.0)), FRONT, np.zeros(3), sh_degree=0).image
    np.testing.assert_allclose(image[1, 2], 0.5 * 0.2 + 0.25 * 1.0, rtol=1e-13)


def test_an_opaque_pixel_is_finished_before_the_gaussian_that_would_pass_the_stop():
    """0.999 leaves 1e-3; 0.95 would leave 5e-5 and is not added, though the one behind it alone would fit."""
    gaussians = place((2.0, 0.9999, 0.5), (3.0, 0.95, 1.0), (4.0, 0.3, 1.0))
    rendering = render(gaussians, FRONT, np.full(3, 100.0), sh_degree=0)
    assert rendering.alpha[1, 2] == pytest.approx(0.999, rel=1e-14)
    np.testing.assert_allclose(rendering.image[1, 2], 0.999 * 0.5 + 0.001 * 100, rtol=1e-12)


def test_no_gaussians_show_the_background():
    scene = make_scene(1, 0)
    rendering = render_by_textbook(scene)
    np.testing.assert_array_equal(rendering.image, np.broadcast_to(scene.background, (14, 20, 3)))
    assert not rendering.alpha.any() and not rendering.depth.any() and rendering.radii_px.shape == (0,)
    gradients = gradients_by_textbook(scene)
    np.testing.assert_allclose(gradients.background, scene.d_image.sum(axis=(0, 1)), rtol=1e-12)
    assert gradients.sh.shape == (0, 16, 3) and gradients.quaternions.shape == (0, 4)
    np.testing.assert_array_equal(gradients.camera_from_world, np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("reason", "gaussians"),
    [
        ("behind the camera", place((-2.0, 0.8, 0.9))),
        ("nearer than the near plane", place((0.00999, 0.8, 0.9), scale=1e-4)),
        ("below the cutoff everywhere", place((2.0, 0.0039, 0.9))),
        ("off the image", place((2.0, 0.8, 0.9))._replace(means=np.array([[50.0, 0.0, 2.0]]))),
    ],
)
def test_what_is_not_drawn_changes_nothing_and_has_no_gradient(reason, gaussians):
    background, upstream = np.array([0.1, 0.2, 0.3]), np.ones((3, 5, 3))
    rendering = render(gaussians, FRONT, background, sh_degree=0)
    np.testing.assert_array_equal(rendering.image, np.broadcast_to(background, (3, 5, 3)))
    np.testing.assert_array_equal(rendering.radii_px, [0])
    gradients = render_backward(gaussians, FRONT, background, upstream, sh_degree=0)
    np.testing.assert_array_equal(gradients.background, [15, 15, 15])
    for name in set(Gradients._fields) - {"background"}:
        assert not getattr(gradients, name).any(), name


def test_a_gaussian_on_the_near_plane_is_drawn():
    rendering = render(place((0.01, 0.8, 0.9), scale=1e-4), FRONT, np.zeros(3), sh_degree=0)
    assert rendering.alpha[1, 2] == pytest.approx(0.8, rel=1e-12)
    assert rendering.radii_px[0] > 0


@pytest.mark.parametrize("antialiased", [False, True])
def test_a_needle_without_area_is_not_drawn_when_nothing_dilates_it(antialiased):
    """One needle is a point on the screen; the other, along the optical axis and off it, a line at 45 degrees."""
    gaussians = place((2.0, 0.8, 0.9), (2.0, 0.8, 0.9), (3.0, 0.5, 0.4))
    means, log_scales = gaussians.means.copy(), gaussians.log_scales.copy()
    means[1, :2] = 0.2
    log_scales[0], log_scales[1, :2] = -400.0, -400.0  # exp(-800) is 0 also in float64
    gaussians = gaussians._replace(means=means, log_scales=log_scales)
    options = {"sh_degree": 0, "rules": PictureRules(dilation_px2=0.0), "antialiased": antialiased}
    rendering = render(gaussians, FRONT, np.zeros(3), **options)
    assert rendering.alpha[1, 2] == pytest.approx(0.5, rel=1e-12)
    np.testing.assert_array_equal(rendering.radii_px > 0, [False, False, True])
    gradients = render_backward(gaussians, FRONT, np.zeros(3), np.ones((3, 5, 3)), **options)
    np.testing.assert_array_equal(gradients.means.any(axis=1), [False, False, True])
    np.testing.assert_array_equal(render(gaussians, FRONT, np.zeros(3), sh_degree=0).radii_px > 0, [True, True, True])


def test_the_radius_is_three_sigma_of_the_longer_axis():
    """Sigmas of 4, 1 and 1 px, the long one turned by 30 degrees in the image."""
    gaussians = place((2.0, 0.8, 0.9))._replace(
        log_scales=np.log([[0.8, 0.2, 0.2]]),
        quaternions=np.array([[np.cos(np.pi / 12), 0, 0, np.sin(np.pi / 12)]]),
    )
    assert render(gaussians, FRONT, np.zeros(3), sh_degree=0).radii_px[0] == np.ceil(3 * np.sqrt(16.3))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_gaussian_off_the_image_is_drawn_as_long_as_it_reaches_the_nearest_pixel_s_centre(axis, side):
    """α g = 1/255 at sqrt(2 ln(255 · 0.8) · 0.55) px from the middle of the closed form above."""
    reach = np.sqrt(2 * np.log(255 * 0.8) * 0.55)
    to_last_centre = [2, 1][axis]
    for beyond, is_drawn in ((-1e-6, True), (1e-6, False)):
        offset = np.zeros((1, 2))
        offset[0, axis] = side * (to_last_centre + reach + beyond)
        rendering = render(place((2.0, 0.8, 0.9)), FRONT, np.zeros(3), sh_degree=0, screen_offsets_px=offset)
        assert bool(rendering.radii_px[0] > 0) == is_drawn
        assert np.count_nonzero(rendering.alpha) == is_drawn


@every_scene
def test_whatever_reaches_a_pixel_has_a_radius(name):
    scene, _ = SCENES[name]
    weights = render_by_witness(scene, tensors(scene)).weights.detach().numpy()
    radii_px = render_by_textbook(scene).radii_px
    assert np.all(radii_px[weights.any(axis=(1, 2))] >= 1)
    assert np.all(radii_px == np.ceil(radii_px))


def test_working_in_blocks_of_pixels_changes_nothing(monkeypatch):
    scene, _ = SCENES["ordinary"]
    whole, gradients = render_by_textbook(scene), gradients_by_textbook(scene)
    sums = sum_over_pixels(scene.gaussians, scene.camera, scene.d_alpha)
    monkeypatch.setattr(textbook, "_PAIRS_PER_BLOCK", 600)  # 37 pixels for 16 gaussians, which does not divide 280
    blocked = render_by_textbook(scene)
    np.testing.assert_allclose(blocked.image, whole.image, rtol=1e-14)
    np.testing.assert_allclose(blocked.depth, whole.depth, rtol=1e-14)
    np.testing.assert_allclose(sum_over_pixels(scene.gaussians, scene.camera, scene.d_alpha), sums, rtol=1e-12)
    for value, reference in zip(gradients_by_textbook(scene), gradients, strict=True):
        assert relative_error(value, reference) <= 1e-13


@pytest.mark.parametrize("name", Gaussians._fields)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_are_refused_by_name(name, bad):
    gaussians = place((2.0, 0.8, 0.9), (3.0, 0.5, 0.4))
    values = getattr(gaussians, name).copy()
    values[1] = bad
    with pytest.raises(ValueError, match=rf"^1 of 2 gaussians have {name} that are not finite numbers\.$"):
        render(gaussians._replace(**{name: values}), FRONT, np.zeros(3), sh_degree=0)


def test_a_quaternion_of_length_zero_is_refused():
    gaussians = place((2.0, 0.8, 0.9))._replace(quaternions=np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"^1 of 1 gaussians have a quaternion of length zero\.$"):
        render_backward(gaussians, FRONT, np.zeros(3), np.ones((3, 5, 3)), sh_degree=0)


@pytest.mark.parametrize("name", ["ordinary", "stopped early", "everything at once"])
def test_one_pass_gathers_any_map_by_the_weights_of_each_gaussian(name):
    """Against the witness's own weights, and against the gradient by colour of the real image."""
    scene, _ = SCENES[name]
    pixel_map = np.random.default_rng(0).normal(size=(scene.camera.height, scene.camera.width))
    options = {key: value for key, value in scene.options.items() if key != "sh_degree"}
    options["screen_offsets_px"] = scene.screen_offsets_px
    sums = sum_over_pixels(scene.gaussians, scene.camera, pixel_map, **options)
    weights = render_by_witness(scene, tensors(scene)).weights.detach().numpy()
    assert relative_error(sums, np.einsum("nhw,hw->n", weights, pixel_map)) <= 1e-12

    bright = scene.gaussians._replace(sh=scene.gaussians.sh * [[[0.0]]] + 0.1)
    d_image = np.repeat(pixel_map[..., None], 3, axis=2)
    d_sh = render_backward(bright, scene.camera, scene.background, d_image, sh_degree=0, **options).sh
    for channel in range(3):
        assert relative_error(d_sh[:, 0, channel] / SH_C0, sums) <= 1e-12

    contributions = sum_over_pixels(scene.gaussians, scene.camera, np.ones_like(pixel_map), **options)
    assert contributions.sum() == pytest.approx(render_by_textbook(scene).alpha.sum(), rel=1e-12)
