"""`python -m splat_addon.trainer.inspection.blame RUN_OR_SPLATS`: how much each splat has to do with what photos
contradict.

It writes `blame.npz` into the run, or where --out says; see `inspection/blame/blame_map.py`. Nothing is changed about
the splats, and nothing follows for what to delete. With --events, standard output carries events, and the command
"stop" on standard input, or its end, cancels; without, it prints what it found, and Ctrl-C stops it.
"""

import argparse
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ....capture.capture import Capture, View, open_capture
from ....capture.check.settling import settled
from ....errors import CaptureError, RunError, SplatError
from ....files import open_own, written_aside
from ....gaussians.cloud import GaussianCloud
from ....gaussians.formats.registry import read_splats
from ....inspection.blame.blame_map import BlameMap, ViewGains, agreement, arrays_of, standing_out
from ....inspection.file import key_of
from ....run.events import Event, InspectionFinished, InspectionProgressed, InspectionStarted, Warned
from ....run.resources import free_memory_bytes
from ....run.wire import take_standard_output
from ....run.wording import counted
from ...backend.blend_space import decode_srgb, is_linear
from ...backend.cpu.evidence import evidence_of_view
from ...backend.cpu.kernels.layout import GAIN, IMPORTANCE
from ...backend.cpu.rasterizer import CpuRasterizer
from ...backend.cpu.weights import ViewWeights
from ...backend.protocol import Gaussians
from ...photos.decoding import decode
from ...photos.photo import Photo
from ...training_frame import TrainingFrame
from ..gather import Stopped, chosen_views
from ..gather import arrays_of as parameters_of
from ..inspect_splats import (
    Task,
    explained,
    listen,
    over_all,
    photos_of,
    rasterizer_for,
    require_memory,
    sending,
    showing,
    task_of,
    telling,
)
from .solve import STEPS, Solution, solve, sums_of

KEPT_BYTES = 1 << 29  # drawn views; with more, they are drawn in each step of least squares
BYTES_OF_GAINS = 20  # of one splat in one view, see `ViewGains`
NAMED = 8  # splats that the terminal is told
WHICH = ("training", "all", "held-out")


class Found(NamedTuple):
    """About the splats of one cloud."""

    agreed: np.ndarray  # (N,) see `inspection/blame/blame_map.py`
    fading: np.ndarray  # (N,) see `inspection/blame/blame_map.py`
    solution: Solution
    views: tuple[ViewGains, ...]  # what each photo has said


@torch.no_grad()
def map_of(
    rasterizer: CpuRasterizer,
    cloud: GaussianCloud,
    photos: Sequence[Photo],
    tell: Callable[[float], None] = lambda fraction: None,
    steps: int = STEPS,
) -> Found:
    """How much the splats of `cloud`, in the frame of the photos' cameras, have to do with the residuals. `tell` hears
    how much is done, and may raise to stop. `steps` are of least squares."""
    gaussians = Gaussians(*(torch.from_numpy(np.ascontiguousarray(array)) for array in parameters_of(cloud)))
    linear, room = is_linear(rasterizer.blend_space), room_for_views()
    whole = len(photos) * (steps + 1)  # passes over a photo
    gains, views, counts, total = [], [], [], torch.zeros(len(cloud), 2)
    for number, photo in enumerate(photos):
        tell(number / whole)
        shown = torch.full((3,), photo.backdrop)
        target, mask = photo.over(shown, rasterizer.over), photo.mask_on(rasterizer.device)
        count = None if mask is None else mask.float()
        background = decode_srgb(shown) if linear else shown

        def make(photo: Photo = photo, background: torch.Tensor = background) -> ViewWeights:
            return ViewWeights(rasterizer, gaussians, photo.camera, background)

        view = make()
        seen = evidence_of_view(rasterizer, gaussians, photo.camera, shown, target, 1.0, count, drawn=view.drawn)
        away = (decode_srgb(target) if linear else target) - seen.image
        sums = sums_of(view, away.abs().mean(dim=2), count)
        evidence, (weight, wrong) = seen.sums.numpy(), sums.numpy().T
        gains.append(ViewGains.of(evidence[:, IMPORTANCE], evidence[:, GAIN], weight, wrong, seen.error))
        total += sums
        counts.append(count)
        is_kept = steps > 0 and view.size_bytes <= room
        room -= view.size_bytes if is_kept else 0
        views.append((lambda view=view: view) if is_kept else make)
    solution = solve(views, total, counts, steps, tell=lambda done, _: tell((len(photos) + done) / whole))
    agreed, mean, fading = agreement(len(cloud), gains)
    return Found(standing_out(agreed * mean, cloud.means, cloud.log_scales), fading, solution, tuple(gains))


