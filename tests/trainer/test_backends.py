"""Choosing a backend, what is said when something is missing, and that the backends agree."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from splat_addon.errors import SetupError
from splat_addon.gaussians import srgb
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Event, Started, Warned
from splat_addon.trainer.backend import choose
from splat_addon.trainer.backend.blend_space import decode_srgb, encode_srgb
from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.cuda import doctor
from splat_addon.trainer.backend.protocol import Gaussians, Moments
from splat_addon.trainer.backend.reference.torch_tiles import TorchTilesRasterizer
from splat_addon.trainer.doctor import verdict
from splat_addon.trainer.train import announce
from support.scenes import looking_at, random_cloud

CPU = torch.device("cpu")
CAMERA = looking_at((0.0, -4.0, 0.5), width=97, height=61, focal_px=90.0)
has_cuda = torch.cuda.is_available()


def gaussians_on(device: torch.device, seed: int = 0, count: int = 300) -> Gaussians:
    cloud = random_cloud(count, seed, scale=0.12)
    arrays = (cloud.means, cloud.log_scales, cloud.quaternions, cloud.logit_opacities, cloud.sh)
    return Gaussians(*(torch.tensor(array, device=device).requires_grad_() for array in arrays))


def step(backend, gaussians: Gaussians, camera=CAMERA):
    """One rendering and its gradients, on the CPU as NumPy."""
    background = torch.tensor([0.1, 0.4, 0.8], device=backend.device)
    offsets = torch.zeros(len(gaussians.means), 2, device=backend.device, requires_grad=True)
    rendering = backend.render(gaussians, camera, background, sh_degree=3, screen_offsets_px=offsets)
    target = torch.linspace(0, 1, rendering.image.numel(), device=backend.device).view_as(rendering.image)
    backend.photometric_loss(rendering.image, target, None, 0.2).backward()
    gradients = {name: value.grad.cpu().numpy() for name, value in gaussians._asdict().items()}
    gradients["screen_offsets_px"] = offsets.grad.cpu().numpy()
    images = [rendering.image, rendering.alpha, rendering.depth]
    return [values.detach().cpu().numpy() for values in images], gradients, rendering.radii_px.cpu().numpy()


def assert_agreement(one, other, image: float, gradient: float) -> None:
    for a, b in zip(one[0], other[0], strict=True):
        # a pixel on a cut-off may fall on either side in float32; few do
        assert np.quantile(np.abs(a - b), 0.995) <= image
    for name, expected in one[1].items():
        error = np.linalg.norm(other[1][name] - expected) / np.linalg.norm(expected)
        assert error <= gradient, f"{name}: {error:.1e}"


@pytest.mark.parametrize("blend_space", ["display", "blender"])
@pytest.mark.parametrize("seed", range(3))
def test_compiled_kernels_and_plain_pytorch_agree(seed, blend_space):
    """Two implementations that share no line, both float32: images to 3e-5 (depths are about 4), gradients to 1e-3."""
    compiled = step(CpuRasterizer(blend_space=blend_space), gaussians_on(CPU, seed))
    plain = step(TorchTilesRasterizer(CPU, blend_space=blend_space), gaussians_on(CPU, seed))
    assert_agreement(plain, compiled, image=3e-5, gradient=1e-3)
    # The boxes differ: plain PyTorch keeps what touches the image's border, the kernels what holds a pixel's centre.
    assert ((plain[2] > 0) == (compiled[2] > 0)).mean() > 0.98


@pytest.mark.skipif(not has_cuda, reason="this machine has no CUDA device")
@pytest.mark.parametrize("blend_space", ["display", "blender"])
@pytest.mark.parametrize("seed", range(3))
def test_cuda_and_cpu_agree(seed, blend_space):
    """gsplat sums in another order, with fast arithmetic and atomics, and takes T <= 1e-4 for the stop: images to 1e-4
    but for few pixels, gradients to 1 % of their length."""
    backend = choose("cuda", blend_space)
    backend.prepare(print)
    assert_agreement(
        step(CpuRasterizer(blend_space=blend_space), gaussians_on(CPU, seed)),
        step(backend, gaussians_on(backend.device, seed)),
        image=1e-4,
        gradient=1e-2,
    )


@pytest.mark.skipif(not has_cuda, reason="this machine has no CUDA device")
def test_cuda_draws_nothing_without_gaussians():
    backend = choose("cuda")
    rendering = backend.render(
        gaussians_on(backend.device, count=0), CAMERA, torch.ones(3, device=backend.device), sh_degree=3
    )
    assert float(rendering.image.min()) == 1.0 and float(rendering.alpha.max()) == 0.0


def test_the_blend_space_belongs_to_the_backend_and_must_be_known():
    assert choose("cpu").blend_space == "display" and choose("cpu", "blender").blend_space == "blender"
    for make in (CpuRasterizer, lambda **options: TorchTilesRasterizer(CPU, **options)):
        with pytest.raises(ValueError, match="'linear' is not a blend space: 'display' or 'blender'"):
            make(blend_space="linear")


@pytest.mark.parametrize("backend", [CpuRasterizer, lambda **options: TorchTilesRasterizer(CPU, **options)])
def test_half_transparent_gaussians_let_light_through_in_the_space_of_blender(backend):
    """Two grey gaussians wider than the image before a background: γ = .5 c + .25 c' + .25 background."""
    count, greys = 2, torch.tensor([0.9, 0.05])
    gaussians = Gaussians(
        means=torch.tensor([[0.0, 0.0, 0.5], [0.0, 1.0, 0.5]]),
        log_scales=torch.full((count, 3), 3.0),
        quaternions=torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        logit_opacities=torch.zeros(count),
        sh=((greys - 0.5) / 0.28209479177387814)[:, None, None].expand(count, 1, 3),
    )
    images = {}
    for space in ("display", "blender"):
        rendering = backend(blend_space=space).render(gaussians, CAMERA, torch.tensor([0.0, 0.3, 1.0]), sh_degree=0)
        images[space] = rendering.image[30, 48]
    behind = torch.tensor([0.0, 0.3, 1.0])
    assert torch.allclose(images["display"], 0.5 * greys[0] + 0.25 * greys[1] + 0.25 * behind, atol=2e-4)
    lights = decode_srgb(greys)
    expected = encode_srgb(0.5 * lights[0] + 0.25 * lights[1] + 0.25 * decode_srgb(behind))
    assert torch.allclose(images["blender"], expected, atol=2e-4)


