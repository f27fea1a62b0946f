"""The kernels in order: a view is projected, binned and blended, and the way back. Memory and threads are here."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....capture.camera import Camera
from ....gaussians.rules import PictureRules
from ..protocol import Gaussians
from .kernels.layout import (
    BLEND_SCRATCH,
    BOUNDS,
    CAMERA_SIZE,
    DIGIT_COUNTS,
    PIXELS,
    PROJECT_SCRATCH,
    RECORD,
    ROW_BOUNDS,
    TILE_HEIGHT,
    TILE_WIDTH,
)
from .shelf import Shelf
from .threads import Crew

_ROW_NUMBERS = torch.cat([torch.arange(-64, 64), torch.arange(-64, 64) ** 2]).float()


@dataclass
class Workshop:
    """What passes work with: kernels, threads, options, memory, and how many entries to make room for."""

    kernels: SimpleNamespace
    crew: Crew
    rules: PictureRules
    antialiased: bool
    in_linear_light: bool
    shelf: Shelf = field(default_factory=Shelf)
    entry_room: int = 1 << 16  # grows to what the views need
    on_phase: Callable[[str], None] | None = None  # called with the name of each phase when it is done

    def done(self, phase: str) -> None:
        if self.on_phase is not None:
            self.on_phase(phase)


class Parameters(NamedTuple):
    """The gaussians as kernels see them: flat float32 memory, and how much of it."""

    means: Tensor
    log_scales: Tensor
    quaternions: Tensor
    logit_opacities: Tensor
    offsets: Tensor
    sh: Tensor
    coefficients: int  # K stored
    harmonic_count: int  # of which this many are used
    gaussian_count: int

    @classmethod
    def of(cls, gaussians: Gaussians, offsets: Tensor | None, harmonic_count: int) -> "Parameters":
        count, coefficients = gaussians.sh.shape[:2]
        offsets = torch.zeros(count * 2) if offsets is None else flat(offsets)
        means, log_scales, quaternions, logits, sh = (flat(values) for values in gaussians)
        harmonic_count = min(harmonic_count, coefficients)
        return cls(means, log_scales, quaternions, logits, offsets, sh, coefficients, harmonic_count, count)

    @property
    def for_kernels(self) -> tuple:
        return self[:-1]


class ForwardPass(NamedTuple):
    """What one view was drawn from and became: all that the way back needs."""

    parameters: Parameters
    camera: Tensor  # see layout.py
    width: int
    height: int
    records: Tensor
    depths: Tensor  # (N rounded up to 8,) below 0: not drawn
    entries: Tensor
    starts: Tensor
    entries_used: Tensor
    transmittance: Tensor
    blended: Tensor  # (H, W, 3) the image in the blend space
    image: Tensor  # (H, W, 3) display-encoded; the same if that is the blend space
    alpha: Tensor  # (H, W)
    depth: Tensor  # (H, W)

    @property
    def tensors(self) -> tuple:
        """What autograd is to keep, and to free."""
        return self[4:]

    @property
    def without_tensors(self) -> "ForwardPass":
        return ForwardPass(*self[:4], *(torch.empty(0),) * len(self.tensors))

    def with_tensors(self, tensors) -> "ForwardPass":
        return ForwardPass(*self[:4], *tensors)


class InvalidParameters(ValueError):
    """Parameters that are not finite, or a quaternion of length zero."""


def flat(tensor: Tensor) -> Tensor:
    """A tensor as flat float32 memory, its own wherever that is possible."""
    values = tensor.detach()
    if values.dtype is not torch.float32 or not values.is_contiguous():
        values = values.to(torch.float32).contiguous()
    return values.view(-1)


def camera_numbers(camera: Camera, rules: PictureRules) -> Tensor:
    """The camera, and what of the rules is not compiled in, as layout.py describes them."""
    rows = np.asarray(camera.camera_from_world, dtype=np.float64)[:3].tolist()
    rotation, (x, y, z) = [row[:3] for row in rows], [row[3] for row in rows]
    center = [-(x * rotation[0][i] + y * rotation[1][i] + z * rotation[2][i]) for i in range(3)]  # -R^T t
    limits_x = rules.slope_limits(camera.width, camera.fx, camera.cx)
    limits_y = rules.slope_limits(camera.height, camera.fy, camera.cy)
    intrinsics = camera.fx, camera.fy, camera.cx, camera.cy
    numbers = [*itertools.chain(*rotation), x, y, z, *intrinsics, *limits_x, *limits_y, *center]
    numbers += [camera.width, camera.height, rules.dilation_px2, rules.near_plane]
    assert len(numbers) == CAMERA_SIZE
    return torch.tensor(numbers, dtype=torch.float64)


def draw(
    shop: Workshop, parameters: Parameters, camera: Camera, background: Tensor
) -> tuple[ForwardPass, Tensor, Tensor]:
    """The forward pass, the image (H, W, 3), and radii in pixels (N,). Raises InvalidParameters.

    `background` (3,) is in the blend space.
    """
    crew, count = shop.crew, parameters.gaussian_count
    width, height = int(camera.width), int(camera.height)
    lens = camera_numbers(camera, shop.rules)
    room = -(-count // 8) * 8
    empty = shop.shelf.empty
    records, depths, radii = empty(room * RECORD), empty(room), empty(room)
    bounds = empty(crew.size, room * RECORD).view(-1)[: room * BOUNDS]  # where the gradient rows will be
    ranges = crew.ranges(count, 8)
    invalid = torch.empty(crew.size, dtype=torch.int64)

    def project(part):
        shop.kernels.project_forward(
            *ranges[part], count, lens, *parameters.for_kernels, shop.antialiased, shop.in_linear_light,
            torch.empty(PROJECT_SCRATCH), records, bounds, depths, radii, invalid[part:],
        )  # fmt: skip

    crew.run(project)
    if any(invalid.tolist()):
        raise InvalidParameters
    shop.done("projection")
    entries, starts = _bin(shop, count, depths, bounds, width, height)
    bounds = torch.empty(0)  # its memory is free for what comes
    shop.done("binning")

    tile_count = len(starts) - 1
    blended, alpha, depth = empty(height, width, 3), empty(height, width), empty(height, width)
    image = empty(height, width, 3) if shop.in_linear_light else blended
    transmittance, entries_used = empty(tile_count * PIXELS), torch.empty(tile_count, dtype=torch.int64)
    places = records.view(torch.float64)

    def blend(part):
        shop.kernels.blend_forward(
            part, crew.size, entries, starts, records, places, width, height, background,
            torch.empty(BLEND_SCRATCH), blended, shop.in_linear_light, image, alpha, depth, transmittance, entries_used,
        )  # fmt: skip

    crew.run(blend)
    shop.done("blending")
    drawn = ForwardPass(
        parameters, lens, width, height, records, depths, entries, starts, entries_used, transmittance,
        blended, image, alpha, depth,
    )  # fmt: skip
    return drawn, image, radii[:count]


def _bin(shop: Workshop, count: int, depths: Tensor, bounds: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """The tiles' lists: entries, and where each list starts (tiles + 1)."""
    crew, kernels = shop.crew, shop.kernels
    empty = shop.shelf.empty
    order, other_order, keys, other_keys = empty(4, count, dtype=torch.int32)
    digit_counts, drawn_count = torch.empty(DIGIT_COUNTS, dtype=torch.int32), torch.empty(1, dtype=torch.int64)
    depth_bits = depths.view(torch.int32)
    kernels.sort_by_depth(count, depth_bits, order, keys, other_order, other_keys, digit_counts, drawn_count)

    ranges = crew.ranges(int(drawn_count))
    tile_count = -(-width // TILE_WIDTH) * -(-height // TILE_HEIGHT)
    tile_counts = torch.empty(crew.size, tile_count, dtype=torch.int32)
    found, found_tiles, found_counts = [None] * crew.size, [None] * crew.size, [0] * crew.size

    def find(part):
        room, needed = shop.entry_room // crew.size, torch.empty(1, dtype=torch.int64)
        while True:
            found[part] = empty(room, dtype=torch.int64)
            found_tiles[part] = empty(room, dtype=torch.int32)
            kernels.find_tiles(
                order, *ranges[part], bounds, width, height, torch.empty(ROW_BOUNDS), room,
                found[part], found_tiles[part], tile_counts[part], needed,
            )  # fmt: skip
            found_counts[part] = int(needed)
            if found_counts[part] <= room:
                return
            room = found_counts[part]

    crew.run(find)
    shop.entry_room = max(shop.entry_room, int(max(found_counts) * crew.size * 1.1))
    starts = torch.empty(tile_count + 1, dtype=torch.int64)
    kernels.place_lists(crew.size, tile_count, tile_counts, starts)
    entries = empty(sum(found_counts), dtype=torch.int64)
    crew.run(
        lambda part: kernels.fill_lists(found[part], found_tiles[part], found_counts[part], tile_counts[part], entries)
    )
    return entries, starts


def blend_back(
    shop: Workshop,
    drawn: ForwardPass,
    d_image: Tensor,
    d_alpha: Tensor | None,
    d_depth: Tensor | None,
    of_blended: bool = False,
) -> tuple[Tensor, Tensor]:
    """∂L/∂pixels to every thread's gradient rows (threads, N * 16), and ∂L/∂ background (3,).

    `of_blended`: `d_image` is by the colors as they were blended, not as they are displayed.
    """
    crew = shop.crew
    with_depth = d_alpha is not None or d_depth is not None
    nothing = torch.zeros(drawn.height * drawn.width if with_depth else 0)
    d_alpha = nothing if d_alpha is None else flat(d_alpha)
    d_depth = nothing if d_depth is None else flat(d_depth)
    rows = shop.shelf.empty(crew.size, len(drawn.records))
    background_sums = torch.empty(len(drawn.entries_used), 3, 8)
    places = drawn.records.view(torch.float64)

    def blend(part):
        rows[part].zero_()
        shop.kernels.blend_backward(
            part, crew.size, drawn.entries, drawn.starts, drawn.entries_used, drawn.records, places,
            drawn.width, drawn.height, _ROW_NUMBERS, drawn.blended, drawn.image, drawn.alpha, drawn.depth,
            drawn.transmittance, d_image, d_alpha, d_depth, with_depth, shop.in_linear_light and not of_blended,
            torch.empty(BLEND_SCRATCH), rows[part], background_sums,
        )  # fmt: skip

    crew.run(blend)
    shop.done("blending backward")
    return rows, background_sums.sum(dim=(0, 2), dtype=torch.float64).float()


def project_back(shop: Workshop, drawn: ForwardPass, rows: Tensor) -> list[Tensor]:
    """Gradient rows to the gradients of means, log_scales, quaternions, logit_opacities, offsets and sh."""
    crew, count = shop.crew, drawn.parameters.gaussian_count
    room, coefficients = len(drawn.depths), drawn.parameters.coefficients
    gradients = [shop.shelf.empty(room, *shape) for shape in ((3,), (3,), (4,), (), (2,), (coefficients, 3))]
    ranges = crew.ranges(count, 8)

    def project(part):
        shop.kernels.project_backward(
            *ranges[part], count, drawn.camera, *drawn.parameters.for_kernels, shop.antialiased,
            shop.in_linear_light, torch.empty(PROJECT_SCRATCH), drawn.depths, rows, crew.size, rows.shape[1],
            *gradients,
        )  # fmt: skip

    crew.run(project)
    shop.done("projection backward")
    return [gradient[:count] for gradient in gradients]
