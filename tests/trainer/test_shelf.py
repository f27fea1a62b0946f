"""Memory that is lent again only when nobody holds it."""

import gc

import pytest
import torch

from splat_addon.trainer.backend.cpu.rasterizer import CpuRasterizer
from splat_addon.trainer.backend.cpu.shelf import PATIENCE, SMALLEST, Shelf
from support.splat_scenes import camera, cloud

COUNT = SMALLEST  # floats: four times the least that is kept


def address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def test_memory_is_lent_again_when_the_last_view_of_it_is_gone():
    shelf = Shelf()
    first = shelf.empty(COUNT // 2, 2).fill_(1.0)
    place, part = address(first), first[10:20]
    del first
    other = shelf.empty(COUNT).fill_(2.0)
    assert address(other) != place and bool((part == 1.0).all())
    del part
    assert address(shelf.empty(COUNT, dtype=torch.int32)) == place
    assert place % 64 == 0 and other.dtype == torch.float32


def test_a_little_less_fits_and_much_less_or_more_does_not():
    shelf = Shelf()
    tensor = shelf.empty(COUNT)
    place = address(tensor)
    del tensor
    assert address(shelf.empty(COUNT * 9 // 10)) == place
    assert address(shelf.empty(COUNT * 2)) != place
    assert address(shelf.empty(COUNT // 2)) != place


def test_what_nobody_asks_for_any_more_is_given_back():
    shelf = Shelf()
    del [shelf.empty(COUNT)][:]
    assert len(shelf._free) == 1
    kept = [shelf.empty(COUNT * 2) for _ in range(PATIENCE + 1)]
    assert not shelf._free and len(kept) == PATIENCE + 1


@pytest.mark.parametrize("blend_space", ["display", "blender"])
def test_a_gradient_that_is_kept_is_not_written_over(blend_space):
    """Enough gaussians that all blocks come from the shelf; autograd takes the gradient without copying it."""
    rasterizer = CpuRasterizer(threads=2, blend_space=blend_space)
    gaussians = [torch.tensor(values, dtype=torch.float32) for values in cloud(1, 30_000, log_scale=-4.0)]
    kept, images = [], []
    for brightness in (0.0, 0.5, 0.0):
        values = [value.clone().requires_grad_() for value in gaussians]
        values[4].data += brightness
        drawn = rasterizer.render(type(cloud(1, 1))(*values), camera(320, 280), torch.zeros(3), sh_degree=3)
        drawn.image.square().sum().backward()
        kept.append([value.grad for value in values])
        images.append(drawn.image.detach())
    gc.collect()
    assert torch.equal(images[0], images[2]) and not torch.equal(images[0], images[1])
    for first, other, again in zip(*kept, strict=True):
        assert torch.equal(first, again) and not torch.equal(first, other)
    assert len({address(gradients[4]) for gradients in kept}) == 3
    assert kept[0][4].numel() * 4 > SMALLEST