def test_colours_that_run_away_stay_numbers_in_linear_light():
    gaussians = gaussians_on(CPU)
    with torch.no_grad():
        gaussians.sh[::7, 0] = 1e30
    rendering = CpuRasterizer(blend_space="blender").render(gaussians, CAMERA, torch.zeros(3), sh_degree=3)
    rendering.image.clamp(0, 1).mean().backward()
    assert bool(torch.isfinite(rendering.image).all()) and float(rendering.image.detach().max()) > 1e6
    assert all(bool(torch.isfinite(values.grad).all()) for values in gaussians)


@pytest.mark.parametrize("size", [(1, 3), (31, 45)])
@pytest.mark.parametrize("blend_space", ["display", "blender"])
def test_a_photo_lies_over_its_background_as_gaussians_do(size, blend_space):
    """Against the formula in float64; covered and clear stretches are as they were, to the last bit."""
    torch.manual_seed(0)
    colors, alpha, background = torch.rand(*size, 3) * 1.2 - 0.1, torch.rand(size), torch.tensor([0.0, 0.4, 1.0])
    alpha[10:20], alpha[20:] = 1.0, 0.0
    images = [
        backend.over(colors, alpha, background)
        for backend in (
            CpuRasterizer(threads=2, blend_space=blend_space),
            TorchTilesRasterizer(CPU, blend_space=blend_space),
        )
    ]
    decode, encode = (srgb.decode_srgb, srgb.encode_srgb) if blend_space == "blender" else (np.array, np.array)
    part = alpha.double().numpy()[..., None]
    expected = encode(part * decode(colors.double().numpy()) + (1 - part) * decode(background.double().numpy()))
    for image in images:
        assert np.abs(image.numpy() - expected).max() < 1e-6
    assert torch.equal(images[0][11:19], colors[11:19]) and bool((images[0][21:30] == background).all())


def test_the_curves_of_srgb_are_the_standards_and_differentiable_at_black():
    values = torch.linspace(-0.5, 4, 1001, dtype=torch.float64)
    assert np.allclose(decode_srgb(values).numpy(), srgb.decode_srgb(values.numpy()), rtol=1e-14, atol=0)
    assert np.allclose(encode_srgb(values).numpy(), srgb.encode_srgb(values.numpy()), rtol=1e-14, atol=0)
    assert torch.allclose(encode_srgb(decode_srgb(values)), values, atol=5e-7)
    assert torch.allclose(decode_srgb(torch.tensor([0.5, 1.0])), torch.tensor([0.21404114, 1.0]), atol=1e-7)
    black = torch.tensor([-0.1, 0.0, 1e-9], requires_grad=True)
    encode_srgb(black).sum().backward()
    assert black.grad.tolist() == pytest.approx([12.92] * 3)


