"""`python -m splat_addon.trainer.inspection.removal FOLDER`: what removing splats changes in the held-out views.

The folder holds `before.ply`, `after.ply` and the settings of their run, config.json. Each held-out view is rendered
with both, and each view off the path, if the capture has such (`capture/outside.py`), of which only those pixels count
that training could know (`off_path.py`). `removal.json` has what changed, `removal.png` the views of both kinds that
change most: photo, before, after with holes in magenta. Events go out, and "stop" or the end of the input cancels.
"""

import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...capture.blend_space import blend_space_of
from ...capture.capture import Capture
from ...capture.outside import OutsideView, open_outside
from ...errors import CaptureError, SplatError
from ...gaussians.formats.splat_ply import read_splats
from ...run.config import TrainConfig
from ...run.events import Event, InspectionFinished, InspectionProgressed, Warned
from ...run.folder import RunFolder
from ...run.wire import take_standard_output
from ...training_on.removal import AFTER, BEFORE, RECORD, SHEET, OffPath, Removal
from ..backend.cpu.rasterizer import CpuRasterizer
from ..backend.protocol import Rasterizer
from ..evaluation.metrics import psnr_db, ssim
from ..model import GaussianModel
from ..photos.photo import Photo, load_photo, pixels_of, save_png
from ..photos.run_card import open_with_card
from ..training_frame import TrainingFrame
from .gather import Stopped, chosen_views
from .inspect_splats import explained, listen, sending
from .off_path import LEAST_COUNTED, LEAST_PHOTOS, Sight, load_counted, sights_of

COVERED = 0.5  # of alpha: a pixel with less is a hole
SHOWN = 4  # views of each kind in the picture
LONGEST_PX = 640  # of a photo there, and of the same view before and after
HOLE = torch.tensor([1.0, 0.0, 1.0])


def preview(folder: Path, send: Callable[[Event], None], is_stopped: Callable[[], bool]) -> Removal:
    """Render and compare. Raises SplatError when the capture, its photos or the splats cannot be used; Stopped."""
    config = TrainConfig.read(folder / "config.json")
    capture, decode, _ = open_with_card(RunFolder(folder), config)
    if not capture.held_out_views:
        raise CaptureError("No view is held out to measure on.", "Hold out some in Training > Advanced > Data.")
    frame = TrainingFrame.around(capture)
    clouds = [read_splats(folder / name, frame.origin) for name in (BEFORE, AFTER)]
    rasterizer = CpuRasterizer(
        antialiased=clouds[0].antialiased, blend_space=blend_space_of(config.blend_space, capture.folder)
    )
    compiling = InspectionProgressed(0.0, "compiling kernels once")
    rasterizer.prepare(lambda what: send(compiling))
    models = [GaussianModel(frame.from_origin(cloud.select(cloud.finite())), rasterizer.device) for cloud in clouds]
    tell = Progress(send, is_stopped)
    views = capture.moved(frame.training_from_world).held_out_views
    outside = _outside(capture, send)
    tell.total = len(views) + (len(outside) + len(chosen_views(capture.training_views)) if outside else 0)
    changes: list[Change] = []
    for view in views:
        tell("rendering held-out views")
        try:
            photo = load_photo(view, config.max_resolution, decode)
        except CaptureError as error:
            send(Warned(f"{error.message} The view is left out.", error.remedy))
            continue
        add(changes, Change(rasterizer, models, photo))
    if not changes:
        raise CaptureError("No held-out photo can be read.", "Choose the folder that holds them.")
    off_path: list[Change] = []
    unknown = 0
    sights: list[Sight] = []
    for sight in sights_of(capture, frame, rasterizer, models[0].gaussians) if outside else ():
        tell("looking at what the photos show")
        sights.append(sight)
    for other in outside:
        tell("rendering views off the path")
        try:
            photo, counts = load_counted(other, frame, sights, config.max_resolution, decode)
        except CaptureError as error:
            send(Warned(f"{error.message} The view is left out.", error.remedy))
            continue
        if counts.mean() < LEAST_COUNTED:
            unknown += 1
        else:
            add(off_path, Change(rasterizer, models, photo, counts))
    if unknown:
        which = f"{unknown} of {len(outside)} views off the path"
        send(Warned(f"No two training photos show what is in {which}: left out."))
    sheet = np.concatenate(padded([it.strip for it in (*changes, *off_path) if it.strip is not None]))
    save_png(folder / SHEET, torch.from_numpy(sheet) / 255)
    found = Removal(len(changes), _means(changes, "psnr"), _means(changes, "ssim"), _holes(changes), changes[0].name)
    if not off_path:
        return found
    return replace(found, off_path=OffPath(len(off_path), _means(off_path, "psnr"), _holes(off_path), off_path[0].name))


