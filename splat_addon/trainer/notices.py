"""What the user should know of a run, though it goes on, and why one does not."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..capture.camera import Camera
from ..capture.capture import FINGERPRINT_KIND
from ..errors import RunError, SplatFileError
from ..files import is_disk_full
from ..gaussians.rules import DEFAULT_RULES
from ..run.events import Warned
from ..run.folder import RunFolder
from ..run.wording import counted, rounded
from .backend.cuda import doctor
from .training_frame import COARSE_ROUNDING, TrainingFrame


def about_unused_card() -> list[Warned]:
    """Why the NVIDIA card of this machine, if it has one, is not used unless it is asked for."""
    if doctor.is_proven():
        return []
    missing = doctor.why_not_cuda()
    if missing is not None:
        return [Warned(f"The NVIDIA card is not used ({missing.name}: {missing.found}).", missing.remedy)]
    if not doctor.is_cuda_ready():
        return []
    message = "An NVIDIA card is here, but its backend has not passed a self-check on this machine, so the CPU is used."
    return [Warned(message, "Set Device to CUDA once: it is compared with the CPU then.")]


def about_rounding(frame: TrainingFrame) -> list[Warned]:
    """What becomes of a capture so far from its origin that 32 bits cannot hold its places."""
    if frame.rounding < COARSE_ROUNDING:
        return []
    return [
        Warned(
            "The capture lies so far from its origin that 32 bits, as Blender and most viewers have, round positions"
            f" to {frame.rounding * frame.unit:.2g} units. Training is exact, and the result's file has 64 bits.",
            "To look at the splats exactly, move the capture to its origin before training.",
        )
    ]


def about_changed_capture(former: str, now: str) -> list[Warned]:
    """Of a capture that has another fingerprint than the one that splats were trained on; where that is unknown, or an
    earlier version took it in another way, nothing."""
    if former == now or not former.startswith(FINGERPRINT_KIND):
        return []
    return [
        Warned(
            "The capture has changed since the splats were trained: they are compared with what is there now.",
            "Train again if cameras have moved.",
        )
    ]


def about_earlier_version() -> Warned:
    """A run goes on that was started by a version which could not tell for certain of which capture it was."""
    return Warned(
        "This run was started by an earlier version, so whether its capture has changed since was not checked.",
        "Start a new run if the photos or cameras are others.",
    )


@torch.no_grad()
def about_unseen(means: Tensor, cameras: list[Camera]) -> Warned:
    """Why none of the splats at `means` (N, 3) is drawn in any photo."""
    points = means.cpu().double().numpy()
    depths = np.stack([camera.project(points)[1] for camera in cameras])
    if (depths <= 0).all():
        where = "All splats lie behind the cameras"
    elif (depths < DEFAULT_RULES.near_plane).all():
        where = "All splats lie behind the cameras or too close in front of them"
    elif len(points) == 1:
        where = "The only splat lies outside of all photos"
    else:
        where = "All splats lie outside of the photos"
    return Warned(
        f"No splat was seen in any photo: {where[0].lower()}{where[1:]}. Nothing is being trained.",
        "Check that points and cameras are of the same place and scale, or set Seeds to random.",
    )


def about_unwritten(path: Path, error: OSError | SplatFileError) -> Warned:
    if is_disk_full(error):
        return Warned(f"The disk is full: {path} cannot be written. The run goes on without it.", "Free some space.")
    reason = error.strerror if isinstance(error, OSError) else getattr(error.__cause__, "strerror", None)
    return Warned(
        f"{path} cannot be written ({reason or error}). The run goes on without it.",
        "Close what holds it open, or make space on its disk.",
    )


def card_is_full(count: int, folder: RunFolder) -> RunError:
    """What to say when a card's memory does not suffice for a step with `count` gaussians: memory is used in proportion
    to them, and a tenth is left for what densification needs meanwhile."""
    return RunError(
        f"The card's memory does not suffice for {counted(count)} splats at this resolution.",
        f"Start a new run with Max Splats at about {rounded(int(0.9 * count))} or a lower Max Resolution, or close what"
        f" else uses the card and resume this one. {folder.what_is_left()}",
    )
