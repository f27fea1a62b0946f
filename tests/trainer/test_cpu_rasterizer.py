"""The compiled backend against the float64 textbook, forward and backward."""

import numpy as np
import pytest
import torch

from splat_addon.errors import SplatError
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.protocol import Gaussians
from splat_addon.trainer.backend.reference import textbook
from support.splat_scenes import Scene, camera, cloud, scenes, scenes_in_linear_light, undecided_pixels

SCENES = scenes() | scenes_in_linear_light()

# Float32 rounds to 6e-8. A pixel is a sum of up to a few hundred weights, each the product of as many factors, and
# the colours are below 2: 2e-6, or as much more as they are brighter (`image_tolerance`). Gradients are sums over
# pixels in which positive and negative terms cancel: 1e-5 of their length. Both hold only for pixels where float32
# and float64 agree about what is drawn; `undecided_pixels`, where a contribution sits on a threshold within 2e-5, are
# left out of the comparison and out of the loss, and are few.
IMAGE_TOLERANCE, GRADIENT_TOLERANCE, UNDECIDED_SHARE = 2e-6, 1e-5, 0.02


def image_tolerance(expected: np.ndarray) -> float:
    """How far a pixel may be off. Without instructions that multiply and add at once, more is rounded."""
    return IMAGE_TOLERANCE * max(1.0, expected.max() / 2)


def tensors(scene: Scene) -> Gaussians:
    return Gaussians(*(torch.tensor(v, dtype=torch.float32, requires_grad=True) for v in scene.gaussians))


def draw(scene: Scene, threads: int = 2, **changes):
    rasterizer = CpuRasterizer(threads=threads, **scene.options)
    background = torch.tensor(scene.background, dtype=torch.float32)
    return rasterizer.render(tensors(scene), scene.camera, background, sh_degree=scene.sh_degree, **changes)


def upstream(scene: Scene, seed: int = 0):
    """Derivatives of a loss by image, alpha and depth, as float64 arrays that hold float32 numbers."""
    rng = np.random.default_rng(seed)
    decided = ~undecided_pixels(scene)
    shape = scene.camera.height, scene.camera.width
    d_image, d_alpha, d_depth = rng.normal(size=(*shape, 3)), rng.normal(size=shape), rng.normal(size=shape)
    values = d_image * decided[..., None], d_alpha * decided, d_depth * decided
    return [value.astype(np.float32).astype(np.float64) for value in values]


def gradients(scene: Scene, threads: int, d_image, d_alpha=None, d_depth=None) -> dict[str, np.ndarray]:
    rasterizer = CpuRasterizer(threads=threads, **scene.options)
    inputs = tensors(scene)
    background = torch.tensor(scene.background, dtype=torch.float32, requires_grad=True)
    offsets = torch.zeros(len(inputs.means), 2, requires_grad=True)
    drawn = rasterizer.render(inputs, scene.camera, background, sh_degree=scene.sh_degree, screen_offsets_px=offsets)
    loss = (drawn.image * torch.tensor(d_image, dtype=torch.float32)).sum()
    if d_alpha is not None:
        loss = loss + (drawn.alpha * torch.tensor(d_alpha, dtype=torch.float32)).sum()
    if d_depth is not None:
        loss = loss + (drawn.depth * torch.tensor(d_depth, dtype=torch.float32)).sum()
    loss.backward()
    wanted = {**inputs._asdict(), "background": background, "screen_offsets_px": offsets}
    return {name: value.grad.numpy().astype(np.float64) for name, value in wanted.items()}


def assert_gradients_match(actual: dict[str, np.ndarray], expected, tolerance: float = GRADIENT_TOLERANCE) -> None:
    for name, value in actual.items():
        truth = getattr(expected, name)
        assert value.shape == truth.shape
        error, length = np.linalg.norm(value - truth), np.linalg.norm(truth)
        assert error <= tolerance * length + 1e-12, f"{name}: relative error {error / max(length, 1e-300):.1e}"