class Progress:
    """Tells how far it is; `total` steps there are. Raises Stopped when somebody asked for that."""

    def __init__(self, send: Callable[[Event], None], is_stopped: Callable[[], bool]):
        self._send, self._is_stopped = send, is_stopped
        self.done, self.total = 0, 1

    def __call__(self, state: str) -> None:
        """Before another step."""
        if self._is_stopped():
            raise Stopped
        self._send(InspectionProgressed(self.done / self.total, state))
        self.done += 1


def _outside(capture: Capture, send: Callable[[Event], None]) -> list[OutsideView]:
    try:
        views = open_outside(capture)
    except SplatError as error:
        send(Warned(error.message, error.remedy))
        return []
    if views and len(capture.training_views) < LEAST_PHOTOS:
        send(
            Warned(
                "The views off the path are not used. One training photo alone confirms nothing of what they show.",
                "Capture the scene from more places, and train on that.",
            )
        )
        return []
    return views


def _means(changes: "Sequence[Change]", name: str) -> tuple[float, float]:
    """Of what views are before and after."""
    before, after = (float(np.mean([getattr(change, name)[side] for change in changes])) for side in (0, 1))
    return before, after


def _holes(changes: "Sequence[Change]") -> float:
    return float(np.mean([change.holes for change in changes]))


class Change:
    """One view with and without the removed splats. `counts` (H, W) bool: of one off the path, which pixels do; then
    only those are holes that a surface covers in truth."""

    @torch.no_grad()
    def __init__(
        self,
        rasterizer: Rasterizer,
        models: Sequence[GaussianModel],
        photo: Photo,
        counts: np.ndarray | None = None,
    ):
        background = torch.full((3,), photo.backdrop, device=rasterizer.device)
        target, mask = photo.over(background, rasterizer.over), photo.mask_on(rasterizer.device)
        sides = [rasterizer.render(model.gaussians, photo.camera, background, sh_degree=3) for model in models]
        images = [side.image.clamp(0, 1) for side in sides]
        holes = (sides[0].alpha >= COVERED) & (sides[1].alpha < COVERED)
        within = torch.ones_like(holes)
        if counts is not None:
            mask = within = torch.from_numpy(counts).to(holes.device)
            if photo.alpha is not None:
                holes &= photo.alpha.to(holes.device) >= 255 * COVERED
            holes &= within
        self.name = photo.name
        self.psnr = tuple(psnr_db(image, target, mask) for image in images)
        self.ssim = tuple(ssim(image, target, mask) for image in images)
        self.holes = float(holes.sum() / within.sum())
        after = torch.where(holes[..., None], HOLE.to(images[1]), images[1])
        side_by_side = torch.cat([reduced(image) for image in (target, images[0], after)], dim=1)
        self.strip: np.ndarray | None = pixels_of(side_by_side)  # as long as it is one of those that are shown


def add(changes: list[Change], change: Change) -> None:
    """Put a change among others, those first that gain least; only so many as are shown keep their pictures."""
    changes.append(change)
    changes.sort(key=lambda each: each.psnr[1] - each.psnr[0])
    for other in changes[SHOWN:]:
        other.strip = None


def reduced(image: Tensor) -> Tensor:
    """The same image (H, W, 3), its longer side at most `LONGEST_PX`."""
    reduction = max(image.shape[:2]) / LONGEST_PX
    if reduction <= 1:
        return image
    size = [max(1, round(side / reduction)) for side in image.shape[:2]]
    return torch.nn.functional.interpolate(image.permute(2, 0, 1)[None], size=size, mode="area")[0].permute(1, 2, 0)


def padded(strips: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The same images (H, W, 3), bytes, white to the right of those that are less wide than others."""
    width = max(strip.shape[1] for strip in strips)
    return [np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=255) for strip in strips]


def main(arguments: Sequence[str]) -> int:
    """0 when the record is written or it was stopped, 1 when it could not be made."""
    folder = Path(arguments[0])
    send, stop = sending(take_standard_output()), threading.Event()
    threading.Thread(target=listen, args=(stop,), name="commands", daemon=True).start()
    try:
        preview(folder, send, stop.is_set).write(folder / RECORD)
    except Stopped:
        send(InspectionFinished(stopped=True))
        return 0
    except Exception as error:
        if not isinstance(error, SplatError):
            traceback.print_exc()
        send(explained(error))
        return 1
    send(InspectionFinished(False, str(folder / RECORD)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
