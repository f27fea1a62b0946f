"""The fitter of the lesson: equations against plain loops and finite differences, repeatable fits, bad targets."""

import base64
import io
import json
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from splat_addon.errors import LessonError
from splat_addon.lesson import targets
from splat_addon.lesson.adam import Adam
from splat_addon.lesson.density import _thin_out, move_by_mcmc
from splat_addon.lesson.fitter import MOST_POINTS, Curve, Fitter, Settings
from splat_addon.lesson.gaussians import FAINTEST, random_gaussians
from splat_addon.lesson.pairs import REACH_SIGMA
from splat_addon.lesson.terms import terms_of

SIZE = (11, 14)
LOSSES_AFTER_100 = {0: 0.001636, 1: 0.001697, 2: 0.001658}  # docs/lesson.md has the same table


def small_fit(seed=3, count=9, **settings) -> Fitter:
    """Nine gaussians of all kinds on a small image, in float64."""
    random = np.random.default_rng(seed)
    fitter = Fitter(random.random((*SIZE, 3)), Settings(count=count, seed=seed, **settings), np.float64)
    gaussians = fitter.gaussians
    gaussians.colors[:] = random.uniform(-0.3, 1.0, (count, 3))
    gaussians.logit_opacities[:] = random.uniform(-2, 2, count)
    gaussians.log_sigmas[:] = np.log(random.uniform(0.6, 3.0, (count, 2)))
    if settings.get("is_anisotropic"):
        gaussians.angles[:] = random.uniform(-3, 3, count)
    else:
        gaussians.log_sigmas[:, 1] = gaussians.log_sigmas[:, 0]
    return fitter


def drawn_by_loops(fitter: Fitter) -> np.ndarray:
    """The image, pixel by pixel and gaussian by gaussian."""
    gaussians, image = fitter.gaussians, np.zeros((*SIZE, 3))
    for row, column in product(range(SIZE[0]), range(SIZE[1])):
        passed = 1.0
        for i in range(len(gaussians)):
            x, y = column + 0.5 - gaussians.means[i, 0], row + 0.5 - gaussians.means[i, 1]
            (xx, xy), (_, yy) = gaussians.covariances()[i]
            if abs(x) > REACH_SIGMA * math.sqrt(xx) or abs(y) > REACH_SIGMA * math.sqrt(yy):
                continue
            if fitter.settings.is_anisotropic:
                power = (yy * x * x - 2 * xy * x * y + xx * y * y) / (xx * yy - xy * xy)
            else:
                power = (x * x + y * y) / gaussians.sigmas[i, 0] ** 2
            weight = math.exp(-power / 2)
            if fitter.settings.is_additive:
                image[row, column] += gaussians.colors[i] * weight
            else:
                alpha = min(0.99, weight / (1 + math.exp(-gaussians.logit_opacities[i])))
                image[row, column] += passed * alpha * gaussians.colors[i]
                passed *= 1 - alpha
    return image


@pytest.mark.parametrize("is_anisotropic", [False, True])
@pytest.mark.parametrize("is_additive", [True, False])
def test_rendering_is_that_of_a_plain_double_loop(is_additive, is_anisotropic):
    fitter = small_fit(is_additive=is_additive, is_anisotropic=is_anisotropic)
    np.testing.assert_allclose(fitter.measure().image, drawn_by_loops(fitter), rtol=0, atol=1e-12)


def test_a_long_list_of_pairs_is_drawn_in_bands_with_the_same_result(monkeypatch):
    fitter = small_fit(is_additive=False)
    whole = fitter.measure()
    monkeypatch.setattr("splat_addon.lesson.fitter.PAIRS_AT_ONCE", 40)
    monkeypatch.setattr("splat_addon.lesson.fitter.PAIRS_KEPT", 100)
    pieces = sum(1 for _ in fitter.pieces(moves=False))
    assert pieces > 10
    np.testing.assert_allclose(fitter.measured.image, whole.image, atol=1e-14)
    for name, gradient in whole.gradients.arrays().items():
        np.testing.assert_allclose(getattr(fitter.measured.gradients, name), gradient, atol=1e-15)


@pytest.mark.parametrize("loss", ["mse", "l1_ssim"])
@pytest.mark.parametrize("is_anisotropic", [False, True])
@pytest.mark.parametrize("is_additive", [True, False])
def test_gradients_are_those_of_finite_differences(is_additive, is_anisotropic, loss):
    fitter = small_fit(is_additive=is_additive, is_anisotropic=is_anisotropic, loss=loss, held_out=0.2)
    gradients = fitter.measure().gradients.arrays()
    for name, values in fitter.gaussians.arrays().items():
        if (name == "angles" and not is_anisotropic) or (name == "logit_opacities" and is_additive):
            assert not gradients[name].any()
            continue
        found = np.zeros_like(values)
        for place in np.ndindex(values.shape):
            # One sigma is both numbers.
            moved = place[:1] if name == "log_sigmas" and not is_anisotropic else place
            sides = []
            for step in (1e-6, -1e-6):
                before = values[moved].copy()
                values[moved] += step
                sides.append(fitter.measure().loss)
                values[moved] = before
            found[place] = (sides[0] - sides[1]) / 2e-6
        scale = np.abs(found).max()
        assert scale > 1e-5
        np.testing.assert_allclose(gradients[name], found, rtol=1e-6, atol=1e-6 * scale, err_msg=name)