def test_there_are_at_least_twenty_scenes():
    assert len(SCENES) >= 20


@pytest.mark.parametrize("name", SCENES)
def test_the_picture_is_the_textbooks(name):
    scene = SCENES[name]
    expected = textbook.render(scene.gaussians, scene.camera, scene.background, **scene.textbook_options)
    drawn = draw(scene)
    decided = ~undecided_pixels(scene)
    assert decided.mean() >= 1 - UNDECIDED_SHARE
    image, alpha, depth = (value.detach().numpy() for value in (drawn.image, drawn.alpha, drawn.depth))
    np.testing.assert_allclose(image[decided], expected.image[decided], rtol=0, atol=image_tolerance(expected.image))
    np.testing.assert_allclose(alpha[decided], expected.alpha[decided], rtol=0, atol=IMAGE_TOLERANCE)
    # Depth divides by alpha = 1 - T, which keeps an absolute error of some 1e-7 however small it is.
    error = np.abs(depth - expected.depth)[decided] * np.maximum(expected.alpha[decided], 1e-3)
    assert np.max(error, initial=0) <= 5e-6 * max(1.0, expected.depth.max())
    np.testing.assert_array_equal(drawn.radii_px.numpy(), expected.radii_px)


@pytest.mark.parametrize("name", SCENES)
def test_the_gradient_is_the_textbooks(name):
    scene = SCENES[name]
    d_image, _, _ = upstream(scene)
    expected = textbook.render_backward(
        scene.gaussians, scene.camera, scene.background, d_image, **scene.textbook_options
    )
    assert_gradients_match(gradients(scene, 2, d_image), expected)


@pytest.mark.parametrize(
    "name",
    [
        "random",
        "turned camera",
        "needles",
        "size that no tile divides",
        "one pixel wide",
        "linear light, random",
        "linear light, size that no tile divides",
    ],
)
def test_the_gradient_by_alpha_and_depth_is_the_textbooks(name):
    scene = SCENES[name]
    d_image, d_alpha, d_depth = upstream(scene, seed=1)
    alpha = textbook.render(scene.gaussians, scene.camera, scene.background, **scene.textbook_options).alpha
    d_depth = d_depth * (alpha > 0.1)  # where there is hardly anything, depth is a quotient of rounding errors
    expected = textbook.render_backward(
        scene.gaussians, scene.camera, scene.background, d_image, d_alpha, d_depth, **scene.textbook_options
    )
    assert_gradients_match(gradients(scene, 2, d_image, d_alpha, d_depth), expected)


@pytest.mark.parametrize(
    "name", ["random", "many small", "deep and opaque", "one pixel", "no gaussian", "linear light, many small"]
)
def test_results_do_not_depend_on_the_number_of_threads(name):
    scene = SCENES[name]
    d_image, d_alpha, d_depth = upstream(scene)
    image, gradient = draw(scene, threads=1).image.detach(), gradients(scene, 1, d_image, d_alpha, d_depth)
    for threads in (2, 3, 8):
        assert torch.equal(draw(scene, threads=threads).image.detach(), image)
        for key, value in gradients(scene, threads, d_image, d_alpha, d_depth).items():
            assert np.linalg.norm(value - gradient[key]) <= 1e-6 * np.linalg.norm(gradient[key])


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_the_same_threads_repeat_bit_for_bit(threads):
    scene = SCENES["many small"]
    d_image, _, _ = upstream(scene)
    first, again = (gradients(scene, threads, d_image) for _ in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])


def test_screen_offsets_move_gaussians_on_the_screen():
    scene = SCENES["random"]
    offsets = np.random.default_rng(3).normal(0, 2, (60, 2)).astype(np.float32)
    expected = textbook.render(
        scene.gaussians, scene.camera, scene.background, screen_offsets_px=offsets, **scene.textbook_options
    )
    drawn = draw(scene, screen_offsets_px=torch.from_numpy(offsets))
    assert np.abs(drawn.image.detach().numpy() - expected.image).max() <= IMAGE_TOLERANCE