def room_for_views() -> int:
    """How many bytes of drawn views are kept, so that they need not be drawn again."""
    free = free_memory_bytes()
    return KEPT_BYTES if free is None else min(KEPT_BYTES, free // 4)


def blame(task: Task, which: str, send: Callable[[Event], None], is_stopped: Callable[[], bool]) -> BlameMap:
    """Look through the photos of `which`, and write the map. Raises Stopped when `is_stopped`, and SplatError."""
    if task.capture is None:
        raise CaptureError("Blame compares splats with photos.", "Say where their capture lies (--capture).")
    whole = read_splats(task.splats)
    kept = whole.finite()
    if not kept.any():
        raise RunError(f"{task.splats.name} holds no splats that can be drawn.", "Choose another file.")
    capture = settled(open_capture(task.capture, task.hold_out_every, choices=task.choices), decode)
    views = views_of(capture, which)
    require_memory(len(whole), BYTES_OF_GAINS * len(chosen_views(views)))
    frame = TrainingFrame.around(capture)
    asked = replace(capture, views=tuple(replace(view, is_held_out=False) for view in views))
    send(InspectionStarted(len(whole), len(chosen_views(views))))
    send(InspectionProgressed(0.0, "reading photos"))
    photos = photos_of(asked, frame, send, is_stopped)
    if len(photos) == 1:
        send(Warned("One photo alone cannot tell a wrong splat from those that share its pixels.", "Use more photos."))
    cloud = frame.from_origin(read_splats(task.splats, frame.origin) if any(frame.origin) else whole).select(kept)
    rasterizer = rasterizer_for(task, cloud, send)
    found = map_of(rasterizer, cloud, photos, telling("comparing splats with photos", send, is_stopped))
    solution = found.solution
    if not solution.weight.any():
        raise CaptureError(
            "No photo of the capture sees these splats.", "Choose the capture that they were trained on."
        )
    columns = {
        "agreed": found.agreed,
        "fading": found.fading,
        "wrong": solution.wrong,
        "mean": solution.mean,
        "weight": solution.weight,
    }
    spread = {name: over_all(column, kept) for name, column in columns.items()}
    result = BlameMap(key_of(whole), **spread, photos=which, view_count=len(photos))
    with written_aside(task.out) as aside, open_own(aside, "wb") as file:
        np.savez(file, **arrays_of(result))
    return result


def views_of(capture: Capture, which: str) -> list[View]:
    """The views of a capture that splats are compared with. Raises CaptureError when there are none."""
    held_out, training = list(capture.held_out_views), list(capture.training_views)
    views = {"all": [*training, *held_out], "training": training, "held-out": held_out}[which]
    if not views:
        raise CaptureError(
            f"No view of {capture.folder} is {'held out' if which == 'held-out' else 'trained on'}.",
            "Compare with all photos.",
        )
    return views


def main(arguments: Sequence[str]) -> int:
    """0 when the map is written or was stopped, 1 when it could not be made."""
    options, stop = parse(arguments), threading.Event()
    if options.events:
        send = sending(take_standard_output())
        threading.Thread(target=listen, args=(stop,), name="commands", daemon=True).start()
    else:
        send = showing()
    began = time.perf_counter()
    try:
        task = task_of(options.target, options.capture, splats=options.splats, needs_photos=True)
        task = replace(task, out=options.out or task.out.with_name("blame.npz"))
        found = blame(task, options.photos, send, stop.is_set)
    except (Stopped, KeyboardInterrupt):
        send(InspectionFinished(stopped=True))
        return 0
    except Exception as error:
        if not isinstance(error, SplatError):
            traceback.print_exc()
        send(explained(error))
        return 1
    if not options.events:
        print(f"{found.view_count} photos, {counted(len(found.fading))} splats")
        for splat in np.argsort(-found.agreed)[:NAMED]:
            print(f"  splat {splat}: {found.fading[splat]:.3%} of the error, mean residual {found.mean[splat]:.3f}")
        print("It shows where photos disagree with the splats, not what to delete.")
    send(InspectionFinished(False, str(task.out), len(found.fading), 0, time.perf_counter() - began))
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Say how much each splat has to do with what photos contradict.")
    parser.add_argument("target", type=Path, help="folder of a run, or a file of splats")
    parser.add_argument("--capture", type=Path, help="folder of the capture (default: that of the run)")
    parser.add_argument("--splats", type=Path, help="compare these in place of the run's own result")
    parser.add_argument("--photos", choices=WHICH, default=WHICH[0], help="which photos (default: training)")
    parser.add_argument("--out", type=Path, help="the map (default: blame.npz beside the splats)")
    parser.add_argument("--events", action="store_true", help="talk to a program: events out, commands in")
    return parser.parse_args(arguments)