def test_both_optimisers_take_the_same_steps():
    torch.manual_seed(0)
    start = [torch.randn(7, 3), torch.randn(7, 16, 3)]
    gradients = [torch.randn_like(value) for value in start]
    rates = [0.01, torch.full((16, 3), 0.002)]
    rates[1][0] = 0.05
    results = []
    for backend in (CpuRasterizer(), TorchTilesRasterizer(CPU)):
        values = [value.clone() for value in start]
        moments = [Moments.like(value) for value in values]
        for count in (1, 2, 3):
            backend.adam_step(values, gradients, moments, rates, count)
        results.append(values)
    for a, b in zip(*results, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_both_losses_are_equal_under_a_mask():
    torch.manual_seed(0)
    image, target, mask = torch.rand(31, 45, 3), torch.rand(31, 45, 3), torch.rand(31, 45) > 0.4
    compiled, plain = (
        float(backend.photometric_loss(image, target, mask, 0.3))
        for backend in (CpuRasterizer(), TorchTilesRasterizer(CPU))
    )
    assert compiled == pytest.approx(plain, rel=1e-5)


def card(monkeypatch, *missing: doctor.Finding) -> None:
    """A machine with an NVIDIA card and all that it needs, but for what is missing."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.Finding("PyTorch", "2.13", True), *missing])


def announced(device: str) -> list[Warned]:
    """What a run warns of when it begins."""
    sent: list[Event] = []
    run = SimpleNamespace(
        config=TrainConfig(device=device),
        wire=SimpleNamespace(send=sent.append),
        photos=SimpleNamespace(training=[], held_out=[], warnings=[]),
        model=[],
        rasterizer=choose("cpu"),
    )
    announce(run)
    assert isinstance(sent[0], Started)
    return sent[1:]


def test_auto_takes_the_cpu_and_says_so_where_a_card_is_ready(monkeypatch):
    assert choose("auto").name == "cpu"
    card(monkeypatch)
    assert choose("auto").name == "cpu"
    assert announced("auto") == [
        Warned(
            "An NVIDIA card is here, but its backend has not passed a self-check on this machine, so the CPU is used.",
            "Set Device to CUDA once: it is compared with the CPU then.",
        )
    ]
    assert announced("cpu") == [], "who chose needs no advice"


def test_auto_says_what_a_card_lacks(monkeypatch):
    card(monkeypatch, doctor.Finding("gsplat", "not installed", False, "Run: pip install gsplat"))
    assert choose("auto").name == "cpu"
    assert announced("auto") == [
        Warned("The NVIDIA card is not used (gsplat: not installed).", "Run: pip install gsplat")
    ]


def test_a_machine_without_a_card_is_not_told_about_cards(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert announced("auto") == []


def test_the_verdict_says_how_a_ready_card_is_used(monkeypatch):
    assert verdict([]).startswith("Trains on the CPU")
    card(monkeypatch)
    assert verdict([]) == "Trains on the CPU, and on the NVIDIA card where Device is CUDA"


def test_missing_cuda_is_a_sentence_with_its_remedy():
    if has_cuda:
        pytest.skip("this machine has CUDA")
    with pytest.raises(SetupError, match=r"^CUDA cannot be used \(PyTorch: .*or set Device to CPU\.$"):
        choose("cuda")


def test_the_doctor_names_every_piece_and_a_remedy_for_what_is_missing():
    findings = {finding.name: finding for finding in doctor.examine()}
    assert {"PyTorch", "CUDA device", "gsplat", "CUDA kernels"} <= set(findings)
    for finding in findings.values():
        assert finding.found
        assert finding.is_fine or finding.remedy.startswith(("Install", "Run: ", "They are built"))


@pytest.mark.parametrize("missing", ["nvcc", "compiler", "ninja"])
def test_each_missing_tool_is_said_before_the_first_step(monkeypatch, missing):
    """A machine with a card and gsplat, but without one of the tools that build its kernels."""
    fine = {name: doctor.Finding(name, "there", True) for name in ("torch", "device", "nvcc", "compiler", "ninja")}
    monkeypatch.setattr(doctor, "_torch", lambda: fine["torch"])
    monkeypatch.setattr(doctor, "_device", lambda: fine["device"])
    monkeypatch.setattr(doctor, "_package", lambda name: doctor.Finding(name, "there", True))
    monkeypatch.setattr(doctor, "_kernels", lambda: doctor.Finding("CUDA kernels", "not built", False, "Build."))
    tools = {"nvcc": "_nvcc", "compiler": "_cpp_compiler", "ninja": "_ninja"}
    for name, function in tools.items():
        if name != missing:
            monkeypatch.setattr(doctor, function, lambda name=name: fine[name])
    monkeypatch.setattr(doctor.toolkit, "find_toolkit", lambda: None)  # wherever this machine has one
    monkeypatch.setenv("PATH", "/nowhere")
    for variable in ("CUDA_HOME", "CUDA_PATH", "CXX"):
        monkeypatch.setenv(variable, "/nowhere")
    monkeypatch.setattr(doctor.sys, "executable", "/nowhere/python")
    with pytest.raises(SetupError, match=r"CUDA cannot be used \(.* not found\)\. \w+"):
        doctor.require_cuda()