def test_two_views_can_be_drawn_before_either_gradient():
    scenes_ = SCENES["random"], SCENES["turned camera"]
    rasterizer, inputs = CpuRasterizer(threads=2), tensors(scenes_[0])
    loss, expected = 0.0, 0.0
    for scene in scenes_:
        drawn = rasterizer.render(inputs, scene.camera, torch.tensor(scene.background).float(), sh_degree=3)
        loss = loss + drawn.image.sum()
        shape = scene.camera.height, scene.camera.width, 3
        expected = (
            expected
            + textbook.render_backward(
                scenes_[0].gaussians, scene.camera, scene.background, np.ones(shape), sh_degree=3
            ).means
        )
    loss.backward()
    error = np.linalg.norm(inputs.means.grad.numpy() - expected)
    assert error <= GRADIENT_TOLERANCE * np.linalg.norm(expected)


def broken(**changes) -> Scene:
    values = SCENES["random"].gaussians._replace()._asdict()
    for name, (place, value) in changes.items():
        values[name] = values[name].copy()
        values[name][place] = value
    return Scene(Gaussians(**values), camera())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "place", "words"),
    [
        ("means", (3, 1), "positions"),
        ("log_scales", (59, 2), "scales"),
        ("quaternions", (0, 0), "rotations"),
        ("logit_opacities", 7, "opacities"),
        ("sh", (9, 15, 2), "colors"),
    ],
)
def test_parameters_that_are_not_finite_are_refused_in_words(name, place, words, value):
    with pytest.raises(SplatError) as caught:
        draw(broken(**{name: (place, value)}))
    assert caught.value.message == f"1 of 60 gaussians have {words} that are not finite."
    assert caught.value.remedy == "Lower the learning rates and start again from the last snapshot."


def test_a_quaternion_of_length_zero_is_refused_in_words():
    with pytest.raises(SplatError, match="2 of 60 gaussians have a rotation quaternion of length zero"):
        draw(broken(quaternions=(slice(4, 6), 0.0)))


def test_a_background_that_is_not_finite_is_refused_in_words():
    scene = Scene(SCENES["random"].gaussians, camera(), background=np.array([0.0, np.nan, 0.0]))
    with pytest.raises(SplatError, match="background color is not a finite number"):
        draw(scene)


@pytest.mark.parametrize("logit", [-400.0, -90.0, 90.0, 400.0])
def test_logits_may_run_away(logit):
    scene = broken(logit_opacities=(slice(0, 20), logit))
    expected = textbook.render(scene.gaussians, scene.camera, scene.background, **scene.textbook_options)
    assert np.abs(draw(scene).image.detach().numpy() - expected.image).max() <= IMAGE_TOLERANCE


@pytest.mark.parametrize("log_scale", [12.0, 20.0, 24.0])
def test_scales_may_run_away(log_scale):
    scene = broken(log_scales=(slice(0, 3), log_scale))
    expected = textbook.render(scene.gaussians, scene.camera, scene.background, **scene.textbook_options)
    decided = ~undecided_pixels(scene)
    image = draw(scene).image.detach().numpy()
    np.testing.assert_allclose(image[decided], expected.image[decided], rtol=0, atol=IMAGE_TOLERANCE)


def test_scales_beyond_what_can_be_squared_draw_a_flat_veil():
    veil = cloud(1, 1, means=[[0, 0, 0]], log_scales=[[85.0, 85.0, 85.0]], logit_opacities=[0.0], degree=0)
    scene = Scene(veil, camera(), sh_degree=0, background=np.zeros(3))
    drawn = draw(scene)
    assert drawn.alpha.detach().numpy() == pytest.approx(np.full((40, 48), 0.5), abs=1e-6)