@pytest.mark.parametrize("is_additive", [True, False])
def test_the_factors_of_one_gaussian_multiply_to_its_pixels_term_and_sum_to_its_gradient(is_additive):
    fitter = small_fit(is_additive=is_additive)
    measured = fitter.measure()
    terms = terms_of(measured, 4, is_additive)
    product_of_factors = (terms.residual @ terms.color) * terms.weight * terms.lever
    np.testing.assert_allclose(terms.term, product_of_factors, rtol=1e-12)
    center, sigma = fitter.gaussians.means[4], fitter.gaussians.sigmas[4, 0]
    np.testing.assert_allclose(terms.lever, (np.array(terms.pixel) + 0.5 - center) / sigma**2, rtol=1e-12)
    np.testing.assert_allclose(terms.gradient, measured.gradients.means[4])
    column, row = terms.pixel
    np.testing.assert_allclose(terms.residual, 2 * (measured.image - fitter.target)[row, column] / fitter.target.size)


@pytest.mark.parametrize("seed", LOSSES_AFTER_100)
def test_documented_seeds_reach_the_documented_loss(seed):
    fitter = Fitter(targets.builtin("sunset"), Settings(seed=seed))
    for _ in range(100):
        fitter.step()
    assert fitter.measure().loss == pytest.approx(LOSSES_AFTER_100[seed], rel=0.02)


@pytest.fixture(scope="module")
def fitted():
    """A small fit in which little happens any longer, as text."""
    fitter = Fitter(targets.builtin("sunset", 48), Settings(count=60, seed=1))
    for _ in range(300):
        fitter.step()
    return fitter.saved()


def test_densifying_adds_a_quarter_and_lowers_the_loss_within_100_steps(fitted):
    fitter, alone = Fitter.loaded(fitted), Fitter.loaded(fitted)
    fitter.gaussians.colors[3] = 0.5 * FAINTEST  # transparent
    before = fitter.measure().loss
    change = fitter.densify()
    assert change.pruned == 1 and change.cloned + change.split == math.ceil(59 / 4)
    assert change.cloned > 0 and change.split > 0
    assert len(fitter.gaussians) == 59 + 15 and fitter.densified_at == [300]
    for _ in range(100):
        fitter.step()
        alone.step()
    assert fitter.measure().loss < 0.95 * alone.measure().loss < 0.95 * before


def light_of(gaussians) -> float:
    """The sum over the plane of what additive gaussians show."""
    return float((gaussians.colors * np.prod(gaussians.sigmas, axis=1)[:, None]).sum())


def test_cloning_and_splitting_keep_the_sum_over_the_plane(fitted):
    fitter = Fitter.loaded(fitted)
    before = light_of(fitter.gaussians)
    fitter.densify()
    assert light_of(fitter.gaussians) == pytest.approx(before, rel=1e-4)


@pytest.mark.parametrize("is_additive", [True, False])
def test_mcmc_relocates_the_dead_adds_a_twentieth_and_keeps_the_sum(is_additive):
    random = np.random.default_rng(0)
    gaussians = random_gaussians(100, (40, 40), is_additive, random, np.float64)
    gaussians.means[:] = random.uniform(15, 25, (100, 2))
    gaussians.colors[:5], gaussians.logit_opacities[:5] = 0.001, -9.0
    adam = Adam(gaussians)
    peaks = gaussians.peaks(is_additive)
    moved, origins, change = move_by_mcmc(gaussians.select(np.arange(100)), adam, is_additive, 1000, random)
    assert (change.relocated, change.cloned, len(moved), len(adam.steps)) == (5, 5, 105, 105)
    assert (moved.peaks(is_additive) >= FAINTEST / 3).all() and (origins[:5] == -1).all() and origins[50] == 50
    if is_additive:
        assert light_of(moved) == pytest.approx(light_of(gaussians.select(peaks >= FAINTEST)))


