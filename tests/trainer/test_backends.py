"""Choosing a backend, what is said when something is missing, and that the backends agree."""

import numpy as np
import pytest
import torch

from splat_addon.errors import SetupError
from splat_addon.trainer.rasterize import Gaussians, Moments, choose, doctor
from splat_addon.trainer.rasterize.cpu import CpuRasterizer
from splat_addon.trainer.rasterize.torch_tiles import TorchTilesRasterizer
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


@pytest.mark.parametrize("seed", range(3))
def test_compiled_kernels_and_plain_pytorch_agree(seed):
    """Two implementations that share no line, both float32: images to 3e-5 (depths are about 4), gradients to 1e-3."""
    compiled = step(CpuRasterizer(), gaussians_on(CPU, seed))
    plain = step(TorchTilesRasterizer(CPU), gaussians_on(CPU, seed))
    assert_agreement(plain, compiled, image=3e-5, gradient=1e-3)
    # The boxes differ: plain PyTorch keeps what touches the image's border, the kernels what holds a pixel's centre.
    assert ((plain[2] > 0) == (compiled[2] > 0)).mean() > 0.98


@pytest.mark.skipif(not has_cuda, reason="this machine has no CUDA device")
@pytest.mark.parametrize("seed", range(3))
def test_cuda_and_cpu_agree(seed):
    """gsplat sums in another order, with fast arithmetic and atomics, and takes T <= 1e-4 for the stop: images to 1e-4
    but for few pixels, gradients to 1 % of their length."""
    backend = choose("cuda")
    backend.prepare(print)
    assert_agreement(
        step(CpuRasterizer(), gaussians_on(CPU, seed)),
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


def test_auto_takes_the_cpu_where_cuda_is_not_complete():
    if doctor.is_cuda_ready():
        pytest.skip("CUDA is complete on this machine")
    assert choose("auto").name == "cpu" and choose("cpu").name == "cpu"


def test_missing_cuda_is_a_sentence_with_its_remedy():
    if has_cuda:
        pytest.skip("this machine has CUDA")
    with pytest.raises(SetupError, match=r"^CUDA cannot be used: PyTorch .*or set Device to CPU\.$"):
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
    monkeypatch.setattr(doctor, "_package", lambda name, version="": doctor.Finding(name, "there", True))
    monkeypatch.setattr(doctor, "_kernels", lambda: doctor.Finding("CUDA kernels", "not built", False, "Build."))
    tools = {"nvcc": "_nvcc", "compiler": "_host_compiler", "ninja": "_ninja"}
    for name, function in tools.items():
        if name != missing:
            monkeypatch.setattr(doctor, function, lambda name=name: fine[name])
    monkeypatch.setenv("PATH", "/nowhere")
    for variable in ("CUDA_HOME", "CUDA_PATH", "CXX"):
        monkeypatch.setenv(variable, "/nowhere")
    monkeypatch.setattr(doctor.sys, "executable", "/nowhere/python")
    with pytest.raises(SetupError, match=r"CUDA cannot be used: .* not found\. \w+"):
        doctor.require_cuda()
