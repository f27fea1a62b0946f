"""The compiled photometric loss against convolutions in float64, value and gradient."""

import pytest
import torch

from splat_addon.trainer.backend.cpu.kernel_cache import kernels
from splat_addon.trainer.backend.cpu.kernels.layout import photometric_scratch
from splat_addon.trainer.backend.cpu.photometric import photometric_loss
from splat_addon.trainer.backend.cpu.threads import Crew


def reference(image, target, weight_mask, ssim_lambda):
    """(1 - λ) L1 + λ (1 - SSIM) as 3DGS writes it: 11 taps, sigma 1.5, zero padding, each channel on its own."""
    window = torch.exp(-(torch.arange(-5, 6, dtype=torch.float64) ** 2) / (2 * 1.5**2))
    window = (window / window.sum()).outer(window / window.sum()).expand(3, 1, 11, 11)

    def blur(values):
        blurred = torch.nn.functional.conv2d(values.permute(2, 0, 1)[None], window, padding=5, groups=3)
        return blurred[0].permute(1, 2, 0)

    mx, my = blur(image), blur(target)
    vx, vy, covariance = blur(image**2) - mx**2, blur(target**2) - my**2, blur(image * target) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mx * my + c1) * (2 * covariance + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    loss = (1 - ssim_lambda) * (image - target).abs() + ssim_lambda * (1 - ssim)
    return loss.mean() if weight_mask is None else (loss * weight_mask[..., None]).mean() / weight_mask.mean()


def pictures(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(height, width, 3, generator=generator)
    image = target + 0.1 * torch.randn(height, width, 3, generator=generator)
    return image.requires_grad_(), target, torch.rand(height, width, generator=generator)


# Float32 rounds variances of values in 0 … 1 at 1e-7, against C2 = 9e-4: relative errors of some 1e-4 where a picture
# is flat, some 1e-7 where it is not. Noise is not flat. SSIM itself is near 1, a quotient of products that each round
# at 6e-8, and the loss, 1 - SSIM, keeps that error however small it is: 2e-7, or half of it where one instruction
# multiplies and adds.
@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("ssim_lambda", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (7, 5), (37, 29), (64, 48)])
def test_loss_and_gradient_are_those_of_convolutions(size, ssim_lambda, is_masked):
    image, target, mask = pictures(*size)
    mask = mask if is_masked else None
    loss = photometric_loss(image, target, mask, ssim_lambda, Crew(2))
    loss.backward()
    exact = image.detach().double().requires_grad_()
    expected = reference(exact, target.double(), None if mask is None else mask.double(), ssim_lambda)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6, abs=2e-7)
    assert torch.linalg.norm(image.grad - exact.grad) <= 1e-6 * torch.linalg.norm(exact.grad) + 1e-12


def test_flat_pictures_keep_four_digits_of_their_gradient():
    image, target, _ = pictures(40, 40)
    image = (image * 1e-3 + 0.8).detach().requires_grad_()
    target = target * 1e-3 + 0.8
    photometric_loss(image, target, None, 1.0, Crew(1)).backward()
    exact = image.detach().double().requires_grad_()
    reference(exact, target.double(), None, 1.0).backward()
    assert torch.linalg.norm(image.grad - exact.grad) <= 2e-3 * torch.linalg.norm(exact.grad)


def test_equal_pictures_lose_nothing_and_have_no_gradient():
    _, target, _ = pictures(20, 20)
    image = target.clone().requires_grad_()
    loss = photometric_loss(image, target, None, 0.2, Crew(1))
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert image.grad.abs().max() <= 1e-7


def test_what_the_mask_leaves_out_does_not_count():
    image, target, _ = pictures(30, 30)
    mask = torch.ones(30, 30)
    mask[:, 15:] = 0.0
    changed = image.detach().clone()
    changed[:, 25:] += 1.0  # further from the mask's edge than the window reaches
    losses = [photometric_loss(values, target, mask, 0.2, Crew(1)).item() for values in (image, changed)]
    assert losses[0] == losses[1] > 0.0


def test_an_empty_mask_means_no_loss():
    image, target, _ = pictures(9, 9)
    loss = photometric_loss(image, target, torch.zeros(9, 9), 0.2, Crew(1))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(image.grad, torch.zeros(9, 9, 3))


def test_threads_do_not_show():
    losses, gradients = [], []
    for threads in (1, 2, 3, 8):
        image, target, mask = pictures(45, 33)
        loss = photometric_loss(image, target, mask, 0.2, Crew(threads))
        loss.backward()
        losses.append(loss.item())
        gradients.append(image.grad)
    assert losses == [losses[0]] * 4
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)


def test_the_gradient_scales_with_what_follows():
    image, target, _ = pictures(12, 12)
    photometric_loss(image, target, None, 0.2, Crew(1)).backward()
    once = image.grad.clone()
    image.grad = None
    (3.0 * photometric_loss(image, target, None, 0.2, Crew(1))).backward()
    torch.testing.assert_close(image.grad, 3.0 * once)


def test_pictures_of_different_size_are_refused():
    with pytest.raises(ValueError, match=r"image is \(4, 5, 3\) and target \(5, 4, 3\), not both \(H, W, 3\)"):
        photometric_loss(torch.zeros(4, 5, 3), torch.zeros(5, 4, 3), None, 0.2)


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (3, 43), (17, 5), (31, 65), (9, 130)])
def test_the_kernel_keeps_to_its_memory(size):
    """What lies before and after its working memory and its results is as it was, whichever rows it is given."""
    height, width = size
    margin, mark = 64, 7.25

    def guarded(count, dtype=torch.float32):
        whole = torch.full((count + 2 * margin,), mark, dtype=dtype)
        inside = whole[margin : margin + count]
        inside.zero_()
        return whole, inside

    image, target, _ = (values.detach().reshape(-1) for values in pictures(height, width))
    for begin, end in {(0, height), (0, (height + 1) // 2), (height // 2, height), (height - 1, height)}:
        memory = [guarded(photometric_scratch(width)), guarded(height * width * 3), guarded(height * 2, torch.float64)]
        inside = [part for _, part in memory]
        weights = torch.ones(height * width)  # the weights of rows come last in the working memory
        kernels().photometric_rows(begin, end, width, height, image, target, weights, True, 1.0, 0.2, *inside)
        for whole, part in memory:
            assert torch.equal(whole[:margin], torch.full((margin,), mark, dtype=whole.dtype))
            assert torch.equal(whole[margin + len(part) :], torch.full((margin,), mark, dtype=whole.dtype))
        gradient = inside[1].view(height, width * 3)
        assert gradient[begin:end].any() and not gradient[:begin].any() and not gradient[end:].any()
