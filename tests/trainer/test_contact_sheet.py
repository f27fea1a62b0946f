"""The contact sheet: as it always was for small captures, and of bounded size and memory for large ones."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated
from splat_addon.run.folder import RunFolder
from splat_addon.trainer.evaluation.contact_sheet import CAPTION_PX, LONGEST_PX, fitting, save_contact_sheet
from splat_addon.trainer.photos.photo import Photo, read_png, save_png
from support.scenes import looking_at

ROOT = Path(__file__).resolve().parents[2]
FIRST, LAST = (Evaluated(step, 20.0, 0.9, 9, f"held_out/step_{step:06d}") for step in (0, 70))
MOST_MIB = 350  # 48 for the sheet, the rest for one view of 1600 x 1066 with its renders


def photo_of(name: str, width: int, height: int, alpha: bool = False) -> Photo:
    torch.manual_seed(width + height)
    rgb = torch.randint(256, (height, width, 3), dtype=torch.uint8)
    coverage = torch.randint(256, (height, width), dtype=torch.uint8) if alpha else None
    return Photo(name, looking_at((0, -4, 0), width=width, height=height), rgb, coverage, None)


def straightforward_sheet(folder: RunFolder, photos: list[Photo]) -> np.ndarray:
    """All rows at once, at full size: the definition of the sheet."""
    rows = []
    for photo in photos:
        target = photo.over(torch.ones(3))
        before, now = (read_png(folder.path / entry.folder / f"{photo.name}.png") for entry in (FIRST, LAST))
        parts = (target, before, now, ((now - target).abs() * 4).clamp(0, 1))
        captioned = []
        for part, text in zip(parts, (photo.name, "step 0", "step 70", "difference x 4"), strict=True):
            strip = Image.new("L", (part.shape[1], 16), 255)
            ImageDraw.Draw(strip).text((3, 2), text, fill=0)
            line = torch.from_numpy(np.array(strip))[..., None].expand(-1, -1, 3)
            captioned.append(torch.cat([line, (part * 255).round().to(torch.uint8)]))
        rows.append(torch.cat(captioned, dim=1))
    width = max(row.shape[1] for row in rows)
    return torch.cat([torch.nn.functional.pad(row, (0, 0, 0, width - row.shape[1]), value=255) for row in rows]).numpy()


def test_the_sheet_of_a_small_capture_has_every_pixel_of_its_images(tmp_path):
    folder = RunFolder.create(tmp_path / "run", TrainConfig())
    photos = [photo_of("a", 100, 66), photo_of("inside/b", 80, 90), photo_of("c", 100, 66, alpha=True)]
    for photo in photos:
        for entry in (FIRST, LAST):
            save_png(folder.path / entry.folder / f"{photo.name}.png", torch.rand(*photo.rgb.shape))
    save_contact_sheet(folder, photos, FIRST, LAST)
    sheet = np.array(Image.open(folder.path / "held_out.png"))
    assert np.array_equal(sheet, straightforward_sheet(folder, photos))


def test_a_render_that_could_not_be_written_is_white_on_the_sheet(tmp_path):
    """The disk was full then; what is told later is about the sheet itself."""
    folder, photo = RunFolder.create(tmp_path / "run", TrainConfig()), photo_of("a", 40, 30)
    save_png(folder.path / LAST.folder / "a.png", torch.zeros(30, 40, 3))
    save_contact_sheet(folder, [photo], FIRST, LAST)
    sheet = np.array(Image.open(folder.contact_sheet_file))[CAPTION_PX:]
    assert (sheet[:, 40:80] == 255).all() and (sheet[:, 80:120] == 0).all()


@pytest.mark.parametrize("size", [(40, 30), (1600, 1066), (1066, 1600), (20_000, 300)])
def test_images_are_as_large_as_the_sheet_allows(size):
    for count in (1, 2, 7, 25, 400):
        columns, scale = fitting([size] * count)
        width, height = int(size[0] * scale), int(size[1] * scale)
        rows = -(-count // columns)
        assert 4 * columns * width <= LONGEST_PX and rows * (height + CAPTION_PX) <= LONGEST_PX
        fits_whole = 4 * size[0] <= LONGEST_PX and count * (size[1] + CAPTION_PX) <= LONGEST_PX
        assert ((columns, scale) == (1, 1.0)) or not fits_whole, "small captures are not rearranged"
        for other in range(1, count + 1):
            limits = LONGEST_PX / (4 * other * size[0]), (LONGEST_PX / -(-count // other) - CAPTION_PX) / size[1]
            assert min(1.0, *limits) <= scale + 1e-9, f"{other} columns would be better than {columns}"


MEASURE = """
import sys
from pathlib import Path
import torch
from PIL import Image
from splat_addon.run.config import TrainConfig
from splat_addon.run.events import Evaluated
from splat_addon.run.folder import RunFolder
from splat_addon.trainer.evaluation.contact_sheet import save_contact_sheet
from splat_addon.trainer.photos.photo import Photo

def peak_mib():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

def sheet_of(folder, count, width, height):
    first, last = (Evaluated(step, 20.0, 0.9, 9, f"held_out/step_{step:06d}") for step in (0, 70))
    photos = []
    for number in range(count):
        color = (10 * number, 250 - 10 * number, 100)
        pixels = torch.tensor(color, dtype=torch.uint8).expand(height, width, 3)  # takes no memory
        photos.append(Photo(f"view_{number:02d}", None, pixels, None, None))
        for entry in (first, last):
            (folder.path / entry.folder).mkdir(parents=True, exist_ok=True)
            file = folder.path / entry.folder / f"{photos[-1].name}.png"
            Image.new("RGB", (width, height), color).save(file, compress_level=1)
    before = peak_mib()
    save_contact_sheet(folder, photos, first, last)
    return peak_mib() - before

folder = RunFolder.create(Path(sys.argv[1]), TrainConfig())
sheet_of(folder, 1, 40, 30)  # what is loaded once
print(sheet_of(folder, 25, 1600, 1066))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell the peak of a process")
def test_twenty_five_views_are_shown_in_their_places_within_a_bounded_memory(tmp_path):
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "run")]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert answer.returncode == 0, answer.stderr
    assert float(answer.stdout) < MOST_MIB
    sheet = np.array(Image.open(tmp_path / "run" / "held_out.png"))
    columns, scale = fitting([(1600, 1066)] * 25)
    width, height = int(1600 * scale), int(1066 * scale)
    assert sheet.shape == (-(-25 // columns) * (height + CAPTION_PX), 4 * columns * width, 3)
    assert max(sheet.shape) <= LONGEST_PX and width > 400
    for number in range(25):
        row, column = divmod(number, columns)
        top = row * (height + CAPTION_PX) + CAPTION_PX
        for part in range(4):
            left = (4 * column + part) * width
            expected = (10 * number, 250 - 10 * number, 100) if part < 3 else (0, 0, 0)
            assert (sheet[top : top + height, left : left + width] == expected).all(), (number, part)
