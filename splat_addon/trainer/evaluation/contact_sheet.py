"""The contact sheet of a run: every held-out view next to its renders, in one image whose size is bounded."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ...capture.file_names import renders_of
from ...files import written_aside
from ...run.events import Evaluated
from ...run.folder import RunFolder
from ..photos.photo import Photo, pixels_of, read_png

LONGEST_PX = 4096  # of the sheet, in both directions: at most 48 MiB, however much is held out
CAPTION_PX = 16
PARTS = 4  # photo, render before training, render now, difference
DIFFERENCE_GAIN = 4


@torch.no_grad()
def save_contact_sheet(folder: RunFolder, photos: list[Photo], first: Evaluated, last: Evaluated) -> None:
    """`held_out.png`, one row per held-out view: photo, render before training, render now, its difference x 4.

    Where that would be too large, all images are reduced, and rows stand side by side if they can be larger then.
    No more than the sheet and one view are in memory.
    """
    sizes = [(photo.rgb.shape[1], photo.rgb.shape[0]) for photo in photos]
    columns, scale = fitting(sizes)
    names = [photo.name for photo in photos]
    renders = [renders_of(folder.path / evaluated.folder, names) for evaluated in (first, last)]
    sizes = [_reduced(size, scale) for size in sizes]
    stride_px = PARTS * max(width for width, _ in sizes)
    heights_px = [CAPTION_PX + height for height in _row_heights(sizes, columns)]
    sheet = Image.new("RGB", (columns * stride_px, sum(heights_px)), "white")
    for index, (photo, (width, height)) in enumerate(zip(photos, sizes, strict=True)):
        row, column = divmod(index, columns)
        left, top = column * stride_px, sum(heights_px[:row])
        captions = (photo.name, f"step {first.step}", f"step {last.step}", f"difference x {DIFFERENCE_GAIN}")
        for part, caption in zip(_parts(photo, *(files[photo.name] for files in renders)), captions, strict=True):
            image = Image.fromarray(pixels_of(part))
            sheet.paste(_text(caption, width), (left, top))
            sheet.paste(image.resize((width, height), Image.Resampling.BOX), (left, top + CAPTION_PX))
            left += width
    with written_aside(folder.contact_sheet_file) as aside:
        sheet.save(aside, format="png")


def fitting(sizes: Sequence[tuple[int, int]]) -> tuple[int, float]:
    """How many rows of images of these `sizes` (width, height) stand side by side, and how much images are reduced
    (1 = not at all), so that they are as large as the sheet allows. Sizes are rounded down afterwards."""
    width = PARTS * max(width for width, _ in sizes)
    best = 0, 0.0
    for columns in range(1, len(sizes) + 1):
        heights = _row_heights(sizes, columns)
        widest = LONGEST_PX / (columns * width)
        scale = min(1.0, widest, (LONGEST_PX - CAPTION_PX * len(heights)) / sum(heights))
        if scale > best[1]:
            best = columns, scale
        if widest <= best[1] or best[1] == 1:
            break
    return best


def _row_heights(sizes: Sequence[tuple[int, int]], columns: int) -> list[int]:
    return [max(height for _, height in sizes[start : start + columns]) for start in range(0, len(sizes), columns)]


def _reduced(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _parts(photo: Photo, first: Path, last: Path) -> Iterator[Tensor]:
    """The images (H, W, 3) of a row one by one, values 0..1, over white. `first` and `last` are renders' files."""
    target = photo.over(torch.ones(3))
    yield target
    yield _render(first, target)
    now = _render(last, target)
    yield now
    yield (now - target).abs_().mul_(DIFFERENCE_GAIN).clamp_(0, 1)


def _render(path: Path, target: Tensor) -> Tensor:
    """A render as it was saved; white where it could not be written, which was told then."""
    try:
        return read_png(path)
    except FileNotFoundError:
        return torch.ones_like(target)


def _text(text: str, width: int) -> Image.Image:
    """A line of text, black on white, cut off where the width ends."""
    strip = Image.new("L", (width, CAPTION_PX), 255)
    ImageDraw.Draw(strip).text((3, 2), text, fill=0)
    return strip