def test_n_thinned_out_gaussians_in_one_place_show_what_one_did():
    """Under transmittance: the sum over the plane of 1 - (1 - alpha)^n."""
    gaussians = random_gaussians(1, (40, 40), False, np.random.default_rng(0), np.float64)
    gaussians.log_sigmas[:], gaussians.logit_opacities[:] = np.log(4.0), 1.5
    thin = gaussians.select(np.zeros(3, int))
    _thin_out(thin, np.arange(3), 3, is_additive=False)
    squares = sum(axis**2 for axis in np.mgrid[-40:40:0.25, -40:40:0.25])
    one = gaussians.opacities[0] * np.exp(-squares / (2 * 4.0**2))
    three = 1 - (1 - thin.opacities[0] * np.exp(-squares / (2 * thin.sigmas[0, 0] ** 2))) ** 3
    assert three.sum() == pytest.approx(one.sum(), rel=1e-6) and three.max() == pytest.approx(one.max(), rel=1e-6)


def test_the_limit_holds_and_nothing_left_is_told():
    fitter = Fitter(targets.builtin("checker", 24), Settings(count=30, most=33))
    fitter.step()
    assert len(Fitter.densify(fitter).sentence(33)) > 0 and len(fitter.gaussians) == 33
    fitter.gaussians.colors[:] = 0
    fitter.step()
    fitter.gaussians.colors[:] = 0
    fitter.densify()
    assert len(fitter.gaussians) == 0 and fitter.step() > 0.1
    with pytest.raises(LessonError, match="no gaussian left to clone or split"):
        fitter.densify()


def test_auto_densifies_when_the_loss_stalls_and_not_before():
    fitter = Fitter(targets.builtin("gaussians", 16), Settings(count=4, is_auto=True, most=60))
    for _ in range(500):
        fitter.step()
    assert fitter.densified_at and len(fitter.gaussians) > 4
    assert np.diff([0, *fitter.densified_at]).min() >= 200


@pytest.mark.parametrize(
    "settings", [{}, {"is_additive": False, "is_anisotropic": True, "loss": "l1_ssim"}, {"strategy": "mcmc"}]
)
def test_equal_seeds_repeat_bit_for_bit_and_a_saved_fit_goes_on_as_if_nothing_had_happened(settings):
    settings = Settings(count=20, held_out=0.1, seed=5, **settings)
    fits = [Fitter(targets.builtin("balls", 24), settings) for _ in range(2)]
    for fitter in fits:
        for step in range(25):
            fitter.step()
            if step == 12:
                fitter.densify()
    fits.append(Fitter.loaded(fits[0].saved()))
    for fitter in fits:
        fitter.step()
        fitter.densify()
        fitter.step()
    for other in fits[1:]:
        assert other.saved() == fits[0].saved()
    assert len(fits[0].held_out_losses.values) == 3


def test_a_step_that_is_dropped_half_way_never_was():
    fitter, other = (Fitter(targets.builtin("balls", 24), Settings(count=20)) for _ in range(2))
    begun = fitter.pieces()
    next(begun)
    begun.close()
    assert fitter.saved() == other.saved()
    assert fitter.step() == other.step() and fitter.saved() == other.saved()


def test_held_out_pixels_pull_at_nothing():
    for loss in ("mse", "l1_ssim"):
        fitter = small_fit(loss=loss, held_out=0.3)
        gradients = fitter.measure().gradients
        assert 0.1 < (~fitter.mask).mean() < 0.5 and not fitter.measured.residual[~fitter.mask].any()
        changed = np.where(fitter.mask[..., None], fitter.target, 1 - fitter.target)
        other = Fitter(changed, fitter.settings, np.float64)
        other.gaussians = fitter.gaussians
        np.testing.assert_array_equal(other.measure().gradients.means, gradients.means)


def test_too_many_gaussians_learn_the_pixels_by_heart():
    target = np.clip(targets.builtin("balls", 32) + np.random.default_rng(0).normal(0, 0.1, (32, 32, 3)), 0, 1)
    gaps = []
    for count in (20, 400):
        fitter = Fitter(target, Settings(count=count, held_out=0.25))
        for _ in range(151):
            fitter.step()
        gaps.append(fitter.held_out_losses.values[-1] / fitter.losses.values[-1])
    assert gaps[1] > 1.5 * gaps[0]


