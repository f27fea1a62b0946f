"""The CUDA backend without a card: gsplat's own Python over a stand-in for its compiled module, against the float64
textbook and, on a pretended card, against whole trainings of the CPU backend."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from splat_addon.errors import RunError, SplatError
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated
from splat_addon.run.folder import RunFolder
from splat_addon.trainer.backend.cuda import self_check
from splat_addon.trainer.backend.cuda.rasterizer import CudaRasterizer
from splat_addon.trainer.backend.plain import PlainSteps
from splat_addon.trainer.backend.protocol import Gaussians, Moments
from splat_addon.trainer.backend.reference import textbook
from splat_addon.trainer.densify import budget, default, mcmc
from support.card.runs import PretendedCard, gsplat_on_the_cpu, train_in, train_on_card
from support.scenes import write_ball_capture
from support.splat_scenes import scenes, scenes_in_linear_light, undecided_pixels

CPU = torch.device("cpu")
SCENES = scenes() | scenes_in_linear_light()
# The stand-in computes in float64 and rounds at its borders to float32, where gsplat's own arrays are: what is off
# comes from there, and from gsplat's Python.
IMAGE_TOLERANCE, GRADIENT_TOLERANCE = 5e-6, 1e-4
# Scenes whose true gradient is next to nothing, or that ask for `1 - opacity` of an opacity that float32 rounds to 1.
LOOSE = {"opacity at the cap": 2e-2, "linear light, opacity at the cap": 2e-2, "very near the camera": 1e-3}
THIN = {"needles without dilation": 5e-5}  # their conics have five digits less than their covariances
NO_GRADIENT = ("larger than the image",)


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    with gsplat_on_the_cpu():
        yield


def backend(scene=None, **options) -> CudaRasterizer:
    return CudaRasterizer(device=CPU, **{**(scene.options if scene else {}), **options})


def tensors(gaussians) -> Gaussians:
    return Gaussians(*(torch.tensor(values, dtype=torch.float32, requires_grad=True) for values in gaussians))


@pytest.mark.parametrize("name", SCENES)
def test_gsplat_draws_and_differentiates_as_the_textbook_does(name):
    scene = SCENES[name]
    parameters, camera = tensors(scene.gaussians), scene.camera
    background = torch.tensor(scene.background, dtype=torch.float32)
    offsets = torch.zeros(len(parameters.means), 2, requires_grad=True)
    drawn = backend(scene).render(
        parameters, camera, background, sh_degree=scene.sh_degree, screen_offsets_px=offsets, with_depth=True
    )
    expected = textbook.render(scene.gaussians, camera, scene.background, **scene.textbook_options)
    decided = ~undecided_pixels(scene)
    limit = IMAGE_TOLERANCE * max(1.0, expected.image.max() / 2)
    assert np.abs(drawn.image.detach().numpy() - expected.image)[decided].max(initial=0) <= limit
    assert np.abs(drawn.alpha.detach().numpy() - expected.alpha)[decided].max(initial=0) <= THIN.get(name, limit)
    if not len(parameters.means) or name.removeprefix("linear light, ") in NO_GRADIENT:
        return
    d_image = np.random.default_rng(0).normal(size=expected.image.shape) * decided[..., None]
    (drawn.image * torch.tensor(d_image, dtype=torch.float32)).sum().backward()
    wanted = textbook.render_backward(scene.gaussians, camera, scene.background, d_image, **scene.textbook_options)
    for field in Gaussians._fields:
        found, true = getattr(parameters, field).grad.numpy(), getattr(wanted, field)
        size = np.linalg.norm(true)
        if size > 1e-9:
            error = np.linalg.norm(found - true) / size
            assert error <= LOOSE.get(name, GRADIENT_TOLERANCE), f"{field}: {error:.1e}"


def test_depth_is_drawn_only_where_it_is_asked_for():
    scene = SCENES["random"]
    without = backend(scene).render(tensors(scene.gaussians), scene.camera, torch.zeros(3), sh_degree=3)
    assert without.depth is None


def test_adam_in_one_pass_is_adam():
    torch.manual_seed(1)
    rates = [1e-2, 3e-3, torch.tensor([[2e-3]]).expand(16, 3).clone()]
    rates[2][0] = 5e-2
    results = []
    for steps in (backend(), PlainSteps()):
        torch.manual_seed(2)
        parameters = [torch.randn(50, 3), torch.randn(50), torch.randn(50, 16, 3)]
        moments = [Moments.like(parameter) for parameter in parameters]
        for count in range(1, 6):
            gradients = [torch.randn_like(parameter) for parameter in parameters]
            steps.adam_step(parameters, gradients, moments, rates, count)
        results.append(parameters)
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=3e-6)


@pytest.mark.parametrize("field", Gaussians._fields)
def test_what_is_not_finite_is_named_with_the_loss_and_in_a_render_at_once(field):
    scene, card = SCENES["random"], backend()
    parameters = tensors(scene.gaussians)
    with torch.no_grad():
        getattr(parameters, field).view(-1)[7] = torch.nan
    message = f"have {field.replace('_', ' ')} that are not finite"
    drawn = card.render(parameters, scene.camera, torch.zeros(3), sh_degree=3)
    with pytest.raises(SplatError, match=message):
        card.value_of(drawn.image.mean())
    with torch.no_grad(), pytest.raises(SplatError, match=message):
        card.render(parameters, scene.camera, torch.zeros(3), sh_degree=3)


def test_a_backend_that_draws_right_passes_the_self_check_and_one_that_does_not_fails_it():
    good = self_check.check(lambda space: backend(blend_space=space))
    assert good.passed and good.image_error < 1e-5 and good.gradient_error < 1e-4

    class Wrong(CudaRasterizer):
        def render(self, gaussians, *others, **options):
            turned = gaussians._replace(quaternions=gaussians.quaternions[:, [0, 1, 3, 2]])
            return super().render(turned, *others, **options)

    bad = self_check.check(lambda space: Wrong(device=CPU, blend_space=space))
    assert not bad.passed and bad.gradient_error > self_check.GRADIENT_TOLERANCE

    class Broken(CudaRasterizer):
        def render(self, *others, **options):
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    broken = self_check.check(lambda space: Broken(device=CPU, blend_space=space))
    assert not broken.passed and "no kernel image is available" in broken.worst


# Whole trainings

RUNS = {
    "budget that grows": {"strategy": "budget", "target_gaussians": 140},
    "default, in linear light": {"strategy": "default", "blend_space": "blender"},
    "mcmc": {"strategy": "mcmc"},
    "opaque photos with masks, a distorted lens, dropout and regularization": {
        "alpha": False,
        "masks": True,
        "distortion": (0.08, -0.02, 0.001, 0.002),
        "few_views": 1000,
        "dropout": 0.3,
    },
}
STEPS, DENSIFIED_EVERY = 30, 7
WIDTH, HEIGHT = 24, 18  # of the photos, in pixels


@pytest.fixture
def often(monkeypatch):
    """Gaussians come and go within few steps."""
    for module in (budget, default, mcmc):
        monkeypatch.setattr(module, "DENSIFY_EVERY", DENSIFIED_EVERY)


def new_run(folder: Path, alpha: bool = True, masks: bool = False, distortion=None, **settings) -> RunFolder:
    """A run over a ball, in `folder`, that has not begun."""
    capture = write_ball_capture(folder / "capture", points=100, alpha=alpha, width=WIDTH, height=HEIGHT, focal_px=24.0)
    description = json.loads((capture / "transforms.json").read_text())
    for frame in description["frames"]:
        if masks:
            write_mask(capture / "masks" / Path(frame["file_path"]).name)
            frame["mask_path"] = f"masks/{Path(frame['file_path']).name}"
        if distortion:
            frame.update(dict(zip(("k1", "k2", "p1", "p2"), distortion, strict=True)))
    (capture / "transforms.json").write_text(json.dumps(description))
    chosen = {"device": "cpu", "iterations": STEPS, "eval_every": 0, "save_every": 0, **settings}
    return RunFolder.create(folder / "run", TrainConfig(capture=str(capture), **chosen))


def write_mask(path: Path) -> None:
    from PIL import Image

    path.parent.mkdir(exist_ok=True)
    mask = np.full((HEIGHT, WIDTH), 255, np.uint8)
    mask[:6, :8] = 0
    Image.fromarray(mask).save(path)


def last(folder: RunFolder) -> Evaluated:
    return [event for event in folder.events() if isinstance(event, Evaluated)][-1]


@pytest.mark.parametrize("name", RUNS)
def test_a_training_on_the_card_is_the_training_on_the_cpu(name, tmp_path, monkeypatch, often):
    """The same random numbers, the same steps: float32 in another order, over and over."""
    expected = last(train_in(new_run(tmp_path / "cpu", **RUNS[name])))
    folder = new_run(tmp_path / "card", **RUNS[name])
    train_on_card(folder, monkeypatch)
    found = last(folder)
    assert json.loads(folder.summary_file.read_text())["backend"] == "cuda"
    assert found.gaussian_count == expected.gaussian_count and found.step == STEPS
    assert found.psnr_db == pytest.approx(expected.psnr_db, abs=5e-3) and expected.psnr_db > 9
    assert found.train_psnr_db == pytest.approx(expected.train_psnr_db, abs=5e-3)


@pytest.mark.parametrize("strategy", ["budget", "mcmc"])
def test_a_run_goes_on_wherever_it_was_begun(strategy, tmp_path, monkeypatch, often):
    results = {}
    for way in ("cpu cpu", "cpu card", "card cpu", "card card"):
        folder = new_run(tmp_path / way, strategy=strategy, iterations=STEPS // 2)
        settings = TrainConfig.read(folder.config_file)
        for place, resume in zip(way.split(), (False, True), strict=True):
            train_on_card(folder, monkeypatch, resume) if place == "card" else train_in(folder, resume)
            replace(settings, iterations=STEPS).write(folder.config_file)
        results[way] = last(folder)
    expected = results["cpu cpu"]
    for way, found in results.items():
        assert found.step == STEPS and found.gaussian_count == expected.gaussian_count, way
        assert found.psnr_db == pytest.approx(expected.psnr_db, abs=1e-2), way


def test_a_step_waits_for_the_card_once_and_uploads_nothing_when_the_photos_are_there(tmp_path, monkeypatch):
    """One wait of ours, for the loss; gsplat's kernels add one of their own, which counts what covers the tiles."""
    crossed = train_on_card(new_run(tmp_path), monkeypatch, look_at=20)
    waits = {line: count for (kind, line), count in crossed.items() if kind == "wait"}
    assert sum(waits.values()) <= 1, waits
    uploads = {line: size for (kind, line), size in crossed.items() if kind == "upload"}
    assert not uploads, uploads
    assert crossed["launch", ""] < 420


def test_photos_that_find_no_room_on_the_card_travel_as_bytes_once_a_step(tmp_path, monkeypatch):
    crossed = train_on_card(new_run(tmp_path), monkeypatch, room_bytes=0, look_at=20)
    uploaded = sum(size for (kind, _), size in crossed.items() if kind == "upload")
    assert uploaded == WIDTH * HEIGHT * 4, "the colors and the coverage of one photo, for the next step"


def test_a_card_without_memory_names_a_count_that_fits_and_leaves_a_run_that_goes_on(tmp_path, monkeypatch, often):
    folder = new_run(tmp_path, save_every=15)

    def full(self, loss):
        if self.steps_left == 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.steps_left -= 1
        return CudaRasterizer.value_of(self, loss)

    with monkeypatch.context() as patch:
        patch.setattr(PretendedCard, "steps_left", 18, raising=False)
        patch.setattr(PretendedCard, "value_of", full)
        with pytest.raises(RunError, match="memory does not suffice") as refusal:
            train_on_card(folder, monkeypatch)
    assert "Max Splats at about" in refusal.value.remedy and "it can be resumed" in refusal.value.remedy
    assert last(train_in(folder, resume=True)).step == STEPS