def test_text_that_is_no_fit_is_refused_in_a_sentence(fitted):
    for text in ("", "no base64!", "aGVsbG8=", fitted[: len(fitted) // 2]):
        with pytest.raises(LessonError, match="Press Reset to begin anew"):
            Fitter.loaded(text)


def rewritten(text: str, change, pack: bool = False) -> str:
    """A saved fit with other content, as a stranger's file could hold it."""
    with np.load(io.BytesIO(base64.b64decode(text))) as arrays:
        content = dict(arrays)
    facts = json.loads(bytes(content["facts"]))
    change(content, facts)
    content["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    file = io.BytesIO()
    (np.savez_compressed if pack else np.savez)(file, **content)
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda content, facts: facts["settings"].update(count=10**12),
        lambda content, facts: facts["settings"].update(count="many"),
        lambda content, facts: facts["settings"].update(loss="none"),
        lambda content, facts: facts["settings"].update(seed=-1),
        lambda content, facts: facts.update(random={}),
        lambda content, facts: content.update(target=np.zeros((3, 5000, 3), np.float32)),
        lambda content, facts: content.update(target=np.full((4, 4, 3), np.nan, np.float32)),
        lambda content, facts: content.update(target=np.zeros((4, 4, 3), np.int64)),
        lambda content, facts: content.update(mask=np.ones(7, bool)),
        lambda content, facts: content.update({"gaussians.means": np.zeros((20_000, 2), np.float32)}),
    ],
)
def test_a_strangers_fit_is_refused_in_a_sentence(fitted, change):
    assert Fitter.loaded(rewritten(fitted, lambda content, facts: None)).step_count > 0
    with pytest.raises(LessonError, match="cannot be read"):
        Fitter.loaded(rewritten(fitted, change))


def test_a_fit_is_never_unpacked(fitted):
    with pytest.raises(LessonError, match="cannot be read"):
        Fitter.loaded(rewritten(fitted, lambda content, facts: content.update(more=np.zeros(10**6)), pack=True))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2)])
@pytest.mark.parametrize("loss", ["mse", "l1_ssim"])
def test_the_smallest_images_are_fitted(shape, loss):
    fitter = Fitter(np.full((*shape, 3), 0.5), Settings(count=3, held_out=0.5, loss=loss), np.float64)
    first = fitter.step()
    for _ in range(100):
        fitter.step()
    assert fitter.measure().loss < 0.7 * first


def test_without_a_gaussian_the_image_is_black_and_the_loss_stays():
    fitter = Fitter(targets.builtin("balls", 16), Settings(count=0, is_auto=True))
    assert fitter.step() == fitter.step() == pytest.approx(float(np.square(fitter.target).mean()))
    assert not fitter.measured.image.any()


def test_ten_thousand_gaussians_make_a_step_of_many_short_pieces():
    fitter = Fitter(targets.builtin("sunset", 128), Settings(count=10_000))
    assert sum(1 for _ in fitter.pieces()) >= 4 and math.isfinite(fitter.measured.loss)


def test_bright_transparent_and_broken_pixels_become_a_target_with_sentences():
    pixels = np.full((4, 6, 4), 0.25, np.float32)
    pixels[..., 3] = 1
    target, notes = targets.prepare(pixels, is_linear=False)
    assert notes == [] and (target == 0.25).all() and target.shape == (4, 6, 3)
    pixels[0, 0, :3], pixels[1, 1, 3], pixels[2, 2, 0] = 7.0, 0.5, np.nan
    target, notes = targets.prepare(pixels, is_linear=False)
    assert [note.split()[-1] for note in notes] == ["black.", "clipped.", "black."]
    assert target[0, 0, 0] == 1 and target[1, 1, 0] == 0.125 and target[2, 2, 0] == 0
    assert targets.prepare(np.full((1, 1, 4), 0.2140, np.float32) ** [1, 1, 1, 0], True)[0][0, 0, 0] == pytest.approx(
        0.5, abs=1e-3
    )


def test_large_images_are_reduced_to_the_mean_of_blocks():
    image = np.random.default_rng(0).random((60, 101, 3)).astype(np.float32)
    small = targets.reduced(image, 20)
    assert small.shape == (12, 20, 3) and small.mean() == pytest.approx(image.mean(), rel=0.01)
    assert small[0, 0, 0] == pytest.approx(image[:5, :5, 0].mean(), rel=1e-5)
    assert targets.reduced(image, 200) is image
    with pytest.raises(LessonError, match="has 10000 × 2 pixels"):
        targets.require_readable(10_000, 2, "wide")
    with pytest.raises(LessonError, match="has no pixels"):
        targets.require_readable(0, 0, "gone")


def test_built_in_images_are_in_range_and_differ():
    images = [targets.builtin(name, 32) for name in targets.BUILTIN]
    for image in images:
        assert image.shape == (32, 32, 3) and image.min() >= 0 and image.max() <= 1 and image.std() > 0.08
    assert len({image.tobytes() for image in images}) == len(images)


def test_a_long_curve_is_thinned_out_and_keeps_its_ends():
    curve = Curve()
    for step in range(5 * MOST_POINTS):
        curve.add(step, float(step))
    assert len(curve.steps) <= MOST_POINTS + 1 and curve.steps[0] == 0 and curve.steps[-1] >= 5 * MOST_POINTS - 8
    assert np.unique(np.diff(curve.steps)).tolist() == [curve.stride]


def test_live_settings_may_change_between_steps():
    fitter = Fitter(targets.builtin("balls", 24), Settings(count=20))
    fitter.step()
    fitter.settings = replace(fitter.settings, loss="l1_ssim", strategy="mcmc")
    assert fitter.step() > 0
